"""``python -m bench.study [--bars F] [--sentiment F] [--threads N]``: a walk-forward with everything, timed.

1,800 combinations of RSI low x high x sentiment x target x stop, 10 windows rolling and anchored, 199 surrogates of
each kind, on 3,178 daily bars: what ``palmbot walk-forward`` does, in one process, compiled beforehand. Without
``--bars`` the bars are SYNTHETIC; a file is read as a proportionally adjusted series. Sentiment is SYNTHETIC unless a
file has it. The seconds of each stage are told: where the time goes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from bench.figures import machine, rss_mb
from bench.planted import BALANCE_MINOR, COSTS, data_of, walk
from palmbot.core.types import Params
from palmbot.exchange.market_arrays import synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.research.data import load
from palmbot.research.evaluate import on_threads
from palmbot.research.grid import searcher
from palmbot.research.result import DataSet
from palmbot.research.study import StudySettings, study
from palmbot.settings import DataSettings, resolve_params
from palmbot.units import DAY_MS

BARS = 3_178
AIM_S = 30.0
COMBINATIONS = 1_800
AXES: dict[str, list[float]] = {
    "rsi_low": [20.0, 25.0, 30.0, 35.0, 40.0],
    "rsi_high": [60.0, 65.0, 70.0, 75.0, 80.0],
    "sentiment_long": [20.0, 40.0],
    "sentiment_short": [-40.0, -20.0],
    "tp_ppm": [15_000, 20_000, 30_000],
    "sl_ppm": [10_000, 12_000, 14_000, 16_000, 18_000, 20_000],
}


def series_of(bars: Path | None, sentiment: Path | None) -> DataSet:
    """Return the bars of a file, or SYNTHETIC ones as many and as wild as palm oil's days."""
    if bars is None:
        data = data_of(walk(BARS, 1, volatility=0.016, moods=0.3, period_ms=DAY_MS))
        return replace(data, sentiment=synthetic_sentiment(data.bars, 1))
    settings = DataSettings(file=bars, sentiment_file=sentiment, adjustment="proportional")
    data = load(settings, replace(PALM_OIL, core=COSTS))
    return data if sentiment is not None else replace(data, sentiment=synthetic_sentiment(data.bars, 1))


def measure(bars: Path | None = None, sentiment: Path | None = None, threads: int | None = None) -> dict[str, Any]:
    """Return how long it took, and where the time went."""
    workers = threads or len(os.sched_getaffinity(0))
    data, base = series_of(bars, sentiment), resolve_params(Params(), DAY_MS)
    search = searcher(base, AXES, COMBINATIONS, 1, on_threads(BALANCE_MINOR, 1))
    settings = StudySettings("rsi_sentiment", BALANCE_MINOR, perf_counter, threads=workers)
    study(data, search, base, replace(settings, windows=1, surrogates=1), lambda _stage, _share: None)
    times, told = _timed()
    began = process_time()
    made = study(data, search, base, settings, told)
    told("end", 1.0)
    return {
        "bars": data.bars.ts_ms.shape[0],
        "synthetic": data.synthetic,
        "combinations": made.search.trials,
        "windows": settings.windows,
        "surrogates": 2 * settings.surrogates,
        "trades": made.evidence.trades,
        "verdict": made.verdict.word,
        "threads": workers,
        "seconds": round(made.seconds, 2),
        "of_aim": round(made.seconds / AIM_S, 2),
        "cpu_s": round(process_time() - began, 2),
        "stages_s": {name: round(seconds, 2) for name, seconds in times.items() if name != "done"},
        "rss_mb": rss_mb(),
        **machine(),
    }


def _timed() -> tuple[dict[str, float], Callable[[str, float], None]]:
    """Return seconds by stage, and what is to be told of progress to fill them."""
    times: dict[str, float] = {}
    last: list[tuple[str, float]] = []

    def told(stage: str, _share: float) -> None:
        now = perf_counter()
        if last:
            before, since = last.pop()
            times[before] = times.get(before, 0.0) + now - since
        last.append((stage, now))

    return times, told


def main(arguments: list[str]) -> int:
    """Measure and print one JSON object; return 1 where the aim was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.study", description="A walk-forward with everything, timed.")
    parser.add_argument("--bars", type=Path, help="daily bars, proportionally adjusted; default: SYNTHETIC")
    parser.add_argument("--sentiment", type=Path)
    parser.add_argument("--threads", type=int, help="default: every core")
    asked = parser.parse_args(arguments)
    figures = measure(asked.bars, asked.sentiment, asked.threads)
    print(json.dumps(figures, indent=2))
    return 0 if figures["seconds"] <= AIM_S else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
