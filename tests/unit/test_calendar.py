"""Sessions, buckets, trading days and roll dates on dates a person can check with a paper calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from palmbot import calendar
from palmbot.calendar import Session
from palmbot.instruments import BURSA, PALM_OIL, weekly
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

DAY_START_MS = PALM_OIL.day_start_ms


def ms(text: str) -> int:
    """Return the UTC milliseconds of ``2024-03-01 02:30`` or of the same with an offset."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def test_an_hourly_bucket_lies_on_the_utc_grid_wherever_its_first_tick_is() -> None:
    assert calendar.bucket_start(ms("2024-03-01 02:30"), HOUR_MS, DAY_START_MS) == ms("2024-03-01 02:00")
    assert calendar.bucket_end(ms("2024-03-01 02:30"), HOUR_MS, DAY_START_MS) == ms("2024-03-01 03:00")


def test_a_daily_bucket_is_anchored_at_the_day_start() -> None:
    assert calendar.bucket_start(ms("2024-03-01 02:30"), DAY_MS, DAY_START_MS) == ms("2024-02-29 11:00")
    assert calendar.bucket_end(ms("2024-03-01 11:00"), DAY_MS, DAY_START_MS) == ms("2024-03-02 11:00")


def test_bucket_and_day_arithmetic_takes_arrays_too() -> None:
    ts_ms = np.array([ms("2024-03-01 02:30"), ms("2024-03-01 13:00")])
    assert calendar.bucket_end(ts_ms, HOUR_MS, 0).tolist() == [ms("2024-03-01 03:00"), ms("2024-03-01 14:00")]
    days = [(date(2024, 3, day) - date(1970, 1, 1)).days for day in (1, 2)]
    assert calendar.trade_day(ts_ms, DAY_START_MS).tolist() == days


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-01 02:30", date(2024, 3, 1)),
        ("2024-03-01 10:59:59", date(2024, 3, 1)),
        ("2024-03-01 11:00", date(2024, 3, 2)),
        ("2024-02-29 13:00", date(2024, 3, 1)),  # the night session belongs to the next trade date
    ],
)
def test_the_evening_belongs_to_the_next_trade_date(text: str, day: date) -> None:
    assert calendar.trade_date(ms(text), DAY_START_MS) == day


def test_a_day_that_starts_at_midnight_is_its_own_trade_date() -> None:
    assert calendar.trade_date(ms("2024-03-01 00:00"), 0) == date(2024, 3, 1)
    assert calendar.trade_date(ms("2024-03-01 23:59:59"), 0) == date(2024, 3, 1)


@pytest.mark.parametrize(
    ("malaysian", "is_open"),
    [
        ("2024-03-01 10:29:59", False),  # a Friday
        ("2024-03-01 10:30", True),
        ("2024-03-01 12:29:59", True),
        ("2024-03-01 12:30", False),
        ("2024-03-01 14:30", True),
        ("2024-03-01 15:00", True),
        ("2024-03-01 18:00", False),  # the closing print
        ("2024-03-01 21:00", False),  # no night session on a Friday
        ("2024-02-29 21:00", True),
        ("2024-02-29 23:30", False),
        ("2024-03-02 11:00", False),
    ],
)
def test_bursa_keeps_its_hours(malaysian: str, is_open: bool) -> None:
    ts_ms = ms(f"{malaysian}+08:00")
    assert calendar.is_open(ts_ms, BURSA) is is_open
    assert calendar.open_mask(np.array([ts_ms]), BURSA).tolist() == [is_open]


def test_after_friday_evening_bursa_opens_on_monday_morning() -> None:
    assert calendar.next_open(ms("2024-03-01 18:00+08:00"), BURSA) == ms("2024-03-04 10:30+08:00")
    assert calendar.next_open(ms("2024-03-04 10:31+08:00"), BURSA) == ms("2024-03-04 10:31+08:00")


def test_a_session_ends_where_its_interval_does() -> None:
    assert calendar.session_end(ms("2024-03-01 11:11:11+08:00"), BURSA) == ms("2024-03-01 12:30+08:00")
    assert calendar.session_end(ms("2024-03-01 13:00+08:00"), BURSA) == ms("2024-03-01 13:00+08:00")


def test_a_holiday_closes_its_whole_local_date_and_no_more() -> None:
    session = Session("Asia/Kuala_Lumpur", BURSA.intervals, frozenset({date(2024, 2, 29)}))
    assert not calendar.is_open(ms("2024-02-29 10:30+08:00"), session)
    assert not calendar.is_open(ms("2024-02-29 21:00+08:00"), session)
    assert calendar.is_open(ms("2024-02-28 21:00+08:00"), session)
    assert calendar.next_open(ms("2024-02-28 23:30+08:00"), session) == ms("2024-03-01 10:30+08:00")
    assert calendar.session_end(ms("2024-02-29 11:00+08:00"), session) == ms("2024-02-29 11:00+08:00")


