"""How strongly what a trade knew goes together with what it came to: correlations with their bands.

Pearson's r, Spearman's rank correlation, and for several causes together the multiple correlation R (the correlation of
the outcome with its least-squares fit on all of them). Bands are 5-95 % of a stationary bootstrap over the trades in
order, each on its own. R is never negative, so that even pure chance gives some; it is told beside that: ``by_chance``.

Whether one is more than chance is said by ``p``: causes stay where they are and outcomes are drawn anew in blocks,
which leaves the moods of both and nothing between them; each number is held against the largest of all (``looks``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from palmbot.core.types import Float64Array
from palmbot.research.bootstrap import CHUNK_CELLS, HIGH, Band, Indices, band_of, mean_block_length, resample_indices
from palmbot.research.looks import corrected

RESAMPLES = 1_000
NULLS = 2_000  # outcomes drawn anew
TRADES_MIN = 10

# of causes (m, n) or (m, n, k) with outcomes (m, n), m alike or 1: shape (m,)
_Statistic: TypeAlias = Callable[[Float64Array, Float64Array], Float64Array]


@dataclass(frozen=True, slots=True)
class Association:
    """One correlation.

    Attributes:
        cause: its name, or those of all.
        kind: "Pearson", "Spearman" or "multiple R".
        trades: of which cause and outcome are known.
        value: None: too few trades, or nothing varies.
        band: of this number alone.
        p: that chance makes any of the correlations stand out as much, on either side of zero.
        by_chance: of R alone: what 5 % of chance reach.
    """

    cause: str
    kind: str
    trades: int
    value: float | None
    band: Band | None
    p: float | None = None
    by_chance: float | None = None


class _Look(NamedTuple):
    """One correlation before it is judged: ``y`` of the ``known`` trades with ``x``; ``pool``: y of all trades."""

    told: Association
    statistic: _Statistic
    known: NDArray[np.bool_]
    x: Float64Array
    pool: Float64Array


def associations(
    causes: dict[str, Float64Array], outcome: Float64Array, seed: int, beside: Mapping[str, Float64Array] | None = None
) -> tuple[Association, ...]:
    """Return both correlations of each cause with ``outcome``, then R of all causes together where there are several.

    Args:
        causes: name to values, each of shape (n,); NaN where unknown: such trades are left out of that correlation.
        outcome: shape (n,).
        seed: of the bootstrap.
        beside: more causes, which have no part in R.
    """
    is_told = np.isfinite(outcome)
    y, columns = outcome[is_told], {name: values[is_told] for name, values in causes.items()}
    others = {name: values[is_told] for name, values in (beside or {}).items()}
    found = []
    for name, values in (columns | others).items():
        known = np.isfinite(values)
        found.append(_look((name, "Pearson"), correlation, known, (values[known], y), seed))
        found.append(_look((name, "Spearman"), correlation, known, (ranks(values[known]), ranks(y)), seed))
    if len(columns) > 1:
        known = np.isfinite(np.array(list(columns.values()))).all(axis=0)
        x = np.stack([values[known] for values in columns.values()], axis=1)
        found.append(_look((" and ".join(columns), "multiple R"), _multiple, known, (x, y), seed))
    return _judged(found, seed + 1)


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


def _look(
    name: tuple[str, str],
    statistic: _Statistic,
    known: NDArray[np.bool_],
    values: tuple[Float64Array, Float64Array],
    seed: int,
) -> _Look:
    """Return a correlation with its band; ``values`` = (x of known trades, y of all)."""
    x, pool = values
    y = ranks(pool[known]) if name[1] == "Spearman" else pool[known]
    count = len(y)
    value = float(statistic(x[None], y[None])[0]) if count >= TRADES_MIN else np.nan
    told = Association(*name, count, None, None)
    if not np.isnan(value):
        band = band_of(np.concatenate([statistic(x[i], y[i]) for i in _drawn(count, RESAMPLES, seed)]))
        told = replace(told, value=value, band=band)
    return _Look(told, statistic, known, x, pool)


def _judged(looks: list[_Look], seed: int) -> tuple[Association, ...]:
    """Return the correlations of ``looks``, each with its p among all that have a value."""
    judged = [each for each in looks if each.told.value is not None]
    if not judged:
        return tuple(each.told for each in looks)
    null = np.concatenate(
        [
            np.stack([each.statistic(each.x[None], each.pool[i][:, each.known]) for each in judged], axis=1)
            for i in _drawn(len(judged[0].pool), NULLS, seed)
        ]
    )
    sizes = np.abs(np.nan_to_num(null))  # outcomes that do not vary go with nothing
    middle, spread = sizes.mean(axis=0), np.maximum(sizes.std(axis=0), np.finfo(float).tiny)
    real = np.abs([each.told.value or 0.0 for each in judged])
    p = iter(corrected((real - middle) / spread, (sizes - middle) / spread))
    chance = iter(np.quantile(sizes, HIGH, axis=0).tolist())
    return tuple(each.told if each.told.value is None else _told(each.told, next(p), next(chance)) for each in looks)


def _told(told: Association, p: float, by_chance: float) -> Association:
    return replace(told, p=p, by_chance=by_chance if told.kind == "multiple R" else None)


def _multiple(x: Float64Array, y: Float64Array) -> Float64Array:
    """Return R of ``y`` (m, n) on the columns of ``x`` (m or 1, n, k): shape (m,); NaN where it has no unique fit."""
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    covariance = np.einsum("mni,mnj->mij", dx, dx)
    with_outcome = np.einsum("mni,mn->mi", dx, dy)
    is_regular = np.abs(np.linalg.det(covariance)) > 1e-9 * np.prod(np.einsum("mii->mi", covariance), axis=1)
    solvable = np.where(is_regular[:, None, None], covariance, np.eye(x.shape[2]))
    explained = np.einsum("mi,mi->m", np.linalg.solve(solvable, with_outcome[..., None])[..., 0], with_outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sqrt(np.clip(explained / (dy**2).sum(axis=1), 0.0, 1.0))
    return np.asarray(np.where(is_regular, r, np.nan), np.float64)


def _drawn(count: int, resamples: int, seed: int) -> Iterator[Indices]:
    """Yield stationary-bootstrap samples of ``count`` trades, ``resamples`` rows in parts of bounded memory."""
    rng, block = np.random.default_rng(seed), mean_block_length(count)
    rows = max(1, CHUNK_CELLS // count)
    for first in range(0, resamples, rows):
        yield resample_indices(count, min(rows, resamples - first), block, rng)
