"""An analysis as a whole: maps, refused trades, what followed each RSI, the advice, and the files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, planted, walk

from palmbot.core.types import Reason, SentimentArrays
from palmbot.errors import UsageError
from palmbot.model import Refusal
from palmbot.research import backtest, windows
from palmbot.research.advice import advice
from palmbot.research.aftermath import LEVEL_BARS_MIN, aftermath
from palmbot.research.analysis import Analysis, analyse
from palmbot.research.analysis_files import write_analysis
from palmbot.research.shadows import refused, shadows_of
from palmbot.research.thresholds import thresholds

BARS = 3_000
RULE = BASE._replace(losses_max=0, drawdown_bp=0, daily_loss_bp=0, spike_bp=0, open_gap_max_bp=0)


@cache
def edge() -> Analysis:
    """Return the analysis of a market in which a stretched RSI truly turns."""
    return analyse(data_of(planted(BARS, 1)), ("rsi_sentiment", RULE), BALANCE_MINOR, 1, 1, lambda *_: None)


@cache
def noise() -> Analysis:
    """Return the analysis of a market of mere luck."""
    return analyse(data_of(walk(BARS, 2)), ("rsi_sentiment", RULE), BALANCE_MINOR, 1, 1, lambda *_: None)


def test_every_trade_is_taken_apart_and_told() -> None:
    found = edge()
    assert len(found.moments) == found.summary.trades > 100
    assert found.to_json()["trades"] == found.summary.trades
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["correlations"]


def test_a_planted_edge_is_seen_after_each_level_and_in_the_advice() -> None:
    said = advice(edge())
    assert any("Strength was followed by weakness" in each for each in said.recommendations)
    assert "hypothesis" in said.recommendations[-1]


def test_on_noise_there_is_nothing_to_recommend_and_that_is_said() -> None:
    said = advice(noise())
    assert len(said.recommendations) == 1
    assert said.recommendations[0].startswith("There is nothing to recommend: no number of this study is told apart")


def test_what_followed_an_rsi_is_its_move_beyond_the_drift() -> None:
    close = np.cumprod(np.full(400, 1.001)) * 400_000_000
    rsi = np.tile([25.0, 75.0], 200)
    close[1::2] *= 1.01  # after a low RSI the price rises, after a high one it falls
    found = {each.low: each for each in aftermath(rsi, np.rint(close).astype(np.int64), 1, 1) if each.ahead == 1}
    assert found[20].mean_pct == pytest.approx(-(found[70].mean_pct or 0), rel=0.02)
    assert (found[20].mean_pct or 0) > 0.9
    assert found[20].band is not None
    assert found[20].band.lo > 0.9


def test_a_level_with_few_bars_says_nothing() -> None:
    rsi = np.full(100, 55.0)
    rsi[: LEVEL_BARS_MIN - 1] = 10.0
    found = {(each.low, each.ahead): each for each in aftermath(rsi, np.arange(1, 101) * 1_000, 1, 1)}
    assert found[0, 1].mean_pct is None
    assert found[50, 1].mean_pct is not None


def test_a_map_looks_the_same_whatever_the_threads() -> None:
    data = data_of(walk(BARS, 3))
    one, two = (thresholds(data, RULE, BALANCE_MINOR, 1, each) for each in (1, 2))
    assert one is not None
    assert two is not None
    assert np.array_equal(one.in_sample.profit_factor, two.in_sample.profit_factor, equal_nan=True)
    assert (one.likeness, one.p) == (two.likeness, two.p)


def test_a_cell_of_the_map_is_a_backtest_of_its_part() -> None:
    data = data_of(walk(BARS, 3))
    maps = thresholds(data, RULE, BALANCE_MINOR, 1, 1)
    assert maps is not None
    cut = int(BARS * 0.7)
    part = windows.cut(data, 0, cut)
    row, column = 6, 5
    params = RULE._replace(rsi_low=maps.down[1][row], rsi_high=maps.across[1][column])
    trades = backtest.run(part, "rsi_sentiment", params, BALANCE_MINOR).trades
    won = sum(each.pnl_minor for each in trades if each.pnl_minor > 0)
    lost = -sum(each.pnl_minor for each in trades if each.pnl_minor < 0)
    assert maps.in_sample.trades[row, column] == len(trades)
    assert maps.in_sample.profit_factor[row, column] == won / lost


def test_maps_of_luck_are_alike_only_as_luck_makes_them() -> None:
    maps = noise().thresholds
    assert maps is not None
    assert maps.p is not None
    assert maps.p > 0.05


def test_a_series_shorter_than_two_warm_ups_has_no_map() -> None:
    assert thresholds(data_of(walk(700, 3)), RULE, BALANCE_MINOR, 1, 1) is None


def test_the_shadow_of_a_refused_signal_is_the_trade_that_would_have_been() -> None:
    data = data_of(walk(BARS, 4))
    full = backtest.run(data, "rsi_sentiment", RULE, BALANCE_MINOR)
    ends = data.bars.end_ms
    first = full.trades[20]
    decided = int(np.searchsorted(data.bars.ts_ms, first.entry_ms, side="right")) - 2
    refusal = Refusal(int(ends[decided]), first.side, int(Reason.SENTIMENT_WEAK))
    shadows = shadows_of(replace(full, refusals=(refusal,)), data)
    assert [(row["entry_ms"], row["exit_ms"], row["side"], row["exit_reason"]) for row in shadows] == [
        (first.entry_ms, first.exit_ms, first.side, first.exit_reason)
    ]
    assert shadows["r"][0] == pytest.approx(first.pnl_minor / first.risk_minor, abs=0.02)  # the volume is another


def test_shadows_do_not_overlap() -> None:
    data = data_of(walk(BARS, 4))
    silent = replace(data, sentiment=SentimentArrays(np.zeros(0, np.int64), np.zeros(0)))
    result = backtest.run(silent, "rsi_sentiment", RULE, BALANCE_MINOR)
    shadows = shadows_of(result, silent)
    assert len(shadows) > 30
    assert np.all(shadows["bar_end_ms"][1:] >= shadows["exit_ms"][:-1])
    (told,) = refused(result, shadows, 1)
    assert (told.reason, told.shadows) == (Reason.SENTIMENT_ABSENT, len(shadows))
    assert told.refusals == len(result.refusals) > len(shadows)


def test_a_signal_that_no_order_could_follow_has_no_shadow() -> None:
    data = data_of(walk(BARS, 4))
    tight = RULE._replace(sl_ppm=100)
    result = backtest.run(data, "rsi_sentiment", tight, BALANCE_MINOR)
    assert {each.reason for each in result.refusals} == {Reason.STOP_TOO_CLOSE}
    assert len(shadows_of(result, data)) == 0


def test_files_hold_every_trade_and_one_study_is_the_same_files_to_the_byte(tmp_path: Path) -> None:
    found = edge()
    pdf, trades, *rest = first = write_analysis(found, advice(found), tmp_path / "a")
    assert {each.name for each in rest} == {
        "refused.csv", "analysis.json", "equity.png", "thresholds.png", "after-rsi.png", "scatter.png",
        "breakdowns.png", "excursions.png",
    }  # fmt: skip
    assert pdf.read_bytes().startswith(b"%PDF")
    with trades.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["r"]) for row in rows] == pytest.approx(found.moments["r"].tolist(), abs=1e-4)
    again = write_analysis(found, advice(found), tmp_path / "b")
    assert [each.read_bytes() for each in first] == [each.read_bytes() for each in again]


def test_no_trades_make_a_study_that_says_so(tmp_path: Path) -> None:
    never = RULE._replace(rsi_low=0.0, rsi_high=100.0)
    found = analyse(data_of(walk(BARS, 5)), ("rsi_sentiment", never), BALANCE_MINOR, 1, 1, lambda *_: None)
    said = advice(found)
    assert said.findings[0].startswith("No trade was closed")
    assert write_analysis(found, said, tmp_path)[0].exists()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", "utf-8")
    with pytest.raises(UsageError, match="OUTPUT_NOT_WRITABLE"):
        write_analysis(edge(), advice(edge()), tmp_path / "taken")
