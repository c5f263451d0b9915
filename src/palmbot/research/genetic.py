"""The guided search, for grids that are too large to be tried: NSGA-II, by pymoo, over the points of a fine grid.

Its three objectives are profit factor, win rate and drawdown as ``search.objectives_of`` has them. Combinations that
can have no score are infeasible, and the less so the more trades they have. A population is traded at once, and no
combination is tried twice. The seed decides everything: threads, a cluster or an interruption change nothing.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6 (2002), 182-197.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.problems.static import StaticProblem

from palmbot.core.types import Float64Array, Int64Array, Params, Profile, StopKind
from palmbot.research.evaluate import Evaluate, Steps, Tried, to_the_end
from palmbot.research.grid import Axes, Grid, in_order, spaced
from palmbot.research.search import TRADES_MIN, Search, Searcher, objectives_of
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


def steps(grid: Grid, trials: int, seed: int, evaluate: Evaluate, trades_min: int = TRADES_MIN) -> Steps:
    """Return the guided search of ``trials`` points of ``grid`` as it goes.

    A grid of no more points is tried as a whole. The search ends early where nothing new comes up any more.

    Raises:
        ConfigError: every point of the grid contradicts itself.
    """
    if grid.count <= trials:
        return in_order(grid.sample(trials, seed), evaluate, trades_min)
    first = grid.places(grid.draw(min(POPULATION, trials), seed))

    def search(series: Series) -> Iterator[Search]:
        tried, untried = Tried(trials, trades_min), Untried(grid)
        problem = Problem(
            n_var=len(grid.shape),
            n_obj=3,
            n_ieq_constr=1,
            xl=np.zeros(len(grid.shape), int),
            xu=np.array(grid.shape) - 1,
        )
        algorithm = _nsga2(first, untried)
        algorithm.setup(problem, termination=NoTermination(), seed=seed)
        while tried.rows < trials:
            algorithm.n_offsprings = min(POPULATION, trials - tried.rows)
            population = algorithm.ask()
            if population is None:
                return
            points = grid.points(population.get("X"))
            untried.remember(points)
            table, begin = grid.table(points), tried.rows
            yield from tried.fill(table, evaluate(series, table))
            results = tried.results_from(begin)
            judged = StaticProblem(problem, F=_costs(results), G=_lacks(results, trades_min))
            Evaluator().eval(judged, population)
            algorithm.tell(infills=population)

    return search


def searcher(
    base: Params, axes: Axes, trials: int, seed: int, evaluate: Evaluate, trades_min: int = TRADES_MIN
) -> Searcher:
    """Return the guided search of ``trials`` points of the grid of ``axes`` around ``base``, as ``seed`` has it.

    Raises:
        ConfigError: an axis is no field or has no fitting values, or every point contradicts itself.
    """
    return to_the_end(steps(Grid(base, axes), trials, seed, evaluate, trades_min))


class Untried(DuplicateElimination):  # type: ignore[misc]  # pymoo has no types
    """Keeps of a generation what contradicts nothing and was never tried."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._grid = grid
        self._tried: set[int] = set()

    def remember(self, points: Int64Array) -> None:
        """Note that ``points`` are tried now."""
        self._tried.update(points.tolist())

    def do(self, pop: Population, *others: Population, **_options: Any) -> Population:  # noqa: ANN401 - pymoo's own
        """Return the new individuals of ``pop``, each once; ``others`` are those that they may not repeat."""
        taken = set(self._tried)
        for other in others:
            taken.update(self._points(other).tolist())
        points = self._points(pop)
        kept = []
        for row, (point, possible) in enumerate(zip(points.tolist(), self._grid.is_possible(points), strict=True)):
            if possible and point not in taken:
                taken.add(point)
                kept.append(row)
        return pop[kept]

    def _points(self, population: Population) -> Int64Array:
        """Return the points that ``population`` stands for, shape (n,)."""
        empty = np.zeros((0, len(self._grid.shape)), np.int64)
        return self._grid.points(population.get("X") if len(population) else empty)


def _nsga2(first: Int64Array, untried: Untried) -> NSGA2:
    """Return the algorithm, to begin with the places ``first``, shape (n, axes).

    Nothing of it is shared with another one: searches may go on in several threads.
    """
    whole = RoundingRepair()
    return NSGA2(
        pop_size=first.shape[0],
        sampling=first,
        selection=TournamentSelection(func_comp=binary_tournament),
        survival=RankAndCrowding(),
        crossover=SBX(prob=0.9, eta=15, vtype=float, repair=whole),
        mutation=PM(eta=20, vtype=float, repair=whole),
        eliminate_duplicates=untried,
        output=None,
    )


def _costs(results: Rows) -> Float64Array:
    """Return what is to be made small, shape (n, 3); the worst where there is no trade."""
    return 1.0 - np.nan_to_num(objectives_of(results), nan=0.0)


def _lacks(results: Rows, trades_min: int) -> Float64Array:
    """Return how far each result is from having a score, <= 0 where it has one, shape (n, 1)."""
    trades = np.where(results["stopped_out_ms"] != 0, 0, results["trades"])
    return (trades_min - trades[:, None]).astype(np.float64)
