"""The compiled replay against the replay by hand, on thousands of generated worlds, with ``==``."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle.comparison import differences, seeded
from tests.oracle.replay import Oracle
from tests.oracle.worlds import World, world_of

from palmbot.core.types import CostKind, Profile, Reason

CHUNKS, WORLDS = 4, 1_000
EXITS = {"SL", "TP", "TRAIL", "TIME", "SIGNAL", "BREAKER_DAILY", "BREAKER_DRAWDOWN"}
TRIPS = {"HALT_DRAWDOWN", "DAILY_LOSS"}
REFUSALS = TRIPS | {
    *("LOSS_STREAK", "VOLATILITY_SPIKE", "OPEN_GAP", "SENTIMENT_ABSENT", "SENTIMENT_STALE", "SENTIMENT_WEAK"),
    *("STOP_TOO_CLOSE", "TARGET_TOO_CLOSE", "VOLUME_BELOW_MINIMUM", "NO_CONVERSION_RATE", "NOT_ENOUGH_MONEY"),
    "DECISION_EXPIRED",
}
SIGHTS = {
    *("gap through the stop", "gap through the target", "bar holds stop and target", "spread wider than the range"),
    *("stop touched exactly", "stop missed by one step", "target touched exactly", "target missed by one step"),
    *("zero-range bar while holding", "new stop on the wrong side", "zero net", "stopped out"),
    *("swap charged", "swap inside a bar", "roll charged", "roll inside a bar"),
    *("day boundary inside a bar", "day boundary at a bar's close", "both limits at one mark", "re-armed"),
    *("trip on the open", "trip on the first extreme", "trip on the close"),
    *("trip by SL", "trip by TP", "trip by TRAIL", "trip by TIME", "trip by SIGNAL", "trip by the costs of a flatten"),
    *(f"exit {reason}" for reason in EXITS),
    *(f"trip {reason}" for reason in TRIPS),
    *(f"refusal {reason}" for reason in REFUSALS),
    *(f"digits {digits}" for digits in range(6)),
    *("points", "percent", "long", "short", "fade", "trend", "open at the end"),
}


def seen_in(world: World, oracle: Oracle) -> set[str]:
    """Return what a world has shown."""
    params, instrument = world.run
    seen = {sight for sight, count in oracle.sights.items() if count > 0}
    for kind, values in oracle.events:
        if kind == "TRADE":
            seen.add("long" if values[2] > 0 else "short")
        else:
            seen.add(f"{kind.lower()} {Reason(values[-1]).name}")
    seen.add(f"digits {6 - len(str(instrument.step_px))}")
    seen.add("points" if instrument.spread_kind == CostKind.POINTS else "percent")
    seen.add("fade" if params.profile == Profile.RSI_SENTIMENT else "trend")
    seen.update({"stopped out"} if oracle.stopped_out_ms > 0 else set())
    seen.update({"open at the end"} if oracle.holding is not None else set())
    return seen


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_replay_equals_the_replay_by_hand(chunk: int) -> None:
    for seed, world in seeded(chunk * WORLDS, WORLDS):
        found, _ = differences(world)
        assert not found, f"world {seed}\n" + "\n".join(found)


def test_the_worlds_show_everything_that_can_happen_in_a_replay() -> None:
    missing = set(SIGHTS)
    for _, world in seeded(0, CHUNKS * WORLDS):
        missing -= seen_in(world, Oracle(world).live())
        if not missing:
            return
    assert not missing, sorted(missing)


@settings(max_examples=150)
@given(st.randoms(use_true_random=False))
def test_replay_equals_the_replay_by_hand_on_worlds_that_hypothesis_makes(rng: Random) -> None:
    found, _ = differences(world_of(rng, bars_max=24))
    assert not found, "\n".join(found)
