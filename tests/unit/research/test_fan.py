"""The fan of chance: drawn paths of equity and how far they fall."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.core.types import Float64Array
from palmbot.research.evidence import Fan
from palmbot.research.fan import fan
from palmbot.research.statistics import drawdown_at_risk_pct


def drawn(r: Float64Array | list[float], risk_fraction: float = 0.005, seed: int = 1, paths: int = 500) -> Fan:
    found = fan(np.array(r), risk_fraction, seed, paths=paths)
    assert found is not None
    return found


def trades(count: int = 300, seed: int = 1) -> Float64Array:
    return np.where(np.random.default_rng(seed).random(count) < 0.5, 1.3, -1.0)


def test_the_median_path_ends_near_what_the_trades_came_to() -> None:
    r = trades()
    found = drawn(r)
    assert found.levels == (0.05, 0.5, 0.95)
    assert found.equity.shape == (3, 300)
    assert found.equity[1, -1] == pytest.approx(np.prod(1 + 0.005 * r), rel=0.05)
    assert (np.diff(found.equity, axis=0) >= 0).all()
    assert found.equity[0, -1] < found.equity[1, -1] < found.equity[2, -1]


def test_the_real_drawdown_lies_within_the_fan() -> None:
    r = trades()
    found = drawn(r)
    assert found.drawdown_at_1pct_pct[0] < drawdown_at_risk_pct(r, 0.01) < found.drawdown_at_1pct_pct[2]
    assert found.drawdown_pct[0] < drawdown_at_risk_pct(r, 0.005) < found.drawdown_pct[2]


def test_at_one_percent_of_risk_a_trade_both_drawdowns_are_one() -> None:
    found = drawn(trades(), risk_fraction=0.01)
    assert found.drawdown_pct == found.drawdown_at_1pct_pct
    assert drawn(trades(), risk_fraction=0.02).drawdown_pct > found.drawdown_pct


def test_equal_trades_leave_nothing_to_chance() -> None:
    found = drawn([-1.0] * 10, risk_fraction=0.02)
    assert found.equity == pytest.approx(np.tile(0.98 ** np.arange(1, 11), (3, 1)))
    assert found.drawdown_pct == pytest.approx((100 * (1 - 0.98**10),) * 3)
    assert drawn([1.0] * 10).drawdown_pct == (0.0, 0.0, 0.0)


def test_a_loss_of_everything_is_final() -> None:
    found = drawn([-1.0, -1.0, -1.0], risk_fraction=1.5)
    assert found.equity.tolist() == [[0.0] * 3] * 3
    assert found.drawdown_pct == (100.0, 100.0, 100.0)


def test_blocks_keep_losing_streaks_together() -> None:
    """Trades that lose in a row fall further than the same trades in a lucky order."""
    streaks = np.tile(np.repeat([1.0, -1.0], 50), 6)
    mixed = np.tile([1.0, -1.0], 300)
    assert drawn(streaks).drawdown_pct[1] > 1.5 * drawn(mixed).drawdown_pct[1]


def test_trades_of_unknown_risk_are_left_out() -> None:
    r = trades(20)
    gaps = np.insert(r, [0, 7], np.nan)
    assert np.array_equal(drawn(gaps).equity, drawn(r).equity)


@pytest.mark.parametrize("r", [[], [1.0], [np.nan, np.nan, 1.0]])
def test_less_than_two_trades_have_no_fan(r: list[float]) -> None:
    assert fan(np.array(r), 0.005, 1) is None


def test_a_fan_is_decided_by_its_seed() -> None:
    assert np.array_equal(drawn(trades(), seed=3).equity, drawn(trades(), seed=3).equity)
    assert not np.array_equal(drawn(trades(), seed=3).equity, drawn(trades(), seed=4).equity)


def test_very_many_trades_take_fewer_paths_and_no_more_memory() -> None:
    found = drawn(trades(30_000), paths=100_000)
    assert found.equity.shape == (3, 30_000)
