"""Skipping the rounds in which nothing can happen: what makes ``replay`` fast, and nothing else.

A round is the close of bar ``index - 1`` and the four ticks of bar ``index``. A round is dull when ``step`` would only
move the indicators, no time-driven event falls into it and no tick of it touches a level or a limit. ``skim``
returns the first round that is not dull, with the indicators before it; that round is then played in full.
"""

from __future__ import annotations

from palmbot.core import breakers, signals
from palmbot.core import step as core
from palmbot.core.compiled import compiled, inlined
from palmbot.core.fills import spread_px
from palmbot.core.indicators import periods_of, update
from palmbot.core.types import BarArrays, Indicators
from palmbot.core.world import Book, Run

_LAST_TICK_MS = 45_000


@inlined
def _skim_flat(
    run: Run, book: Book, bars: BarArrays, due_ms: int, index: int, running: Indicators
) -> tuple[int, Indicators]:
    """Skip dull rounds from ``index`` on while there is no position and nothing pending."""
    params, guards = run.params, book.guards
    ts, high, low, close = bars.ts_ms, bars.high_px, bars.low_px, bars.close_px
    periods, back = periods_of(params), params.spike_bars + 1
    if book.tally.balance_minor > guards.peak_minor or (guards.halted == 1 and params.rearm_after_ms > 0):
        return index, running
    for at in range(index, ts.shape[0]):
        if due_ms <= ts[at] + _LAST_TICK_MS:
            return at, running
        before = at - 1
        if at >= back and breakers.spikes(params, close[before], close[at - back]):
            return at, running
        moved = update(running, high[before], low[before], close[before], periods)
        if moved.bars >= params.warmup_bars and signals.rsi_side(params, moved) != 0:
            return at, running
        running = moved
    return ts.shape[0], running


@inlined
def _mark_at_equity(run: Run, book: Book, equity_minor: int) -> int:
    """Return the mark at which equity is about ``equity_minor``, in px, for a rate of 1."""
    position, tally = book.position, book.tally
    wanted = equity_minor - tally.balance_minor - position.swap_minor - position.commission_minor
    scale = 10.0 ** (7 - run.instrument.money_digits)
    return position.entry_px + int(position.side * (wanted * scale / position.volume_cu))


@inlined
def _skim_held(
    run: Run, book: Book, bars: BarArrays, due_ms: int, index: int, running: Indicators
) -> tuple[int, Indicators]:
    """Skip dull rounds from ``index`` on while a position is open and nothing is pending.

    Equity is monotonic in the mark, so the loss limits and the peak become two prices, kept one step on the safe side.
    """
    params, instrument, position, guards = run.params, run.instrument, book.position, book.guards
    ts, high, low, close = bars.ts_ms, bars.high_px, bars.low_px, bars.close_px
    if bars.rate_e8.shape[0] > 0 or (guards.halted == 1 and params.rearm_after_ms > 0):
        return index, running
    side, back = position.side, params.spike_bars + 1
    periods = periods_of(params)
    slack = 2 * instrument.step_px
    stop = max(side * position.sl_px, side * _mark_at_equity(run, book, book.floor_minor) + slack)
    target = side * position.tp_px
    peak = side * _mark_at_equity(run, book, guards.peak_minor) - slack
    spread = 0 if side > 0 else spread_px(instrument, bars.open_px[index - 1])
    for at in range(index, ts.shape[0]):
        if due_ms <= ts[at] + _LAST_TICK_MS:
            return at, running
        before = at - 1
        if side * (close[before] + spread) >= peak:
            return at, running
        if at >= back and breakers.spikes(params, close[before], close[at - back]):
            return at, running
        moved = update(running, high[before], low[before], close[before], periods)
        if core.acts(params, instrument, moved, position, (close[before], spread), at - book.opening.bar_index):
            return at, running
        if side < 0:
            spread = spread_px(instrument, bars.open_px[at])
        adverse, other = (low[at], high[at]) if side > 0 else (high[at] + spread, low[at] + spread)
        if side * adverse <= stop or side * other >= target:
            return at, running
        running = moved
    return ts.shape[0], running


@compiled
def skim(run: Run, book: Book, bars: BarArrays, due_ms: int, index: int, running: Indicators) -> tuple[int, Indicators]:
    """Return the first round from ``index`` on that is not dull, and the indicators before it.

    Args:
        run: parameters and instrument.
        book: as after the round before ``index``, with nothing pending.
        bars: the series.
        due_ms: when time brings something next.
        index: round to begin with, at least 1.
        running: indicators before the close of bar ``index - 1``.
    """
    if book.position.side == 0:
        return _skim_flat(run, book, bars, due_ms, index, running)
    return _skim_held(run, book, bars, due_ms, index, running)
