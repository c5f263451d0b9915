"""Parameters from a file: who may trade them live, and on which bars they mean something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmbot import CORE_HASH
from palmbot.bootstrap.provenance import noise_notes, noted
from palmbot.config import Sources, load_settings
from palmbot.config.terms import costs_of
from palmbot.core.types import BarArrays, RollArrays, SentimentArrays
from palmbot.errors import ConfigError, RefusedError
from palmbot.instruments import PALM_OIL
from palmbot.research.charges import charged
from palmbot.research.known import fingerprint
from palmbot.research.result import DataSet
from palmbot.settings import Charged, Environment, Found, Settings
from palmbot.units import DAY_MS, PX, RATE_ONE_E8

NOBODY = np.zeros(0, np.int64)
BARS = BarArrays(*[NOBODY] * 7)
DATA = DataSet(
    "bars",
    PALM_OIL,
    DAY_MS,
    "none",
    BARS,
    RollArrays(NOBODY, NOBODY),
    SentimentArrays(NOBODY, np.zeros(0)),
    0,
    0,
    (),
    "ab",
)


def charged_by(*sets: str) -> Charged:
    """Return what the built-in instrument with other settings charges at 4 000."""
    spec = load_settings(Sources(environ={}, sets=sets)).instrument
    return charged(spec.core, 4_000 * PX, RATE_ONE_E8, costs_of(spec))


SCORES = SentimentArrays(np.array([5], np.int64), np.array([20.0]))
ROLLS = RollArrays(np.array([5], np.int64), np.array([7], np.int64))
FOUND = Found(
    Path("best.json"),
    "WEAK",
    ("It was so.",),
    version="0.1.0",
    core=CORE_HASH,
    instrument="palm_oil",
    symbol="FCPO",
    period_ms=DAY_MS,
    adjustment="none",
    fingerprint="ab",
    sentiment="none",
    rolls="none",
    charged=charged_by(),
)


def settings(folder: Path, env: Environment, found: Found | None, *sets: str, is_accepted: bool = False) -> Settings:
    plain = load_settings(Sources(folder, {}, sets=sets))
    return replace(plain, run=replace(plain.run, environment=env, accepts_noise=is_accepted), found=found)


NOISE: list[dict[str, Any]] = [
    {"verdict": "NOISE"},
    {"verdict": None},
    {"changed": ("rsi_low",)},
    {"charged": None, "sentiment": None, "rolls": None},
    {"sentiment": None},
    {"core": "0"},
    {"core": None},
]


@pytest.mark.parametrize("changed", NOISE)
def test_noise_is_traded_live_by_those_alone_who_say_so(tmp_path: Path, changed: dict[str, Any]) -> None:
    noise = replace(FOUND, **changed)
    with pytest.raises(RefusedError) as refused:
        noise_notes(settings(tmp_path, Environment.LIVE, noise))
    assert (refused.value.code, refused.value.exit_code) == ("PARAMS_ARE_NOISE", 3)
    assert "--i-know-this-is-noise" in refused.value.todo
    accepted = noise_notes(settings(tmp_path, Environment.LIVE, noise, is_accepted=True))
    for env in (Environment.PAPER, Environment.DEMO):
        assert noise_notes(settings(tmp_path, env, noise)) == accepted
    assert len(accepted) == 1


def test_what_was_examined_well_and_what_is_no_file_is_traded_without_a_word(tmp_path: Path) -> None:
    for found in (FOUND, replace(FOUND, verdict="ROBUST"), None):
        assert noise_notes(settings(tmp_path, Environment.LIVE, found)) == ()


def test_the_bars_of_the_search_need_no_note() -> None:
    assert noted(FOUND, DATA) == DATA
    assert noted(None, DATA) == DATA
    assert noted(Found(Path("mine.json")), DATA) == DATA


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"fingerprint": "cd"}, "other bars"), ({"adjustment": "additive"}, "rolls"), ({"core": "0"}, "version 0.1.0")],
)
def test_other_bars_rolls_and_rules_are_noted(changed: dict[str, Any], word: str) -> None:
    notes = noted(replace(FOUND, **changed), replace(DATA, notes=("old",))).notes
    assert len(notes) == 2
    assert word in notes[1]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"instrument": "brent", "symbol": "XBRUSD"}, "PARAMS_OTHER_SYMBOL"),
        ({"period_ms": DAY_MS // 24}, "PARAMS_OTHER_PERIOD"),
    ],
)
def test_another_instrument_or_period_is_an_error(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError, match=code):
        noted(replace(FOUND, **changed), DATA)


def test_an_instrument_is_known_by_its_name_or_by_its_symbol() -> None:
    assert noted(replace(FOUND, instrument="other", symbol=PALM_OIL.symbol), DATA) == DATA
    assert noted(replace(FOUND, symbol="OTHER"), DATA) == DATA


def test_a_rule_of_ones_own_that_was_edited_since_is_not_the_rule_that_was_examined(tmp_path: Path) -> None:
    found = replace(FOUND, core=f"{CORE_HASH}-5eed")  # of a rule's text that is not in force here
    with pytest.raises(RefusedError, match="PARAMS_ARE_NOISE") as refused:
        noise_notes(settings(tmp_path, Environment.LIVE, found))
    assert "was on another rule_file" in refused.value.todo
    assert noise_notes(settings(tmp_path, Environment.LIVE, found, is_accepted=True))
    assert noise_notes(settings(tmp_path, Environment.PAPER, found))


DEARER = [  # what a search was charged, what is charged now, what is said
    (("spread=0",), (), "at 3 points for a round trip, and at 4000 it costs 5 now"),
    (("slippage=0",), (), "at 4 points for a round trip, and at 4000 it costs 5 now"),
    (("commission=0",), (), "at 3 points for a round trip, and at 4000 it costs 5 now"),
    ((), ("spread=0.1%",), "at 5 points for a round trip, and at 4000 it costs 7 now"),
    ((), ("commission_min=100",), "at 5 points for a round trip, and at 4000 it costs 11 now"),
    ((), ("swap_long=-0.2",), "at 0 points for a night long, and at 4000 it costs 0.2 now"),
    ((), ("swap_short=-9%",), "at 0 points for a night short, and at 4000 it costs 1 now"),
    (("swap_long=0.3",), (), "at -0.3 points for a night long, and at 4000 it costs 0 now"),
    ((), ("conversion_fee=0.5%",), "at a conversion fee of 0%, and it is 0.5% now"),
]


@pytest.mark.parametrize(("then", "now", "said"), DEARER)
def test_a_verdict_at_lower_costs_than_those_in_force_is_none(
    tmp_path: Path, then: tuple[str, ...], now: tuple[str, ...], said: str
) -> None:
    was, sets = (tuple(f"instrument.{each}" for each in those) for those in (then, now))
    found = replace(FOUND, verdict="ROBUST", charged=charged_by(*was))
    with pytest.raises(RefusedError, match="PARAMS_ARE_NOISE") as refused:
        noise_notes(settings(tmp_path, Environment.LIVE, found, *sets))
    assert f"The verdict ROBUST was {said}." in refused.value.todo
    assert len(noise_notes(settings(tmp_path, Environment.DEMO, found, *sets))) == 1
    turned = replace(FOUND, charged=charged_by(*sets))  # found at the higher costs: it can only be better
    assert noise_notes(settings(tmp_path, Environment.LIVE, turned, *was)) == ()


def test_costs_count_together_and_a_swap_of_the_side_that_is_not_traded_does_not(tmp_path: Path) -> None:
    found = replace(FOUND, charged=charged_by("instrument.spread=3", "instrument.slippage=0"))
    assert noise_notes(settings(tmp_path, Environment.LIVE, found)) == ()
    sets = ("instrument.swap_short=-1", "profile.allow_short=false")
    assert noise_notes(settings(tmp_path, Environment.LIVE, FOUND, *sets)) == ()


def test_a_verdict_with_sentiment_does_not_hold_without_it_nor_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("known_at,score\n")
    some, had = (f"data.sentiment={tmp_path / 'scores.csv'}",), replace(FOUND, sentiment="cd")
    for found, sets, said in ((had, (), "was with sentiment"), (FOUND, some, "was without sentiment")):
        with pytest.raises(RefusedError, match="PARAMS_ARE_NOISE") as refused:
            noise_notes(settings(tmp_path, Environment.LIVE, found, *sets))
        assert f"The verdict WEAK {said}" in refused.value.todo
        trend = settings(tmp_path, Environment.LIVE, found, *sets, "profile.rule=rsi_trend")
        assert noise_notes(trend) == ()  # a rule that does not ask for it
    assert noise_notes(settings(tmp_path, Environment.LIVE, had, *some)) == ()  # newer scores are the rule


def test_each_cost_that_differs_is_one_note() -> None:
    free = charged_by("instrument.spread=0", "instrument.slippage=0", "instrument.commission=0.01%")
    assert noted(replace(FOUND, charged=free), DATA).notes == (
        "They were found with spread 0, this run has 2 points.",
        "They were found with slippage 0, this run has 0.5 points.",
        "They were found with commission 0.01%, this run has 1 points.",
    )


@pytest.mark.parametrize(
    ("found", "data", "said"),
    [
        ({"sentiment": "cd"}, {}, ("They were found with sentiment, this run is without.",)),
        ({}, {"sentiment": SCORES}, ("They were found without sentiment, this run is with.",)),
        ({"sentiment": "cd"}, {"sentiment": SCORES}, ("They were found with other sentiment.",)),
        ({"rolls": "cd"}, {"rolls": ROLLS}, ("They were found with other rolls.",)),
        ({"rolls": fingerprint(ROLLS)}, {"rolls": ROLLS}, ()),
        ({"rolls": "cd"}, {"fingerprint": "", "synthetic": True}, ("found on other bars",)),
        ({"rolls": "cd"}, {"rolls": ROLLS, "fingerprint": "ef"}, ("found on other bars",)),
        ({"charged": None, "sentiment": None, "rolls": None}, {"rolls": ROLLS}, ("an older version wrote it",)),
    ],
)
def test_other_sentiment_and_rolls_are_noted_and_newer_ones_belong_to_newer_bars(
    found: dict[str, Any], data: dict[str, Any], said: tuple[str, ...]
) -> None:
    notes = noted(replace(FOUND, **found), replace(DATA, **data)).notes
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))
