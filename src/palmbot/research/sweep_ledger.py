"""What a combination has come to while it is swept, and what the sweep says of it in the end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palmbot.core import breakers
from palmbot.core.compiled import inlined
from palmbot.core.types import Breakers

Rows = NDArray[np.void]

RESULT = np.dtype(
    [
        ("trades", np.int64),  # closed
        ("wins", np.int64),  # net > 0
        ("losses", np.int64),  # net < 0
        ("profit_minor", np.int64),  # sum of the winning results
        ("loss_minor", np.int64),  # sum of the losing results, >= 0
        ("balance_minor", np.int64),
        ("equity_minor", np.int64),  # a position still open is marked at the last close
        ("max_drawdown_pct", np.float64),  # as ``statistics.max_drawdown_pct`` has it
        ("refusals", np.int64),
        ("trips", np.int64),
        ("stopped_out_ms", np.int64),  # 0, or when a broker would have closed for lack of margin: void from there
        ("played", np.int64),  # trades that had to be played tick by tick
        ("replayed", np.int64),  # 1: by ``core.replay``, as a whole
    ]
)
_CARRIED = ("at", "peak_minor", "low_minor", "guarded_peak_minor", "day_open_minor", "day_start_ms", "streak")
LEDGER = np.dtype([*RESULT.descr, *((name, np.int64) for name in _CARRIED)])


class Score(NamedTuple):
    """The closed trades."""

    trades: int
    wins: int
    losses: int
    profit_minor: int


class Marks(NamedTuple):
    """What equity has been: its highest close, its lowest mark since, and the deepest fall before that close.

    The breaker's own peak may be set back, this one is not.
    """

    peak_minor: int
    low_minor: int
    drawdown_pct: float


class Notes(NamedTuple):
    """What else a result says."""

    refusals: int
    trips: int
    stopped_out_ms: int
    played: int


class Ledger(NamedTuple):
    """One combination between two trades: it is flat, and the close of bar ``at`` is its next to decide by."""

    at: int
    balance_minor: int
    equity_minor: int
    score: Score
    marks: Marks
    notes: Notes
    guards: Breakers


@inlined
def read(rows: Rows, index: int) -> Ledger:
    """Return the ledger in row ``index``."""
    row = rows[index]
    day, peak = (row["day_open_minor"], row["day_start_ms"]), row["guarded_peak_minor"]
    return Ledger(
        row["at"],
        row["balance_minor"],
        row["equity_minor"],
        Score(row["trades"], row["wins"], row["losses"], row["profit_minor"]),
        Marks(row["peak_minor"], row["low_minor"], row["max_drawdown_pct"]),
        Notes(row["refusals"], row["trips"], row["stopped_out_ms"], row["played"]),
        Breakers(day[0], day[1], 0, peak, 0, 0, row["streak"], 0, 0),
    )


@inlined
def write(rows: Rows, index: int, ledger: Ledger) -> None:
    """Write ``ledger``, which nothing blocks, into row ``index``."""
    row = rows[index]
    row["at"] = ledger.at
    row["balance_minor"] = ledger.balance_minor
    row["equity_minor"] = ledger.equity_minor
    row["trades"] = ledger.score.trades
    row["wins"] = ledger.score.wins
    row["losses"] = ledger.score.losses
    row["profit_minor"] = ledger.score.profit_minor
    row["peak_minor"] = ledger.marks.peak_minor
    row["low_minor"] = ledger.marks.low_minor
    row["max_drawdown_pct"] = ledger.marks.drawdown_pct
    row["refusals"] = ledger.notes.refusals
    row["trips"] = ledger.notes.trips
    row["stopped_out_ms"] = ledger.notes.stopped_out_ms
    row["played"] = ledger.notes.played
    row["day_open_minor"] = ledger.guards.day_open_minor
    row["day_start_ms"] = ledger.guards.day_start_ms
    row["guarded_peak_minor"] = ledger.guards.peak_minor
    row["streak"] = ledger.guards.losses


def results_of(ledgers: Rows, balance_minor: int) -> Rows:
    """Return the results of ``ledgers`` at the end of the series, all begun with ``balance_minor``."""
    results = np.zeros(ledgers.shape[0], RESULT)
    for name in RESULT.names or ():
        results[name] = ledgers[name]
    results["loss_minor"] = ledgers["profit_minor"] - (ledgers["balance_minor"] - balance_minor)
    fall = (ledgers["peak_minor"] - ledgers["low_minor"]) * 100.0 / ledgers["peak_minor"]
    results["max_drawdown_pct"] = np.maximum(ledgers["max_drawdown_pct"], fall)
    return results


@inlined
def drawdown_of(peak_minor: int, low_minor: int) -> float:
    """Return how far ``low_minor`` lies below ``peak_minor``, in percent of it, >= 0."""
    return max(peak_minor - low_minor, 0) * 100.0 / peak_minor


@inlined
def sunk(marks: Marks, equity_minor: int) -> Marks:
    """Return ``marks`` after a mark."""
    return Marks(marks.peak_minor, min(marks.low_minor, equity_minor), marks.drawdown_pct)


@inlined
def raised(marks: Marks, equity_minor: int) -> Marks:
    """Return ``marks`` after a close."""
    if equity_minor <= marks.peak_minor:
        return marks
    deepest = max(marks.drawdown_pct, drawdown_of(marks.peak_minor, marks.low_minor))
    return Marks(equity_minor, equity_minor, deepest)


@inlined
def with_guards(ledger: Ledger, guards: Breakers) -> Ledger:
    """Return ``ledger`` with other breakers."""
    return Ledger(
        ledger.at, ledger.balance_minor, ledger.equity_minor, ledger.score, ledger.marks, ledger.notes, guards
    )


@inlined
def with_refusals(ledger: Ledger, refusals: int, at: int) -> Ledger:
    """Return ``ledger`` after ``refusals`` more signals that came to nothing, to go on from bar ``at``."""
    notes = ledger.notes
    after = Notes(notes.refusals + refusals, notes.trips, notes.stopped_out_ms, notes.played)
    return Ledger(at, ledger.balance_minor, ledger.equity_minor, ledger.score, ledger.marks, after, ledger.guards)


@inlined
def scored(score: Score, net_minor: int) -> Score:
    """Return ``score`` after one more closed trade."""
    is_win, is_loss = (1 if net_minor > 0 else 0), (1 if net_minor < 0 else 0)
    return Score(score.trades + 1, score.wins + is_win, score.losses + is_loss, score.profit_minor + max(net_minor, 0))


@inlined
def booked(ledger: Ledger, net_minor: int, bar: int, marks: Marks, guards: Breakers) -> Ledger:
    """Return ``ledger`` after a trade of ``net_minor`` that ended in ``bar``, and after that bar's close.

    Args:
        marks: before its end.
        guards: before that close, the trade counted.
    """
    balance = ledger.balance_minor + net_minor
    seen = raised(sunk(marks, balance), balance)
    peaked = breakers.with_peak(guards, max(guards.peak_minor, balance))
    return Ledger(bar, balance, balance, scored(ledger.score, net_minor), seen, ledger.notes, peaked)


@inlined
def still_open(ledger: Ledger, floating_minor: int, bars: int, marks: Marks) -> Ledger:
    """Return ``ledger`` at the end of the series with a position worth ``floating_minor``."""
    equity = ledger.balance_minor + floating_minor
    return Ledger(bars, ledger.balance_minor, equity, ledger.score, marks, ledger.notes, ledger.guards)
