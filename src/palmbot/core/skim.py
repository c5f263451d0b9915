"""Skipping the rounds in which nothing can happen: what makes ``replay`` fast, and nothing else.

A round is the close of bar ``index - 1`` and the four ticks of bar ``index``. A round is dull when ``step`` would only
move the indicators, no time-driven event falls into it and no tick of it touches a level or a limit. ``skim``
returns the first round that is not dull, with the indicators before it; that round is then played in full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palmbot.core import breakers, signals
from palmbot.core import step as core
from palmbot.core.compiled import inlined
from palmbot.core.fills import floating_minor, spread_px
from palmbot.core.indicators import periods_of, update
from palmbot.core.tape import write_refusal
from palmbot.core.types import BarArrays, Indicators, Int64Array, Sentiment, SentimentArrays
from palmbot.core.world import Book, Run, floor_of
from palmbot.units import RATE_ONE_E8

_LAST_TICK_MS = 45_000


class Place(NamedTuple):
    """Where skimming is: the round (at least 1), the indicators before it, and when time brings something.

    ``newest`` is the last sentiment row known at the end of the bar before, -1 = none; ``row`` the tape's next row.
    """

    at: int
    running: Indicators
    due_ms: int
    newest: int
    row: int
    peak_minor: int


@inlined
def newest_known(known_ms: Int64Array, newest: int, instant_ms: int) -> int:
    """Return the last row known at ``instant_ms``, not before ``newest``: time only goes forward."""
    while newest + 1 < known_ms.shape[0] and known_ms[newest + 1] <= instant_ms:
        newest += 1
    return newest


@inlined
def sentiment_of(rows: SentimentArrays, newest: int) -> Sentiment:
    """Return the sentiment of row ``newest``; of -1 there is none."""
    if newest < 0:
        return Sentiment(0.0, -1)
    return Sentiment(rows.score[newest], rows.known_ms[newest])


@inlined
def _skim_flat(run: Run, book: Book, bars: BarArrays, rows: SentimentArrays, events: Int64Array, place: Place) -> Place:
    """Skip dull rounds while there is no position and nothing pending; refused signals go to ``events`` in passing."""
    params, guards = run.params, book.guards
    ts, end, high, low, close = bars.ts_ms, bars.end_ms, bars.high_px, bars.low_px, bars.close_px
    periods, back = periods_of(params), params.spike_bars + 1
    running, row, newest, due_ms = place.running, place.row, place.newest, place.due_ms
    if book.tally.balance_minor > guards.peak_minor or (guards.halted == 1 and params.rearm_after_ms > 0):
        return place
    at = place.at
    while at < ts.shape[0] and due_ms > end[at - 1]:
        if at + 1 == ts.shape[0] and due_ms <= ts[at] + _LAST_TICK_MS:
            break
        before = np.uint64(at - 1)  # unsigned: numba need not look for a negative index
        if at >= back and breakers.spikes(params, close[before], close[np.uint64(at - back)]):
            break
        moved = update(running, high[before], low[before], close[before], periods)
        if moved.bars >= params.warmup_bars and signals.may_enter(params, moved):
            newest = newest_known(rows.known_ms, newest, end[before])
            side, reason = core.wanted(params, guards, moved, sentiment_of(rows, newest), end[before])
            if reason >= core.ENTRY:
                break
            if side != 0:
                row = write_refusal(events, row, (end[before], side, reason))
        running = moved
        at += 1
        if due_ms <= ts[at - 1] + _LAST_TICK_MS:  # a flat account meets it the same before, between or after the ticks
            break
    return Place(at, running, due_ms, newest, row, place.peak_minor)


@inlined
def _mark_at_equity(run: Run, book: Book, equity_minor: int) -> int:
    """Return the mark at which equity is about ``equity_minor``, in px, for a rate of 1."""
    position, tally = book.position, book.tally
    wanted = equity_minor - tally.balance_minor - position.swap_minor - position.commission_minor
    scale = 10.0 ** (7 - run.instrument.money_digits)
    return position.entry_px + int(position.side * (wanted * scale / position.volume_cu))


class Levels(NamedTuple):
    """Marks of the open position at which something may happen, on the safe side of where it does."""

    stop_px: int  # the stop, or where a loss limit may trip if that is nearer
    peak_px: int  # where equity may pass its peak


@inlined
def _levels(run: Run, book: Book, floor_minor: int, peak_minor: int) -> Levels:
    """Return the levels for a floor and a peak of equity; equity is monotonic in the mark."""
    position = book.position
    minor_px = int(10.0 ** (7 - run.instrument.money_digits) / position.volume_cu) + 1
    slack = 2 * run.instrument.step_px + minor_px  # money is rounded, the mark is not
    floor_px, peak_px = _mark_at_equity(run, book, floor_minor), _mark_at_equity(run, book, peak_minor)
    if position.side > 0:
        return Levels(max(position.sl_px, floor_px + slack), peak_px - slack)
    return Levels(min(position.sl_px, floor_px - slack), peak_px + slack)


@inlined
def _skim_held(run: Run, book: Book, bars: BarArrays, place: Place) -> Place:
    """Skip dull rounds while a position is open and nothing is pending; the peak moves in passing."""
    params, instrument, position, guards = run.params, run.instrument, book.position, book.guards
    ts, high, low, close = bars.ts_ms, bars.high_px, bars.low_px, bars.close_px
    running, peak_minor, due_ms = place.running, place.peak_minor, place.due_ms
    if params.flat_before != 0 or bars.rate_e8.shape[0] > 0 or (guards.halted == 1 and params.rearm_after_ms > 0):
        return place
    is_long, periods, back = position.side > 0, periods_of(params), params.spike_bars + 1
    levels = _levels(run, book, book.floor_minor, peak_minor)
    spread = 0 if is_long else spread_px(instrument, bars.open_px[place.at - 1])
    at = place.at
    while at < ts.shape[0] and due_ms > ts[at] + _LAST_TICK_MS:
        here, before = np.uint64(at), np.uint64(at - 1)  # unsigned: numba need not look for negative indices
        mark = close[before] + spread
        if mark >= levels.peak_px if is_long else mark <= levels.peak_px:
            floating = floating_minor(instrument, position, close[before], spread, RATE_ONE_E8)
            peak_minor = max(peak_minor, book.tally.balance_minor + floating)
            floor = floor_of(params, guards, peak_minor, book.opening.margin_minor)
            levels = _levels(run, book, floor, peak_minor)
        if at >= back and breakers.spikes(params, close[before], close[np.uint64(at - back)]):
            break
        moved = update(running, high[before], low[before], close[before], periods)
        if core.acts(params, instrument, moved, position, (close[before], spread), at - book.opening.bar_index):
            break
        if is_long:
            if low[here] <= levels.stop_px or high[here] >= position.tp_px:
                break
        else:
            spread = spread_px(instrument, bars.open_px[here])
            if high[here] + spread >= levels.stop_px or low[here] + spread <= position.tp_px:
                break
        running = moved
        at += 1
    return Place(at, running, due_ms, place.newest, place.row, peak_minor)


@inlined
def skim(run: Run, book: Book, bars: BarArrays, rows: SentimentArrays, events: Int64Array, place: Place) -> Place:
    """Return the first round from ``place`` on that is not dull.

    Args:
        run: parameters and instrument.
        book: as after the round before, with nothing pending.
        bars: the series.
        rows: sentiment.
        events: of the tape; refused signals are written.
        place: where to begin.
    """
    if book.position.side == 0:
        return _skim_flat(run, book, bars, rows, events, place)
    return _skim_held(run, book, bars, place)
