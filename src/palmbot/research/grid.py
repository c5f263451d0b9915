"""The exhaustive search: every point of a grid, or seeded points of it where it has more than may be tried.

The grid of ``rsi_sentiment`` is the original plan's: RSI 20-40 by 60-80, sentiment 20-40 by -20..-40, take profit
1.5-3 %, stop loss 1-2 %. In the steps chosen here (RSI 5, sentiment 10) that is 2,025 points, its defaults among them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palmbot.core.types import Int64Array, Params, Profile, StopKind
from palmbot.errors import ConfigError
from palmbot.research.evaluate import Evaluate, Steps, Tried, to_the_end
from palmbot.research.search import Search, Searcher
from palmbot.research.sweep import Series
from palmbot.research.sweep_params import TABLE, Table, grid_of

Axes = Mapping[str, Sequence[float]]
"""Fields of ``Params`` to the values each may take."""

COUNTED_MAX = 1_000_000  # points of a grid that are looked at one by one
DRAWS_MAX = 100
COUNT_MAX = 2**62


def spaced(low: float, high: float, step: float) -> tuple[float, ...]:
    """Return ``low``, ``low`` + ``step``, ... up to ``high``, exact to nine decimals."""
    return tuple(round(low + place * step, 9) for place in range(int((high - low) / step + 1e-9) + 1))


GRID: Final[Axes] = MappingProxyType(
    {
        "rsi_low": spaced(20.0, 40.0, 5.0),
        "rsi_high": spaced(60.0, 80.0, 5.0),
        "sentiment_long": (20.0, 30.0, 40.0),
        "sentiment_short": (-40.0, -30.0, -20.0),
        "tp_ppm": (15_000, 20_000, 30_000),
        "sl_ppm": (10_000, 15_000, 20_000),
    }
)
"""The original plan's."""

_PERCENT = {"tp_ppm": GRID["tp_ppm"], "sl_ppm": GRID["sl_ppm"]}
_ATR = {"sl_atr": (2.0, 3.0, 4.0, 6.0), "tp_atr": (4.0, 8.0, 12.0), "trail_atr": (2.0, 4.0, 6.0)}
_ENTRIES: Final[Mapping[int, Axes]] = MappingProxyType(
    {
        int(Profile.RSI_SENTIMENT): {name: axis for name, axis in GRID.items() if name not in _PERCENT},
        int(Profile.RSI_TREND): {
            "rsi_period": (7, 14, 21),
            "rsi_high": spaced(50.0, 70.0, 5.0),
            "max_bars": (20, 40, 60),
        },
    }
)
_EXITS: Final[Mapping[int, Axes]] = MappingProxyType({int(StopKind.PERCENT): _PERCENT, int(StopKind.ATR): _ATR})


def axes_of(base: Params) -> Axes:
    """Return the axes that are searched where nobody named any: those of the entry rule and of its kind of stop."""
    return {**_ENTRIES.get(base.profile, {}), **_EXITS[base.stop_kind]}


