"""``python -m bench.calibrate [--runs N] [--threads N] [--studies N | --analyses N]``: does research tell the truth?

Worlds whose truth is known (`bench.planted`, SYNTHETIC) go through the same search as real data. On noise the p-values
have to be uniform, the probability of overfitting near a half, and few runs may pass; on planted edges the power has to
be what it should be. Noise comes in two kinds: with an even volatility, and with one in moods, as on real markets.

``--studies`` asks whole studies for their verdicts instead, on noise and on planted edges; ``--analyses`` asks whole
analyses whether they recommend anything. Every figure is printed beside its bounds, which allow for the chance in as
many runs; exit code 1: one is out of them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import NormalDist
from time import perf_counter
from typing import NamedTuple

import numpy as np

from bench.planted import BALANCE_MINOR, BASE, COSTS, data_of, planted, walk
from palmbot.core.types import BarArrays, Float64Array, Instrument, SentimentArrays
from palmbot.research import backtest, workers
from palmbot.research.advice import advice
from palmbot.research.analysis import analyse
from palmbot.research.day_returns import day_returns
from palmbot.research.overfit import Record, deflated_sharpe, length_min, pbo, probabilistic_sharpe, sharpe, sharpes_of
from palmbot.research.search import Search, minimum_of
from palmbot.research.statistics import r_multiple
from palmbot.research.study import StudySettings, study
from palmbot.research.surrogates import KINDS, Null, surrogates
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_params import Table, grid_of
from palmbot.research.verdict import NOISE, ROBUST

RUNS = 200
SURROGATES = 100  # the least with which p can be below 0.01
BARS = 4_000
EDGE_BARS = 23_000  # about 1,000 trades
MOODS = 0.5
FACTORS = (1.2, 1.6)  # planted
AXES: dict[str, list[float]] = {
    "rsi_low": [30.0, 35.0, 40.0],
    "rsi_high": [60.0, 65.0, 70.0],
    "tp_ppm": [15_000, 20_000, 30_000],
    "sl_ppm": [10_000, 15_000, 20_000],
}
DOUBTING = BASE._replace(sentiment_long=0.0, sentiment_short=0.0, losses_max=0, drawdown_bp=0, daily_loss_bp=0)
FREE = Instrument(spread=0, slippage=0, commission_rate=0)
NORMAL = NormalDist()
UNIFORM_MIN = 1e-3  # p-value of a test for uniformity that calls it none
DEVIATIONS = 3.5  # of a share of runs, that chance may explain


class Figure(NamedTuple):
    """Something measured, and where it has to lie."""

    name: str
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether it lies there."""
        return self.low <= self.value <= self.high


def share(name: str, hits: list[bool], low: float, high: float) -> Figure:
    """Return the share of ``hits``, which truly has to be from ``low`` to ``high``; chance may add to either side."""

    def chance(truth: float) -> float:
        return DEVIATIONS * math.sqrt(truth * (1.0 - truth) / len(hits))

    return Figure(name, float(np.mean(hits)), max(low - chance(low), 0.0), min(high + chance(high), 1.0))


def uniform(name: str, p: Float64Array, step: float = 0.0) -> Figure:
    """Return the p-value of a Kolmogorov-Smirnov test that ``p`` are uniform.

    Those of a permutation test lie on a grid of ``step``; a random part of it makes them continuous.
    """
    from scipy.stats import kstest  # noqa: PLC0415 - slow to import

    spread = np.random.default_rng(1).random(p.shape[0]) * step
    return Figure(name, float(kstest(p - spread, "uniform").pvalue), UNIFORM_MIN, 1.0)


def series_of(bars: BarArrays, instrument: Instrument = COSTS) -> Series:
    """Return ``bars`` ready for sweeps."""
    data = data_of(bars)
    return Series(instrument, data.bars, data.rolls, data.sentiment)


def searched(table: Table, series: Series) -> Search:
    """Search ``table``, on one thread."""
    results = sweep(series, table, BALANCE_MINOR).results
    return Search(table, results, minimum_of(results).trades)


