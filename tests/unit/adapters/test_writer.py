from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from palmbot.adapters.writer import InlineWriter, ThreadWriter
from palmbot.errors import HaltError
from palmbot.model import JournalEvent

PATIENCE_S = 30.0


def note(number: int) -> JournalEvent:
    return JournalEvent("note", number, {})


class Slow:
    """A commit that stands still until it is let go, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, events: Sequence[JournalEvent]) -> int:
        self.batches.append([event.ts_ms for event in events])
        self.entered.set()
        if not self.go.wait(PATIENCE_S):
            raise TimeoutError
        return sum(len(batch) for batch in self.batches)


async def test_callers_that_come_while_a_commit_runs_share_the_next_one() -> None:
    commit = Slow()
    writer = ThreadWriter(commit, limit=100)
    first = asyncio.create_task(writer.append([note(1)]))
    await asyncio.to_thread(commit.entered.wait, PATIENCE_S)
    writer.defer([note(2)])
    rest = [asyncio.create_task(writer.append([note(number)] * 2)) for number in (3, 4)]
    await asyncio.sleep(0)  # one turn of the loop: both have queued
    commit.go.set()
    assert await asyncio.gather(first, *rest) == [1, 4, 6]
    writer.stop()
    assert commit.batches == [[1], [2, 3, 3, 4, 4]]


async def test_an_error_reaches_every_caller_that_waits_and_the_thread_lives_on() -> None:
    failing = True

    def commit(events: Sequence[JournalEvent]) -> int:
        if failing:
            raise HaltError("JOURNAL_UNWRITABLE", "Do something.")
        return len(events)

    writer = ThreadWriter(commit, limit=100)
    outcomes = await asyncio.gather(*(writer.append([note(n)]) for n in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HaltError] * 3
    failing = False
    assert await writer.append([note(1)]) == 1
    writer.stop()


async def test_a_caller_that_gives_up_harms_nobody() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    commit = Slow()
    writer = ThreadWriter(commit, limit=100)
    gone = asyncio.create_task(writer.append([note(1)]))
    await asyncio.to_thread(commit.entered.wait, PATIENCE_S)
    gone.cancel()
    commit.go.set()
    assert await writer.append([note(2)]) == 2
    writer.stop()
    assert gone.cancelled()
    assert complaints == []


def test_a_loop_that_was_closed_while_the_thread_wrote_harms_nobody() -> None:
    commit = Slow()
    writer = ThreadWriter(commit, limit=100)

    async def leave() -> None:
        asyncio.get_running_loop().create_task(writer.append([note(1)]))
        await asyncio.to_thread(commit.entered.wait, PATIENCE_S)

    asyncio.run(leave())
    commit.go.set()
    assert asyncio.run(writer.append([note(2)])) == 2
    writer.stop()


def test_deferred_events_wait_for_company_and_then_go_by_themselves() -> None:
    commit = Slow()
    writer = ThreadWriter(commit, limit=3)
    writer.defer([note(1)])
    writer.defer([note(2)])
    assert commit.batches == []
    writer.defer([note(3)])
    assert commit.entered.wait(PATIENCE_S)
    commit.go.set()
    writer.stop()
    assert commit.batches == [[1, 2, 3]]


def test_a_slow_disk_slows_the_caller_instead_of_filling_the_memory() -> None:
    commit = Slow()
    writer = ThreadWriter(commit, limit=1)
    writer.defer([note(0)])
    assert commit.entered.wait(PATIENCE_S)
    for number in range(1, 9):
        writer.defer([note(number)])
    finished = threading.Event()

    def one_more() -> None:
        writer.defer([note(9)])
        finished.set()

    caller = threading.Thread(target=one_more)
    caller.start()
    assert not finished.wait(0.05)  # never true while the commit stands; a broken bound is true at once
    commit.go.set()
    caller.join(PATIENCE_S)
    writer.stop()
    assert commit.batches[1] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [number for batch in commit.batches for number in batch] == list(range(10))


def test_stopping_writes_what_is_queued() -> None:
    commit = Slow()
    commit.go.set()
    writer = ThreadWriter(commit, limit=100)
    writer.defer([note(1), note(2)])
    writer.stop()
    assert commit.batches == [[1, 2]]


async def test_the_inline_writer_calls_nothing_but_the_commit() -> None:
    batches: list[list[int]] = []

    def commit(events: Sequence[JournalEvent]) -> int:
        assert threading.current_thread() is threading.main_thread()
        batches.append([event.ts_ms for event in events])
        return len(batches)

    writer = InlineWriter(commit, limit=2)
    writer.defer([note(1)])
    assert await writer.append([note(2)]) == 1
    writer.defer([note(3), note(4)])
    assert batches == [[1, 2], [3, 4]]
    writer.defer([note(5)])
    writer.stop()
    assert batches == [[1, 2], [3, 4]]


@pytest.mark.parametrize("make", [InlineWriter, ThreadWriter])
async def test_an_empty_append_still_asks_the_disk(
    make: Callable[[Callable[[Sequence[JournalEvent]], int], int], InlineWriter | ThreadWriter],
) -> None:
    writer = make(lambda events: 41 + len(events), 5)
    assert await writer.append(()) == 41
    writer.stop()
