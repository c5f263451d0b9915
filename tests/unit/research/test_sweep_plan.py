"""What combinations share: named once, and only what is the same."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.core.types import Params, StopKind
from palmbot.research import sweep_plan
from palmbot.research.sweep_params import TABLE, grid_of, table_of
from palmbot.research.sweep_plan import distinct, plan_of


def groups(*combinations: Params) -> int:
    """Return into how many brackets ``combinations`` fall."""
    return len(set(plan_of(table_of(combinations)).lanes.group.tolist()))


def test_only_what_ends_or_sizes_a_trade_makes_a_bracket() -> None:
    base = Params()
    assert groups(base, base._replace(rsi_low=25.0, sentiment_long=5.0, warmup_bars=9, daily_loss_bp=1)) == 1
    assert groups(base, base._replace(sl_atr=9.0, atr_period=3)) == 1  # idle: its stops are percent
    assert groups(base, base._replace(rsi_period=9, profile=1)) == 1  # idle: no RSI ends its trades
    for field in ("sl_ppm", "tp_ppm", "trail_ppm", "max_bars", "rsi_exit", "risk_fraction", "exposure_max"):
        assert groups(base, base._replace(**{field: getattr(base, field) + 1})) == 2, field
    atr = base._replace(stop_kind=int(StopKind.ATR))
    assert groups(atr, atr._replace(sl_ppm=1, trail_ppm=5)) == 1
    assert groups(atr, atr._replace(atr_period=9)) == 2
    assert groups(base, base._replace(gap_quantile=-0.5)) == 1  # off
    assert groups(base, base._replace(gap_quantile=0.5), base._replace(gap_quantile=0.9)) == 3
    assert groups(base, base._replace(flat_before=1), base._replace(flat_before=2)) == 3
    leaving = base._replace(rsi_exit=50.0)
    assert groups(leaving, leaving._replace(rsi_period=9)) == 2


def test_a_grid_asks_for_each_set_once() -> None:
    table = grid_of(Params(), {"sl_ppm": [1, 2, 3], "rsi_low": [20.0, 25.0, 30.0], "rsi_high": [70.0, 75.0]})
    plan = plan_of(table)
    assert plan.asks.shape == (1 + 3 + 2,)
    assert plan.permits.shape == (2,)
    assert plan.atr_periods.shape == (0,)
    assert len(set(plan.lanes.group.tolist())) == 3
    assert (np.diff(plan.lanes.group) >= 0).all()
    assert np.array_equal(plan.lanes.params, table[plan.order])


def test_the_empty_set_is_the_first() -> None:
    plan = plan_of(table_of([Params(allow_short=0)]))
    assert plan.asks.tolist()[0] == (0, 0, 0.0, 0)
    assert plan.lanes.sets[0, 0] == 0
    assert plan.lanes.out.tolist() == [[0, 0]]


def test_pauses_are_one_set_of_exits_for_both_sides() -> None:
    plan = plan_of(table_of([Params(flat_before=4)]))
    (short, long), entries = plan.lanes.out[0].tolist(), plan.lanes.sets[0, :2]
    assert short == long
    assert plan.asks[short].item() == (0, 0, 0.0, 4)
    assert (plan.asks[entries]["pauses"] == 0).all()


def test_each_quantile_of_gaps_is_worked_out_once() -> None:
    plan = plan_of(grid_of(Params(), {"gap_quantile": [0.0, 0.9, 0.5], "sl_ppm": [1, 2]}))
    assert plan.quantiles.tolist() == [0.5, 0.9]
    assert [plan.quantiles[row] if row >= 0 else 0.0 for row in plan.lanes.gap] == plan.lanes.params[
        "gap_quantile"
    ].tolist()


@pytest.mark.parametrize("codes_max", [1 << 60, 2])
def test_rows_are_told_apart_by_every_field(monkeypatch: pytest.MonkeyPatch, codes_max: int) -> None:
    monkeypatch.setattr(sweep_plan, "_CODES_MAX", codes_max)
    rng = np.random.default_rng(4)
    rows = np.zeros(500, TABLE)
    for name in ("rsi_period", "rsi_low", "sl_ppm", "pause_ms"):
        rows[name] = rng.integers(0, 4, 500)
    different, which = distinct(rows)
    assert np.array_equal(different[which], rows)
    assert different.tolist() == sorted(set(rows.tolist()))
