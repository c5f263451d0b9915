"""``python -m bench.sweep [--bars F] [--threads N] [--json] [--search]``: the sweep against a bare compiled loop.

Job A (bare): 1,000 combinations of RSI(14) low x high x target x stop on 100,000 one-minute bars, costs, sentiment and
breakers off, the volume fixed. Job B (whole): the same of the built-in profile on the built-in instrument, swaps
charged, with sentiment. Job M: A with stops that move. The bare loop takes the same combinations over the same bars,
one after the other, on one thread. Everything a job needs is in its time: indicators, sets, planning, results. The jobs
are taken in turn, several rounds, and the least time counts, so that a busy machine disturbs all alike. Job A and the
bare loop have to close the same trades in each combination, for the same money, or the exit code is 1.

Without ``--bars`` the bars are SYNTHETIC: a random walk. A file may be whatever the loader takes, or a NumPy array of
opens, highs, lows and closes. ``--search`` measures 100,000 combinations of job B on a million SYNTHETIC bars instead.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from bench.bare import bare_loop
from bench.replay import walk
from palmbot.calendar import Session
from palmbot.core.types import BarArrays, Instrument, Params, RollArrays, SentimentArrays
from palmbot.exchange.market_arrays import START_MS, synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.research.data import load
from palmbot.research.sweep import Series, Sweep, sweep
from palmbot.research.sweep_ledger import Rows
from palmbot.research.sweep_params import Table, grid_of
from palmbot.settings import DataSettings
from palmbot.units import MINUTE_MS, PX

BARS = 100_000
ROUNDS = 7
REPEATS = 5  # of a job in a round: it takes a tenth of the bare loop's time
AXES: dict[str, list[float]] = {
    "rsi_low": [20.0 + 2.0 * step for step in range(10)],
    "rsi_high": [62.0 + 2.0 * step for step in range(10)],
    "tp_ppm": [10_000, 15_000, 20_000, 25_000, 30_000],
    "sl_ppm": [10_000, 15_000],
}
SEARCH_AXES: dict[str, list[float]] = {
    "rsi_low": [20.0 + step for step in range(20)],
    "rsi_high": [61.0 + step for step in range(20)],
    "sentiment_long": [20.0, 25.0, 30.0, 35.0, 40.0],
    "tp_ppm": [15_000, 18_000, 21_000, 24_000, 27_000],
    "sl_ppm": [10_000 + 500 * step for step in range(10)],
}
OFF = Params(
    sentiment_long=-101.0,  # one old row of sentiment is enough for ever
    sentiment_short=101.0,
    sentiment_max_age_ms=1 << 60,
    warmup_bars=15,
    open_gap_max_bp=0,
    risk_fraction=1_000.0,  # so that the volume is always the largest allowed
    exposure_max=1_000.0,
    margin_share=1_000.0,
    daily_loss_bp=0,
    drawdown_bp=0,
    losses_max=0,
    spike_bp=0,
)
ONE_LOT = Instrument(
    volume_step_cu=2_500, volume_min_cu=2_500, volume_max_cu=2_500, spread=0, slippage=0, commission_rate=0
)
SWAPPED = Instrument(swap_kind=1, swap_long=-300_000, swap_short=100_000)


class Job(NamedTuple):
    """What is swept: the table, and what a series is made of."""

    table: Table
    instrument: Instrument
    sentiment: SentimentArrays
    balance_minor: int


def read_bars(path: Path | None, count: int = BARS) -> BarArrays:
    """Return at most ``count`` bars of a file, its sessions taken as always open; without a file of a random walk."""
    if path is None:
        bars = walk()
    elif path.suffix == ".npy":
        table = np.load(path)
        rows = table if table.shape[0] == 4 else table.T[:4]
        opens, highs, lows, closes = (np.rint(np.asarray(row, np.float64) * PX).astype(np.int64) for row in rows)
        ts_ms = START_MS + np.arange(opens.shape[0]) * MINUTE_MS
        bars = BarArrays(ts_ms, ts_ms + MINUTE_MS, opens, highs, lows, closes, np.zeros(0, np.int64))
    else:
        bars = load(DataSettings(file=path, unknown_rolls="ignore"), replace(PALM_OIL, session=Session())).bars
    return BarArrays(*(np.ascontiguousarray(column[:count]) for column in bars))


def jobs_of(bars: BarArrays) -> dict[str, Job]:
    """Return the jobs over ``bars``."""
    always = SentimentArrays(bars.ts_ms[:1] - 1, np.zeros(1))
    return {
        "a": Job(grid_of(OFF, AXES), ONE_LOT, always, 10**11),
        "b": Job(grid_of(Params(), AXES), SWAPPED, synthetic_sentiment(bars, 1), 10**7),
        "moving": Job(grid_of(OFF._replace(trail_ppm=10_000), AXES), ONE_LOT, always, 10**11),
    }


def swept(bars: BarArrays, job: Job, threads: int) -> Sweep:
    """Return the results of ``job``, from the bars on."""
    none = np.zeros(0, np.int64)
    series = Series(job.instrument, bars, RollArrays(none, none), job.sentiment)
    return sweep(series, job.table, job.balance_minor, threads=threads)


def bare_loops(bars: BarArrays) -> Callable[[], list[tuple[int, float]]]:
    """Return what takes the bare loop through every combination and returns the trades and points of each."""
    prices = (bars.open_px / PX, bars.high_px / PX, bars.low_px / PX, bars.close_px / PX)
    table = grid_of(OFF, AXES)
    columns = zip(*(table[name].tolist() for name in AXES), strict=True)
    combinations = [((low, high), (target / 1e6, stop / 1e6)) for low, high, target, stop in columns]

    def loops() -> list[tuple[int, float]]:
        return [bare_loop(prices, 14, thresholds, levels, 0.0) for thresholds, levels in combinations]

    return loops


def is_equal(bare: list[tuple[int, float]], results: Rows, balance_minor: int) -> bool:
    """Return whether job A closed as many trades as the bare loop in each combination, and for the same money.

    A trade may differ by what job A rounds and floats do not: a level to the instrument's step, money to a minor unit.
    """
    trades, points = (np.array(column) for column in zip(*bare, strict=True))
    a_point_minor = ONE_LOT.volume_max_cu  # money and volume both count hundredths
    rounded_minor = (ONE_LOT.step_px / PX * a_point_minor + 1.0) / 2.0
    apart_minor = np.abs(results["balance_minor"] - balance_minor - points * a_point_minor)
    return bool((results["trades"] == trades).all() and (apart_minor <= trades * rounded_minor).all())


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds ``function`` took, and its result."""
    begun = perf_counter()
    result = function()
    return perf_counter() - begun, result


