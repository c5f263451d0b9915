"""Preallocated output of a replay.

Events beyond the capacity are counted, not written: the caller gives a longer tape.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from palmbot.core.compiled import inlined
from palmbot.core.types import Float64Array, Int64Array, Reason, Verdict


class Entry(IntEnum):
    """Kind of an event on the tape, in its first column."""

    TRADE = 1
    REFUSAL = 2
    TRIP = 3


TRADE_COLUMNS = (
    "kind",
    "entry_ms",
    "exit_ms",
    "side",
    "volume_cu",
    "entry_px",
    "exit_px",
    "reason",
    "pnl_minor",
    "gross_minor",
    "swap_minor",
    "commission_minor",
    "fee_minor",
    "spread_minor",
    "slippage_minor",
    "risk_minor",
    "sl_px",
    "tp_px",
)
REFUSAL_COLUMNS = ("kind", "bar_end_ms", "side", "reason")
TRIP_COLUMNS = ("kind", "ts_ms", "reason")

_TRADE = int(Entry.TRADE)
_REFUSAL = int(Entry.REFUSAL)
_TRIP = int(Entry.TRIP)
_HALT = int(Reason.HALT_DRAWDOWN)
_DAILY = int(Reason.DAILY_LOSS)


class Tape(NamedTuple):
    """Output arrays. A tape of zero bars records no curve (the optimiser needs none)."""

    events: Int64Array  # (capacity, len(TRADE_COLUMNS)): rows of *_COLUMNS, in order of time
    equity: Int64Array  # (n,) or (0,): equity at each bar's last mark
    equity_low: Int64Array  # (n,) or (0,): lowest equity at any mark or closing fill of each bar
    rsi: Float64Array  # (n,) or (0,): RSI after each closed bar
    held: Int64Array  # (n,) or (0,): 1 where a position was open at some time of the bar


def new_tape(capacity: int, bars: int) -> Tape:
    """Return a tape for ``capacity`` events; ``bars`` 0 records no curve."""
    return Tape(
        np.zeros((capacity, len(TRADE_COLUMNS)), np.int64),
        np.zeros(bars, np.int64),
        np.zeros(bars, np.int64),
        np.full(bars, np.nan),
        np.zeros(bars, np.int64),
    )


@inlined
def write_trade(events: Int64Array, row: int, values: tuple[int, ...]) -> int:
    """Write a trade: ``values`` in the order of TRADE_COLUMNS after the kind; return the next row."""
    if row < events.shape[0]:
        events[row, 0] = _TRADE
        for column, value in enumerate(values):
            events[row, column + 1] = value
    return row + 1


@inlined
def write_refusal(events: Int64Array, row: int, values: tuple[int, int, int]) -> int:
    """Write that a signal came to nothing: ``values`` in the order of REFUSAL_COLUMNS; return the next row."""
    if row < events.shape[0]:
        events[row, 0] = _REFUSAL
        events[row, 1], events[row, 2], events[row, 3] = values
    return row + 1


@inlined
def write_trips(events: Int64Array, row: int, verdict: Verdict, now_ms: int) -> int:
    """Write the breakers that ``verdict`` tripped; return the next row."""
    for reason, tripped in ((_HALT, verdict.drawdown), (_DAILY, verdict.daily)):
        if tripped == 1:
            if row < events.shape[0]:
                events[row, 0] = _TRIP
                events[row, 1] = now_ms
                events[row, 2] = reason
            row += 1
    return row
