"""The four entry points over arrays: a whole series in one compiled call that releases the GIL.

The order of events is PARITY rules 20-25. Every bar is four ticks: open (a jump), adverse extreme, other extreme,
close. Before a tick comes all that time brings, by timestamp: swap, roll, trading day, bar close. On a tick the
broker's protective order is first, then the mark and the breakers, then (on the open tick) the pending decision.

Most rounds change nothing but the indicators: ``skim`` jumps over them. A replay that records its curve plays every
round in full, and a test holds the two against each other on random worlds.
"""

from __future__ import annotations

import numpy as np

from palmbot.core import breakers, fills, gaps
from palmbot.core import step as core
from palmbot.core.compiled import compiled, inlined
from palmbot.core.indicators import rsi
from palmbot.core.skim import Place, newest_known, sentiment_of, skim
from palmbot.core.tape import Tape, write_refusal, write_trade, write_trips
from palmbot.core.types import (
    Account,
    Action,
    Bar,
    BarArrays,
    Breakers,
    Decision,
    Indicators,
    Instrument,
    Int64Array,
    Params,
    Position,
    Reason,
    RollArrays,
    Sentiment,
    SentimentArrays,
    State,
)
from palmbot.core.world import (
    Book,
    Due,
    Now,
    Opening,
    Outcome,
    Row,
    Run,
    Tally,
    due_after,
    flat,
    floor_of,
    unopened,
    with_bars,
    with_stop,
    with_swap,
)
from palmbot.units import DAY_MS, RATE_ONE_E8

TICK_MS = 15_000  # between the four ticks of a bar
_FAR_MINOR = 1 << 62

_NONE = int(Reason.NONE)
_TP = int(Reason.TP)
_TRAIL = int(Reason.TRAIL)
_NOT_ENOUGH_MONEY = int(Reason.NOT_ENOUGH_MONEY)
_IDLE = int(Action.NONE)
_ENTER = int(Action.ENTER)
_EXIT = int(Action.EXIT)


@inlined
def _equity(run: Run, book: Book, now: Now) -> int:
    """Return equity at the tick ``now``."""
    floating = fills.floating_minor(run.instrument, book.position, now.bid_px, now.spread_px, now.rate_e8)
    return book.tally.balance_minor + floating


@inlined
def _with_guards(run: Run, book: Book, guards: Breakers) -> Book:
    floor = floor_of(run.params, guards, guards.peak_minor, book.opening.margin_minor)
    return Book(guards, book.position, book.opening, book.tally, floor)


@inlined
def _with_position(book: Book, position: Position) -> Book:
    return Book(book.guards, position, book.opening, book.tally, book.floor_minor)


@inlined
def _with_refusal(book: Book, events: Int64Array, decision: Decision, reason: int) -> Book:
    tally = book.tally
    row = write_refusal(events, tally.events, (decision.bar_end_ms, decision.signal, reason))
    return _with_refusals(book, row)


@inlined
def _with_refusals(book: Book, row: int) -> Book:
    """Return ``book`` after refusals up to ``row`` of the tape."""
    tally = book.tally
    refusals = tally.refusals + row - tally.events
    after = Tally(tally.balance_minor, row, tally.trades, refusals, tally.trips, tally.stopped_out_ms)
    return Book(book.guards, book.position, book.opening, after, book.floor_minor)


@inlined
def _after_skim(run: Run, book: Book, place: Place) -> Book:
    book = _with_refusals(book, place.row)
    if place.peak_minor == book.guards.peak_minor:
        return book
    return _with_guards(run, book, breakers.with_peak(book.guards, place.peak_minor))


@inlined
def _time_brings(run: Run, book: Book, now: Now, due: Due, rolls: RollArrays) -> tuple[Book, Due]:
    """Do the one thing that is due next (swap < roll < day at equal times); ``now`` is the last tick before it."""
    instrument, position = run.instrument, book.position
    side, volume = position.side, position.volume_cu
    swap_ms, day_ms, index = due.swap_ms, due.day_ms, due.roll_index
    if swap_ms == due.next_ms:
        if side != 0:
            charge = fills.swap_minor(instrument, side, now.bid_px, volume, now.rate_e8, swap_ms)
            book = _with_position(book, with_swap(position, charge))
        swap_ms += instrument.swap_period_ms
    elif index < rolls.ts_ms.shape[0] and rolls.ts_ms[index] == due.next_ms:
        if side != 0:
            charge = fills.roll_minor(instrument, side, rolls.gap_px[index], volume, now.rate_e8)
            book = _with_position(book, with_swap(position, charge))
        index += 1
    else:
        book = _with_guards(run, book, core.on_time(book.guards, _equity(run, book, now), day_ms))
        day_ms += DAY_MS
    return book, due_after(swap_ms, day_ms, rolls, index)


