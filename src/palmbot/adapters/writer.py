"""Who writes the journal: the caller itself, or one thread that turns what several callers queued into one commit.

Both keep one order: what was deferred before an append is written before it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from palmbot.model import JournalEvent

Commit = Callable[[Sequence[JournalEvent]], int]
"""Write events in one transaction; return the sequence number of the last event in the journal."""


class Writer(Protocol):
    """What the journal asks of its writer."""

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Commit ``events`` after everything deferred; return the sequence number of the last of them."""

    def defer(self, events: Sequence[JournalEvent]) -> None:
        """Keep ``events`` for the next commit."""

    def stop(self) -> None:
        """Commit nothing more."""


class InlineWriter:
    """Writes in the caller's thread: virtual time knows no other.

    Args:
        commit: writes a batch.
        limit: so many deferred events are written without waiting for an append.
    """

    def __init__(self, commit: Commit, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._queue: list[JournalEvent] = []

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Commit ``events`` after everything deferred; return the sequence number of the last of them."""
        return self._write(events)

    def defer(self, events: Sequence[JournalEvent]) -> None:
        """Keep ``events`` for the next commit."""
        self._queue.extend(events)
        if len(self._queue) >= self._limit:
            self._write(())

    def stop(self) -> None:
        """Commit nothing more."""
        self._queue.clear()

    def _write(self, events: Sequence[JournalEvent]) -> int:
        batch = [*self._queue, *events]
        self._queue.clear()
        return self._commit(batch)


class _Ticket(NamedTuple):
    """A caller that waits until the first ``place`` events of the queue are written."""

    place: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[int]


class ThreadWriter:
    """Writes in one thread: while it commits, callers queue, and the next commit takes them all.

    Args:
        commit: writes a batch; called in the thread alone.
        limit: so many deferred events wake the thread without an append. At eight times as many ``defer`` waits for
            the thread, so that a slow disk slows the caller instead of filling the memory.
    """

    def __init__(self, commit: Commit, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._changed = threading.Condition()
        self._queue: list[JournalEvent] = []
        self._tickets: list[_Ticket] = []
        self._stopping = False
        # a daemon: a program that dies without closing the journal must not hang on it
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Commit ``events`` after everything deferred; return the sequence number of the last of them.

        A caller that is cancelled while it waits does not take its events back.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        with self._changed:
            self._queue.extend(events)
            self._tickets.append(_Ticket(len(self._queue), loop, future))
            self._changed.notify_all()
        return await future

    def defer(self, events: Sequence[JournalEvent]) -> None:
        """Keep ``events`` for the next commit."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) < 8 * self._limit)
            self._queue.extend(events)
            if len(self._queue) >= self._limit:
                self._changed.notify_all()

    def stop(self) -> None:
        """Commit what is queued and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                events, self._queue = self._queue, []
                tickets, self._tickets = self._tickets, []
                self._changed.notify_all()
            if not events and not tickets:
                return  # stopping, and nothing is left
            self._serve(events, tickets)

    def _has_work(self) -> bool:
        return self._stopping or bool(self._tickets) or len(self._queue) >= self._limit

    def _serve(self, events: Sequence[JournalEvent], tickets: Sequence[_Ticket]) -> None:
        error: Exception | None = None
        last = 0
        try:
            last = self._commit(events)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the callers that wait must hear it
            error = caught
        for place, loop, future in tickets:
            with suppress(RuntimeError):  # a loop that was closed meanwhile has nobody left to tell
                loop.call_soon_threadsafe(_settle, future, last - (len(events) - place), error)


def _settle(future: asyncio.Future[int], seq: int, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(seq)
    else:
        future.set_exception(error)
