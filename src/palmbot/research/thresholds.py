"""RSI thresholds against profit factor, in sample and out of sample: whether a good spot on the map is one tomorrow.

The series is cut in two by time. Every pair of thresholds trades each part from the same balance; the later part is
preceded by the bars that its indicators need. A map that means something looks alike in both parts; but so do maps of
mere luck, since neighbouring cells share most of their trades and every cell bears its costs. So the likeness is held
against that of the first map with maps of the later part shuffled: prices that have no order to find. Shuffling ends
once luck was as good ten times, for a p beyond 0.1 is all one (Besag and Clifford, "Sequential Monte Carlo p-values",
1991).

A rule of one's own is replayed for each cell, so its map is coarse. Nor need it ask for the thresholds: one that
changes nothing has no axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import numpy as np

from palmbot.core.types import BarArrays, Float64Array, Int64Array, Params, Profile, RollArrays
from palmbot.research.association import correlation, ranks
from palmbot.research.result import DataSet
from palmbot.research.search import profit_factor_of
from palmbot.research.surrogates import shuffled
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_ledger import Rows
from palmbot.research.sweep_params import grid_of

Axes = Mapping[str, tuple[float, ...]]

IN_SAMPLE = 0.7  # of the bars
CELL_TRADES_MIN = 10  # fewer say nothing about a cell
SHUFFLES = 99
AS_GOOD_MAX = 10  # shuffled later parts at least as alike, after which nobody needs more
_LOW, _HIGH = tuple(np.arange(15.0, 47.5, 2.5).tolist()), tuple(np.arange(55.0, 87.5, 2.5).tolist())
_AXES: Mapping[int, Axes] = MappingProxyType(
    {
        Profile.RSI_SENTIMENT: {"rsi_low": _LOW, "rsi_high": _HIGH},
        Profile.RSI_TREND: {
            "rsi_period": (5, 7, 9, 11, 14, 17, 21, 28),
            "rsi_high": tuple(np.arange(50.0, 77.5, 2.5).tolist()),
        },
        Profile.CUSTOM: {"rsi_low": _LOW[2:11:2], "rsi_high": _HIGH[2:11:2]},
    }
)


class NoMap(Enum):
    """Why there is no map, in a sentence."""

    SHORT = "The series is too short for a map of thresholds in two parts."
    IDLE = "The entry rule does not ask for RSI low and RSI high: changing them changes no trade, so there is no map."


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

    A field with one value changes nothing under this rule.

    Attributes:
        best: (row, column) of the best profit factor in sample among cells with enough trades; None: there is none.
        likeness: rank correlation of the two maps over cells with enough trades in both; None: too few.
        cells: how many cells ``likeness`` rests on.
        p: (1 + shuffled later parts at least as alike) / (1 + all of them), or the tenth of those / all until then;
            None where there is no likeness.
    """

    down: tuple[str, tuple[float, ...]]
    across: tuple[str, tuple[float, ...]]
    in_sample: Part
    out_of_sample: Part
    best: tuple[int, int] | None
    likeness: float | None
    cells: int
    p: float | None


@dataclass(frozen=True, slots=True)
class _Halves:
    """A series cut in two; the later part begins with what its indicators need, which is not in its span."""

    earlier: Series
    later: Series
    earlier_ms: tuple[int, int]
    later_ms: tuple[int, int]


