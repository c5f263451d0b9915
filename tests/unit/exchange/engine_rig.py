"""An engine with listeners, moved by hand: for the tests of the clockwork."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

from tests.unit.exchange.desk import (
    BALANCE,
    FLAT_BARS,
    NO_ROLLS,
    opening,
    spec,
    turns,
)
from tests.unit.exchange.house import px

from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import TRADED_ID
from palmbot.exchange.conduct import Conduct, Delays
from palmbot.exchange.engine import Engine
from palmbot.exchange.feed import FeedTick, FileFeed
from palmbot.exchange.opening import opened, plain_account
from palmbot.exchange.pacer import LockStep, Pace
from palmbot.exchange.values import Told
from palmbot.instruments import InstrumentSpec

TRADED = spec(always_open=True)


class Ear:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def told(self, account_id: int, told: Told) -> None:
        self.heard.append(("told", account_id, told))

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        self.heard.append(("spot", symbol_id, tick))

    def ended(self) -> None:
        self.heard.append(("ended",))

    @property
    def events(self) -> list[Told]:
        return [each[2] for each in self.heard if each[0] == "told"]


class Rig:
    """An engine over a file, its books and one listener."""

    def __init__(self, books: Books, of: InstrumentSpec, accounts: int, conduct: Conduct, pacer: Any) -> None:
        base = opening(of)
        plain = tuple(plain_account(number, base.catalogue, BALANCE) for number in range(1, accounts + 1))
        self.opening = replace(base, accounts=plain, conduct=conduct)
        self.books, self.pacer, self.of = books, pacer, of
        self.engine = self.made()
        self.ear = Ear()
        self.engine.add_listener(self.ear)

    def listen(self, series: Any) -> None:
        """Begin anew with other bars."""
        self.engine = self.made(series)
        self.engine.add_listener(self.ear)
        self.engine.start()

    def made(self, series: Any = FLAT_BARS) -> Engine:
        feed = FileFeed(self.of.core, series, NO_ROLLS, self.books.feed_state())
        return opened(self.opening, feed, self.books, self.pacer)


@asynccontextmanager
async def rig(
    of: InstrumentSpec = TRADED,
    accounts: int = 1,
    conduct: Conduct | None = None,
    pacer: Any = None,
    pace: Pace | None = None,
) -> AsyncIterator[Rig]:
    """A running engine that has told its first tick."""
    with closing(Books(":memory:")) as books:
        made = Rig(books, of, accounts, conduct or Conduct(Delays(0, 0)), pacer or LockStep())
        made.engine.start()
        running = asyncio.create_task(made.engine.run(pace))
        await turns()
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def falls(at: Rig) -> None:
    """Let the market fall through a stop that is 50 away."""
    last = at.engine.venue.last(TRADED_ID)
    assert last is not None
    at.engine._settle(last._replace(bid_px=px(3_940)))
