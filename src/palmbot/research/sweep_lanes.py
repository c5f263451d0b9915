"""Combinations run over a series side by side, from signal to signal: the sweep's inner loop.

Combinations of one bracket share what becomes of their trades. They are taken through the series in stretches of
``STRETCH`` bars, so that what they share stays in the cache of the processor; it is remembered by the bar of decision,
modulo ``STRETCH``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palmbot.core import sizing
from palmbot.core import step as core
from palmbot.core.compiled import inlined
from palmbot.core.types import Breakers, Float64Array, Int64Array, Params
from palmbot.core.world import floor_of
from palmbot.research import sweep_ledger as books
from palmbot.research import sweep_trades as trades
from palmbot.research.sweep_bits import EVERY, NONE, ONE, Words, count_of, from_place, lowest_of
from palmbot.research.sweep_compiled import kernel
from palmbot.research.sweep_exits import Bracket
from palmbot.research.sweep_ledger import Ledger, Marks, Notes, Rows, Score
from palmbot.research.sweep_market import Fact, Market
from palmbot.research.sweep_params import Table, params_of
from palmbot.research.sweep_trades import SLOTS, Known, Slot
from palmbot.units import DAY_MS

STRETCH = 4_096
_WITHIN = STRETCH - 1

_TAG, _EXIT, _RICH, _VOLUME, _NET, _TOP, _LOW, _SAFE = (int(slot) for slot in list(Slot)[:8])
_MARGIN = int(Slot.MARGIN)
_LOW_KNOWN = int(Known.LOW)
_CLOSE_PX, _TS_MS, _END_MS, _RATE_E8 = (int(Fact[name]) for name in ("CLOSE_PX", "TS_MS", "END_MS", "RATE_E8"))
_NEVER = 1 << 61
_SIX = np.uint64(6)


class Signals(NamedTuple):
    """Sets of bars that combinations share, each a row."""

    raw: NDArray[np.uint64]  # (sets, words): what RSI alone asks for, and exits before a pause; row 0 is empty
    permits: NDArray[np.uint64]  # (sets, words): where no veto of sentiment, pause, gap or delay forbids an entry
    atr: Float64Array  # (periods, n)
    gaps: Int64Array  # (quantiles, n), in px


class Lanes(NamedTuple):
    """The combinations in the order of their brackets; arrays of shape (lanes,) but for ``sets``."""

    params: Table
    group: Int64Array  # of one bracket
    sets: Int64Array  # (lanes, 4): rows of raw of a short and a long, rows of permits of a short and a long
    out: Int64Array  # (lanes, 2): rows of raw at which a short and a long are left; 0 = none
    atr: Int64Array  # row of atr; -1 = none
    gap: Int64Array  # row of gaps; -1 = none


class Sets(NamedTuple):
    """What one combination asks for and what it is permitted."""

    short: Words
    long: Words
    short_permit: Words
    long_permit: Words


def new_memory() -> Int64Array:
    """Return room for what is remembered of trades; one thread's at a time."""
    return np.zeros(2 * STRETCH * SLOTS, np.int64)


@inlined
def _place_of(side: int, bar: int) -> int:
    """Return where in the memory the trade decided at the close of ``bar`` is remembered."""
    return (side * STRETCH + (bar & _WITHIN)) * SLOTS


@inlined
def _next_entry(sets: Sets, bar: int, until: int) -> tuple[int, int, int]:
    """Return ``(bar, side, refusals)``: the next permitted signal in ``[bar, until)`` and how many came to nothing.

    Where there is none, the bar is ``until``, or ``bar`` if that is later. Nothing is set from the last bar on.
    """
    word, last = np.uint64(bar) >> _SIX, np.uint64(until + 63) >> _SIX  # unsigned: never counted from the end
    mask, refusals = from_place(bar), 0
    while word < last:
        longs = sets.long[word]
        shorts = sets.short[word] & ~longs
        asked = (longs | shorts) & mask
        permitted = ((longs & sets.long_permit[word]) | (shorts & sets.short_permit[word])) & mask
        if permitted != NONE:
            lowest = permitted & (~permitted + ONE)
            side = 1 if (longs & lowest) != NONE else 0
            return int(word << _SIX) + lowest_of(permitted), side, refusals + count_of(asked & (lowest - ONE))
        refusals += count_of(asked)
        mask = EVERY
        word += ONE
    return max(bar, until), 0, refusals


@kernel
def _count_asked(sets: Sets, bar: int, until: int) -> int:
    """Return how many bars of ``[bar, until)`` RSI asks for an entry in."""
    count = 0
    for word in range(bar >> 6, (until + 63) >> 6):
        asked = sets.long[word] | sets.short[word]
        if word == bar >> 6:
            asked &= from_place(bar)
        if word == until >> 6:
            asked &= ~from_place(until)
        count += count_of(asked)
    return count


