"""Whole stories without faults: the real bot trades on the real exchange over the simulated network."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import verify
from palmbot.simulation import bot_process
from palmbot.simulation.pipe import Conditions
from palmbot.simulation.script import Script
from palmbot.simulation.world import Outcome, World

SEEDS = range(1, 7)
SHORT_BARS = 90
TELL = f"""
import sys
from palmbot.simulation.script import Script
from palmbot.simulation.world import World
sys.stdout.write(World(Script(seed=3, bars={SHORT_BARS})).tell().trace)
"""


@cache
def told(seed: int) -> Outcome:
    return World(Script(seed=seed)).tell()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_story_without_faults_ends_well(seed: int) -> None:
    outcome = told(seed)
    assert outcome.violations == ()
    assert outcome.orders >= 10
    assert outcome.trades >= 10
    assert 1_000 < outcome.frames < 3_000
    assert outcome.virtual_s > 240 * 60 / 10 + 600  # 240 minutes at ten-fold speed, then ten quiet ones


def test_stories_differ_by_their_seed() -> None:
    assert len({told(seed).trace for seed in SEEDS}) == len(SEEDS)


def test_a_trace_shows_that_intents_are_in_the_journal_before_their_bytes_are_on_the_wire() -> None:
    lines = told(1).trace.splitlines()
    for first, second in ((" append intent ", "NewOrderReq"), ("NewOrderReq", "hears OrderEvent")):
        assert next(i for i, line in enumerate(lines) if first in line) < next(
            i for i, line in enumerate(lines) if second in line
        )


def test_one_seed_gives_one_trace_whatever_the_hash_seed_of_the_process() -> None:
    traces = [
        subprocess.run(
            [sys.executable, "-c", TELL],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert traces[0] == traces[1]
    assert traces[0].decode() == World(Script(seed=3, bars=SHORT_BARS)).tell().trace


def test_a_journal_on_a_path_tells_the_same_story_and_is_sound(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "journal.sqlite")
    script = Script(seed=3, bars=SHORT_BARS)
    assert World(script, url).tell() == World(script).tell()
    assert verify(url) == ()


def test_a_slow_network_that_cuts_every_write_in_two_changes_nothing_but_the_times() -> None:
    slow = Conditions(delay_min_ms=100, delay_max_ms=900, slice_share=1)
    outcome = World(Script(seed=2, bars=SHORT_BARS, conditions=slow)).tell()
    assert outcome.violations == ()
    assert outcome.trades > 0


def test_a_bot_that_dies_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_process, "FixedToken", lambda _: FixedToken("a token of somebody else"))
    outcome = World(Script(seed=1, bars=SHORT_BARS)).tell()
    assert any(line.startswith("the bot died") for line in outcome.violations)


def test_a_bot_that_counts_a_cent_too_much_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    trades = bot_process.TracedJournal.trades
    monkeypatch.setattr(
        bot_process.TracedJournal,
        "trades",
        lambda journal: tuple(replace(each, gross_minor=each.gross_minor + 1) for each in trades(journal)[:1]),
    )
    outcome = World(Script(seed=1, bars=SHORT_BARS)).tell()
    kinds = {line.split(":")[0] for line in outcome.violations}
    assert kinds == {
        f"a trade {what}"
        for what in (
            "in the journal was not listed",
            "was listed that is not in the journal",
            "in the journal was not booked",
            "was booked that is not in the journal",
        )
    }
