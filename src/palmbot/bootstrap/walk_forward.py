"""Wires the walk-forward: the profile's own search, examined by everything there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.provenance import noted
from palmbot.bootstrap.search_plan import plan_of, threads_of
from palmbot.errors import PalmbotError, UsageError
from palmbot.research import data, output, report_study
from palmbot.research.backtest import foreseen
from palmbot.research.evaluate import on_threads
from palmbot.research.study import Study, StudySettings, refuse_too_few_bars, study
from palmbot.research.verdict import decisive
from palmbot.settings import Settings

Progress = Callable[[str, float], None]
Say = Callable[[str], None]

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Output:
    """What the command shows: one JSON object, or text; and where its files are, if anywhere.

    Attributes:
        error: why they could not be written.
    """

    study: Study
    folder: Path | None
    error: PalmbotError | None = None

    @property
    def exit_code(self) -> int:
        """0, also where the verdict is NOISE; 130 where an interrupt cut the examination short."""
        if self.study.unexamined:
            return INTERRUPTED
        return 0 if self.error is None else self.error.exit_code

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object of ``optimize``, for this search; with ``error`` where something went wrong."""
        body = self.study.to_json()
        if self.error is not None:
            body["error"] = {"code": self.error.code, "todo": self.error.todo, "facts": self.error.facts}
        return body

    def text(self) -> str:
        """Return the study for a person."""
        kept = "" if self.folder is None else f"\nKept in {self.folder}"
        return f"{self.study.text()}{kept}"


def run_walk_forward(settings: Settings, windows: int, out: Path | None, progress: Progress, say: Say) -> Output:
    """Search and test ``settings``' series window by window; with ``out`` write what came of it there.

    Args:
        settings: what to search and how.
        windows: steps of each walk-forward.
        out: folder for walk_forward.json, report.html, and trades.csv, the trades out of sample.
        progress: told what is being done and its share, 0..1.
        say: told what a person should know meanwhile.

    Raises:
        UsageError: no data are named, or they are too few for so many windows.
    """
    if settings.data.file is None:
        raise UsageError("DATA_MISSING", "Name the bars to walk through: palmbot walk-forward --data FILE.")
    progress("load", 0.0)
    series = noted(settings.found, data.load(settings.data, settings.instrument))
    plan, threads = plan_of(settings, series), threads_of(settings.optimize)
    series = foreseen(series, plan.flat_before)
    refuse_too_few_bars(series, plan.base.warmup_bars, windows)
    for line in plan.lines():
        say(line)
    how = StudySettings(
        profile=settings.profile,
        balance_minor=settings.balance_minor,
        clock=_seconds,
        seed=settings.optimize.seed,
        windows=windows,
        threads=threads,
    )
    made = study(series, plan.searcher(on_threads(settings.balance_minor, 1)), plan.base, how, progress)
    try:
        if out is not None:
            _write(made, out)
    except PalmbotError as error:  # what was found is shown all the same
        return Output(made, None, error)
    return Output(made, out)


def _write(made: Study, out: Path) -> None:
    output.write_text(out / "walk_forward.json", json.dumps(made.to_json(), allow_nan=False) + "\n")
    report_study.write_study_report(made, "walk-forward", out / "report.html")
    walked = decisive(made.evidence)
    if walked is not None and made.run is not None:
        output.write_trades(out / "trades.csv", replace(made.run, trades=walked.trades), made.data)


def _seconds() -> float:
    return SystemClock().monotonic_ms() / 1_000
