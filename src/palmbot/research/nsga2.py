"""NSGA-II over places of a grid, on arrays: pymoo's operators, ranks and crowding, without an object an individual.

pymoo's own ``NSGA2`` spends more time on its objects than a sweep of a thousand daily combinations takes. This is the
same algorithm, draw by draw: the tests hold the two together.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6 (2002), 182-197. Operators: simulated binary crossover and polynomial
mutation, rounded to whole places. Who lacks something loses to who lacks less, and to who lacks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from pymoo.operators.crossover.sbx import cross_sbx
from pymoo.operators.mutation.pm import mut_pm
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from pymoo.util.randomized_argsort import randomized_argsort

from palmbot.core.types import Float64Array, Int64Array

CROSSED: Final = 0.9  # of the pairs
CROSSED_AXES: Final = 0.5  # of a crossed pair's axes
CROSSOVER_ETA: Final = 15.0
MUTATED: Final = 0.9  # of the children
MUTATED_AXES_MAX: Final = 0.5  # of a mutated child's axes; one on average where it has two or more
MUTATION_ETA: Final = 20.0
MATINGS_MAX: Final = 100  # for one generation

New = Callable[[Int64Array, int], Int64Array]
"""Of places, shape (n, axes), the first rows, so many at most, that may join a generation. It remembers those."""


class Judged(NamedTuple):
    """Places along each axis and what they came to, arrays of n rows.

    Attributes:
        places: shape (n, axes).
        costs: what is to be made small, shape (n, k).
        lacks: how much of a condition each lacks, shape (n,); at most 0: it is met.
    """

    places: Int64Array
    costs: Float64Array
    lacks: Float64Array


class Parents(NamedTuple):
    """Who may mate. ``crowding``, shape (n,): how far the neighbours in its front are; 0 where something lacks."""

    judged: Judged
    crowding: Float64Array


def joined(one: Judged, other: Judged) -> Judged:
    """Return ``one`` and the ``other`` together."""
    return Judged(
        np.concatenate((one.places, other.places)),
        np.concatenate((one.costs, other.costs)),
        np.concatenate((one.lacks, other.lacks)),
    )


def survivors(judged: Judged, count: int, rng: np.random.Generator) -> Parents:
    """Return the best ``count`` of ``judged``: by front, and of the front that does not fit whole the least crowded."""
    met, lacking = np.flatnonzero(judged.lacks <= 0), np.flatnonzero(judged.lacks > 0)
    rows, crowding = _by_front(judged.costs[met], min(met.size, count), rng)
    others = lacking[np.argsort(judged.lacks[lacking])][: count - rows.size]
    kept = np.concatenate((met[rows], others))
    best = Judged(judged.places[kept], judged.costs[kept], judged.lacks[kept])
    return Parents(best, np.concatenate((crowding, np.zeros(others.size))))


def offspring(parents: Parents, count: int, sizes: tuple[int, ...], new: New, rng: np.random.Generator) -> Int64Array:
    """Return ``count`` children that are ``new``, fewer where no more come up, shape (n, axes).

    Args:
        parents: from ``survivors``.
        count: of children, at least 0.
        sizes: places of each axis.
        new: what may be born.
        rng: decides everything.
    """
    born = np.zeros((0, len(sizes)), np.int64)
    for _ in range(MATINGS_MAX):
        missing = count - born.shape[0]
        if missing <= 0:
            break
        children = _mutated(_crossed(parents, math.ceil(missing / 2), sizes, rng), sizes, rng)
        born = np.concatenate((born, children[new(children, missing)]))
    return born


def _by_front(costs: Float64Array, count: int, rng: np.random.Generator) -> tuple[Int64Array, Float64Array]:
    """Return the best ``count`` rows of ``costs``, front after front, and their crowding."""
    rows, crowding = [np.zeros(0, np.int64)], [np.zeros(0)]
    left = count
    for front in NonDominatedSorting().do(costs, n_stop_if_ranked=count):
        distance = get_crowding_function("cd").do(costs[front])
        kept = np.arange(front.size)
        if front.size > left:
            kept = randomized_argsort(distance, order="descending", random_state=rng)[:left]
        rows.append(front[kept])
        crowding.append(distance[kept])
        left -= kept.size
    return np.concatenate(rows), np.concatenate(crowding)


def _crossed(parents: Parents, pairs: int, sizes: tuple[int, ...], rng: np.random.Generator) -> Int64Array:
    """Return two children of each of ``pairs`` couples: the first ones of all, then the second ones."""
    couples = parents.judged.places[_winners(parents, 2 * pairs, rng).reshape(pairs, 2)]
    before = couples.swapaxes(0, 1).astype(np.float64)
    is_crossed = rng.random(pairs) < CROSSED
    if is_crossed.any():
        rng.random((pairs, 1))  # pymoo draws whether each pair exchanges, and all do
        eta, axes, exchanged = (np.full((pairs, 1), value) for value in (CROSSOVER_ETA, CROSSED_AXES, 0.5))
        after = cross_sbx(before, *_bounds(sizes), eta, axes, exchanged, random_state=rng)
        before[:, is_crossed] = after[:, is_crossed]
    return _whole(before.reshape(2 * pairs, len(sizes)))


def _mutated(children: Int64Array, sizes: tuple[int, ...], rng: np.random.Generator) -> Int64Array:
    """Return ``children``, most of them changed a little along an axis or two."""
    count = children.shape[0]
    before = children.astype(np.float64)
    eta, axes = np.full(count, MUTATION_ETA), np.full(count, min(MUTATED_AXES_MAX, 1 / len(sizes)))
    after = mut_pm(before, *_bounds(sizes), eta, axes, at_least_once=False, random_state=rng)
    is_mutated = rng.random((count,)) <= MUTATED
    return _whole(np.where(is_mutated[:, None], after, before))


def _winners(parents: Parents, count: int, rng: np.random.Generator) -> Int64Array:
    """Return who wins ``count`` tournaments of two: the one that lacks less, that dominates, that is less crowded."""
    (_places, costs, lacks), crowding = parents
    rounds = math.ceil(2 * count / crowding.size)
    drawn = np.concatenate([rng.permutation(crowding.size) for _ in range(rounds)])[: 2 * count].reshape(count, 2)
    one, other = costs[drawn[:, 0]], costs[drawn[:, 1]]
    is_better, is_worse = (one < other).any(axis=1), (other < one).any(axis=1)
    dominance = is_worse.astype(np.int64) - is_better
    crowded = np.where(dominance == 0, _order(-crowding[drawn]), dominance)
    lack = np.maximum(lacks, 0.0)[drawn]
    order = np.where(lack.any(axis=1), _order(lack), crowded)
    is_even = order == 0
    order[is_even] = rng.integers(2, size=int(is_even.sum()))
    winners: Int64Array = np.where(order > 0, drawn[:, 1], drawn[:, 0])
    return winners


def _order(values: Float64Array) -> Int64Array:
    """Return -1, 0 or 1 where the first of two ``values``, shape (n, 2), is less, equal or more."""
    order: Int64Array = (values[:, 0] > values[:, 1]).astype(np.int64) - (values[:, 0] < values[:, 1])
    return order


def _bounds(sizes: tuple[int, ...]) -> tuple[Int64Array, Int64Array]:
    return np.zeros(len(sizes), np.int64), np.array(sizes) - 1


def _whole(places: Float64Array) -> Int64Array:
    return np.around(places).astype(np.int64)
