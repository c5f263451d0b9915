"""Trials on disk: an interrupted search goes on where it was and ends as if it never had been."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.unit.research.sweep_series import FREE, series_of, walk

from palmbot.research import genetic
from palmbot.research.evaluate import Evaluate, Steps, on_threads
from palmbot.research.grid import Grid, in_order, spaced
from palmbot.research.search import Search
from palmbot.research.sweep import Series, Sweep
from palmbot.research.sweep_params import Table
from palmbot.research.trials import TRIAL, Trials, identity_of, kept_in
from palmbot.settings import BUILT_IN_PROFILES

BALANCE_MINOR = 10_000_000
TREND = BUILT_IN_PROFILES["rsi_trend"]._replace(warmup_bars=30)
GRID = Grid(TREND, {"rsi_high": spaced(50.0, 70.0, 1.0), "sl_atr": spaced(0.5, 4.0, 0.5), "max_bars": (3, 5, 10)})
TRIALS = 230
Make = Callable[[Evaluate], Steps]
METHODS: dict[str, Make] = {
    "grid": lambda evaluate: in_order(GRID.sample(TRIALS, 1), evaluate, 5),
    "genetic": lambda evaluate: genetic.steps(GRID, TRIALS, 1, evaluate, 5),
}


class Counted:
    """Trades in parts of ten, counts the rows, and is interrupted before row ``until``."""

    def __init__(self, until: int = 1_000_000) -> None:
        self.rows = 0
        self._until = until
        self._inner = on_threads(BALANCE_MINOR, 1)

    def __call__(self, series: Series, table: Table) -> Iterator[Sweep]:
        for start in range(0, table.shape[0], 10):
            part = table[start : start + 10]
            if self.rows + part.shape[0] > self._until:
                raise KeyboardInterrupt
            self.rows += part.shape[0]
            yield from self._inner(series, part)


@pytest.fixture(scope="module")
def series() -> Series:
    return series_of(walk(800, seed=5))


def opened(path: Path, series: Series) -> Trials:
    return Trials(path, identity_of(series, BALANCE_MINOR))


def played(steps: Steps, series: Series) -> Search | None:
    """Return what was found until the end, or until the interrupt."""
    found = None
    try:
        for so_far in steps(series):
            found = so_far
    except KeyboardInterrupt:
        pass
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("until", [0, 10, 100, 150, 220])
def test_an_interrupted_search_ends_as_if_it_had_not_been(
    method: str, until: int, series: Series, tmp_path: Path
) -> None:
    make, path = METHODS[method], tmp_path / "best.json.trials"
    whole = played(make(on_threads(BALANCE_MINOR, 1)), series)
    cut = played(make(kept_in(opened(path, series), Counted(until))), series)
    assert (0 if cut is None else cut.trials) == until
    rest, trials = Counted(), opened(path, series)
    resumed = played(make(kept_in(trials, rest)), series)
    assert whole is not None
    assert resumed is not None
    assert (trials.taken, rest.rows) == (until, TRIALS - until)
    assert resumed.table.tolist() == whole.table.tolist()
    assert resumed.results.tolist() == whole.results.tolist()
    assert resumed.fast_share == whole.fast_share


def test_a_finished_file_holds_the_whole_search_and_a_torn_row_is_ignored(series: Series, tmp_path: Path) -> None:
    path, make = tmp_path / "trials", METHODS["genetic"]
    whole = played(make(kept_in(opened(path, series), Counted())), series)
    content = path.read_bytes()
    path.write_bytes(content[: -TRIAL.itemsize // 2])
    rest = Counted()
    again = played(make(kept_in(opened(path, series), rest)), series)
    assert whole is not None
    assert again is not None
    assert rest.rows == 1
    assert again.results.tolist() == whole.results.tolist()
    assert path.read_bytes() == content


def test_trials_of_other_combinations_are_cut_off(series: Series, tmp_path: Path) -> None:
    path = tmp_path / "trials"
    played(METHODS["genetic"](kept_in(opened(path, series), Counted(150))), series)
    rest = Counted()
    found = played(METHODS["grid"](kept_in(opened(path, series), rest)), series)
    assert found is not None
    assert rest.rows == TRIALS
    again = opened(path, series)
    assert again.take(GRID.sample(TRIALS, 1)).tolist() == found.results.tolist()


@pytest.mark.parametrize("what", ["bars", "instrument", "balance", "noise", "missing"])
def test_trials_of_something_else_are_not_taken(what: str, series: Series, tmp_path: Path) -> None:
    path = tmp_path / "trials"
    played(METHODS["grid"](kept_in(opened(path, series), Counted(50))), series)
    if what == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(5_000))
    if what == "missing":
        path.unlink()
    other = {
        "bars": lambda: identity_of(series_of(walk(800, seed=6)), BALANCE_MINOR),
        "instrument": lambda: identity_of(series_of(walk(800, seed=5), FREE._replace(spread=1)), BALANCE_MINOR),
        "balance": lambda: identity_of(series, BALANCE_MINOR + 1),
    }
    identity = other.get(what, lambda: identity_of(series, BALANCE_MINOR))()
    trials = Trials(path, identity)
    assert trials.take(GRID.sample(TRIALS, 1)).shape == (0,)
    trials.add(GRID.sample(TRIALS, 1), np.zeros(3, TRIAL["result"]))
    assert Trials(path, identity).take(GRID.sample(TRIALS, 1)).shape == (3,)


def test_a_search_goes_on_where_its_trials_cannot_be_kept(series: Series, tmp_path: Path) -> None:
    trials = opened(tmp_path / "nowhere" / "trials", series)
    found = played(METHODS["grid"](kept_in(trials, Counted())), series)
    assert found is not None
    assert found.trials == TRIALS
    assert isinstance(trials.trouble, FileNotFoundError)


def test_the_file_goes_when_the_search_is_over(series: Series, tmp_path: Path) -> None:
    trials = opened(tmp_path / "trials", series)
    trials.remove()
    played(METHODS["grid"](kept_in(trials, Counted())), series)
    assert (tmp_path / "trials").exists()
    trials.remove()
    assert list(tmp_path.iterdir()) == []
