"""Incremental indicators: one update a closed bar. Prices are float64 ``px / 1e5``.

RSI and ATR are Wilder's (New Concepts in Technical Trading Systems, 1978): the first average is the plain mean of the
first ``period`` values, then ``avg += (value - avg) / period``, as TA-Lib computes them.
"""

from __future__ import annotations

from palmbot.core.compiled import inlined
from palmbot.core.types import Indicators, Params, StopKind

NEUTRAL_RSI = 50.0
_ATR = int(StopKind.ATR)


@inlined
def periods_of(params: Params) -> tuple[int, int]:
    """Return the periods of RSI and ATR that ``params`` needs; ATR period 0 where no stop is measured in ATR."""
    return params.rsi_period, params.atr_period if params.stop_kind == _ATR else 0


@inlined
def wilder(average: float, value: float, count: int, period: int) -> float:
    """Return the average after value number ``count`` (from 1): a growing sum first, smoothed after ``period``."""
    weight = 1.0 / period
    if count <= period:
        return average + value * weight
    return average * (1.0 - weight) + value * weight


@inlined
def rsi_of(gain: float, loss: float) -> float:
    """Return RSI 0..100 of the two averages; 50 when the price has not moved at all."""
    total = gain + loss
    if total > 0.0:
        return 100.0 * gain / total
    return NEUTRAL_RSI


@inlined
def rsi(indicators: Indicators) -> float:
    """Return the RSI after the newest closed bar; meaningful once ``bars`` > ``rsi_period``."""
    return rsi_of(indicators.gain, indicators.loss)


@inlined
def true_range(high: float, low: float, previous_close: float) -> float:
    """Return Wilder's true range in price units."""
    return max(high, previous_close) - min(low, previous_close)


@inlined
def update(indicators: Indicators, high_px: int, low_px: int, close_px: int, periods: tuple[int, int]) -> Indicators:
    """Return ``indicators`` after one more closed bar.

    Args:
        indicators: before it.
        high_px: its high; as ``low_px`` only read for ATR.
        low_px: its low.
        close_px: its close.
        periods: of RSI and of ATR; ATR period 0 keeps no ATR, for profiles without ATR stops.
    """
    count = indicators.bars
    close = close_px / 1e5
    if count == 0:
        return Indicators(1, close, 0.0, 0.0, 0.0)
    change = close - indicators.close
    gain = wilder(indicators.gain, max(change, 0.0), count, periods[0])
    loss = wilder(indicators.loss, max(-change, 0.0), count, periods[0])
    atr = indicators.atr
    if periods[1] > 0:
        atr = wilder(atr, true_range(high_px / 1e5, low_px / 1e5, indicators.close), count, periods[1])
    return Indicators(count + 1, close, gain, loss, atr)


@inlined
def ema(average: float, value: float, count: int, period: int) -> float:
    """Return the exponential average (weight 2 / (period + 1)) after value number ``count`` (from 1)."""
    if count == 1:
        return value
    weight = 2.0 / (period + 1.0)
    return average + (value - average) * weight