@inlined
def _first_ending(facts: Int64Array, instant_ms: int, bar: int, until: int) -> int:
    """Return the first bar of ``[bar, until)`` that ends at ``instant_ms`` or later, or ``until``."""
    while bar < until:
        middle = (bar + until) // 2
        if facts[middle, _END_MS] < instant_ms:
            bar = middle + 1
        else:
            until = middle
    return bar


@kernel
def _unblocked(market: Market, params: Params, sets: Sets, ledger: Ledger) -> Ledger:
    """Return ``ledger`` at the first bar that no breaker blocks; the signals until then came to nothing."""
    guards, last, at = ledger.guards, market.facts.shape[0] - 1, ledger.at
    peak = guards.peak_minor
    until_ms = guards.cooldown_until_ms
    if guards.day_tripped == 1:
        until_ms = max(until_ms, guards.day_start_ms + DAY_MS)
    if guards.halted == 1:
        until_ms = max(until_ms, guards.halted_ms + params.rearm_after_ms)
        peak = ledger.balance_minor
    if at < last:
        if guards.halted == 1 and params.rearm_after_ms <= 0:
            at = last
        else:
            at = _first_ending(market.facts, until_ms, at, last)
        ledger = books.with_refusals(ledger, _count_asked(sets, ledger.at, at), at)
    free = Breakers(guards.day_open_minor, guards.day_start_ms, 0, peak, 0, 0, guards.losses, 0, 0)
    return books.with_guards(ledger, free)


class Coast(NamedTuple):
    """A combination on its way from trade to trade in which nothing happens: what they change of its ledger.

    ``found`` is the signal at which it stopped, as ``_next_entry`` gives it, and ``day`` = (opening balance, start in
    ms) of the last day that was opened.
    """

    at: int
    balance_minor: int
    low_minor: int
    score: Score
    refusals: int
    streak: int
    day: tuple[int, int]
    found: tuple[int, int, int]


@inlined
def _volume_of(market: Market, params: Params, record: Int64Array, bar: int, equity_minor: int) -> int:
    """Return the volume of the trade decided at the close of ``bar``; 0 when it is refused."""
    if record[_EXIT] < 0:
        return 0
    if equity_minor >= record[_RICH]:
        return market.largest_cu
    loss, fact = trades.loss_of(market, record, bar), market.facts[bar]
    return sizing.volume_cu(params, market.instrument, equity_minor, loss, fact[_CLOSE_PX], fact[_RATE_E8])[0]


@inlined
def _recalled(
    market: Market, bracket: Bracket, memory: tuple[Int64Array, int], position: tuple[int, int], balance_minor: int
) -> Int64Array:
    """Return the record of the trade at ``position`` = (side, bar of entry), with its money at the volume it gets.

    A trade that is refused has no volume.
    """
    records, mark = memory
    side, bar = position
    first = _place_of(side, bar - 1)
    record = records[first : first + SLOTS]
    if record[_TAG] != mark + bar:
        record[_TAG] = mark + bar
        trades.explore(market, bracket, record, side, bar)
    volume = _volume_of(market, bracket.params, record, bar - 1, balance_minor)
    if volume != record[_VOLUME]:
        trades.price(market, record, position, volume)
    return record


@inlined
def _coasted(
    market: Market, bracket: Bracket, sets: Sets, ledger: Ledger, until: int, memory: tuple[Int64Array, int]
) -> Coast:
    """Go on while trades surely reach neither peak, limit nor breaker."""
    params, guards = bracket.params, ledger.guards
    ceiling = min(ledger.marks.peak_minor, guards.peak_minor)
    floor = floor_of(params, guards, guards.peak_minor, 0)
    most = params.losses_max - 1 if params.losses_max > 0 else _NEVER
    at, balance, low, score = ledger.at, ledger.balance_minor, ledger.marks.low_minor, ledger.score
    refusals, streak, day = 0, guards.losses, (guards.day_open_minor, guards.day_start_ms)
    found = _next_entry(sets, at, until)
    while found[0] < until:
        bar = found[0] + 1
        record = _recalled(market, bracket, memory, (found[1], bar), balance)
        if record[_VOLUME] == 0 or record[_MARGIN] > balance:
            at, refusals = bar, refusals + found[2] + 1
        else:
            if params.daily_loss_bp > 0 and market.facts[np.uint64(bar), _TS_MS] >= day[1] + DAY_MS:
                day = (balance, core.day_start(market.instrument, market.facts[np.uint64(bar), _TS_MS]))
                today = core.on_time(guards, balance, day[1])
                floor = floor_of(params, today, guards.peak_minor, 0)
            lowest, net, known = balance + record[_LOW], record[_NET], record[_EXIT]
            after = streak + 1 if net < 0 else (0 if net > 0 else streak)
            is_safe = balance >= record[_SAFE] and lowest > floor and balance + record[_TOP] <= ceiling
            is_sure = (known & _LOW_KNOWN != 0 or lowest >= low) and after <= most
            if not (is_safe and is_sure and trades.is_plain(params, known)):
                break
            at, balance, low = known >> 4, balance + net, min(low, lowest)
            score, streak, refusals = books.scored(score, net), after, refusals + found[2]
        found = _next_entry(sets, at, until)
    return Coast(at, balance, low, score, refusals, streak, day, found)


