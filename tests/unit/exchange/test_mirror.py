"""A market that is quoted elsewhere: fills at its quotes, in its order, and what a restart and a full disk do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from palmbot.calendar import Session
from palmbot.errors import HaltError
from palmbot.exchange.books import Books
from palmbot.exchange.broker import Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import Conduct, Delays
from palmbot.exchange.mirror import Mirror, QuotedFeed
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.live.inbox import Inbox
from palmbot.model import (
    BrokerEvent,
    CashEvent,
    Execution,
    IntentKind,
    LinkEvent,
    LinkState,
    OrderEvent,
    OrderIntent,
    Quote,
)
from palmbot.units import PX

SPEC = replace(PALM_OIL, session=Session())
SYMBOL, BALANCE, LOT = SPEC.symbol, 10_000_000, SPEC.core.lot_cu
START_MS = 1_704_708_000_000  # Monday, 8 January 2024, 10:00 UTC
SLIP_PX = SPEC.core.slippage


class Stand:
    """A mirror, the exchange behind it, and what the bot hears."""

    def __init__(self, books: Books, spec: InstrumentSpec = SPEC) -> None:
        catalogue = catalogue_of(spec)
        account = plain_account(1, catalogue, BALANCE)
        opening = Opening(catalogue, (account,), Conduct(Delays(0, 0)))
        self.engine = opened(opening, QuotedFeed(), books, FreeRunning())
        self.inbox = Inbox()
        self.mirror = Mirror(self.inbox)
        self.broker = Broker(self.engine, self.inbox)
        self.now_ms = START_MS

    def quote(self, bid: float, ask: float | None = None, after_ms: int = 1_000) -> None:
        self.now_ms += after_ms
        ask = bid + 2 if ask is None else ask
        self.mirror.put(Quote(SYMBOL, self.now_ms, round(bid * PX), round(ask * PX)))

    async def buys(self) -> None:
        intent = OrderIntent(
            *(IntentKind.ENTER, "ab12.rt.PALMOI.h8k2z.E1.3", SYMBOL, 1, LOT, 50, self.now_ms),
            sl_px=60 * PX,
            tp_px=80 * PX,
        )
        await self.broker.submit(intent)

    def told(self) -> list[BrokerEvent]:
        return list(iter(self.inbox.take, None))


@contextmanager
def stand(path: Path | str = ":memory:", spec: InstrumentSpec = SPEC) -> Iterator[Stand]:
    with closing(Books(path)) as books:
        made = Stand(books, spec)
        made.mirror.show(made.engine)
        yield made


async def test_an_order_is_filled_at_the_real_ask_with_slippage_and_its_stop_stands() -> None:
    with stand() as at:
        at.quote(4_000, 4_003.5)
        assert at.told() == [Quote(SYMBOL, at.now_ms, 4_000 * PX, round(4_003.5 * PX))]
        await at.buys()
        accepted, filled, guarded = at.told()
        assert isinstance(filled, OrderEvent)
        assert filled.fill is not None
        assert filled.fill.price_px == round(4_003.5 * PX) + SLIP_PX
        assert isinstance(guarded, OrderEvent)
        assert guarded.position is not None
        assert guarded.position.sl_px == filled.fill.price_px - 60 * PX
        assert isinstance(accepted, OrderEvent)


async def test_a_bid_that_has_passed_the_ask_is_no_gift() -> None:
    with stand() as at:
        at.quote(4_000)
        at.quote(4_010, 4_002)  # the ask is about to follow
        at.told()
        await at.buys()
        fills = [event.fill for event in at.told() if isinstance(event, OrderEvent) and event.fill is not None]
        assert [fill.price_px for fill in fills] == [4_010 * PX + SLIP_PX]


async def test_a_stop_is_filled_at_the_quote_that_passed_it_and_told_before_that_quote() -> None:
    with stand() as at:
        at.quote(4_000)
        await at.buys()
        at.told()
        at.quote(3_900)
        *events, quote = at.told()
        fills = [event.fill for event in events if isinstance(event, OrderEvent) and event.fill is not None]
        assert [fill.price_px for fill in fills] == [3_900 * PX - SLIP_PX]
        assert quote == Quote(SYMBOL, at.now_ms, 3_900 * PX, 3_902 * PX)
        assert (await at.broker.account()).positions == ()


async def test_quotes_that_pile_up_are_met_one_by_one_here_and_conflated_for_the_bot_alone() -> None:
    with stand() as at:
        at.quote(4_000)
        await at.buys()
        at.told()
        for number in range(200):
            at.quote(3_930 if number == 150 else 4_001 + number / 100)
        events = at.told()
        place = next(place for place, event in enumerate(events) if isinstance(event, OrderEvent) and event.fill)
        fill = events[place]
        assert isinstance(fill, OrderEvent)
        assert fill.fill is not None
        assert fill.fill.price_px == 3_930 * PX - SLIP_PX
        quotes = [event for event in events if isinstance(event, Quote)]
        assert len(quotes) < 100
        lowest = min(quotes, key=lambda quote: quote.bid_px or 0)
        assert (lowest.bid_px, lowest.ts_ms) == (3_930 * PX, fill.ts_ms)
        assert events.index(lowest) > place
        assert quotes[-1].ts_ms == at.now_ms


async def test_what_a_broker_repeats_while_the_market_is_closed_moves_nothing() -> None:
    with stand(spec=PALM_OIL) as at:  # 10:00 UTC is 18:00 in Kuala Lumpur, where the afternoon ends
        at.now_ms = START_MS - 2_000
        at.quote(4_000)
        assert len(at.told()) == 1
        at.quote(4_050)
        assert at.told() == []
        last = at.engine.venue.last(at.engine.venue.catalogue.traded_id)
        assert last is not None
        assert last.bid_px == 4_000 * PX


async def test_what_the_other_broker_says_of_its_own_orders_and_money_is_not_passed_on() -> None:
    with stand() as at:
        at.mirror.put(OrderEvent(Execution.FILLED, START_MS))
        at.mirror.put(CashEvent(START_MS, 1, 2))
        at.mirror.put(Quote(SYMBOL, START_MS, None, 1))
        lost = LinkEvent(START_MS, LinkState.LOST, "cut")
        at.mirror.put(lost)
        assert at.told() == [lost]
        assert (await at.broker.account()).balance_minor == BALANCE


async def test_before_there_is_an_exchange_only_news_of_the_link_pass() -> None:
    inbox = Inbox()
    mirror = Mirror(inbox)
    mirror.put(Quote(SYMBOL, START_MS, 1, 2))
    mirror.put(LinkEvent(START_MS, LinkState.READY))
    assert list(iter(inbox.take, None)) == [LinkEvent(START_MS, LinkState.READY)]


async def test_a_position_survives_a_restart_and_meets_the_next_quote(tmp_path: Path) -> None:
    with stand(tmp_path / "exchange.sqlite") as at:
        at.quote(4_000)
        await at.buys()
        (before,) = (await at.broker.account()).positions
    with stand(tmp_path / "exchange.sqlite") as at:
        assert (await at.broker.account()).positions == (before,)
        at.now_ms += 3_600_000
        at.quote(3_900)
        assert (await at.broker.account()).positions == ()
        fills = await at.broker.deals(before.position_id)
        assert fills[-1].close is not None
        assert (await at.broker.account()).balance_minor == fills[-1].close.balance_minor


async def test_each_quote_is_kept_so_that_time_never_goes_back(tmp_path: Path) -> None:
    with stand(tmp_path / "exchange.sqlite") as at:
        at.quote(4_000)
        at.quote(4_001)
        now_ms = at.now_ms
    with stand(tmp_path / "exchange.sqlite") as at:
        last = at.engine.venue.last(at.engine.venue.catalogue.traded_id)
        assert last is not None
        assert (at.engine.venue.now_ms, last.ts_ms, last.bid_px) == (now_ms, now_ms, 4_001 * PX)


async def test_books_that_cannot_be_written_end_it_and_nothing_more_is_told() -> None:
    with stand() as at:
        waiting = asyncio.ensure_future(at.mirror.run())
        at.quote(4_000)
        at.told()
        at.engine.books.close()
        at.quote(4_001)
        at.quote(4_002)
        with pytest.raises(HaltError):
            await waiting
        assert at.told() == [Quote(SYMBOL, at.now_ms - 1_000, 4_001 * PX, 4_003 * PX)]
