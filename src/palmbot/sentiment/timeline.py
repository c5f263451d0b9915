"""Sentiment point in time: what was known at an instant, whatever came later (PARITY 59)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from palmbot.core.types import Sentiment

ROWS_MAX = 100_000


class Timeline:
    """Rows ordered by when they became known; on a tie the later row wins.

    Args:
        rows: ``(known_ms, score)`` with score -100..100, ordered by ``known_ms``.
    """

    def __init__(self, rows: Iterable[tuple[int, float]] = ()) -> None:
        self._known_ms: list[int] = []
        self._scores: list[float] = []
        for known_ms, score in rows:
            self._known_ms.append(int(known_ms))
            self._scores.append(float(score))

    def add(self, known_ms: int, score: float) -> None:
        """Append a row that became known after all others; the oldest half goes when there are too many."""
        if len(self._known_ms) >= ROWS_MAX:
            del self._known_ms[: ROWS_MAX // 2], self._scores[: ROWS_MAX // 2]
        index = bisect_right(self._known_ms, known_ms)
        self._known_ms.insert(index, known_ms)
        self._scores.insert(index, score)

    def at(self, instant_ms: int) -> Sentiment:
        """Return the newest row known at ``instant_ms``; ``known_ms`` -1 when there is none."""
        index = bisect_right(self._known_ms, instant_ms) - 1
        if index < 0:
            return Sentiment()
        return Sentiment(self._scores[index], self._known_ms[index])
