"""What each closed trade knew when it was decided, and how far the price went for and against it while it was open.

A trade is entered at the first tick after the close of the bar that decided it. RSI, sentiment and volatility are those
of that bar: nothing here is known later than the trade itself, but for its outcome.

The largest adverse and favourable excursions (MAE, MFE) follow the four ticks of a bar as the fills do, adverse extreme
first: of the bar in which a trade ended only what came before its last fill counts.
"""

from __future__ import annotations

import numpy as np

from palmbot.calendar import WEEK_MINUTES, Session, wall_ms
from palmbot.core.compiled import compiled
from palmbot.core.fills import spread_px
from palmbot.core.types import BarArrays, Float64Array, Instrument, Int64Array, SentimentArrays
from palmbot.model import Trade
from palmbot.research.known import newest
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
    entered, last = bar_of(bars, rows["entry_ms"]), bar_of(bars, rows["exit_ms"])
    decided = np.maximum(entered - 1, 0)
    rows["rsi"] = result.rsi[decided]
    rows["sentiment"] = _scores(data.sentiment, bars.end_ms[decided])
    rows["volatility_pct"] = volatility_pct(bars)[decided]
    rows["bars_held"] = last - entered + 1
    local_ms = wall_ms(np.ascontiguousarray(rows["entry_ms"]), spec.time_zone)
    rows["hour"] = local_ms // HOUR_MS % 24
    rows["weekday"] = (local_ms // DAY_MS + 3) % 7
    rows["opened_minute"] = _opened_minutes(local_ms, spec.session)
    spread = spreads(spec.core, bars)
    spans = zip(entered.tolist(), last.tolist(), strict=True)
    excursions = np.array(
        [_excursions_px(trade, bars, spread, span) for trade, span in zip(trades, spans, strict=True)], np.float64
    )
    distance = np.array([abs(trade.entry_px - trade.sl_px) if trade.sl_px else 0 for trade in trades], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows["mae_r"], rows["mfe_r"] = excursions.T / np.where(distance > 0, distance, np.nan)
    return rows


def related_changes(data: DataSet, entries_ms: Int64Array) -> dict[str, Float64Array]:
    """Return the change of each related series known when the trades entered at ``entries_ms`` were decided, by name.

    Shape (n,) each, as `known.RelatedSeries.changes` has it; NaN where none was known.
    """
    decided = np.maximum(bar_of(data.bars, entries_ms) - 1, 0)
    return {each.name: each.changes(data.bars.end_ms[decided]) for each in data.related}


def bar_of(bars: BarArrays, instants_ms: Int64Array) -> Int64Array:
    """Return the bar in which each instant lies: the last that began at or before it, shape (n,)."""
    return np.asarray(np.searchsorted(bars.ts_ms, instants_ms, side="right") - 1, np.int64)


def spreads(instrument: Instrument, bars: BarArrays) -> Int64Array:
    """Return the spread of each bar in px, shape (n,)."""
    return _spreads(instrument, bars.open_px)


@compiled
def _spreads(instrument: Instrument, open_px: Int64Array) -> Int64Array:
    found = np.empty(open_px.shape[0], np.int64)
    for bar in range(open_px.shape[0]):
        found[bar] = spread_px(instrument, open_px[bar])
    return found


def volatility_pct(bars: BarArrays) -> Float64Array:
    """Return the mean true range of the last 14 bars in percent of the close, shape (n,); fewer bars at the start."""
    before = np.concatenate((bars.open_px[:1], bars.close_px[:-1]))
    reach = np.maximum(bars.high_px, before) - np.minimum(bars.low_px, before)
    total = np.concatenate(([0], np.cumsum(reach)))
    last = np.arange(1, len(reach) + 1)
    first = np.maximum(last - VOLATILITY_BARS, 0)
    mean: Float64Array = (total[last] - total[first]) / (last - first)
    return 100.0 * mean / bars.close_px


def _scores(rows: SentimentArrays, instants_ms: Int64Array) -> Float64Array:
    """Return the newest score known at each instant, NaN where there was none, as ``signals.sentiment_at`` does."""
    return np.append(rows.score, np.nan)[newest(rows.known_ms, instants_ms)]  # -1, nothing known, is the last


def _opened_minutes(local_ms: Int64Array, session: Session) -> Int64Array:
    """Return the minute of its day at which the session span that holds each of ``local_ms`` opens; -1 outside."""
    minute = (local_ms // DAY_MS + 3) % 7 * 1_440 + local_ms % DAY_MS // MINUTE_MS
    found = np.full(len(local_ms), -1, np.int64)
    for start, end in session.intervals:
        found[(minute - start) % WEEK_MINUTES < end - start] = start % 1_440
    return found


def _excursions_px(trade: Trade, bars: BarArrays, spread: Int64Array, span: tuple[int, int]) -> tuple[float, float]:
    """Return the largest adverse and favourable move from the entry in px, >= 0; ``span`` = first bar and last."""
    first, last = span
    side, bars_held = trade.side, slice(first, last + 1)
    asks = spread[bars_held] if side < 0 else 0
    highs, lows = bars.high_px[bars_held] + asks, bars.low_px[bars_held] + asks
    adverse, favourable = (lows, highs) if side > 0 else (highs, lows)
    into_last_ms = trade.exit_ms - int(bars.ts_ms[last])
    suffered = adverse[: last - first + (into_last_ms > _FIRST_EXTREME_MS)]
    enjoyed = favourable[: last - first + (into_last_ms > _SECOND_EXTREME_MS)]
    result = side * (trade.exit_px - trade.entry_px)
    worst = float((side * (trade.entry_px - suffered)).max(initial=0))
    best = float((side * (enjoyed - trade.entry_px)).max(initial=0))
    return max(worst, -result), max(best, result)
