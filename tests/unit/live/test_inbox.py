"""The one queue in front of the bot: order kept, nothing dropped, waits that end."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.live.stage import quote_at

from palmbot.errors import HaltError
from palmbot.live.inbox import Inbox
from palmbot.model import BrokerEvent


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
