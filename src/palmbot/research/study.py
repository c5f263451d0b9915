"""A study: one search, and everything that tells whether its winner is more than luck, ending in a verdict.

The order is that of dear to cheap mistakes: the search, the winner's run, then the truth stage by stage. Each stage
adds what it found to the evidence; an interrupt ends the study where it is and keeps what there is, and the verdict
then says that the rest was not examined. Everything is decided by the seed; threads change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from palmbot.core.types import Params
from palmbot.errors import DataError
from palmbot.research import backtest, overfit
from palmbot.research.day_returns import day_returns, rows_within
from palmbot.research.evidence import Evidence, Surrogates, Tally, Verdict, WalkForward
from palmbot.research.fan import fan
from palmbot.research.result import DataSet, RunResult
from palmbot.research.search import Search, Searcher
from palmbot.research.statistics import r_multiple
from palmbot.research.stress import cost_stress, plateau, sees_ahead
from palmbot.research.surrogates import Null, surrogates
from palmbot.research.sweep import Series
from palmbot.research.verdict import decisive, targets_of, verdict_of
from palmbot.research.walkforward import choices_of, choose, series_of, walk_forward, whole
from palmbot.research.windows import ANCHORED, ROLLING, purge_max, purge_of, spans_of
from palmbot.research.workers import Workers, threads

Progress = Callable[[str, float], None]
"""What is being done, and the share of everything that is done, 0..1."""

WINDOWS = 10
SURROGATES = 199  # p below 0.01 needs at least 100
SPREAD_TRIALS_MIN = 30  # that say how far apart Sharpe ratios lie


@dataclass(frozen=True, slots=True)
class StudySettings:
    """How a study is made.

    Attributes:
        profile: name of the profile whose grid is searched.
        clock: seconds of any clock, for how long things took.
        windows: steps of each walk-forward.
        surrogates: series of each kind that hold no edge.
        threads: of this process; results do not depend on it.
        workers: who searches trainings and surrogates; None: the threads.
    """

    profile: str
    balance_minor: int
    clock: Callable[[], float]
    seed: int = 1
    windows: int = WINDOWS
    surrogates: int = SURROGATES
    threads: int = 1
    workers: Workers | None = None

    @property
    def hands(self) -> Workers:
        """Who searches trainings and surrogates."""
        return threads(self.threads) if self.workers is None else self.workers


class Searched(NamedTuple):
    """A search that was carried out, how long it took, and whether it came to its end."""

    search: Search
    seconds: float
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Study:
    """What was found, what is known of it, and what to think of it.

    Attributes:
        base: what the search varied.
        search: over the whole series.
        search_seconds, seconds: of the search, and of everything.
        run: the winner over the whole series, as ``palmbot backtest`` would show it; None where there is no winner.
        in_sample: the numbers of ``run``.
        unexamined: names of the stages that an interrupt cut off.
    """

    data: DataSet
    base: Params
    settings: StudySettings
    search: Search
    search_seconds: float
    seconds: float
    run: RunResult | None
    in_sample: Tally | None
    evidence: Evidence
    verdict: Verdict
    unexamined: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the ``--json`` object of ``optimize`` and ``walk-forward``."""
        from palmbot.research.study_json import to_json  # noqa: PLC0415 - it knows this class

        return to_json(self)

    def text(self) -> str:
        """Return the study as text for a terminal."""
        from palmbot.research.study_text import text  # noqa: PLC0415 - it knows this class

        return text(self)


def refuse_too_few_bars(data: DataSet, warmup: int, windows: int) -> None:
    """Refuse a series that is too short for a walk-forward, before anything is searched.

    Raises:
        ConfigError: there is no window.
        DataError: the bars are too few; the facts say how many are needed.
    """
    bars = data.bars.ts_ms.shape[0]
    spans_of(bars, warmup, windows, ROLLING, purge_max(bars))


