"""RSI and ATR against TA-Lib, bar by bar, and what they say where TA-Lib has no answer."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import talib

from palmbot.core import indicators
from palmbot.core.types import Float64Array, Indicators, Int64Array, Params, StopKind
from palmbot.units import px_of_text

PERIODS = [(2, 2), (5, 3), (14, 14), (30, 21)]


def random_bars(seed: int, count: int = 2_000) -> Int64Array:
    """Return high, low and close in px, shape ``(3, count)``: a generated walk with quiet and wild stretches."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, 1.0, count) * rng.choice([0.0, 50.0, 400.0, 4_000.0], count)
    close = (400_000_000 + np.cumsum(moves * 100)).astype(np.int64)
    wings = rng.integers(0, 500_000, (2, count))
    opens = np.concatenate([close[:1], close[:-1]])
    return np.array([np.maximum(opens, close) + wings[0], np.minimum(opens, close) - wings[1], close], np.int64)


def recorded_bars(file: Path) -> Int64Array:
    """Return high, low and close in px of a recorded file, shape ``(3, n)``."""
    with file.open() as lines:
        rows = [[px_of_text(row[name], 5) for name in ("high", "low", "close")] for row in csv.DictReader(lines)]
    return np.array(rows, np.int64).T


def ours(bars: Int64Array, periods: tuple[int, int]) -> tuple[Float64Array, Float64Array]:
    """Return RSI and ATR after each bar; NaN before they mean something, as in TA-Lib."""
    running, values = Indicators(), []
    for high_px, low_px, close_px in bars.T.tolist():
        running = indicators.update(running, high_px, low_px, close_px, periods)
        rsi = indicators.rsi(running) if running.bars > periods[0] else np.nan
        values.append((rsi, running.atr if running.bars > periods[1] else np.nan))
    rsi, atr = np.array(values).T
    return rsi, atr


def assert_like_talib(bars: Int64Array, periods: tuple[int, int]) -> None:
    """Check every bar, and that the first value stands where TA-Lib has its first."""
    high, low, close = bars / 1e5
    rsi, atr = ours(bars, periods)
    np.testing.assert_allclose(rsi, talib.RSI(close, periods[0]), rtol=1e-9)
    np.testing.assert_allclose(atr, talib.ATR(high, low, close, periods[1]), rtol=1e-9)
    assert np.isnan(rsi[: periods[0]]).all()
    assert np.isfinite(rsi[periods[0] :]).all()


@pytest.mark.parametrize("periods", PERIODS)
@pytest.mark.parametrize("seed", range(3))
def test_rsi_and_atr_are_talibs_on_random_bars(periods: tuple[int, int], seed: int) -> None:
    assert_like_talib(random_bars(seed), periods)


@pytest.mark.parametrize("periods", PERIODS[1:])
@pytest.mark.parametrize("name", ["fcpo_hourly.csv", "fcpo_daily_rolladj.csv"])
def test_rsi_and_atr_are_talibs_on_recorded_bars(shared_data: Path, name: str, periods: tuple[int, int]) -> None:
    assert_like_talib(recorded_bars(shared_data / name), periods)


def test_a_price_that_never_moved_has_a_neutral_rsi() -> None:
    """A documented deviation: TA-Lib says 0 here, which a fade would take for weakness."""
    flat = np.full((3, 20), 400_000_000, np.int64)
    rsi, atr = ours(flat, (5, 5))
    assert (rsi[5:] == 50.0).all()
    assert (atr[5:] == 0.0).all()
    assert talib.RSI(flat[2] / 1e5, 5)[-1] == 0.0


def test_rsi_is_neutral_only_until_the_first_move() -> None:
    flat = [400_000_000] * 10
    up = np.array([[*flat, 400_001_000]] * 3, np.int64)
    down = np.array([[*flat, 399_999_000]] * 3, np.int64)
    assert ours(up, (5, 5))[0][-2:].tolist() == [50.0, 100.0]
    assert ours(down, (5, 5))[0][-1] == 0.0


def test_the_first_average_is_the_mean_of_the_first_changes() -> None:
    closes = [100_000, 200_000, 100_000, 400_000]  # +1, -1, +3: gains 4/3, losses 1/3
    running = Indicators()
    for close_px in closes:
        running = indicators.update(running, close_px, close_px, close_px, (3, 3))
    assert indicators.rsi(running) == pytest.approx(100 * 4 / 5)
    assert running.atr == pytest.approx((1 + 1 + 3) / 3)


def test_the_true_range_reaches_back_over_a_gap() -> None:
    assert indicators.true_range(12.0, 11.0, 9.0) == 3.0
    assert indicators.true_range(8.0, 7.0, 9.0) == 2.0
    assert indicators.true_range(10.0, 8.0, 9.0) == 2.0


def test_no_atr_is_kept_where_no_stop_is_measured_in_it() -> None:
    percent, atr = int(StopKind.PERCENT), int(StopKind.ATR)
    assert indicators.periods_of(Params(rsi_period=9, atr_period=7, stop_kind=percent)) == (9, 0)
    assert indicators.periods_of(Params(rsi_period=9, atr_period=7, stop_kind=atr)) == (9, 7)
    running = Indicators()
    for high_px, low_px, close_px in random_bars(1, 50).T.tolist():
        running = indicators.update(running, high_px, low_px, close_px, (9, 0))
    assert running.atr == 0.0


def test_the_exponential_average_is_its_own_recursion() -> None:
    values, average = [3.0, 5.0, 4.0, 8.0], 0.0
    for count, value in enumerate(values, 1):
        average = indicators.ema(average, value, count, 3)
    assert average == (((3.0 + 5.0) / 2 + 4.0) / 2 + 8.0) / 2
