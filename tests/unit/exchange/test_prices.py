"""The prices that the exchange serves: bars of every period against a slow second reading, ticks, bounds, restarts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.exchange.desk import MONDAY, NO_ROLLS, OPEN, tick

from palmbot.core.bars import Forming, begun, bucket_end, extended
from palmbot.exchange import prices as module
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.feed import FeedTick, FileFeed
from palmbot.exchange.market_arrays import history, synthetic_bars
from palmbot.exchange.periods import SPANS, Period, bar_of
from palmbot.exchange.prices import BarsPage, Candle, Prices, Query, SymbolPrices, TicksPage
from palmbot.exchange.values import Refused, Via
from palmbot.instruments import PALM_OIL
from palmbot.model import HistoryBar
from palmbot.protocol.codec import LATEST_MS
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX, RATE_ONE_E8

FROM_M1 = st.sampled_from(Period)
NEWEST = Query(count=1_000)


def quoted(*quotes: tuple[int, float], before: tuple[HistoryBar, ...] = ()) -> SymbolPrices:
    """Prices after ticks ``(ts_ms, bid)``."""
    made = SymbolPrices(PALM_OIL, before)
    for ts_ms, bid in quotes:
        made.add(tick(ts_ms, bid))
    return made


def bars(made: SymbolPrices, period: Period, query: Query = NEWEST) -> list[Candle]:
    page = made.trendbars(period, query)
    assert isinstance(page, BarsPage)
    return page.bars


def opens(made: SymbolPrices, period: Period, query: Query) -> list[int]:
    return [(bar.ts_ms - OPEN) // MINUTE_MS for bar in bars(made, period, query)]


def ticks(made: SymbolPrices, query: Query, *, is_ask: bool = False) -> TicksPage:
    page = made.ticks(is_ask=is_ask, query=query)
    assert isinstance(page, TicksPage)
    return page


def slowly(quotes: Iterable[tuple[int, int]], period: Period) -> list[Candle]:
    """The bars of ``(ts_ms, bid_px)``, one tick at a time."""
    found: list[Candle] = []
    for ts_ms, bid_px in quotes:
        opens_ms = bar_of(period, ts_ms)[0]
        if found and found[-1].ts_ms == opens_ms:
            bar = found[-1]
            high, low = max(bar.high_px, bid_px), min(bar.low_px, bid_px)
            found[-1] = Candle(opens_ms, bar.open_px, high, low, bid_px, bar.ticks + 1)
        else:
            found.append(Candle(opens_ms, bid_px, bid_px, bid_px, bid_px, 1))
    return found


@st.composite
def walks(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Ticks with gaps from nothing to weeks, over a change of the clock."""
    ts_ms = MONDAY + draw(st.integers(0, 90)) * DAY_MS
    found = []
    for _ in range(draw(st.integers(1, 40))):
        found.append((ts_ms, draw(st.integers(1, 9)) * PX))
        ts_ms += draw(st.sampled_from((0, 1, 20_000, MINUTE_MS, 50 * MINUTE_MS, 7 * HOUR_MS, DAY_MS, 9 * DAY_MS)))
    return found


# -- bars


@given(walks(), FROM_M1)
def test_bars_of_every_period_equal_those_made_one_tick_at_a_time(walk: list[tuple[int, int]], period: Period) -> None:
    made = quoted(*((ts_ms, bid_px / PX) for ts_ms, bid_px in walk))
    expected = slowly(walk, period)
    assert bars(made, period) == expected
    assert bars(made, period, Query(count=3)) == expected[-3:]
    assert made.live(period) == expected[-1]


@given(walks(), FROM_M1, st.data())
def test_a_window_holds_the_bars_that_open_in_it_both_ends_included(
    walk: list[tuple[int, int]], period: Period, data: st.DataObject
) -> None:
    made = quoted(*((ts_ms, bid_px / PX) for ts_ms, bid_px in walk))
    every = slowly(walk, period)
    edges = [bar.ts_ms for bar in every] + [ts_ms for ts_ms, _ in walk]
    near = st.sampled_from(edges).flatmap(lambda ts_ms: st.sampled_from((ts_ms - 1, ts_ms, ts_ms + 1)))
    low, high = sorted((data.draw(near), data.draw(near)))
    asked = Query(from_ms=low, to_ms=high, cuts_wide_windows=True)
    low = max(low, high - SPANS[period].window_max_ms)
    assert bars(made, period, asked) == [bar for bar in every if low <= bar.ts_ms <= high]


