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

from palmbot.core.types import Int64Array, Pause
from palmbot.units import DAY_MS, MINUTE_MS

WEEK_MINUTES = 7 * 24 * 60
WEEK_MS = WEEK_MINUTES * MINUTE_MS
MONDAY_EPOCH_OFFSET_DAYS = 3  # 1970-01-01 was a Thursday
SATURDAY = 2  # 1970-01-03, in days since 1970-01-01
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


def roll_days(first_day: int, last_day: int, roll_day: int, session: Session) -> Int64Array:
    """Return the roll dates in ``(first_day, last_day]``, all as days since 1970-01-01; none for ``roll_day`` 0."""
    if roll_day == 0:
        return np.empty(0, dtype=np.int64)
    first, last = (EPOCH + timedelta(day) for day in (first_day, last_day))
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    dates = (roll_date(month // 12, month % 12 + 1, roll_day, session) for month in months)
    days = np.array([(date - EPOCH).days for date in dates], dtype=np.int64)
    return days[(days > first_day) & (days <= last_day)]


def pauses_ahead(end_ms: Int64Array, period_ms: int, day_start_ms: int, session: Session, roll_day: int) -> Int64Array:
    """Return which pauses lie ahead of decisions made at ``end_ms``, as bits of ``Pause``, shape ``(n,)``.

    A decision can act at the open of the next bar and again at the open of the bar after it. What lies between these
    two opens is ahead. Both follow from the session alone: a holiday that it does not have is not foreseen.

    Args:
        end_ms: ends of buckets, ascending, shape ``(n,)``.
        period_ms: of the bars.
        day_start_ms: start of the trading day.
        session: when the market is open.
        roll_day: first day of a month on which the contract may roll; 0 = never.

    Raises:
        ValueError: the session does not open within a year.
    """
    found = np.zeros(end_ms.shape, dtype=np.int64)
    if end_ms.size == 0:
        return found
    spans = _spans_beyond(int(end_ms[0]), int(end_ms[-1]), period_ms, session)
    starts, ends = spans[:, 0], spans[:, 1]
    here = np.searchsorted(ends, end_ms, side="right")
    opens = np.maximum(starts[here], end_ms)
    closes = bucket_end(opens, period_ms, day_start_ms)
    there = np.searchsorted(ends, closes, side="right")
    reopens = np.maximum(starts[there], closes)
    for kind, is_such in _kinds_of_pauses(starts, ends, session):
        count = np.append(0, np.cumsum(is_such))  # of such pauses before each span
        found |= np.where(count[here] != count[there], kind, 0)
    is_next_day = trading_day_start(opens, day_start_ms) != trading_day_start(reopens, day_start_ms)
    first, last = trade_day(opens, day_start_ms), trade_day(reopens, day_start_ms)
    rolls = roll_days(int(first[0]), int(last[-1]), roll_day, session)
    is_roll = np.searchsorted(rolls, first, side="right") != np.searchsorted(rolls, last, side="right")
    return found | np.where(is_next_day, Pause.DAY, 0) | np.where(is_roll, Pause.ROLL, 0)


def _spans_beyond(from_ms: int, to_ms: int, period_ms: int, session: Session) -> Int64Array:
    """Return the open spans from ``from_ms`` on, shape ``(k, 2)``, up to well beyond two bars after ``to_ms``."""
    for days in (7, 30, 366):
        until_ms = to_ms + 3 * period_ms + days * DAY_MS
        spans = np.array(list(open_spans(from_ms, until_ms, session)), dtype=np.int64).reshape(-1, 2)
        if spans.size and spans[-1, 1] > to_ms + 2 * period_ms and _opens_twice(spans, to_ms, period_ms):
            return spans
    raise ValueError("the session does not open within a year")


def _opens_twice(spans: Int64Array, to_ms: int, period_ms: int) -> bool:
    """Return whether ``spans`` hold the open after ``to_ms`` and one a bar after that."""
    at = int(np.searchsorted(spans[:, 1], to_ms, side="right"))
    return at < len(spans) and int(spans[-1, 1]) > max(int(spans[at, 0]), to_ms) + 2 * period_ms


def _kinds_of_pauses(
    starts: Int64Array, ends: Int64Array, session: Session
) -> Iterator[tuple[Pause, NDArray[np.bool_]]]:
    """Yield each kind of pause between open spans, and which are of this kind, shape ``(spans - 1,)``."""
    first = wall_ms(ends[:-1], session.time_zone) // DAY_MS
    last = (wall_ms(starts[1:], session.time_zone) - 1) // DAY_MS
    yield Pause.CLOSE, np.ones(first.shape, dtype=np.bool_)
    yield Pause.WEEKEND, (last - SATURDAY) // 7 != (first - 1 - SATURDAY) // 7
    closed = np.array(sorted(_week(session).closed_days), dtype=np.int64)
    yield Pause.HOLIDAY, np.searchsorted(closed, first) != np.searchsorted(closed, last, side="right")
