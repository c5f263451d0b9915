"""Wires the search for parameters, and what follows it: the truth about its winner, and ``best_params.json``.

What was found is never lost: an interrupt and a cluster that dies end the search early, a full disk leaves it
unwritten, and the best so far is shown all the same. The trials lie beside ``best_params.json`` until that is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.search_plan import Plan, plan_of, threads_of
from palmbot.config.terms import costs_of
from palmbot.errors import PalmbotError, UsageError
from palmbot.research import data, found, report_study, workers
from palmbot.research.backtest import foreseen
from palmbot.research.cluster import on_cluster, safe_address
from palmbot.research.evaluate import Evaluate, on_threads
from palmbot.research.search import Search, profit_factor_of
from palmbot.research.study import Searched, Study, StudySettings, study
from palmbot.research.sweep import Series
from palmbot.research.trials import Trials, identity_of, kept_in
from palmbot.research.walkforward import series_of
from palmbot.research.workers import Workers
from palmbot.settings import Settings

Progress = Callable[[str, float], None]
Say = Callable[[str], None]

NOTHING_FOUND = 1
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Output:
    """What the command shows: one JSON object, or text.

    Attributes:
        content: of ``best_params.json``; None: nothing was found.
        file: where it was written; None: nowhere.
        error: what went wrong after something was found.
    """

    study: Study
    content: Mapping[str, Any] | None
    file: Path | None
    error: PalmbotError | None
    exit_code: int

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object; with ``error`` where something went wrong."""
        body = self.study.to_json() | {"file": None if self.file is None else str(self.file)}
        if self.error is not None:
            body["error"] = {"code": self.error.code, "todo": self.error.todo, "facts": self.error.facts}
        return body

    def text(self) -> str:
        """Return the study for a person, and where its parameters are."""
        return f"{self.study.text()}\n\n{self._where()}"

    def _where(self) -> str:
        if self.content is None:
            return "No combination made enough trades to be judged, so no parameters were written."
        if self.file is None:
            best = " ".join(f"{name}={value}" for name, value in self.content["params"].items())
            return f"The best parameters are in no file: {best}"
        drawn = self.file.with_suffix(".html")
        return f"Parameters and verdict: {self.file} (for --params). All of it, drawn: {drawn}"


class _Ended(NamedTuple):
    """How a search ended: what it found, and what cut it short."""

    searched: Searched
    error: PalmbotError | None


def run_optimize(settings: Settings, out: Path, progress: Progress, say: Say) -> Output:
    """Search the parameters, examine the best, write it to ``out``.

    Args:
        settings: what to search and how.
        out: ``best_params.json``; the trials lie beside it until it is written.
        progress: told what is being done and its share, 0..1, anew for search and examination.
        say: told what a person should know meanwhile.

    Raises:
        PalmbotError: nothing was found before something went wrong.
        KeyboardInterrupt: nothing was found before it.
    """
    if settings.data.file is None:
        raise UsageError("DATA_MISSING", "Name the bars to search on: palmbot optimize --data FILE.")
    if settings.optimize.dask is not None:
        safe_address(settings.optimize.dask)
    beside = _refuse_unwritable(out)
    progress("load", 0.0)
    series = data.load(settings.data, settings.instrument)
    plan, threads = plan_of(settings, series), threads_of(settings.optimize)
    series = foreseen(series, plan.flat_before)
    for line in plan.lines():
        say(line)
    market = series_of(series)
    trials = Trials(beside, identity_of(market, settings.balance_minor))
    with _hands(settings, threads, say) as (evaluate, hands):
        ended = _search(plan, market, kept_in(trials, evaluate), progress)
        if trials.taken:
            say(f"{trials.taken:,} trials were taken from {beside}: an earlier search made them.")
        if trials.trouble is not None:
            say(f"The trials could not be kept in {beside} ({trials.trouble.strerror}).")
        how = StudySettings(
            profile=settings.profile,
            balance_minor=settings.balance_minor,
            clock=_seconds,
            seed=settings.optimize.seed,
            threads=threads,
            workers=hands,
        )
        searcher = plan.searcher(on_threads(settings.balance_minor, 1))
        made = study(series, searcher, plan.base, how, progress, ended.searched)
    return _written(made, plan, out, trials, ended.error)