def test_a_minute_without_ticks_has_no_bar() -> None:
    made = quoted((OPEN, 4_000), (OPEN + 59_999, 4_001), (OPEN + 3 * MINUTE_MS, 4_002))
    assert bars(made, Period.M1) == [
        Candle(OPEN, 4_000 * PX, 4_001 * PX, 4_000 * PX, 4_001 * PX, 2),
        Candle(OPEN + 3 * MINUTE_MS, 4_002 * PX, 4_002 * PX, 4_002 * PX, 4_002 * PX, 1),
    ]


def test_bars_are_bids_whatever_the_spread() -> None:
    made = SymbolPrices(PALM_OIL)
    made.add(tick(OPEN, 4_000, spread=50 * PX))
    assert bars(made, Period.M1)[0][1:5] == (4_000 * PX,) * 4


def test_a_count_gives_the_newest_up_to_its_end_wherever_the_window_begins() -> None:
    made = quoted(*((OPEN + minute * MINUTE_MS, 4_000) for minute in range(10)))
    to_ms = OPEN + 6 * MINUTE_MS
    assert opens(made, Period.M1, Query(to_ms - 1, to_ms, count=3)) == [4, 5, 6]
    assert opens(made, Period.M1, Query(0, to_ms - 1, count=3)) == [3, 4, 5]
    page = made.trendbars(Period.M1, Query(to_ms=to_ms, count=7))
    assert page == BarsPage(bars(made, Period.M1, Query(to_ms=to_ms)), has_more=False)
    more = made.trendbars(Period.M1, Query(to_ms=to_ms, count=6))
    assert isinstance(more, BarsPage)
    assert more.has_more


