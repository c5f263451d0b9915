"""The compiled replay against the replay by hand, on thousands of generated worlds, with ``==``."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from palmbot.core.types import Reason
from tests.oracle.comparison import differences, seeded
from tests.oracle.worlds import world_of

WORLDS = 5_000
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


def test_replay_equals_the_replay_by_hand_and_the_worlds_show_everything() -> None:
    seen: Counter[str] = Counter()
    for seed, world in seeded(0, WORLDS):
        found, oracle = differences(world)
        assert not found, f"world {seed}\n" + "\n".join(found)
        seen.update(oracle.sights)
        for kind, values in oracle.events:
            if kind == "TRADE":
                seen["long" if values[2] > 0 else "short"] += 1
            else:
                seen[f"{kind.lower()} {Reason(values[-1]).name}"] += 1
        params, instrument = world.run
        seen[f"digits {5 - len(str(instrument.step_px)) + 1}"] += 1
        seen["points" if instrument.spread_kind == 0 else "percent"] += 1
        seen["fade" if params.profile == 0 else "trend"] += 1
        seen["stopped out"] += oracle.stopped_out_ms > 0
        seen["open at the end"] += oracle.holding is not None
    missing = sorted(sight for sight in SIGHTS if seen[sight] == 0)
    assert not missing, f"no world shows {missing}; seen: {sorted(seen.items())}"


@settings(max_examples=150)
@given(st.randoms(use_true_random=False))
def test_replay_equals_the_replay_by_hand_on_worlds_that_hypothesis_makes(rng: Random) -> None:
    found, _ = differences(world_of(rng, bars_max=24))
    assert not found, "\n".join(found)