@inlined
def _close(run: Run, book: Book, now: Now, events: Int64Array, price_px: int, reason: int) -> Book:
    """Close the position at ``price_px`` and count it."""
    instrument, position, opening, tally = run.instrument, book.position, book.opening, book.tally
    side, volume = position.side, position.volume_cu
    gross = fills.gross_minor(instrument, side, position.entry_px, price_px, volume, now.rate_e8)
    fee = fills.fee_minor(instrument, gross)
    closing = fills.commission_minor(instrument, price_px, volume, now.rate_e8)
    commission = position.commission_minor + closing
    net = gross + position.swap_minor + commission + fee
    balance = tally.balance_minor + net
    spread = opening.spread_px if side > 0 else now.spread_px
    slippage = opening.slippage_px + (0 if reason == _TP else now.slippage_px)
    row = (
        position.entry_ms,
        now.ts_ms,
        side,
        volume,
        position.entry_px,
        price_px,
        reason,
        net,
        gross,
        position.swap_minor,
        commission,
        fee,
        -fills.money_minor(spread * volume, now.rate_e8, instrument.money_digits),
        -fills.money_minor(slippage * volume, now.rate_e8, instrument.money_digits),
        opening.risk_minor,
        position.sl_first_px,
        position.tp_px,
    )
    written = write_trade(events, tally.events, row)
    guards, verdict = core.on_close(run.params, book.guards, net, balance, now.bar_end_ms, now.ts_ms)
    tripped = write_trips(events, written, verdict, now.ts_ms)
    trips = tally.trips + tripped - written
    after = Tally(balance, tripped, tally.trades + 1, tally.refusals, trips, tally.stopped_out_ms)
    return Book(guards, flat(), unopened(), after, floor_of(run.params, guards, guards.peak_minor, 0))


@inlined
def _limits(run: Run, book: Book, now: Now, events: Int64Array, equity: int) -> tuple[Book, int]:
    """Test loss limits and margin exactly at ``equity``; return the reason to flatten at this tick, or NONE."""
    tally = book.tally
    guards, verdict = core.on_mark(run.params, book.guards, equity, now.ts_ms)
    row = write_trips(events, tally.events, verdict, now.ts_ms)
    stopped = tally.stopped_out_ms
    if 2 * equity < book.opening.margin_minor and stopped == 0:
        stopped = now.ts_ms
    trips = tally.trips + row - tally.events
    after = Tally(tally.balance_minor, row, tally.trades, tally.refusals, trips, stopped)
    return _with_guards(run, Book(guards, book.position, book.opening, after, 0), guards), verdict.reason


@inlined
def _enter(run: Run, book: Book, now: Now, events: Int64Array, decision: Decision, index: int) -> Book:
    """Send the pending entry, unless a breaker, the gap or the margin forbids it."""
    instrument = run.instrument
    side, volume = decision.side, decision.volume_cu
    reason = breakers.gate(run.params, book.guards, decision, now.bid_px, now.ts_ms)
    price = fills.market_px(side, now.bid_px, now.spread_px, now.slippage_px)
    margin = fills.margin_minor(instrument, price, volume, now.rate_e8)
    if reason == _NONE and margin > book.tally.balance_minor:
        reason = _NOT_ENOUGH_MONEY
    if reason != _NONE:
        return _with_refusal(book, events, decision, reason)
    commission = fills.commission_minor(instrument, price, volume, now.rate_e8)
    sl_px, tp_px = price - side * decision.sl_px, price + side * decision.tp_px
    position = Position(side, volume, price, sl_px, tp_px, sl_px, now.ts_ms, 0, 0, commission)
    opening = Opening(decision.risk_minor, index, now.spread_px, now.slippage_px, margin)
    floor = floor_of(run.params, book.guards, book.guards.peak_minor, margin)
    return Book(book.guards, position, opening, book.tally, floor)