def study(
    data: DataSet,
    searcher: Searcher,
    base: Params,
    settings: StudySettings,
    progress: Progress,
    found: Searched | None = None,
) -> Study:
    """Search ``data``, examine the winner and give the verdict.

    An interrupt (``KeyboardInterrupt``) after the search ends the examination and keeps what is known.

    Args:
        data: the series.
        searcher: the search, on one thread; it is carried out anew on every training and on every surrogate.
        base: what the search varies.
        settings: how.
        progress: told what is being done.
        found: the same search over ``data``, where it was carried out already; one that is not whole is not examined.

    Raises:
        ConfigError: there is no window.
        DataError: the bars are too few for a walk-forward. Where the search is given the verdict says so instead.
    """
    began = settings.clock()
    series = series_of(data)
    if found is None:
        refuse_too_few_bars(data, base.warmup_bars, settings.windows)
        progress("search", 0.0)
        search = searcher(series)
        found = Searched(search, settings.clock() - began)
    search = found.search
    params, run, in_sample, evidence, unexamined = search.best_params, None, None, _unknown(search), tuple[str, ...]()
    if params is not None:
        run = backtest.run(data, settings.profile, params, settings.balance_minor)
        in_sample = whole(data, params, settings.balance_minor)[1]
        work = _Work(data, series, searcher, settings, search, params, run)
        evidence, unexamined = _examined(work, replace(evidence, trades=in_sample.trades), progress, found.is_whole)
        out_of_sample = decisive(evidence)
        outside = None if out_of_sample is None else out_of_sample.tally
        evidence = replace(evidence, targets=targets_of(in_sample, outside))
    progress("done", 1.0)
    return Study(
        data=data,
        base=base,
        settings=settings,
        search=search,
        search_seconds=found.seconds,
        seconds=settings.clock() - began,
        run=run,
        in_sample=in_sample,
        evidence=evidence,
        verdict=verdict_of(evidence, unexamined),
        unexamined=unexamined,
    )


Tell = Callable[[float], None]  # the share of a stage that is done


@dataclass(frozen=True, slots=True)
class _Work:
    """What the stages work on."""

    data: DataSet
    series: Series
    searcher: Searcher
    settings: StudySettings
    search: Search
    params: Params
    run: RunResult


def _walk_forward(work: _Work, evidence: Evidence, tell: Tell) -> Evidence:
    try:
        rolling = _walked(work, ROLLING, tell)
        anchored = _walked(work, ANCHORED, lambda part: tell(0.5 + part))
    except DataError:  # the search is done: its verdict says that there were too few bars to test it on
        return evidence
    return replace(evidence, rolling=rolling, anchored=anchored)


def _walked(work: _Work, kind: str, tell: Tell) -> WalkForward:
    bars, settings = work.data.bars, work.settings
    warmup = int(work.search.table["warmup_bars"].max())
    purge = purge_of(work.search.table, work.run.trades, bars)
    spans = spans_of(bars.ts_ms.shape[0], warmup, settings.windows, kind, purge)
    choices = []
    with closing(choose(work.data, work.searcher, spans, warmup, settings.hands)) as chosen:
        for choice in chosen:
            choices.append(choice)
            tell(len(choices) / len(spans) / 2)
    return walk_forward(work.data, kind, choices, settings.balance_minor, settings.seed)


def _stress(work: _Work, evidence: Evidence, _tell: Tell) -> Evidence:
    worse, settings = decisive(evidence), work.settings
    choices = () if worse is None else choices_of(worse)
    r = np.array([r_multiple(trade) for trade in work.run.trades], np.float64)
    return replace(
        evidence,
        costs=cost_stress(work.data, work.params, choices, settings.balance_minor) if choices else (),
        plateau=plateau(work.search),
        fan=fan(r, work.params.risk_fraction, settings.seed),
    )


def _look_ahead(work: _Work, evidence: Evidence, _tell: Tell) -> Evidence:
    return replace(evidence, sees_ahead=sees_ahead(work.data, work.params, work.settings.balance_minor))


