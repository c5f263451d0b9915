"""What each closed trade knew when it was decided, and how far the price went for and against it while it was open.

A trade is entered at the first tick after the close of the bar that decided it. RSI, sentiment and volatility are those
of that bar: nothing here is known later than the trade itself, but for its outcome.

The largest adverse and favourable excursions (MAE, MFE) follow the four ticks of a bar as the fills do, adverse extreme
first: of the bar in which a trade ended only what came before its last fill counts.
"""

from __future__ import annotations

import numpy as np

from palmbot.calendar import wall_ms
from palmbot.core.fills import spread_px
from palmbot.core.signals import sentiment_at
from palmbot.core.types import BarArrays, Float64Array, Instrument, Int64Array
from palmbot.model import Trade
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import r_multiple
from palmbot.research.sweep_ledger import Rows
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

MOMENT = np.dtype(
    [
        ("entry_ms", "i8"),
        ("exit_ms", "i8"),
        ("side", "i8"),
        ("entry_px", "i8"),
        ("exit_px", "f8"),
        ("reason", "i8"),
        ("pnl_minor", "i8"),
        ("r", "f8"),  # net result / planned risk
        ("rsi", "f8"),
        ("sentiment", "f8"),  # NaN where none was known
        ("volatility_pct", "f8"),  # mean true range of the last bars, in percent of the close
        ("hour", "i8"),  # of the entry, in the instrument's time zone, as all that follow
        ("weekday", "i8"),  # Monday = 0
        ("opened_minute", "i8"),  # of the day: when the session span of the entry opened; -1 outside every span
        ("bars_held", "i8"),  # the bar of the entry counted as 1
        ("mae_r", "f8"),  # worst floating result in R, before charges, >= 0
        ("mfe_r", "f8"),  # best floating result in R, before charges, >= 0
    ]
)
VOLATILITY_BARS = 14
_FIRST_EXTREME_MS, _SECOND_EXTREME_MS = 15_000, 30_000  # after the bar's first tick (PARITY 13)


def moments_of(result: RunResult, data: DataSet) -> Rows:
    """Return a row of ``MOMENT`` for each closed trade, in order."""
    bars, spec = data.bars, data.spec
    trades = result.trades
    rows = np.zeros(len(trades), MOMENT)
    if not trades:
        return rows
    for name in ("entry_ms", "exit_ms", "side", "entry_px", "exit_px", "pnl_minor"):
        rows[name] = [getattr(trade, name) for trade in trades]
    rows["reason"] = [trade.exit_reason for trade in trades]
    rows["r"] = [r_multiple(trade) for trade in trades]
    entered = bar_of(bars, rows["entry_ms"])
    decided = np.maximum(entered - 1, 0)
    rows["rsi"] = result.rsi[decided]
    rows["sentiment"] = [_score(data, int(end_ms)) for end_ms in bars.end_ms[decided]]
    rows["volatility_pct"] = volatility_pct(bars)[decided]
    rows["bars_held"] = bar_of(bars, rows["exit_ms"]) - entered + 1
    local_ms = wall_ms(np.ascontiguousarray(rows["entry_ms"]), spec.time_zone)
    rows["hour"] = local_ms // HOUR_MS % 24
    rows["weekday"] = (local_ms // DAY_MS + 3) % 7
    rows["opened_minute"] = [_opened_minute(int(each), data) for each in local_ms]
    spread = spreads(spec.core, bars)
    excursions = np.array([_excursions_px(trade, bars, spread) for trade in trades], np.float64)
    distance = np.array([abs(trade.entry_px - trade.sl_px) if trade.sl_px else 0 for trade in trades], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows["mae_r"], rows["mfe_r"] = excursions.T / np.where(distance > 0, distance, np.nan)
    return rows


def bar_of(bars: BarArrays, instants_ms: Int64Array) -> Int64Array:
    """Return the bar in which each instant lies: the last that began at or before it, shape (n,)."""
    return np.asarray(np.searchsorted(bars.ts_ms, instants_ms, side="right") - 1, np.int64)


def spreads(instrument: Instrument, bars: BarArrays) -> Int64Array:
    """Return the spread of each bar in px, shape (n,)."""
    return np.array([spread_px(instrument, open_px) for open_px in bars.open_px.tolist()], np.int64)


def volatility_pct(bars: BarArrays) -> Float64Array:
    """Return the mean true range of the last 14 bars in percent of the close, shape (n,); fewer bars at the start."""
    before = np.concatenate((bars.open_px[:1], bars.close_px[:-1]))
    reach = np.maximum(bars.high_px, before) - np.minimum(bars.low_px, before)
    total = np.concatenate(([0], np.cumsum(reach)))
    last = np.arange(1, len(reach) + 1)
    first = np.maximum(last - VOLATILITY_BARS, 0)
    mean: Float64Array = (total[last] - total[first]) / (last - first)
    return 100.0 * mean / bars.close_px


def _score(data: DataSet, end_ms: int) -> float:
    known = sentiment_at(data.sentiment, end_ms) if data.sentiment.known_ms.size else None
    return float("nan") if known is None or known.known_ms < 0 else float(known.score)


def _opened_minute(local_ms: int, data: DataSet) -> int:
    """Return the minute of its day at which the session span that holds ``local_ms`` opens."""
    minute = (local_ms // DAY_MS + 3) % 7 * 1_440 + local_ms % DAY_MS // MINUTE_MS
    for start, end in data.spec.session.intervals:
        if start <= minute < end:
            return start % 1_440
    return -1


def _excursions_px(trade: Trade, bars: BarArrays, spread: Int64Array) -> tuple[float, float]:
    """Return the largest adverse and favourable move from the entry, in px, both >= 0."""
    first, last = (int(each) for each in bar_of(bars, np.array([trade.entry_ms, trade.exit_ms])))
    side = trade.side
    whole = slice(first, last)
    asks = spread[whole] if side < 0 else 0
    highs, lows = bars.high_px[whole] + asks, bars.low_px[whole] + asks
    adverse, favourable = (lows, highs) if side > 0 else (highs, lows)
    marks_against = [side * (trade.entry_px - each) for each in adverse.tolist()]
    marks_for = [side * (each - trade.entry_px) for each in favourable.tolist()]
    into_last_ms = trade.exit_ms - int(bars.ts_ms[last])
    if into_last_ms > _FIRST_EXTREME_MS:  # it lived through the adverse extreme of its last bar
        ask = int(spread[last]) if side < 0 else 0
        extreme = int((bars.low_px if side > 0 else bars.high_px)[last]) + ask
        marks_against.append(side * (trade.entry_px - extreme))
    if into_last_ms > _SECOND_EXTREME_MS:
        ask = int(spread[last]) if side < 0 else 0
        extreme = int((bars.high_px if side > 0 else bars.low_px)[last]) + ask
        marks_for.append(side * (extreme - trade.entry_px))
    result = side * (trade.exit_px - trade.entry_px)
    return max(0.0, -result, *marks_against), max(0.0, result, *marks_for)