def test_a_session_without_intervals_is_always_open_but_for_its_holidays() -> None:
    assert calendar.is_open(ms("2024-03-02 03:00"), Session())
    assert calendar.open_mask(np.array([ms("2024-03-02 03:00")]), Session()).all()
    session = Session(holidays=frozenset({date(2024, 12, 25)}))
    assert not calendar.is_open(ms("2024-12-25 12:00"), session)
    assert calendar.session_end(ms("2024-12-24 12:00"), session) == ms("2024-12-25 00:00")
    assert calendar.next_open(ms("2024-12-25 12:00"), session) == ms("2024-12-26 00:00")


def test_a_session_that_does_not_close_within_a_week_is_said_to_end_a_week_ahead() -> None:
    assert calendar.session_end(ms("2024-03-01 00:00"), Session()) == ms("2024-03-08 00:00")


def test_touching_intervals_are_one_also_across_the_end_of_the_week() -> None:
    week = Session("UTC", ((0, 1440), (1440, 2880), (6 * 1440 + 22 * 60, 7 * 1440)))  # Sunday 22:00 to Tuesday 24:00
    assert calendar.session_end(ms("2024-03-03 23:00"), week) == ms("2024-03-06 00:00")
    night = Session("UTC", ((6 * 1440 + 23 * 60, 7 * 1440 + 60),))  # Sunday 23:00 to Monday 01:00
    assert calendar.is_open(ms("2024-03-04 00:59"), night)
    assert not calendar.is_open(ms("2024-03-04 01:00"), night)


def test_a_session_keeps_wall_time_when_the_clock_changes() -> None:
    new_york = Session("America/New_York", weekly((range(7), 9 * 60, 17 * 60)))
    assert calendar.next_open(ms("2024-03-09 23:00"), new_york) == ms(
        "2024-03-10 13:00"
    )  # winter 14:00Z, summer 13:00Z
    assert calendar.next_open(ms("2024-03-08 23:00"), new_york) == ms("2024-03-09 14:00")


def test_a_session_that_opens_in_the_skipped_hour_opens_when_it_is_over() -> None:
    early = Session("America/New_York", weekly((range(7), 150, 300)))  # 02:30 to 05:00; 02:00 to 03:00 does not exist
    assert calendar.next_open(ms("2024-03-10 06:00"), early) == ms("2024-03-10 07:00")


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    late = Session("America/New_York", weekly((range(7), 60, 120)))  # 01:00 to 02:00
    assert calendar.session_end(ms("2024-11-03 05:00"), late) == ms("2024-11-03 07:00")


def test_open_spans_are_clipped_merged_and_in_order() -> None:
    spans = list(calendar.open_spans(ms("2024-03-01 11:00+08:00"), ms("2024-03-04 11:00+08:00"), BURSA))
    assert spans == [
        (ms("2024-03-01 11:00+08:00"), ms("2024-03-01 12:30+08:00")),
        (ms("2024-03-01 14:30+08:00"), ms("2024-03-01 18:00+08:00")),
        (ms("2024-03-04 10:30+08:00"), ms("2024-03-04 11:00+08:00")),
    ]
    assert list(calendar.open_spans(ms("2024-03-01 00:00"), ms("2024-03-04 00:00"), Session())) == [
        (ms("2024-03-01 00:00"), ms("2024-03-04 00:00")),
    ]


def test_a_session_that_never_opens_says_so() -> None:
    year = frozenset(date.fromordinal(date(2024, 1, 1).toordinal() + day) for day in range(800))
    with pytest.raises(ValueError, match="does not open within a year"):
        calendar.next_open(ms("2024-01-05 00:00"), Session(holidays=year))


@pytest.mark.parametrize("interval", [(-1, 60), (60, 60), (60, 59), (10_080, 10_090), (0, 10_081)])
def test_an_impossible_interval_is_refused(interval: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="session interval"):
        calendar.is_open(0, Session("UTC", (interval,)))


def test_no_instants_are_no_trouble() -> None:
    assert calendar.open_mask(np.empty(0, dtype=np.int64), BURSA).size == 0


def test_instants_before_1970_have_wall_times_too() -> None:
    ts_ms = np.array([-1, -DAY_MS, ms("1969-12-31 03:00"), MINUTE_MS])
    mask = calendar.open_mask(ts_ms, BURSA).tolist()
    assert mask == [calendar.is_open(int(each), BURSA) for each in ts_ms]


@pytest.mark.parametrize(
    ("year", "month", "rolls"),
    [
        (2024, 5, date(2024, 5, 16)),  # a Thursday
        (2024, 11, date(2024, 11, 18)),  # the 16th is a Saturday
        (2024, 6, date(2024, 6, 17)),  # and here a Sunday
        (2024, 9, date(2024, 9, 17)),  # Malaysia Day is the 16th
    ],
)
def test_palm_oil_rolls_on_the_first_trade_date_from_the_16th_on(year: int, month: int, rolls: date) -> None:
    session = Session(BURSA.time_zone, BURSA.intervals, frozenset({date(2024, 9, 16)}))
    assert calendar.roll_date(year, month, PALM_OIL.roll_day, session) == rolls


def test_a_market_that_never_opens_never_rolls() -> None:
    year = frozenset(date.fromordinal(date(2024, 1, 1).toordinal() + day) for day in range(800))
    with pytest.raises(ValueError, match="no date of a whole year"):
        calendar.roll_date(2024, 1, 16, Session(holidays=year))
