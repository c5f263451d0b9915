"""A market that is quoted elsewhere: its quotes come from another broker, and orders are filled here, at them.

Somebody else's client puts what it hears into a ``Mirror``. A quote moves this exchange first, then reaches the bot
after everything that it did to the account (PARITY 21). What the other broker says of its own orders and money is
nobody's business here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from palmbot.calendar import is_open
from palmbot.errors import HaltError
from palmbot.exchange.engine import Engine
from palmbot.exchange.feed import FeedTick, Rolls
from palmbot.model import BrokerEvent, HistoryBar, LinkEvent, Quote
from palmbot.ports import Inbox


class QuotedFeed:
    """The ``feed.Feed`` of such a market: it has no tick of its own, and no rolls: nobody says them beforehand."""

    history: Sequence[HistoryBar] = ()
    rolls: Rolls = ()
    at_boundary = True  # each tick is kept: they come at a market's pace, not at a machine's

    def next_tick(self, side: int) -> None:
        """Return None."""

    def position_state(self) -> dict[str, Any]:
        """Return nothing: the next quote comes from where quotes come from."""
        return {}


class Mirror:
    """The ``ports.Inbox`` of the client that hears the quotes.

    Args:
        inbox: the bot's.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._engine: Engine | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def show(self, engine: Engine) -> None:
        """Let ``engine``, which tells the bot itself, move with the quotes that come from now on."""
        self._engine = engine

    def put(self, event: BrokerEvent) -> None:
        """Take in what the client heard."""
        if isinstance(event, LinkEvent):
            self._inbox.put(event)
        elif isinstance(event, Quote) and self._engine is not None and not self._broken.done():
            self._quoted(self._engine, event)

    def _quoted(self, engine: Engine, quote: Quote) -> None:
        """Move on, unless the market is closed: brokers repeat the last price then, and no bar has it (PARITY 27)."""
        session = engine.venue.catalogue.traded.spec.session
        if quote.bid_px is None or quote.ask_px is None or not is_open(quote.ts_ms, session):
            return
        # sides come one after the other, so a bid may pass an ask that is about to follow: nobody gives that away
        ask_px = max(quote.ask_px, quote.bid_px)
        # between two quotes there was no price at which anything could have been filled, so each is a jump
        tick = FeedTick(
            quote.ts_ms, quote.bid_px, ask_px, is_jump=True, bar_open_px=quote.bid_px, rate_e8=quote.rate_e8
        )
        try:
            engine.tick(tick)
        except HaltError as failure:
            self._broken.set_exception(failure)

    async def run(self) -> None:
        """Wait for the failure of the exchange, forever where there is none.

        Raises:
            HaltError: its books cannot be written, it is broken, or the bot cannot keep up.
        """
        await self._broken
