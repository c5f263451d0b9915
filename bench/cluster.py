"""``python -m bench.cluster [--trials N] [--json]``: two workers of a Dask cluster beside one, the same search on both.

Workers are processes of one thread; the search is drawn from the fine grid of ``rsi_trend``, over a SYNTHETIC random
walk. Compiling and sending the series once is done before the clock runs; planning, sending parts and collecting is in
the time. It is wall time: on a machine that others use, two workers show less than they could.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from bench.replay import walk
from palmbot.core.types import RollArrays, SentimentArrays
from palmbot.instruments import PALM_OIL
from palmbot.research.cluster import on_cluster
from palmbot.research.genetic import fine_axes_of
from palmbot.research.grid import Grid, in_order
from palmbot.research.search import Search
from palmbot.research.sweep import Series
from palmbot.settings import BUILT_IN_PROFILES
from palmbot.units import MINUTE_MS

BALANCE_MINOR = 10_000_000
TRIALS = 800_000  # about a minute of one core
WARM = 8
BASE = BUILT_IN_PROFILES["rsi_trend"]._replace(cooldown_ms=60 * MINUTE_MS, pause_ms=60 * MINUTE_MS)


def measure(trials: int = TRIALS) -> dict[str, Any]:
    """Return the seconds of one worker and of two, and their ratio."""
    none = np.zeros(0, np.int64)
    series = Series(PALM_OIL.core, walk(), RollArrays(none, none), SentimentArrays(none, np.zeros(0)))
    grid = Grid(BASE, fine_axes_of(BASE))
    one_s, one = _searched(1, grid, series, trials)
    two_s, two = _searched(2, grid, series, trials)
    if one.results.tobytes() != two.results.tobytes():
        raise SystemExit("one worker and two found different results")
    return {
        "bars": series.bars.ts_ms.shape[0],
        "trials": trials,
        "one_worker_s": round(one_s, 2),
        "two_workers_s": round(two_s, 2),
        "ratio": round(one_s / two_s, 2),
        "aim": "ratio at least 1.6",
    }


def _searched(workers: int, grid: Grid, series: Series, trials: int) -> tuple[float, Search]:
    """Return how long a cluster of ``workers`` needs for the search, and what it found."""
    dask: Any = import_module("distributed")
    started = dask.LocalCluster(
        host="127.0.0.1", dashboard_address=None, n_workers=workers, threads_per_worker=1, processes=True
    )
    with started as local, on_cluster(local.scheduler_address, BALANCE_MINOR) as cluster:
        for _ in range(WARM):  # every worker has compiled and has the series
            *_, _found = in_order(grid.sample(64, 1), cluster.evaluate)(series)
        begin = perf_counter()
        *_, found = in_order(grid.sample(trials, 2), cluster.evaluate)(series)
        return perf_counter() - begin, found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    measured = measure(given.trials)
    print(json.dumps(measured) if given.json else "\n".join(f"{name}: {value}" for name, value in measured.items()))
