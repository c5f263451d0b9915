"""Bot and exchange against the replay with sizing by gaps and flat before pauses, on SYNTHETIC worlds.

The two sides look ahead by a session; the exchange trades at any time, so that nothing else depends on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from random import Random

import pytest
from tests.oracle.worlds import World, world_of
from tests.parity.pair import Rig, Told, differences, told_by_backtest, told_by_bot
from tests.parity.test_parity_worlds import on_grid, series_of

from palmbot.calendar import Session
from palmbot.core.types import Pause, Reason
from palmbot.core.world import Run
from palmbot.errors import RefusedError
from palmbot.instruments import BURSA
from palmbot.research import backtest

WORLDS = 120
HOURS = (
    (Session(), 0),
    (Session(), 16),
    (BURSA, 16),
    (replace(BURSA, holidays=frozenset({date(2020, 1, 6), date(2020, 1, 25)})), 3),
    (Session("America/New_York", ((0, 4 * 1_440 + 17 * 60), (6 * 1_440 + 18 * 60, 7 * 1_440))), 1),
)


def cautious(seed: int) -> tuple[World, tuple[Session, int]]:
    """Return a seeded world whose profile uses both rules, and the hours it looks ahead by."""
    rng = Random(f"pauses:{seed}")
    world = on_grid(world_of(rng))
    params = world.run.params._replace(
        gap_quantile=rng.choice((0.0, 0.5, 0.95)),
        flat_before=rng.choice((0, *(int(pause) for pause in Pause if pause), 12)),
    )
    return world._replace(run=Run(params, world.run.instrument)), rng.choice(HOURS)


def compared(seed: int) -> tuple[list[str], Told] | None:
    """Return how the two sides differ about a world; None where it cannot be told to the bot."""
    world, hours = cautious(seed)
    series = series_of(world)
    if series is None:
        return None
    params = world.run.params
    there = replace(series, spec=replace(series.spec, session=hours[0], roll_day=hours[1]))
    try:
        result = backtest.run(there, "rsi_sentiment", params, world.balance_minor)
    except RefusedError:
        return None
    if any(min(trade.sl_px, trade.tp_px) <= 0 for trade in result.trades):
        return None
    mine = told_by_backtest(result)
    return differences(mine, told_by_bot(series, Rig(params, world.balance_minor, hours=hours))), mine


@pytest.mark.timeout(300)
def test_bot_and_exchange_equal_the_replay_with_gaps_and_pauses() -> None:
    seen: Counter[int] = Counter()
    for seed in range(WORLDS):
        outcome = compared(seed)
        if outcome is None:
            continue
        found, told = outcome
        assert found == [], f"world {seed} differs:\n" + "\n".join(found)
        seen.update(trade.exit_reason for trade in told.trades)
        seen.update(refusal.reason for refusal in told.refusals)
    assert min(seen[Reason.FLAT], seen[Reason.PAUSE_AHEAD]) > 5
