"""The series behind the report's chart as plain JSON: columns of integers, one element a candle."""

from __future__ import annotations

from typing import Any

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Reason
from palmbot.model import Trade
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import drawdown_curve_pct
from palmbot.research.wording import reason_words
from palmbot.units import DAY_MS, PX, step_px

CANDLES_MAX = 20_000  # more makes the page slow and large; several bars then share a candle


def bars_a_candle(bars: int) -> int:
    """Return how many bars share one candle so that at most ``CANDLES_MAX`` are drawn."""
    return max(1, -(-bars // CANDLES_MAX))


def shown_digits(prices_px: Int64Array, digits: int) -> int:
    """Return the fewest decimals that show every one of ``prices_px`` exactly; at most ``digits``."""
    grid = int(np.gcd.reduce(prices_px))
    return next((fewer for fewer in range(digits) if grid % step_px(fewer) == 0), digits)


def chart_data(result: RunResult, data: DataSet) -> dict[str, Any]:
    """Return what the chart draws.

    Keys: ``t`` (candle open in seconds UTC), ``o h l c`` (prices in steps of 10^-``digits``), ``equity`` (money at the
    candle's close), ``fall`` (drawdown in percent), ``rsi``, each of them one element a candle, null where the run has
    none; ``trades`` (see `_trade_row`).
    """
    bars, spec = data.bars, data.spec
    first = np.arange(0, len(bars.ts_ms), bars_a_candle(len(bars.ts_ms)))
    last = np.append(first[1:], len(bars.ts_ms)) - 1
    digits = shown_digits(np.concatenate((bars.open_px, bars.high_px, bars.low_px, bars.close_px)), spec.digits)
    step = step_px(digits)
    place = np.searchsorted(bars.end_ms, result.equity_ts_ms)
    fall = drawdown_curve_pct(result.start_balance_minor, result.equity_minor, result.equity_low_minor)
    money_one = 10**spec.core.money_digits
    return {
        "digits": digits,
        "moneyDigits": spec.core.money_digits,
        "currency": spec.deposit_currency,
        "intraday": data.period_ms < DAY_MS,
        "startBalance": result.start_balance_minor / money_one,
        "rsiLevels": [level for level in (result.params.rsi_low, result.params.rsi_high) if 0 < level < 100],
        "t": (bars.ts_ms[first] // 1000).tolist(),
        "o": (bars.open_px[first] // step).tolist(),
        "h": (np.maximum.reduceat(bars.high_px, first) // step).tolist(),
        "l": (np.minimum.reduceat(bars.low_px, first) // step).tolist(),
        "c": (bars.close_px[last] // step).tolist(),
        "equity": _numbers(_on_bars(result.equity_minor / money_one, place, len(bars.ts_ms))[last], 2),
        "fall": _numbers(np.fmax.reduceat(_on_bars(fall, place, len(bars.ts_ms)), first), 3),
        "rsi": _numbers(_on_bars(result.rsi, place, len(bars.ts_ms))[last], 1),
        "trades": [_trade_row(trade, bars.ts_ms[first], money_one) for trade in result.trades],
    }


def _on_bars(values: Float64Array, place: Int64Array, bars: int) -> Float64Array:
    """Return ``values`` at ``place`` of an array of ``bars`` elements, NaN elsewhere."""
    spread = np.full(bars, np.nan)
    spread[place] = values
    return spread


def _numbers(values: Float64Array, decimals: int) -> list[float | None]:
    return [None if np.isnan(value) else round(value, decimals) for value in values.tolist()]


def _trade_row(trade: Trade, candle_ts_ms: Int64Array, money_one: int) -> list[float | str]:
    """Return side, entry and exit candle, entry and exit price, stop, target (0 if unknown), result, exit reason."""
    entry, leave = np.searchsorted(candle_ts_ms, (trade.entry_ms, trade.exit_ms), side="right") - 1
    prices = (trade.entry_px / PX, trade.exit_px / PX, trade.sl_px / PX, trade.tp_px / PX)
    reason = reason_words(Reason(trade.exit_reason).name)
    return [trade.side, int(entry), int(leave), *prices, trade.pnl_minor / money_one, reason]
