"""Where the broker's bars begin: the UTC grid up to an hour, 17:00 in New York beyond."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.exchange.periods import SPANS, Period, bar_of, bars_of
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

NEW_YORK = ZoneInfo("America/New_York")
INSTANTS = st.integers(1_577_836_800_000, 1_893_456_000_000)  # 2020 to 2030
LONG = (Period.H4, Period.H12, Period.D1, Period.W1, Period.MN1)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("period", "instant", "opens", "next_opens"),
    [
        (Period.M3, "2024-01-10 10:31:59", "2024-01-10 10:30", "2024-01-10 10:33"),
        (Period.H1, "2024-01-10 02:30", "2024-01-10 02:00", "2024-01-10 03:00"),
        (Period.H4, "2024-01-10 22:00", "2024-01-10 22:00", "2024-01-11 02:00"),
        (Period.H4, "2024-07-10 20:59", "2024-07-10 17:00", "2024-07-10 21:00"),
        (Period.H12, "2024-01-10 09:59", "2024-01-09 22:00", "2024-01-10 10:00"),
        (Period.D1, "2024-01-10 21:59", "2024-01-09 22:00", "2024-01-10 22:00"),
        (Period.D1, "2024-07-10 21:00", "2024-07-10 21:00", "2024-07-11 21:00"),
        # New York changes its clock on Sunday 10 March and on Sunday 3 November
        (Period.D1, "2024-03-10 12:00", "2024-03-09 22:00", "2024-03-10 21:00"),
        (Period.D1, "2024-11-03 12:00", "2024-11-02 21:00", "2024-11-03 22:00"),
        (Period.H4, "2024-11-03 05:30", "2024-11-03 05:00", "2024-11-03 10:00"),
        (Period.H4, "2024-11-03 06:30", "2024-11-03 05:00", "2024-11-03 10:00"),
        (Period.W1, "2024-03-06 12:00", "2024-03-03 22:00", "2024-03-10 21:00"),
        (Period.W1, "2024-03-10 20:59", "2024-03-03 22:00", "2024-03-10 21:00"),
        (Period.MN1, "2024-02-29 21:59", "2024-01-31 22:00", "2024-02-29 22:00"),
        (Period.MN1, "2024-03-15 00:00", "2024-02-29 22:00", "2024-03-31 21:00"),
        (Period.MN1, "2024-12-31 22:00", "2024-12-31 22:00", "2025-01-31 22:00"),
    ],
)
def test_a_bar_opens_and_ends_where_the_broker_says(period: Period, instant: str, opens: str, next_opens: str) -> None:
    assert bar_of(period, ms(instant)) == (ms(opens), ms(next_opens))


@given(st.sampled_from(Period), INSTANTS)
def test_a_bar_holds_its_instants_and_the_next_one_begins_where_it_ends(period: Period, ts_ms: int) -> None:
    opens_ms, next_ms = bar_of(period, ts_ms)
    assert opens_ms <= ts_ms < next_ms
    assert bar_of(period, opens_ms) == (opens_ms, next_ms)
    assert bar_of(period, next_ms - 1) == (opens_ms, next_ms)
    assert bar_of(period, next_ms)[0] == next_ms
    assert next_ms - opens_ms <= SPANS[period].length_ms + HOUR_MS


@given(st.sampled_from(LONG), INSTANTS)
def test_longer_bars_open_at_17_00_in_new_york_or_whole_periods_later(period: Period, ts_ms: int) -> None:
    opens = datetime.fromtimestamp(bar_of(period, ts_ms)[0] / 1000, NEW_YORK)
    hours = {Period.H4: 4, Period.H12: 12}.get(period, 24)
    assert (opens.hour - 17) % hours == 0
    assert (opens.minute, opens.second) == (0, 0)
    if period is Period.W1:
        assert opens.strftime("%A") == "Sunday"
    if period is Period.MN1:
        assert datetime.fromtimestamp(opens.timestamp() + DAY_MS / 1000, NEW_YORK).day == 1


@given(st.sampled_from(Period), st.lists(INSTANTS, min_size=1, max_size=30), st.integers(1, 500))
def test_many_instants_at_once_are_grouped_as_one_by_one(period: Period, stamps: list[int], divisor: int) -> None:
    near = sorted(stamps[0] + (stamp - stamps[0]) // (divisor * 1_000) for stamp in stamps)
    first, opens = bars_of(period, np.array(near, dtype=np.int64))
    singly = [bar_of(period, stamp)[0] for stamp in near]
    assert opens.tolist() == sorted(set(singly))
    assert [singly[index] for index in first.tolist()] == opens.tolist()
    assert [singly.index(each) for each in opens.tolist()] == first.tolist()


def test_periods_and_their_widest_windows_are_those_of_the_protocol() -> None:
    weeks, days = 7 * DAY_MS, DAY_MS
    assert [SPANS[period].length_ms // MINUTE_MS for period in Period] == [
        *(1, 2, 3, 4, 5, 10, 15, 30, 60, 240, 720, 1_440, 10_080, 44_640)
    ]
    assert [SPANS[period].window_max_ms for period in Period] == [
        *[5 * weeks] * 5,
        *[35 * weeks] * 4,
        *[366 * days] * 3,
        *[1_830 * days] * 2,
    ]
