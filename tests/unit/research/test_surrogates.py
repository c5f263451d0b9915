"""Surrogates: what they keep of a series, what they destroy, and the p-value that they give."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from tests.unit.research.sweep_series import START_MS, bars_of, series_of, walk

from palmbot.core.types import BarArrays, Instrument, Int64Array, Params, RollArrays, SentimentArrays
from palmbot.research.search import Search
from palmbot.research.surrogates import KINDS, Moves, Null, moves_of, rebuilt, shuffled, sign_flipped, surrogates
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_ledger import RESULT
from palmbot.research.sweep_params import table_of
from palmbot.research.workers import threads
from palmbot.units import DAY_MS, HOUR_MS, PX

STEP = Instrument().step_px
Make = Callable[[Series, np.random.Generator], Series]
BOTH = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def gapped(count: int = 600) -> BarArrays:
    """Return a walk whose opens jump, most at the first bar of a trading day."""
    bars = walk(count)
    at_day = bars.ts_ms % DAY_MS == Instrument().day_start_ms
    gaps = np.where(at_day, rng(3).integers(20, 60, count), rng(4).integers(-2, 3, count)) * PX
    gaps[0] = 0
    level = np.cumsum(gaps)
    return lifted(bars, level)


def lifted(bars: BarArrays, level: Int64Array) -> BarArrays:
    """Return ``bars`` with ``level`` added to the prices of each."""
    opens, highs, lows, closes = (px + level for px in (bars.open_px, bars.high_px, bars.low_px, bars.close_px))
    return BarArrays(bars.ts_ms, bars.end_ms, opens, highs, lows, closes, bars.rate_e8)


def rolls_in(bars: BarArrays) -> RollArrays:
    return RollArrays(bars.ts_ms[[100, 300]], np.array([37 * PX, -18 * PX], np.int64))


def test_a_series_with_its_own_moves_is_itself() -> None:
    bars = gapped()
    series = series_of(bars, rolls=rolls_in(bars))
    again = rebuilt(series, moves_of(series))
    for column, expected in zip(again.bars, bars, strict=True):
        assert np.array_equal(column, expected)
    assert np.array_equal(again.rolls.gap_px, series.rolls.gap_px)


@BOTH
def test_a_surrogate_is_a_series_that_can_be_traded(make: Make) -> None:
    series = series_of(gapped())
    bars = make(series, rng()).bars
    for px in bars[2:6]:
        assert px.dtype == np.int64
        assert (px % STEP == 0).all()
        assert px.min() > 0
    assert (bars.high_px >= np.maximum(bars.open_px, bars.close_px)).all()
    assert (bars.low_px <= np.minimum(bars.open_px, bars.close_px)).all()
    assert not np.array_equal(bars.close_px, series.bars.close_px)


@BOTH
def test_a_surrogate_keeps_its_times_its_rates_its_sentiment_and_its_first_open(make: Make) -> None:
    bars = gapped()._replace(rate_e8=np.arange(600, dtype=np.int64) + 10**8)
    series = series_of(bars, sentiment=SentimentArrays(bars.ts_ms[:2], np.array([1.0, 2.0])))
    other = make(series, rng())
    for name in ("ts_ms", "end_ms", "rate_e8"):
        assert np.array_equal(getattr(other.bars, name), getattr(bars, name))
    assert other.sentiment is series.sentiment
    assert other.instrument == series.instrument
    assert other.bars.open_px[0] == bars.open_px[0]


@BOTH
def test_a_surrogate_is_decided_by_its_seed(make: Make) -> None:
    series = series_of(gapped())
    one, same, other = (make(series, rng(seed)).bars for seed in (1, 1, 2))
    assert np.array_equal(one.close_px, same.close_px)
    assert not np.array_equal(one.close_px, other.close_px)


def test_shuffling_keeps_every_move_and_the_whole_drift() -> None:
    series = series_of(gapped())
    other = shuffled(series, rng())
    before, after = moves_of(series), moves_of(other)
    for name in Moves._fields:
        assert np.sort(getattr(after, name)) == pytest.approx(np.sort(getattr(before, name)), abs=1e-6), name
    assert other.bars.close_px[-1] == pytest.approx(series.bars.close_px[-1], abs=STEP)


def test_shuffling_moves_a_bar_as_a_whole() -> None:
    series = series_of(gapped())
    before, after = moves_of(series), moves_of(shuffled(series, rng()))
    known = np.round(np.stack((before.high, before.low, before.close)), 5)
    found = np.round(np.stack((after.high, after.low, after.close)), 5)
    assert np.mean([(np.abs(known - each[:, np.newaxis]) < 3e-5).all(axis=0).any() for each in found.T]) == 1.0


def test_shuffling_keeps_gaps_into_a_new_day_among_themselves() -> None:
    series = series_of(gapped())
    is_day = series.bars.ts_ms % DAY_MS == Instrument().day_start_ms
    before, after = moves_of(series).gap, moves_of(shuffled(series, rng())).gap
    assert np.sort(after[is_day]) == pytest.approx(np.sort(before[is_day]), abs=1e-6)
    assert not np.allclose(after[is_day], before[is_day], atol=1e-6)
    assert after[is_day].min() > 10 * np.abs(after[~is_day]).mean()


def test_shuffling_keeps_breaks_nights_and_weekends_each_among_themselves() -> None:
    """Two sessions a day, five days a week: each pause has jumps, and opening bars, of a size of its own."""
    days = np.array([day for day in range(140) if day % 7 < 5])
    hours = np.array([2, 3, 4, 7, 8, 9])
    ts_ms = START_MS + (days[:, np.newaxis] * DAY_MS + hours * HOUR_MS).ravel()
    follows = np.where(np.tile(hours, days.size) == 7, 2, 1)  # a break, or none
    follows[:: hours.size] = np.where(days % 7 == 0, 4, 3)  # a weekend, or a night
    jump_px, move_px = 10**follows * PX // 10, 4 * follows * PX
    up = rng().choice([-1, 1], ts_ms.size)
    jump_px[0] = 0
    steps_px = np.stack((up * jump_px, -up * move_px)).T.ravel()  # an open from the close before, a close from its open
    opens, closes = (500_000 * PX + np.cumsum(steps_px)).reshape(-1, 2).T
    bars = BarArrays(
        ts_ms, ts_ms + HOUR_MS, opens, np.maximum(opens, closes), np.minimum(opens, closes), closes, opens[:0]
    )
    before, after = (moves_of(each) for each in (series_of(bars), shuffled(series_of(bars), rng())))
    for kind in range(1, 5):
        here = np.flatnonzero(follows == kind)[kind == 4 :]
        for name in ("gap", "close"):
            was, now = (np.abs(getattr(moves, name)[here]) for moves in (before, after))
            assert np.sort(now) == pytest.approx(np.sort(was), rel=0.02, abs=1e-6), (kind, name)
            assert not np.allclose(getattr(before, name)[here], getattr(after, name)[here]), (kind, name)


def test_shuffling_destroys_order() -> None:
    """A series that goes up and down in turn, each for 20 bars, does so no more."""
    closes = 4_000 + np.cumsum(np.where(np.arange(2_000) // 20 % 2 == 0, 5, -5))
    opens = np.concatenate(([4_000], closes[:-1]))
    rows = [(a, max(a, b), min(a, b), b) for a, b in zip(opens.tolist(), closes.tolist(), strict=True)]
    series = series_of(bars_of(rows))

    def memory(each: Series) -> float:
        moves = moves_of(each).close
        return float(np.corrcoef(moves[1:], moves[:-1])[0, 1])

    assert memory(series) > 0.85
    assert abs(memory(shuffled(series, rng()))) < 0.1
    assert abs(memory(sign_flipped(series, rng()))) < 0.1


def test_flipping_signs_keeps_how_large_each_move_is_and_mirrors_the_extremes() -> None:
    series = series_of(gapped())
    before, after = moves_of(series), moves_of(sign_flipped(series, rng()))
    for moved, was in ((after.close, before.close), (after.gap, before.gap)):
        assert np.abs(moved) == pytest.approx(np.abs(was), abs=1e-6)
    clear = np.abs(before.close) > 1e-4
    flipped = clear & (np.sign(after.close) != np.sign(before.close))
    assert 0.4 < flipped.sum() / clear.sum() < 0.6
    assert after.high[flipped] == pytest.approx(-before.low[flipped], abs=1e-6)
    assert after.low[flipped] == pytest.approx(-before.high[flipped], abs=1e-6)
    assert after.high[clear & ~flipped] == pytest.approx(before.high[clear & ~flipped], abs=1e-6)


def test_flipping_signs_takes_the_drift_away() -> None:
    closes = 4_000 + 3 * np.arange(1, 1_001)
    rows = [(a - 3, a, a - 3, a) for a in closes.tolist()]
    series = series_of(bars_of(rows))
    ends = [float(np.log(sign_flipped(series, rng(seed)).bars.close_px[-1] / 4e8)) for seed in range(30)]
    assert np.mean(ends) == pytest.approx(0.0, abs=0.02)
    assert np.log(series.bars.close_px[-1] / 4e8) > 0.5


@BOTH
def test_a_roll_stays_at_its_bar_and_its_charge_is_what_it_moves_the_price(make: Make) -> None:
    """With no other gaps in the series, each open but that of a roll is the close before."""
    bars = walk(600)
    rolls = rolls_in(bars)
    level = np.zeros(600, np.int64)
    level[100:], level[300:] = 37 * PX, (37 - 18) * PX
    raw = lifted(bars, level)
    other = make(series_of(raw, rolls=rolls), rng())
    jump_px = other.bars.open_px[1:] - other.bars.close_px[:-1]
    assert np.array_equal(other.rolls.ts_ms, rolls.ts_ms)
    for at, gap_px in zip((100, 300), other.rolls.gap_px.tolist(), strict=True):
        assert gap_px != 0
        assert gap_px % STEP == 0
        assert jump_px[at - 1] == pytest.approx(gap_px, abs=2 * STEP)
    assert np.abs(np.delete(jump_px, [99, 299])).max() <= STEP
    assert other.rolls.gap_px[0] == pytest.approx(37 * PX * other.bars.open_px[100] / raw.open_px[100], abs=STEP)


@BOTH
def test_rolls_before_and_after_the_bars_move_nothing(make: Make) -> None:
    bars = walk(50)
    outside = RollArrays(np.array([START_MS - HOUR_MS, START_MS, START_MS + DAY_MS * 9]), np.full(3, 50 * PX, np.int64))
    with_rolls, without = make(series_of(bars, rolls=outside), rng()), make(series_of(bars), rng())
    assert np.array_equal(with_rolls.bars.close_px, without.bars.close_px)


# --- the p-value ------------------------------------------------------------------------------------------------------


def searcher_of(score: Callable[[Series], float | None]) -> Callable[[Series], Search]:
    """Return a search of one combination whose profit factor is given: the score follows it."""

    def search(series: Series) -> Search:
        results, found = np.zeros(1, RESULT), score(series)
        results["trades"], results["loss_minor"] = (0 if found is None else 100), 100
        results["profit_minor"] = round(100 * (found or 0.0))
        return Search(table_of([Params()]), results)

    return search


def test_p_counts_the_surrogates_that_did_as_well_ties_among_them() -> None:
    series = series_of(walk(40))
    scores = iter([2.0, 1.0, 2.0, 3.0, 0.5, 1.9])
    found = surrogates(series, searcher_of(lambda _series: next(scores)), Null("shuffled", 5, 1))
    assert found is not None
    assert found.p == (1 + 2) / (1 + 5)
    assert found.profit_factors.tolist() == [1.0, 2.0, 3.0, 0.5, 1.9]
    assert (found.kind, found.count) == ("shuffled", 5)
    assert np.argsort(found.scores).tolist() == np.argsort(found.profit_factors).tolist()


def test_a_surrogate_on_which_nothing_has_a_score_is_worse_than_the_real_series() -> None:
    series = series_of(walk(40))
    scores = iter([1.0, None, 2.0, None])
    found = surrogates(series, searcher_of(lambda _series: next(scores)), Null("sign-flipped", 3, 1))
    assert found is not None
    assert found.p == (1 + 1) / (1 + 3)
    assert np.isnan(found.scores).tolist() == [True, False, True]


def test_where_nothing_on_the_real_series_has_a_score_there_is_no_p() -> None:
    assert surrogates(series_of(walk(40)), searcher_of(lambda _series: None), Null("shuffled", 5, 1)) is None


def test_neither_threads_nor_how_many_more_are_asked_for_change_a_surrogate() -> None:
    series = series_of(walk(400))
    base = Params(warmup_bars=20, sentiment_long=-101.0, sentiment_max_age_ms=1 << 60)
    table = table_of([base._replace(rsi_low=low) for low in (30.0, 40.0)])

    def search(each: Series) -> Search:
        return Search(table, sweep(each, table, 10**7).results, trades_min=0)

    always = SentimentArrays(series.bars.ts_ms[:1] - 1, np.zeros(1))
    series = Series(series.instrument, series.bars, series.rolls, always)
    done: list[int] = []
    one = surrogates(series, search, Null("shuffled", 12, 5), done.append)
    two = surrogates(series, search, Null("shuffled", 6, 5), workers=threads(3))
    other = surrogates(series, search, Null("shuffled", 6, 6))
    assert one is not None
    assert two is not None
    assert other is not None
    assert np.array_equal(one.scores[:6], two.scores, equal_nan=True)
    assert not np.array_equal(two.scores, other.scores, equal_nan=True)
    assert done == list(range(1, 13))


def test_an_interrupt_leaves_no_search_behind() -> None:
    series, before, searches = series_of(walk(40)), threading.active_count(), iter(range(10_000))

    def score(_series: Series) -> float:
        next(searches)
        return 1.0

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        surrogates(series, searcher_of(score), Null("shuffled", 2_000, 1), stop, threads(2))
    assert threading.active_count() == before
    assert next(searches) < 1_000
