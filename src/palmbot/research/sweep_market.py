"""A series as the sweep reads it: what every combination of parameters shares, worked out once.

A *gauge* is a price at which a position could be closed, times the position's side: the bid of a long, minus the ask of
a short. Higher is better for either, so one code serves both sides: a stop is touched from above, a target from below,
and of a bar's two extremes the adverse one is the lowest gauge. The first axis of such an array is the side: 0
short, 1 long.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from palmbot.core import fills
from palmbot.core import step as core
from palmbot.core.compiled import compiled, inlined
from palmbot.core.types import BarArrays, Instrument, Int64Array, RollArrays
from palmbot.units import DAY_MS, RATE_ONE_E8

BLOCK = 64  # bars whose extremes are known together
TICK_MS = 15_000
LAST_TICK_MS = 45_000
FAR = 1 << 62  # beyond every price and time


class Due(IntEnum):
    """What time brings, in its order at equal times (PARITY 20)."""

    SWAP = 0
    ROLL = 1
    DAY = 2


class Tick(IntEnum):
    """Rows of gauges, in the order in which a bar's ticks come after its open (PARITY 14)."""

    ADVERSE = 0
    FAVOURABLE = 1
    CLOSED = 2


class Fact(IntEnum):
    """Columns of facts: all of a bar that a trade asks for where it begins or ends, in one line of the cache."""

    OPEN_PX = 0
    CLOSE_PX = 1
    TS_MS = 2
    END_MS = 3
    SPREAD_PX = 4
    SLIPPAGE_PX = 5
    RATE_E8 = 6
    PAST = 7  # how many events are due up to its first tick


class Event(IntEnum):
    """Rows of events."""

    MS = 0
    DUE = 1
    GAP_PX = 2  # of a roll
    BAR = 3  # of the last tick before
    BID_SHORT_PX = 4  # at that tick, on the path of a short
    BID_LONG_PX = 5
    CHARGES = 6  # how many swaps and rolls there are up to and with this one


_OPEN_PX, _CLOSE_PX, _TS_MS, _END_MS, _SPREAD_PX, _SLIPPAGE_PX, _RATE_E8, _PAST = (int(fact) for fact in Fact)
_ADVERSE, _FAVOURABLE, _CLOSED = (int(tick) for tick in Tick)
_MS, _CHARGES = int(Event.MS), int(Event.CHARGES)


class Market(NamedTuple):
    """Everything of a series that no parameter changes; few arrays, since they are passed about."""

    instrument: Instrument
    largest_cu: int  # the largest volume that the instrument allows
    has_rates: int  # 1 where quote-to-deposit rates are given and may vary
    facts: Int64Array  # (n, 8) by Fact
    gauges: Int64Array  # (2, 3, n) by Tick, filled up to whole blocks with what nothing touches
    blocks: Int64Array  # (2, 3, blocks): of each block the lowest adverse and the highest of the other gauges
    events: Int64Array  # (7, events): what time brings to an open position, in order; by Event


