"""Which pauses lie ahead of a decision, on Bursa's hours (UTC+8: 02:30-04:30, 06:30-10:00, 13:00-15:30 UTC)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from palmbot.calendar import Session, pauses_ahead
from palmbot.core.types import Pause
from palmbot.instruments import BURSA
from palmbot.units import DAY_MS, HOUR_MS

DAY_START_MS = 11 * HOUR_MS
NIGHT = Pause.CLOSE | Pause.DAY
CLOSED = replace(BURSA, holidays=frozenset({date(2024, 1, 25)}))  # a Thursday


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


def ahead(text: str, period_ms: int, session: Session = BURSA, roll_day: int = 0) -> Pause:
    """Return the pauses ahead of the decision made at ``text``."""
    found = pauses_ahead(np.array([at(text)], np.int64), period_ms, DAY_START_MS, session, roll_day)
    return Pause(int(found[0]))


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        ("2024-01-10T03:00", Pause.NONE),  # acts at 03:00 and again at 04:00
        ("2024-01-10T04:00", Pause.CLOSE),  # the bar from 04:00 has the start of the lunch in it
        ("2024-01-10T07:00", Pause.NONE),
        ("2024-01-10T09:00", NIGHT),  # the last bar before the evening, which belongs to the next day
        ("2024-01-10T15:00", Pause.CLOSE),  # after the night session comes the same trading day
        ("2024-01-12T09:00", NIGHT | Pause.WEEKEND),  # a Friday
        ("2024-01-13T12:00", Pause.NONE),  # decided while closed: it can act on Monday
    ],
)
def test_hourly_decisions_see_the_pause_before_the_bar_after_next(decided: str, expected: Pause) -> None:
    assert ahead(decided, HOUR_MS) == expected


def test_a_daily_series_leaves_at_the_open_of_the_last_bar_before_the_pause() -> None:
    assert ahead("2024-01-11T11:00", DAY_MS) == NIGHT | Pause.WEEKEND  # Thursday's close: Friday's bar is the last
    assert Pause.WEEKEND not in ahead("2024-01-10T11:00", DAY_MS)


def test_a_holiday_is_seen_one_bar_before() -> None:
    assert Pause.HOLIDAY in ahead("2024-01-24T15:00", HOUR_MS, CLOSED)  # the last half hour before it
    assert Pause.HOLIDAY not in ahead("2024-01-23T15:00", HOUR_MS, CLOSED)
    assert Pause.HOLIDAY not in ahead("2024-01-24T15:00", HOUR_MS)


def test_the_roll_is_ahead_of_the_last_bar_of_the_trade_date_before_it() -> None:
    assert Pause.ROLL in ahead("2024-01-15T09:00", HOUR_MS, roll_day=16)  # the evening belongs to the 16th
    assert Pause.ROLL not in ahead("2024-01-15T07:00", HOUR_MS, roll_day=16)
    assert Pause.ROLL not in ahead("2024-01-16T09:00", HOUR_MS, roll_day=16)


def test_a_market_that_never_closes_has_days_and_nothing_else() -> None:
    assert ahead("2024-01-10T09:00", HOUR_MS, Session()) == Pause.NONE
    assert ahead("2024-01-10T10:00", HOUR_MS, Session()) == Pause.DAY


@pytest.mark.parametrize("period_ms", [HOUR_MS, 4 * HOUR_MS, DAY_MS])
def test_each_bar_of_a_series_sees_what_it_sees_alone(period_ms: int) -> None:
    """What the backtest asks for a whole file is what the bot asks at each bar's end."""
    first_ms = at("2024-01-01T11:00") if period_ms == DAY_MS else at("2024-01-01T12:00")
    ends = np.arange(first_ms, at("2024-02-20T11:00"), period_ms, dtype=np.int64)
    together = pauses_ahead(ends, period_ms, DAY_START_MS, CLOSED, 16)
    alone = [int(pauses_ahead(ends[i : i + 1], period_ms, DAY_START_MS, CLOSED, 16)[0]) for i in range(ends.size)]
    assert together.tolist() == alone
    assert set(Pause(int(np.bitwise_or.reduce(together)))) == {each for each in Pause if each}


def test_a_session_that_never_opens_is_an_error() -> None:
    with pytest.raises(ValueError, match="within a year"):
        ahead("2024-01-10T09:00", HOUR_MS, Session("UTC", ((0, 1),), frozenset(_all_days())))


def _all_days() -> list[date]:
    return [date.fromordinal(day) for day in range(date(2024, 1, 1).toordinal(), date(2027, 1, 1).toordinal())]
