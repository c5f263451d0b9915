"""Sentiment is point in time: what was known, never what came later."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.core.signals import sentiment_at
from palmbot.core.types import Sentiment, SentimentArrays
from palmbot.sentiment import timeline
from palmbot.sentiment.timeline import Timeline

TIMES = st.integers(0, 50)
ROWS = st.lists(st.tuples(TIMES, st.floats(-100, 100)), max_size=30)


def by_time(rows: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(rows, key=lambda row: row[0])


def test_nothing_is_known_before_the_first_row() -> None:
    assert Timeline().at(10**15) == Sentiment(0.0, -1)
    assert Timeline([(5, 30.0)]).at(4) == Sentiment(0.0, -1)


def test_a_row_is_known_from_its_instant_on() -> None:
    known = Timeline([(5, 30.0), (9, -40.0)])
    assert [known.at(instant) for instant in (5, 8, 9, 10**15)] == [
        Sentiment(30.0, 5),
        Sentiment(30.0, 5),
        Sentiment(-40.0, 9),
        Sentiment(-40.0, 9),
    ]


def test_the_later_row_of_one_instant_wins() -> None:
    known = Timeline([(5, 30.0), (5, -30.0)])
    assert known.at(5).score == -30.0
    known.add(5, 7.0)
    assert known.at(5).score == 7.0


@given(ROWS, TIMES)
def test_it_is_what_the_backtest_knows(rows: list[tuple[int, float]], instant: int) -> None:
    rows = by_time(rows)
    arrays = SentimentArrays(np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows]))
    assert Timeline(rows).at(instant) == sentiment_at(arrays, instant)


@given(ROWS, TIMES)
def test_rows_that_are_added_one_by_one_make_the_same_timeline(rows: list[tuple[int, float]], instant: int) -> None:
    known = Timeline()
    for row in by_time(rows):
        known.add(*row)
    assert known.at(instant) == Timeline(by_time(rows)).at(instant)


@given(ROWS, TIMES, TIMES, st.floats(-100, 100))
def test_no_later_row_changes_what_was_known(
    rows: list[tuple[int, float]], instant: int, later: int, score: float
) -> None:
    known = Timeline(by_time(rows))
    before = known.at(instant)
    known.add(max(instant + 1, later), score)
    assert known.at(instant) == before


def test_numpy_values_become_plain_ones() -> None:
    known = Timeline(zip(np.array([5]), np.array([30.0]), strict=True))
    said = known.at(6)
    assert (type(said.score), type(said.known_ms)) == (float, int)


def test_the_oldest_half_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "ROWS_MAX", 4)
    known = Timeline()
    for instant in range(1, 6):
        known.add(instant, float(instant))
    assert [known.at(instant).known_ms for instant in range(6)] == [-1, -1, -1, 3, 4, 5]
