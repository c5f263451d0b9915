"""The one bounded queue in front of the task that owns all trading state."""

from __future__ import annotations

import asyncio
from collections import deque

from palmbot.errors import HaltError
from palmbot.model import BrokerEvent

LIMIT = 10_000


class Inbox:
    """First in, first out. What cannot be taken in is not dropped: a full queue ends the run."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._events: deque[BrokerEvent] = deque()
        self._limit = limit
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._events

    def put(self, event: BrokerEvent) -> None:
        """Append ``event`` and wake the reader.

        Raises:
            HaltError: the reader is too far behind to trust anything it would do.
        """
        if len(self._events) >= self._limit:
            raise HaltError("INBOX_FULL", "Lower the speed: the bot cannot keep up with its events.", limit=self._limit)
        self._events.append(event)
        self.wake()

    def wake(self) -> None:
        """End the reader's wait, with or without an event."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self, timeout_s: float | None = None) -> BrokerEvent | None:
        """Return the next event; None when woken without one, or after ``timeout_s``."""
        if not self._events:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = None if timeout_s is None else loop.call_later(timeout_s, self.wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        return self._events.popleft() if self._events else None
