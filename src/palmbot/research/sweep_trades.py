"""One trade of one combination: its money, and whether its course touched a limit, a peak or the deepest fall.

Equity is monotonic in the gauge, so the extremes of a trade bound every equity in it. Where the bounds show that no
limit was reached, and say what the peak and the deepest fall have become, the trade is booked at once. Where they do
not, it is played tick by tick.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from palmbot.core import breakers, fills, sizing
from palmbot.core.compiled import inlined
from palmbot.core.types import Int64Array, Params, StopKind
from palmbot.core.world import floor_of
from palmbot.research.sweep_compiled import kernel
from palmbot.research.sweep_exits import Bracket, Exit, Levels, end_of, ended, extremes, made_exact
from palmbot.research.sweep_ledger import Ledger, Marks, booked, drawdown_of, raised, still_open, sunk, with_guards
from palmbot.research.sweep_market import FAR, LAST_TICK_MS, TICK_MS, Due, Event, Fact, Market, Tick, charges_in
from palmbot.research.sweep_play import Deal, charge_of, play, worth_before, worth_minor
from palmbot.units import RATE_ONE_E8


class Slot(IntEnum):
    """Columns of what is remembered of a trade: the first eight, one line of the cache, serve most look-ups.

    Money is what the trade adds to the balance before it, without what time brings during it.
    """

    TAG = 0  # which trade this is
    EXIT = 1  # 16 x the bar of its end + what of Known is so; REFUSED
    RICH = 2  # the equity from which on the volume is the largest allowed
    VOLUME = 3  # that the money belongs to; 0 = none yet
    NET = 4  # the result; of a trade that never ends, what it is worth at the last close
    TOP = 5  # neither a close before the end nor the result is worth more
    LOW = 6  # neither a mark nor the result is worth less
    SAFE = 7  # a balance of so much can open it and is never stopped out in it
    HIGH = 8  # no close before the end is worth more
    MARGIN = 9
    ENTRY = 10  # gauge
    RISK = 11  # px from the entry by which the volume is sized
    GAUGE = 12  # of the fill that ends it; so are the extremes
    BEST = 13
    WORST = 14
    TICK = 15  # 8 x how many events are due up to its end + 2 x tick + marked


class Known(IntEnum):
    """What is known of a trade, in the low bits of ``Slot.EXIT``."""

    LOW = 1  # LOW is no bound, it is reached
    HIGH = 2  # so is HIGH
    FREE = 4  # it ends, and nothing is charged before
    TODAY = 8  # no day begins before its end


SLOTS = len(Slot)
REFUSED = -1
FAR_MINOR = 1 << 60

_TAG, _EXIT, _RICH, _VOLUME, _NET, _TOP, _LOW, _SAFE = (int(slot) for slot in list(Slot)[:8])
_HIGH, _MARGIN, _ENTRY, _RISK, _GAUGE, _BEST, _WORST, _TICK = (int(slot) for slot in list(Slot)[8:])
_LOW_KNOWN, _HIGH_KNOWN, _FREE, _TODAY = (int(each) for each in Known)
_OPEN_PX, _CLOSE_PX, _TS_MS, _END_MS, _SPREAD_PX, _SLIPPAGE_PX, _RATE_E8, _PAST = (int(fact) for fact in Fact)
_MS, _DUE, _BAR = int(Event.MS), int(Event.DUE), int(Event.BAR)
_ADVERSE, _CLOSED = int(Tick.ADVERSE), int(Tick.CLOSED)
_ATR = int(StopKind.ATR)
_DAY = int(Due.DAY)
_ROUNDING = 1.0 + 1e-9


class Bounds(NamedTuple):
    """What equity has been in a trade, or bounds of it."""

    high_minor: int  # at a close
    guarded_minor: int  # at a close, as the breakers see it: after what falls due with it
    low_minor: int  # at a mark, or the result
    is_high: bool  # both highest are exact
    is_low: bool


class Charges(NamedTuple):
    """What time brings during a trade: its charges, their sum at its lowest and highest, and the days then begun."""

    total_minor: int
    lowest_minor: int
    highest_minor: int
    day_open_minor: int
    day_start_ms: int
    day_most_minor: int  # the highest opening of a day that the trade has seen


@inlined
def loss_of(market: Market, record: Int64Array, bar: int) -> float:
    """Return what a volume step of the trade decided at the close of ``bar`` is taken to lose."""
    fact = market.facts[bar]
    return sizing.loss_of_step(market.instrument, record[_RISK], fact[_SLIPPAGE_PX], fact[_CLOSE_PX], fact[_RATE_E8])


@inlined
def _rich_minor(market: Market, params: Params, record: Int64Array, bar: int) -> int:
    """Return an equity from which on the volume is surely the largest the instrument allows."""
    instrument, rate = market.instrument, market.facts[bar, _RATE_E8]
    steps = instrument.volume_max_cu // instrument.volume_step_cu
    if min(params.risk_fraction, params.exposure_max, params.margin_share) <= 0.0 or rate <= 0:
        return FAR_MINOR
    if steps * instrument.volume_step_cu < max(instrument.volume_min_cu, 1):
        return FAR_MINOR
    scale = 10.0 ** (instrument.money_digits - 7)
    notional = market.facts[bar, _CLOSE_PX] * instrument.volume_step_cu * (rate / 1e8) * scale
    equity = loss_of(market, record, bar) / params.risk_fraction
    equity = max(equity, notional / params.exposure_max, notional / (params.margin_share * instrument.leverage))
    equity *= steps * _ROUNDING
    return int(equity) + 1 if equity < FAR_MINOR else FAR_MINOR


@inlined
def explore(market: Market, bracket: Bracket, record: Int64Array, side: int, bar: int) -> None:
    """Find out what becomes of a trade entered at the open of ``bar`` and remember it; ``side`` is 0 or 1."""
    instrument, params, decided, opened = market.instrument, bracket.params, market.facts[bar - 1], market.facts[bar]
    close_px, atr = decided[_CLOSE_PX], 0.0
    if params.stop_kind == _ATR:
        atr = bracket.atr[bar - 1]
    sl_px = sizing.distance_px(params.stop_kind, params.sl_ppm, params.sl_atr, close_px, atr, instrument.step_px)
    tp_px = sizing.distance_px(params.stop_kind, params.tp_ppm, params.tp_atr, close_px, atr, instrument.step_px)
    record[_VOLUME] = 0
    record[_EXIT] = REFUSED
    if sizing.too_close(instrument, sl_px, tp_px, decided[_SPREAD_PX], decided[_SLIPPAGE_PX]) == 0:
        sign = 2 * side - 1
        entry = sign * fills.market_px(sign, opened[_OPEN_PX], opened[_SPREAD_PX], opened[_SLIPPAGE_PX])
        levels = Levels(side, bar, entry - sl_px, entry + tp_px)
        record[_ENTRY] = entry
        record[_RISK] = max(sl_px, bracket.gap_px[bar - 1]) if bracket.gap_px.shape[0] > 0 else sl_px
        _remember(market, record, end_of(market, bracket, levels), bar)
        record[_RICH] = _rich_minor(market, params, record, bar - 1)


@inlined
def _remember(market: Market, record: Int64Array, end: Exit, bar: int) -> None:
    events, past, ends = market.events, market.events.shape[1], end.bar < market.facts.shape[0]
    if ends:
        fact = market.facts[end.bar]
        past = fact[_PAST]
        while past < events.shape[1] and events[_MS, past] <= fact[_TS_MS] + end.tick * TICK_MS:
            past += 1
    since = market.facts[bar, _PAST]
    known = _TODAY if past - since == charges_in(events, since, past) else 0
    if ends and charges_in(events, since, past) == 0:
        known |= _FREE
    if end.exact == 1:
        known |= _LOW_KNOWN | _HIGH_KNOWN
    elif end.worst == end.gauge:  # at its stop a trade is worth least
        known |= _LOW_KNOWN
    record[_EXIT] = 16 * end.bar + known
    record[_GAUGE], record[_BEST], record[_WORST] = end.gauge, end.best, end.worst
    record[_TICK] = 8 * past + 2 * end.tick + end.marked


@inlined
def end_in(record: Int64Array) -> Exit:
    """Return the end of a trade from its record."""
    tick, exact = record[_TICK], 1 if record[_EXIT] & _HIGH_KNOWN else 0
    return Exit(record[_EXIT] >> 4, tick >> 1 & 3, tick & 1, record[_GAUGE], record[_BEST], record[_WORST], exact)


@inlined
def price(market: Market, record: Int64Array, position: tuple[int, int], volume: int) -> None:
    """Remember the money of the trade at ``volume``; ``position`` = (side, bar of the entry).

    Where rates vary, no extreme bounds it.
    """
    instrument, entry = market.instrument, record[_ENTRY]
    sign, digits = 2 * position[0] - 1, instrument.money_digits
    record[_VOLUME] = volume
    margin = fills.margin_minor(instrument, sign * entry, volume, market.facts[position[1], _RATE_E8])
    record[_MARGIN] = margin
    if market.has_rates == 1:
        record[_NET], record[_TOP], record[_HIGH], record[_LOW] = 0, FAR_MINOR, FAR_MINOR, -FAR_MINOR
        record[_SAFE] = FAR_MINOR
        return
    opening = fills.commission_minor(instrument, sign * entry, volume, RATE_ONE_E8)
    gross = fills.money_minor((record[_GAUGE] - entry) * volume, RATE_ONE_E8, digits)
    net = gross + opening
    if record[_EXIT] >> 4 < market.facts.shape[0]:
        net += fills.commission_minor(instrument, sign * record[_GAUGE], volume, RATE_ONE_E8)
        net += fills.fee_minor(instrument, gross)
    high = opening + fills.money_minor((record[_BEST] - entry) * volume, RATE_ONE_E8, digits)
    low = min(opening + fills.money_minor((record[_WORST] - entry) * volume, RATE_ONE_E8, digits), net)
    record[_NET], record[_TOP], record[_HIGH], record[_LOW] = net, max(high, net), high, low
    record[_SAFE] = max(margin, margin // 2 + 1 - low)


@inlined
def is_plain(params: Params, known: int) -> bool:
    """Return whether a trade ends and time brings nothing before that matters; ``known`` as in ``Slot.EXIT``."""
    wanted = _FREE | (_TODAY if params.daily_loss_bp > 0 else 0)
    return known & wanted == wanted


@inlined
def uncharged(ledger: Ledger) -> Charges:
    """Return what time brings during a trade in which it brings nothing."""
    day_open, day_start_ms = ledger.guards.day_open_minor, ledger.guards.day_start_ms
    return Charges(0, 0, 0, day_open, day_start_ms, day_open)


@inlined
def charges_of(market: Market, record: Int64Array, deal: Deal, ledger: Ledger) -> Charges:
    """Return what time brings during the trade; its days open exactly, for the events before them are known."""
    events, guards = market.events, ledger.guards
    total = lowest = highest = 0
    day_open, day_start, most = guards.day_open_minor, guards.day_start_ms, guards.day_open_minor
    for event in range(market.facts[deal.bar, _PAST], record[_TICK] >> 3):
        if events[_DUE, event] == _DAY:
            day_open = ledger.balance_minor + worth_before(market, deal, event) + total
            day_start, most = events[_MS, event], max(most, day_open)
        else:
            total += charge_of(market, deal, event)
            lowest, highest = min(lowest, total), max(highest, total)
    return Charges(total, lowest, highest, day_open, day_start, most)


@inlined
def bounds_of(record: Int64Array, ledger: Ledger, charges: Charges) -> Bounds:
    """Return what is known of equity from the record."""
    high = ledger.balance_minor + record[_HIGH] + charges.highest_minor
    low = ledger.balance_minor + record[_LOW] + charges.lowest_minor
    is_high = is_low = True
    if charges.lowest_minor != 0 or charges.highest_minor != 0:
        is_high, is_low = False, record[_LOW] == record[_NET] and charges.lowest_minor == charges.total_minor
    return Bounds(
        high, high, low, is_high and record[_EXIT] & _HIGH_KNOWN != 0, is_low and record[_EXIT] & _LOW_KNOWN != 0
    )


@inlined
def seen_in(
    params: Params, record: Int64Array, ledger: Ledger, charges: Charges, bounds: Bounds
) -> tuple[bool, Marks, int]:
    """Return ``(is_known, marks, peak of the breaker)`` after the marks of the trade, as far as its bounds say them.

    They say nothing where a limit may have been reached, where a peak was passed by an amount that is not exact, or
    where the fall may be the deepest so far and is not exact.
    """
    guards, marks, low = ledger.guards, ledger.marks, bounds.low_minor
    guarded = max(guards.peak_minor, bounds.guarded_minor)
    strictest = breakers.new_day(guards, charges.day_most_minor, guards.day_start_ms)
    if low <= floor_of(params, strictest, guarded, record[_MARGIN]):
        return False, marks, 0
    if guarded > guards.peak_minor and not bounds.is_high:
        return False, marks, 0
    if bounds.high_minor > marks.peak_minor:
        after = raised(marks, bounds.high_minor)
        deepest = drawdown_of(marks.peak_minor, low + marks.peak_minor - after.peak_minor)
        known = max(marks.drawdown_pct, drawdown_of(marks.peak_minor, marks.low_minor))
        return bounds.is_high and deepest <= known, after, guarded
    if low < marks.low_minor and not bounds.is_low:
        return drawdown_of(marks.peak_minor, low) <= marks.drawdown_pct, marks, guarded
    return True, sunk(marks, low), guarded


@inlined
def concluded(
    market: Market, params: Params, record: Int64Array, ledger: Ledger, charges: Charges, seen: tuple[Marks, int]
) -> Ledger:
    """Return ``ledger`` after the trade; ``seen`` = (marks, peak of the breaker) after the trade's own."""
    marks, guarded = seen
    today = breakers.new_day(ledger.guards, charges.day_open_minor, charges.day_start_ms)
    today = breakers.with_peak(today, guarded)
    net, bar = record[_NET] + charges.total_minor, record[_EXIT] >> 4
    if bar == market.facts.shape[0]:
        return still_open(with_guards(ledger, today), net, bar, marks)
    closed = breakers.trade_closed(params, today, net, market.facts[bar, _END_MS])
    return booked(ledger, net, bar, marks, closed)


