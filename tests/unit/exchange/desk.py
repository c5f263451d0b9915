"""What tests of the exchange trade with: an instrument, ticks, requests, bars, an inbox to look into, and a bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from palmbot.calendar import Session
from palmbot.core.types import BarArrays, Instrument, RollArrays
from palmbot.exchange.books import Books
from palmbot.exchange.broker import ACCOUNT_ID, Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.feed import Feed, FeedTick, FileFeed
from palmbot.exchange.market_arrays import synthetic_bars
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import LockStep
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.model import BrokerEvent, IntentKind, LinkEvent, OrderEvent, OrderIntent, Quote
from palmbot.ports import Pacer
from palmbot.units import HOUR_MS, PX, RATE_ONE_E8

MONDAY = int(datetime(2024, 1, 8, tzinfo=UTC).timestamp()) * 1000
OPEN = MONDAY + 2 * HOUR_MS + HOUR_MS // 2  # 10:30 in Kuala Lumpur: the session opens
BALANCE = 10_000_000
SPREAD = 2 * PX
SLIPPAGE = PX // 2
SYMBOL = PALM_OIL.symbol
NO_ROLLS = RollArrays(np.zeros(0, np.int64), np.zeros(0, np.int64))


def spec(*, always_open: bool = False, **core: int) -> InstrumentSpec:
    """The built-in palm oil with other terms: spread 2, slippage 0.5, one lot of 2,500 cu, 25 MYR a lot and side."""
    changed = replace(PALM_OIL, core=Instrument(**core))
    return replace(changed, session=Session()) if always_open else changed


def opening(of: InstrumentSpec, balance_minor: int = BALANCE) -> Opening:
    """How an exchange of one account begins, in which nothing takes time."""
    catalogue = catalogue_of(of)
    return Opening(catalogue, (plain_account(ACCOUNT_ID, catalogue, balance_minor),), LOCK_STEP)


def tick(ts_ms: int, bid: float, *, jump: bool = False, spread: int = SPREAD, rate_e8: int = RATE_ONE_E8) -> FeedTick:
    bid_px = round(bid * PX)
    return FeedTick(ts_ms, bid_px, bid_px + spread, jump, bid_px, rate_e8)


def enter(side: int = 1, volume_cu: int = 2_500, sl: float = 50, tp: float = 80, name: str = "in") -> OrderIntent:
    return OrderIntent(
        IntentKind.ENTER, name, SYMBOL, side, volume_cu, 50, 7, sl_px=round(sl * PX), tp_px=round(tp * PX)
    )


def amend(position_id: int, sl: float, tp: float, name: str = "move") -> OrderIntent:
    levels = {"sl_px": round(sl * PX), "tp_px": round(tp * PX)}
    return OrderIntent(IntentKind.AMEND, name, SYMBOL, 1, 0, 62, 7, position_id=position_id, **levels)


def leave(position_id: int, volume_cu: int = 2_500, name: str = "out") -> OrderIntent:
    return OrderIntent(IntentKind.CLOSE, name, SYMBOL, -1, volume_cu, 63, 7, position_id=position_id)


def bars(*rows: tuple[int, float, float, float, float], rate_e8: tuple[int, ...] = ()) -> BarArrays:
    """Bars of an hour from ``(ts_ms, open, high, low, close)``."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    prices = np.rint(table[:, 1:] * PX).astype(np.int64)
    ts_ms = np.array([row[0] for row in rows], dtype=np.int64)
    open_px, high_px, low_px, close_px = prices.T.copy()
    return BarArrays(ts_ms, ts_ms + HOUR_MS, open_px, high_px, low_px, close_px, np.array(rate_e8, dtype=np.int64))


def rolls(*rows: tuple[int, float]) -> RollArrays:
    return RollArrays(
        np.array([ts_ms for ts_ms, _ in rows], np.int64), np.array([round(gap * PX) for _, gap in rows], np.int64)
    )


class QueueInbox:
    """An inbox over an ``asyncio.Queue``; ``told`` keeps everything that was ever put."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[BrokerEvent] = asyncio.Queue()
        self.told: list[BrokerEvent] = []

    def put(self, event: BrokerEvent) -> None:
        self.told.append(event)
        self.queue.put_nowait(event)

    @property
    def quotes(self) -> list[Quote]:
        return [event for event in self.told if isinstance(event, Quote)]

    @property
    def orders(self) -> list[OrderEvent]:
        return [event for event in self.told if isinstance(event, OrderEvent)]


def facts(value: object, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in names)


SERIES = synthetic_bars(PALM_OIL, 5, 24)
FLAT_BARS = bars(*[(OPEN + hour * HOUR_MS, 4_000, 4_000, 4_000, 4_000) for hour in range(3)])
Reaction = Callable[["Desk", Quote], object]


class Desk:
    """A broker with its market, and a bot that answers each quote with one reaction."""

    def __init__(
        self,
        feed: Feed,
        books: Books,
        of: InstrumentSpec | None = None,
        pacer: Pacer | None = None,
        inbox: QueueInbox | None = None,
    ) -> None:
        self.books = books
        self.inbox = QueueInbox() if inbox is None else inbox
        self.pacer = LockStep() if pacer is None else pacer
        self.opening = opening(of or spec(always_open=True))
        self.broker = Broker(opened(self.opening, feed, books, self.pacer), self.inbox)

    async def bot(self, react: Reaction) -> None:
        """Serve the inbox; report idle when it is empty. Ends with the feed."""
        while True:
            event = await self.inbox.queue.get()
            if isinstance(event, LinkEvent) and event.ended:
                return
            if isinstance(event, Quote):
                asked = react(self, event)
                if asyncio.iscoroutine(asked):
                    await asked
            if self.inbox.queue.empty():
                self.pacer.idle()

    async def play(self, react: Reaction) -> list[BrokerEvent]:
        """Run the whole feed in lock-step with a bot that reacts so."""
        await self.broker.subscribe(SYMBOL)
        bot = asyncio.create_task(self.bot(react))
        running = asyncio.create_task(self.broker.run())
        try:
            await asyncio.gather(running, bot)
        finally:
            running.cancel()
            bot.cancel()
        return self.inbox.told


@asynccontextmanager
async def desk(
    series: BarArrays = FLAT_BARS, rolled: RollArrays = NO_ROLLS, of: InstrumentSpec | None = None
) -> AsyncIterator[Desk]:
    traded = of or spec(always_open=True)
    with closing(Books(":memory:")) as books:
        yield Desk(FileFeed(traded.core, series, rolled), books, traded)


def rows_of(series: BarArrays) -> list[tuple[int, ...]]:
    columns = (series.ts_ms, series.open_px, series.high_px, series.low_px, series.close_px)
    return list(zip(*(column.tolist() for column in columns), strict=True))


async def turns(count: int = 5) -> None:
    """Let every other task run as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


def nothing(_desk: Desk, _quote: Quote) -> None:
    """The bot that only watches."""


def at_first(*intents: OrderIntent) -> Reaction:
    """The bot that sends ``intents`` at the first quote."""

    async def send(desk: Desk) -> None:
        for intent in intents:
            await desk.broker.submit(intent)

    return lambda desk, quote: send(desk) if quote.ts_ms == OPEN else None


def shape(event: BrokerEvent) -> str:
    return event.execution.name if isinstance(event, OrderEvent) else type(event).__name__
