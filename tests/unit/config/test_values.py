"""What people write and the exact value it stands for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.calendar import Session, is_open
from palmbot.config.hours import Dates, TimeOfDay, TimeZone, WeeklyHours
from palmbot.config.values import (
    Amount,
    BadTextError,
    Choice,
    Cost,
    Duration,
    FilePath,
    Flag,
    Kind,
    Number,
    Speed,
    Text,
    percent,
)
from palmbot.instruments import BURSA
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

PERCENT = percent("0.01", "100", 100)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Number(0, 100), "25", Decimal(25)),
        (Number(0, 100), "0.5", Decimal("0.5")),
        (Number(0, 100, whole=True), "1e1", 10),
        (PERCENT, "1.5%", 150),
        (PERCENT, "1.5 %", 150),
        (percent("0", "100", Decimal("0.01"), whole=False), "0.5%", Decimal("0.005")),
        (Duration(), "5s", 5_000),
        (Duration(), "10m", 10 * MINUTE_MS),
        (Duration(), "2h", 2 * HOUR_MS),
        (Duration(), "1d", DAY_MS),
        (Duration(), "1h30m", 90 * MINUTE_MS),
        (Duration(), "250ms", 250),
        (Duration(), "1.5h", 90 * MINUTE_MS),
        (Duration(), "0", 0),
        (Choice({"paper": 1}), "PAPER", 1),
        (Flag(), "yes", True),
        (Flag(), "off", False),
        (Speed(), "max", None),
        (Speed(), "0.5", 0.5),
        (Cost(), "2", Amount(Decimal(2), percent=False)),
        (Cost(), "0.05%", Amount(Decimal("0.05"), percent=True)),
        (Cost(signed=True), "-0.3", Amount(Decimal("-0.3"), percent=False)),
        (TimeOfDay(), "11:00", 11 * HOUR_MS),
        (TimeOfDay(), "24:00", 0),
    ],
)
def test_a_text_has_exactly_one_value(kind: Kind, text: str, value: object) -> None:
    assert kind.parse(text) == value
    assert type(kind.parse(text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        (Number(0, 100), "abc", "BAD_NUMBER"),
        (Number(0, 100), "", "BAD_NUMBER"),
        (Number(0, 100), "nan", "BAD_NUMBER"),
        (Number(0, 100), "inf", "BAD_NUMBER"),
        (Number(0, 100), "1e-999999999", "BAD_NUMBER"),
        (Number(0, 100), "-1", "OUT_OF_RANGE"),
        (Number(0, 100), "100.1", "OUT_OF_RANGE"),
        (Number(0, 100, whole=True), "1.5", "BAD_NUMBER"),
        (PERCENT, "1.5", "BAD_PERCENT"),
        (PERCENT, "%", "BAD_NUMBER"),
        (PERCENT, "0.015%", "BAD_NUMBER"),
        (PERCENT, "0%", "OUT_OF_RANGE"),
        (Duration(), "10", "BAD_DURATION"),
        (Duration(), "10 minutes", "BAD_DURATION"),
        (Duration(), "-5s", "BAD_DURATION"),
        (Duration(), "", "BAD_DURATION"),
        (Duration(1), "0s", "OUT_OF_RANGE"),
        (Duration(high_ms=HOUR_MS), "2h", "OUT_OF_RANGE"),
        (Choice({"paper": 1}), "demo", "BAD_CHOICE"),
        (Flag(), "maybe", "BAD_FLAG"),
        (Text("[A-Z]{3}", "a currency"), "ringgit", "BAD_TEXT"),
        (FilePath(), "no/such/file", "FILE_NOT_FOUND"),
        (Speed(), "fast", "BAD_NUMBER"),
        (Speed(), "0", "OUT_OF_RANGE"),
        (Cost(), "-1", "OUT_OF_RANGE"),
        (Cost(), "101%", "OUT_OF_RANGE"),
        (Cost(), "2 points", "BAD_NUMBER"),
        (TimeOfDay(), "25:00", "BAD_TIME"),
        (TimeOfDay(), "11:60", "BAD_TIME"),
        (TimeOfDay(), "noon", "BAD_TIME"),
        (TimeZone(), "Asia/Atlantis", "BAD_TIME_ZONE"),
        (TimeZone(), "../etc", "BAD_TIME_ZONE"),
        (WeeklyHours(), "10:30-12:30", "BAD_SESSION"),
        (WeeklyHours(), "Mon-Fry 10:30-12:30", "BAD_SESSION"),
        (WeeklyHours(), "Mon 10:30-12:99", "BAD_TIME"),
        (WeeklyHours(), "Mon 10:00-12:00, Mon 11:00-13:00", "BAD_SESSION"),
        (WeeklyHours(), "Mon-Fri 10:00-12:00, Tue 11:59-13:00", "BAD_SESSION"),
        (Dates(), "01.02.2026", "BAD_DATE"),
    ],
)
def test_a_wrong_text_is_refused_with_what_to_write(kind: Kind, text: str, code: str) -> None:
    with pytest.raises(BadTextError) as refused:
        kind.parse(text)
    assert refused.value.code == code
    assert refused.value.todo.endswith(".")


@given(st.integers(0, 36_500 * DAY_MS))
def test_every_duration_reads_back_as_it_is_shown(value_ms: int) -> None:
    assert Duration().parse(Duration().show(value_ms)) == value_ms


@given(st.integers(1, 10_000))
def test_every_percentage_reads_back_as_it_is_shown(basis_points: int) -> None:
    assert PERCENT.parse(PERCENT.show(basis_points)) == basis_points


@given(st.floats(0, 1e6).filter(lambda value: value == 0 or value > 1e-30))
def test_every_number_reads_back_as_the_same_float(value: float) -> None:
    kind = Number(0, 10**7)
    assert float(kind.parse(kind.show(value))) == value


def test_the_core_writes_a_percentage_in_its_own_unit() -> None:
    assert PERCENT.raw().parse("150") == PERCENT.parse("1.5%")
    with pytest.raises(BadTextError, match="OUT_OF_RANGE"):
        PERCENT.raw().parse("10001")


def test_bursa_hours_read_back_as_they_are_shown() -> None:
    shown = WeeklyHours().show(BURSA.intervals)
    assert shown == "Mon-Fri 10:30-12:30, Mon-Fri 14:30-18:00, Mon-Thu 21:00-23:30"
    assert WeeklyHours().parse(shown) == BURSA.intervals


def test_hours_past_midnight_belong_to_the_day_they_begin_on() -> None:
    session = Session("UTC", WeeklyHours().parse("Sun-Thu 22:00-05:00"))
    monday_ms = 4 * DAY_MS  # 1970-01-05
    sunday_night = (monday_ms - 3 * HOUR_MS, monday_ms - 2 * HOUR_MS, monday_ms + 4 * HOUR_MS, monday_ms + 5 * HOUR_MS)
    assert [is_open(ts_ms, session) for ts_ms in sunday_night] == [False, True, True, False]
    friday_ms = monday_ms + 4 * DAY_MS
    assert [is_open(friday_ms + hour * HOUR_MS, session) for hour in (4, 5, 22)] == [True, False, False]
    assert WeeklyHours().parse(WeeklyHours().show(session.intervals)) == session.intervals


def _spans() -> st.SearchStrategy[str]:
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    day = st.sampled_from(days)
    clock = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
    return st.tuples(day, day, clock, clock).map(lambda parts: f"{parts[0]}-{parts[1]} {parts[2]}-{parts[3]}")


@given(_spans())
def test_every_week_reads_back_as_it_is_shown(text: str) -> None:
    kind: Any = WeeklyHours()
    try:
        intervals = kind.parse(text)
    except BadTextError:
        return  # a span over midnight may overlap its own start
    assert kind.parse(kind.show(intervals)) == intervals


def test_dates_read_back_as_they_are_shown() -> None:
    text = "2026-01-01, 2026-02-17"
    assert Dates().show(Dates().parse(text)) == text
    assert Dates().parse("none") == frozenset()
