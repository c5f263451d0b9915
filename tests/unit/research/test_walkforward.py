"""The walk-forward: one account over all tests, nothing of the future, and trades that belong to where they began."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, planted, walk
from tests.sample_study import searcher_of

from palmbot.core.types import BarArrays, Params
from palmbot.research import backtest
from palmbot.research.result import DataSet
from palmbot.research.statistics import summarize
from palmbot.research.walkforward import Choice, choices_of, choose, unseen, walk_forward, whole
from palmbot.research.windows import ANCHORED, ROLLING, Span, cut, spans_of
from palmbot.research.workers import threads

WARMUP = BASE.warmup_bars
# RSI(2) has forgotten everything after the warm-up, and no breaker remembers anything
FORGETFUL = BASE._replace(rsi_period=2, losses_max=0, daily_loss_bp=0, drawdown_bp=0, spike_bp=0, open_gap_max_bp=0)


def choices(data: DataSet, params: Params | None, windows: int = 6) -> tuple[Choice, ...]:
    """Return the same choice for each test."""
    spans = spans_of(data.bars.ts_ms.shape[0], WARMUP, windows, ROLLING, 20)
    return tuple(Choice(span, params, None) for span in spans)


def with_other_future(data: DataSet, bar: int) -> DataSet:
    """Return ``data`` with other prices from ``bar`` on."""
    columns = data.bars._asdict()
    for name in ("open_px", "high_px", "low_px", "close_px"):
        columns[name] = np.concatenate((columns[name][:bar], columns[name][bar:] * 3))
    return replace(data, bars=BarArrays(**columns))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_tests_of_one_set_of_parameters_are_one_long_run(seed: int) -> None:
    data = data_of(planted(3_000, seed))
    chosen = choices(data, FORGETFUL)
    walked = walk_forward(data, ROLLING, chosen, BALANCE_MINOR, 1)
    begin = chosen[0].span.test_from
    once = backtest.run(cut(data, begin - WARMUP, 3_000), "p", FORGETFUL, BALANCE_MINOR)
    assert walked.trades == once.trades
    assert len(once.trades) > 50
    assert walked.curve.equity_minor.tolist() == once.equity_minor[WARMUP:].tolist()
    assert walked.curve.low_minor.tolist() == once.equity_low_minor[WARMUP:].tolist()
    assert walked.curve.ts_ms.tolist() == data.bars.end_ms[begin:].tolist()
    summary = summarize(once, data)
    assert walked.tally.profit_factor == summary.profit_factor
    assert walked.tally.win_rate == summary.win_rate
    assert walked.tally.max_drawdown_pct == summary.max_drawdown_pct
    assert walked.tally.drawdown_at_1pct_pct == summary.max_drawdown_at_1pct_risk_pct
    assert walked.profit_factor_band == summary.profit_factor_band


def test_a_trade_belongs_to_the_test_that_it_was_entered_in_and_no_other_begins_before_it_ended() -> None:
    data = data_of(walk(4_000, 5))
    long = FORGETFUL._replace(sl_ppm=90_000, tp_ppm=90_000)
    walked = walk_forward(data, ROLLING, choices(data, long, 10), BALANCE_MINOR, 1)
    bars, crossing, at = data.bars, 0, 0
    for window in walked.windows:
        own = walked.trades[at : at + window.test.trades]
        at += window.test.trades
        for trade in own:
            assert bars.ts_ms[window.test_from] <= trade.entry_ms < bars.ts_ms[window.test_to - 1] + 3_600_000
            crossing += trade.exit_ms > window.test_to_ms
    assert crossing > 0
    assert at == len(walked.trades)
    assert all(one.exit_ms < other.entry_ms for one, other in pairwise(walked.trades))


def test_a_choice_sees_its_own_training_alone() -> None:
    data = data_of(planted(3_000, 2))
    spans = spans_of(3_000, WARMUP, 4, ANCHORED, 20)
    found = list(choose(data, searcher_of(), spans, WARMUP))
    for place, span in enumerate(spans):
        other = with_other_future(data, span.train_to)
        assert list(choose(other, searcher_of(), spans[: place + 1], WARMUP)) == found[: place + 1]
    assert found != list(choose(with_other_future(data, spans[0].train_to - 200), searcher_of(), spans, WARMUP))


def test_a_test_does_not_see_what_comes_after_it() -> None:
    data = data_of(planted(3_000, 2))
    chosen = choices(data, BASE)
    walked = walk_forward(data, ROLLING, chosen, BALANCE_MINOR, 1)
    end = chosen[2].span.test_to
    other = walk_forward(with_other_future(data, end), ROLLING, chosen, BALANCE_MINOR, 1)
    end_ms = int(data.bars.ts_ms[end])
    before = [trade for trade in walked.trades if trade.exit_ms < end_ms]
    assert len(before) > 10
    assert [trade for trade in other.trades if trade.exit_ms < end_ms] == before
    assert other.trades != walked.trades


def test_threads_do_not_change_what_is_chosen() -> None:
    data = data_of(planted(3_000, 3))
    spans = spans_of(3_000, WARMUP, 5, ROLLING, 20)
    assert list(choose(data, searcher_of(), spans, WARMUP, threads(3))) == list(
        choose(data, searcher_of(), spans, WARMUP)
    )


def test_a_test_without_a_choice_is_sat_out() -> None:
    data = data_of(planted(3_000, 1))
    chosen = choices(data, BASE)
    skipping = (*chosen[:2], replace(chosen[2], params=None), *chosen[3:])
    walked = walk_forward(data, ROLLING, skipping, BALANCE_MINOR, 1)
    assert walked.windows[2].test.trades == 0
    assert walked.windows[2].params is None
    assert walked.curve.ts_ms.shape == (3_000 - chosen[0].span.test_from,)
    assert choices_of(walked) == skipping
    nothing = walk_forward(data, ROLLING, choices(data, None), BALANCE_MINOR, 1)
    assert (nothing.tally.trades, nothing.tally.profit_factor, nothing.tally.max_drawdown_pct) == (0, None, 0.0)
    assert nothing.profit_factor_band is None


def test_nothing_is_traded_after_a_broker_closed_the_account() -> None:
    data = data_of(walk(3_000, 3))
    reckless = FORGETFUL._replace(risk_fraction=50.0, exposure_max=19.0, margin_share=1.0, sl_ppm=500_000, tp_ppm=5_000)
    chosen = choices(data, reckless)
    walked = walk_forward(data, ROLLING, chosen, BALANCE_MINOR, 1)
    assert walked.stopped_out_ms > 0
    assert all(trade.exit_ms <= walked.stopped_out_ms for trade in walked.trades)
    last = walked.curve.equity_minor[walked.curve.ts_ms > walked.stopped_out_ms]
    assert set(last.tolist()) == {int(last[0])}
    assert last[0] < BALANCE_MINOR
    assert unseen(data, chosen, BALANCE_MINOR) == walked.tally
    assert whole(data, reckless, BALANCE_MINOR)[0].stopped_out_ms > 0


def test_stop_and_target_alone_are_weighted_by_trades() -> None:
    data = data_of(planted(3_000, 1))
    one, other = BASE._replace(sl_ppm=10_000, tp_ppm=30_000), BASE._replace(sl_ppm=10_000, tp_ppm=10_000)
    chosen = choices(data, one, 2)
    walked = walk_forward(data, ROLLING, (chosen[0], replace(chosen[1], params=other)), BALANCE_MINOR, 1)
    first, second = (window.test for window in walked.windows)
    assert (first.geometry_win_rate, second.geometry_win_rate) == (0.25, 0.5)
    expected = (0.25 * first.trades + 0.5 * second.trades) / walked.tally.trades
    assert walked.tally.geometry_win_rate == pytest.approx(expected)
    trailing = replace(chosen[1], params=other._replace(trail_ppm=5_000))
    assert walk_forward(data, ROLLING, (chosen[0], trailing), BALANCE_MINOR, 1).tally.geometry_win_rate is None


def test_spans_come_back_from_windows() -> None:
    data = data_of(planted(3_000, 1))
    span = Span(250, 1_000, 1_100, 3_000, 30)
    walked = walk_forward(data, ROLLING, (Choice(span, BASE, None),), BALANCE_MINOR, 1)
    assert choices_of(walked)[0].span == span
