"""Bot and exchange against the replay on SYNTHETIC worlds with everything that is awkward (PARITY 65)."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.oracle.worlds import World, world_of
from tests.parity.pair import Rig, Told, always_open, differences, told_by_backtest, told_by_bot

from palmbot.calendar import bucket_end
from palmbot.core.types import CostKind, Reason
from palmbot.core.world import Run
from palmbot.errors import RefusedError
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.research import backtest
from palmbot.research.result import DataSet

WORLDS = 400
LAST_TICK_MS = 45_000
EXITS = {Reason.SL, Reason.TP, Reason.TRAIL, Reason.TIME, Reason.SIGNAL, Reason.BREAKER_DAILY, Reason.BREAKER_DRAWDOWN}
BREAKERS = {Reason.HALT_DRAWDOWN, Reason.DAILY_LOSS, Reason.LOSS_STREAK, Reason.VOLATILITY_SPIKE, Reason.OPEN_GAP}
REFUSALS = BREAKERS | {
    Reason.SENTIMENT_ABSENT,
    Reason.SENTIMENT_STALE,
    Reason.SENTIMENT_WEAK,
    Reason.STOP_TOO_CLOSE,
    Reason.TARGET_TOO_CLOSE,
    Reason.VOLUME_BELOW_MINIMUM,
    Reason.NO_CONVERSION_RATE,
    Reason.NOT_ENOUGH_MONEY,
    Reason.DECISION_EXPIRED,
}


def series_of(world: World, money: InstrumentSpec = PALM_OIL) -> DataSet | None:
    """Return ``world`` as a loaded series on the bot's own bucket grid.

    None where a bucket holds more, or less, than the four ticks of one bar.
    """
    core = world.run.instrument
    period_ms = int(np.min(np.diff(world.bars.end_ms)))
    ends = np.array([bucket_end(int(ts), period_ms, core.day_start_ms) for ts in world.bars.ts_ms], np.int64)
    if np.any(np.diff(ends) <= 0) or np.any(ends - world.bars.ts_ms <= LAST_TICK_MS):
        return None
    return DataSet(
        name="synthetic world",
        spec=always_open(core, money),
        period_ms=period_ms,
        adjustment="none",
        bars=world.bars._replace(end_ms=ends),
        rolls=world.rolls,
        sentiment=world.rows,
        rows_read=len(ends),
        rows_outside_session=0,
        notes=(),
        fingerprint="",
        synthetic=True,
    )


def on_grid(world: World) -> World:
    """Return ``world`` with its slippage in whole price steps: a broker takes no level between two of them."""
    core = world.run.instrument
    if core.slippage_kind == CostKind.PPM:
        return world
    slippage = core.slippage // core.step_px * core.step_px
    return world._replace(run=Run(world.run.params, core._replace(slippage=slippage)))


def compared(world: World, rig: Rig | None = None, money: InstrumentSpec = PALM_OIL) -> tuple[list[str], Told] | None:
    """Return how the two sides differ about ``world``; None where the world cannot be told to the bot."""
    world = on_grid(world)
    series = series_of(world, money)
    if series is None:
        return None
    params = world.run.params
    try:
        result = backtest.run(series, "rsi_sentiment", params, world.balance_minor)
    except RefusedError:  # a broker would have stopped it out: the exchange refuses such a world too
        return None
    if any(min(trade.sl_px, trade.tp_px) <= 0 for trade in result.trades):
        return None  # no broker takes a level at or below a price of zero
    mine = told_by_backtest(result)
    theirs = told_by_bot(series, rig or Rig(params, world.balance_minor))
    return differences(mine, theirs), mine


@pytest.mark.timeout(600)
def test_bot_and_exchange_equal_the_replay_on_seeded_worlds_that_hold_every_reason() -> None:
    exits: Counter[int] = Counter()
    refusals: Counter[int] = Counter()
    trips: Counter[int] = Counter()
    seen = 0
    for seed in range(WORLDS):
        outcome = compared(world_of(Random(f"parity:{seed}")))
        if outcome is None:
            continue
        found, told = outcome
        assert found == [], f"world {seed} differs:\n" + "\n".join(found)
        seen += 1
        exits.update(trade.exit_reason for trade in told.trades)
        refusals.update(refusal.reason for refusal in told.refusals)
        trips.update(reason for _, reason in told.trips)
    assert seen > WORLDS // 2
    assert set(exits) == set(EXITS)
    assert set(refusals) == set(REFUSALS)
    assert set(trips) == {Reason.HALT_DRAWDOWN, Reason.DAILY_LOSS}


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**48))
def test_bot_and_exchange_equal_the_replay_on_any_world(seed: int) -> None:
    outcome = compared(world_of(Random(seed)))
    if outcome is not None:
        assert outcome[0] == []


def test_an_exchange_with_one_step_more_slippage_is_noticed() -> None:
    noticed = 0
    for seed in range(40):
        world = world_of(Random(f"parity:{seed}"))
        core = world.run.instrument
        dearer = core._replace(
            slippage_kind=0, slippage=(core.slippage if core.slippage_kind == 0 else 0) + core.step_px
        )
        outcome = compared(world, Rig(world.run.params, world.balance_minor, exchange=dearer))
        noticed += outcome is not None and outcome[0] != []
    assert noticed > 5