def measure(path: Path | None = None, threads: int = 1) -> dict[str, Any]:
    """Return the least seconds of the bare loop and of each job, and their ratios."""
    bars = read_bars(path)
    loops, jobs = bare_loops(bars), jobs_of(bars)
    swept_once = {name: swept(bars, job, threads) for name, job in jobs.items()}  # compiled, and warm
    bare = loops()
    equal = is_equal(bare, swept_once["a"].results, jobs["a"].balance_minor)
    least = {"bare": timed(loops)[0]} | dict.fromkeys(jobs, float("inf"))
    for _ in range(ROUNDS):
        least["bare"] = min(least["bare"], timed(loops)[0])
        for name, job in jobs.items():
            again = (timed(partial(swept, bars, job, threads))[0] for _ in range(REPEATS))
            least[name] = min(least[name], *again)
    return {
        "bare_s": round(least["bare"], 4),
        "a_s": round(least["a"], 4),
        "b_s": round(least["b"], 4),
        "fast_share": min(found.fast_share for found in swept_once.values()),
        "moving_s": round(least["moving"], 4),
        "a_ratio": round(least["bare"] / least["a"], 1),
        "moving_ratio": round(least["bare"] / least["moving"], 1),
        "b_of_a": round(least["a"] / least["b"], 2),
        "aims": "a_ratio at least 11, moving_ratio at least 3, b_of_a at least 0.33",
        "bars": int(bars.ts_ms.shape[0]),
        "combinations": int(jobs["a"].table.shape[0]),
        "threads": threads,
        "equal": equal,
        "trades": {"bare": sum(trades for trades, _ in bare)}
        | {name: int(found.results["trades"].sum()) for name, found in swept_once.items()},
        "played_tick_by_tick": {name: int(found.results["played"].sum()) for name, found in swept_once.items()},
    }


def measure_search(path: Path | None = None, threads: int = 2) -> dict[str, Any]:
    """Return seconds on one thread and on ``threads``, and the peak of memory, of a big search."""
    bars = read_bars(path, 1_000_000)
    base = Params(drawdown_bp=0)  # a halted account would leave the rest untraded, and fast
    job = Job(grid_of(base, SEARCH_AXES), SWAPPED, synthetic_sentiment(bars, 1), 10**7)
    swept(bars, job._replace(table=job.table[:4]), 1)
    one_s, found = timed(lambda: swept(bars, job, 1))
    many_s, _ = timed(lambda: swept(bars, job, threads))
    return {
        "bars": int(bars.ts_ms.shape[0]),
        "combinations": int(job.table.shape[0]),
        "one_thread_s": round(one_s, 2),
        "threads": threads,
        "threads_s": round(many_s, 2),
        "threads_ratio": round(one_s / many_s, 2),
        "bar_combinations_per_s": round(bars.ts_ms.shape[0] * job.table.shape[0] / many_s),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "fast_share": found.fast_share,
        "aims": "threads_ratio at least 1.8 with two threads on two cores, peak_mb under 2000",
    }


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.sweep", description="The sweep against a bare compiled loop."
    )
    parser.add_argument("--bars", type=Path, help="a file of bars; SYNTHETIC ones without it")
    parser.add_argument("--threads", type=int, default=None, help="of the sweep; the bare loop always takes one")
    parser.add_argument("--json", action="store_true", help="one JSON object in one line")
    parser.add_argument("--search", action="store_true", help="100,000 combinations on a million bars")
    asked = parser.parse_args(arguments)
    found = measure_search(asked.bars, asked.threads or 2) if asked.search else measure(asked.bars, asked.threads or 1)
    print(json.dumps(found, indent=None if asked.json else 2))
    return 0 if found.get("equal", True) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
