"""Sessions, buckets, trading days: pure functions of a UTC millisecond.

A session is a set of weekly open intervals in the instrument's own time zone plus holidays. Bucket and trading-day
arithmetic is integer arithmetic on the UTC grid (PARITY 26 and 49).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from palmbot.units import DAY_MS, MINUTE_MS

WEEK_MINUTES = 7 * 24 * 60
MONDAY_EPOCH_OFFSET_DAYS = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Session:
    """Weekly open intervals ``[start, end)`` in minutes from Monday 00:00 of ``time_zone``, and closed dates.

    No intervals at all means always open.
    """

    time_zone: str = "UTC"
    intervals: tuple[tuple[int, int], ...] = ()
    holidays: frozenset[date] = frozenset()


def bucket_start(ts_ms: int, period_ms: int, day_start_ms: int) -> int:
    """Return the start of the bar bucket that holds ``ts_ms``.

    Periods below a day lie on the UTC grid; a day and longer are anchored at ``day_start_ms``.
    """
    anchor = day_start_ms if period_ms >= DAY_MS else 0
    return (ts_ms - anchor) // period_ms * period_ms + anchor


def bucket_end(ts_ms: int, period_ms: int, day_start_ms: int) -> int:
    """Return the end of the bar bucket that holds ``ts_ms``: when its decision is made."""
    return bucket_start(ts_ms, period_ms, day_start_ms) + period_ms


def trading_day_start(ts_ms: int, day_start_ms: int) -> int:
    """Return the start of the trading day that holds ``ts_ms``."""
    return (ts_ms - day_start_ms) // DAY_MS * DAY_MS + day_start_ms


def trade_date(ts_ms: int, day_start_ms: int) -> date:
    """Return the trade date of ``ts_ms``: the UTC date on which its trading day ends.

    A day that starts in the evening belongs to the next date (Bursa's night session); one that starts at midnight is
    its own date.
    """
    end_ms = trading_day_start(ts_ms, day_start_ms) + DAY_MS - 1
    return datetime.fromtimestamp(end_ms / 1000, UTC).date()


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local(ts_ms: int, session: Session) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(_zone(session.time_zone))


def is_open(ts_ms: int, session: Session) -> bool:
    """Return whether ``session`` is open at ``ts_ms``."""
    if not session.intervals and not session.holidays:
        return True
    local = _local(ts_ms, session)
    if local.date() in session.holidays:
        return False
    if not session.intervals:
        return True
    minute = local.weekday() * 24 * 60 + local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in session.intervals)


def next_open(ts_ms: int, session: Session) -> int:
    """Return the first instant >= ``ts_ms`` at which ``session`` is open.

    Raises:
        ValueError: the session does not open within a year.
    """
    if is_open(ts_ms, session):
        return ts_ms
    local = _local(ts_ms, session)
    for day in range(367):
        midnight = datetime(local.year, local.month, local.day, tzinfo=local.tzinfo) + timedelta(days=day)
        if midnight.date() in session.holidays:
            continue
        for start, _end in sorted(session.intervals):
            if start // (24 * 60) != midnight.weekday():
                continue
            opens = midnight + timedelta(minutes=start % (24 * 60))
            opens_ms = int(opens.timestamp() * 1000)
            if opens_ms >= ts_ms:
                return opens_ms
    raise ValueError("the session does not open within a year")


def session_end(ts_ms: int, session: Session) -> int:
    """Return the end of the open interval that holds ``ts_ms``; ``ts_ms`` itself when closed."""
    if not session.intervals:
        return ts_ms + DAY_MS
    local = _local(ts_ms, session)
    minute = local.weekday() * 24 * 60 + local.hour * 60 + local.minute
    for start, end in session.intervals:
        if start <= minute < end:
            return ts_ms - ts_ms % MINUTE_MS + (end - minute) * MINUTE_MS
    return ts_ms