def p_of(series: Series, kind: str, threads: int, count: int = SURROGATES) -> float:
    """Return the p-value of the search of `AXES` on ``series``; 1 where nothing had a score."""
    found = surrogates(
        series, partial(searched, grid_of(BASE, AXES)), Null(kind, count, 1), workers=workers.threads(threads)
    )
    return 1.0 if found is None else found.p


def overfit_of(series: Series, threads: int) -> tuple[float, float]:
    """Return the probability of overfitting of the search of `AXES` on ``series``, and its deflated Sharpe ratio."""
    table = grid_of(BASE, AXES)
    returns = day_returns(series, table, BALANCE_MINOR, threads)
    split, best = pbo(returns), searched(table, series).best
    if split is None or best is None:
        raise RuntimeError("this world is too small to be judged: give it more bars")
    return split.value, deflated_sharpe(returns[:, best], sharpes_of(returns)) or 0.0


def records(runs: int, _threads: int) -> Iterator[Figure]:
    """Yield how sure records make one: skewed ones without an edge, and ones of the minimum length: half convince.

    They are quick to draw, so there are ten of them a run.
    """
    rng = np.random.default_rng(1)
    flat = 1.0 - rng.gamma(4.0, 0.25, (10 * runs, 1_000))  # mean 0, skew -1
    p = 1.0 - np.array([probabilistic_sharpe(each) for each in flat], np.float64)
    yield uniform("records without an edge: p is uniform", p)
    yield share("records without an edge: p < 0.05", (p < 0.05).tolist(), 0.05, 0.05)
    edge = 0.1
    length = round(length_min(Record(edge, 0)) or 0)
    convinced = [(probabilistic_sharpe(each) or 0.0) > 0.95 for each in rng.normal(edge, 1.0, (10 * runs, length))]
    yield share("records of the minimum length: convincing", convinced, 0.5, 0.5)


def overfitting(runs: int, threads: int) -> Iterator[Figure]:
    """Yield what cross-validation and deflation say of noise without costs, where no trial is better than another.

    With costs the trials that trade less are truly better, and PBO says so.
    """
    found = [overfit_of(series_of(walk(BARS, seed), FREE), threads) for seed in range(runs)]
    values = np.array([value for value, _deflated in found])
    error = DEVIATIONS * float(values.std()) / math.sqrt(runs)
    yield Figure("noise without costs: mean PBO", float(values.mean()), 0.45 - error, 0.55 + error)
    passes = [deflated > 0.95 for _value, deflated in found]
    yield share("noise without costs: deflated Sharpe > 0.95", passes, 0.0, 0.05)


def luck(runs: int, threads: int, count: int = SURROGATES) -> Iterator[Figure]:
    """Yield how the p-values of searches on noise are spread, by kind of noise and of surrogate."""
    for noise, moods in (("even", 0.0), ("moody", MOODS)):
        worlds = [series_of(walk(BARS, seed, moods=moods)) for seed in range(runs)]
        for kind in KINDS:
            p = np.array([p_of(world, kind, threads, count) for world in worlds])
            yield uniform(f"{noise} noise, {kind}: p is uniform", p, 1.0 / (1 + count))
            yield share(f"{noise} noise, {kind}: p < 0.05", (p < 0.05).tolist(), 0.0, 0.05)


