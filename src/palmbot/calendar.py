"""Sessions, buckets, trading days and roll dates: pure functions of UTC milliseconds.

A session is a set of weekly open intervals in the instrument's own time zone, minus holidays. Bucket and trading-day
arithmetic is integer arithmetic on the UTC grid (PARITY 26 and 49) and takes an integer or an array alike.

Session arithmetic is exact across changes of the clock: a UTC day is cut into pieces of constant offset, and inside a
piece wall time is UTC plus a constant.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from palmbot.core.types import Int64Array
from palmbot.units import DAY_MS, MINUTE_MS

WEEK_MINUTES = 7 * 24 * 60
WEEK_MS = WEEK_MINUTES * MINUTE_MS
MONDAY_EPOCH_OFFSET_DAYS = 3  # 1970-01-01 was a Thursday
EPOCH = date(1970, 1, 1)

Instants = TypeVar("Instants", int, Int64Array)


@dataclass(frozen=True, slots=True)
class Session:
    """Weekly open intervals ``[start, end)`` in minutes from Monday 00:00 of ``time_zone``, and closed dates.

    An interval may run past midnight, also from Sunday into Monday; touching intervals are one. A holiday closes its
    whole local date. No intervals at all means always open (but for the holidays).
    """

    time_zone: str = "UTC"
    intervals: tuple[tuple[int, int], ...] = ()
    holidays: frozenset[date] = frozenset()


def bucket_start(ts_ms: Instants, period_ms: int, day_start_ms: int) -> Instants:
    """Return the start of the bar bucket that holds ``ts_ms``.

    Periods below a day lie on the UTC grid; a day and longer are anchored at ``day_start_ms``.
    """
    anchor = day_start_ms if period_ms >= DAY_MS else 0
    return (ts_ms - anchor) // period_ms * period_ms + anchor


def bucket_end(ts_ms: Instants, period_ms: int, day_start_ms: int) -> Instants:
    """Return the end of the bar bucket that holds ``ts_ms``: when its decision is made."""
    return bucket_start(ts_ms, period_ms, day_start_ms) + period_ms


def trading_day_start(ts_ms: Instants, day_start_ms: int) -> Instants:
    """Return the start of the trading day that holds ``ts_ms``."""
    return (ts_ms - day_start_ms) // DAY_MS * DAY_MS + day_start_ms


def trade_day(ts_ms: Instants, day_start_ms: int) -> Instants:
    """Return the trade date of ``ts_ms`` as days since 1970-01-01: the UTC date on which its trading day ends.

    A day that starts in the evening belongs to the next date (Bursa's night session); one that starts at midnight is
    its own date.
    """
    return (trading_day_start(ts_ms, day_start_ms) + DAY_MS - 1) // DAY_MS


def trade_date(ts_ms: int, day_start_ms: int) -> date:
    """Return the trade date of ``ts_ms``, as ``trade_day`` says it."""
    return EPOCH + timedelta(trade_day(ts_ms, day_start_ms))


class _Week(NamedTuple):
    """A session ready for arithmetic: ordered, disjoint intervals of a week in ms, and closed local days."""

    starts_ms: tuple[int, ...]
    ends_ms: tuple[int, ...]
    closed_days: frozenset[int]  # days since 1970-01-01


@lru_cache(maxsize=64)
def _week(session: Session) -> _Week:
    spans: list[tuple[int, int]] = []
    for start, end in session.intervals or ((0, WEEK_MINUTES),):
        if not 0 <= start < WEEK_MINUTES or not start < end <= start + WEEK_MINUTES:
            raise ValueError(f"a session interval must start in the week and end within a week of it: {(start, end)}")
        spans.append((start, min(end, WEEK_MINUTES)))
        if end > WEEK_MINUTES:
            spans.append((0, end - WEEK_MINUTES))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return _Week(
        tuple(start * MINUTE_MS for start, _ in merged),
        tuple(end * MINUTE_MS for _, end in merged),
        frozenset((day - EPOCH).days for day in session.holidays),
    )


def open_week(session: Session) -> tuple[tuple[int, int], ...]:
    """Return when a week of ``session`` is open: disjoint spans in order, in ms from Monday 00:00, cut at its end.

    Raises:
        ValueError: an interval does not start in the week or does not end within a week of its start.
    """
    week = _week(session)
    return tuple(zip(week.starts_ms, week.ends_ms, strict=True))


def _utc_offset_ms(ts_ms: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(ts_ms // 1000, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)


@lru_cache(maxsize=16_384)
def _offsets(time_zone: str, utc_day: int) -> tuple[tuple[int, int], ...]:
    """Return ``(first ms, UTC offset in ms)`` of each piece of constant offset of a UTC day: one or two."""
    zone = ZoneInfo(time_zone)
    low, high = utc_day * DAY_MS, (utc_day + 1) * DAY_MS - 1000
    before, after = _utc_offset_ms(low, zone), _utc_offset_ms(high, zone)
    if before == after:
        return ((low, before),)
    while high - low > 1000:  # zones change on whole seconds
        middle = (low + high) // 2000 * 1000
        if _utc_offset_ms(middle, zone) == before:
            low = middle
        else:
            high = middle
    return ((utc_day * DAY_MS, before), (high, after))


def _piece(ts_ms: int, time_zone: str) -> tuple[int, int]:
    """Return the UTC offset at ``ts_ms``, and until when it certainly holds."""
    day = ts_ms // DAY_MS
    (_, offset_ms), *change = _offsets(time_zone, day)
    if not change:
        return offset_ms, (day + 1) * DAY_MS
    change_ms, changed_ms = change[0]
    return (offset_ms, change_ms) if ts_ms < change_ms else (changed_ms, (day + 1) * DAY_MS)


def _week_ms(local_ms: Instants) -> Instants:
    return (local_ms + MONDAY_EPOCH_OFFSET_DAYS * DAY_MS) % WEEK_MS


def is_open(ts_ms: int, session: Session) -> bool:
    """Return whether ``session`` is open at ``ts_ms``."""
    if not session.intervals and not session.holidays:
        return True
    week = _week(session)
    local_ms = ts_ms + _piece(ts_ms, session.time_zone)[0]
    at_ms = _week_ms(local_ms)
    index = bisect_right(week.starts_ms, at_ms) - 1
    return index >= 0 and at_ms < week.ends_ms[index] and local_ms // DAY_MS not in week.closed_days


def wall_ms(ts_ms: Int64Array, time_zone: str) -> Int64Array:
    """Return the wall time of ``time_zone`` at each instant, in ms as if it were UTC, shape ``(n,)``."""
    day = ts_ms // DAY_MS
    days = sorted(set(day[np.diff(day, prepend=day[:1] - 1) != 0].tolist()))
    pieces = np.array([piece for each in days for piece in _offsets(time_zone, each)], dtype=np.int64)
    pieces = pieces.reshape(-1, 2)
    index = np.searchsorted(pieces[:, 0], ts_ms, side="right") - 1
    offset_ms: Int64Array = pieces[index, 1]
    return ts_ms + offset_ms


def open_mask(ts_ms: Int64Array, session: Session) -> NDArray[np.bool_]:
    """Return whether ``session`` is open at each instant; ``is_open`` for arrays of shape ``(n,)``."""
    if not session.intervals and not session.holidays:
        return np.ones(ts_ms.shape, dtype=np.bool_)
    week = _week(session)
    local_ms = wall_ms(ts_ms, session.time_zone)
    at_ms = _week_ms(local_ms)
    index = np.searchsorted(np.array(week.starts_ms), at_ms, side="right") - 1
    inside = (index >= 0) & (at_ms < np.array(week.ends_ms)[np.maximum(index, 0)])
    return inside & ~np.isin(local_ms // DAY_MS, sorted(week.closed_days))


def _open_pieces(from_ms: int, to_ms: int, session: Session) -> Iterator[tuple[int, int]]:
    """Yield open spans in order, cut at midnights and changes of the clock."""
    week = _week(session)
    cursor = from_ms
    while cursor < to_ms:
        offset_ms, until_ms = _piece(cursor, session.time_zone)
        local_ms = cursor + offset_ms
        until_ms = min(until_ms, to_ms, cursor + DAY_MS - local_ms % DAY_MS)
        if local_ms // DAY_MS not in week.closed_days:
            at_ms = _week_ms(local_ms)
            for start_ms, end_ms in zip(week.starts_ms, week.ends_ms, strict=True):
                opens, closes = max(start_ms, at_ms), min(end_ms, at_ms + until_ms - cursor)
                if opens < closes:
                    yield cursor + opens - at_ms, cursor + closes - at_ms
        cursor = until_ms


def open_spans(from_ms: int, to_ms: int, session: Session) -> Iterator[tuple[int, int]]:
    """Yield the open spans ``(start, end)`` of ``[from_ms, to_ms)`` in order, as long as they can be made."""
    span: tuple[int, int] | None = None
    for start_ms, end_ms in _open_pieces(from_ms, to_ms, session):
        if span is not None and span[1] == start_ms:
            span = (span[0], end_ms)
            continue
        if span is not None:
            yield span
        span = (start_ms, end_ms)
    if span is not None:
        yield span


def next_open(ts_ms: int, session: Session) -> int:
    """Return the first instant >= ``ts_ms`` at which ``session`` is open.

    Raises:
        ValueError: the session does not open within a year.
    """
    for start_ms, _ in _open_pieces(ts_ms, ts_ms + 366 * DAY_MS, session):
        return start_ms
    raise ValueError("the session does not open within a year")


def session_end(ts_ms: int, session: Session) -> int:
    """Return the end of the open span that holds ``ts_ms``; ``ts_ms`` itself when closed.

    A session that does not close within a week is said to end a week ahead.
    """
    if not is_open(ts_ms, session):
        return ts_ms
    return next(end_ms for _, end_ms in open_spans(ts_ms, ts_ms + WEEK_MS, session))


def roll_date(year: int, month: int, roll_day: int, session: Session) -> date:
    """Return the first date on or after ``roll_day`` of a month on which ``session`` opens.

    The third-month palm-oil benchmark moves to the next contract after the 15th, the last trading day of the spot
    month, hence on the first trade date from the 16th on.

    Raises:
        ValueError: the session opens on no date of the year that follows.
    """
    week = _week(session)
    first = date(year, month, roll_day)
    for candidate in (first + timedelta(days) for days in range(366)):
        day_ms = candidate.weekday() * DAY_MS
        opens = any(
            start_ms < day_ms + DAY_MS and day_ms < end_ms
            for start_ms, end_ms in zip(week.starts_ms, week.ends_ms, strict=True)
        )
        if opens and (candidate - EPOCH).days not in week.closed_days:
            return candidate
    raise ValueError("the session opens on no date of a whole year")
