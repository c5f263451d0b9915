"""The broker's open hours and holidays as a session."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from palmbot.calendar import EPOCH, Session, open_week
from palmbot.errors import RefusedError
from palmbot.protocol.messages import pb
from palmbot.protocol.schedule import DAY_S, WEEK_S, session_of
from palmbot.units import HOUR_MS

HOUR_S = 3_600
NONE = Session()
NEW_YEAR = (date(2026, 1, 1) - EPOCH).days
FX = (17 * HOUR_S, 5 * DAY_S + 17 * HOUR_S)  # Sunday to Friday, five in the afternoon


def symbol(*spans: tuple[int, int], zone: str = "UTC", holidays: tuple[pb.Holiday, ...] = ()) -> pb.Symbol:
    return pb.Symbol(
        symbolId=1,
        digits=3,
        pipPosition=2,
        schedule=[pb.Interval(startSecond=start, endSecond=end) for start, end in spans],
        scheduleTimeZone=zone,
        holiday=holidays,
    )


def holiday(day: int = NEW_YEAR, *, zone: str = "UTC", recurs: bool = False, **span: Any) -> pb.Holiday:
    return pb.Holiday(holidayId=1, name="x", scheduleTimeZone=zone, holidayDate=day, isRecurring=recurs, **span)


def closed(*holidays: pb.Holiday, zone: str = "UTC") -> tuple[set[str], bool]:
    """Return the closed dates, and whether a remark says that one is closed in part."""
    session, remarks = session_of(symbol((0, WEEK_S), zone=zone, holidays=holidays), NONE)
    return {each.isoformat() for each in session.holidays}, "holidays" in remarks


def test_a_week_from_sunday_in_seconds_is_one_from_monday_in_minutes() -> None:
    session, remarks = session_of(symbol((DAY_S + 9 * HOUR_S, DAY_S + 17 * HOUR_S), zone="Asia/Kuala_Lumpur"), NONE)
    assert session == Session("Asia/Kuala_Lumpur", ((9 * 60, 17 * 60),))
    assert remarks == {}


def test_a_span_over_days_and_over_the_weeks_end_is_cut_where_it_can_be_written_down() -> None:
    session, _ = session_of(symbol(FX, zone="America/New_York"), NONE)
    assert open_week(session) == (
        (0, 4 * 24 * HOUR_MS + 17 * HOUR_MS),
        (6 * 24 * HOUR_MS + 17 * HOUR_MS, 7 * 24 * HOUR_MS),
    )
    assert all(end - start <= 1_440 for start, end in session.intervals)


def test_always_open_is_no_interval_whether_in_one_or_in_days() -> None:
    days = [(day * DAY_S, (day + 1) * DAY_S) for day in range(7)]
    for spans in ([(0, WEEK_S)], days, [(HOUR_S, HOUR_S + WEEK_S)]):
        assert session_of(symbol(*spans), Session("UTC", ((1, 2),)))[0].intervals == ()


def test_what_means_the_same_stays_as_it_is_configured_and_no_hours_are_no_statement() -> None:
    spelled = Session("UTC", ((0, 60), (60, 120)))
    assert session_of(symbol((DAY_S, DAY_S + 2 * HOUR_S)), spelled)[0] is spelled
    assert session_of(pb.Symbol(symbolId=1, digits=3, pipPosition=2), spelled)[0] is spelled


def test_seconds_are_cut_to_the_minutes_that_are_wholly_open_and_that_is_said() -> None:
    session, remarks = session_of(symbol((DAY_S + 1, DAY_S + 179)), NONE)
    assert session.intervals == ((1, 2),)
    assert "whole minutes" in remarks["session"]


@pytest.mark.parametrize(
    "full",
    [
        symbol((5, 5)),
        symbol((9, 5)),
        symbol((WEEK_S, WEEK_S + 60)),
        symbol((0, WEEK_S + 60)),
        symbol((1, 59)),
        symbol((0, 60), zone="Mars/Olympus"),
        symbol((0, 60), zone="../etc/passwd"),
        symbol((0, 60), holidays=(holiday(zone="Mars/Olympus"),)),
        symbol((0, 60), holidays=(holiday(10**9),)),
    ],
)
def test_hours_that_cannot_be_are_refused(full: pb.Symbol) -> None:
    with pytest.raises(RefusedError, match="SCHEDULE_UNREADABLE"):
        session_of(full, NONE)


def test_a_holiday_closes_its_whole_date() -> None:
    assert closed(holiday()) == ({"2026-01-01"}, False)
    assert closed(holiday(startSecond=0, endSecond=DAY_S)) == ({"2026-01-01"}, False)
    assert closed(holiday(startSecond=0, endSecond=0)) == ({"2026-01-01"}, False)


def test_a_date_that_is_closed_in_part_counts_as_closed_and_that_is_said() -> None:
    assert closed(holiday(startSecond=13 * HOUR_S, endSecond=DAY_S)) == ({"2026-01-01"}, True)


def test_a_holiday_of_another_zone_closes_the_dates_that_it_touches() -> None:
    assert closed(holiday(zone="America/New_York")) == ({"2026-01-01", "2026-01-02"}, True)
    assert closed(holiday(zone="America/New_York"), zone="America/New_York") == ({"2026-01-01"}, False)


def test_a_yearly_holiday_closes_its_date_in_all_years_to_come() -> None:
    dates, _ = closed(holiday(recurs=True))
    assert {"2026-01-01", "2027-01-01", "2099-01-01"} < dates
    assert "2025-01-01" not in dates
    leap = (date(2024, 2, 29) - EPOCH).days
    dates, _ = closed(holiday(leap, recurs=True))
    assert {"2024-02-29", "2028-02-29"} < dates
    assert not any(each.endswith("03-01") for each in dates)


def test_holidays_without_hours_are_added_to_the_configured_hours() -> None:
    configured = Session("Asia/Kuala_Lumpur", ((0, 60),))
    session, _ = session_of(symbol(holidays=(holiday(zone="Asia/Kuala_Lumpur"),)), configured)
    assert session == Session("Asia/Kuala_Lumpur", ((0, 60),), frozenset({date(2026, 1, 1)}))
