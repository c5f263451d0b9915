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
from palmbot.core.types import BarArrays, RollArrays, SentimentArrays
from palmbot.errors import ConfigError, RefusedError
from palmbot.instruments import PALM_OIL
from palmbot.research.result import DataSet
from palmbot.settings import Environment, Found, Settings
from palmbot.units import DAY_MS

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
)


def settings(folder: Path, env: Environment, found: Found | None) -> Settings:
    plain = load_settings(Sources(folder, {}))
    return replace(plain, run=replace(plain.run, environment=env), found=found)


NOISE: list[dict[str, Any]] = [{"verdict": "NOISE"}, {"verdict": None}, {"changed": ("rsi_low",)}]


@pytest.mark.parametrize("changed", NOISE)
def test_noise_is_traded_live_by_those_alone_who_say_so(tmp_path: Path, changed: dict[str, Any]) -> None:
    noise = replace(FOUND, **changed)
    with pytest.raises(RefusedError) as refused:
        noise_notes(settings(tmp_path, Environment.LIVE, noise), is_accepted=False)
    assert (refused.value.code, refused.value.exit_code) == ("PARAMS_ARE_NOISE", 3)
    assert "--i-know-this-is-noise" in refused.value.todo
    accepted = noise_notes(settings(tmp_path, Environment.LIVE, noise), is_accepted=True)
    for env in (Environment.PAPER, Environment.DEMO):
        assert noise_notes(settings(tmp_path, env, noise), is_accepted=False) == accepted
    assert len(accepted) == 1


def test_what_was_examined_well_and_what_is_no_file_is_traded_without_a_word(tmp_path: Path) -> None:
    for found in (FOUND, replace(FOUND, verdict="ROBUST"), None):
        assert noise_notes(settings(tmp_path, Environment.LIVE, found), is_accepted=False) == ()


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
        noise_notes(settings(tmp_path, Environment.LIVE, found), is_accepted=False)
    assert "was on another rule_file" in refused.value.todo
    assert noise_notes(settings(tmp_path, Environment.LIVE, found), is_accepted=True)
    assert noise_notes(settings(tmp_path, Environment.PAPER, found), is_accepted=False)
