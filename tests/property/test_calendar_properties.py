"""Calendar arithmetic against an oracle that walks minute by minute and asks the time-zone database each time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from palmbot import calendar
from palmbot.calendar import WEEK_MINUTES, Session
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

ZONES = ("UTC", "Asia/Kuala_Lumpur", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu")
ZONES_WITHOUT_CHANGES = ("UTC", "Asia/Kuala_Lumpur", "Asia/Kathmandu")
WALK_MINUTES = 2 * 24 * 60
# Near the changes of the clock in New York, London and on Lord Howe Island (half an hour), the new year and 1970.
MOMENTS = tuple(
    int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    for text in (
        "2024-03-10",
        "2024-11-03",
        "2024-03-31",
        "2024-10-27",
        "2024-04-06",
        "2024-10-05",
        "2025-01-01",
        "1970-01-01",
    )
)
PERIODS_MS = (MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS)

instants = st.one_of(
    st.builds(lambda moment, away: moment + away, st.sampled_from(MOMENTS), st.integers(-2 * DAY_MS, 2 * DAY_MS)),
    st.integers(-30 * 365 * DAY_MS, 60 * 365 * DAY_MS),
)
intervals = st.builds(
    lambda start, length: (start, start + length), st.integers(0, WEEK_MINUTES - 1), st.integers(1, 26 * 60)
)
holidays = st.frozensets(
    st.builds(
        lambda moment, away: (datetime.fromtimestamp(moment / 1000, UTC) + timedelta(away)).date(),
        st.sampled_from(MOMENTS),
        st.integers(-2, 2),
    ),
    max_size=3,
)


def sessions_of(zones: tuple[str, ...]) -> st.SearchStrategy[Session]:
    """Return sessions in ``zones``."""
    return st.builds(Session, st.sampled_from(zones), st.lists(intervals, max_size=8).map(tuple), holidays)


sessions = sessions_of(ZONES)
days_start_ms = st.integers(0, 23).map(lambda hour: hour * HOUR_MS)


def open_by_walking(ts_ms: int, session: Session) -> bool:
    """Return whether the wall clock of ``session`` stands inside an interval and not on a holiday."""
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ts_ms)).astimezone(ZoneInfo(session.time_zone))
    minute = wall.weekday() * 24 * 60 + wall.hour * 60 + wall.minute
    inside = any(start <= at < end for start, end in session.intervals for at in (minute, minute + WEEK_MINUTES))
    return (inside or not session.intervals) and wall.date() not in session.holidays


def minutes_from(ts_ms: int) -> list[int]:
    """Return ``ts_ms`` and the whole minutes after it, for as long as the oracle walks."""
    first = ts_ms - ts_ms % MINUTE_MS
    return [ts_ms, *range(first + MINUTE_MS, first + WALK_MINUTES * MINUTE_MS, MINUTE_MS)]


@given(instants, sessions)
def test_a_session_is_open_when_the_wall_clock_says_so(ts_ms: int, session: Session) -> None:
    assert calendar.is_open(ts_ms, session) == open_by_walking(ts_ms, session)


@given(st.lists(instants, max_size=20), sessions)
def test_the_array_test_equals_the_single_one(moments: list[int], session: Session) -> None:
    ts_ms = np.array(moments, dtype=np.int64)
    assert calendar.open_mask(ts_ms, session).tolist() == [calendar.is_open(each, session) for each in moments]


@given(instants, sessions)
def test_next_open_is_the_first_open_minute_of_a_walk(ts_ms: int, session: Session) -> None:
    found = next((each for each in minutes_from(ts_ms) if open_by_walking(each, session)), None)
    opens_ms = calendar.next_open(ts_ms, session)
    assert opens_ms == found if found is not None else opens_ms >= ts_ms + (WALK_MINUTES - 1) * MINUTE_MS


@given(instants, sessions)
def test_a_session_ends_at_the_first_closed_minute_of_a_walk(ts_ms: int, session: Session) -> None:
    found = next((each for each in minutes_from(ts_ms) if not open_by_walking(each, session)), None)
    end_ms = calendar.session_end(ts_ms, session)
    assert end_ms == found if found is not None else end_ms >= ts_ms + (WALK_MINUTES - 1) * MINUTE_MS


@given(instants, sessions)
def test_open_spans_hold_the_open_minutes_of_a_walk_and_no_others(ts_ms: int, session: Session) -> None:
    first_ms = ts_ms - ts_ms % MINUTE_MS
    last_ms = first_ms + WALK_MINUTES * MINUTE_MS
    spans = list(calendar.open_spans(first_ms, last_ms, session))
    walked = [each for each in range(first_ms, last_ms, MINUTE_MS) if open_by_walking(each, session)]
    assert [each for start_ms, end_ms in spans for each in range(start_ms, end_ms, MINUTE_MS)] == walked
    assert all(before[1] < after[0] for before, after in pairwise(spans))


@given(instants, st.sampled_from(PERIODS_MS), days_start_ms)
def test_a_bucket_holds_its_instant_and_neighbours_touch(ts_ms: int, period_ms: int, day_start_ms: int) -> None:
    start_ms = calendar.bucket_start(ts_ms, period_ms, day_start_ms)
    end_ms = calendar.bucket_end(ts_ms, period_ms, day_start_ms)
    assert start_ms <= ts_ms < end_ms == start_ms + period_ms
    assert calendar.bucket_start(end_ms, period_ms, day_start_ms) == end_ms
    assert calendar.bucket_end(start_ms - 1, period_ms, day_start_ms) == start_ms
    assert (start_ms - (day_start_ms if period_ms >= DAY_MS else 0)) % period_ms == 0
    as_array = calendar.bucket_end(np.array([ts_ms]), period_ms, day_start_ms)
    assert as_array.tolist() == [end_ms]


@given(instants, days_start_ms)
def test_a_trade_date_is_the_utc_date_of_the_last_instant_of_its_day(ts_ms: int, day_start_ms: int) -> None:
    start_ms = calendar.trading_day_start(ts_ms, day_start_ms)
    assert start_ms <= ts_ms < start_ms + DAY_MS
    assert (start_ms - day_start_ms) % DAY_MS == 0
    last = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ms + DAY_MS - 1)
    assert calendar.trade_date(ts_ms, day_start_ms) == last.date()
    assert calendar.trade_day(np.array([ts_ms]), day_start_ms).tolist() == [(last.date() - date(1970, 1, 1)).days]


@given(st.integers(2000, 2040), st.integers(1, 12), st.integers(1, 28), sessions_of(ZONES_WITHOUT_CHANGES))
def test_a_roll_date_is_the_first_date_from_the_roll_day_on_with_an_open_minute(
    year: int, month: int, roll_day: int, session: Session
) -> None:
    rolls = calendar.roll_date(year, month, roll_day, session)
    zone = ZoneInfo(session.time_zone)

    def opens(day: date) -> bool:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        around = range(int(noon.timestamp() - 13 * 3600) * 1000, int(noon.timestamp() + 13 * 3600) * 1000, MINUTE_MS)
        return any(
            datetime.fromtimestamp(each / 1000, zone).date() == day and open_by_walking(each, session)
            for each in around
        )

    first = date(year, month, roll_day)
    assert opens(rolls)
    assert not any(opens(first + timedelta(day)) for day in range((rolls - first).days))
