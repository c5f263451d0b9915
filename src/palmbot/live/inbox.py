"""The one bounded queue in front of the task that owns all trading state.

Quotes that pile up are conflated (SAFETY 16): of each symbol the first, the lowest and highest of each side, and the
last stay, in their order, so that bars and breakers meet every extreme. A run of them ends at the end of a bar or
trading day and at any other event, for what a fill or a decision finds before it must not change. Whatever is no quote
never drops: a queue that is full of it refuses, and the link that wanted to put it in is as good as lost.
"""

from __future__ import annotations

import asyncio
from collections import deque

from palmbot.core.bars import bucket_end
from palmbot.errors import HaltError
from palmbot.model import BrokerEvent, LinkEvent, Quote
from palmbot.units import DAY_MS, MINUTE_MS

LIMIT = 10_000
PILE = 64  # quotes wait one by one until so many events wait


class _Extremes:
    """What is kept of one symbol's consecutive quotes: each with its place in the order of arrival."""

    __slots__ = ("ask_high", "ask_low", "bid_high", "bid_low", "first", "last")

    def __init__(self, place: int, quote: Quote) -> None:
        only = (place, quote)
        self.first = self.last = self.bid_low = self.bid_high = self.ask_low = self.ask_high = only

    def add(self, place: int, quote: Quote) -> None:
        """Take in a later quote; a side that is absent has no extreme."""
        self.last = new = (place, quote)
        bid_px, ask_px = quote.bid_px, quote.ask_px
        if bid_px is not None:
            if _below(bid_px, self.bid_low[1].bid_px):
                self.bid_low = new
            if _above(bid_px, self.bid_high[1].bid_px):
                self.bid_high = new
        if ask_px is not None:
            if _below(ask_px, self.ask_low[1].ask_px):
                self.ask_low = new
            if _above(ask_px, self.ask_high[1].ask_px):
                self.ask_high = new

    def kept(self) -> dict[int, Quote]:
        return dict((self.first, self.bid_low, self.bid_high, self.ask_low, self.ask_high, self.last))


def _below(price_px: int, low_px: int | None) -> bool:
    return low_px is None or price_px < low_px


def _above(price_px: int, high_px: int | None) -> bool:
    return high_px is None or price_px > high_px


class _Run:
    """Consecutive quotes of one stretch ``[start_ms, end_ms)`` of market time, conflated by symbol."""

    __slots__ = ("end_ms", "length", "start_ms", "symbols")

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.length = 0
        self.symbols: dict[str, _Extremes] = {}

    def add(self, quote: Quote) -> None:
        extremes = self.symbols.get(quote.symbol)
        if extremes is None:
            self.symbols[quote.symbol] = _Extremes(self.length, quote)
        else:
            extremes.add(self.length, quote)
        self.length += 1

    def quotes(self) -> list[Quote]:
        kept: dict[int, Quote] = {}
        for extremes in self.symbols.values():
            kept |= extremes.kept()
        return [kept[place] for place in sorted(kept)]


class Inbox:
    """First in, first out.

    Args:
        limit: how many events (or conflated runs of quotes) may wait.
        period_ms: bars that quotes are conflated within; a minute is right for every period, the bot's own is shorter.
        day_start_ms: anchor of trading days, and of bars of a day and longer.
    """

    def __init__(self, limit: int = LIMIT, period_ms: int = MINUTE_MS, day_start_ms: int = 0) -> None:
        self._events: deque[BrokerEvent | _Run] = deque()
        self._limit = limit
        self._period_ms = period_ms
        self._day_start_ms = day_start_ms
        self._run: _Run | None = None  # the last of ``_events``, while quotes may still join it
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._events

    def put(self, event: BrokerEvent) -> None:
        """Append ``event`` and wake the reader. News of the link itself always finds room.

        Raises:
            HaltError: the reader is too far behind to trust anything it would do; ``event`` was not taken in.
        """
        if isinstance(event, Quote):
            if self._run is not None and self._run.start_ms <= event.ts_ms < self._run.end_ms:
                self._run.add(event)
                return  # where a run waits, the reader was woken
            if len(self._events) >= PILE:
                self._refuse_if_full()
                self._run = run = self._new_run(event.ts_ms)
                run.add(event)
                self._events.append(run)
                self.wake()
                return
        self._run = None  # what is appended now is the last
        if not isinstance(event, LinkEvent):
            self._refuse_if_full()
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
        return self.take()

    def take(self) -> BrokerEvent | None:
        """Return the next event without waiting; None when there is none."""
        if not self._events:
            return None
        event = self._events.popleft()
        if not isinstance(event, _Run):
            return event
        if event is self._run:
            self._run = None
        first, *rest = event.quotes()
        self._events.extendleft(reversed(rest))
        return first

    def _new_run(self, ts_ms: int) -> _Run:
        """Return the run of quotes that share bar and trading day with one at ``ts_ms``."""
        ends_ms = [bucket_end(ts_ms, period_ms, self._day_start_ms) for period_ms in (self._period_ms, DAY_MS)]
        starts_ms = [end_ms - period_ms for end_ms, period_ms in zip(ends_ms, (self._period_ms, DAY_MS), strict=True)]
        return _Run(max(starts_ms), min(ends_ms))

    def _refuse_if_full(self) -> None:
        if len(self._events) >= self._limit:
            raise HaltError("INBOX_FULL", "Lower the speed: the bot cannot keep up with its events.", limit=self._limit)
