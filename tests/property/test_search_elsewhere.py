"""Whoever trades the parts of a search, the results are the same to the bit: one thread, several, a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from tests.unit.research.sweep_series import START_MS, series_of, walk

from palmbot.core.types import Params, SentimentArrays
from palmbot.research import evaluate as evaluating
from palmbot.research import genetic
from palmbot.research.cluster import on_cluster
from palmbot.research.evaluate import Evaluate, Steps, on_threads, to_the_end
from palmbot.research.grid import GRID, Grid, axes_of, in_order
from palmbot.research.search import Search
from palmbot.research.surrogates import Null, surrogates
from palmbot.research.sweep import Series
from palmbot.research.workers import IN_TURN
from palmbot.settings import BUILT_IN_PROFILES
from palmbot.units import HOUR_MS

dask: Any = import_module("distributed")
BALANCE_MINOR = 10_000_000
TREND = BUILT_IN_PROFILES["rsi_trend"]._replace(warmup_bars=30)
PLAN = Params(warmup_bars=30, allow_short=1)
SEARCHES: dict[str, Callable[[Evaluate], Steps]] = {
    "the plan's grid": lambda evaluate: in_order(Grid(PLAN, GRID).sample(150, 3), evaluate, 5),
    "a grid of trends": lambda evaluate: in_order(Grid(TREND, axes_of(TREND)).sample(150, 3), evaluate, 5),
    "a guided search": lambda evaluate: genetic.steps(Grid(TREND, axes_of(TREND)), 250, 3, evaluate, 5),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with dask.LocalCluster(
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address=None,
        n_workers=2,
        threads_per_worker=1,
        processes=False,
    ) as started:
        yield started.scheduler_address


def series(seed: int) -> Series:
    """A walk with sentiment of its own every few hours."""
    rng = np.random.default_rng(seed)
    known_ms = START_MS + np.arange(200, dtype=np.int64) * 5 * HOUR_MS
    return series_of(walk(1_000, seed), sentiment=SentimentArrays(known_ms, rng.uniform(-90.0, 90.0, 200)))


def end_of(steps: Steps, over: Series) -> Search:
    *_, whole = steps(over)
    return whole


@pytest.mark.parametrize("name", SEARCHES)
def test_one_thread_several_and_a_cluster_find_the_same(
    name: str, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "PART_BAR_COMBINATIONS", 1)
    monkeypatch.setattr(evaluating, "PART_ROWS_MIN", 17)
    make, over = SEARCHES[name], series(11)
    one = end_of(make(on_threads(BALANCE_MINOR, 1)), over)
    three = end_of(make(on_threads(BALANCE_MINOR, 3)), over)
    with on_cluster(cluster, BALANCE_MINOR) as afar:
        far = end_of(make(afar.evaluate), over)
        again = end_of(make(afar.evaluate), series(12))  # another series over the same connection
        search, null = to_the_end(make(on_threads(BALANCE_MINOR, 1))), Null("shuffled", 7, 1)
        examined = [surrogates(over, search, null, workers=hands) for hands in (afar.each, IN_TURN)]
    for each in examined:
        assert each is not None
    assert len({each.scores.tobytes() for each in examined if each is not None}) == 1
    assert one.results["trades"].sum() > 0
    for other in (three, far):
        assert other.table.tobytes() == one.table.tobytes()
        assert other.results.tobytes() == one.results.tobytes()
        assert other.fast_share == one.fast_share
    assert again.results.tobytes() == end_of(make(on_threads(BALANCE_MINOR, 1)), series(12)).results.tobytes()
