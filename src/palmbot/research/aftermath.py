"""What the price did after each level of RSI, whether anything was traded or not: the bare fact behind any RSI rule.

For every closed bar: its RSI, and the move from its close over the next 1, 5 and 20 bars, less the mean move of all
bars over as many (the drift of the market is no merit of RSI). Moves over several bars overlap, so bands come from a
block bootstrap whose mean block is twice as long as the move.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.bootstrap import CHUNK_CELLS, Band, band_of, resample_indices

EDGES = (0, 20, 30, 40, 50, 60, 70, 80, 100)
AHEAD_BARS = (1, 5, 20)
LEVEL_BARS_MIN = 30
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Level:
    """Bars whose RSI lay in ``[low, high)``: how the price moved ``ahead`` bars on, in percent beyond the drift."""

    low: int
    high: int
    ahead: int
    bars: int
    mean_pct: float | None
    band: Band | None


def aftermath(rsi: Float64Array, close_px: Int64Array, warmup_bars: int, seed: int) -> tuple[Level, ...]:
    """Return what followed each level of RSI, level by level within each distance ahead.

    Args:
        rsi: at the close of each bar, NaN while unknown, shape (n,).
        close_px: bid closes, shape (n,).
        warmup_bars: bars at the start that do not count.
        seed: of the bootstrap.
    """
    found: list[Level] = []
    for ahead in AHEAD_BARS:
        last = len(rsi) - ahead
        known = np.arange(len(rsi)) >= max(warmup_bars - 1, 0)
        known &= np.isfinite(rsi) & (np.arange(len(rsi)) < last)
        at = np.flatnonzero(known)
        if at.size < LEVEL_BARS_MIN:
            found += [Level(low, high, ahead, 0, None, None) for low, high in pairwise(EDGES)]
            continue
        moves = 100.0 * (close_px[at + ahead] / close_px[at] - 1.0)
        found += _levels(rsi[at], moves, ahead, seed)
    return tuple(found)


def _levels(rsi: Float64Array, moves: Float64Array, ahead: int, seed: int) -> list[Level]:
    place = np.searchsorted(EDGES[1:-1], rsi, side="right")
    levels = len(EDGES) - 1
    beyond = moves - moves.mean()
    means = _means(place, beyond, levels)
    counts = np.bincount(place, minlength=levels)
    again = _resampled_means(place, moves, levels, (2.0 * ahead, seed))
    return [
        Level(
            EDGES[level],
            EDGES[level + 1],
            ahead,
            int(counts[level]),
            float(means[level]) if counts[level] >= LEVEL_BARS_MIN else None,
            band_of(again[:, level]) if counts[level] >= LEVEL_BARS_MIN else None,
        )
        for level in range(levels)
    ]


def _means(place: Int64Array, moves: Float64Array, levels: int) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Float64Array = np.bincount(place, moves, levels) / np.bincount(place, minlength=levels)
    return mean


def _resampled_means(place: Int64Array, moves: Float64Array, levels: int, how: tuple[float, int]) -> Float64Array:
    """Return the mean beyond the drift of each level in each resample, shape (RESAMPLES, levels)."""
    block, seed = how
    rng = np.random.default_rng(seed)
    found = np.empty((RESAMPLES, levels))
    rows = max(1, CHUNK_CELLS // len(moves))
    for first in range(0, RESAMPLES, rows):
        for offset, again in enumerate(resample_indices(len(moves), min(rows, RESAMPLES - first), block, rng)):
            found[first + offset] = _means(place[again], moves[again] - moves[again].mean(), levels)
    return found
