"""Entry and exit rules: strict thresholds, and sentiment that is known, fresh and strong, or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.decisions import known_sentiment

from palmbot.core import signals
from palmbot.core.indicators import rsi
from palmbot.core.types import Indicators, Params, Profile, Reason, Sentiment, SentimentArrays
from palmbot.units import HOUR_MS

LONG, SHORT, FLAT = 1, -1, 0
NOW_MS = 1_704_067_200_000
FADE = Params()  # long below 30, short above 70
TREND = Params(profile=int(Profile.RSI_TREND), rsi_low=40.0, rsi_high=60.0)


def at_rsi(value: float) -> Indicators:
    """Return indicators whose RSI is exactly ``value``."""
    found = Indicators(300, 4_000.0, value, 100.0 - value, 10.0)
    assert rsi(found) == value
    return found


def known(score: float, age_ms: int = 0) -> Sentiment:
    """Return sentiment that was known ``age_ms`` before now."""
    return Sentiment(score, NOW_MS - age_ms)


@pytest.mark.parametrize(
    ("params", "value", "side"),
    [
        (FADE, 29.75, LONG),
        (FADE, 30.0, FLAT),
        (FADE, 70.0, FLAT),
        (FADE, 70.25, SHORT),
        (FADE._replace(allow_short=0), 70.25, FLAT),
        (FADE._replace(allow_short=0), 29.75, LONG),
        (TREND, 60.0, FLAT),
        (TREND, 60.25, LONG),
        (TREND, 40.0, FLAT),
        (TREND, 39.75, SHORT),
        (TREND._replace(allow_short=0), 39.75, FLAT),
    ],
)
def test_a_threshold_must_be_crossed_not_met(params: Params, value: float, side: int) -> None:
    assert signals.rsi_side(params, at_rsi(value)) == side


@pytest.mark.parametrize(
    ("side", "score", "veto"),
    [
        (LONG, 30.0, Reason.SENTIMENT_WEAK),
        (LONG, 30.5, 0),
        (LONG, -90.0, Reason.SENTIMENT_WEAK),
        (SHORT, -30.0, Reason.SENTIMENT_WEAK),
        (SHORT, -30.5, 0),
        (SHORT, 90.0, Reason.SENTIMENT_WEAK),
    ],
)
def test_sentiment_must_be_stronger_than_its_threshold(side: int, score: float, veto: int) -> None:
    assert signals.sentiment_veto(FADE, side, known(score), NOW_MS) == veto


def test_sentiment_of_exactly_the_greatest_age_still_counts() -> None:
    limit_ms = FADE.sentiment_max_age_ms
    assert signals.sentiment_veto(FADE, LONG, known(80.0, limit_ms), NOW_MS) == 0
    assert signals.sentiment_veto(FADE, LONG, known(80.0, limit_ms + 1), NOW_MS) == Reason.SENTIMENT_STALE


def test_without_sentiment_a_fade_never_trades() -> None:
    assert signals.entry(FADE, at_rsi(10.0), Sentiment(), NOW_MS) == (LONG, Reason.SENTIMENT_ABSENT)


def test_stale_is_said_before_weak() -> None:
    old = known(0.0, FADE.sentiment_max_age_ms + 1)
    assert signals.entry(FADE, at_rsi(90.0), old, NOW_MS) == (SHORT, Reason.SENTIMENT_STALE)


def test_a_vetoed_signal_keeps_its_side() -> None:
    assert signals.entry(FADE, at_rsi(10.0), known(30.0), NOW_MS) == (LONG, Reason.SENTIMENT_WEAK)
    assert signals.entry(FADE, at_rsi(90.0), known(-30.0), NOW_MS) == (SHORT, Reason.SENTIMENT_WEAK)


@pytest.mark.parametrize(
    ("params", "value", "answer"),
    [
        (FADE, 10.0, (LONG, Reason.ENTRY_LONG)),
        (FADE, 50.0, (FLAT, Reason.NO_SIGNAL)),
        (FADE, 90.0, (SHORT, Reason.SENTIMENT_WEAK)),  # the sentiment is bullish
        (TREND, 90.0, (LONG, Reason.ENTRY_LONG)),
        (TREND, 10.0, (SHORT, Reason.ENTRY_SHORT)),  # a trend asks no sentiment
        (TREND, 50.0, (FLAT, Reason.NO_SIGNAL)),
    ],
)
def test_a_profile_asks_for_a_side_and_says_why(params: Params, value: float, answer: tuple[int, int]) -> None:
    assert signals.entry(params, at_rsi(value), known(80.0), NOW_MS) == answer


def test_a_trend_trades_without_sentiment() -> None:
    assert signals.entry(TREND, at_rsi(90.0), Sentiment(), NOW_MS) == (LONG, Reason.ENTRY_LONG)


@pytest.mark.parametrize(
    ("params", "side", "value", "leaves"),
    [
        (FADE, LONG, 54.75, False),
        (FADE, LONG, 55.0, True),  # bought weakness is strong again
        (FADE, SHORT, 45.25, False),
        (FADE, SHORT, 45.0, True),
        (TREND, LONG, 55.25, False),
        (TREND, LONG, 55.0, True),  # bought strength has gone
        (TREND, SHORT, 44.75, False),
        (TREND, SHORT, 45.0, True),
    ],
)
def test_a_signal_exit_is_due_when_the_rsi_is_back(params: Params, side: int, value: float, leaves: bool) -> None:
    assert signals.wants_exit(params._replace(rsi_exit=55.0), at_rsi(value), side) is leaves
    assert signals.wants_exit(params._replace(rsi_exit=0.0), at_rsi(value), side) is False


def rows_of(*rows: tuple[int, float]) -> SentimentArrays:
    """Return ``(known_ms, score)`` rows as arrays."""
    return SentimentArrays(np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64))


def test_sentiment_is_known_from_its_very_millisecond_on() -> None:
    rows = rows_of((NOW_MS, 40.0), (NOW_MS + HOUR_MS, -40.0))
    assert signals.sentiment_at(rows, NOW_MS - 1) == Sentiment(0.0, -1)
    assert signals.sentiment_at(rows, NOW_MS) == Sentiment(40.0, NOW_MS)
    assert signals.sentiment_at(rows, NOW_MS + HOUR_MS - 1) == Sentiment(40.0, NOW_MS)
    assert signals.sentiment_at(rows, NOW_MS + HOUR_MS) == Sentiment(-40.0, NOW_MS + HOUR_MS)


def test_of_rows_known_at_one_time_the_later_row_wins() -> None:
    assert signals.sentiment_at(rows_of((NOW_MS, 40.0), (NOW_MS, 10.0)), NOW_MS).score == 10.0


def test_no_rows_know_nothing() -> None:
    assert signals.sentiment_at(rows_of(), NOW_MS) == Sentiment(0.0, -1)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-100, 100))), st.integers(-1, 51))
def test_sentiment_is_the_newest_row_that_was_known(pairs: list[tuple[int, int]], instant_ms: int) -> None:
    rows = rows_of(*((known_ms, float(score)) for known_ms, score in sorted(pairs, key=lambda pair: pair[0])))
    found = signals.sentiment_at(rows, instant_ms)
    newest = known_sentiment(rows, instant_ms)
    assert found == (Sentiment(0.0, -1) if newest is None else Sentiment(newest[1], newest[0]))
