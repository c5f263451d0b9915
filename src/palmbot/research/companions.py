"""What lies beside the bars, sentiment and related markets: since when it is known, how much of the bars it covers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palmbot.core.types import BarArrays, Int64Array
from palmbot.research.known import KNOWN_AT, newest, read_related, read_sentiment
from palmbot.research.tables import read_table, times_ms
from palmbot.settings import DataSettings

PUBLISHED_AT = "published_at"


@dataclass(frozen=True, slots=True)
class Companion:
    """One file beside the bars.

    Attributes:
        name: ``sentiment``, or that of the related market.
        first_ms: since when its first row is known, and ``last_ms``, its last; 0 without rows.
        covered: share of the bars at whose end a value was known, of related markets one that was not stale.
        superseded: rows that a later row known at the same time replaces.
        too_early: rows known before they were published; they claim what cannot be.
    """

    name: str
    file: Path
    rows: int
    first_ms: int
    last_ms: int
    covered: float
    superseded: int
    too_early: int


def companions(settings: DataSettings, bars: BarArrays) -> tuple[Companion, ...]:
    """Return what ``settings`` join to ``bars``: the sentiment first, then related markets by name.

    Raises:
        DataError: a file is wrong.
        ConfigError: of a related market it is not said since when its rows are known.
    """
    found = []
    zone, file = settings.time_zone, settings.sentiment_file
    if file is not None:
        known_ms = read_sentiment(file, zone).known_ms
        found.append(_companion(("sentiment", file), known_ms, newest(known_ms, bars.end_ms), _too_early(file, zone)))
    for told in settings.related:
        series = read_related(told, zone)
        found.append(_companion((told.name, told.file), series.known_ms, series.newest(bars.end_ms), 0))
    return tuple(found)


def _companion(name: tuple[str, Path], known_ms: Int64Array, at: Int64Array, too_early: int) -> Companion:
    first_ms, last_ms = (int(known_ms[0]), int(known_ms[-1])) if known_ms.size else (0, 0)
    covered = float(np.mean(at >= 0)) if at.size else 0.0
    superseded = int(np.count_nonzero(np.diff(known_ms) == 0))
    return Companion(*name, int(known_ms.size), first_ms, last_ms, covered, superseded, too_early)


def _too_early(file: Path, time_zone: str) -> int:
    """Return how many rows of ``file`` are known before they were published, where it says when that was."""
    table = read_table(file, columns_min=2)
    if not table.has(PUBLISHED_AT):
        return 0
    text = table.column(PUBLISHED_AT)
    told = (text != "").to_numpy()
    published_ms, is_time = times_ms(text.filter(text != ""), time_zone)
    known_ms = table.times_ms(KNOWN_AT, time_zone)[told]
    return int(np.count_nonzero(is_time & (known_ms < published_ms)))
