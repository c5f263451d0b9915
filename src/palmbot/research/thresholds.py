"""RSI thresholds against profit factor, in sample and out of sample: whether a good spot on the map is one tomorrow.

The series is cut in two by time. Every pair of thresholds trades each part from the same balance; the later part is
preceded by the bars that its indicators need. A map that means something looks alike in both parts; but so do maps of
mere luck, since neighbouring cells share most of their trades and every cell bears its costs. So the likeness is held
against that of shuffled prices, which have no order to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palmbot.core.types import BarArrays, Float64Array, Int64Array, Params, Profile, RollArrays
from palmbot.research.association import correlation, ranks
from palmbot.research.result import DataSet
from palmbot.research.search import profit_factor_of
from palmbot.research.surrogates import shuffled
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_ledger import Rows
from palmbot.research.sweep_params import grid_of

IN_SAMPLE = 0.7  # of the bars
CELL_TRADES_MIN = 10  # fewer say nothing about a cell
SHUFFLES = 99
_AXES: dict[int, dict[str, tuple[float, ...]]] = {
    Profile.RSI_SENTIMENT: {
        "rsi_low": tuple(np.arange(15.0, 47.5, 2.5).tolist()),
        "rsi_high": tuple(np.arange(55.0, 87.5, 2.5).tolist()),
    },
    Profile.RSI_TREND: {
        "rsi_period": (5, 7, 9, 11, 14, 17, 21, 28),
        "rsi_high": tuple(np.arange(50.0, 77.5, 2.5).tolist()),
    },
}


@dataclass(frozen=True)
class Part:
    """One part of the series: profit factor and closed trades of each cell, shape (down, across)."""

    from_ms: int
    to_ms: int
    profit_factor: Float64Array  # inf where no trade lost, NaN where there was none
    trades: Int64Array


@dataclass(frozen=True)
class Thresholds:
    """Both maps. ``down`` and ``across`` name the fields of ``Params`` and give the values of rows and columns.

    Attributes:
        best: (row, column) of the best profit factor in sample among cells with enough trades; None: there is none.
        likeness: rank correlation of the two maps over cells with enough trades in both; None: too few.
        cells: how many cells ``likeness`` rests on.
        p: (1 + shuffled series whose maps are at least as alike) / (1 + all of them); None where there is no likeness.
    """

    down: tuple[str, tuple[float, ...]]
    across: tuple[str, tuple[float, ...]]
    in_sample: Part
    out_of_sample: Part
    best: tuple[int, int] | None
    likeness: float | None
    cells: int
    p: float | None


def thresholds(data: DataSet, params: Params, balance_minor: int, seed: int, threads: int) -> Thresholds | None:
    """Return the maps of ``params``' rule over ``data``; None where a part would be shorter than its warm-up."""
    axes = _AXES.get(params.profile)
    count = data.bars.ts_ms.shape[0]
    cut = int(count * IN_SAMPLE)
    if axes is None or min(cut, count - cut) <= params.warmup_bars:
        return None
    (down, rows), (across, columns) = axes.items()
    table = grid_of(params, axes)

    def parts_of(series: Series) -> tuple[Part, Part]:
        told = []
        for first, start, last in ((0, 0, cut), (cut - params.warmup_bars, cut, count)):
            results = sweep(_cut(series, first, last), table, balance_minor, threads=threads).results
            span_ms = (int(series.bars.ts_ms[start]), int(series.bars.end_ms[last - 1]))
            told.append(_part(results, (len(rows), len(columns)), span_ms))
        return told[0], told[1]

    whole = Series(data.spec.core, data.bars, data.rolls, data.sentiment)
    parts = parts_of(whole)
    likeness, cells = _likeness(*parts)
    p = None
    if likeness is not None:
        rng = np.random.default_rng(seed)
        alike = (_likeness(*parts_of(shuffled(whole, rng)))[0] for _ in range(SHUFFLES))
        p = (1 + sum(each is None or each >= likeness for each in alike)) / (1 + SHUFFLES)
    return Thresholds((down, rows), (across, columns), *parts, _best(parts[0]), likeness, cells, p)


def _cut(series: Series, first: int, last: int) -> Series:
    bars = BarArrays(*(np.ascontiguousarray(each[first:last]) if each.size else each for each in series.bars))
    inside = (series.rolls.ts_ms >= bars.ts_ms[0]) & (series.rolls.ts_ms <= bars.ts_ms[-1])
    rolls = RollArrays(*(each[inside] for each in series.rolls))
    return Series(series.instrument, bars, rolls, series.sentiment)


def _part(results: Rows, shape: Sequence[int], span_ms: tuple[int, int]) -> Part:
    factors, trades = profit_factor_of(results).reshape(shape), results["trades"].reshape(shape)
    return Part(*span_ms, factors, np.ascontiguousarray(trades))


def _best(part: Part) -> tuple[int, int] | None:
    factors = np.where(part.trades >= CELL_TRADES_MIN, part.profit_factor, np.nan)
    factors[np.isinf(factors)] = np.nan
    if np.isnan(factors).all():
        return None
    row, column = np.unravel_index(int(np.nanargmax(factors)), factors.shape)
    return int(row), int(column)


def _likeness(one: Part, other: Part) -> tuple[float | None, int]:
    is_told = (one.trades >= CELL_TRADES_MIN) & (other.trades >= CELL_TRADES_MIN)
    is_told &= np.isfinite(one.profit_factor) & np.isfinite(other.profit_factor)
    cells = int(is_told.sum())
    if cells < CELL_TRADES_MIN:
        return None, cells
    value = float(correlation(ranks(one.profit_factor[is_told]), ranks(other.profit_factor[is_told])))
    return (None if np.isnan(value) else value), cells