class Grid:
    """All combinations of ``axes``, numbered, the last axis running fastest.

    Args:
        base: gives the other fields.
        axes: fields to their values.

    Raises:
        ConfigError: an axis is no field or has no fitting values, or the numbers would not fit 64 bits.
    """

    def __init__(self, base: Params, axes: Axes) -> None:
        for name, axis in axes.items():
            grid_of(base, {name: axis})  # refuses what is no axis
        self._base = base
        self._axes = {name: np.asarray(axis) for name, axis in axes.items()}
        self.shape = tuple(axis.size for axis in self._axes.values())
        self.count = math.prod(self.shape)
        if self.count > COUNT_MAX:
            raise ConfigError("GRID_TOO_LARGE", "Give the grid fewer axes, or fewer values to each.", points=self.count)

    def sample(self, trials: int, seed: int) -> Table:
        """Return the combinations that are tried: every possible one, or ``trials`` of them drawn by ``seed``.

        Raises:
            ConfigError: every point contradicts itself.
        """
        return self.table(self.draw(trials, seed))

    def table(self, points: Int64Array) -> Table:
        """Return the combinations of the numbers ``points``, shape (n,)."""
        table = np.empty(points.shape[0], TABLE)
        table[...] = tuple(self._base)
        for name, column in self._columns(points).items():
            table[name] = column
        return table

    def is_possible(self, points: Int64Array) -> NDArray[np.bool_]:
        """Return which of the numbers ``points`` do not contradict themselves, shape (n,)."""
        value = self._base._asdict() | self._columns(points)
        longest = np.maximum(value["rsi_period"], value["atr_period"])
        possible = (
            (value["rsi_low"] < value["rsi_high"])
            & (value["sentiment_short"] < value["sentiment_long"])
            & (value["warmup_bars"] > longest)
        )
        return np.broadcast_to(possible, points.shape)

    def places(self, points: Int64Array) -> Int64Array:
        """Return the place along each axis of the numbers ``points``, shape (n, axes)."""
        places = np.empty((points.shape[0], len(self.shape)), np.int64)
        for axis, size in reversed(tuple(enumerate(self.shape))):
            points, places[:, axis] = np.divmod(points, size)
        return places

    def points(self, places: Int64Array) -> Int64Array:
        """Return the numbers of ``places``, shape (n,); the inverse of ``places``."""
        points = np.zeros(places.shape[0], np.int64)
        for axis, size in enumerate(self.shape):
            points = points * size + places[:, axis]
        return points

    def draw(self, trials: int, seed: int) -> Int64Array:
        """Return ``trials`` different possible points, fewer where there are fewer, in order.

        Raises:
            ConfigError: every point contradicts itself.
        """
        rng = np.random.default_rng(seed)
        drawn = self._drawn(trials, rng) if self.count > COUNTED_MAX else self._possible()
        if drawn.size == 0:
            todo = "Choose axes with rsi_low < rsi_high, sentiment_short < sentiment_long, warmup_bars > both periods."
            raise ConfigError("GRID_IMPOSSIBLE", todo, points=self.count)
        return drawn if drawn.size <= trials else np.sort(rng.choice(drawn, trials, replace=False))

    def _possible(self) -> Int64Array:
        """Return every possible point of a grid that can be counted."""
        return np.flatnonzero(self.is_possible(np.arange(self.count)))

    def _drawn(self, trials: int, rng: np.random.Generator) -> Int64Array:
        """Return up to ``trials`` different possible points of a grid that is too large to be counted, in order."""
        drawn = np.zeros(0, np.int64)
        for _ in range(DRAWS_MAX):
            more = rng.integers(self.count, size=trials)
            every, first = np.unique(np.concatenate((drawn, more[self.is_possible(more)])), return_index=True)
            drawn = every[np.argsort(first)][:trials]  # in the order of drawing: which come first is chance
            if drawn.size == trials:
                break
        return np.sort(drawn)

    def impossible(self) -> int | None:
        """Return how many points contradict themselves; None where they are too many to be looked at."""
        return None if self.count > COUNTED_MAX else self.count - self._possible().size

    def _columns(self, points: Int64Array) -> dict[str, NDArray[np.float64] | Int64Array]:
        """Return the values of the axes at ``points``."""
        places = self.places(points)
        return {name: axis[places[:, at]] for at, (name, axis) in enumerate(self._axes.items())}


def in_order(table: Table, evaluate: Evaluate, trades_min: int | None = None) -> Steps:
    """Return the search through ``table``, row by row, as it goes."""

    def search(series: Series) -> Iterator[Search]:
        return Tried(table.shape[0], trades_min).fill(table, evaluate(series, table))

    return search


def searcher(
    base: Params, axes: Axes, trials: int, seed: int, evaluate: Evaluate, trades_min: int | None = None
) -> Searcher:
    """Return the search of the grid of ``axes`` around ``base``: all points, or ``trials`` of them drawn by ``seed``.

    The points are drawn here, once: the same ones are tried on every series.

    Raises:
        ConfigError: an axis is no field or has no fitting values, or every point contradicts itself.
    """
    return to_the_end(in_order(Grid(base, axes).sample(trials, seed), evaluate, trades_min))
