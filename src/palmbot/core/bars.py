"""Ticks to bars: one rule for the live feed, the exchange's history and the file loader (PARITY 26, 30).

A bar's time is its first tick's; it belongs to the bucket of that tick and ends where the bucket ends.
"""

from __future__ import annotations

from typing import NamedTuple

from palmbot.core.compiled import compiled
from palmbot.units import DAY_MS


class Forming(NamedTuple):
    """The bar that ticks are still changing; bid prices."""

    ts_ms: int
    end_ms: int
    open_px: int
    high_px: int
    low_px: int
    close_px: int


@compiled
def bucket_end(ts_ms: int, period_ms: int, day_start_ms: int) -> int:
    """Return the end of the bucket that holds ``ts_ms``; periods of a day and more are anchored at the day's start."""
    anchor = day_start_ms if period_ms >= DAY_MS else 0
    return (ts_ms - anchor) // period_ms * period_ms + anchor + period_ms


@compiled
def begun(ts_ms: int, end_ms: int, bid_px: int) -> Forming:
    """Return the bar whose first tick is ``bid_px`` at ``ts_ms``."""
    return Forming(ts_ms, end_ms, bid_px, bid_px, bid_px, bid_px)


@compiled
def extended(bar: Forming, bid_px: int) -> Forming:
    """Return ``bar`` after one more tick."""
    return Forming(bar.ts_ms, bar.end_ms, bar.open_px, max(bar.high_px, bid_px), min(bar.low_px, bid_px), bid_px)
