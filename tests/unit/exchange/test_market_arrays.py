"""History before the first tick, and long generated series."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from palmbot.calendar import Session, bucket_end, is_open, next_open, open_mask
from palmbot.core.types import BarArrays, Float64Array
from palmbot.errors import ConfigError
from palmbot.exchange.market import advance
from palmbot.exchange.market_arrays import (
    START_MS,
    history,
    history_sentiment,
    synthetic_bars,
    synthetic_sentiment,
)
from palmbot.exchange.swings import lean
from palmbot.instruments import PALM_OIL
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX

SESSION = PALM_OIL.session
TEN_YEARS = 26_000  # hourly bars


@pytest.fixture(scope="module")
def hourly() -> BarArrays:
    """Ten years of hourly bars."""
    return synthetic_bars(PALM_OIL, 1, TEN_YEARS)


def log_moves(bars: BarArrays) -> Float64Array:
    """Return the log moves from close to close."""
    moves: Float64Array = np.diff(np.log(bars.close_px.astype(np.float64)))
    return moves


def test_history_ends_before_an_open_and_the_first_tick_comes_just_after_it() -> None:
    for seed in range(5):
        bars, state = history(PALM_OIL, seed)
        assert len(bars) == 500
        opens_ms = next_open(START_MS, SESSION)
        assert bucket_end(bars[-1].ts_ms, HOUR_MS, PALM_OIL.day_start_ms) <= opens_ms
        _, ticks, rows = advance(state, PALM_OIL)
        assert opens_ms <= ticks[0].ts_ms < opens_ms + 5_000
        assert ticks[0].opens_gap
        assert abs(ticks[0].bid_px / bars[-1].close_px - 1) < 0.05
        assert state.bid_px == bars[-1].close_px
        assert len(rows) == 1  # the news comments on the open at once


def test_no_hour_of_the_session_is_missing_from_history() -> None:
    bars, _ = history(PALM_OIL, 1)
    for before, after in pairwise(bars):
        assert after.ts_ms == next_open(bucket_end(before.ts_ms, HOUR_MS, PALM_OIL.day_start_ms), SESSION)


def test_history_ends_stretched_so_that_a_first_trade_is_near() -> None:
    stretch = [state.swing.side * lean(state.mood) for _, state in (history(PALM_OIL, seed) for seed in range(10))]
    assert min(stretch) > 0.4
    assert np.median(stretch) > 0.55


def test_history_may_start_in_the_middle_of_a_session() -> None:
    wednesday_ms = next_open(START_MS + 2 * DAY_MS, SESSION) + 37 * MINUTE_MS
    bars, state = history(PALM_OIL, 1, 100, HOUR_MS, wednesday_ms)
    assert len(bars) == 100
    assert bars[-1].ts_ms == wednesday_ms - 37 * MINUTE_MS  # 10:30 to 11:00; the bar from 11:00 is not closed
    _, ticks, _ = advance(state, PALM_OIL)
    assert not ticks[0].opens_gap
    assert wednesday_ms <= ticks[0].ts_ms < wednesday_ms + MINUTE_MS


@pytest.mark.parametrize("period_ms", [MINUTE_MS, 15 * MINUTE_MS, 4 * HOUR_MS, DAY_MS])
@pytest.mark.parametrize("session", [SESSION, Session()])
def test_history_exists_for_any_period_and_session(period_ms: int, session: Session) -> None:
    spec = replace(PALM_OIL, session=session)
    bars, state = history(spec, 3, 60, period_ms)
    ends_ms = [bucket_end(bar.ts_ms, period_ms, spec.day_start_ms) for bar in bars]
    assert len(set(ends_ms)) == 60
    assert ends_ms == sorted(ends_ms)
    assert ends_ms[-1] <= next_open(START_MS, session)
    assert advance(state, spec)[1][0].ts_ms >= ends_ms[-1]


def test_history_sentiment_covers_the_history_and_is_synthetic() -> None:
    bars, _ = history(PALM_OIL, 1)
    rows = history_sentiment(bars, PALM_OIL, 1)
    assert len(rows) > 400
    assert {row.source for row in rows} == {"SYNTHETIC"}
    assert rows[-1].known_ms == bucket_end(bars[-1].ts_ms, HOUR_MS, PALM_OIL.day_start_ms)
    assert rows == history_sentiment(bars, PALM_OIL, 1)


@pytest.mark.parametrize(("bars", "period_ms"), [(0, HOUR_MS), (5, 0), (5, 90_001)])
def test_impossible_lengths_are_refused(bars: int, period_ms: int) -> None:
    with pytest.raises(ConfigError, match="GENERATED_BARS_WRONG"):
        history(PALM_OIL, 1, bars, period_ms)
    with pytest.raises(ConfigError, match="GENERATED_BARS_WRONG"):
        synthetic_bars(PALM_OIL, 1, bars, period_ms)


def test_a_session_that_never_opens_is_an_error_and_not_a_long_wait() -> None:
    years = frozenset(
        date.fromordinal(day) for day in range(date(2023, 1, 1).toordinal(), date(2026, 1, 1).toordinal())
    )
    spec = replace(PALM_OIL, session=replace(SESSION, holidays=years))
    with pytest.raises(ValueError, match="does not open"):
        synthetic_bars(spec, 1, 10)
    with pytest.raises(ValueError, match="does not open"):
        history(spec, 1, 10)


@pytest.mark.parametrize(("n", "period_ms"), [(5_000, MINUTE_MS), (5_000, HOUR_MS), (1_000, DAY_MS)])
def test_series_keep_to_the_session_and_to_the_order_of_time(n: int, period_ms: int) -> None:
    bars = synthetic_bars(PALM_OIL, 2, n, period_ms)
    for name in ("ts_ms", "end_ms", "open_px", "high_px", "low_px", "close_px"):
        column = getattr(bars, name)
        assert column.shape == (n,)
        assert column.dtype == np.int64
    assert bars.rate_e8.shape == (0,)
    assert open_mask(bars.ts_ms, SESSION).all()
    assert np.array_equal(bars.end_ms, bucket_end(bars.ts_ms, period_ms, PALM_OIL.day_start_ms))
    assert (np.diff(bars.end_ms) > 0).all()
    assert (bars.low_px <= np.minimum(bars.open_px, bars.close_px)).all()
    assert (bars.high_px >= np.maximum(bars.open_px, bars.close_px)).all()
    assert all((column % PX == 0).all() for column in (bars.open_px, bars.high_px, bars.low_px, bars.close_px))


def test_no_minute_of_the_session_is_missing_from_a_series() -> None:
    bars = synthetic_bars(PALM_OIL, 2, 5_000, MINUTE_MS)
    following = [next_open(ts_ms + MINUTE_MS, SESSION) for ts_ms in bars.ts_ms.tolist()]
    assert bars.ts_ms.tolist()[1:] == following[:-1]
    assert is_open(int(bars.ts_ms[0]), SESSION)


def test_bars_of_two_sessions_that_share_a_bucket_are_one() -> None:
    bars = synthetic_bars(PALM_OIL, 2, 50, 4 * HOUR_MS)  # 04:00-08:00 UTC holds the end of one and the start of another
    assert len(np.unique(bars.end_ms)) == 50


def test_equal_seeds_make_equal_series_and_others_do_not(hourly: BarArrays) -> None:
    again, other = synthetic_bars(PALM_OIL, 1, TEN_YEARS), synthetic_bars(PALM_OIL, 2, TEN_YEARS)
    assert all(np.array_equal(one, two) for one, two in zip(hourly, again, strict=True))
    assert not np.array_equal(hourly.close_px, other.close_px)


@pytest.mark.parametrize("seed", range(4))
def test_prices_stay_plausible_for_ten_years(seed: int) -> None:
    bars = synthetic_bars(PALM_OIL, seed, TEN_YEARS)
    assert bars.low_px.min() > 1_500 * PX
    assert bars.high_px.max() < 12_000 * PX
    daily = synthetic_bars(PALM_OIL, seed, 2_500, DAY_MS)
    assert daily.low_px.min() > 1_500 * PX
    assert daily.high_px.max() < 12_000 * PX


def test_closed_hours_end_in_jumps_and_open_ones_do_not(hourly: BarArrays) -> None:
    jumps = np.abs(np.log(hourly.open_px[1:] / hourly.close_px[:-1]))
    closed_ms = hourly.ts_ms[1:] - hourly.end_ms[:-1]
    week_ends, nights, inside = jumps[closed_ms > 2 * DAY_MS], jumps[closed_ms > 8 * HOUR_MS], jumps[closed_ms == 0]
    assert week_ends.mean() > 1.2 * nights.mean()
    assert nights.mean() > 3 * inside.mean()
    assert (week_ends > 0.03).mean() < 0.02  # the open-gap limit seldom refuses an entry


def test_volatility_comes_in_clusters_beyond_what_swings_explain(hourly: BarArrays) -> None:
    sizes = np.abs(log_moves(hourly))
    for lag in (1, 5, 10, 50):
        assert np.corrcoef(sizes[:-lag], sizes[lag:])[0, 1] > 0.02
    # The range of bars is little touched by the direction of a swing.
    ranges = np.log(hourly.high_px / hourly.low_px)
    weeks = ranges[: len(ranges) // 25 * 25].reshape(-1, 25).mean(axis=1)
    assert np.corrcoef(weeks[:-1], weeks[1:])[0, 1] > 0.1


def test_moves_of_three_per_cent_an_hour_are_rare(hourly: BarArrays) -> None:
    share = (np.abs(log_moves(hourly)) > 0.03).mean()
    assert share < 0.002


def test_some_bars_have_no_range_at_all(hourly: BarArrays) -> None:
    flat = (hourly.high_px == hourly.low_px).mean()
    assert 0.0005 < flat < 0.02
    minutes = synthetic_bars(PALM_OIL, 1, 5_000, MINUTE_MS)
    assert 0.02 < (minutes.high_px == minutes.low_px).mean() < 0.15


def test_sentiment_of_a_series_leans_against_its_moves_and_is_ordered(hourly: BarArrays) -> None:
    rows = synthetic_sentiment(hourly, 1)
    assert rows.known_ms.dtype == np.int64
    assert rows.score.dtype == np.float64
    assert rows.known_ms.shape == rows.score.shape
    assert (np.diff(rows.known_ms) > 0).all()
    assert (np.abs(rows.score) <= 100.0).all()
    assert np.isin(rows.known_ms, hourly.end_ms).all()
    at = np.searchsorted(hourly.end_ms, rows.known_ms)
    late = at[at >= 10]
    moves = np.log(hourly.close_px[late] / hourly.close_px[late - 10])
    assert np.corrcoef(moves, rows.score[at >= 10])[0, 1] < -0.5
    gaps_ms = hourly.end_ms - rows.known_ms[np.searchsorted(rows.known_ms, hourly.end_ms, side="right") - 1]
    assert 0.0 < (gaps_ms > DAY_MS).mean() < 0.05  # stale now and then


def test_sentiment_of_no_bars_is_empty() -> None:
    none = np.empty(0, dtype=np.int64)
    assert synthetic_sentiment(BarArrays(*([none] * 7)), 1).score.shape == (0,)
    assert history_sentiment((), PALM_OIL, 1) == ()
