"""By how much this machine's clock is ahead of the times that quotes carry. Pure.

A quote takes a moment to arrive, so one lag is the clock's error and the way together; the least of many is nearly the
clock's error alone. The first quote after a subscription may be hours old, and brokers repeat the last price while the
market is closed: only a quote that is newer than all before counts.
"""

from __future__ import annotations

QUOTES = 20  # so many make one figure


class Lag:
    """Takes quotes in, gives a figure every ``QUOTES`` of them."""

    def __init__(self) -> None:
        self._newest_ms = 0
        self._count = 0
        self._least_ms = 0

    def forget(self) -> None:
        """Begin anew: what comes first over a new link is old."""
        self._newest_ms = self._count = 0

    def take(self, told_ms: int, now_ms: int) -> int | None:
        """Return the least lag of the last ``QUOTES`` quotes where this is the last of them, else None.

        Args:
            told_ms: time of the quote by the broker; 0: it tells none.
            now_ms: UTC by this machine.
        """
        is_first, is_news = self._newest_ms == 0, told_ms > self._newest_ms
        if not is_news:
            return None
        self._newest_ms = told_ms
        if is_first:
            return None
        lag_ms = now_ms - told_ms
        self._least_ms = lag_ms if self._count == 0 else min(self._least_ms, lag_ms)
        self._count += 1
        if self._count < QUOTES:
            return None
        self._count = 0
        return self._least_ms
