"""The sets of bars say of each bar what the core says of it by itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.oracle.comparison import seeded
from tests.oracle.worlds import World
from tests.unit.research.sweep_series import NO_SENTIMENT, walk

from palmbot.core import breakers, indicators, signals
from palmbot.core import step as core
from palmbot.core.types import Decision, Indicators, Params, SentimentArrays
from palmbot.research import sweep_signals as signs
from palmbot.research.sweep_params import table_of
from palmbot.research.sweep_plan import Shared, plan_of


def members(words: np.ndarray[tuple[int], np.dtype[np.uint64]], count: int) -> list[bool]:
    """Return which of the first ``count`` bars a set holds."""
    return [bool(int(words[bar // 64]) >> (bar % 64) & 1) for bar in range(count)]


def by_the_core(world: World) -> Iterator[tuple[int, bool, bool, bool]]:
    """Yield what a flat account with free breakers is told at each close but the last.

    ``(side asked by RSI, whether an entry would be sent, a long and a short are to be left)``.
    """
    params, bars = world.run.params, world.bars
    running, free = Indicators(), breakers.armed(1_000, 0)
    periods, back = indicators.periods_of(params), params.spike_bars
    for bar in range(bars.ts_ms.shape[0] - 1):
        close, end_ms = int(bars.close_px[bar]), int(bars.end_ms[bar])
        running = indicators.update(running, int(bars.high_px[bar]), int(bars.low_px[bar]), close, periods)
        past = int(bars.close_px[bar - back]) if bar >= back else 0
        free = breakers.bar_closed(params, free, 1_000, close, past, end_ms)
        known = signals.sentiment_at(world.rows, end_ms)
        _, reason = core.wanted(params, free, running, known, end_ms)
        decision = Decision(1, 0, 0, 0, 0, 0, end_ms, close, 0, 0)
        sent = breakers.gate(params, free, decision, int(bars.open_px[bar + 1]), int(bars.ts_ms[bar + 1]))
        leaves = (signals.wants_exit(params, running, 1), signals.wants_exit(params, running, -1))
        yield signals.rsi_side(params, running), reason >= core.ENTRY and sent == 0, *leaves


def test_entries_and_exits_are_those_of_the_core() -> None:
    for seed, world in seeded(0, 400):
        plan = plan_of(table_of([world.run.params]))
        found, count = Shared(world.bars, world.rows).signals(plan), world.bars.ts_ms.shape[0]
        short, long, short_permit, long_permit = plan.lanes.sets[0]
        asked = {name: members(found.raw[row], count) for name, row in (("short", short), ("long", long))}
        permitted = {-1: members(found.permits[short_permit], count), 1: members(found.permits[long_permit], count)}
        out = [members(found.raw[row], count) for row in plan.lanes.out[0]]
        assert not any(column[-1] for column in (*asked.values(), *out)), "the last bar is never closed"
        for bar, (side, enters, leaves_long, leaves_short) in enumerate(by_the_core(world)):
            swept = 1 if asked["long"][bar] else -int(asked["short"][bar])
            assert swept == side, (seed, bar)
            assert (side != 0 and permitted[side][bar]) == enters, (seed, bar)
            assert (out[1][bar], out[0][bar]) == (leaves_long, leaves_short), (seed, bar)


def test_indicators_are_those_of_the_core() -> None:
    bars = walk(200)
    running, values, ranges = Indicators(), [], []
    for bar in range(200):
        prices = (int(bars.high_px[bar]), int(bars.low_px[bar]), int(bars.close_px[bar]))
        running = indicators.update(running, *prices, (14, 7))
        values.append(indicators.rsi(running))
        ranges.append(running.atr)
    assert signs.rsi_of_closes(bars, 14).tolist() == values
    assert signs.atr_of_bars(bars, 7).tolist() == ranges


def test_without_sentiment_nothing_that_wants_it_is_permitted() -> None:
    bars = walk(100)
    for rows in (NO_SENTIMENT, SentimentArrays(np.array([-5]), np.array([90.0]))):  # none, or from before 1970
        plan = plan_of(table_of([Params(sentiment_long=-101.0, sentiment_short=101.0, sentiment_max_age_ms=1 << 61)]))
        assert not Shared(bars, rows).signals(plan).permits.any()


@pytest.mark.parametrize("periods", [range(2, 30)])
def test_few_series_of_rsi_are_kept_and_all_are_right(periods: range) -> None:
    bars = walk(100)
    plan = plan_of(table_of([Params(rsi_period=period) for period in periods]))
    found = Shared(bars, NO_SENTIMENT).signals(plan)
    for row, (compare, period, threshold, _) in enumerate(plan.asks.tolist()):
        if compare != 0:
            values = signs.rsi_of_closes(bars, period)
            expected = values < threshold if compare == 1 else values > threshold
            assert members(found.raw[row], 99) == expected[:99].tolist()
