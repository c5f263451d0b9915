"""How a search has its combinations traded: in parts, in order, so that it can tell how far it is and be interrupted.

Results do not depend on how a table is cut, nor on who trades its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from palmbot.research.search import Minimum, Search, Searcher, minimum_of
from palmbot.research.sweep import Series, Sweep, sweep
from palmbot.research.sweep_ledger import RESULT, Rows
from palmbot.research.sweep_params import TABLE, Table
from palmbot.research.workers import heed

PART_BAR_COMBINATIONS = 4_000_000_000  # of a part: 0.4 s to some seconds on one core
PART_ROWS_MIN = 64

Evaluate = Callable[[Series, Table], Iterator[Sweep]]
"""Trade the rows of a table over a series; yield the sweeps of its parts, in the table's order."""

Steps = Callable[[Series], Iterator[Search]]
"""A search as it goes: after each part, everything tried so far. What comes last is the whole search."""


def on_threads(balance_minor: int, threads: int) -> Evaluate:
    """Return how tables are traded on ``threads`` of this process, each combination from ``balance_minor``."""

    def evaluate(series: Series, table: Table) -> Iterator[Sweep]:
        for part in parts_of(series, table):
            yield sweep(series, part, balance_minor, threads=threads)

    return evaluate


def parts_of(series: Series, table: Table) -> Iterator[Table]:
    """Yield ``table`` in parts of even work, in order."""
    rows = max(PART_BAR_COMBINATIONS // series.bars.ts_ms.shape[0], PART_ROWS_MIN)
    for start in range(0, table.shape[0], rows):
        yield table[start : start + rows]


def to_the_end(steps: Steps) -> Searcher:
    """Return the search that ``steps`` end with; between two steps it heeds whether anybody waits for it."""

    def search(series: Series) -> Search:
        *_, whole = heeding(steps(series))
        return whole

    def heeding(parts: Iterator[Search]) -> Iterator[Search]:
        for part in parts:
            heed()
            yield part

    return search


class Tried:
    """What a search has tried so far, filled part by part.

    Args:
        rows: as many as it will try at most.
        trades_min: fewer trades than this say nothing; None: as ``search.minimum_of`` has it.
        drawn: so many of the first rows are drawn, not bred, and the minimum is taken from them; None: all.
    """

    def __init__(self, rows: int, trades_min: int | None = None, drawn: int | None = None) -> None:
        self.rows = 0
        self._table, self._results = np.empty(rows, TABLE), np.empty(rows, RESULT)
        self._trades_min, self._drawn = trades_min, drawn
        self._fast = 0.0

    def fill(self, table: Table, parts: Iterator[Sweep]) -> Iterator[Search]:
        """Take in the ``parts`` of ``table`` one by one; after each, yield everything tried so far."""
        begin = self.rows
        self._table[begin : begin + table.shape[0]] = table
        for part in parts:
            rows = part.results.shape[0]
            self._results[self.rows : self.rows + rows] = part.results
            self.rows += rows
            self._fast += rows * part.fast_share
            yield self._search()

    def results_from(self, row: int) -> Rows:
        """Return the results from ``row`` on."""
        return self._results[row : self.rows]

    @property
    def minimum(self) -> Minimum:
        """The fewest trades that say something, as far as it is known by now."""
        drawn = self.rows if self._drawn is None else min(self.rows, self._drawn)
        return minimum_of(self._results[:drawn], self._trades_min)

    def _search(self) -> Search:
        here, (trades_min, usual) = slice(0, self.rows), self.minimum
        return Search(self._table[here], self._results[here], trades_min, self._fast / self.rows, usual, self._drawn)
