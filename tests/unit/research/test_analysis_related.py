"""Other markets in an analysis: what each did before a trade, held against the trade's result."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, walk

from palmbot.bootstrap.analyze import run_analyze
from palmbot.core.types import Profile
from palmbot.instruments import PALM_OIL
from palmbot.research import backtest
from palmbot.research.advice import advice
from palmbot.research.analysis import Analysis, analyse
from palmbot.research.analysis_files import write_analysis
from palmbot.research.known import RelatedSeries
from palmbot.research.moments import bar_of, moments_of
from palmbot.research.store import write_series
from palmbot.settings import DataSettings, OptimizeSettings, RelatedSettings, Settings
from palmbot.units import DAY_MS, HOUR_MS

BARS = 1_000
RULE = BASE._replace(losses_max=0, drawdown_bp=0, daily_loss_bp=0, spike_bp=0, open_gap_max_bp=0)


@cache
def found() -> Analysis:
    """Return the analysis of a SYNTHETIC walk beside two markets: one that foreknows each trade, one of mere luck."""
    data = data_of(walk(BARS, 3))
    moments = moments_of(backtest.run(data, "rsi_sentiment", RULE, BALANCE_MINOR), data)
    bars = data.bars
    known_ms = bars.end_ms - 1  # of each bar a value just before its end
    log = np.random.default_rng(1).normal(0.0, 0.001, BARS).cumsum()
    steps = np.diff(log, prepend=0.0)
    decided = bar_of(bars, np.ascontiguousarray(moments["entry_ms"])) - 1
    steps[decided] = moments["side"] * moments["r"] * 0.01
    markets = {"seer": np.exp(steps.cumsum()), "luck": np.exp(log)}
    related = tuple(
        RelatedSeries(name, Path(f"{name}.csv"), known_ms, value, 7 * DAY_MS, 1, 0) for name, value in markets.items()
    )
    data = replace(data, related=related)
    return analyse(data, ("rsi_sentiment", RULE), BALANCE_MINOR, 1, 1, lambda *_: None)


def test_each_market_has_both_correlations_and_no_part_in_those_of_the_rule() -> None:
    told = [(each.cause, each.kind) for each in found().associations]
    assert [each for each in told if each[1] != "multiple R"][-4:] == [
        (name, kind) for name in ("seer", "luck") for kind in ("Pearson", "Spearman")
    ]
    assert not any("seer" in cause for cause, kind in told if kind == "multiple R")
    by_name = {(each.cause, each.kind): each for each in found().associations}
    seer, luck = by_name["seer", "Pearson"], by_name["luck", "Pearson"]
    assert seer.value == pytest.approx(1.0, abs=1e-9)
    assert seer.band is not None
    assert seer.p is not None
    assert seer.p < 0.01
    assert luck.p is not None
    assert luck.p > 0.05


def test_a_market_that_foreknew_is_recommended_to_be_looked_at_and_luck_is_not() -> None:
    said = " ".join(advice(found()).recommendations)
    assert "Look at seer before you trade: where it had moved with the trade, trades ended better" in said
    assert "luck" not in said


def test_the_change_known_at_each_trade_is_in_the_files(tmp_path: Path) -> None:
    analysis = found()
    write_analysis(analysis, advice(analysis), tmp_path)
    with (tmp_path / "trades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(analysis.moments) > 20
    for row, moment in zip(rows, analysis.moments, strict=True):
        assert float(row["seer_change_pct"]) == pytest.approx(moment["side"] * moment["r"], abs=1e-4)
    told = json.loads((tmp_path / "analysis.json").read_text("utf-8"))
    assert [(each["name"], each["trades"]) for each in told["related"]] == [
        (name, len(rows)) for name in ("seer", "luck")
    ]
    assert {"seer", "luck"} <= {each["cause"] for each in told["correlations"]}


def test_the_command_reads_the_files_that_the_settings_name(tmp_path: Path) -> None:
    data = data_of(walk(BARS, 3))
    write_series(tmp_path / "bars.parquet", data)
    days = np.unique(data.bars.ts_ms // DAY_MS).astype("datetime64[D]").astype(str).tolist()
    (tmp_path / "soy.csv").write_text(
        "\n".join(["date,close", *(f"{day},{30 + index % 7}" for index, day in enumerate(days))]), "utf-8"
    )
    trend = RULE._replace(profile=int(Profile.RSI_TREND), rsi_high=55.0)
    told = DataSettings(
        file=tmp_path / "bars.parquet", related=(RelatedSettings("soy", tmp_path / "soy.csv", 20 * HOUR_MS),)
    )
    settings = Settings(
        tmp_path, "rsi_trend", trend, PALM_OIL, BALANCE_MINOR, told, optimize=OptimizeSettings(workers=1)
    )
    study = run_analyze(settings, tmp_path / "study", lambda *_: None)
    assert np.isfinite(study.analysis.related["soy"]).sum() == study.to_json()["related"][0]["trades"] > 10