def thresholds(
    data: DataSet,
    rules: tuple[Params, int],
    seed: int,
    threads: int,
    on_each: Callable[[float], None] = lambda _share: None,
) -> Thresholds | NoMap:
    """Return the maps of a rule over ``data``, or why there are none.

    Args:
        data: at least two bars.
        rules: the parameters, and the balance to trade from, minor units.
        seed: of the shuffling.
        threads: of this process; the maps do not depend on it.
        on_each: told which share of the shuffling is done.
    """
    params, _balance_minor = rules
    count = data.bars.ts_ms.shape[0]
    cut = int(count * IN_SAMPLE)
    if min(cut, count - cut) <= max(params.warmup_bars, 1):
        return NoMap.SHORT
    halves = _halves(data, cut, params.warmup_bars)
    axes = _axes(halves, rules, threads)
    if axes is None:
        return NoMap.IDLE
    one = _part(_traded(halves.earlier, axes, rules, threads), halves.earlier_ms)
    other = _part(_traded(halves.later, axes, rules, threads), halves.later_ms)
    likeness, cells = _likeness(one, other)
    p = None
    if likeness is not None:

        def by_luck(number: int) -> float:
            later = shuffled(halves.later, np.random.default_rng((seed, number)))
            alike, _cells = _likeness(one, _part(_traded(later, axes, rules, 1), halves.later_ms))
            return np.inf if alike is None else alike

        p = _sequential_p(by_luck, likeness, threads, on_each)
    down, across = axes.items()
    return Thresholds(down, across, one, other, _best(one), likeness, cells, p)


def _halves(data: DataSet, cut: int, warmup_bars: int) -> _Halves:
    whole, bars = Series(data.spec.core, data.bars, data.rolls, data.sentiment), data.bars
    first, count = cut - warmup_bars, bars.ts_ms.shape[0]
    return _Halves(
        _cut(whole, 0, cut),
        _cut(whole, first, count),
        (int(bars.ts_ms[0]), int(bars.end_ms[cut - 1])),
        (int(bars.ts_ms[cut]), int(bars.end_ms[-1])),
    )


def _axes(halves: _Halves, rules: tuple[Params, int], threads: int) -> Axes | None:
    """Return the axes of the map; of a custom rule those that change anything, None where neither does."""
    params, _balance_minor = rules
    axes = _AXES[params.profile]
    if params.profile != Profile.CUSTOM:
        return axes
    both = [_traded(each, axes, rules, threads) for each in (halves.earlier, halves.later)]
    moved = [any((each != each.take([0], axis)).any() for each in both) for axis in range(len(axes))]
    if all(moved):
        return axes
    if not any(moved):
        return None
    fine = _AXES[Profile.RSI_SENTIMENT]  # one axis alone may be as fine as both are otherwise
    return {
        name: fine[name] if is_moved else (getattr(params, name),) for name, is_moved in zip(axes, moved, strict=True)
    }


def _traded(series: Series, axes: Axes, rules: tuple[Params, int], threads: int) -> Rows:
    """Return what each cell of ``axes`` came to on ``series``, in the shape of the map."""
    params, balance_minor = rules
    results = sweep(series, grid_of(params, axes), balance_minor, threads=threads).results
    return results.reshape([len(values) for values in axes.values()])


def _sequential_p(
    by_luck: Callable[[int], float], real: float, threads: int, on_each: Callable[[float], None]
) -> float:
    """Return how often luck is at least as good as ``real``, looked at one after the other however many at a time."""
    as_good = 0
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, SHUFFLES, threads):
            numbers = range(first, min(first + threads, SHUFFLES))
            for number, value in zip(numbers, pool.map(by_luck, numbers), strict=True):
                as_good += value >= real
                if as_good == AS_GOOD_MAX:
                    return as_good / (number + 1)
            on_each(numbers.stop / SHUFFLES)
    return (1 + as_good) / (1 + SHUFFLES)


def _cut(series: Series, first: int, last: int) -> Series:
    bars = BarArrays(*(np.ascontiguousarray(each[first:last]) if each.size else each for each in series.bars))
    inside = (series.rolls.ts_ms >= bars.ts_ms[0]) & (series.rolls.ts_ms <= bars.ts_ms[-1])
    rolls = RollArrays(*(each[inside] for each in series.rolls))
    return Series(series.instrument, bars, rolls, series.sentiment)


def _part(results: Rows, span_ms: tuple[int, int]) -> Part:
    factors = profit_factor_of(results.ravel()).reshape(results.shape)
    return Part(*span_ms, factors, np.ascontiguousarray(results["trades"]))


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
