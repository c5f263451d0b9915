"""Whatever was fetched before: what is asked for is what is missing, once, in windows that may be asked for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from palmbot.adapters.ctrader_download import WINDOW_BARS, window_ms
from palmbot.adapters.ctrader_history import PARTS, Grid
from palmbot.research.coverage import Span, holes, merged, stretch, windows
from palmbot.units import DAY_MS, MINUTE_MS

ENDS = st.integers(0, 300)
SPANS = st.lists(st.tuples(ENDS, ENDS).map(lambda ends: Span(*sorted(ends))), max_size=12)


def points(spans: list[Span]) -> list[int]:
    return [point for span in spans for point in range(*span)]


@given(covered=SPANS, wanted=st.tuples(ENDS, ENDS).map(lambda ends: Span(*sorted(ends))), length=st.integers(1, 400))
def test_the_windows_are_exactly_what_is_missing(covered: list[Span], wanted: Span, length: int) -> None:
    asked = list(windows(holes(covered, wanted), length))
    assert points(asked) == sorted(set(range(*wanted)) - set(points(covered)))  # in order, and nothing twice
    assert all(0 < window.to_ms - window.from_ms <= length for window in asked)


@given(covered=SPANS, wanted=st.tuples(ENDS, ENDS).map(lambda ends: Span(*sorted(ends))), length=st.integers(1, 400))
def test_whoever_was_stopped_asks_only_for_the_rest(covered: list[Span], wanted: Span, length: int) -> None:
    asked = list(windows(holes(covered, wanted), length))
    done = asked[: len(asked) // 2]
    rest = windows(holes([*covered, *done], wanted), length)
    assert points(done) + points(list(rest)) == points(asked)
    assert list(holes([*covered, *asked], wanted)) == []


@given(spans=SPANS, point=ENDS)
def test_merged_spans_hold_the_same_and_do_not_touch(spans: list[Span], point: int) -> None:
    whole = merged(spans)
    assert points(whole) == sorted(set(points(spans)))
    assert all(left.to_ms < right.from_ms for left, right in pairwise(whole))
    assert stretch(spans, point) == next((span for span in whole if span.from_ms <= point < span.to_ms), None)


@given(period_min=st.integers(1, 2 * 24 * 60), day_start_min=st.integers(0, 24 * 60 - 1))
def test_every_period_of_minutes_can_be_fetched_within_the_broker_s_limits(period_min: int, day_start_min: int) -> None:
    part = Grid(period_min * MINUTE_MS, day_start_min * MINUTE_MS).part()
    length_ms = window_ms(part)
    assert part in PARTS
    assert length_ms % part.period_ms == 0
    assert length_ms + part.period_ms <= min(part.window_days * DAY_MS, WINDOW_BARS * part.period_ms)