@contextmanager
def _hands(settings: Settings, threads: int, say: Say) -> Iterator[tuple[Evaluate, Workers]]:
    """Yield who trades the combinations of the search and who examines it: a cluster, or threads of this process."""
    here, address = workers.threads(threads), settings.optimize.dask
    if address is None:
        yield on_threads(settings.balance_minor, threads), here
        return
    with on_cluster(address, settings.balance_minor) as cluster:
        goes_on = f"the examination goes on here, on {threads} thread{'s' if threads > 1 else ''}"
        yield cluster.evaluate, workers.rescued(cluster.each, here, lambda error: say(f"{error.code}: {goes_on}."))


def _search(plan: Plan, series: Series, evaluate: Evaluate, progress: Progress) -> _Ended:
    """Carry the search out; an interrupt and a failure keep what was found, and pass where nothing was."""
    begin, so_far, cut, error = _seconds(), None, False, None
    try:
        for so_far in plan.steps(evaluate)(series):
            progress(_best_text(so_far), so_far.trials / plan.trials)
    except (KeyboardInterrupt, PalmbotError) as failure:
        if so_far is None:
            raise
        cut, error = True, failure if isinstance(failure, PalmbotError) else None
    if so_far is None:
        raise UsageError("NOTHING_TO_SEARCH", "Give the search at least one combination.")
    return _Ended(Searched(so_far, _seconds() - begin, not cut), error)


def _best_text(search: Search) -> str:
    """Return how far the search is and the best of it so far, short enough to stand beside a bar."""
    if search.best is None:
        return f"{search.trials:,} tried, none with enough trades"
    best = search.results[search.best : search.best + 1]
    score, factor, trades = search.scores[search.best], profit_factor_of(best)[0], best["trades"][0]
    return f"{search.trials:,} tried, best {score:.3f} (profit factor {factor:.2f}, {trades} trades)"


def _written(made: Study, plan: Plan, out: Path, trials: Trials, error: PalmbotError | None) -> Output:
    """Write the best parameters and return what to show."""
    is_cut = error is None and bool(made.unexamined)
    code = INTERRUPTED if is_cut else 0 if error is None else error.exit_code
    method = found.Method(plan.how.method, plan.grid.count, plan.how.seed)
    content = found.document(made, method, costs_of(made.data.spec))
    written = None
    if content is None:
        if code == 0:
            trials.remove()
        return Output(made, None, None, error, code or NOTHING_FOUND)
    try:
        found.write(out, content)
        written = out
        report_study.write_study_report(made, "optimisation", out.with_suffix(".html"))
    except PalmbotError as failure:
        return Output(made, content, written, error or failure, code or failure.exit_code)
    except KeyboardInterrupt:  # while the page was drawn, say: the answer is shown all the same
        return Output(made, content, written, error, code or INTERRUPTED)
    if code == 0:
        trials.remove()
    return Output(made, content, out, error, code)


def _refuse_unwritable(out: Path) -> Path:
    """Return where the trials are kept; refuse an ``out`` that could not be written in the end.

    Raises:
        UsageError: ``OUT_NOT_WRITABLE``.
    """
    beside = out.parent / f"{out.name}.trials"
    try:
        if out.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with beside.open("ab"):
            pass
        if out.exists():
            with out.open("ab"):
                pass
    except OSError as error:
        todo = "Name a file in a folder that exists and can be written to, with --out."
        raise UsageError("OUT_NOT_WRITABLE", todo, out=out, reason=repr(error.strerror)) from error
    return beside


def _seconds() -> float:
    return SystemClock().monotonic_ms() / 1_000
