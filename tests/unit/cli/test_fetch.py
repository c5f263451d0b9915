"""``palmbot data fetch`` refuses what it cannot do before it asks anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from palmbot.bootstrap.fetch import FetchRequest, wanted_of
from palmbot.bootstrap.fetch_output import Output
from palmbot.cli.main import execute
from palmbot.errors import UsageError
from palmbot.instruments import PALM_OIL
from palmbot.research.coverage import Span
from palmbot.research.fetched import Written
from palmbot.research.quality import Completeness, Gap
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

NOW_MS = 1_704_708_000_000 + 25 * MINUTE_MS  # Monday, 8 January 2024, 10:25 UTC
HERE_MS = NOW_MS // HOUR_MS * HOUR_MS


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--period 90s --exchange F", "PERIOD_UNFIT"),
        ("--period 1m30s --exchange F", "PERIOD_UNFIT"),
        ("--period soon --exchange F", "BAD_PERIOD"),
        ("--period 30s --exchange F", "BAD_PERIOD"),
        ("--from yesterday --exchange F", "BAD_TIME"),
        ("--to 2024-13-01 --exchange F", "BAD_TIME"),
        ("--from 2024-02-01 --to 2024-01-01T00:00Z --exchange F", "NOTHING_ASKED"),
        ("--symbol COCOA --exchange F", "UNKNOWN_SYMBOL"),
        ("--exchange F", "EXCHANGE_FILE_UNREADABLE"),
        ("--exchange F --env demo", "CONFLICTING_OPTIONS"),
        ("--env demo", "CREDENTIALS_MISSING"),
        ("", "NOBODY_TO_ASK"),
        ("--env moon", "BAD_CHOICE"),
    ],
)
def test_what_cannot_be_fetched_is_one_error(
    words: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["data", "fetch", "--json", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == error
    assert err.startswith(f"{error}:")


def test_nothing_that_could_trade_is_even_there() -> None:
    program = "import palmbot.bootstrap.courier, palmbot.bootstrap.fetch, sys; print(*sys.modules)"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "palmbot.adapters.ctrader_visit" in there
    assert not {"palmbot.adapters.ctrader", "palmbot.adapters.dry_run", "palmbot.orders", "palmbot.live"} & {*there}


def request(period_ms: int | None, from_ms: int | None = None, to_ms: int | None = None) -> FetchRequest:
    return FetchRequest(PALM_OIL, period_ms, from_ms, to_ms, Path())


def test_the_usual_range_is_two_years_of_bars_and_a_week_of_ticks() -> None:
    assert wanted_of(request(HOUR_MS), NOW_MS) == Span(HERE_MS + HOUR_MS - 731 * DAY_MS, HERE_MS)
    assert wanted_of(request(None), NOW_MS) == Span(NOW_MS - 7 * DAY_MS, NOW_MS)
    assert (
        wanted_of(request(DAY_MS), NOW_MS).to_ms == HERE_MS - 23 * HOUR_MS
    )  # 11:00, where the instrument's day begins


def test_only_whole_bars_that_are_over_are_wanted() -> None:
    wanted = wanted_of(request(HOUR_MS, HERE_MS - 3 * HOUR_MS + 1, NOW_MS + DAY_MS), NOW_MS)
    assert wanted == Span(HERE_MS - 2 * HOUR_MS, HERE_MS)
    assert wanted_of(request(HOUR_MS, 0, HERE_MS - 1), NOW_MS) == Span(0, HERE_MS - HOUR_MS)
    with pytest.raises(UsageError, match="NOTHING_ASKED"):
        wanted_of(request(HOUR_MS, HERE_MS - HOUR_MS + 1), NOW_MS)


def test_a_person_reads_what_is_there_and_what_is_not() -> None:
    complete = Completeness(3, 1, 2, (Gap(HERE_MS, HERE_MS + 3 * HOUR_MS, 3),))
    written = Written(100, 7, HERE_MS - DAY_MS, HERE_MS, complete)
    output = Output(Path("x.parquet"), PALM_OIL, HOUR_MS, Span(0, HERE_MS), written, 4, 99)
    text = output.text()
    for words in (
        "100 bars of 1h of PALMOIL, 2024-01-07T10:00:00.000Z to 2024-01-08T10:00:00.000Z; 99 rows are new, 4 requests",
        "3 bars and 1 whole days of open sessions have nothing",
        "gap      2024-01-08T10:00:00.000Z to 2024-01-08T13:00:00.000Z (3 bars)",
        "7 rows outside the session are left out",
        "palmbot backtest --data x.parquet",
    ):
        assert words in text
    assert output.to_json()["gaps"] == [
        {"from": "2024-01-08T10:00:00.000Z", "to": "2024-01-08T13:00:00.000Z", "bars": 3}
    ]
    ticks = Output(Path("x.parquet"), PALM_OIL, None, Span(0, HERE_MS), written, 4, 99)
    assert "100 ticks of PALMOIL" in ticks.text()
    assert "backtest" not in ticks.text()
