"""How a trade ends when no breaker ends it: a matter of prices alone, whatever the volume and the balance.

So it is found once for a bar of entry, a side and a bracket (everything of ``Params`` that ends a trade), and every
combination that shares them looks it up. Where stop and target stand still, whole blocks of bars are passed over by
their extremes; where the stop moves, the bars are walked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palmbot.core import sizing
from palmbot.core.compiled import inlined
from palmbot.core.types import Float64Array, Int64Array, Params, StopKind
from palmbot.research.sweep_bits import Words, first_in
from palmbot.research.sweep_compiled import kernel
from palmbot.research.sweep_market import BLOCK, Fact, Market, Tick, opened_at

_ATR = int(StopKind.ATR)
_ADVERSE, _FAVOURABLE, _CLOSED = (int(tick) for tick in Tick)
_CLOSE_PX, _SLIPPAGE_PX = int(Fact.CLOSE_PX), int(Fact.SLIPPAGE_PX)
_LAST_TICK = 3


class Bracket(NamedTuple):
    """What ends the trades of a group of combinations, beside a breaker."""

    params: Params
    atr: Float64Array  # (n,) where stops are measured in ATR, else (0,)
    gap_px: Int64Array  # (n,) where volumes are sized by past gaps, else (0,)
    out: tuple[
        Words, Words
    ]  # closes at which a short and a long are to be left; no words where neither RSI nor a pause ends a trade


class Levels(NamedTuple):
    """A trade at its entry. The levels are gauges."""

    side: int  # 0 short, 1 long: the axis of the gauges
    bar: int
    stop: int
    target: int


class Exit(NamedTuple):
    """The end of a trade: tick 0..2 of ``bar``, which is the number of bars when nothing ends the trade.

    ``best`` is the highest gauge at a close before the end and ``worst`` the lowest at any mark before it; where
    ``exact`` is 0 they are bounds of these. ``marked`` is 1 when the open is a mark before the trade is left there.
    """

    bar: int
    tick: int
    marked: int
    gauge: int  # of the fill, or of the last close
    best: int
    worst: int
    exact: int


class Touch(NamedTuple):
    """The first bar that touches a level, and bounds of the closes and marks of the blocks up to it."""

    bar: int
    best: int
    worst: int


@inlined
def touched(market: Market, levels: Levels, until: int) -> Touch:
    """Return the first touch in ``[levels.bar, until)``; its bar is ``until`` where there is none."""
    side, stop, target = levels.side, levels.stop, levels.target
    adverse, favourable = market.gauges[side, _ADVERSE], market.gauges[side, _FAVOURABLE]
    lowest, highest = market.blocks[side, _ADVERSE], market.blocks[side, _FAVOURABLE]
    closed, best, worst = market.blocks[side, _CLOSED], stop, target
    block = levels.bar // BLOCK
    since = levels.bar - block * BLOCK
    while block * BLOCK < until:
        at = np.uint64(block)  # unsigned: numba need not look for a negative index
        best, worst = max(best, closed[at]), min(worst, lowest[at])
        if since > 0 or lowest[at] <= stop or highest[at] >= target:
            first, place = block * BLOCK, BLOCK
            for each in range(BLOCK):  # without a branch, so that it runs in vectors
                bar = np.uint64(first + each)
                is_touched = (adverse[bar] <= stop) | (favourable[bar] >= target)
                place = min(place, each if is_touched & (each >= since) else BLOCK)
            if place < BLOCK:
                return Touch(min(first + place, until), best, worst)
            since = 0
        block += 1
    return Touch(until, best, worst)


@inlined
def _left_at(market: Market, levels: Levels, bar: int, stop: int) -> Exit:
    """Return the end of a trade in ``bar``, which touches a level; ``stop`` is as amended at its open."""
    gauges, side = market.gauges, levels.side
    slippage = market.facts[bar, _SLIPPAGE_PX]
    opened = opened_at(market, side, bar)
    if bar > levels.bar:  # the open is a jump
        if opened <= levels.stop:
            return Exit(bar, 0, 0, opened - slippage, levels.target, opened - slippage, 0)
        if opened >= levels.target:
            return Exit(bar, 0, 0, opened, levels.target, levels.stop, 0)
        if opened <= stop:
            return Exit(bar, 0, 1, opened - slippage, levels.target, opened - slippage, 0)
    if gauges[side, _ADVERSE, bar] <= stop:
        return Exit(bar, 1, 0, stop - slippage, levels.target, stop - slippage, 0)
    return Exit(bar, 2, 0, levels.target, levels.target, levels.stop, 0)


@inlined
def _left_at_open(market: Market, levels: Levels, bar: int) -> Exit:
    """Return the end of a trade that is to be left at the open of ``bar``, if its levels did not end it there first."""
    opened = opened_at(market, levels.side, bar)
    if opened <= levels.stop or opened >= levels.target:
        return _left_at(market, levels, bar, levels.stop)
    slippage = market.facts[bar, _SLIPPAGE_PX]
    return Exit(bar, 0, 1, opened - slippage, levels.target, levels.stop, 0)


@inlined
def _due(bracket: Bracket, levels: Levels, bars: int) -> int:
    """Return the bar at whose open the trade is left if not before, or ``bars``."""
    due = bars
    if bracket.params.max_bars > 0:
        due = min(due, levels.bar + bracket.params.max_bars)
    words = bracket.out[levels.side]
    if words.shape[0] > 0:
        due = min(due, first_in(words, levels.bar, min(due, bars - 1)) + 1)
    return due


@inlined
def _trailed(market: Market, bracket: Bracket, side: int, bar: int, stop: int) -> int:
    """Return the stop after the close of ``bar``."""
    params, instrument, closed = bracket.params, market.instrument, market.gauges[side, _CLOSED, bar]
    close_px = market.facts[bar, _CLOSE_PX]
    atr = 0.0
    if params.stop_kind == _ATR:
        atr = bracket.atr[bar]
        least = atr * params.trail_atr * 1e5
    else:
        least = close_px * (params.trail_ppm * 1e-6)
    if closed - least + instrument.step_px <= stop:  # the distance is never that much less
        return stop
    distance = sizing.distance_px(
        params.stop_kind, params.trail_ppm, params.trail_atr, close_px, atr, instrument.step_px
    )
    return int(max(stop, closed - distance))


@kernel
def _walked(market: Market, bracket: Bracket, levels: Levels, due: int) -> Exit:
    """Return the end of a trade whose stop moves, ``best`` and ``worst`` exact."""
    gauges, side, bars = market.gauges, levels.side, market.facts.shape[0]
    stop, bar = levels.stop, levels.bar
    worst = gauges[side, _ADVERSE, bar]
    best, moved = worst, stop
    end = Exit(bars, _LAST_TICK, 0, gauges[side, _CLOSED, bars - 1], best, worst, 1)
    while bar < due:
        if gauges[side, _ADVERSE, bar] <= moved or gauges[side, _FAVOURABLE, bar] >= levels.target:
            end = _left_at(market, Levels(side, levels.bar, stop, levels.target), bar, moved)
            break
        worst = min(worst, gauges[side, _ADVERSE, bar])
        stop = moved
        if bar < bars - 1:
            best = max(best, gauges[side, _CLOSED, bar])
            moved = _trailed(market, bracket, side, bar, stop)
        bar += 1
    if bar == bars:
        return Exit(bars, _LAST_TICK, 0, gauges[side, _CLOSED, bars - 1], best, worst, 1)
    if bar == due:
        end = _left_at_open(market, Levels(side, levels.bar, stop, levels.target), bar)
    return _with_extremes(market, (side, levels.bar), end, best, worst)


@kernel
def _with_extremes(market: Market, position: tuple[int, int], end: Exit, best: int, worst: int) -> Exit:
    """Return ``end`` with exact extremes, given those of the bars before it; ``position`` = (side, first bar)."""
    side, bar = position[0], end.bar
    if bar == position[1]:
        worst = market.gauges[side, _ADVERSE, bar] if end.tick == 2 else end.gauge
        return Exit(bar, end.tick, end.marked, end.gauge, worst, worst, 1)
    if end.tick == 2:
        worst = min(worst, market.gauges[side, _ADVERSE, bar])
    elif end.tick == 1 or end.marked == 1:
        worst = min(worst, opened_at(market, side, bar))
    return Exit(bar, end.tick, end.marked, end.gauge, best, worst, 1)


@inlined
def end_of(market: Market, bracket: Bracket, levels: Levels) -> Exit:
    """Return how the trade ends, ``best`` and ``worst`` perhaps as bounds."""
    bars = market.facts.shape[0]
    due = _due(bracket, levels, bars)
    params = bracket.params
    if (params.trail_atr if params.stop_kind == _ATR else float(params.trail_ppm)) > 0.0:
        return _walked(market, bracket, levels, due)
    touch = touched(market, levels, due)
    bar, best, worst = touch.bar, min(touch.best, levels.target), max(touch.worst, levels.stop)
    if bar == bars:
        return Exit(bars, _LAST_TICK, 0, market.gauges[levels.side, _CLOSED, bars - 1], best, worst, 0)
    end = _left_at(market, levels, bar, levels.stop) if bar < due else _left_at_open(market, levels, bar)
    return Exit(
        bar, end.tick, end.marked, end.gauge, best, min(worst, end.worst) if end.worst == end.gauge else worst, 0
    )


@inlined
def extremes(market: Market, side: int, span: tuple[int, int], best: int, worst: int) -> tuple[int, int]:
    """Return ``(best, worst)`` after the closes and marks of ``span`` = [first, last), by blocks that lie within it."""
    adverse, closed = market.gauges[side, _ADVERSE], market.gauges[side, _CLOSED]
    bar, last = span
    while bar < last:
        block = bar // BLOCK
        if bar == block * BLOCK and bar + BLOCK <= last:
            worst = min(worst, market.blocks[side, _ADVERSE, block])
            best = max(best, market.blocks[side, _CLOSED, block])
            bar += BLOCK
        else:
            until = min((block + 1) * BLOCK, last)
            for each in range(bar, until):
                at = np.uint64(each)  # unsigned: numba need not look for a negative index
                worst = min(worst, adverse[at])
                best = max(best, closed[at])
            bar = until
    return best, worst


@inlined
def ended(market: Market, position: tuple[int, int], bar: int, end: Exit, known: tuple[int, int]) -> Exit:
    """Return ``end`` with the exact extremes from ``bar`` on, or with ``known`` = (best, worst) where these go further.

    Args:
        position: (side, bar of the entry).
    """
    side, bars = position[0], market.facts.shape[0]
    best, worst = extremes(market, side, (bar, min(end.bar, bars - 1)), known[0], known[1])
    if end.bar == bars:  # the last bar of all is marked but not closed
        worst = min(worst, market.gauges[side, _ADVERSE, bars - 1])
        return Exit(bars, end.tick, end.marked, end.gauge, best, worst, 1)
    return _with_extremes(market, position, end, best, worst)


@kernel
def made_exact(market: Market, side: int, bar: int, end: Exit) -> Exit:
    """Return ``end`` of the trade entered in ``bar`` with exact extremes."""
    worst = market.gauges[side, _ADVERSE, bar]
    return ended(market, (side, bar), bar, end, (worst, worst))
