"""The guided search: seeded, never the same combination twice, better than chance, silent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.unit.research.sweep_series import series_of, walk

from palmbot.core.types import Params, Profile, StopKind
from palmbot.errors import ConfigError
from palmbot.research import evaluate as evaluating
from palmbot.research import genetic
from palmbot.research.evaluate import on_threads
from palmbot.research.genetic import fine_axes_of, searcher
from palmbot.research.grid import Grid, axes_of, spaced
from palmbot.research.search import Minimum, Search, minimum_of, scores_of
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_params import grid_of
from palmbot.settings import BUILT_IN_PROFILES

BALANCE_MINOR = 10_000_000
TREND = BUILT_IN_PROFILES["rsi_trend"]._replace(warmup_bars=30, losses_max=0)
AXES = {
    "rsi_high": spaced(50.0, 70.0, 1.0),
    "sl_atr": spaced(0.5, 4.0, 0.5),
    "tp_atr": spaced(0.5, 4.0, 0.5),
    "max_bars": (3, 5, 10, 20),
}


@pytest.fixture(scope="module")
def series() -> Series:
    return series_of(walk(1_500, seed=5))


def found(series: Series, trials: int = 300, seed: int = 1, threads: int = 1) -> Search:
    return searcher(TREND, AXES, trials, seed, on_threads(BALANCE_MINOR, threads), 5)(series)


def test_the_seed_decides_everything_whatever_the_threads(series: Series) -> None:
    one, same, other = found(series), found(series, threads=2), found(series, seed=2)
    assert one.table.tolist() == same.table.tolist() != other.table.tolist()
    assert one.results.tolist() == same.results.tolist()


def test_searches_in_several_threads_do_not_disturb_each_other() -> None:
    markets = [series_of(walk(600, seed=seed)) for seed in range(4)]
    search = searcher(TREND, AXES, 300, 1, on_threads(BALANCE_MINOR, 1), 5)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(search, markets))
    for one, market in zip(together, markets, strict=True):
        assert one.table.tobytes() == search(market).table.tobytes()


def test_what_it_says_of_a_combination_is_what_the_sweep_says(series: Series) -> None:
    search = found(series)
    assert search.results.tolist() == sweep(series, search.table, BALANCE_MINOR).results.tolist()
    assert search.fast_share == 1.0


def test_as_many_trials_as_asked_for_and_no_combination_twice(series: Series) -> None:
    search = found(series, trials=330)
    assert search.trials == np.unique(search.table).size == 330
    assert set(search.table.tolist()) <= set(grid_of(TREND, AXES).tolist())


def test_parts_of_a_population_change_nothing(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(series)
    monkeypatch.setattr(evaluating, "PART_ROWS_MIN", 7)
    monkeypatch.setattr(evaluating, "PART_BAR_COMBINATIONS", 1)
    going = genetic.steps(Grid(TREND, AXES), 300, 1, on_threads(BALANCE_MINOR, 1), 5)(series)
    trials = [each.trials for each in going]
    assert trials[:3] == [7, 14, 21]
    assert (trials[14], trials[-1]) == (100, 300)
    assert found(series).table.tolist() == whole.table.tolist()


def test_it_finds_better_than_as_many_points_at_random(series: Series) -> None:
    grid = Grid(TREND, AXES)
    assert grid.count == 5_376
    guided = [np.nanmax(found(series, 400, seed).scores) for seed in range(3)]
    drawn = [sweep(series, grid.sample(400, seed), BALANCE_MINOR).results for seed in range(3)]
    assert sum(guided) > sum(np.nanmax(scores_of(results, 5)) for results in drawn)


def test_combinations_that_contradict_themselves_are_never_tried(series: Series) -> None:
    axes = {**AXES, "rsi_low": spaced(0.0, 99.0, 1.0)}
    table = searcher(TREND, axes, 250, 3, on_threads(BALANCE_MINOR, 1), 5)(series).table
    assert (table["rsi_low"] < table["rsi_high"]).all()


def test_a_small_grid_is_tried_as_a_whole(series: Series) -> None:
    axes = {"rsi_high": (55.0, 60.0, 65.0), "max_bars": (5, 10)}
    search = searcher(TREND, axes, 100, 1, on_threads(BALANCE_MINOR, 1))(series)
    assert search.table.tolist() == grid_of(TREND, axes).tolist()


def test_a_grid_that_is_nearly_used_up_ends_the_search_early(series: Series) -> None:
    axes = {"rsi_high": spaced(50.0, 70.0, 1.0), "max_bars": spaced(1, 6, 1)}
    search = searcher(TREND, axes, 125, 1, on_threads(BALANCE_MINOR, 1), 5)(series)
    assert 100 <= search.trials <= 125
    assert np.unique(search.table).size == search.trials


def test_how_many_trades_a_combination_needs_is_told_by_the_first_population() -> None:
    series = series_of(walk(6_000, seed=5))
    base = TREND._replace(drawdown_bp=0, daily_loss_bp=0)
    search = searcher(base, AXES, 300, 1, on_threads(BALANCE_MINOR, 1))(series)
    assert (
        Minimum(search.trades_min, search.trades_usual)
        == minimum_of(search.results[:100])
        != minimum_of(search.results)
    )
    assert search.trades_min > 30
    assert search.best is not None
    assert search.results["trades"][search.best] >= search.trades_min


def test_without_any_trade_it_goes_on_and_finds_nothing(series: Series) -> None:
    evaluate = on_threads(BALANCE_MINOR, 1)
    search = searcher(Params(), fine_axes_of(Params()), 250, 1, evaluate)(series)  # no sentiment is known
    assert search.trials == 250
    assert search.best is None


def test_a_grid_without_a_possible_point_is_refused() -> None:
    axes = {"rsi_low": spaced(80.0, 99.0, 0.01), "rsi_high": spaced(1.0, 70.0, 0.01)}
    with pytest.raises(ConfigError, match="GRID_IMPOSSIBLE"):
        searcher(TREND, axes, 100, 1, on_threads(BALANCE_MINOR, 1))


def test_the_fine_axes_reach_as_far_as_the_coarse_ones() -> None:
    for base in (Params(), TREND, Params(stop_kind=int(StopKind.ATR)), Params(profile=max(Profile) + 1)):
        coarse, fine = axes_of(base), fine_axes_of(base)
        assert coarse.keys() == fine.keys()
        for name, axis in coarse.items():
            assert fine[name][0] <= min(axis)
            assert fine[name][-1] >= max(axis)
            assert len(fine[name]) > len(axis)


def test_it_prints_nothing(series: Series, capfd: pytest.CaptureFixture[str]) -> None:
    found(series, trials=120)
    assert capfd.readouterr() == ("", "")
