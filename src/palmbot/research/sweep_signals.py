"""The sets of bars that entries are made of: where RSI asks for one, and where nothing forbids it.

Each is worked out once for all combinations that share its thresholds. What they say is what ``core.signals`` and
``core.breakers`` say of each bar by itself; a test holds them against each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palmbot.core.breakers import armed, gate, spikes
from palmbot.core.compiled import compiled
from palmbot.core.indicators import rsi, update
from palmbot.core.skim import newest_known, sentiment_of
from palmbot.core.types import BarArrays, Decision, Float64Array, Indicators, Int64Array, Params, SentimentArrays

Bools = NDArray[np.bool_]


@compiled
def rsi_of_closes(bars: BarArrays, period: int) -> Float64Array:
    """Return the RSI after each closed bar, shape (n,)."""
    values = np.empty(bars.ts_ms.shape[0])
    running = Indicators(0, 0.0, 0.0, 0.0, 0.0)
    for bar in range(values.shape[0]):
        running = update(running, bars.high_px[bar], bars.low_px[bar], bars.close_px[bar], (period, 0))
        values[bar] = rsi(running)
    return values


@compiled
def atr_of_bars(bars: BarArrays, period: int) -> Float64Array:
    """Return the ATR after each closed bar in price units, shape (n,)."""
    values = np.empty(bars.ts_ms.shape[0])
    running = Indicators(0, 0.0, 0.0, 0.0, 0.0)
    for bar in range(values.shape[0]):
        running = update(running, bars.high_px[bar], bars.low_px[bar], bars.close_px[bar], (1, period))
        values[bar] = running.atr
    return values


@compiled
def sentiment_at_closes(bars: BarArrays, rows: SentimentArrays) -> tuple[Float64Array, Int64Array]:
    """Return score and age in ms of the newest sentiment known at the end of each bar; NaN and 0 where none is."""
    score, age_ms = np.full(bars.ts_ms.shape[0], np.nan), np.zeros(bars.ts_ms.shape[0], np.int64)
    newest = -1
    for bar in range(score.shape[0]):
        newest = newest_known(rows.known_ms, newest, bars.end_ms[bar])
        known = sentiment_of(rows, newest)
        if known.known_ms >= 0:
            score[bar], age_ms[bar] = known.score, bars.end_ms[bar] - known.known_ms
    return score, age_ms


@compiled
def calm(bars: BarArrays, params: Params) -> Bools:
    """Return where no pause after a volatility spike forbids an entry, shape (n,)."""
    close, free = bars.close_px, np.ones(bars.ts_ms.shape[0], np.bool_)
    until_ms = 0
    for bar in range(params.spike_bars, free.shape[0]):
        if spikes(params, close[bar], close[bar - params.spike_bars]):
            until_ms = bars.end_ms[bar] + params.pause_ms
        free[bar] = bars.end_ms[bar] >= until_ms
    return free


@compiled
def sendable(bars: BarArrays, params: Params) -> Bools:
    """Return where the next open comes in time and near enough to the close, shape (n,); the last bar has none."""
    fit = np.zeros(bars.ts_ms.shape[0], np.bool_)
    free = armed(0, 0)
    for bar in range(fit.shape[0] - 1):
        end_ms, close_px = bars.end_ms[bar], bars.close_px[bar]
        decision = Decision(0, 0, 0, 0, 0, 0, end_ms, close_px, 0, 0)
        fit[bar] = gate(params, free, decision, bars.open_px[bar + 1], bars.ts_ms[bar + 1]) == 0
    return fit
