"""Small SYNTHETIC series for the tests of the sweep."""

from __future__ import annotations

import numpy as np

from palmbot.core.types import BarArrays, Instrument, RollArrays, SentimentArrays
from palmbot.research.sweep import Series
from palmbot.units import HOUR_MS, PX

START_MS = 1_577_923_200_000  # Thursday 2020-01-02 00:00 UTC
NO_ROLLS = RollArrays(np.zeros(0, np.int64), np.zeros(0, np.int64))
NO_SENTIMENT = SentimentArrays(np.zeros(0, np.int64), np.zeros(0))
FREE = Instrument(spread=0, slippage=0, commission_rate=0)


def bars_of(rows: list[tuple[int, int, int, int]], period_ms: int = HOUR_MS) -> BarArrays:
    """Return bars of ``rows`` of whole prices: open, high, low, close."""
    ts_ms = START_MS + np.arange(len(rows), dtype=np.int64) * period_ms
    opens, highs, lows, closes = (np.array([row[place] for row in rows], np.int64) * PX for place in range(4))
    return BarArrays(ts_ms, ts_ms + period_ms, opens, highs, lows, closes, np.zeros(0, np.int64))


def walk(count: int, seed: int = 1, step: int = 12, period_ms: int = HOUR_MS) -> BarArrays:
    """Return a walk of whole prices around 4 000."""
    rng = np.random.default_rng(seed)
    closes = 4_000 + np.cumsum(rng.integers(-step, step + 1, count))
    opens = np.concatenate(([4_000], closes[:-1]))
    highs, lows = (
        np.maximum(opens, closes) + rng.integers(0, 5, count),
        np.minimum(opens, closes) - rng.integers(0, 5, count),
    )
    return bars_of(list(zip(opens.tolist(), highs.tolist(), lows.tolist(), closes.tolist(), strict=True)), period_ms)


def series_of(
    bars: BarArrays,
    instrument: Instrument = FREE,
    rolls: RollArrays = NO_ROLLS,
    sentiment: SentimentArrays = NO_SENTIMENT,
) -> Series:
    """Return a series; without costs, rolls and sentiment unless they are given."""
    return Series(instrument, bars, rolls, sentiment)