@inlined
def _leave_or_amend(book: Book, now: Now, decision: Decision) -> tuple[Book, int]:
    """Carry out a pending exit or amend on the first tick of a bar; return the reason to close now, or NONE."""
    if decision.action == _EXIT:
        return book, decision.reason
    side = book.position.side
    if (fills.mark_px(side, now.bid_px, now.spread_px) - decision.sl_px) * side <= 0:
        return book, _TRAIL  # the open is already through the new stop
    return _with_position(book, with_stop(book.position, decision.sl_px)), _NONE


@inlined
def _tick(
    run: Run, book: Book, now: Now, events: Int64Array, pending: Decision, place: tuple[int, int, int]
) -> tuple[Book, int]:
    """Play one tick; ``place`` = (bar index, tick 0..3, lowest equity of the bar so far, which is returned updated)."""
    index, tick, low = place
    side = book.position.side
    if side == 0:
        low = min(low, book.tally.balance_minor)
        if tick == 0 and pending.action == _ENTER:
            book = _enter(run, book, now, events, pending, index)
        return book, low
    reason, price = fills.protective_fill(book.position, now.bid_px, now.spread_px, now.slippage_px, tick == 0)
    if reason == _NONE:
        equity = _equity(run, book, now)
        low = min(low, equity)
        if equity <= book.floor_minor:
            book, reason = _limits(run, book, now, events, equity)
        if reason == _NONE and tick == 0 and pending.action != _IDLE:
            book, reason = _leave_or_amend(book, now, pending)
        price = fills.market_px(-side, now.bid_px, now.spread_px, now.slippage_px)
    if reason != _NONE:
        book = _close(run, book, now, events, price, reason)
        low = min(low, book.tally.balance_minor)
    return book, low


@inlined
def _bar_closed(
    run: Run, book: Book, now: Now, row: Row, before: tuple[Indicators, int, tuple[int, int]], sentiment: Sentiment
) -> tuple[Book, Indicators, Decision]:
    """Close the bar ``row``, whose last tick was ``now``; ``before`` = (indicators, index, what is around it)."""
    running, index, around = before
    prices = (row.open_px, row.high_px, row.low_px, row.close_px, row.past_close_px)
    bar = Bar(row.ts_ms, row.end_ms, *prices, now.spread_px, now.rate_e8, *around)
    position = with_bars(book.position, index - book.opening.bar_index + 1)
    account = Account(book.tally.balance_minor, _equity(run, book, now), position)
    state, decision = core.step(run.params, run.instrument, State(running, book.guards), bar, account, sentiment)
    return _with_guards(run, book, state.breakers), state.indicators, decision


@inlined
def _now_at(instrument: Instrument, row: Row, tick: int, side: int) -> Now:
    """Return tick 0..3 of the bar ``row``; ``side`` is the position's, which decides which extreme comes first."""
    bid_px = row.open_px
    if tick == 3:
        bid_px = row.close_px
    elif tick > 0:
        bid_px = row.high_px if (tick == 1) == (side < 0) else row.low_px
    spread = fills.spread_px(instrument, row.open_px)
    slippage = fills.slippage_px(instrument, row.open_px)
    return Now(row.ts_ms + tick * TICK_MS, row.end_ms, bid_px, spread, slippage, row.rate_e8)


@inlined
def _row(bars: BarArrays, index: int, spike_bars: int) -> Row:
    return Row(
        bars.ts_ms[index],
        bars.end_ms[index],
        bars.open_px[index],
        bars.high_px[index],
        bars.low_px[index],
        bars.close_px[index],
        bars.close_px[index - spike_bars] if index >= spike_bars else 0,
        bars.rate_e8[index] if bars.rate_e8.shape[0] > 0 else RATE_ONE_E8,
    )


@inlined
def _opening(run: Run, balance_minor: int, now_ms: int, rolls: RollArrays) -> tuple[Indicators, Book, Due]:
    """Return a fresh account at the first tick, and what time brings first."""
    running, guards = core.initial(run.instrument, balance_minor, now_ms)
    floor = floor_of(run.params, guards, guards.peak_minor, 0)
    book = Book(guards, flat(), unopened(), Tally(balance_minor, 0, 0, 0, 0, 0), floor)
    first_day_ms = guards.day_start_ms + DAY_MS
    return running, book, due_after(fills.first_swap_ms(run.instrument, now_ms), first_day_ms, rolls, 0)


