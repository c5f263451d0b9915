"""An analysis as a whole: maps, refused trades, what followed each RSI, the advice, and the files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, planted, walk

from palmbot.core.types import Profile, Reason, SentimentArrays
from palmbot.errors import UsageError
from palmbot.model import Refusal
from palmbot.research import backtest, windows
from palmbot.research.advice import FIELD_WORDS, advice
from palmbot.research.analysis import Analysis, analyse
from palmbot.research.analysis_files import write_analysis
from palmbot.research.figures import POINTS_MAX, drawn, equity
from palmbot.research.shadows import SHADOW, refused, shadows_of
from palmbot.research.sweep import Series, Sweep, sweep
from palmbot.research.sweep_params import Table
from palmbot.research.thresholds import AS_GOOD_MAX, SHUFFLES, NoMap, Thresholds, thresholds

BARS = 3_000
RULE = BASE._replace(losses_max=0, drawdown_bp=0, daily_loss_bp=0, spike_bp=0, open_gap_max_bp=0)
RULES = (RULE, BALANCE_MINOR)


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
    assert said.recommendations[0].startswith(
        "There is nothing to recommend: nothing that a rule could use is told apart"
    )


def test_every_number_that_is_judged_is_counted_and_the_count_is_told() -> None:
    found = edge()
    looks = found.to_json()["looks"]
    judged = [each.p for each in found.associations] + [each.p for each in found.directions]
    judged += [each.p for each in found.refused] + [group.p for table in found.breakdowns for group in table.groups]
    assert isinstance(found.thresholds, Thresholds)
    assert looks["total"] == sum(p is not None for p in [*judged, found.thresholds.p]) > 10
    assert looks["level"] == 0.05 / sum(count > 0 for count in looks["by_question"].values())
    assert f"Looked at {looks['total']} numbers" in advice(found).findings[1]


def test_of_analyses_of_noise_at_most_one_in_twenty_recommends_anything() -> None:
    """A few here; ``python -m bench.calibrate --analyses 200`` asks more of them, with sentiment and refusals."""
    rng = np.random.default_rng(1)
    recommending = 0
    for seed in range(16):
        data = data_of(walk(1_000, 100 + seed, moods=0.5))
        moods = replace(data, sentiment=SentimentArrays(data.bars.end_ms, np.asarray(rng.uniform(-100, 100, 1_000))))
        rule = RULE._replace(sentiment_long=0.0, sentiment_short=0.0)
        found = analyse(moods, ("rsi_sentiment", rule), BALANCE_MINOR, seed, 1, lambda *_: None)
        recommending += len(advice(found).recommendations) > 1
    assert recommending <= 2  # of 16 at 5 %: more has a probability of 0.04


def test_a_move_that_the_spread_swallows_is_seen_and_not_recommended() -> None:
    found = edge()
    wide = replace(found.data, spec=replace(found.data.spec, core=found.data.spec.core._replace(spread=20_000)))
    said = advice(replace(found, data=wide))
    assert any("no rule can live on it" in each for each in said.findings)
    assert said.recommendations[0].startswith("There is nothing to recommend")


def test_a_map_looks_the_same_whatever_the_threads() -> None:
    data = data_of(walk(BARS, 3))
    one, two = (thresholds(data, RULES, 1, each) for each in (1, 2))
    assert isinstance(one, Thresholds)
    assert isinstance(two, Thresholds)
    assert np.array_equal(one.in_sample.profit_factor, two.in_sample.profit_factor, equal_nan=True)
    assert (one.likeness, one.p) == (two.likeness, two.p)


def test_a_cell_of_the_map_is_a_backtest_of_its_part() -> None:
    data = data_of(walk(BARS, 3))
    maps = thresholds(data, RULES, 1, 1)
    assert isinstance(maps, Thresholds)
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
    assert isinstance(maps, Thresholds)
    assert maps.p is not None
    assert maps.p > 0.05


def test_a_series_shorter_than_two_warm_ups_has_no_map() -> None:
    assert thresholds(data_of(walk(700, 3)), RULES, 1, 1) is NoMap.SHORT


@pytest.mark.parametrize(
    ("ignored", "down", "across"), [({}, 5, 5), ({"rsi_low": 35.0}, 1, 13), ({"rsi_high": 65.0}, 13, 1)]
)
def test_the_map_of_a_rule_of_ones_own_has_the_axes_that_it_asks_for(
    ignored: dict[str, float], down: int, across: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmbot.research.thresholds.sweep", ruled_by(ignored))
    maps = thresholds(data_of(walk(BARS, 3)), (RULE._replace(profile=int(Profile.CUSTOM)), BALANCE_MINOR), 1, 2)
    assert isinstance(maps, Thresholds)
    assert (len(maps.down[1]), len(maps.across[1])) == (down, across) == maps.in_sample.trades.shape
    found = replace(edge(), thresholds=maps)
    said = [each for each in advice(found).findings if "changing it changes no trade" in each]
    assert [each.split(" for ")[1].split(":")[0] for each in said] == [FIELD_WORDS[name] for name in ignored]
    assert drawn(found)["thresholds"]


def test_a_rule_that_asks_for_no_threshold_has_no_map_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palmbot.research.thresholds.sweep", ruled_by({"rsi_low": 35.0, "rsi_high": 65.0}))
    rules = (RULE._replace(profile=int(Profile.CUSTOM)), BALANCE_MINOR)
    assert thresholds(data_of(walk(BARS, 3)), rules, 1, 1) is NoMap.IDLE
    found = replace(edge(), thresholds=NoMap.IDLE)
    assert NoMap.IDLE.value in advice(found).findings
    assert found.to_json()["thresholds"] is None
    assert "thresholds" not in drawn(found)


def ruled_by(ignored: dict[str, float]) -> Callable[..., Sweep]:
    """Return a sweep in which a custom rule is the built-in one, but for thresholds that it does not ask for."""

    def swept(series: Series, table: Table, balance_minor: int, *, threads: int = 1) -> Sweep:
        same = table.copy()
        same["profile"] = int(Profile.RSI_SENTIMENT)
        for name, value in ignored.items():
            same[name] = value
        return sweep(series, same, balance_minor, threads=threads)

    return swept


def test_luck_is_asked_no_longer_than_there_is_doubt() -> None:
    maps = noise().thresholds
    assert isinstance(maps, Thresholds)
    assert maps.p is not None
    assert any(maps.p == pytest.approx(AS_GOOD_MAX / number) for number in range(AS_GOOD_MAX, SHUFFLES + 1))


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


def test_shadows_are_those_of_a_backtest_that_begins_with_the_refused_bar() -> None:
    """Each on its own, from so far back that nothing older is left in any average."""
    data = data_of(walk(BARS, 6, moods=0.5))
    silent = replace(data, sentiment=SentimentArrays(np.zeros(0, np.int64), np.zeros(0)))
    result = backtest.run(silent, "rsi_sentiment", RULE, BALANCE_MINOR)
    wanted, busy_ms = [], 0
    for refusal in result.refusals:
        decided = int(np.searchsorted(data.bars.end_ms, refusal.bar_end_ms))
        if refusal.bar_end_ms < busy_ms:
            continue
        trades = backtest.run(data, "", RULE._replace(warmup_bars=decided + 1), BALANCE_MINOR).trades
        if trades and trades[0].entry_ms < data.bars.end_ms[decided + 1]:
            busy_ms = trades[0].exit_ms
            wanted.append((refusal.bar_end_ms, trades[0].entry_ms, busy_ms, trades[0].pnl_minor))
    columns = ["bar_end_ms", "entry_ms", "exit_ms", "pnl_minor"]
    assert shadows_of(result, data)[columns].tolist() == wanted
    assert len(wanted) > 30


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
    assert told.mean_r == pytest.approx(shadows["r"].mean())


def test_a_reason_that_refused_winners_stands_out_and_one_that_refused_at_random_does_not() -> None:
    result = edge().result
    shadows = np.zeros(120, SHADOW)
    shadows["reason"][60:] = Reason.LOSS_STREAK
    shadows["reason"][:60] = Reason.SENTIMENT_WEAK
    shadows["r"] = np.random.default_rng(1).standard_normal(120)
    shadows["r"][60:] += 1.0
    refusals = tuple(Refusal(0, 1, int(each)) for each in (*shadows["reason"], Reason.OPEN_GAP))
    found = {each.reason: each for each in refused(replace(result, refusals=refusals), shadows, 1)}
    assert (found[Reason.LOSS_STREAK].p or 1) < 0.01
    assert (found[Reason.SENTIMENT_WEAK].p or 0) > 0.05
    assert (found[Reason.OPEN_GAP].shadows, found[Reason.OPEN_GAP].p, found[Reason.OPEN_GAP].mean_r_band) == (
        0,
        None,
        None,
    )


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


def test_a_long_curve_is_drawn_by_its_highest_and_lowest_points() -> None:
    found, count = edge(), 100_001
    line = np.rint(1e8 + 1e5 * np.cumsum(np.random.default_rng(1).standard_normal(count))).astype(np.int64)
    long = replace(found.result, equity_ts_ms=np.arange(count), equity_minor=line, equity_low_minor=line)
    heights = np.asarray(equity(replace(found, result=long)).axes[0].lines[0].get_ydata(), np.float64)
    assert len(heights) <= POINTS_MAX + 2
    assert (heights.min(), heights.max()) == (line.min() / 100, line.max() / 100)


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
