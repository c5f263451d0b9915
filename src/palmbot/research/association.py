"""How strongly what a trade knew goes together with what it came to: correlations with their bands.

Pearson's r, Spearman's rank correlation, and for two causes together the multiple correlation R (the correlation of the
outcome with its least-squares fit on both). Bands are 5-95 % of a stationary bootstrap over the trades in order. R is
never negative, so that even pure chance gives some; it is told beside what shuffled outcomes give: ``by_chance``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palmbot.core.types import Float64Array
from palmbot.research.bootstrap import CHUNK_CELLS, HIGH, Band, Indices, band_of, mean_block_length, resample_indices

RESAMPLES = 1_000
TRADES_MIN = 10


@dataclass(frozen=True, slots=True)
class Association:
    """One correlation. ``value`` None: too few trades, or nothing varies. ``by_chance`` is of R alone."""

    cause: str
    kind: str  # "Pearson", "Spearman" or "multiple R"
    trades: int
    value: float | None
    band: Band | None
    by_chance: float | None = None

    @property
    def is_told_apart(self) -> bool:
        """Whether the band leaves out what chance gives."""
        if self.band is None or self.band.hi is None:
            return False
        if self.by_chance is not None:
            return self.band.lo > self.by_chance
        return self.band.lo > 0 or self.band.hi < 0


def associations(causes: dict[str, Float64Array], outcome: Float64Array, seed: int) -> tuple[Association, ...]:
    """Return both correlations of each cause with ``outcome``, then R of all causes together where there are several.

    Args:
        causes: name to values, each of shape (n,); NaN where unknown: such trades are left out of that correlation.
        outcome: shape (n,).
        seed: of the bootstrap.
    """
    found = []
    for name, values in causes.items():
        known = np.isfinite(values) & np.isfinite(outcome)
        x, y = values[known], outcome[known]
        found.append(_one(name, "Pearson", x, y, seed))
        found.append(_one(name, "Spearman", ranks(x), ranks(y), seed))
    if len(causes) > 1:
        found.append(_together(causes, outcome, seed))
    return tuple(found)


def ranks(values: Float64Array) -> Float64Array:
    """Return the ranks of ``values`` from 1, equals sharing their mean rank, shape (n,)."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[place], np.float64)


def correlation(x: Float64Array, y: Float64Array) -> Float64Array:
    """Return Pearson's r along the last axis; NaN where one of both does not vary."""
    dx, dy = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        r: Float64Array = (dx * dy).sum(axis=-1) / np.sqrt((dx**2).sum(axis=-1) * (dy**2).sum(axis=-1))
    return r


def _one(name: str, kind: str, x: Float64Array, y: Float64Array, seed: int) -> Association:
    count = len(x)
    if count < TRADES_MIN:
        return Association(name, kind, count, None, None)
    value = float(correlation(x, y))
    if np.isnan(value):
        return Association(name, kind, count, None, None)
    return Association(name, kind, count, value, band_of(_resampled(count, seed, lambda i: correlation(x[i], y[i]))))


def _together(causes: dict[str, Float64Array], outcome: Float64Array, seed: int) -> Association:
    name = " and ".join(causes)
    known = np.isfinite(outcome)
    for values in causes.values():
        known &= np.isfinite(values)
    x, y = np.stack([values[known] for values in causes.values()], axis=1), outcome[known]
    count = len(y)
    if count < TRADES_MIN or np.any(np.ptp(x, axis=0) == 0) or np.ptp(y) == 0:
        return Association(name, "multiple R", count, None, None)
    value = float(_multiple(x[None], y[None])[0])
    if np.isnan(value):  # one cause says what another says
        return Association(name, "multiple R", count, None, None)
    band = band_of(_resampled(count, seed, lambda i: _multiple(x[i], y[i])))
    rng = np.random.default_rng(seed + 1)
    shuffled = [float(_multiple(x[None], rng.permutation(y)[None])[0]) for _ in range(RESAMPLES)]
    chance = float(np.nanquantile(shuffled, HIGH))
    return Association(name, "multiple R", count, value, band, chance)


def _multiple(x: Float64Array, y: Float64Array) -> Float64Array:
    """Return R of ``y`` (m, n) on the columns of ``x`` (m, n, k): shape (m,); NaN where it has no unique fit."""
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    covariance = np.einsum("mni,mnj->mij", dx, dx)
    with_outcome = np.einsum("mni,mn->mi", dx, dy)
    is_regular = np.abs(np.linalg.det(covariance)) > 1e-9 * np.prod(np.einsum("mii->mi", covariance), axis=1)
    r = np.full(len(y), np.nan)
    beta = np.linalg.solve(covariance[is_regular], with_outcome[is_regular][..., None])[..., 0]
    explained = np.einsum("mi,mi->m", beta, with_outcome[is_regular])
    total = (dy[is_regular] ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r[is_regular] = np.sqrt(np.clip(explained / total, 0.0, 1.0))
    return r


def _resampled(count: int, seed: int, statistic: Callable[[Indices], Float64Array]) -> Float64Array:
    """Return ``statistic`` of bootstrap samples of ``count`` trades, shape (RESAMPLES,), in bounded memory."""
    rng, block = np.random.default_rng(seed), mean_block_length(count)
    rows = max(1, CHUNK_CELLS // count)
    sizes = [min(rows, RESAMPLES - first) for first in range(0, RESAMPLES, rows)]
    return np.concatenate([statistic(resample_indices(count, size, block, rng)) for size in sizes])
