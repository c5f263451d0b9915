"""The simulated cTrader in memory, behind the ports ``Quotes`` and ``Trading``: same events, no wire.

Every change of the account is committed before it is told, so a killed process comes back as the same broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from palmbot.core.bars import Forming
from palmbot.errors import RejectedError
from palmbot.exchange.account import NOTHING, Account, Booking
from palmbot.exchange.books import Books, Place
from palmbot.exchange.candles import continued, joined
from palmbot.exchange.feed import Feed, FeedTick
from palmbot.exchange.matching import Matching
from palmbot.exchange.pacer import Pace
from palmbot.model import AccountSnapshot, Fill, HistoryBar, LinkEvent, LinkState, OrderIntent, Quote
from palmbot.ports import Inbox, Pacer


class Broker:
    """One account, one symbol, one listener.

    Args:
        account: from ``books.account``.
        feed: the market, standing where ``books.feed_state`` says.
        books: where it is all kept.
        inbox: where events go.
        pacer: lock-step or free running.
    """

    def __init__(self, account: Account, feed: Feed, books: Books, inbox: Inbox, pacer: Pacer) -> None:
        self._matching = Matching(account, feed.rolls, books.last_tick())
        self._symbol = account.spec.symbol
        self._feed = feed
        self._books = books
        self._inbox = inbox
        self._pacer = pacer
        self._place: Place | None = None  # None before this process has sent a tick
        self._candle: Forming | None = None  # None while the feed is at a boundary, and before the first tick
        self._untold = NOTHING  # what could not be committed: it goes with the next, or is never told
        self._subscribed = asyncio.Event()

    # -- ports.Quotes

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:
        """Return up to ``count`` bars up to now, oldest first: those before the feed's start, then what was sent.

        The newest is forming when its bucket has not ended. A file has no bars before its start.

        Raises:
            RejectedError: there is no such symbol.
        """
        self._require(symbol)
        last = self._matching.last
        if last is None:
            return _newest(self._feed.history, count)
        pieces = {piece.ts_ms: piece for piece in (*self._books.candles(), self._candle) if piece is not None}
        day_start_ms = self._matching.account.spec.core.day_start_ms
        sent = joined(pieces.values(), period_ms, day_start_ms, last.ts_ms)
        return _newest((*self._feed.history, *sent), count)

    async def subscribe(self, symbol: str) -> None:
        """Begin to deliver quotes to the inbox, from the next tick on. The market stands still until then.

        Raises:
            RejectedError: there is no such symbol.
        """
        self._require(symbol)
        self._subscribed.set()

    # -- ports.Trading

    async def account(self) -> AccountSnapshot:
        """Return the account with its open positions and protective orders."""
        return self._matching.account.snapshot()

    async def submit(self, intent: OrderIntent) -> None:
        """Carry out ``intent`` at the current quotes; fill or refusal arrive in the inbox.

        Raises:
            HaltError: the books cannot be written; nothing was told.
        """
        self._tell(self._matching.request(intent))

    # -- what the wire has lists for

    async def deals(self, position_id: int) -> tuple[Fill, ...]:
        """Return all deals of a position, also of one that was closed while the bot was away."""
        return self._books.deals(position_id)

    def costs(self) -> tuple[int, int]:
        """Return what was paid in spread and slippage over all closed volume, in minor units <= 0."""
        return self._books.costs()

    def reject_next(self, error_code: str) -> None:
        """Let the next good market order be accepted and then rejected with ``error_code``: a fault to test with."""
        self._matching.rejects_next = error_code

    # -- the market

    async def run(self, pace: Pace | None = None) -> None:
        """Run the market from the first subscription until the feed ends.

        Args:
            pace: how fast; None is as fast as the pacer lets it.

        Raises:
            InvariantError: ``PACER_STUCK`` or ``STOP_OUT_NOT_BUILT``.
            HaltError: the books cannot be written, or the inbox is full.
        """
        await self._subscribed.wait()
        while (tick := self._feed.next_tick(self._matching.account.side)) is not None:
            if pace is not None:
                await pace.until(tick.ts_ms)  # a request that comes meanwhile still meets the tick before
            place = self._settle(tick)
            await self._pacer.wait_idle()
            if self._feed.at_boundary:
                self._books.save_place(place)
                self._candle = None
        ts_ms = 0 if self._matching.last is None else self._matching.last.ts_ms
        self._inbox.put(LinkEvent(ts_ms, LinkState.READY, "the feed ended", ended=True))

    def _settle(self, tick: FeedTick) -> Place:
        """Let the account meet ``tick``, then tell what happened and the quote."""
        booked = self._matching.tick(tick)
        self._candle = continued(self._candle, tick.ts_ms, tick.bid_px)
        self._place = Place(tick, self._feed.position_state(), self._candle)
        self._tell(booked)
        self._inbox.put(Quote(self._symbol, tick.ts_ms, tick.bid_px, tick.ask_px, tick.rate_e8))
        return self._place

    def _tell(self, booked: Booking) -> None:
        if self._untold is not NOTHING:
            booked = self._untold + booked
        if booked.changes_account:
            self._untold = booked
            self._books.save(self._matching.account, booked, self._place)
            self._untold = NOTHING
        for event in booked.events:
            self._inbox.put(event)

    def _require(self, symbol: str) -> None:
        if symbol != self._symbol:
            todo = "Name a symbol that this account can trade."
            raise RejectedError("SYMBOL_NOT_FOUND", todo, symbol=symbol, known=self._symbol)


def _newest(bars: Sequence[HistoryBar], count: int) -> Sequence[HistoryBar]:
    return bars[max(len(bars) - count, 0) :]
