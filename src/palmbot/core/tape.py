"""Preallocated output of a replay.

Rows beyond the capacity are counted, not written: the caller gives a longer tape.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palmbot.core.compiled import internal
from palmbot.core.types import Decision, Float64Array, Int64Array, Reason, Verdict

TRADE_COLUMNS = (
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
)
_HALT = int(Reason.HALT_DRAWDOWN)
_DAILY = int(Reason.DAILY_LOSS)


class Tape(NamedTuple):
    """Output arrays. A tape of zero bars records no curve (the optimiser needs none)."""

    trades: Int64Array  # (capacity, len(TRADE_COLUMNS))
    risks: Float64Array  # (capacity,): planned loss of each trade, minor units
    refusals: Int64Array  # (capacity, 3): bar end, side, reason
    trips: Int64Array  # (capacity, 2): time, breaker reason
    equity: Int64Array  # (n,) or (0,): equity at each bar's last mark
    equity_low: Int64Array  # (n,) or (0,): lowest equity at any mark or closing fill of each bar
    rsi: Float64Array  # (n,) or (0,): RSI after each closed bar
    held: Int64Array  # (n,) or (0,): 1 where a position was open at some time of the bar


def new_tape(capacity: int, bars: int) -> Tape:
    """Return a tape for ``capacity`` rows of each kind; ``bars`` 0 records no curve."""
    return Tape(
        np.zeros((capacity, len(TRADE_COLUMNS)), np.int64),
        np.zeros(capacity, np.float64),
        np.zeros((capacity, 3), np.int64),
        np.zeros((capacity, 2), np.int64),
        np.zeros(bars, np.int64),
        np.zeros(bars, np.int64),
        np.full(bars, np.nan),
        np.zeros(bars, np.int64),
    )


@internal
def write_trade(tape: Tape, row: int, values: tuple[int, ...], risk_minor: float) -> int:
    """Write a trade in the order of TRADE_COLUMNS; return the next row."""
    if row < tape.trades.shape[0]:
        for column, value in enumerate(values):
            tape.trades[row, column] = value
        tape.risks[row] = risk_minor
    return row + 1


@internal
def write_refusal(tape: Tape, row: int, decision: Decision, reason: int) -> int:
    """Write that the signal of ``decision`` came to nothing; return the next row."""
    if row < tape.refusals.shape[0]:
        tape.refusals[row, 0] = decision.bar_end_ms
        tape.refusals[row, 1] = decision.signal
        tape.refusals[row, 2] = reason
    return row + 1


@internal
def _write_trip(tape: Tape, row: int, now_ms: int, reason: int) -> int:
    if row < tape.trips.shape[0]:
        tape.trips[row, 0] = now_ms
        tape.trips[row, 1] = reason
    return row + 1


@internal
def write_trip(tape: Tape, row: int, verdict: Verdict, now_ms: int) -> int:
    """Write the breakers that ``verdict`` tripped; return the next row."""
    if verdict.drawdown == 1:
        row = _write_trip(tape, row, now_ms, _HALT)
    if verdict.daily == 1:
        row = _write_trip(tape, row, now_ms, _DAILY)
    return row
