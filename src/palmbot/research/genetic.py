"""The guided search, for grids that are too large to be tried: NSGA-II over the points of a fine grid.

Its three objectives are profit factor, win rate and drawdown as ``search.objectives_of`` has them. Combinations that
can have no score are infeasible, and the less so the more trades they have. A population is traded at once, and no
combination is tried twice. The seed decides everything: threads, a cluster or an interruption change nothing. How many
trades a combination needs is told by the first population, which is drawn: the later ones are chosen by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Params, Profile, StopKind
from palmbot.research.evaluate import Evaluate, Steps, Tried, to_the_end
from palmbot.research.grid import Axes, Grid, in_order, spaced
from palmbot.research.nsga2 import Judged, joined, offspring, survivors
from palmbot.research.search import Search, Searcher, objectives_of
from palmbot.research.sweep import Series
from palmbot.research.sweep_ledger import Rows

POPULATION: Final = 100

_PERCENT = {"tp_ppm": spaced(15_000, 30_000, 1_000), "sl_ppm": spaced(10_000, 20_000, 1_000)}
_ATR = {"sl_atr": spaced(1.5, 6.0, 0.5), "tp_atr": spaced(3.0, 15.0, 0.5), "trail_atr": spaced(1.5, 8.0, 0.5)}
_ENTRIES: Final[Mapping[int, Axes]] = MappingProxyType(
    {
        int(Profile.RSI_SENTIMENT): {
            "rsi_low": spaced(20.0, 40.0, 1.0),
            "rsi_high": spaced(60.0, 80.0, 1.0),
            "sentiment_long": spaced(20.0, 40.0, 2.0),
            "sentiment_short": spaced(-40.0, -20.0, 2.0),
        },
        int(Profile.RSI_TREND): {
            "rsi_period": spaced(5, 25, 1),
            "rsi_high": spaced(50.0, 75.0, 1.0),
            "max_bars": spaced(10, 80, 5),
        },
    }
)
_EXITS: Final[Mapping[int, Axes]] = MappingProxyType({int(StopKind.PERCENT): _PERCENT, int(StopKind.ATR): _ATR})


def fine_axes_of(base: Params) -> Axes:
    """Return the axes of ``grid.axes_of`` between the same ends or a little wider, in small steps."""
    return {**_ENTRIES.get(base.profile, {}), **_EXITS[base.stop_kind]}


def steps(grid: Grid, trials: int, seed: int, evaluate: Evaluate, trades_min: int | None = None) -> Steps:
    """Return the guided search of ``trials`` points of ``grid`` as it goes.

    A grid of no more points is tried as a whole. The search ends early where nothing new comes up any more.

    Raises:
        ConfigError: every point of the grid contradicts itself.
    """
    if grid.count <= trials:
        return in_order(grid.sample(trials, seed), evaluate, trades_min)
    first = grid.places(grid.draw(min(POPULATION, trials), seed))

    def search(series: Series) -> Iterator[Search]:
        rng, untried = np.random.default_rng(seed), Untried(grid)
        tried = Tried(trials, trades_min, drawn=first.shape[0])
        places, parents = first[untried(first, first.shape[0])], None
        while places.shape[0]:
            table, begin = grid.table(grid.points(places)), tried.rows
            yield from tried.fill(table, evaluate(series, table))
            results = tried.results_from(begin)
            judged = Judged(places, _costs(results), _lacks(results, tried.minimum.trades))
            everyone = judged if parents is None else joined(parents.judged, judged)
            parents = survivors(everyone, first.shape[0], rng)
            places = offspring(parents, min(POPULATION, trials - tried.rows), grid.shape, untried, rng)

    return search


def searcher(
    base: Params, axes: Axes, trials: int, seed: int, evaluate: Evaluate, trades_min: int | None = None
) -> Searcher:
    """Return the guided search of ``trials`` points of the grid of ``axes`` around ``base``, as ``seed`` has it.

    Raises:
        ConfigError: an axis is no field or has no fitting values, or every point contradicts itself.
    """
    return to_the_end(steps(Grid(base, axes), trials, seed, evaluate, trades_min))


class Untried:
    """Finds among places of ``grid`` those that contradict nothing and never came up before."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._known: set[int] = set()

    def __call__(self, places: Int64Array, count: int) -> Int64Array:
        """Return the first ``count`` rows of ``places``, shape (n, axes), that are new, each point once."""
        points = self._grid.points(places)
        rows: list[int] = []
        for row, (point, is_possible) in enumerate(zip(points.tolist(), self._grid.is_possible(points), strict=True)):
            if is_possible and point not in self._known and len(rows) < count:
                self._known.add(point)
                rows.append(row)
        return np.array(rows, np.int64)


def _costs(results: Rows) -> Float64Array:
    """Return what is to be made small, shape (n, 3); the worst where there is no trade."""
    return 1.0 - np.nan_to_num(objectives_of(results), nan=0.0)


def _lacks(results: Rows, trades_min: int) -> Float64Array:
    """Return how far each result is from having a score, <= 0 where it has one, shape (n,)."""
    trades = np.where(results["stopped_out_ms"] != 0, 0, results["trades"])
    return (trades_min - trades).astype(np.float64)
