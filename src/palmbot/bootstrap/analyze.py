"""Wires the analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmbot.bootstrap.provenance import differences
from palmbot.bootstrap.search_plan import refuse_short, threads_of
from palmbot.errors import UsageError
from palmbot.research import data
from palmbot.research.advice import Advice, advice
from palmbot.research.analysis import Analysis, analyse
from palmbot.research.backtest import foreseen
from palmbot.research.known import read_related
from palmbot.settings import Settings

Progress = Callable[[str, float], None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Study:
    """What the command shows: one JSON object, or text."""

    analysis: Analysis
    said: Advice
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the numbers, what they say, and where the files are."""
        said = {"findings": list(self.said.findings), "recommendations": list(self.said.recommendations)}
        return self.analysis.to_json() | said | {"files": [str(each) for each in self.files]}

    def text(self) -> str:
        """Return what was seen and what to do about it."""
        lines = [f"- {each}" for each in self.said.findings]
        lines += ["", "What to do about it:", *(f"- {each}" for each in self.said.recommendations)]
        return "\n".join([*lines, "", f"Everything, drawn: {self.files[0]}"])


def run_analyze(settings: Settings, out: Path, progress: Progress, say: Say = lambda _line: None) -> Study:
    """Take one backtest of the data apart and write CSV, PNG and PDF into ``out``; ``say`` is told what to know.

    Raises:
        UsageError: there are no data, or no bars after the warm-up: nothing was traded that could be taken apart.
        RefusedError: the account would have been stopped out by its broker.
    """
    if settings.data.file is None:
        raise UsageError("DATA_MISSING", "Name the bars to study: palmbot analyze --data FILE --out DIR.")
    progress("load", 0.0)
    series = data.load(settings.data, settings.instrument)
    for line in differences(settings.found, series):
        say(line)
    related = tuple(read_related(each, settings.data.time_zone) for each in settings.data.related)
    series = replace(series, related=related)
    rules = (settings.profile, settings.params_for(series.period_ms))
    refuse_short(series, rules[1].warmup_bars)
    series = foreseen(series, rules[1].flat_before)
    how = settings.optimize
    found = analyse(series, rules, settings.balance_minor, how.seed, threads_of(how), progress)
    said = advice(found)
    progress("figures", 0.8)
    from palmbot.research.analysis_files import write_analysis  # noqa: PLC0415 - matplotlib is heavy

    files = write_analysis(found, said, out)
    progress("done", 1.0)
    return Study(found, said, files)