def test_a_page_holds_the_newest_bars_and_says_that_there_are_more() -> None:
    made = quoted(*((OPEN + minute * MINUTE_MS, 4_000) for minute in range(10)))
    page = made.trendbars(Period.M2, Query(OPEN, OPEN + 9 * MINUTE_MS, page=2))
    assert isinstance(page, BarsPage)
    assert ([(bar.ts_ms - OPEN) // MINUTE_MS for bar in page.bars], page.has_more) == ([6, 8], True)
    assert opens(made, Period.M2, Query(OPEN, page.bars[0].ts_ms - 1, page=2)) == [2, 4]


@pytest.mark.parametrize("period", Period)
def test_a_window_as_wide_as_its_period_allows_is_served_and_a_wider_one_refused(period: Period) -> None:
    widest = SPANS[period].window_max_ms
    made = quoted((OPEN, 4_000))
    assert (
        bars(made, period, Query(OPEN - widest, OPEN)) == bars(made, period)[bar_of(period, OPEN)[0] < OPEN - widest :]
    )
    refused = made.trendbars(period, Query(OPEN - widest - 1, OPEN))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.via) == ("INCORRECT_BOUNDARIES", Via.ERROR_RES)
    cut = Query(OPEN - widest - 1, OPEN, cuts_wide_windows=True)
    assert bars(made, period, cut) == bars(made, period)
    assert bars(made, period, Query(0, OPEN, count=5)) == bars(made, period)


@pytest.mark.parametrize(
    "window", [(-1, OPEN), (OPEN + 1, OPEN), (OPEN, LATEST_MS + 1)], ids=["before time", "backwards", "too late"]
)
def test_an_impossible_window_is_refused(window: tuple[int, int]) -> None:
    made = quoted((OPEN, 4_000))
    for query in (Query(*window), Query(*window, count=5)):
        refused = made.trendbars(Period.H1, query)
        assert isinstance(refused, Refused)
        assert refused.code == "INCORRECT_BOUNDARIES"
    assert isinstance(made.ticks(is_ask=False, query=Query(*window)), Refused)


def test_before_the_first_tick_there_are_no_bars_and_no_ticks() -> None:
    made = SymbolPrices(PALM_OIL)
    assert made.trendbars(Period.M1, NEWEST) == BarsPage([], has_more=False)
    assert ticks(made, Query()) == TicksPage([], has_more=False)
    assert (made.live(Period.H1), made.minute, made.last, made.session_close_px) == (None, None, None, None)
    assert made.history(HOUR_MS, 10) == []


# -- what was before the first tick


def past() -> tuple[HistoryBar, ...]:
    return history(PALM_OIL, 7, 50, start_ms=OPEN)[0]


def test_bars_from_before_are_served_in_their_own_period_and_coarser_ones_and_go_on_with_the_ticks() -> None:
    before = past()
    made = quoted((OPEN, 4_000), (OPEN + 5 * MINUTE_MS, 4_100), before=before)
    hours = bars(made, Period.H1)
    assert [bar.ts_ms for bar in hours[:-1]] == [bar.ts_ms // HOUR_MS * HOUR_MS for bar in before]
    assert [bar[1:5] for bar in hours[:-1]] == [(bar.open_px, bar.high_px, bar.low_px, bar.close_px) for bar in before]
    assert hours[-1] == Candle(OPEN // HOUR_MS * HOUR_MS, 4_000 * PX, 4_100 * PX, 4_000 * PX, 4_100 * PX, 2)
    assert len(bars(made, Period.M30)) == 1
    days = bars(made, Period.D1)
    assert len(days) > 5
    assert max(bar.high_px for bar in days) == max(bar.high_px for bar in hours)
    assert sum(bar.ticks for bar in days) == 4 * len(before) + 2


def test_bars_from_before_are_there_before_the_first_tick_too() -> None:
    before = past()
    made = SymbolPrices(PALM_OIL, before)
    assert len(bars(made, Period.H1, Query(to_ms=OPEN, count=500))) == len(before)
    assert len(bars(made, Period.H1, Query(count=500))) == len(before)
    assert made.history(HOUR_MS, 10) == list(before[-10:])


# -- the bot's own grid


@given(walks(), st.sampled_from((MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, DAY_MS)), st.integers(1, 12))
def test_the_bots_history_is_on_its_own_grid_and_named_by_first_ticks(
    walk: list[tuple[int, int]], period_ms: int, count: int
) -> None:
    made = quoted(*((ts_ms, bid_px / PX) for ts_ms, bid_px in walk))
    expected: list[tuple[int, Forming]] = []
    for ts_ms, bid_px in walk:
        end_ms = bucket_end(ts_ms, period_ms, PALM_OIL.day_start_ms)
        if expected and expected[-1][0] == end_ms:
            expected[-1] = end_ms, extended(expected[-1][1], bid_px)
        else:
            expected.append((end_ms, begun(ts_ms, end_ms, bid_px)))
    now_ms = walk[-1][0]
    assert made.history(period_ms, count) == [
        HistoryBar(bar.ts_ms, *bar[2:], is_forming=end_ms > now_ms) for end_ms, bar in expected[-count:]
    ]


def test_the_history_of_a_file_is_its_bars() -> None:
    series = synthetic_bars(PALM_OIL, 3, 30)
    made = SymbolPrices(PALM_OIL)
    feed = FileFeed(PALM_OIL.core, series, NO_ROLLS)
    while (each := feed.next_tick(0)) is not None:
        made.add(each)
    found = made.history(HOUR_MS, 30)
    columns = (series.ts_ms, series.open_px, series.high_px, series.low_px, series.close_px)
    assert [(bar.ts_ms, bar.open_px, bar.high_px, bar.low_px, bar.close_px) for bar in found] == list(
        zip(*(column.tolist() for column in columns), strict=True)
    )
    assert [bar.is_forming for bar in found] == [False] * 29 + [True]


# -- live bars


@given(walks(), FROM_M1)
def test_a_live_bar_that_is_asked_for_early_stays_right(walk: list[tuple[int, int]], period: Period) -> None:
    made = SymbolPrices(PALM_OIL)
    for number, (ts_ms, bid_px) in enumerate(walk, start=1):
        made.add(tick(ts_ms, bid_px / PX))
        assert made.live(period) == slowly(walk[:number], period)[-1]


# -- ticks


def test_ticks_come_newest_first_one_side_at_a_time_both_ends_included() -> None:
    made = quoted(*((OPEN + second * 1_000, 4_000 + second) for second in range(6)))
    window = Query(OPEN + 1_000, OPEN + 4_000, page=3)
    page = ticks(made, window)
    assert page == TicksPage([(OPEN + n * 1_000, (4_000 + n) * PX) for n in (4, 3, 2)], has_more=True)
    rest = ticks(made, replace(window, to_ms=page.ticks[-1][0] - 1))
    assert rest == TicksPage([(OPEN + 1_000, 4_001 * PX)], has_more=False)
    assert ticks(made, window, is_ask=True).ticks[0] == (OPEN + 4_000, 4_006 * PX)


def test_a_window_of_ticks_is_at_most_a_week() -> None:
    made = quoted((OPEN, 4_000))
    week = 7 * DAY_MS
    assert len(ticks(made, Query(OPEN - week, OPEN)).ticks) == 1
    refused = made.ticks(is_ask=False, query=Query(OPEN - week - 1, OPEN))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.via) == ("INCORRECT_BOUNDARIES", Via.ERROR_RES)
    assert len(ticks(made, Query(OPEN - week - 1, OPEN, cuts_wide_windows=True)).ticks) == 1


# -- bounds, days, restarts


def test_only_so_many_ticks_and_candles_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICKS_KEPT", 400)
    monkeypatch.setattr(module, "CANDLES_KEPT", 500)
    made = SymbolPrices(PALM_OIL)
    sizes = []
    for minute in range(3_000):
        made.add(tick(OPEN + minute * MINUTE_MS, 4_000 + minute))
        if minute > 700 and minute % 10 == 0:
            sizes.append(len(made.candles()))
    assert 500 <= min(sizes) <= max(sizes) <= 500 * 5 // 4 + 1
    assert len(made._ticks) <= 3 * 400 + 400 // 4 + 3
    kept = ticks(made, Query(page=10_000))
    assert len(kept.ticks) == 400
    assert kept.ticks[0] == (OPEN + 2_999 * MINUTE_MS, 6_999 * PX)
    assert [bar.close_px for bar in bars(made, Period.M1, Query(count=500))] == [(6_500 + n) * PX for n in range(500)]


def test_the_session_closes_with_the_last_bid_of_the_trading_day_before() -> None:
    made = quoted((OPEN, 4_000), (OPEN + 7 * HOUR_MS, 4_005), (OPEN + 7 * HOUR_MS + 1, 4_010))
    assert made.session_close_px is None
    made.add(tick(OPEN + 11 * HOUR_MS, 4_020))  # 21:30 in Kuala Lumpur: the next trading day
    assert made.session_close_px == 4_010 * PX
    made.add(tick(OPEN + DAY_MS, 4_030))
    assert made.session_close_px == 4_010 * PX
    made.add(tick(OPEN + 2 * DAY_MS, 4_040))
    assert made.session_close_px == 4_030 * PX


@given(walks(), walks(), FROM_M1)
def test_prices_go_on_from_stored_candles_as_if_they_had_never_stopped(
    first: list[tuple[int, int]], second: list[tuple[int, int]], period: Period
) -> None:
    shift = first[-1][0] - second[0][0]
    second = [(ts_ms + shift, bid_px) for ts_ms, bid_px in second]
    one = quoted(*((ts_ms, bid_px / PX) for ts_ms, bid_px in first))
    other = SymbolPrices(PALM_OIL)
    other.restore(one.candles(), one.last)
    assert (other.last, other.minute) == (one.last, one.minute)
    for ts_ms, bid_px in second:
        one.add(tick(ts_ms, bid_px / PX))
        other.add(tick(ts_ms, bid_px / PX))
    assert other.candles() == one.candles()
    assert bars(other, period) == bars(one, period) == slowly(first + second, period)
    assert other.session_close_px == one.session_close_px


def test_pieces_of_one_minute_are_one_candle() -> None:
    made = SymbolPrices(PALM_OIL)
    made.restore([Candle(OPEN, 5, 9, 4, 6, 2), Candle(OPEN + 30_000, 6, 7, 3, 7, 1)], None)
    assert made.candles() == [Candle(OPEN, 5, 9, 3, 7, 3)]


# -- all that is listed


def test_every_listed_symbol_has_prices_and_a_fixed_quote_counts_as_its_bid() -> None:
    catalogue = catalogue_of(PALM_OIL)
    everything = Prices(catalogue, past())
    assert list(everything) == [each.symbol_id for each in catalogue.listings]
    assert len(everything) == len(catalogue.listings)
    assert [everything.bid_px(each.symbol_id) for each in catalogue.listings] == [None, 111_984, 15_712_300, 447_120]
    everything[catalogue.traded_id].add(tick(OPEN, 4_000))
    assert everything.bid_px(catalogue.traded_id) == 4_000 * PX
    everything[2].add(FeedTick(OPEN, 112_000, 112_003, is_jump=True, bar_open_px=112_000, rate_e8=RATE_ONE_E8))
    assert everything.bid_px(2) == 112_000
    assert len(bars(everything[catalogue.traded_id], Period.H1)) == 51