def _overfitting(work: _Work, evidence: Evidence, tell: Tell) -> Evidence:
    search, settings, best = work.search, work.settings, work.search.best or 0
    rows = rows_within(search.trials, work.series.bars.ts_ms.shape[0], [best], settings.seed)
    returns = day_returns(work.series, search.table[rows], settings.balance_minor, settings.threads)
    tell(0.5)
    own, sharpes = returns[:, int(np.searchsorted(rows, best))], overfit.sharpes_of(returns)
    if search.drawn is not None and (rows < search.drawn).sum() >= SPREAD_TRIALS_MIN:
        sharpes = sharpes[rows < search.drawn]  # what was bred lies close together and would call luck small
    by_luck = overfit.max_sharpe_by_luck(sharpes, search.trials)  # all trials count, also those that are not here
    split = overfit.pbo(returns)
    return replace(
        evidence,
        sharpe=overfit.sharpe(own),
        probabilistic_sharpe=overfit.probabilistic_sharpe(own),
        deflated_sharpe=overfit.probabilistic_sharpe(own, by_luck),
        expected_max_sharpe=by_luck,
        track_record_min=overfit.track_record_min(own),
        days=own.shape[0],
        pbo=None if split is None else split.value,
        pbo_logits=evidence.pbo_logits if split is None else split.logits,
    )


def _surrogates(work: _Work, kind: str, tell: Tell) -> Surrogates | None:
    settings = work.settings
    null = Null(kind, settings.surrogates, settings.seed)
    return surrogates(work.series, work.searcher, null, lambda done: tell(done / null.count), settings.hands)


def _shuffled(work: _Work, evidence: Evidence, tell: Tell) -> Evidence:
    return replace(evidence, shuffled=_surrogates(work, "shuffled", tell))


def _sign_flipped(work: _Work, evidence: Evidence, tell: Tell) -> Evidence:
    return replace(evidence, sign_flipped=_surrogates(work, "sign-flipped", tell))


STAGES: tuple[tuple[str, float, Callable[[_Work, Evidence, Tell], Evidence]], ...] = (
    ("walk-forward", 0.06, _walk_forward),  # with its share of the time, about
    ("costs and plateau", 0.02, _stress),
    ("look-ahead", 0.01, _look_ahead),
    ("overfitting", 0.16, _overfitting),
    ("shuffled prices", 0.36, _shuffled),
    ("sign-flipped prices", 0.36, _sign_flipped),
)


def _examined(work: _Work, evidence: Evidence, progress: Progress, is_whole: bool) -> tuple[Evidence, tuple[str, ...]]:
    """Return what the stages add to ``evidence``, and the names of those that an interrupt cut off."""
    left = [name for name, _share, _stage in STAGES]
    if not is_whole:
        return evidence, tuple(left)
    before = 1.0 - sum(share for _name, share, _stage in STAGES)
    try:
        for name, share, stage in STAGES:

            def tell(part: float, name: str = name, share: float = share, before: float = before) -> None:
                progress(name, before + part * share)

            tell(0.0)
            evidence = stage(work, evidence, tell)
            before += share
            left.remove(name)
    except KeyboardInterrupt:
        pass  # the person wants the answer now
    return evidence, tuple(left)


def _unknown(search: Search) -> Evidence:
    """Return the evidence on ``search`` before anything was examined."""
    return Evidence(
        trials=search.trials,
        trades=0,
        sharpe=None,
        probabilistic_sharpe=None,
        deflated_sharpe=None,
        expected_max_sharpe=None,
        track_record_min=None,
        days=0,
        pbo=None,
        pbo_logits=np.zeros(0),
        shuffled=None,
        sign_flipped=None,
        rolling=None,
        anchored=None,
        costs=(),
        plateau=None,
        fan=None,
        sees_ahead=None,
        targets=(),
        trades_min=search.trades_min,
        trades_usual=search.trades_usual,
        trades_max=int(search.results["trades"].max()),
    )
