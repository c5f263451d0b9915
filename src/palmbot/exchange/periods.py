"""The broker's bar periods and where their bars begin (protocol sheet 8).

Up to an hour bars lie on the UTC grid. Longer ones follow the broker's day, which begins at 17:00 in New York and
belongs to the next date, summer and winter: a week begins with Monday's day, a month with its first date's. These are
not the bot's own daily bars (PARITY 26, 32).
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from palmbot.calendar import MONDAY_EPOCH_OFFSET_DAYS, wall_ms
from palmbot.core.types import Int64Array
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

BROKER_ZONE = "America/New_York"
TO_MIDNIGHT_MS = 7 * HOUR_MS  # from 17:00
WEEK_MS = 7 * DAY_MS


class Period(IntEnum):
    """Numbered as on the wire."""

    M1 = 1
    M2 = 2
    M3 = 3
    M4 = 4
    M5 = 5
    M10 = 6
    M15 = 7
    M30 = 8
    H1 = 9
    H4 = 10
    H12 = 11
    D1 = 12
    W1 = 13
    MN1 = 14


class Span(NamedTuple):
    """What belongs to a period: the usual length of its bars (a month: the longest), and the widest request."""

    length_ms: int
    window_max_ms: int


def _spans() -> dict[Period, Span]:
    five_weeks, thirty_five_weeks, year, five_years = 3_024_000_000, 21_168_000_000, 31_622_400_000, 158_112_000_000
    minutes = {1: five_weeks, 2: five_weeks, 3: five_weeks, 4: five_weeks, 5: five_weeks}
    minutes |= {10: thirty_five_weeks, 15: thirty_five_weeks, 30: thirty_five_weeks, 60: thirty_five_weeks}
    minutes |= {240: year, 720: year, 1_440: year, 7 * 1_440: five_years, 31 * 1_440: five_years}
    return {
        period: Span(length * MINUTE_MS, window)
        for period, (length, window) in zip(Period, minutes.items(), strict=True)
    }


SPANS = MappingProxyType(_spans())


def bars_of(period: Period, ts_ms: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return which of ordered instants, shape ``(n,)``, are the first of a bar, and when these bars open."""
    length_ms = SPANS[period].length_ms
    if length_ms <= HOUR_MS:
        opens_ms = ts_ms // length_ms * length_ms
        first = np.flatnonzero(np.diff(opens_ms, prepend=-1))
        return first, opens_ms[first]
    wall = _wall(ts_ms)
    opens_wall = _opens(period, wall)
    first = np.flatnonzero(np.diff(opens_wall, prepend=opens_wall[:1] - 1))
    return first, _utc(opens_wall[first], ts_ms[first] - wall[first])


def bar_of(period: Period, ts_ms: int) -> tuple[int, int]:
    """Return when the bar that holds an instant opens, and when the next one does."""
    length_ms = SPANS[period].length_ms
    if length_ms <= HOUR_MS:
        opens_ms = ts_ms // length_ms * length_ms
        return opens_ms, opens_ms + length_ms
    at = np.array([ts_ms], dtype=np.int64)
    wall = _wall(at)
    opens_wall = _opens(period, wall)
    next_wall = _opens(period, opens_wall + length_ms) if period is Period.MN1 else opens_wall + length_ms
    opens_ms, next_ms = _utc(np.concatenate((opens_wall, next_wall)), at - wall).tolist()
    return opens_ms, next_ms


def _opens(period: Period, wall: Int64Array) -> Int64Array:
    """Return the opening of bars by the shifted wall time of ``_wall``."""
    if period is Period.MN1:
        months = wall.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    length_ms = SPANS[period].length_ms
    anchor_ms = -MONDAY_EPOCH_OFFSET_DAYS * DAY_MS if period is Period.W1 else 0
    return (wall - anchor_ms) // length_ms * length_ms + anchor_ms


def _utc(wall: Int64Array, to_utc_ms: Int64Array) -> Int64Array:
    """Return the instants of shifted wall times, given what leads from wall to UTC somewhere near.

    Of two instants with one wall time, in the hour that autumn repeats, it is the earlier.
    """
    guess = wall + to_utc_ms
    found = guess + wall - _wall(guess)
    return np.where(_wall(found - HOUR_MS) == wall, found - HOUR_MS, found)


def _wall(ts_ms: Int64Array) -> Int64Array:
    """Return the broker's wall time at ordered instants, shifted so that its day begins at midnight."""
    return wall_ms(ts_ms, BROKER_ZONE) + TO_MIDNIGHT_MS
