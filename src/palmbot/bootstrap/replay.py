"""Wires the backtest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from palmbot.bootstrap.outcome import Output, write_files
from palmbot.bootstrap.provenance import noted
from palmbot.errors import UsageError
from palmbot.research import backtest, data
from palmbot.research.statistics import summarize
from palmbot.settings import Settings

Progress = Callable[[str, float], None]


def run_backtest(settings: Settings, out: Path | None, progress: Progress) -> Output:
    """Replay the data once; with ``out`` write trades.csv, equity.csv and report.html there."""
    if settings.data.file is None:
        raise UsageError("DATA_MISSING", "Name the bars to trade: palmbot backtest --data FILE.")
    progress("load", 0.1)
    series = noted(settings.found, data.load(settings.data, settings.instrument))
    params = settings.params_for(series.period_ms)
    progress("replay", 0.3)
    result = backtest.run(series, settings.profile, params, settings.balance_minor)
    progress("statistics", 0.7)
    summary = summarize(result, series)
    if out is not None:
        write_files(result, series, summary, out)
    progress("done", 1.0)
    return Output(result, series, summary, out)
