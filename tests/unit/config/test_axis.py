"""The values that a search may try: lists, ranges, units, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.config.sources_at import refusal, settings

from palmbot.config import OPTIONS
from palmbot.core.types import Params

GRID = """
[optimize.grid]
rsi_low = [30, 20, 25]
rsi_high = {from = 60, to = 80, step = 5}
sl = ["1%", "2%"]
tp = {from = "1.5%", to = "3%", step = "0.5%"}
rsi_period = {from = 7, to = 8, step = 1}
sentiment_max_age = {from = "12h", to = "1d", step = "6h"}
allow_short = [true, false]
sl_atr = 2.5
"""


def test_axes_are_written_as_their_settings_are(tmp_path: Path) -> None:
    axes = settings(tmp_path, GRID).optimize.axes
    assert axes == {
        "rsi_low": (20.0, 25.0, 30.0),
        "rsi_high": (60.0, 65.0, 70.0, 75.0, 80.0),
        "sl_ppm": (10_000, 20_000),
        "tp_ppm": (15_000, 20_000, 25_000, 30_000),
        "rsi_period": (7, 8),
        "sentiment_max_age_ms": (43_200_000, 64_800_000, 86_400_000),
        "allow_short": (0, 1),
        "sl_atr": (2.5,),
    }
    whole = {name for name, default in Params()._asdict().items() if isinstance(default, int)}
    assert {name for name, axis in axes.items() if all(isinstance(each, int) for each in axis)} == whole & axes.keys()


def test_axes_may_have_the_cores_names_and_units(tmp_path: Path) -> None:
    assert settings(tmp_path, "[optimize.grid]\nsl_ppm = {from = 10000, to = 20000, step = 5000}\n").optimize.axes == {
        "sl_ppm": (10_000, 15_000, 20_000)
    }


def test_a_range_of_fractions_is_exact(tmp_path: Path) -> None:
    axes = settings(tmp_path, "[optimize.grid]\nsl_atr = {from = 0.1, to = 0.7, step = 0.1}\n").optimize.axes
    assert axes["sl_atr"] == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def test_axes_may_be_said_on_the_command_line_and_in_the_environment(tmp_path: Path) -> None:
    sets = ("optimize.grid.sl=1%, 2%", "optimize.grid.rsi_low=from 20 to 40 step 10")
    environ = {"PALMBOT_OPTIMIZE__GRID__RSI_HIGH": "60,70"}
    assert settings(tmp_path, sets=sets, environ=environ).optimize.axes == {
        "rsi_low": (20.0, 30.0, 40.0),
        "rsi_high": (60.0, 70.0),
        "sl_ppm": (10_000, 20_000),
    }


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("rsi_lo = [20]", "UNKNOWN_SETTING"),
        ("rule = ['rsi_trend']", "UNKNOWN_SETTING"),
        ("rsi_low = []", "BAD_NUMBER"),
        ("rsi_low = [20, 120]", "OUT_OF_RANGE"),
        ("rsi_low = {from = -5, to = 20, step = 5}", "OUT_OF_RANGE"),
        ("rsi_low = {from = 40, to = 20, step = 5}", "BAD_AXIS"),
        ("rsi_low = {from = 20, to = 40, step = 0}", "BAD_AXIS"),
        ("rsi_low = {from = 20, to = 40, step = -5}", "OUT_OF_RANGE"),
        ("rsi_low = {from = 20, to = 40, step = 0.001}", "BAD_AXIS"),
        ("rsi_low = {from = 20, to = 40}", "BAD_TEXT"),
        ("rsi_low = {from = [20], to = 40, step = {}}", "BAD_NUMBER"),
        ("sl = [1, 2]", "BAD_PERCENT"),
        ("sl = {from = '1%', to = '2%', step = 1}", "BAD_PERCENT"),
        ("rsi_period = [14.5]", "BAD_NUMBER"),
        ("stop_kind = {from = 'percent', to = 'atr', step = 1}", "BAD_AXIS"),
        ("sl = ['1%']\nsl_ppm = [10000]", "SETTING_TWICE"),
    ],
)
def test_an_axis_that_means_nothing_is_refused_with_its_place(tmp_path: Path, line: str, code: str) -> None:
    error = refusal(tmp_path, f"[optimize.grid]\n{line}\n")
    assert error.code == code
    assert "palmbot.toml:" in str(error.facts["source"])


def test_a_grid_that_is_no_table_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[optimize]\ngrid = 5\n").code == "UNKNOWN_SETTING"


def test_the_search_has_settings_and_options_of_its_own(tmp_path: Path) -> None:
    toml = (
        '[optimize]\nmethod = "genetic"\ntrials = 1000\nseed = 7\nworkers = 2\ndask = "tcp://[::1]:1"\ntrades_min = 9\n'
    )
    found = settings(tmp_path, toml).optimize
    assert (found.method, found.trials, found.seed, found.workers) == ("genetic", 1_000, 7, 2)
    assert (found.dask, found.trades_min, found.axes) == ("tcp://[::1]:1", 9, {})
    given = settings(tmp_path, options={"optimize --seed": "8", "--trials": "9"})
    assert (given.optimize.seed, given.optimize.trials, given.run.seed) == (8, 9, 1)
    assert {"--method", "--trials", "--workers", "--dask"} <= OPTIONS.keys()


def test_what_the_command_says_is_no_longer_searched_but_what_a_profile_says_is(tmp_path: Path) -> None:
    toml = '[profile.mine]\nbase = "rsi_trend"\nrsi_high = 55\n'
    best = tmp_path / "best.json"
    best.write_text('{"profile": "mine", "params": {"sl_atr": 3, "tp_atr": 5}}')
    found = settings(
        tmp_path, toml, params_file=best, sets=("max_bars=30", "tp_atr=6"), environ={"PALMBOT_SIZING__RISK": "1%"}
    )
    assert found.optimize.fixed == {"max_bars", "tp_atr", "risk_fraction"}
    assert found.params.sl_atr == 3.0
