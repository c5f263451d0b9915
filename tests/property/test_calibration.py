"""Do the statistics tell the truth? `make calibrate` asks at length; here in small, on worlds whose truth is known."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from bench import calibrate
from bench.calibrate import Figure, Part
from bench.planted import BALANCE_MINOR, BASE, COSTS, data_of, planted, pull_of, walk

from palmbot.research import backtest


@pytest.mark.parametrize("part", [calibrate.records, calibrate.overfitting])
def test_records_and_overfitting_are_judged_as_often_as_they_should(part: Part) -> None:
    figures = list(part(20, 1))
    assert len(figures) >= 2
    assert [figure for figure in figures if not figure.holds] == []


def test_searches_on_noise_have_p_values_that_are_uniform() -> None:
    figures = list(calibrate.luck(8, 1, count=19))
    assert len(figures) == 8
    assert [figure for figure in figures if not figure.holds] == []


def test_a_planted_edge_is_found_and_survives_deflation() -> None:
    series = calibrate.series_of(planted(calibrate.EDGE_BARS, 1, 1.6))
    assert calibrate.p_of(series, "shuffled", 1, count=20) == 1 / 21
    assert calibrate.overfit_of(series, 1)[1] > 0.95


def profit_factor_of(seed: int, factor: float) -> tuple[float, int]:
    bars = walk(12_000, seed) if factor < 1.0 else planted(12_000, seed, factor)
    pnl = np.array([trade.pnl_minor for trade in backtest.run(data_of(bars), "x", BASE, BALANCE_MINOR).trades])
    return float(pnl[pnl > 0].sum() / -pnl[pnl < 0].sum()), len(pnl)


@pytest.mark.parametrize("factor", [1.3, 1.6, 2.0])
def test_a_planted_edge_has_about_the_profit_factor_that_was_asked_for(factor: float) -> None:
    found = [profit_factor_of(seed, factor) for seed in range(12)]
    assert np.mean([each for each, _count in found]) == pytest.approx(factor, rel=0.1)
    assert min(count for _each, count in found) > 400


def test_a_walk_without_an_edge_loses_its_costs() -> None:
    """By the gambler's ruin a trade of `BASE` wins 41 % of the time, which after costs is a profit factor of 0.87."""
    assert np.mean([profit_factor_of(seed, 0.0)[0] for seed in range(12)]) == pytest.approx(0.87, abs=0.08)


def test_a_walk_is_decided_by_its_seed_and_can_be_traded() -> None:
    one, same, other = walk(500, 1), walk(500, 1), planted(500, 2)
    assert np.array_equal(one.close_px, same.close_px)
    assert not np.array_equal(one.close_px, other.close_px)
    for bars in (one, other):
        assert (bars.high_px >= np.maximum(bars.open_px, bars.close_px)).all()
        assert (bars.low_px <= np.minimum(bars.open_px, bars.close_px)).all()
        assert (np.stack(bars[2:6]) % COSTS.step_px == 0).all()
        assert bars.low_px.min() > 0


@pytest.mark.parametrize("moods", [0.0, 0.5])
def test_a_walk_varies_as_much_as_was_asked_for_in_moods_or_evenly(moods: float) -> None:
    moves = np.diff(np.log(walk(40_000, 1, volatility=0.004, moods=moods).close_px))
    assert moves.std() == pytest.approx(0.004 * np.exp(moods**2), rel=0.1)
    size = np.abs(moves)
    memory = np.corrcoef(size[1:], size[:-1])[0, 1]
    assert (memory > 0.1) == (moods > 0.0)
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.03


def test_the_drift_of_a_spell_is_that_of_the_gamblers_ruin() -> None:
    assert pull_of(0.5, 0.02, 0.02) == pytest.approx(0.0, abs=1e-9)
    assert pull_of(0.4, 0.03, 0.02) == pytest.approx(0.0, abs=1e-9)
    assert pull_of(0.6, 0.02, 0.02) > 0.0 > pull_of(0.4, 0.02, 0.02)


def test_a_figure_out_of_its_bounds_does_not_hold() -> None:
    assert calibrate.share("hits", [True] * 5 + [False] * 95, 0.0, 0.05).holds
    assert not calibrate.share("hits", [True] * 20 + [False] * 80, 0.0, 0.05).holds
    assert not calibrate.share("hits", [True] * 50 + [False] * 50, 0.8, 1.0).holds
    assert not calibrate.uniform("p", np.linspace(0.0, 0.5, 200)).holds
    assert not Figure("p", float("nan"), 0.0, 1.0).holds


def test_the_command_prints_a_line_for_each_figure() -> None:
    code = (
        "import sys; from bench import calibrate; calibrate.PARTS = (calibrate.records,); "
        "sys.exit(calibrate.main(['--runs', '5']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    figures = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [set(figure) for figure in figures] == [{"name", "value", "low", "high", "holds"}] * 3
