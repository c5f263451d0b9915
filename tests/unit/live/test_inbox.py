"""The one queue in front of the bot: order kept, nothing dropped, waits that end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.live.stage import BALANCE, START_MS, hour, quote_at

from palmbot.errors import HaltError
from palmbot.live.inbox import PILE, Inbox
from palmbot.model import BrokerEvent, CashEvent, LinkEvent, LinkState, Quote
from palmbot.units import HOUR_MS, MINUTE_MS

PILED = [CashEvent(-1, number, 0) for number in range(PILE)]


async def test_what_was_put_comes_out_in_order_without_waiting() -> None:
    inbox = Inbox()
    assert inbox.is_empty
    events = [quote_at(number, 4_000) for number in range(5)]
    for event in events:
        inbox.put(event)
    assert not inbox.is_empty
    assert [await inbox.get() for _ in events] == events
    assert inbox.is_empty


async def test_a_reader_that_waits_is_woken_by_an_event() -> None:
    inbox, event = Inbox(), quote_at(1, 4_000)
    reader = asyncio.create_task(inbox.get())
    asyncio.get_running_loop().call_soon(inbox.put, event)
    assert await reader == event


async def test_a_wake_without_an_event_ends_the_wait_with_nothing() -> None:
    inbox = Inbox()
    reader = asyncio.create_task(inbox.get())
    asyncio.get_running_loop().call_soon(inbox.wake)
    assert await reader is None


async def test_a_wake_while_nobody_waits_is_not_remembered() -> None:
    inbox, event = Inbox(), quote_at(1, 4_000)
    inbox.wake()
    reader = asyncio.create_task(inbox.get())
    asyncio.get_running_loop().call_soon(inbox.put, event)
    assert await reader == event


async def test_a_wait_with_a_time_limit_ends_with_nothing() -> None:
    assert await Inbox().get(0.001) is None


async def test_an_event_that_waits_already_wins_over_the_time_limit() -> None:
    inbox, event = Inbox(), quote_at(1, 4_000)
    inbox.put(event)
    assert await inbox.get(0.0) == event


async def test_a_time_limit_of_an_earlier_wait_does_not_end_a_later_one() -> None:
    inbox, first, second = Inbox(), quote_at(1, 4_000), quote_at(2, 4_000)
    loop = asyncio.get_running_loop()
    loop.call_soon(inbox.put, first)
    assert await inbox.get(0.01) == first
    loop.call_later(0.05, inbox.put, second)
    assert await inbox.get() == second


async def test_a_reader_that_is_cancelled_leaves_the_inbox_usable() -> None:
    inbox, event = Inbox(), quote_at(1, 4_000)
    reader = asyncio.create_task(inbox.get(60.0))
    asyncio.get_running_loop().call_soon(reader.cancel)
    with pytest.raises(asyncio.CancelledError):
        await reader
    inbox.put(event)
    assert await inbox.get() == event


async def test_a_full_inbox_refuses_and_loses_nothing_of_what_it_has() -> None:
    inbox = Inbox(limit=3)
    events: list[BrokerEvent] = [quote_at(number, 4_000) for number in range(4)]
    for event in events[:3]:
        inbox.put(event)
    with pytest.raises(HaltError, match="INBOX_FULL") as full:
        inbox.put(events[3])
    assert full.value.exit_code == 1
    assert "Lower the speed" in full.value.todo
    assert [await inbox.get() for _ in range(3)] == events[:3]


# -- conflation (SAFETY 16)


def piled(*events: BrokerEvent, period_ms: int = HOUR_MS, day_start_ms: int = 0) -> Inbox:
    """Return an inbox in which so much waits that later quotes are conflated, then ``events``."""
    inbox = Inbox(period_ms=period_ms, day_start_ms=day_start_ms)
    for event in (*PILED, *events):
        inbox.put(event)
    return inbox


def taken(inbox: Inbox) -> list[BrokerEvent]:
    events: list[BrokerEvent] = list(iter(inbox.take, None))
    return [event for event in events if event not in PILED]


def test_few_quotes_wait_one_by_one() -> None:
    inbox, quotes = Inbox(), [quote_at(1, 4_000 + number) for number in range(PILE)]
    for quote in quotes:
        inbox.put(quote)
    assert list(iter(inbox.take, None)) == quotes


def test_of_quotes_that_pile_up_stay_the_first_the_extremes_of_each_side_and_the_last() -> None:
    quotes = [
        Quote("PALMOIL", number, bid_px, ask_px)
        for number, (bid_px, ask_px) in enumerate(
            [(50, 60), (51, 61), (49, 70), (50, 61), (90, 95), (52, 53), (40, 62), (50, 60), (51, 61), (50, 59)]
        )
    ]
    assert taken(piled(*quotes)) == [quotes[place] for place in (0, 4, 5, 6, 9)]


def test_an_extreme_that_is_met_twice_keeps_the_first_time() -> None:
    quotes = [Quote("PALMOIL", number, bid_px, 100) for number, bid_px in enumerate([50, 60, 40, 60, 40, 50])]
    assert [quote.ts_ms for quote in taken(piled(*quotes)) if isinstance(quote, Quote)] == [0, 1, 2, 5]


def test_a_side_that_is_absent_is_no_extreme() -> None:
    quotes = [
        Quote("PALMOIL", number, bid_px, ask_px)
        for number, (bid_px, ask_px) in enumerate(
            [(None, 70), (50, None), (60, None), (None, 69), (None, 71), (55, 70)]
        )
    ]
    assert taken(piled(*quotes)) == quotes


def test_quotes_of_two_bars_are_not_conflated() -> None:
    before, after = (quote_at(hour(1) - ms, 4_000) for ms in (1, 0))
    assert taken(piled(before, before, after, after)) == [before, before, after, after]
    assert taken(piled(*[before] * 9, *[after] * 9)) == [before, before, after, after]


def test_quotes_of_two_trading_days_are_not_conflated_within_a_bar() -> None:
    day_start_ms = 10 * HOUR_MS
    before, after = (quote_at(START_MS + day_start_ms - ms, 4_000) for ms in (1, 0))
    inbox = piled(*[before] * 9, *[after] * 9, period_ms=4 * HOUR_MS, day_start_ms=day_start_ms)
    assert taken(inbox) == [before, before, after, after]


def test_a_quote_that_comes_late_is_not_conflated_with_those_of_the_next_bar() -> None:
    late, newer = quote_at(hour(1) - 1, 4_000), quote_at(hour(1), 4_000)
    assert taken(piled(newer, newer, newer, late, late, newer)) == [newer, newer, late, late, newer]


def test_no_quote_moves_past_another_event_and_no_other_event_drops() -> None:
    quotes = [quote_at(number, 4_000 + number) for number in range(9)]
    deposit = CashEvent(4, 77, BALANCE)
    events = taken(piled(*quotes[:4], deposit, deposit, *quotes[4:]))
    assert events == [quotes[0], quotes[3], deposit, deposit, quotes[4], quotes[8]]


def test_quotes_of_two_symbols_that_alternate_are_conflated_each_for_itself() -> None:
    quotes = [Quote(("PALMOIL", "USDMYR")[number % 2], 1, 50 + number, 60 + number) for number in range(100)]
    assert taken(piled(*quotes)) == [*quotes[:2], *quotes[-2:]]


def test_a_reader_that_is_slow_meets_a_short_queue_whatever_comes() -> None:
    inbox = piled()
    for number in range(200_000):
        inbox.put(Quote("PALMOIL", number, number * 7_919 % 1_000, 1_000))
    assert len(inbox._events) == len(PILED) + 1
    assert len(taken(inbox)) <= 6


async def test_quotes_that_were_read_are_not_part_of_what_is_conflated_later() -> None:
    quotes = [Quote("PALMOIL", number, 50 + number, 60) for number in range(10)]
    inbox = piled(*quotes[:5])
    read = [await inbox.get() for _ in range(PILE + 1)]
    inbox.put(quotes[5])
    rest = [await inbox.get() for _ in range(2)]
    assert [*read[-1:], *rest] == [quotes[0], quotes[4], quotes[5]]
    assert inbox.is_empty


async def test_a_full_inbox_still_takes_the_news_that_the_link_is_lost() -> None:
    inbox, deposit, lost = Inbox(limit=3), CashEvent(1, 1, 1), LinkEvent(1, LinkState.LOST)
    for _ in range(3):
        inbox.put(deposit)
    with pytest.raises(HaltError, match="INBOX_FULL"):
        inbox.put(deposit)
    inbox.put(lost)
    assert list(iter(inbox.take, None)) == [deposit, deposit, deposit, lost]


class Seen(NamedTuple):
    """What a bot has of the quotes of one bar between two other events."""

    open_px: int | None
    highest_px: tuple[int | None, int | None]
    lowest_px: tuple[int | None, int | None]
    last: Quote


def stretches(events: Iterable[BrokerEvent | None]) -> list[object]:
    """Return events as a bot meets them: its bars in the making, and all else, in order."""

    def kind(event: BrokerEvent | None) -> object:
        return event if not isinstance(event, Quote) else event.ts_ms // MINUTE_MS

    met: list[object] = []
    for key, group in groupby(events, kind):
        quotes = [event for event in group if isinstance(event, Quote)]
        if not quotes:
            met.append(key)
            continue
        sides = ([quote.bid_px or 0 for quote in quotes], [quote.ask_px or 0 for quote in quotes])
        highs, lows = (max(sides[0]), max(sides[1])), (min(sides[0]), min(sides[1]))
        met.append((key, Seen(quotes[0].bid_px, highs, lows, quotes[-1])))
    return met


PRICES = st.integers(1, 6)
QUOTES = st.builds(Quote, st.just("PALMOIL"), st.integers(0, 3 * MINUTE_MS), PRICES, PRICES)
OTHERS = st.builds(CashEvent, st.just(1), st.integers(0, 9), st.just(0))


@example([[Quote("PALMOIL", 0, 1, 1)], "read", "read", [Quote("PALMOIL", 60_000, 1, 1), Quote("PALMOIL", 0, 1, 1)]])
@given(st.lists(st.one_of(st.lists(QUOTES, max_size=30), OTHERS, st.just("read")), max_size=30))
def test_bars_extremes_and_the_last_quote_are_the_same_with_and_without_conflation(script: list[Any]) -> None:
    inbox, plain, met = Inbox(), list[BrokerEvent](PILED), list[BrokerEvent | None]()
    for event in PILED:
        inbox.put(event)
    for step in script:
        if step == "read" and not inbox.is_empty:
            met.append(inbox.take())
        elif step != "read":
            for event in step if isinstance(step, list) else [step]:
                inbox.put(event)
                plain.append(event)
    met += list(iter(inbox.take, None))
    assert stretches(met) == stretches(plain)
