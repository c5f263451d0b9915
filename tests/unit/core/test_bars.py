"""Ticks to bars: which bucket a tick belongs to, and what a bar remembers of its ticks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palmbot import calendar
from palmbot.core.bars import begun, bucket_end, extended
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

NOON_MS = 1_704_153_600_000 + DAY_MS // 2  # 2024-01-02 12:00Z


def test_a_tick_on_the_border_begins_the_next_bucket() -> None:
    assert bucket_end(NOON_MS - 1, HOUR_MS, 0) == NOON_MS
    assert bucket_end(NOON_MS, HOUR_MS, 0) == NOON_MS + HOUR_MS


def test_a_late_first_tick_keeps_the_end_of_its_bucket() -> None:
    assert bucket_end(NOON_MS + 30 * MINUTE_MS, HOUR_MS, 0) == NOON_MS + HOUR_MS


def test_a_daily_bucket_is_anchored_at_the_start_of_the_trading_day() -> None:
    evening = 11 * HOUR_MS
    assert bucket_end(NOON_MS, DAY_MS, evening) == NOON_MS - HOUR_MS + DAY_MS
    assert bucket_end(NOON_MS, 4 * HOUR_MS, evening) == NOON_MS + 4 * HOUR_MS  # shorter ones lie on the UTC grid


@given(
    st.integers(-(10**12), 4 * 10**12),
    st.sampled_from([MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS]),
    st.integers(0, DAY_MS - 1),
)
def test_the_core_and_the_calendar_agree_on_buckets(ts_ms: int, period_ms: int, day_start_ms: int) -> None:
    end_ms = bucket_end(ts_ms, period_ms, day_start_ms)
    assert end_ms == calendar.bucket_end(ts_ms, period_ms, day_start_ms)
    assert end_ms - period_ms <= ts_ms < end_ms


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=30))
def test_a_bar_keeps_the_first_highest_lowest_and_last_tick(bids: list[int]) -> None:
    bar = begun(NOON_MS, NOON_MS + HOUR_MS, bids[0])
    for bid_px in bids[1:]:
        bar = extended(bar, bid_px)
    assert bar == (NOON_MS, NOON_MS + HOUR_MS, bids[0], max(bids), min(bids), bids[-1])
