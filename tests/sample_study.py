"""A small study of SYNTHETIC bars with a planted edge, for the tests of what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from bench.planted import BALANCE_MINOR, BASE, data_of, planted

from palmbot.research.result import DataSet
from palmbot.research.search import Search, Searcher
from palmbot.research.study import Study, StudySettings, study
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_params import Table, grid_of

BARS = 3_000
AXES: dict[str, list[float]] = {
    "rsi_low": [30.0, 35.0],
    "rsi_high": [65.0, 70.0],
    "tp_ppm": [15_000, 20_000],
    "sl_ppm": [15_000, 20_000],
}


def searched(table: Table, series: Series) -> Search:
    """Search ``table`` on one thread; ten trades are enough."""
    return Search(table, sweep(series, table, BALANCE_MINOR).results, trades_min=10)


def searcher_of(axes: dict[str, list[float]] | None = None) -> Searcher:
    """Return the search of a small grid."""
    return partial(searched, grid_of(BASE, AXES if axes is None else axes))


def settings_of(**changes: int) -> StudySettings:
    """Return settings of a quick study whose clock stands still."""
    given: dict[str, Any] = {"windows": 4, "surrogates": 19} | changes
    still: Callable[[], float] = lambda: 0.0  # noqa: E731 - a clock
    return StudySettings("rsi_sentiment", BALANCE_MINOR, still, **given)


@cache
def sample_data() -> DataSet:
    """Return the bars."""
    return data_of(planted(BARS, 1))


@cache
def sample_study() -> Study:
    """Return the study."""
    return study(sample_data(), searcher_of(), BASE, settings_of(), lambda _stage, _share: None)
