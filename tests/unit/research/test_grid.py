"""Grids: the original plan's, seeded points of a large one, what contradicts itself, parts of a search."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.research.sweep_series import NO_SENTIMENT, series_of, walk

from palmbot.core.types import Params, Profile, StopKind
from palmbot.errors import ConfigError
from palmbot.research import evaluate as evaluating
from palmbot.research.evaluate import on_threads
from palmbot.research.grid import GRID, Grid, axes_of, in_order, searcher, spaced
from palmbot.research.sweep import sweep
from palmbot.research.sweep_params import grid_of, params_at
from palmbot.settings import BUILT_IN_PROFILES

BALANCE_MINOR = 10_000_000
TREND = BUILT_IN_PROFILES["rsi_trend"]._replace(warmup_bars=30)
AXES = {"rsi_high": spaced(50.0, 65.0, 5.0), "sl_atr": (1.0, 2.0), "tp_atr": (2.0, 3.0)}


def test_the_grid_is_the_original_plans_with_its_defaults_among_the_points() -> None:
    grid = Grid(Params(), GRID)
    table = grid.sample(2_500, 1)
    assert axes_of(Params()) == GRID
    assert (grid.count, grid.impossible(), table.shape) == (2_025, 0, (2_025,))
    assert tuple(Params()) in table.tolist()
    ends = {name: (min(axis), max(axis)) for name, axis in GRID.items()}
    assert (ends["rsi_low"], ends["rsi_high"]) == ((20, 40), (60, 80))
    assert (ends["sentiment_long"], ends["sentiment_short"]) == ((20, 40), (-40, -20))
    assert (ends["tp_ppm"], ends["sl_ppm"]) == ((15_000, 30_000), (10_000, 20_000))


def test_a_profile_is_searched_along_its_own_axes() -> None:
    trend = axes_of(TREND)
    assert {"rsi_period", "rsi_high", "max_bars", "sl_atr", "tp_atr", "trail_atr"} == trend.keys()
    assert Grid(TREND._replace(warmup_bars=250), trend).sample(2_500, 1).shape == (1_620,)
    with_atr_stops = axes_of(Params(stop_kind=int(StopKind.ATR)))
    assert "rsi_low" in with_atr_stops
    assert "sl_atr" in with_atr_stops
    assert "sl_ppm" not in with_atr_stops
    assert axes_of(Params(profile=max(Profile) + 1)).keys() == {"tp_ppm", "sl_ppm"}  # a rule that is not known here


def test_a_small_grid_is_tried_as_a_whole_in_order() -> None:
    assert Grid(TREND, AXES).sample(16, seed=9).tolist() == grid_of(TREND, AXES).tolist()


def test_of_a_large_grid_as_many_points_as_asked_for_are_drawn_by_the_seed() -> None:
    draw = [Grid(Params(), GRID).sample(500, seed) for seed in (1, 1, 2)]
    assert draw[0].tolist() == draw[1].tolist() != draw[2].tolist()
    assert np.unique(draw[0]).size == 500
    whole = grid_of(Params(), GRID).tolist()
    places = [whole.index(row) for row in draw[0].tolist()]
    assert places == sorted(places)


def test_points_of_a_grid_that_nobody_could_count_are_drawn_too() -> None:
    axes = {name: spaced(1.0, 100.0, 1.0) for name in ("rsi_low", "rsi_high", "sl_atr", "tp_atr", "trail_atr")}
    grid = Grid(Params(), axes)
    table = grid.sample(3_000, 4)
    assert (grid.count, grid.impossible()) == (100**5, None)
    assert np.unique(table).size == 3_000
    assert (table["rsi_low"] < table["rsi_high"]).all()
    assert table["rsi_low"].min() < 5  # drawn from everywhere
    assert table["sl_atr"].max() > 95


def test_combinations_that_contradict_themselves_are_left_out_and_counted() -> None:
    axes = {"rsi_low": (30.0, 50.0, 70.0), "rsi_high": (50.0, 60.0), "rsi_period": (14, 300)}
    grid = Grid(Params(), axes)
    table = grid.sample(100, 1)
    assert (grid.count, grid.impossible()) == (12, 9)
    assert [(each.rsi_low, each.rsi_high) for each in (params_at(table, row) for row in range(3))] == [
        (30.0, 50.0),
        (30.0, 60.0),
        (50.0, 60.0),
    ]


@pytest.mark.parametrize(
    ("code", "axes"),
    [
        ("GRID_IMPOSSIBLE", {"rsi_low": (80.0,), "rsi_high": (20.0, 30.0)}),
        ("GRID_IMPOSSIBLE", {"sentiment_long": (-50.0,)}),
        ("SWEEP_EMPTY_AXIS", {"rsi_low": ()}),
        ("SWEEP_NO_SUCH_FIELD", {"rsi": (1.0,)}),
        ("SWEEP_NOT_WHOLE", {"sl_ppm": (0.5,)}),
        (
            "GRID_TOO_LARGE",
            {name: spaced(0.0, 9_999.0, 1.0) for name in ("sl_atr", "tp_atr", "trail_atr", "rsi_exit", "rsi_low")},
        ),
    ],
)
def test_a_grid_that_means_nothing_is_refused(code: str, axes: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ConfigError, match=code):
        Grid(Params(), axes).sample(10, 1)


def test_a_grid_of_one_is_a_search_of_one() -> None:
    search = searcher(TREND, {}, 100, 1, on_threads(BALANCE_MINOR, 1))(series_of(walk(200)))
    assert search.trials == 1


def test_a_search_is_the_sweep_of_its_points_whatever_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    series = series_of(walk(400, seed=3), sentiment=NO_SENTIMENT)
    expected = sweep(series, grid_of(TREND, AXES), BALANCE_MINOR)
    monkeypatch.setattr(evaluating, "PART_ROWS_MIN", 3)
    monkeypatch.setattr(evaluating, "PART_BAR_COMBINATIONS", 1)
    found = list(in_order(Grid(TREND, AXES).sample(100, 1), on_threads(BALANCE_MINOR, 2), 1)(series))
    assert [each.trials for each in found] == [3, 6, 9, 12, 15, 16]
    assert found[-1].results.tolist() == expected.results.tolist()
    assert found[-1].table.tolist() == grid_of(TREND, AXES).tolist()
    assert found[-1].fast_share == expected.fast_share
    assert found[1].results.tolist() == expected.results[:6].tolist()  # and stays what it was


def test_how_many_trades_a_combination_needs_follows_all_of_them() -> None:
    series, evaluate = series_of(walk(6_000, seed=3), sentiment=NO_SENTIMENT), on_threads(BALANCE_MINOR, 1)
    axes = {"rsi_high": spaced(50.0, 70.0, 5.0), "max_bars": (2, 4, 8)}
    base = TREND._replace(drawdown_bp=0, daily_loss_bp=0)
    search = searcher(base, axes, 100, 1, evaluate)(series)
    trades = search.results["trades"]
    assert search.trades_usual == int(np.median(trades[trades > 0]))
    assert search.trades_min == search.trades_usual // 4 > 30
    assert np.isnan(search.scores).tolist() == (trades < search.trades_min).tolist()
    said = searcher(base, axes, 100, 1, evaluate, 5)(series)
    assert (said.trades_min, said.trades_usual) == (5, None)