@inlined
def deal_of(market: Market, record: Int64Array, position: tuple[int, int], ledger: Ledger) -> Deal:
    """Return the position that the trade opens; ``position`` = (side, bar of the entry)."""
    side, bar = position
    volume, entry, rate = record[_VOLUME], record[_ENTRY], market.facts[bar, _RATE_E8]
    opening = fills.commission_minor(market.instrument, (2 * side - 1) * entry, volume, rate)
    return Deal(side, bar, volume, entry, opening, record[_MARGIN], ledger.balance_minor)


@kernel
def _between_charges(market: Market, record: Int64Array, deal: Deal, total_minor: int) -> tuple[bool, Bounds]:
    """Return ``(is_exact, bounds)`` of equity in a trade, each charge counted when it falls due; rates must not vary.

    They are exact unless time brings a charge within a bar before its last tick. ``total_minor`` is that of all.
    """
    end, events, side, bar = end_in(record), market.events, deal.side, deal.bar
    known, high, guarded, closing = deal.balance_minor, -FAR_MINOR, -FAR_MINOR, -FAR_MINOR
    low = known + record[_NET] + total_minor
    for event in range(market.facts[bar, _PAST], record[_TICK] >> 3):
        if events[_DUE, event] == _DAY:
            continue
        last, due_ms = events[_BAR, event], events[_MS, event]
        if due_ms <= market.facts[last, _TS_MS] + LAST_TICK_MS:
            return False, Bounds(0, 0, 0, is_high=False, is_low=False)
        if last >= bar:
            best, worst = extremes(market, side, (bar, last), -FAR, FAR)
            guarded = max(guarded, closing)
            if last > bar:
                before = known + worth_minor(market, deal, best, bar)
                high, guarded = max(high, before), max(guarded, before)
            closing = known + worth_minor(market, deal, market.gauges[side, _CLOSED, last], last)
            high = max(high, closing)
            worst = min(worst, market.gauges[side, _ADVERSE, last])
            low = min(low, known + worth_minor(market, deal, worst, last))
            bar = last + 1
        charge = charge_of(market, deal, event)
        known += charge
        if due_ms <= market.facts[last, _END_MS]:  # a breaker's peak is seen after it, the bar's close before
            closing += charge
    end = ended(market, (side, deal.bar), bar, end, (-FAR, FAR))
    guarded = max(guarded, closing)
    if end.best > -FAR:
        rest = known + worth_minor(market, deal, end.best, bar - 1)
        high, guarded = max(high, rest), max(guarded, rest)
    if end.worst < FAR:
        low = min(low, known + worth_minor(market, deal, end.worst, bar - 1))
    return True, Bounds(high, guarded, low, is_high=True, is_low=True)


@kernel
def settled(market: Market, params: Params, record: Int64Array, deal: Deal, ledger: Ledger, charges: Charges) -> Ledger:
    """Return ``ledger`` after a trade of which the bounds have not said enough so far."""
    if market.has_rates == 0:
        is_exact = True
        if charges.lowest_minor != 0 or charges.highest_minor != 0:
            is_exact, bounds = _between_charges(market, record, deal, charges.total_minor)
        else:
            if record[_EXIT] & _HIGH_KNOWN == 0:
                end = made_exact(market, deal.side, deal.bar, end_in(record))
                record[_BEST], record[_WORST] = end.best, end.worst
                record[_EXIT] |= _HIGH_KNOWN | _LOW_KNOWN
                price(market, record, (deal.side, deal.bar), record[_VOLUME])
            bounds = bounds_of(record, ledger, charges)
        if is_exact:
            is_known, marks, guarded = seen_in(params, record, ledger, charges, bounds)
            if is_known:
                return concluded(market, params, record, ledger, charges, (marks, guarded))
    return play(market, params, deal, end_in(record), ledger)
