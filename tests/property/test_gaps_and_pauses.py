"""Sizing by gaps and flat before pauses on SYNTHETIC worlds: the core against the replay by hand."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from tests.oracle.comparison import differences, said_by_core
from tests.oracle.worlds import World, int64, world_of

from palmbot.core.types import Pause, Reason
from palmbot.core.world import Run

WORLDS = 300


def cautious(seed: int) -> World:
    """Return a seeded world whose profile sizes by gaps and stays out of some pauses."""
    rng = Random(f"cautious:{seed}")
    world = world_of(rng)
    params = world.run.params._replace(
        gap_quantile=rng.choice((0.0, 0.5, 0.9, 1.0)), flat_before=rng.choice((0, 1, 2, 4, 9, 31))
    )
    kinds = [0, 0, 0, 0, *(int(pause) for pause in Pause if pause), int(Pause.CLOSE | Pause.WEEKEND)]
    ahead = int64([rng.choice(kinds) for _ in world.bars.ts_ms])
    return world._replace(run=Run(params, world.run.instrument), bars=world.bars._replace(ahead=ahead))


def compared(worlds: int) -> tuple[Counter[int], int]:
    """Hold the core against the replay by hand; return the reasons that came up, and the entries sized by a gap."""
    seen: Counter[int] = Counter()
    wide = 0
    for seed in range(worlds):
        world = cautious(seed)
        found, oracle = differences(world)
        assert found == [], f"world {seed} differs:\n" + "\n".join(found)
        seen.update(values[6] for kind, values in oracle.events if kind == "TRADE")
        seen.update(values[2] for kind, values in oracle.events if kind == "REFUSAL")
        wide += oracle.sights["sized by a gap"]
    return seen, wide


def test_the_core_equals_the_replay_by_hand_with_both_rules_on() -> None:
    seen, wide = compared(WORLDS)
    assert min(seen[Reason.FLAT], seen[Reason.PAUSE_AHEAD]) > 50
    assert wide > 50


def test_pauses_that_no_bit_asks_for_change_nothing() -> None:
    for seed in range(40):
        world = world_of(Random(seed))
        marked = world._replace(bars=world.bars._replace(ahead=np.full(len(world.bars.ts_ms), 31, np.int64)))
        assert said_by_core(marked) == said_by_core(world)


def test_a_replay_that_does_not_know_the_pauses_is_refused() -> None:
    world = world_of(Random(1))
    run = Run(world.run.params._replace(flat_before=1), world.run.instrument)
    with pytest.raises(ValueError, match="ahead"):
        said_by_core(world._replace(run=run))
