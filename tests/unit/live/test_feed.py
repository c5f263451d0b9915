"""Quotes to bars: the bot's view of the market, tick by tick and out of the broker's history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.live.stage import quote_at

from palmbot.core.bars import Forming
from palmbot.core.types import Bar
from palmbot.live.feed import Feed, Mark
from palmbot.model import HistoryBar, Quote
from palmbot.units import DAY_MS, HOUR_MS, PX, RATE_ONE_E8

START_MS = 1_704_682_800_000  # 2024-01-08 03:00Z
SPREAD_PX = 2 * PX


def feed(period_ms: int = HOUR_MS, spike_bars: int = 1) -> Feed:
    return Feed(period_ms, 11 * HOUR_MS, spike_bars, SPREAD_PX)


def heard(made: Feed, *bids: float, start_ms: int = START_MS) -> list[bool]:
    return [made.quote(quote_at(start_ms + number * 1_000, bid)) for number, bid in enumerate(bids)]


def test_a_bar_is_made_of_bids_and_begins_with_its_first_tick() -> None:
    made = feed()
    assert heard(made, 4_000, 4_009, 3_990, 4_001, start_ms=START_MS + 7) == [True, False, False, False]
    bar = made.close()
    assert bar == Bar(
        START_MS + 7, START_MS + HOUR_MS, 4_000 * PX, 4_009 * PX, 3_990 * PX, 4_001 * PX, 0, SPREAD_PX, RATE_ONE_E8
    )
    assert made.closed_ms == START_MS + HOUR_MS
    assert made.forming is None
    assert heard(made, 4_002, start_ms=START_MS + HOUR_MS) == [True]


def test_days_are_cut_where_the_instrument_says() -> None:
    made = feed(DAY_MS)
    assert made.end_of(START_MS) == START_MS + 8 * HOUR_MS
    assert made.end_of(START_MS + 8 * HOUR_MS) == START_MS + 8 * HOUR_MS + DAY_MS


def test_a_side_that_is_absent_is_unchanged() -> None:
    made = feed()
    made.quote(Quote("X", START_MS, 4_000 * PX, 4_002 * PX, 7))
    made.quote(Quote("X", START_MS + 1, 4_010 * PX, None, 8))
    assert made.mark == Mark(START_MS + 1, 4_010 * PX, -8 * PX, 8)  # the ask stays where it was
    made.quote(Quote("X", START_MS + 2, None, 4_015 * PX, 9))
    assert made.mark == Mark(START_MS + 2, 4_010 * PX, 5 * PX, 9)
    made.quote(Quote("X", START_MS + 3, None, None, 10))
    assert made.mark == Mark(START_MS + 3, 4_010 * PX, 5 * PX, 10)


@pytest.mark.parametrize("sides", [(4_000 * PX, None), (None, 4_000 * PX), (None, None)])
def test_half_a_quote_is_no_price_yet(sides: tuple[int | None, int | None]) -> None:
    made = feed()
    assert made.quote(Quote("X", START_MS, *sides)) is False
    assert (made.mark, made.forming) == (None, None)
    with pytest.raises(ValueError, match="no bar"):
        made.close()


def test_volatility_is_measured_from_as_many_closes_before_as_it_is_told() -> None:
    for spike_bars in (1, 3):
        made = feed(spike_bars=spike_bars)
        past = []
        for number in range(6):
            heard(made, 4_000 + number, start_ms=START_MS + number * HOUR_MS)
            past.append(made.close().past_close_px)
        known = [(4_000 + number) * PX for number in range(6 - spike_bars)]
        assert past == [0] * spike_bars + known


def test_history_passes_as_bars_and_leaves_its_close_as_the_mark() -> None:
    made = feed()
    bar = made.absorb(HistoryBar(START_MS, 4_000 * PX, 4_009 * PX, 3_990 * PX, 4_001 * PX))
    assert bar == Bar(
        START_MS, START_MS + HOUR_MS, 4_000 * PX, 4_009 * PX, 3_990 * PX, 4_001 * PX, 0, SPREAD_PX, RATE_ONE_E8
    )
    assert made.mark == Mark(START_MS, 4_001 * PX, SPREAD_PX, RATE_ONE_E8)
    assert (made.closed_ms, made.forming) == (START_MS + HOUR_MS, None)


def test_history_after_quotes_keeps_their_spread_and_rate() -> None:
    made = feed()
    made.quote(Quote("X", START_MS, 4_000 * PX, 4_003 * PX, 7))
    made.close()
    bar = made.absorb(HistoryBar(START_MS + HOUR_MS, PX, PX, PX, PX))
    assert (bar.spread_px, bar.rate_e8) == (3 * PX, 7)
    assert made.mark == Mark(START_MS + HOUR_MS, PX, 3 * PX, 7)


def test_a_bar_whose_first_part_is_history_goes_on_forming() -> None:
    made = feed()
    made.resume(HistoryBar(START_MS + 5, 4_000 * PX, 4_009 * PX, 3_990 * PX, 4_001 * PX, is_forming=True))
    assert made.forming == Forming(START_MS + 5, START_MS + HOUR_MS, 4_000 * PX, 4_009 * PX, 3_990 * PX, 4_001 * PX)
    assert heard(made, 3_980, start_ms=START_MS + 60_000) == [False]  # not the first tick of its bar
    bar = made.close()
    assert (bar.open_px, bar.high_px, bar.low_px, bar.close_px) == (4_000 * PX, 4_009 * PX, 3_980 * PX, 3_980 * PX)


def test_a_bar_out_of_history_can_end_before_any_quote() -> None:
    made = feed()
    made.resume(HistoryBar(START_MS, PX, PX, PX, PX, is_forming=True))
    assert made.close().close_px == PX


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), st.data())
def test_a_bar_cut_anywhere_and_resumed_is_the_same_bar(bids: list[int], data: st.DataObject) -> None:
    whole, cut = feed(), feed()
    place = data.draw(st.integers(0, len(bids) - 1))
    heard(whole, *bids)
    piece = bids[: place + 1]
    cut.quote(quote_at(START_MS - HOUR_MS, 1))
    cut.close()  # so that both know a mark
    px = [bid * PX for bid in piece]
    cut.resume(HistoryBar(START_MS, px[0], max(px), min(px), px[-1], is_forming=True))
    heard(cut, *bids[place + 1 :], start_ms=START_MS + (place + 1) * 1_000)
    assert cut.close()._replace(past_close_px=0) == whole.close()