def power(runs: int, threads: int) -> Iterator[Figure]:
    """Yield how often planted edges are found, on a tenth of the runs.

    A search that knew the one planted combination would find the edge by a one-sided test of its mean R. One that does
    not know it can do no better, and no worse than that test after Bonferroni's correction for all trials.
    """
    trials = grid_of(BASE, AXES).shape[0]
    for factor in FACTORS:
        found, deflated, strengths = [], [], []
        for seed in range(max(runs // 10, 2)):
            bars = planted(EDGE_BARS, seed, factor)
            trades = backtest.run(data_of(bars), "planted", BASE, BALANCE_MINOR).trades
            strengths.append((sharpe(np.array([r_multiple(trade) for trade in trades])) or 0.0) * len(trades) ** 0.5)
            series = series_of(bars)
            found.append(p_of(series, "shuffled", threads) < 0.01)
            deflated.append(overfit_of(series, threads)[1] > 0.95)
        strength = float(np.mean(strengths))
        least, most = (NORMAL.cdf(strength - NORMAL.inv_cdf(1.0 - 0.01 / tests)) for tests in (trials, 1))
        yield share(f"planted profit factor {factor}: shuffled p < 0.01", found, least, most)
        yield share(
            f"planted profit factor {factor}: deflated Sharpe > 0.95", deflated, 0.8 if factor > 1.5 else 0.0, 1.0
        )


def verdicts(runs: int, threads: int) -> Iterator[Figure]:
    """Yield what whole studies say of noise and of planted edges."""
    settings = StudySettings("planted", BALANCE_MINOR, perf_counter, threads=threads)

    def word(bars: BarArrays) -> str:
        search = partial(searched, grid_of(BASE, AXES))
        return study(data_of(bars), search, BASE, settings, lambda _stage, _share: None).verdict.word

    for noise, moods in (("even", 0.0), ("moody", MOODS)):
        passes = [word(walk(BARS, seed, moods=moods)) != NOISE for seed in range(runs)]
        yield share(f"{noise} noise: a verdict other than NOISE", passes, 0.0, 0.05)
    robust = [word(planted(EDGE_BARS, seed, 1.6)) == ROBUST for seed in range(max(runs // 10, 2))]
    yield share("planted profit factor 1.6: ROBUST", robust, 0.8, 1.0)


def advices(runs: int, threads: int) -> Iterator[Figure]:
    """Yield how many analyses (`palmbot analyze`) of noise recommend anything, and how many of a planted edge do.

    Half of the trades are refused for a sentiment of chance, and nothing costs anything: what was refused is worth
    nothing, neither more nor less.
    """

    def recommends(bars: BarArrays, seed: int) -> bool:
        score = np.asarray(np.random.default_rng(seed).uniform(-100.0, 100.0, bars.end_ms.shape[0]))
        data = replace(data_of(bars), sentiment=SentimentArrays(bars.end_ms, score))
        data = replace(data, spec=replace(data.spec, core=FREE))
        found = analyse(data, ("planted", DOUBTING), BALANCE_MINOR, 1, threads, lambda _stage, _share: None)
        return len(advice(found).recommendations) > 1

    for noise, moods in (("even", 0.0), ("moody", MOODS)):
        hits = [recommends(walk(BARS, seed, moods=moods), seed) for seed in range(runs)]
        yield share(f"{noise} noise: an analysis that recommends anything", hits, 0.0, 0.05)
    hits = [recommends(planted(EDGE_BARS, seed, 1.6), seed) for seed in range(max(runs // 10, 2))]
    yield share("planted profit factor 1.6: an analysis that recommends something", hits, 0.8, 1.0)


Part = Callable[[int, int], Iterator[Figure]]
PARTS: tuple[Part, ...] = (records, overfitting, luck, power)


def main(arguments: list[str]) -> int:
    """Measure and print, a line for each figure; return 1 where one is out of its bounds."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description="Do the statistics tell the truth?")
    parser.add_argument("--runs", type=int, default=RUNS, help="worlds of each kind of noise; a tenth of planted ones")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--studies", type=int, default=0, help="whole studies instead, of so many worlds")
    parser.add_argument("--analyses", type=int, default=0, help="whole analyses instead, of so many worlds")
    asked = parser.parse_args(arguments)
    parts, runs = PARTS, asked.runs
    if asked.studies:
        parts, runs = (verdicts,), asked.studies
    elif asked.analyses:
        parts, runs = (advices,), asked.analyses
    good = True
    for part in parts:
        for figure in part(runs, asked.threads):
            good &= figure.holds
            print(json.dumps(figure._asdict() | {"holds": figure.holds}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
