"""A run as its journal tells it: the same result and series as a backtest's, so that both are summarised alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palmbot.core.types import BarArrays, Int64Array, Params
from palmbot.model import Refusal, Trade
from palmbot.research.result import Costs, DataSet, RunResult


@dataclass(frozen=True, slots=True)
class Journaled:
    """What the journal holds of one run.

    Attributes:
        bars: bodies of its ``bar_closed`` records, in order.
        stopped: body of its ``run_stopped`` record; the bar that had not ended is its ``end_ms`` (0 = none).
        halts: (time in ms, reason) of every breaker that tripped.
        spread_minor: what was paid in spread, <= 0; as ``slippage_minor``.
    """

    bars: Sequence[Mapping[str, Any]]
    stopped: Mapping[str, Any]
    trades: tuple[Trade, ...]
    refusals: tuple[Refusal, ...]
    halts: tuple[tuple[int, int], ...]
    start_balance_minor: int
    spread_minor: int
    slippage_minor: int


def result_of(kept: Journaled, profile: str, params: Params) -> RunResult:
    """Return the result of the run: its curve ends with the bar that had not ended."""
    curve = [*kept.bars, *([kept.stopped] if kept.stopped["end_ms"] > 0 else [])]

    def total(name: str) -> int:
        return sum(getattr(trade, name) for trade in kept.trades)

    paid = (total("commission_minor"), total("swap_minor"), total("fee_minor"))
    return RunResult(
        profile=profile,
        params=params,
        start_balance_minor=kept.start_balance_minor,
        balance_minor=kept.stopped["balance_minor"],
        equity_end_minor=kept.stopped["equity_minor"],
        trades=kept.trades,
        refusals=kept.refusals,
        costs=Costs(kept.spread_minor, kept.slippage_minor, *paid),
        equity_ts_ms=_column(curve, "end_ms"),
        equity_minor=_column(curve, "equity_minor"),
        equity_low_minor=_column(curve, "equity_low_minor"),
        exposure=float(np.mean([bool(each["held"]) for each in curve])) if curve else 0.0,
        rsi=np.array([each.get("rsi", np.nan) for each in curve], np.float64),
        halts=kept.halts,
    )


def series_of(kept: Journaled, series: DataSet) -> DataSet:
    """Return ``series``, a generated market, with the bars that the bot saw close."""
    names = ("ts_ms", "end_ms", "open_px", "high_px", "low_px", "close_px")
    ts, end, opens, highs, lows, closes = (_column(kept.bars, name) for name in names)
    bars = BarArrays(ts, end, opens, highs, lows, closes, np.zeros(0, np.int64))
    return replace(series, bars=bars, rows_read=len(kept.bars))


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Int64Array:
    return np.array([row[name] for row in rows], np.int64)
