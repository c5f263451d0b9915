"""Bands for statistics of a trade list, by the stationary bootstrap.

Trades of one run are not independent: losing streaks cluster with the market's moods, and breakers tie one trade to the
next. Blocks of random length keep that dependence, which the plain bootstrap (mean block 1) would break.
Source: Politis and Romano, "The Stationary Bootstrap", JASA 89 (1994); percentile intervals by Efron (1979).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from palmbot.core.types import Float64Array, Int64Array

Indices: TypeAlias = NDArray[np.intp]

RESAMPLES = 2_000
LOW, HIGH = 0.05, 0.95
CHUNK_CELLS = 1_000_000  # bounds the memory of one batch of resamples


class Band(NamedTuple):
    """A 5-95 % band. ``hi`` is None where it has no upper end (a profit factor whose resamples may lack a loss)."""

    lo: float
    hi: float | None


class TradeBands(NamedTuple):
    """Bands of a trade list; None where it says nothing."""

    win_rate: Band | None
    profit_factor: Band | None
    expectancy_r: Band | None


def mean_block_length(count: int) -> float:
    """Return the mean block length for ``count`` trades: its cube root (the order in Politis and White, 2004)."""
    return float(max(1.0, count ** (1 / 3)))


def resample_indices(count: int, resamples: int, mean_block: float, rng: np.random.Generator) -> Indices:
    """Return indices of ``resamples`` stationary-bootstrap samples, shape ``(resamples, count)``.

    Each sample is a chain of circular blocks with geometric lengths of mean ``mean_block`` (1 = plain bootstrap).
    """
    starts = rng.integers(0, count, size=(resamples, count))
    begins = rng.random((resamples, count)) < 1.0 / mean_block
    begins[:, 0] = True
    place = np.arange(count)
    block_place = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    return np.asarray((np.take_along_axis(starts, block_place, axis=1) + place - block_place) % count, dtype=np.intp)


def trade_bands(pnl_minor: Int64Array, r: Float64Array, seed: int, mean_block: float | None = None) -> TradeBands:
    """Return the 5-95 % bands of win rate, profit factor and mean R of a trade list.

    Args:
        pnl_minor: net result of each trade in order, shape (n,).
        r: result / planned risk of each trade, NaN where the risk is unknown, shape (n,).
        seed: of the resampling; equal input and seed give equal bands.
        mean_block: mean block length; None means ``mean_block_length(n)``.

    Returns:
        None in place of every band below two trades, and of the profit factor's where no trade lost.
    """
    count = len(pnl_minor)
    if count < 2:
        return TradeBands(None, None, None)
    rng = np.random.default_rng(seed)
    block = mean_block_length(count) if mean_block is None else mean_block
    known = np.isfinite(r)
    columns = (pnl_minor > 0, np.maximum(pnl_minor, 0), np.maximum(-pnl_minor, 0), np.where(known, r, 0.0), known)
    totals = np.empty((len(columns), RESAMPLES))
    rows = max(1, CHUNK_CELLS // count)
    for first in range(0, RESAMPLES, rows):
        last = min(first + rows, RESAMPLES)
        indices = resample_indices(count, last - first, block, rng)
        for total, column in zip(totals, columns, strict=True):
            total[first:last] = column[indices].sum(axis=1)
    wins, gains, losses, r_sum, r_count = totals
    with np.errstate(divide="ignore", invalid="ignore"):
        return TradeBands(
            band_of(wins / count),
            band_of(gains / losses) if bool((pnl_minor < 0).any()) else None,
            band_of(r_sum / r_count),
        )


def band_of(values: Float64Array) -> Band | None:
    """Return the 5-95 % band of resampled ``values``; NaN (an undefined resample) does not count.

    The ends are order statistics taken outwards, so an infinite value never mixes with a finite one.
    """
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return None
    lo = float(np.quantile(defined, LOW, method="lower"))
    hi = float(np.quantile(defined, HIGH, method="higher"))
    return Band(lo, hi if np.isfinite(hi) else None)
