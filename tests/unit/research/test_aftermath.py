"""What followed each level of RSI: as slow plain Python says it, and no more than chance where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.aftermath import AHEAD_BARS, LEVEL_BARS_MIN, LEVELS, directions, levels

WARMUP = 15


def market(count: int, seed: int) -> tuple[Float64Array, Int64Array]:
    """Return levels of RSI that last a while, and prices that know nothing of them."""
    rng = np.random.default_rng(seed)
    rsi = 50.0 + np.convolve(rng.normal(0.0, 12.0, count + 3), np.ones(4) / 2.0, "valid")
    rsi[rng.random(count) < 0.02] = np.nan
    close = np.rint(400_000_000 * np.exp(np.cumsum(rng.normal(0.0, 0.004, count)))).astype(np.int64)
    return np.clip(rsi, 0.0, 100.0), close


def plain(rsi: Float64Array, close: Int64Array, low: int, high: int, ahead: int) -> tuple[int, float | None]:
    """Return bars and mean of one level, bar by bar."""
    at = [bar for bar in range(WARMUP - 1, len(rsi) - ahead) if not np.isnan(rsi[bar])]
    moves = [100.0 * (int(close[bar + ahead]) / int(close[bar]) - 1.0) for bar in at]
    drift = sum(moves) / len(moves)
    inside = [
        move - drift
        for bar, move in zip(at, moves, strict=True)
        if low <= rsi[bar] < high or (high == 100 and rsi[bar] == 100)
    ]
    return len(inside), sum(inside) / len(inside) if len(inside) >= LEVEL_BARS_MIN else None


@pytest.mark.parametrize("count", [0, 1, 60, 500, 3_000])
def test_bars_and_means_are_those_of_plain_python(count: int) -> None:
    rsi, close = market(count, 1)
    found = levels(rsi, close, WARMUP, 1)
    assert [(each.ahead, each.low, each.high) for each in found] == [
        (ahead, *level) for ahead in AHEAD_BARS for level in LEVELS
    ]
    for each in found:
        if count > 60:
            bars, mean = plain(rsi, close, each.low, each.high, each.ahead)
            assert each.bars == bars
            assert each.mean_pct == (None if mean is None else pytest.approx(mean, rel=1e-9, abs=1e-12))
        assert (each.mean_pct is None) == (each.band is None)


def test_a_level_with_few_bars_says_nothing() -> None:
    rsi = np.full(100, 55.0)
    rsi[: LEVEL_BARS_MIN - 1] = 10.0
    found = {(each.low, each.ahead): each for each in levels(rsi, np.arange(1, 101) * 1_000, 1, 1)}
    assert found[0, 1].mean_pct is None
    assert found[50, 1].mean_pct is not None


def test_bands_hold_the_mean() -> None:
    for each in levels(*market(3_000, 2), WARMUP, 1):
        if each.band is not None:
            assert each.mean_pct is not None
            assert each.band.hi is not None
            assert each.band.lo < each.mean_pct < each.band.hi


def test_what_followed_an_rsi_is_its_move_beyond_the_drift() -> None:
    close = np.cumprod(np.full(400, 1.001)) * 400_000_000
    rsi = np.tile([25.0, 75.0], 200)
    close[1::2] *= 1.01  # after a low RSI the price rises, after a high one it falls
    found = {each.low: each for each in levels(rsi, np.rint(close).astype(np.int64), 1, 1) if each.ahead == 1}
    assert found[20].mean_pct == pytest.approx(-(found[70].mean_pct or 0), rel=0.02)
    assert found[20].band is not None
    assert found[20].band.lo > 0.9


def test_a_direction_is_the_slope_of_the_move_on_rsi() -> None:
    rsi, close = market(3_000, 5)
    for each in directions(rsi, close, WARMUP, 1):
        at = [bar for bar in range(WARMUP - 1, 3_000 - each.ahead) if not np.isnan(rsi[bar])]
        moves = [100.0 * (int(close[bar + each.ahead]) / int(close[bar]) - 1.0) for bar in at]
        assert each.bars == len(at)
        assert each.step_pct == pytest.approx(20 * np.polyfit(rsi[at], moves, 1)[0])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_direction_is_told_from_chance(sign: int) -> None:
    rsi, close = market(3_000, 3)
    pull = 1.0 + sign * 0.00004 * (np.nan_to_num(rsi, nan=50.0) - 50.0)  # at RSI 70 a fifth of a usual move
    pulled = np.rint(close * np.concatenate(([1.0], np.cumprod(pull[:-1])))).astype(np.int64)
    found = {each.ahead: each for each in directions(rsi, pulled, WARMUP, 1)}
    assert sign * found[1].step_pct > 0.05
    assert found[1].p < 0.01


def test_where_nothing_follows_one_study_of_twenty_says_otherwise() -> None:
    studies = [min(each.p for each in directions(*market(2_000, seed), WARMUP, 1)) for seed in range(60)]
    assert np.mean(np.array(studies) <= 0.05) <= 0.13  # of 60 at 5 %: more has a probability of 0.01


def test_a_few_blocks_say_nothing_of_a_direction() -> None:
    assert directions(*market(200, 3), WARMUP, 1)[-1].ahead == 1
    assert directions(*market(40, 3), WARMUP, 1) == ()


def test_one_seed_is_one_answer() -> None:
    assert levels(*market(1_000, 4), WARMUP, 7) == levels(*market(1_000, 4), WARMUP, 7)
    assert directions(*market(1_000, 4), WARMUP, 7) == directions(*market(1_000, 4), WARMUP, 7)
