"""``palmbot run --exchange F`` where the exchange lists other terms than the bot is configured with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.exchange_process import exchange
from tests.paper_bot import Ended, Journal, PaperBot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ACCOUNT = "account-1000001"


def run(folder: Path, terms: str, *words: str) -> Ended:
    """Run a bot for a moment at an exchange that lists palm oil under ``terms`` and goes on from where it was."""
    house = folder / "exchange"
    house.mkdir(exist_ok=True)
    (house / "palmbot.toml").write_text(f"[instrument.palm_oil]\n{terms}\n")
    with exchange(house, "--speed", "7200", "--state", "state.sqlite") as running:
        (folder / "ready.json").write_text(json.dumps(running.ready))
        with PaperBot(folder, "--exchange", "ready.json", "--for", "1s", *words) as bot:
            ended = bot.ended()
        running.end()
    return ended


def started(folder: Path) -> dict[str, Any]:
    """Return how the last run began."""
    found: dict[str, Any] = Journal(folder / "palmbot-data" / ACCOUNT).events("run_started")[-1]
    return found


def test_the_exchanges_terms_are_traded_by_and_shown_and_may_change_between_runs(tmp_path: Path) -> None:
    first = run(tmp_path, "commission = 3\nswap_long = -1.5", "--json")
    assert (first.code, first.err.splitlines()) == (
        0,
        [
            "commission: configured 1, the broker's 3",
            "swap_long: configured 0, the broker's -1.5",
        ],
    )
    named = {each["name"]: each for each in first.answer["summary"]["instrument_differences"]}
    assert named["commission"] == {"name": "commission", "configured": "1", "broker": "3"}
    assert set(named) == {"commission", "swap_long", "spread", "slippage"}
    about = started(tmp_path)
    assert about["instrument"]["commission_rate"] == 3 * 25 * 10**8
    assert about["instrument_differences"] == first.answer["summary"]["instrument_differences"]

    second = run(tmp_path, "commission = 4\nvolume_max = 500")  # what a broker may change any day
    assert second.code == 0
    assert "The broker's terms counted:\n" in second.out
    assert "  volume_max: 500, configured 1000\n" in second.out
    assert started(tmp_path)["instrument"]["commission_rate"] == 4 * 25 * 10**8
    notes = [each["text"] for each in Journal(tmp_path / "palmbot-data" / ACCOUNT).events("note")]
    rates = (3 * 25 * 10**8, 4 * 25 * 10**8)
    assert f"commission_rate of the instrument was {rates[0]} in the last run and is now {rates[1]}" in notes

    third = run(tmp_path, "lot = 50")  # what all volumes of the journal were counted in
    assert third.code == 3
    assert "SETTINGS_CHANGED: changed=instrument" in third.err
