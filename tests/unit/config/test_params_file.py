"""Files of parameters that were found: what they say beside the parameters, and what is not taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.config.sources_at import refusal, settings

from palmbot.core.types import Params
from palmbot.settings import COST_SETTINGS, Charged, Found

DATA = {
    "instrument": "palm_oil",
    "symbol": "FCPO",
    "period_ms": 86_400_000,
    "adjustment": "none",
    "fingerprint": "ab",
    "bars": 3,
}
COSTS: dict[str, Any] = {
    **dict.fromkeys(COST_SETTINGS, "0"),
    "price_px": 400_000_000,
    "rate_e8": 100_000_000,
    "round_trip_px": 0,
    "night_long_px": 3,
    "night_short_px": -3,
    "conversion_fee_bp": 0,
}
BEST: dict[str, Any] = {
    "format": 1,
    "version": "0.1.0",
    "core": "cd",
    "profile": "rsi_trend",
    "params": {"rsi_high": 55.5, "sl_ppm": 12_500},
    "data": DATA,
    "verdict": "WEAK",
    "reasons": ["It was so."],
}


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "best.json"
    path.write_text(json.dumps(BEST | changed))
    return path


def test_what_a_file_says_is_kept_beside_the_settings(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = settings(tmp_path, params_file=path)
    assert (found.profile, found.params.rsi_high, found.params.sl_ppm) == ("rsi_trend", 55.5, 12_500)
    assert found.found == Found(
        path, "WEAK", ("It was so.",), "0.1.0", "cd", "palm_oil", "FCPO", 86_400_000, "none", "ab", ()
    )
    assert settings(tmp_path).found is None


def test_what_the_search_was_charged_and_knew_is_kept_too(tmp_path: Path) -> None:
    data = DATA | {"sentiment": "none", "rolls": "ef"}
    found = settings(tmp_path, params_file=written(tmp_path, costs=COSTS, data=data)).found
    assert found is not None
    assert (found.sentiment, found.rolls) == ("none", "ef")
    assert found.charged == Charged(dict.fromkeys(COST_SETTINGS, "0"), 400_000_000, 100_000_000, 0, 3, -3, 0)


def test_a_file_by_hand_needs_parameters_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"params": {"rsi_low": 25}}')
    found = settings(tmp_path, params_file=path)
    assert (found.found, found.params.rsi_low, found.profile) == (Found(path), 25.0, "rsi_sentiment")


def test_a_verdict_does_not_hold_for_another_rule_of_entry_or_exit(tmp_path: Path) -> None:
    path = written(tmp_path)
    same = settings(tmp_path, params_file=path, sets=("rsi_high=55.50", "sizing.risk=0.1%", "breakers.losses_max=2"))
    assert same.found is not None
    assert same.found.changed == ()
    other = settings(tmp_path, params_file=path, sets=("rsi_high=56", "sl=2%"))
    assert other.found is not None
    assert other.found.changed == ("rsi_high", "sl")


def test_a_dump_of_all_parameters_reads_back_as_it_was(tmp_path: Path) -> None:
    params = Params(rsi_low=21.25, sl_atr=0.1, risk_fraction=0.0075, cooldown_ms=86_400_000)
    path = written(tmp_path, profile="rsi_sentiment", params=params._asdict())
    assert settings(tmp_path, params_file=path).params == params


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"format": 2}, "PARAMS_OTHER_FORMAT"),
        ({"verdict": "GREAT"}, "BAD_PARAMS_FILE"),
        ({"verdict": 5}, "BAD_PARAMS_FILE"),
        ({"reasons": "because"}, "BAD_PARAMS_FILE"),
        ({"data": [1]}, "BAD_PARAMS_FILE"),
        ({"data": DATA | {"period_ms": "1d"}}, "BAD_PARAMS_FILE"),
        ({"version": 1}, "BAD_PARAMS_FILE"),
        ({"data": DATA | {"sentiment": True}}, "BAD_PARAMS_FILE"),
        ({"costs": {"spread": "0"}}, "BAD_PARAMS_FILE"),
        ({"costs": COSTS | {"spread": 0}}, "BAD_PARAMS_FILE"),
        ({"costs": COSTS | {"night_long_px": 0.5}}, "BAD_PARAMS_FILE"),
        ({"costs": COSTS | {"rate_e8": 0}}, "BAD_PARAMS_FILE"),
        ({"params": None}, "BAD_PARAMS_FILE"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path: Path, changed: dict[str, Any], code: str) -> None:
    assert refusal(tmp_path, params_file=written(tmp_path, **changed)).code == code
