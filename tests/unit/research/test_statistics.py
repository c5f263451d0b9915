"""The numbers of a run, against sums done by hand and against slow, obvious versions."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_run import BALANCE_MINOR, START_MS, data_of, result_of, sample_run, trade_of, walk

from palmbot.core.types import Params, Reason, Side, StopKind
from palmbot.model import Refusal
from palmbot.research.bootstrap import Band, band_of, mean_block_length, resample_indices, trade_bands
from palmbot.research.result import Costs
from palmbot.research.statistics import (
    Summary,
    drawdown_at_risk_pct,
    geometry_win_rate,
    max_drawdown_pct,
    observations_a_year,
    summarize,
)
from palmbot.units import DAY_MS, HOUR_MS, PX

MONEY = st.integers(-20_000, 20_000)


def summary_of(*pnl_minor: int, seed: int = 1) -> Summary:
    trades = tuple(trade_of(pnl) for pnl in pnl_minor)
    return summarize(result_of(trades, [BALANCE_MINOR + sum(pnl_minor)] * 3), data_of(walk(3)), seed)


def bands_of(pnl_minor: Sequence[int], seed: int = 1, mean_block: float | None = None) -> tuple[Band, Band]:
    pnl = np.array(pnl_minor, dtype=np.int64)
    bands = trade_bands(pnl, pnl / 10_000, seed, mean_block)
    assert bands.win_rate is not None
    assert bands.profit_factor is not None
    return bands.win_rate, bands.profit_factor


def width(band: Band) -> float:
    assert band.hi is not None
    return band.hi - band.lo


# --- win rate, profit factor, expectancy


def test_five_trades_done_by_hand() -> None:
    summary = summary_of(15_000, -10_000, 6_000, -4_000, 0)
    assert (summary.trades, summary.wins, summary.losses) == (5, 2, 2)
    assert summary.win_rate == 2 / 5
    assert summary.profit_factor == 21_000 / 14_000
    assert summary.expectancy_minor == 7_000 / 5
    assert summary.expectancy_r == pytest.approx((1.5 - 1.0 + 0.6 - 0.4 + 0.0) / 5)
    assert summary.net_minor == 7_000
    assert summary.return_pct == pytest.approx(0.07)


def test_the_profit_factor_is_null_when_no_trade_lost() -> None:
    summary = summary_of(100, 200, 300)
    assert summary.profit_factor is None
    assert summary.profit_factor_band is None
    assert summary.win_rate == 1.0
    assert summary.win_rate_band == Band(1.0, 1.0)


def test_a_run_without_trades_has_numbers_for_nothing_that_needs_trades() -> None:
    summary = summary_of()
    assert summary.win_rate is None
    assert summary.profit_factor is None
    assert summary.expectancy_minor is None
    assert summary.expectancy_r is None
    assert summary.max_drawdown_at_1pct_risk_pct is None
    assert summary.win_rate_band is None


def test_a_trade_of_unknown_risk_counts_in_money_and_not_in_r() -> None:
    trades = (trade_of(10_000), trade_of(-30_000, risk_minor=0.0))
    summary = summarize(result_of(trades, [BALANCE_MINOR]), data_of(walk(1)))
    assert summary.expectancy_r == 1.0
    assert summary.expectancy_r_band == Band(1.0, 1.0)
    assert summary.expectancy_minor == -10_000


def test_realised_over_planned_looks_only_at_losses_that_ended_at_the_stop() -> None:
    trades = (
        trade_of(-11_000),
        trade_of(-25_000),
        trade_of(-90_000, exit_reason=int(Reason.BREAKER_DAILY)),
        trade_of(5_000, exit_reason=int(Reason.SL)),
    )
    summary = summarize(result_of(trades, [BALANCE_MINOR]), data_of(walk(1)))
    assert summary.stops == 2
    assert summary.stop_loss_ratio_mean == pytest.approx(1.8)
    assert summary.stop_loss_ratio_worst == pytest.approx(2.5)


def test_reasons_are_counted_by_name_the_most_frequent_first() -> None:
    refusals = tuple(Refusal(0, 1, int(reason)) for reason in (36, 30, 30, 30, 36, 34))
    result = result_of((trade_of(-1), trade_of(1), trade_of(-1)), [1], refusals=refusals, halts=((5, 3), (6, 3)))
    summary = summarize(result, data_of(walk(1)))
    assert summary.exits == (("SL", 2), ("TP", 1))
    assert summary.refusals == (("STOP_TOO_CLOSE", 3), ("BROKER_REJECTED", 2), ("NOT_ENOUGH_MONEY", 1))
    assert summary.breakers == (("DAILY_LOSS", 2),)


def test_the_geometry_win_rate_is_stop_over_stop_plus_target() -> None:
    assert geometry_win_rate(Params()) == 15 / 35
    atr = Params(stop_kind=int(StopKind.ATR), sl_atr=4.0, tp_atr=6.0)
    assert geometry_win_rate(atr) == 0.4


@pytest.mark.parametrize(
    "params", [Params(trail_ppm=1), Params(max_bars=9), Params(rsi_exit=50.0), Params(flat_before=4)]
)
def test_there_is_no_geometry_win_rate_where_something_else_may_end_a_trade(params: Params) -> None:
    assert geometry_win_rate(params) is None


# --- bands


def exact_plain_band(pnl: Sequence[int]) -> tuple[Fraction | None, Fraction | None]:
    """Return the 5 and 95 % points of the profit factor over all n^n samples, taken outwards."""
    factors: list[Fraction | None] = []
    for sample in itertools.product(pnl, repeat=len(pnl)):
        gain, loss = sum(p for p in sample if p > 0), -sum(p for p in sample if p < 0)
        factors.append(Fraction(gain, loss) if loss else None)
    factors.sort(key=lambda factor: math.inf if factor is None else factor)
    return factors[math.floor(0.05 * (len(factors) - 1))], factors[math.ceil(0.95 * (len(factors) - 1))]


def test_the_plain_band_of_the_profit_factor_is_that_of_every_possible_sample() -> None:
    pnl = [300, -100, -200, -100, 150, -50]
    low, high = exact_plain_band(pnl)
    assert low is not None
    assert high is not None
    _, band = bands_of(pnl, mean_block=1.0)
    assert band.lo == pytest.approx(float(low), abs=0.08)
    assert band.hi == pytest.approx(float(high), rel=0.1)


def test_the_plain_band_of_the_win_rate_is_the_binomial_one() -> None:
    count, wins = 120, 48

    def at_most(k: int) -> float:
        return sum(math.comb(count, i) * 0.4**i * 0.6 ** (count - i) for i in range(k + 1))

    low = next(k for k in range(count) if at_most(k) >= 0.05)
    high = next(k for k in range(count) if at_most(k) >= 0.95)
    band, _ = bands_of([100] * wins + [-100] * (count - wins), mean_block=1.0)
    assert band.lo * count == pytest.approx(low, abs=1.01)
    assert band.hi is not None
    assert band.hi * count == pytest.approx(high, abs=1.01)


def test_equal_seeds_give_equal_bands_and_another_seed_another() -> None:
    pnl = (900, -1_000, 1_700, -800, 400, -1_100, 650, -300) * 4
    first, again, other = (summary_of(*pnl, seed=seed).profit_factor_band for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_fewer_trades_of_the_same_kind_give_a_wider_band() -> None:
    kind = [700, -500, 300, -400, -200]
    few, many = bands_of(kind * 3), bands_of(kind * 60)
    assert width(few[0]) > 2 * width(many[0])
    assert width(few[1]) > 2 * width(many[1])


def test_streaks_widen_the_band_that_a_plain_bootstrap_would_give() -> None:
    streaks = ([100] * 8 + [-100] * 8) * 6
    plain, blocks = bands_of(streaks, mean_block=1.0), bands_of(streaks)
    assert width(blocks[0]) > 1.3 * width(plain[0])


@pytest.mark.parametrize("pnl", [(), (100,), (-100,)])
def test_below_two_trades_there_is_no_band(pnl: tuple[int, ...]) -> None:
    summary = summary_of(*pnl)
    assert summary.win_rate_band is None
    assert summary.profit_factor_band is None
    assert summary.expectancy_r_band is None


def test_a_band_has_no_upper_end_where_a_sample_may_well_lack_a_loss() -> None:
    _, band = bands_of([100] * 30 + [-100])
    assert band.hi is None
    assert summary_of(*[100] * 30, -100).to_json()["summary"]["profit_factor_band"] == [band.lo, None]


def test_undefined_samples_do_not_count() -> None:
    assert band_of(np.array([np.nan, np.nan])) is None
    assert band_of(np.array([np.nan, 2.0])) == Band(2.0, 2.0)


@given(st.integers(1, 40), st.floats(1.0, 12.0), st.integers(0, 2**32 - 1))
def test_a_sample_is_a_chain_of_circular_blocks_as_long_as_the_list(count: int, block: float, seed: int) -> None:
    indices = resample_indices(count, 5, block, np.random.default_rng(seed))
    assert indices.shape == (5, count)
    assert indices.min() >= 0
    assert indices.max() < count


def test_blocks_have_the_mean_length_they_were_asked_for() -> None:
    count, block = 500, 6.0
    indices = resample_indices(count, 400, block, np.random.default_rng(3))
    breaks = (indices[:, 1:] != (indices[:, :-1] + 1) % count).mean()
    assert 1 / breaks == pytest.approx(block, rel=0.03)
    assert mean_block_length(125) == pytest.approx(5.0)


# --- drawdown


def naive_drawdown_pct(start: int, equity: Sequence[int], low: Sequence[int]) -> Fraction:
    worst = Fraction(0)
    for j, value in enumerate(low):
        peak = max(start, *equity[:j]) if j else start
        worst = max(worst, Fraction(100 * (peak - value), peak))
    return worst


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), max_size=25), st.integers(1, 10**6))
def test_the_drawdown_is_the_worst_fall_from_any_earlier_close(path: list[tuple[int, int]], start: int) -> None:
    equity = np.array([close for close, _ in path], dtype=np.int64)
    low = np.array([close - dip for close, dip in path], dtype=np.int64)
    expected = naive_drawdown_pct(start, equity.tolist(), low.tolist())
    assert max_drawdown_pct(start, equity, low) == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


def test_the_drawdown_sees_the_lowest_mark_but_not_the_same_bars_close_as_a_peak() -> None:
    # 100 -> dips to 90 and closes at 200: 10 % from the start, not 55 % from a close that came later
    assert max_drawdown_pct(100, np.array([200]), np.array([90])) == pytest.approx(10.0)
    assert max_drawdown_pct(100, np.array([200, 190]), np.array([90, 150])) == pytest.approx(25.0)


def test_the_drawdown_at_one_percent_risk_replays_the_trades_in_r() -> None:
    # 1 -> 0.99 -> 0.9801 -> 0.999702: the fall is 1.99 %
    assert drawdown_at_risk_pct(np.array([-1.0, -1.0, 2.0]), 0.01) == pytest.approx(1.99)
    assert drawdown_at_risk_pct(np.array([-150.0, 3.0]), 0.01) == 100.0
    assert summary_of(-10_000, -10_000, 20_000).max_drawdown_at_1pct_risk_pct == pytest.approx(1.99)


@given(st.lists(st.floats(-5, 5), max_size=30))
def test_the_drawdown_at_one_percent_risk_is_the_worst_pair_of_equities(r: list[float]) -> None:
    equity = [1.0]
    for value in r:
        equity.append(equity[-1] * (1 + 0.01 * value))
    pairs = itertools.combinations_with_replacement(equity, 2)
    expected = max(100 * (1 - later / earlier) for earlier, later in pairs)
    assert drawdown_at_risk_pct(np.array(r), 0.01) == pytest.approx(expected, abs=1e-9)


# --- Sharpe and Sortino


def test_sharpe_and_sortino_of_five_days_done_by_hand() -> None:
    equity = [10_100_000, 9_999_000, 10_198_980, 10_198_980, 10_300_000]
    summary = summarize(result_of((), equity), data_of(walk(5)))
    steps = [BALANCE_MINOR, *equity]
    returns = [after / before - 1 for before, after in itertools.pairwise(steps)]
    daily = statistics.mean(returns) / statistics.stdev(returns)
    assert summary.days == 5
    assert summary.sharpe == pytest.approx(daily * math.sqrt(252))
    downside = math.sqrt(sum(min(r, 0) ** 2 for r in returns) / 5)
    assert summary.sortino == pytest.approx(statistics.mean(returns) / downside * math.sqrt(252))
    error = 1.6449 * math.sqrt((1 + daily**2 / 2) / 5)
    assert summary.sharpe_band == pytest.approx([(daily + k * error) * math.sqrt(252) for k in (-1, 1)])


def test_a_day_is_a_trading_day_and_a_bar_that_ends_on_its_boundary_belongs_to_it() -> None:
    boundary_ms = START_MS // DAY_MS * DAY_MS + 11 * HOUR_MS  # 19:00 in Kuala Lumpur
    ends = np.array([boundary_ms - HOUR_MS, boundary_ms, boundary_ms + HOUR_MS, boundary_ms + DAY_MS])
    equity = [10_500_000, 10_100_000, 9_000_000, 10_200_000]
    summary = summarize(result_of((), equity, equity_ts_ms=ends), data_of(walk(4)))
    assert summary.days == 2
    returns = [10_100_000 / BALANCE_MINOR - 1, 10_200_000 / 10_100_000 - 1]
    assert summary.sharpe == pytest.approx(statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(252))


def test_a_flat_run_has_neither_sharpe_nor_sortino() -> None:
    summary = summary_of()
    assert summary.sharpe is None
    assert summary.sharpe_band is None
    assert summary.sortino is None


def test_longer_bars_than_a_day_give_fewer_returns_a_year() -> None:
    assert observations_a_year(HOUR_MS) == observations_a_year(DAY_MS) == 252
    assert observations_a_year(7 * DAY_MS) == pytest.approx(52.18, abs=0.01)


def test_days_after_ruin_have_no_return() -> None:
    summary = summarize(result_of((), [5_000_000, -1, 100]), data_of(walk(3)))
    assert summary.days == 2


# --- the contract


def test_the_json_has_every_key_of_the_contract_with_plain_values() -> None:
    long = trade_of(1_234, volume_cu=50, entry_px=4_000 * PX + 50_000, exit_px=4_010.25 * PX)
    short = trade_of(-500, side=int(Side.SHORT), exit_reason=int(Reason.TRAIL), risk_minor=499.6)
    costs = Costs(-200, -50, -25, 0, 0)
    result = result_of((long, short), [BALANCE_MINOR, BALANCE_MINOR + 734], costs=costs)
    said = json.loads(json.dumps(summarize(result, data_of(walk(2))).to_json(), allow_nan=False))
    assert said["trades"][0] == {
        "entry_ms": long.entry_ms,
        "exit_ms": long.exit_ms,
        "side": "long",
        "volume_cu": 50,
        "entry_price": 4_000.5,
        "exit_price": 4_010.25,
        "exit_reason": "TP",
        "pnl_minor": 1_234,
        "gross_minor": 1_234,
        "swap_minor": 0,
        "commission_minor": 0,
        "fee_minor": 0,
        "risk_minor": 10_000,
    }
    assert said["trades"][1]["side"] == "short"
    assert said["trades"][1]["exit_reason"] == "TRAIL"
    assert said["trades"][1]["risk_minor"] == 500
    numbers = said["summary"]
    assert numbers["trades"] == 2
    assert numbers["win_rate"] == 0.5
    assert numbers["profit_factor"] == 1_234 / 500
    assert len(numbers["profit_factor_band"]) == 2
    assert numbers["max_drawdown_pct"] == 0.0
    assert numbers["balance_minor"] == numbers["equity_minor"] == BALANCE_MINOR + 734
    assert numbers["money_digits"] == 2
    assert numbers["costs"]["spread_minor"] == -200
    assert numbers["exits"] == {"TP": 1, "TRAIL": 1}


@given(st.lists(MONEY, max_size=12), st.integers(0, 99))
def test_any_list_of_trades_gives_json_without_nan_and_ordered_bands(pnl: list[int], seed: int) -> None:
    said = summary_of(*pnl, seed=seed).to_json()["summary"]
    json.dumps(said, allow_nan=False)
    for name in ("win_rate_band", "profit_factor_band", "expectancy_r_band"):
        if said[name] is not None and said[name][1] is not None:
            assert said[name][0] <= said[name][1]


def test_the_numbers_of_a_whole_run_agree_with_its_trades() -> None:
    result, data = sample_run(600)
    summary = summarize(result, data)
    assert summary.trades > 20
    assert summary.balance_minor == BALANCE_MINOR + sum(trade.pnl_minor for trade in result.trades)
    assert sum(count for _, count in summary.exits) == summary.trades
    assert summary.expectancy_minor == round(sum(trade.pnl_minor for trade in result.trades) / summary.trades)
