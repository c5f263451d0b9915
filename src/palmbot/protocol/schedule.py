"""The broker's open hours as a session: weekly seconds and closed days in, minutes and closed dates out. Pure.

Exact wherever a session can say the same. Where it cannot, it is open less than the broker is, and a remark says so:
hours that begin or end inside a minute, and holidays that close only a part of a date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palmbot.calendar import EPOCH, WEEK_MINUTES, Session, open_week
from palmbot.errors import RefusedError
from palmbot.protocol.messages import pb
from palmbot.units import MINUTE_MS

DAY_S = 86_400
WEEK_S = 7 * DAY_S
RECURS_UNTIL = 2099  # the last year in which a yearly holiday is counted
_DAY_MINUTES = 24 * 60


def session_of(full: pb.Symbol, configured: Session) -> tuple[Session, dict[str, str]]:
    """Return the session of a symbol, and remarks on what it cannot say, by setting.

    The configured one is returned as it is where the broker means the same, and where it states no hours.

    Raises:
        RefusedError: ``SCHEDULE_UNREADABLE``.
    """
    if not full.schedule and not full.holiday:
        return configured, {}
    zone = (full.scheduleTimeZone if full.schedule else "") or configured.time_zone
    try:
        ZoneInfo(zone)
        intervals, is_cut = _intervals(full.schedule) if full.schedule else (configured.intervals, False)
        holidays, is_partial = _holidays(full.holiday, zone)
        told = Session(zone, _by_day(open_week(Session(zone, intervals))), holidays)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError) as wrong:
        todo = "Trade another symbol: this one's hours cannot be read. Report this with the line above."
        raise RefusedError("SCHEDULE_UNREADABLE", todo, zone=zone, reason=wrong) from None
    remarks = {}
    if is_cut:
        remarks["session"] = "cut to whole minutes"
    if is_partial:
        remarks["holidays"] = "a date that is closed in part counts as closed"
    return (configured if _means(told) == _means(configured) else told), remarks


def _means(session: Session) -> tuple[object, ...]:
    return session.time_zone, open_week(session), session.holidays


def _intervals(schedule: Iterable[pb.Interval]) -> tuple[tuple[tuple[int, int], ...], bool]:
    """Return intervals in minutes from Monday 00:00, and whether any lost seconds."""
    found, is_cut = [], False
    for each in schedule:
        first_s, last_s = each.startSecond, each.endSecond
        if not (first_s < WEEK_S and first_s < last_s <= first_s + WEEK_S):
            raise ValueError(f"an interval of a week from second {first_s} to {last_s}")
        opens, closes = -(-first_s // 60), last_s // 60
        is_cut = is_cut or (opens * 60, closes * 60) != (first_s, last_s)
        if opens < closes:
            start = (opens - _DAY_MINUTES) % WEEK_MINUTES  # the wire's week begins a day before ours
            found.append((start, start + closes - opens))
    if not found:
        raise ValueError("no interval is a minute long")
    return tuple(found), is_cut


def _by_day(week: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return spans in minutes, none longer than a day, which is how hours are written; none at all are always open."""
    spans = [(start_ms // MINUTE_MS, end_ms // MINUTE_MS) for start_ms, end_ms in week]
    if spans == [(0, WEEK_MINUTES)]:
        return ()
    return tuple(piece for start, end in spans for piece in _pieces(start, end))


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > _DAY_MINUTES:
        midnight = (start // _DAY_MINUTES + 1) * _DAY_MINUTES
        yield start, midnight
        start = midnight
    yield start, end


def _holidays(listed: Iterable[pb.Holiday], zone: str) -> tuple[frozenset[date], bool]:
    """Return the dates in ``zone`` that are closed, and whether any is closed only in part."""
    closed: set[date] = set()
    is_partial = False
    for each in listed:
        for day in _days(each):
            dates, is_whole = _touched(each, day, zone)
            closed |= dates
            is_partial = is_partial or not is_whole
    return frozenset(closed), is_partial


def _days(holiday: pb.Holiday) -> Iterator[date]:
    """Yield the day of ``holiday``, and its like in the years after where it recurs."""
    day = EPOCH + timedelta(holiday.holidayDate)
    yield day
    for year in range(day.year + 1, RECURS_UNTIL + 1) if holiday.isRecurring else ():
        if (day.month, day.day) != (2, 29) or date(year, 3, 1) - date(year, 2, 28) > timedelta(1):
            yield day.replace(year=year)


def _touched(holiday: pb.Holiday, day: date, zone: str) -> tuple[set[date], bool]:
    """Return the dates in ``zone`` that a closed span of ``day`` touches, and whether they are those and no more.

    Without both of its ends, or with none before the other, it is the whole day.
    """
    first_s, last_s = holiday.startSecond, holiday.endSecond
    if not (holiday.HasField("endSecond") and 0 <= first_s < last_s <= DAY_S):
        first_s, last_s = 0, DAY_S
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(holiday.scheduleTimeZone or zone))
    start, end = ((midnight + timedelta(seconds=each)).astimezone(ZoneInfo(zone)) for each in (first_s, last_s))
    days = range((end - timedelta(seconds=1)).date().toordinal() - start.date().toordinal() + 1)
    is_whole = all((each.hour, each.minute, each.second) == (0, 0, 0) for each in (start, end))
    return {start.date() + timedelta(each) for each in days}, is_whole
