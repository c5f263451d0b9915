"""A trade played tick by tick, through the entry points of the core: what is always right, and slow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palmbot.core import breakers, fills
from palmbot.core import step as core
from palmbot.core.compiled import inlined
from palmbot.core.types import Breakers, Params, Reason
from palmbot.core.world import floor_of
from palmbot.research.sweep_compiled import kernel
from palmbot.research.sweep_exits import Exit
from palmbot.research.sweep_ledger import Ledger, Marks, Notes, booked, drawdown_of, raised, still_open, sunk
from palmbot.research.sweep_market import BLOCK, TICK_MS, Due, Event, Fact, Market, Tick, opened_at

_SWAP = int(Due.SWAP)
_DAY = int(Due.DAY)
_MS, _DUE, _GAP_PX, _BAR, _BID_PX = (int(row) for row in list(Event)[:5])
_ADVERSE, _, _CLOSED = (int(tick) for tick in Tick)
_TS_MS, _END_MS, _SPREAD_PX = int(Fact.TS_MS), int(Fact.END_MS), int(Fact.SPREAD_PX)
_SLIPPAGE_PX, _RATE_E8, _PAST = int(Fact.SLIPPAGE_PX), int(Fact.RATE_E8), int(Fact.PAST)
_FAR = 1 << 62
_NONE = int(Reason.NONE)


class Deal(NamedTuple):
    """A position: ``side`` 0 short, 1 long; entered at the open of ``bar`` at the gauge ``entry``."""

    side: int
    bar: int
    volume_cu: int
    entry: int
    opening_minor: int  # commission, <= 0
    margin_minor: int
    balance_minor: int  # before it


class Course(NamedTuple):
    """What a trade has come to so far; ``event`` is the next that time brings."""

    event: int
    swap_minor: int
    equity_minor: int  # at the last mark, with what time brought since
    guards: Breakers
    marks: Marks
    trips: int
    stopped_out_ms: int


@inlined
def worth_minor(market: Market, deal: Deal, gauge: int, bar: int) -> int:
    """Return what the position adds to the balance at ``gauge`` in ``bar``, before what time brought."""
    px_cu = (gauge - deal.entry) * deal.volume_cu
    rate, digits = market.facts[bar, _RATE_E8], market.instrument.money_digits
    return deal.opening_minor + fills.money_minor(px_cu, rate, digits)


@kernel
def charge_of(market: Market, deal: Deal, event: int) -> int:
    """Return what ``event``, a swap or a roll, charges the position."""
    events, instrument, sign = market.events, market.instrument, 2 * deal.side - 1
    rate = market.facts[events[_BAR, event], _RATE_E8]
    if events[_DUE, event] == _SWAP:
        bid_px = events[_BID_PX + deal.side, event]
        return fills.swap_minor(instrument, sign, bid_px, deal.volume_cu, rate, events[_MS, event])
    return fills.roll_minor(instrument, sign, events[_GAP_PX, event], deal.volume_cu, rate)


@kernel
def worth_before(market: Market, deal: Deal, event: int) -> int:
    """Return what the position adds to the balance at the last mark before ``event``, before what time brought."""
    bar, bid_px = market.events[_BAR, event], market.events[_BID_PX + deal.side, event]
    sign = 2 * deal.side - 1
    return worth_minor(market, deal, sign * fills.mark_px(sign, bid_px, market.facts[bar, _SPREAD_PX]), bar)


@kernel
def _time_brings(market: Market, deal: Deal, course: Course, until_ms: int) -> Course:
    """Return ``course`` after all that time brings up to ``until_ms``."""
    events = market.events
    event, swap, equity, guards = course.event, course.swap_minor, course.equity_minor, course.guards
    while event < events.shape[1] and events[_MS, event] <= until_ms:
        if events[_DUE, event] == _DAY:
            guards = core.on_time(guards, equity, events[_MS, event])
        else:
            charge = charge_of(market, deal, event)
            swap, equity = swap + charge, equity + charge
        event += 1
    return Course(event, swap, equity, guards, course.marks, course.trips, course.stopped_out_ms)


@kernel
def _limits(params: Params, deal: Deal, course: Course, now_ms: int) -> tuple[Course, int]:
    """Test loss limits and margin at a mark; return the reason to leave at this tick, or NONE."""
    guards, verdict = core.on_mark(params, course.guards, course.equity_minor, now_ms)
    stopped = course.stopped_out_ms
    if 2 * course.equity_minor < deal.margin_minor and stopped == 0:
        stopped = now_ms
    trips = course.trips + verdict.daily + verdict.drawdown
    after = Course(course.event, course.swap_minor, course.equity_minor, guards, course.marks, trips, stopped)
    return after, verdict.reason


@inlined
def _marked(market: Market, deal: Deal, course: Course, gauge: int, bar: int) -> Course:
    """Return ``course`` after a mark at ``gauge`` in ``bar``."""
    equity = deal.balance_minor + worth_minor(market, deal, gauge, bar) + course.swap_minor
    marks = sunk(course.marks, equity)
    return Course(course.event, course.swap_minor, equity, course.guards, marks, course.trips, course.stopped_out_ms)


@kernel
def _left(
    market: Market, params: Params, deal: Deal, course: Course, ledger: Ledger, place: tuple[int, int, int]
) -> Ledger:
    """Return ``ledger`` after the position was closed; ``place`` = (gauge of the fill, bar, tick)."""
    gauge, bar, tick = place
    instrument, fact, sign = market.instrument, market.facts[bar], 2 * deal.side - 1
    rate, now_ms = fact[_RATE_E8], fact[_TS_MS] + tick * TICK_MS
    gross = fills.money_minor((gauge - deal.entry) * deal.volume_cu, rate, instrument.money_digits)
    net = gross + course.swap_minor + deal.opening_minor + fills.fee_minor(instrument, gross)
    net += fills.commission_minor(instrument, sign * gauge, deal.volume_cu, rate)
    balance = deal.balance_minor + net
    guards, verdict = core.on_close(params, course.guards, net, balance, fact[_END_MS], now_ms)
    trips = course.trips + verdict.daily + verdict.drawdown
    return _noted(booked(ledger, net, bar, course.marks, guards), trips, course.stopped_out_ms)


@inlined
def _noted(ledger: Ledger, trips: int, stopped_out_ms: int) -> Ledger:
    notes = Notes(ledger.notes.refusals, trips, stopped_out_ms, ledger.notes.played + 1)
    return Ledger(
        ledger.at, ledger.balance_minor, ledger.equity_minor, ledger.score, ledger.marks, notes, ledger.guards
    )


@kernel
def _closed(market: Market, deal: Deal, course: Course, bar: int) -> Course:
    """Return ``course`` after the close of ``bar``, which is not the last."""
    marks = raised(course.marks, course.equity_minor)
    after = _time_brings(market, deal, course, market.facts[bar, _END_MS])
    guards = breakers.with_peak(after.guards, max(after.guards.peak_minor, after.equity_minor))
    return Course(after.event, after.swap_minor, after.equity_minor, guards, marks, after.trips, after.stopped_out_ms)


@inlined
def _lowest(market: Market, side: int, bar: int, until: int) -> int:
    """Return the lowest adverse gauge of ``[bar, until)``, which lies in one block."""
    if until - bar == BLOCK:
        return int(market.blocks[side, _ADVERSE, bar // BLOCK])
    lowest, row = market.gauges[side, _ADVERSE, bar], market.gauges[side, _ADVERSE]
    for each in range(bar, until):
        lowest = min(lowest, row[np.uint64(each)])  # unsigned: never counted from the end
    return int(lowest)


@inlined
def _highest(market: Market, side: int, bar: int, until: int) -> int:
    """Return the highest closing gauge of ``[bar, until)``, which lies in one block."""
    if until - bar == BLOCK:
        return int(market.blocks[side, _CLOSED, bar // BLOCK])
    highest, row = market.gauges[side, _CLOSED, bar], market.gauges[side, _CLOSED]
    for each in range(bar, until):
        highest = max(highest, row[np.uint64(each)])
    return int(highest)


@kernel
def _walked(market: Market, deal: Deal, course: Course, span: tuple[int, int]) -> Marks:
    """Return the marks after the bars of ``span`` = [first, last), in which time brings nothing.

    Of closes only those above all before them can raise the peak; of marks only the lowest since then is needed.
    """
    adverse, closed = market.gauges[deal.side, _ADVERSE], market.gauges[deal.side, _CLOSED]
    marks, best, lowest = course.marks, -_FAR, _FAR
    for bar in range(span[0], span[1]):
        lowest = min(lowest, adverse[np.uint64(bar)])
        if closed[np.uint64(bar)] > best:
            best = closed[np.uint64(bar)]
            equity = deal.balance_minor + course.swap_minor + worth_minor(market, deal, best, bar)
            if equity > marks.peak_minor:
                low = deal.balance_minor + course.swap_minor + worth_minor(market, deal, lowest, bar)
                marks, lowest = raised(sunk(marks, low), equity), _FAR
    if lowest < _FAR:
        marks = sunk(marks, deal.balance_minor + course.swap_minor + worth_minor(market, deal, lowest, span[0]))
    return marks


@kernel
def _passed(market: Market, params: Params, deal: Deal, course: Course, span: tuple[int, int]) -> tuple[bool, Course]:
    """Return whether no limit is near in the bars of ``span`` = [first, last), and if so the course after them.

    They lie in one block, all before the last of the trade, and time brings nothing in them.
    """
    side, marks, known = deal.side, course.marks, deal.balance_minor + course.swap_minor
    high = known + worth_minor(market, deal, _highest(market, side, span[0], span[1]), span[0])
    low = known + worth_minor(market, deal, _lowest(market, side, span[0], span[1]), span[0])
    guarded = max(course.guards.peak_minor, high)
    if low <= floor_of(params, course.guards, guarded, deal.margin_minor):
        return False, course
    if high <= marks.peak_minor:
        marks = sunk(marks, low)
    elif drawdown_of(marks.peak_minor, low + marks.peak_minor - high) <= raised(marks, high).drawdown_pct:
        marks = raised(marks, high)
    else:
        marks = _walked(market, deal, course, span)
    equity = known + worth_minor(market, deal, market.gauges[side, _CLOSED, span[1] - 1], span[0])
    guards = breakers.with_peak(course.guards, guarded)
    return True, Course(course.event, course.swap_minor, equity, guards, marks, course.trips, course.stopped_out_ms)


@inlined
def _clear_until(market: Market, course: Course, bar: int, last: int) -> int:
    """Return up to which bar of its block, and at most ``last``, time surely brings nothing; rates must not vary."""
    if market.has_rates == 1:
        return bar
    until = min((bar // BLOCK + 1) * BLOCK, last)
    return min(until, market.events[_BAR, course.event]) if course.event < market.events.shape[1] else until


@kernel
def _ticked(market: Market, params: Params, deal: Deal, end: Exit, course: Course, bar: int) -> tuple[Course, int, int]:
    """Play the ticks of ``bar``; return the course, and gauge and tick of the fill that ends it, or 0 and -1."""
    fact = market.facts[bar]
    for tick in range(0 if bar > deal.bar else 1, 4):
        now_ms = fact[_TS_MS] + tick * TICK_MS
        course = _time_brings(market, deal, course, now_ms)
        ends = bar == end.bar and tick == end.tick
        if ends and end.marked == 0:
            return course, end.gauge, tick
        gauge = market.gauges[deal.side, tick - 1, bar] if tick > 0 else opened_at(market, deal.side, bar)
        course = _marked(market, deal, course, gauge, bar)
        reason = _NONE
        if course.equity_minor <= floor_of(params, course.guards, course.guards.peak_minor, deal.margin_minor):
            course, reason = _limits(params, deal, course, now_ms)
        if ends or reason != _NONE:
            return course, gauge - fact[_SLIPPAGE_PX], tick
    return course, 0, -1


@kernel
def play(market: Market, params: Params, deal: Deal, end: Exit, ledger: Ledger) -> Ledger:
    """Return ``ledger`` after the trade that ends at ``end`` if no breaker ends it before.

    Bars in which nothing can happen are passed over.
    """
    notes, count, bar = ledger.notes, market.facts.shape[0], deal.bar
    equity = deal.balance_minor + worth_minor(market, deal, opened_at(market, deal.side, bar), bar)
    event = market.facts[bar, _PAST]
    course = Course(event, 0, equity, ledger.guards, ledger.marks, notes.trips, notes.stopped_out_ms)
    last = min(end.bar, count - 1)
    while bar < count:
        until = _clear_until(market, course, bar, last)
        if until > bar:
            is_passed, course = _passed(market, params, deal, course, (bar, until))
            if is_passed:
                bar = until
                continue
        course, gauge, tick = _ticked(market, params, deal, end, course, bar)
        if tick >= 0:
            return _left(market, params, deal, course, ledger, (gauge, bar, tick))
        if bar + 1 < count:
            course = _closed(market, deal, course, bar)
        bar += 1
    after = still_open(ledger, course.equity_minor - deal.balance_minor, count, course.marks)
    return _noted(after, course.trips, course.stopped_out_ms)