@inlined
def _after(ledger: Ledger, coast: Coast) -> Ledger:
    """Return ``ledger`` at the signal at which ``coast`` stopped."""
    marks, notes, guards, balance = ledger.marks, ledger.notes, ledger.guards, coast.balance_minor
    seen = Marks(marks.peak_minor, coast.low_minor, marks.drawdown_pct)
    refusals = notes.refusals + coast.refusals + coast.found[2]
    noted = Notes(refusals, notes.trips, notes.stopped_out_ms, notes.played)
    free = Breakers(coast.day[0], coast.day[1], 0, guards.peak_minor, 0, 0, coast.streak, 0, 0)
    return Ledger(coast.found[0], balance, balance, coast.score, seen, noted, free)


@inlined
def _traded(market: Market, params: Params, record: Int64Array, position: tuple[int, int], ledger: Ledger) -> Ledger:
    """Return ``ledger`` after the trade of ``record``; ``position`` = (side, bar of entry)."""
    is_charged = not trades.is_plain(params, record[_EXIT])
    deal = trades.deal_of(market, record, position, ledger)
    charges = trades.charges_of(market, record, deal, ledger) if is_charged else trades.uncharged(ledger)
    bounds = trades.bounds_of(record, ledger, charges)
    is_known, marks, guarded = trades.seen_in(params, record, ledger, charges, bounds)
    if is_known:
        return trades.concluded(market, params, record, ledger, charges, (marks, guarded))
    return trades.settled(market, params, record, deal, ledger, charges)


@inlined
def _advanced(
    market: Market, bracket: Bracket, sets: Sets, ledger: Ledger, until: int, memory: tuple[Int64Array, int]
) -> Ledger:
    """Return ``ledger`` after all that it decides before bar ``until``; ``memory`` comes with the group's mark."""
    while ledger.at < until:
        coast = _coasted(market, bracket, sets, ledger, until, memory)
        ledger, (bar, side, _) = _after(ledger, coast), coast.found
        if bar < until:
            first = _place_of(side, bar)
            record = memory[0][first : first + SLOTS]
            ledger = _traded(market, bracket.params, record, (side, bar + 1), ledger)
            guards = ledger.guards
            if guards.cooldown_until_ms > 0 or guards.halted == 1 or guards.day_tripped == 1:
                ledger = _unblocked(market, bracket.params, sets, ledger)
    return ledger


@kernel
def _sets_of(signals: Signals, lanes: Lanes, lane: int) -> Sets:
    raw, permits = signals.raw, signals.permits
    short, long, short_permit, long_permit = lanes.sets[lane]
    return Sets(raw[short], raw[long], permits[short_permit], permits[long_permit])


@kernel
def _bracket_of(signals: Signals, lanes: Lanes, lane: int, params: Params) -> Bracket:
    atr = signals.atr[lanes.atr[lane]] if lanes.atr[lane] >= 0 else signals.atr[0, :0]
    gaps = signals.gaps[lanes.gap[lane]] if lanes.gap[lane] >= 0 else signals.gaps[0, :0]
    words = signals.raw.shape[1] if max(lanes.out[lane, 0], lanes.out[lane, 1]) > 0 else 0
    return Bracket(
        params, atr, gaps, (signals.raw[lanes.out[lane, 0], :words], signals.raw[lanes.out[lane, 1], :words])
    )


@kernel
def run(market: Market, signals: Signals, lanes: Lanes, rows: Rows, memory: Int64Array, span: tuple[int, int]) -> None:
    """Take the lanes of ``span`` = [first, last) through the whole series.

    Args:
        rows: a ledger for each lane, opened.
        memory: of this thread, as ``new_memory`` gives it.
        span: what of ``lanes`` is this thread's.
    """
    count = market.facts.shape[0]
    for begin in range(0, count - 1, STRETCH):
        until = min(begin + STRETCH, count - 1)
        for lane in range(span[0], span[1]):
            if rows[lane]["at"] < until:
                params = params_of(lanes.params, lane)
                bracket, sets = _bracket_of(signals, lanes, lane, params), _sets_of(signals, lanes, lane)
                mark = (lanes.group[lane] + 1) * count  # so that no two trades of one memory have the same tag
                books.write(rows, lane, _advanced(market, bracket, sets, books.read(rows, lane), until, (memory, mark)))
