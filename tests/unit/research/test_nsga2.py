"""NSGA-II on arrays: draw by draw the one of pymoo, which is the oracle here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.problems.static import StaticProblem

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.nsga2 import Judged, joined, offspring, survivors

Try = Callable[[Int64Array], Judged]

SIZES = (21, 16, 8, 5)
GENERATIONS = 8


class Elimination(DuplicateElimination):  # type: ignore[misc]  # pymoo has no types
    """Keeps what was never tried."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: set[tuple[int, ...]] = set()

    def do(self, pop: Any, *others: Any, **_options: Any) -> Any:
        taken = self.tried.union(*(rows_of(other) for other in others))
        kept = []
        for row, place in enumerate(rows_of(pop)):
            if place not in taken:
                taken.add(place)
                kept.append(row)
        return pop[kept]


def rows_of(pop: Any) -> list[tuple[int, ...]]:
    return [tuple(place) for place in pop.get("X").tolist()] if len(pop) else []


def born_of_pymoo(first: Int64Array, sizes: tuple[int, ...], counts: list[int], tried: Try, seed: int) -> Int64Array:
    """Return everything that pymoo's own algorithm tries, in order."""
    axes, whole, known = len(sizes), RoundingRepair(), Elimination()
    problem = Problem(n_var=axes, n_obj=3, n_ieq_constr=1, xl=np.zeros(axes, int), xu=np.array(sizes) - 1)
    algorithm = NSGA2(
        pop_size=first.shape[0],
        sampling=first,
        selection=TournamentSelection(func_comp=binary_tournament),
        survival=RankAndCrowding(),
        crossover=SBX(prob=0.9, eta=15, vtype=float, repair=whole),
        mutation=PM(eta=20, vtype=float, repair=whole),
        eliminate_duplicates=known,
        output=None,
    )
    algorithm.setup(problem, termination=NoTermination(), seed=seed)
    everything = []
    for count in [first.shape[0], *counts]:
        algorithm.n_offsprings = count
        population = algorithm.ask()
        if population is None:
            break
        everything.append(population.get("X"))
        known.tried.update(rows_of(population))
        judged = tried(everything[-1])
        known_problem = StaticProblem(problem, F=judged.costs, G=judged.lacks[:, None])
        Evaluator().eval(known_problem, population)
        algorithm.tell(infills=population)
    return np.concatenate(everything)


def born(first: Int64Array, sizes: tuple[int, ...], counts: list[int], tried: Try, seed: int) -> Int64Array:
    """Return everything that the algorithm under test tries, in order."""
    rng, known = np.random.default_rng(seed), set(map(tuple, first.tolist()))

    def new(places: Int64Array, count: int) -> Int64Array:
        rows: list[int] = []
        for row, place in enumerate(map(tuple, places.tolist())):
            if place not in known and len(rows) < count:
                known.add(place)
                rows.append(row)
        return np.array(rows, np.int64)

    everything, judged = [first], tried(first)
    for count in counts:
        parents = survivors(judged, first.shape[0], rng)
        everything.append(offspring(parents, count, sizes, new, rng))
        judged = joined(parents.judged, tried(everything[-1]))
    return np.concatenate(everything)


def smooth(places: Int64Array) -> Float64Array:
    """Return three costs that pull in three directions, shape (n, 3)."""
    share = places / np.maximum(np.array(SIZES[: places.shape[1]]) - 1, 1)
    costs: Float64Array = np.stack([np.square(share - goal).sum(axis=1) for goal in (0.2, 0.5, 0.9)], axis=1)
    return costs


def nothing_lacks(places: Int64Array) -> Judged:
    return Judged(places, smooth(places), np.full(places.shape[0], -3.0))


def many_lack(places: Int64Array) -> Judged:
    return Judged(places, smooth(places), places.astype(np.float64).sum(axis=1) - 15.0)


def everything_lacks(places: Int64Array) -> Judged:
    return Judged(places, np.ones((places.shape[0], 3)), places[:, 0].astype(np.float64) + 1.0)


def many_are_even(places: Int64Array) -> Judged:
    return Judged(places, np.round(smooth(places)), np.where(places[:, 0] % 2 == 0, 0.0, 1.0))


def drawn(count: int, sizes: tuple[int, ...], seed: int) -> Int64Array:
    rng = np.random.default_rng(seed)
    every = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)
    return every[rng.choice(every.shape[0], count, replace=False)]


@pytest.mark.parametrize("tried", [nothing_lacks, many_lack, everything_lacks, many_are_even])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_tries_what_pymoo_tries_in_the_same_order(tried: Try, seed: int) -> None:
    first, counts = drawn(60, SIZES, seed), [60] * GENERATIONS
    assert born(first, SIZES, counts, tried, seed).tolist() == born_of_pymoo(first, SIZES, counts, tried, seed).tolist()


@pytest.mark.parametrize(("size", "counts"), [(7, [7, 5, 1, 3]), (1, [2, 1]), (40, [11, 100, 33])])
def test_odd_numbers_of_children_and_small_populations_are_those_of_pymoo(size: int, counts: list[int]) -> None:
    first = drawn(size, SIZES, 3)
    assert (
        born(first, SIZES, counts, many_lack, 5).tolist() == born_of_pymoo(first, SIZES, counts, many_lack, 5).tolist()
    )


@pytest.mark.parametrize("sizes", [(21,), (21, 1, 8)])
def test_one_axis_and_axes_of_one_place_are_those_of_pymoo(sizes: tuple[int, ...]) -> None:
    first = drawn(10, sizes, 4)
    assert (
        born(first, sizes, [8], nothing_lacks, 6).tolist()
        == born_of_pymoo(first, sizes, [8], nothing_lacks, 6).tolist()
    )


def test_where_nothing_new_comes_up_there_are_fewer_children() -> None:
    first = drawn(20, (5, 4), 1)  # all there are
    assert born(first, (5, 4), [10], nothing_lacks, 1).shape == (20, 2)


def test_the_better_fronts_survive_and_the_least_crowded_of_the_one_that_is_cut() -> None:
    costs = np.array([[0, 4, 0], [1, 3, 0], [1.1, 2.9, 0], [4, 0, 0], [5, 5, 0], [0, 0, 0]], np.float64)
    judged = Judged(np.arange(6)[:, None], costs, np.array([0, 0, -1, 0, 0, 7.0]))
    rng = np.random.default_rng(1)
    assert survivors(judged, 5, rng).judged.places.ravel().tolist() == [0, 1, 2, 3, 4]  # who lacks something is last
    assert sorted(survivors(judged, 3, rng).judged.places.ravel().tolist()) == [0, 2, 3]
    assert survivors(judged, 6, rng).crowding[-1] == 0.0


def test_among_those_that_lack_something_the_ones_that_lack_least_survive() -> None:
    judged = Judged(np.arange(4)[:, None], np.zeros((4, 3)), np.array([9.0, 2.0, 5.0, 1.0]))
    assert survivors(judged, 2, np.random.default_rng(1)).judged.places.ravel().tolist() == [3, 1]
