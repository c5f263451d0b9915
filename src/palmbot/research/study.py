"""A study: one search, and everything that tells whether its winner is more than luck, ending in a verdict.

The order is that of dear to cheap mistakes: the search, the winner's run, then the truth stage by stage. Each stage
adds what it found to the evidence; an interrupt ends the study where it is and keeps what there is, and the verdict
then says that the rest was not examined. Everything is decided by the seed; threads change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from palmbot.core.types import Params
from palmbot.research.evidence import Evidence, Tally, Verdict
from palmbot.research.result import DataSet, RunResult
from palmbot.research.search import Search

Progress = Callable[[str, float], None]
"""What is being done, and the share of everything that is done, 0..1."""

WINDOWS = 10
SURROGATES = 199  # p below 0.01 needs at least 100


@dataclass(frozen=True, slots=True)
class StudySettings:
    """How a study is made.

    Attributes:
        profile: name of the profile whose grid is searched.
        clock: seconds of any clock, for how long the search took.
        windows: steps of each walk-forward.
        surrogates: series of each kind that hold no edge.
        threads: of this process; results do not depend on it.
    """

    profile: str
    balance_minor: int
    clock: Callable[[], float]
    seed: int = 1
    windows: int = WINDOWS
    surrogates: int = SURROGATES
    threads: int = 1


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
        from palmbot.research.study_words import to_json  # noqa: PLC0415 - it knows this class

        return to_json(self)

    def text(self) -> str:
        """Return the study as text for a terminal."""
        from palmbot.research.study_words import text  # noqa: PLC0415 - it knows this class

        return text(self)
