"""Daily returns of many combinations: those of a backtest of each, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, COSTS, data_of, walk

from palmbot.core.types import BarArrays
from palmbot.research.backtest import run
from palmbot.research.day_returns import day_returns, rows_within
from palmbot.research.rolls import NO_ROLLS
from palmbot.research.statistics import daily_returns
from palmbot.research.sweep import Series
from palmbot.research.sweep_params import grid_of, params_at
from palmbot.units import DAY_MS, HOUR_MS

AXES: dict[str, list[float]] = {"rsi_low": [30.0, 35.0, 40.0], "tp_ppm": [15_000, 20_000, 30_000], "max_bars": [0, 10]}


@pytest.mark.parametrize("period_ms", [HOUR_MS, DAY_MS])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_column_is_the_daily_returns_of_its_own_backtest(period_ms: int, threads: int) -> None:
    data = data_of(walk(1_500, 3, period_ms=period_ms))
    series, table = Series(data.spec.core, data.bars, data.rolls, data.sentiment), grid_of(BASE, AXES)
    returns = day_returns(series, table, BALANCE_MINOR, threads)
    for row in range(table.shape[0]):
        alone = daily_returns(run(data, "SYNTHETIC", params_at(table, row), BALANCE_MINOR), data.spec.core.day_start_ms)
        assert np.array_equal(returns[:, row], alone)
    assert np.count_nonzero(returns) > 100


def test_a_ruined_combination_returns_nothing_more() -> None:
    """The price jumps against a position of twenty times the account: what comes after is no return of anything."""
    reckless = BASE._replace(risk_fraction=1.0, exposure_max=1_000.0, margin_share=0.9, daily_loss_bp=0, drawdown_bp=0)
    bars = walk(1_500, 1)
    trade = run(data_of(bars), "SYNTHETIC", reckless, BALANCE_MINOR).trades[0]
    at = int(np.searchsorted(bars.ts_ms, trade.entry_ms)) + 1
    factor = np.where(np.arange(1_500) < at, 1.0, 0.5 if trade.side > 0 else 2.0)
    opens, highs, lows, closes = ((px * factor).astype(np.int64) for px in bars[2:6])
    series = Series(
        COSTS,
        BarArrays(bars.ts_ms, bars.end_ms, opens, highs, lows, closes, bars.rate_e8),
        NO_ROLLS,
        data_of(bars).sentiment,
    )
    returns = day_returns(series, grid_of(reckless, {"rsi_low": [BASE.rsi_low]}), BALANCE_MINOR)[:, 0]
    ruined = int(np.argmin(returns))
    assert returns[ruined] < -1.0
    assert (returns[ruined + 1 :] == 0.0).all()
    assert returns.size > ruined + 10


def test_a_small_job_is_looked_at_as_a_whole() -> None:
    assert rows_within(50, 1_000, [3], seed=1, budget=50_000).tolist() == list(range(50))


def test_a_large_job_is_sampled_and_the_winner_is_always_there() -> None:
    rows = rows_within(5_000, 1_000, [4_321, 7], seed=1, budget=100_000)
    assert rows.shape == (100,)
    assert {4_321, 7} <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, rows_within(5_000, 1_000, [4_321, 7], seed=1, budget=100_000))
    assert not np.array_equal(rows, rows_within(5_000, 1_000, [4_321, 7], seed=2, budget=100_000))


def test_the_winner_is_there_even_where_nothing_fits() -> None:
    assert rows_within(5_000, 1_000_000, [9], seed=1, budget=10).tolist() == [9]
