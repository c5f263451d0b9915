"""What a search is: the combinations it tried, what each came to, and by which score the best was picked.

The score is the original plan's: profit factor 40 %, win rate 30 %, drawdown 30 %. Each part is brought to 0..1 by

- profit factor: ``pf / (1 + pf)``, which is profit / (profit + loss): 0.5 where the trades won what they lost, 1 where
  none lost;
- win rate: as it is;
- drawdown: ``1 - drawdown / 100``, the share of the highest equity that was never lost.

A combination with fewer trades than the minimum has no score (NaN) and is never picked; nor is one whose account its
broker would have closed. The fewer trades a combination may have, the more of its score is luck: where the usual one
makes hundreds, the luckiest of those with a few dozen beats every edge. So the minimum follows what is usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Params
from palmbot.research.sweep import Series
from palmbot.research.sweep_ledger import Rows
from palmbot.research.sweep_params import Table, params_at

WEIGHTS = (0.4, 0.3, 0.3)  # profit factor, win rate, drawdown
TRADES_MIN = 30
TRADES_SHARE = 4  # one part in so many of the usual number


class Minimum(NamedTuple):
    """The fewest trades that give a combination a score.

    Attributes:
        usual: median of the combinations that trade at all, which ``trades`` was taken from; None: it was said.
    """

    trades: int
    usual: int | None


@dataclass(frozen=True)
class Search:
    """What one search over one series tried, in the order of trying.

    Attributes:
        table: the combinations, shape (n,).
        results: an array of ``sweep_ledger.RESULT``, shape (n,).
        trades_min: fewer trades than this say nothing.
        fast_share: share of the combinations that were finished without ``core.replay``, 0..1.
        trades_usual: as ``Minimum.usual``.
        drawn: so many of the first were drawn, the others bred from the best of them; None: all were drawn.
    """

    table: Table
    results: Rows
    trades_min: int = TRADES_MIN
    fast_share: float = 1.0
    trades_usual: int | None = None
    drawn: int | None = None

    @property
    def trials(self) -> int:
        """How many combinations were tried."""
        return int(self.table.shape[0])

    @cached_property
    def scores(self) -> Float64Array:
        """The score of each combination, shape (n,); NaN where it has none."""
        return scores_of(self.results, self.trades_min)

    @property
    def best(self) -> int | None:
        """The row with the highest score, the earliest of equals; None where no combination has a score."""
        return None if np.isnan(self.scores).all() else int(np.nanargmax(self.scores))

    @property
    def best_params(self) -> Params | None:
        """The combination of ``best``."""
        return None if self.best is None else params_at(self.table, self.best)

    @cached_property
    def front(self) -> Int64Array:
        """The rows that no other beats in profit factor, win rate and drawdown at once, in order, shape (k,)."""
        candidates = np.flatnonzero(~np.isnan(self.scores))
        return candidates[not_dominated(objectives_of(self.results[candidates]))]


Searcher = Callable[[Series], Search]
"""The same search, to be carried out over another series: another window, or shuffled prices."""


def minimum_of(results: Rows, said: int | None = None) -> Minimum:
    """Return the minimum that was ``said``, else the larger of `TRADES_MIN` and a quarter of what ``results`` have."""
    if said is not None:
        return Minimum(said, None)
    trading = results["trades"][results["trades"] > 0]
    usual = int(np.median(trading)) if trading.size else 0
    return Minimum(max(TRADES_MIN, usual // TRADES_SHARE), usual)


def objectives_of(results: Rows) -> Float64Array:
    """Return profit factor, win rate and drawdown of each result, each brought to 0..1, higher is better: (n, 3).

    NaN where there is no trade.
    """
    profit, loss = results["profit_minor"].astype(np.float64), results["loss_minor"].astype(np.float64)
    trades = results["trades"].astype(np.float64)
    with np.errstate(invalid="ignore"):
        factor, win_rate = profit / (profit + loss), results["wins"] / trades
    return np.stack((factor, win_rate, 1.0 - np.minimum(results["max_drawdown_pct"], 100.0) / 100.0), axis=1)


def scores_of(results: Rows, trades_min: int = TRADES_MIN) -> Float64Array:
    """Return the score of each result, 0..1, shape (n,); NaN where it has none."""
    scores: Float64Array = objectives_of(results) @ np.array(WEIGHTS)
    scores[(results["trades"] < trades_min) | (results["stopped_out_ms"] != 0)] = np.nan
    return scores


def not_dominated(objectives: Float64Array) -> Int64Array:
    """Return the rows of ``objectives`` (n, 3; higher is better) that no other row beats, in order.

    One row beats another where it is at least as good in everything and better in something. Equal rows all stay.
    """
    order = np.lexsort(-objectives.T[::-1])  # whoever beats a row comes before it
    kept: list[int] = []
    front = np.empty_like(objectives)
    for row in order.tolist():
        better = front[: len(kept)]
        beaten = np.all(better >= objectives[row], axis=1) & np.any(better > objectives[row], axis=1)
        if not beaten.any():
            front[len(kept)] = objectives[row]
            kept.append(row)
    return np.array(sorted(kept), np.int64)


def profit_factor_of(results: Rows) -> Float64Array:
    """Return the profit factor of each result; infinite where no trade lost, NaN where none won or lost."""
    with np.errstate(invalid="ignore", divide="ignore"):
        factors: Float64Array = results["profit_minor"] / results["loss_minor"]
    return factors
