"""What a replay carries from tick to tick, and how one part of it changes."""

from __future__ import annotations

from typing import NamedTuple

from palmbot.core.compiled import inlined
from palmbot.core.fills import NEVER_MS
from palmbot.core.types import Breakers, Instrument, Params, Position, RollArrays, State


class Run(NamedTuple):
    """What does not change during a replay."""

    params: Params
    instrument: Instrument


class Now(NamedTuple):
    """The tick being processed."""

    ts_ms: int
    bar_end_ms: int
    bid_px: int
    spread_px: int
    slippage_px: int
    rate_e8: int


class Row(NamedTuple):
    """One bar of the series, and the close that its volatility is measured from (0 = none yet)."""

    ts_ms: int
    end_ms: int
    open_px: int
    high_px: int
    low_px: int
    close_px: int
    past_close_px: int
    rate_e8: int


class Tally(NamedTuple):
    """The broker's balance and what the tape holds."""

    balance_minor: int
    events: int
    trades: int
    refusals: int
    trips: int
    stopped_out_ms: int


class Opening(NamedTuple):
    """How the open position began; all zero when flat."""

    risk_minor: int
    bar_index: int
    spread_px: int
    slippage_px: int
    margin_minor: int


class Book(NamedTuple):
    """Everything that events change."""

    guards: Breakers
    position: Position
    opening: Opening
    tally: Tally
    floor_minor: int  # equity at or below this may trip a loss limit or a stop-out: only then is it tested exactly


class Due(NamedTuple):
    """When time brings something next."""

    next_ms: int
    swap_ms: int
    day_ms: int
    roll_index: int


class Outcome(NamedTuple):
    """What a replay ended with. ``events`` above the tape's capacity means that rows were dropped.

    ``stopped_out_ms`` is 0, or when a broker would have closed for lack of margin: the run is void from there.
    """

    balance_minor: int
    equity_minor: int
    events: int
    trades: int
    refusals: int
    trips: int
    stopped_out_ms: int
    position: Position
    state: State


@inlined
def due_after(swap_ms: int, day_ms: int, rolls: RollArrays, roll_index: int) -> Due:
    """Return what is due next, given the next of each kind."""
    roll_ms = rolls.ts_ms[roll_index] if roll_index < rolls.ts_ms.shape[0] else NEVER_MS
    return Due(min(swap_ms, roll_ms, day_ms), swap_ms, day_ms, roll_index)


@inlined
def floor_of(params: Params, guards: Breakers, peak_minor: int, margin_minor: int) -> int:
    """Return the equity at or below which a loss limit or a stop-out has to be looked at, the peak given."""
    floor = margin_minor // 2  # a broker closes when equity falls below half of the margin
    if guards.day_tripped == 0 and params.daily_loss_bp > 0:
        floor = max(floor, guards.day_open_minor - params.daily_loss_bp * guards.day_open_minor // 10_000)
    if guards.halted == 0 and params.drawdown_bp > 0:
        floor = max(floor, peak_minor - params.drawdown_bp * peak_minor // 10_000)
    return floor


@inlined
def unopened() -> Opening:
    """Return the opening of no position."""
    return Opening(0, 0, 0, 0, 0)


@inlined
def flat() -> Position:
    """Return no position."""
    return Position(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@inlined
def with_swap(position: Position, charge_minor: int) -> Position:
    """Return ``position`` with one more swap charge accrued."""
    return Position(
        position.side,
        position.volume_cu,
        position.entry_px,
        position.sl_px,
        position.tp_px,
        position.sl_first_px,
        position.entry_ms,
        position.bars_held,
        position.swap_minor + charge_minor,
        position.commission_minor,
    )


@inlined
def with_stop(position: Position, sl_px: int) -> Position:
    """Return ``position`` with its stop moved."""
    return Position(
        position.side,
        position.volume_cu,
        position.entry_px,
        sl_px,
        position.tp_px,
        position.sl_first_px,
        position.entry_ms,
        position.bars_held,
        position.swap_minor,
        position.commission_minor,
    )


@inlined
def with_bars(position: Position, bars_held: int) -> Position:
    """Return ``position`` as held for ``bars_held`` closed bars."""
    return Position(
        position.side,
        position.volume_cu,
        position.entry_px,
        position.sl_px,
        position.tp_px,
        position.sl_first_px,
        position.entry_ms,
        bars_held,
        position.swap_minor,
        position.commission_minor,
    )