def market_of(instrument: Instrument, bars: BarArrays, rolls: RollArrays) -> Market:
    """Return what the sweep reads of ``bars`` (at least one)."""
    count = bars.ts_ms.shape[0]
    blocks = -(-count // BLOCK)
    # one piece of memory: where pages may be huge, they are
    room = np.empty(count * len(Fact) + 6 * blocks * (BLOCK + 1), np.int64)
    facts, gauges, extremes = np.split(room, np.cumsum((count * len(Fact), 6 * blocks * BLOCK)))
    facts, gauges, extremes = facts.reshape(count, -1), gauges.reshape(2, 3, -1), extremes.reshape(2, 3, -1)
    events = _events_of(instrument, bars, rolls)
    _write_facts(instrument, bars, events, facts)
    _write_gauges(bars, facts, gauges, extremes)
    largest_cu = instrument.volume_max_cu // instrument.volume_step_cu * instrument.volume_step_cu
    return Market(instrument, largest_cu, int(bars.rate_e8.shape[0] > 0), facts, gauges, extremes, events)


@compiled
def _write_facts(instrument: Instrument, bars: BarArrays, events: Int64Array, facts: Int64Array) -> None:
    """Fill ``facts``."""
    past, due_ms = 0, np.append(events[_MS], FAR)
    has_rates = bars.rate_e8.shape[0] > 0
    for each in range(facts.shape[0]):
        bar = np.uint64(each)  # unsigned: numba need not look for a negative index
        ts_ms, open_px = bars.ts_ms[bar], bars.open_px[bar]
        while due_ms[past] <= ts_ms:
            past += 1
        facts[bar, _OPEN_PX], facts[bar, _CLOSE_PX] = open_px, bars.close_px[bar]
        facts[bar, _TS_MS], facts[bar, _END_MS] = ts_ms, bars.end_ms[bar]
        facts[bar, _SPREAD_PX] = fills.spread_px(instrument, open_px)
        facts[bar, _SLIPPAGE_PX] = fills.slippage_px(instrument, open_px)
        facts[bar, _RATE_E8] = bars.rate_e8[bar] if has_rates else RATE_ONE_E8
        facts[bar, _PAST] = past


@compiled
def _write_gauges(bars: BarArrays, facts: Int64Array, gauges: Int64Array, blocks: Int64Array) -> None:
    """Fill ``gauges`` and ``blocks``."""
    gauges[:, :, facts.shape[0] :] = -FAR
    gauges[:, _ADVERSE, facts.shape[0] :] = FAR
    short, long = gauges[0], gauges[1]
    for each in range(facts.shape[0]):
        at = np.uint64(each)
        spread = facts[at, _SPREAD_PX]
        short[_ADVERSE, at], long[_ADVERSE, at] = -bars.high_px[at] - spread, bars.low_px[at]
        short[_FAVOURABLE, at], long[_FAVOURABLE, at] = -bars.low_px[at] - spread, bars.high_px[at]
        short[_CLOSED, at], long[_CLOSED, at] = -bars.close_px[at] - spread, bars.close_px[at]
    for side in range(2):
        for block in range(blocks.shape[2]):
            lowest, favourable, closed = FAR, -FAR, -FAR
            for each in range(block * BLOCK, block * BLOCK + BLOCK):
                at = np.uint64(each)
                lowest = min(lowest, gauges[side, _ADVERSE, at])
                favourable = max(favourable, gauges[side, _FAVOURABLE, at])
                closed = max(closed, gauges[side, _CLOSED, at])
            blocks[side, _ADVERSE, block], blocks[side, _FAVOURABLE, block] = lowest, favourable
            blocks[side, _CLOSED, block] = closed


@inlined
def charges_in(events: Int64Array, first: int, last: int) -> int:
    """Return how many of the events ``[first, last)`` are swaps and rolls."""
    if last == first:
        return 0
    return int(events[_CHARGES, last - 1] - (events[_CHARGES, first - 1] if first > 0 else 0))


@inlined
def opened_at(market: Market, side: int, bar: int) -> int:
    """Return the gauge of the open of ``bar``."""
    fact = market.facts[bar]
    return int(fact[_OPEN_PX] if side == 1 else -fact[_OPEN_PX] - fact[_SPREAD_PX])


def _events_of(instrument: Instrument, bars: BarArrays, rolls: RollArrays) -> Int64Array:
    """Return the swaps, rolls and trading days that fall between the first and the last tick of ``bars``."""
    first_ms, last_ms = int(bars.ts_ms[0]), int(bars.ts_ms[-1]) + LAST_TICK_MS
    swap_ms = np.arange(fills.first_swap_ms(instrument, first_ms), last_ms + 1, instrument.swap_period_ms)
    weekday = (swap_ms // DAY_MS + 3) % 7
    swap_ms = swap_ms[weekday < 5]  # at weekends nothing is charged
    rolled = (rolls.ts_ms > first_ms) & (rolls.ts_ms <= last_ms)
    day_ms = np.arange(core.day_start(instrument, first_ms) + DAY_MS, last_ms + 1, DAY_MS)
    times = (swap_ms, rolls.ts_ms[rolled], day_ms)
    ms = np.concatenate(times)
    kind = np.repeat(np.array([Due.SWAP, Due.ROLL, Due.DAY], np.int64), [len(each) for each in times])
    gap_px = np.zeros(ms.shape[0], np.int64)
    gap_px[kind == Due.ROLL] = rolls.gap_px[rolled]
    order = np.lexsort((kind, ms))
    ms, kind, gap_px = ms[order], kind[order], gap_px[order]
    bar = np.searchsorted(bars.ts_ms, ms, side="left") - 1
    tick = np.minimum((ms - bars.ts_ms[bar] - 1) // TICK_MS, 3)
    short = (bars.open_px, bars.high_px, bars.low_px, bars.close_px)
    long = (bars.open_px, bars.low_px, bars.high_px, bars.close_px)
    bids_px = (np.choose(tick, [price[bar] for price in path]) for path in (short, long))
    return np.array([ms, kind, gap_px, bar, *bids_px, np.cumsum(kind != Due.DAY)])
