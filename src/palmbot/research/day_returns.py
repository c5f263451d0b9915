"""Daily returns of many combinations side by side: what the probability of overfitting is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from palmbot.core.replay import replay
from palmbot.core.tape import new_tape
from palmbot.core.types import BarArrays, Float64Array, Int64Array
from palmbot.core.world import Run
from palmbot.research.sweep import Series
from palmbot.research.sweep_params import Table, params_at
from palmbot.units import DAY_MS

BUDGET_BAR_COMBINATIONS = 100_000_000  # about ten seconds on a thread


def day_returns(series: Series, table: Table, balance_minor: int, threads: int = 1) -> Float64Array:
    """Return the return of equity over each trading day for each combination, shape (days, n), by ``core.replay``.

    Days and returns are those of ``statistics.daily_returns``; days after equity reached zero have return 0 here.

    Args:
        series: made ready.
        table: the combinations, shape (n,).
        balance_minor: starting balance, > 0.
        threads: of this process; results do not depend on it.
    """
    ends = _ends_of_days(series.bars, series.instrument.day_start_ms)
    returns = np.empty((table.shape[0], ends.shape[0]))
    parts = np.array_split(np.arange(table.shape[0]), threads)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(_write, series, table, balance_minor, (ends, returns)), parts))
    return returns.T


def rows_within(
    trials: int, bars: int, kept: Sequence[int], seed: int, budget: int = BUDGET_BAR_COMBINATIONS
) -> Int64Array:
    """Return the rows of ``trials`` that may be looked at within ``budget`` bar-combinations, in order.

    All of them, or a sample drawn by ``seed`` that always holds the rows ``kept``.
    """
    count = max(budget // bars, len(kept), 1)
    if trials <= count:
        return np.arange(trials)
    others = np.setdiff1d(np.arange(trials), kept)
    drawn = np.random.default_rng(seed).choice(others, count - len(set(kept)), replace=False)
    return np.union1d(drawn, np.asarray(kept, np.int64))


def _ends_of_days(bars: BarArrays, day_start_ms: int) -> NDArray[np.intp]:
    """Return the last bar of each trading day; a bar that closes on the boundary belongs to the day that ends there."""
    days = (bars.end_ms - 1 - day_start_ms) // DAY_MS
    return np.flatnonzero(np.append(days[1:] != days[:-1], True))


def _write(
    series: Series,
    table: Table,
    balance_minor: int,
    days: tuple[NDArray[np.intp], Float64Array],
    rows: NDArray[np.intp],
) -> None:
    """Fill the returns of ``rows``; ``days`` = (last bar of each day, returns (n, days))."""
    ends, returns = days
    tape = new_tape(0, series.bars.ts_ms.shape[0])
    equity = np.full(ends.shape[0] + 1, float(balance_minor))
    for row in rows.tolist():
        constants = Run(params_at(table, row), series.instrument)
        replay(constants, balance_minor, series.bars, series.rolls, series.sentiment, tape)
        equity[1:] = tape.equity[ends]
        before = equity[:-1]
        is_alive = np.minimum.accumulate(before) > 0
        returns[row] = np.where(is_alive, equity[1:] / np.where(is_alive, before, 1.0) - 1.0, 0.0)