@inlined
def _around(params: Params, bars: BarArrays, gap_px: Int64Array, index: int) -> tuple[int, int]:
    """Return ``gap_px`` and ``ahead`` of the ``Bar`` that is bar ``index``, where the profile asks for them."""
    return gap_px[index] if params.gap_quantile > 0.0 else 0, bars.ahead[index] if params.flat_before != 0 else 0


@inlined
def _refuse_unforeseen(params: Params, bars: BarArrays) -> None:
    if params.flat_before != 0 and bars.ahead.shape[0] != bars.ts_ms.shape[0]:
        raise ValueError("a profile that is flat before pauses needs to know them: BarArrays.ahead")


@inlined
def _record(run: Run, tape: Tape, index: int, running: Indicators, marks: tuple[int, int, int]) -> None:
    """Write the curve at the end of bar ``index``; ``marks`` = (equity, lowest equity, non-zero if it was held)."""
    equity, low, held = marks
    tape.equity[index] = equity
    tape.equity_low[index] = min(low, equity)
    tape.held[index] = 1 if held != 0 else 0
    if running.bars > run.params.rsi_period:
        tape.rsi[index - 1] = rsi(running)


@compiled
def replay(
    run: Run, balance_minor: int, bars: BarArrays, rolls: RollArrays, rows: SentimentArrays, tape: Tape
) -> Outcome:
    """Trade ``bars`` (at least one) from a fresh account of ``balance_minor``; what happens goes to ``tape``.

    The last bar is marked but not closed: no later tick ends it (PARITY 35).
    """
    count = bars.ts_ms.shape[0]
    record = tape.equity.shape[0] > 0
    _refuse_unforeseen(run.params, bars)
    gap_px = gaps.past_px(bars, run.params.gap_quantile) if run.params.gap_quantile > 0.0 else np.empty(0, np.int64)
    row = _row(bars, 0, run.params.spike_bars)
    now = _now_at(run.instrument, row, 0, 0)
    running, book, due = _opening(run, balance_minor, now.ts_ms, rolls)
    pending = Decision(_IDLE, _NONE, 0, 0, 0, 0, 0, 0, 0, 0)
    newest = -min(1, count)
    index = min(0, count)  # a plain 0 would be typed as a literal, and skim compiled twice
    while index < count:
        if index > 0 and not record:
            place = Place(index, running, due.next_ms, newest, book.tally.events, book.guards.peak_minor)
            place = skim(run, book, bars, rows, tape.events, place)
            index, running, newest = place.at, place.running, place.newest
            book = _after_skim(run, book, place)
        if index > 0:
            row = _row(bars, index - 1, run.params.spike_bars)
            now = _now_at(run.instrument, row, 3, 0)
        if index == count:
            break
        if index > 0 and not record and due.next_ms <= now.bar_end_ms:  # only time passes: no need for a full round
            book, due = _time_brings(run, book, now, due, rolls)
            continue
        coming = _row(bars, index, run.params.spike_bars)
        low, extreme_side, held = _FAR_MINOR, 0, book.position.side
        for stage in range(-1 if index > 0 else 0, 4):  # the close of the bar before, then the four ticks
            if stage == 1:
                extreme_side = book.position.side
            at = _now_at(run.instrument, coming, max(stage, 0), extreme_side)
            until_ms = now.bar_end_ms if stage < 0 else at.ts_ms
            while due.next_ms <= until_ms:
                book, due = _time_brings(run, book, now, due, rolls)
            if stage < 0:
                newest = newest_known(rows.known_ms, newest, row.end_ms)
                sentiment, around = sentiment_of(rows, newest), _around(run.params, bars, gap_px, index - 1)
                book, running, pending = _bar_closed(run, book, now, row, (running, index - 1, around), sentiment)
                if pending.action == _IDLE and pending.signal != 0:
                    book = _with_refusal(book, tape.events, pending, pending.reason)
            else:
                now = at
                book, low = _tick(run, book, now, tape.events, pending, (index, stage, low))
                held |= book.position.side
        if record:
            _record(run, tape, index, running, (_equity(run, book, now), low, held))
        index += 1
    tally = book.tally
    equity = _equity(run, book, now)
    counts = (tally.events, tally.trades, tally.refusals, tally.trips, tally.stopped_out_ms)
    return Outcome(tally.balance_minor, equity, *counts, book.position, State(running, book.guards))
