"""The broker behind its ports: lock-step, order of events, history, and what is committed before it is told."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from tests.unit.exchange.desk import (
    BALANCE,
    NO_ROLLS,
    OPEN,
    SERIES,
    SYMBOL,
    Desk,
    QueueInbox,
    amend,
    at_first,
    bars,
    desk,
    enter,
    facts,
    leave,
    nothing,
    rolls,
    rows_of,
    shape,
    spec,
    turns,
)

from palmbot.calendar import bucket_end
from palmbot.errors import HaltError, RejectedError
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import TRADED_ID
from palmbot.exchange.feed import FileFeed, GeneratedFeed
from palmbot.exchange.market_arrays import history
from palmbot.exchange.translation import bot_fill, bot_position
from palmbot.instruments import PALM_OIL
from palmbot.model import (
    BrokerEvent,
    Execution,
    OrderEvent,
    Quote,
)
from palmbot.ports import Quotes, Trading
from palmbot.units import HOUR_MS, PX, SECOND_MS

# -- the ports


async def test_the_broker_is_what_the_ports_ask_for() -> None:
    async with desk() as at:
        quotes: Quotes = at.broker  # mypy compares the signatures
        trading: Trading = at.broker
        assert await quotes.history(SYMBOL, HOUR_MS, 10) == ()
        account = await trading.account()
        assert facts(account, "balance_minor", "leverage", "hedged", "positions") == (BALANCE, 20, True, ())


async def test_an_unknown_symbol_has_no_quotes_and_its_orders_are_refused_by_an_event() -> None:
    async with desk() as at:
        with pytest.raises(RejectedError, match="SYMBOL_NOT_FOUND"):
            await at.broker.subscribe("RUBBER")
        with pytest.raises(RejectedError, match="SYMBOL_NOT_FOUND"):
            await at.broker.history("RUBBER", HOUR_MS, 1)
        await at.broker.submit(enter())
        (refusal,) = at.inbox.orders
        assert facts(refusal, "execution", "error_code", "request_id") == (Execution.ERROR, "NO_QUOTES", "in")


async def test_history_is_the_newest_of_the_closed_bars_before_the_start() -> None:
    made, state = history(PALM_OIL, 3, 40)
    with closing(Books(":memory:")) as books:
        broker = Desk(GeneratedFeed(PALM_OIL, state, history=made), books, PALM_OIL).broker
        assert await broker.history(SYMBOL, HOUR_MS, 500) == made
        assert await broker.history(SYMBOL, HOUR_MS, 3) == made[-3:]
        assert await broker.history(SYMBOL, HOUR_MS, 0) == ()


@pytest.mark.parametrize("period_ms", [HOUR_MS, 24 * HOUR_MS])
async def test_what_was_sent_joins_the_history_and_the_bar_that_has_not_ended_is_forming(period_ms: int) -> None:
    async with desk(SERIES, of=PALM_OIL) as at:
        await at.play(nothing)
        bars_ = await at.broker.history(SYMBOL, period_ms, 1_000)
        ends = [bucket_end(bar.ts_ms, period_ms, PALM_OIL.core.day_start_ms) for bar in bars_]
        sent = [(bucket_end(ts_ms, period_ms, PALM_OIL.core.day_start_ms), *row) for ts_ms, *row in rows_of(SERIES)]
        for bar, end_ms in zip(bars_, ends, strict=True):
            parts = [row for row in sent if row[0] == end_ms]
            highs, lows = [row[2] for row in parts], [row[3] for row in parts]
            assert facts(bar, "open_px", "high_px", "low_px") == (parts[0][1], max(highs), min(lows))
            assert bar.close_px == parts[-1][4]
        assert ends == sorted({row[0] for row in sent})
        assert [bar.is_forming for bar in bars_] == [False] * (len(bars_) - 1) + [True]
        assert await at.broker.history(SYMBOL, period_ms, 2) == bars_[-2:]


async def test_the_market_stands_still_until_somebody_watches_and_the_first_quote_comes_with_the_next_tick() -> None:
    async with desk() as at:
        running = asyncio.create_task(at.broker.run())
        await turns()
        assert at.inbox.told == []
        await at.broker.subscribe(SYMBOL)
        assert at.inbox.told == []
        await turns()
        assert at.inbox.told == [Quote(SYMBOL, OPEN, 4_000 * PX, 4_002 * PX)]
        running.cancel()


# -- what is told


async def test_every_tick_is_sent_with_both_sides_also_when_nothing_moved() -> None:
    async with desk(bars((OPEN, 4_000, 4_000, 4_000, 4_000), rate_e8=(25_000_000,))) as at:
        await at.play(nothing)
        seconds = (0, 15, 30, 45)
        assert at.inbox.quotes == [
            Quote(SYMBOL, OPEN + second * SECOND_MS, 4_000 * PX, 4_002 * PX, 25_000_000) for second in seconds
        ]


async def test_what_happened_to_the_account_is_told_before_the_quote_that_did_it() -> None:
    night = bars((OPEN, 4_000, 4_000, 4_000, 4_000), (OPEN + 24 * HOUR_MS, 3_900, 3_900, 3_900, 3_900))
    traded = spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS)
    async with desk(night, rolls((OPEN + 24 * HOUR_MS, -100)), traded) as at:
        told = await at.play(at_first(enter()))
        entry = ["Quote", "ACCEPTED", "FILLED", "ACCEPTED"]
        expected = [*entry, *["Quote"] * 3, "SWAP", "SWAP", "FILLED", *["Quote"] * 4, "LinkEvent"]
        assert [shape(event) for event in told] == expected
        swap, roll, stop = at.inbox.orders[3:]
        assert swap.ts_ms == OPEN - 2 * HOUR_MS - HOUR_MS // 2 + 22 * HOUR_MS
        assert roll.ts_ms == stop.ts_ms == OPEN + 24 * HOUR_MS
        assert stop.fill is not None
        assert stop.fill.close is not None
        assert stop.fill.close.swap_minor == -2_500 + 250_000  # a night, and the roll given back


@pytest.mark.parametrize(("side", "price"), [(1, 3_952.0), (-1, 4_050.0)])
async def test_a_bar_that_holds_both_levels_is_a_stop(side: int, price: float) -> None:
    async with desk(bars((OPEN, 4_000, 4_200, 3_800, 4_000))) as at:
        await at.play(at_first(enter(side)))
        assert at.inbox.orders[-1].fill is not None
        assert at.inbox.orders[-1].fill.price_px == round(price * PX)
        assert at.inbox.orders[-1].ts_ms == OPEN + 15 * SECOND_MS


async def test_a_request_fills_at_the_quote_it_answers_and_all_its_events_carry_that_time() -> None:
    async with desk() as at:
        asked = at_first(enter(), amend(1, 3_960, 4_090), leave(1), leave(1))
        await at.play(asked)
        names = ["ACCEPTED", "FILLED", "ACCEPTED", "REPLACED", "ACCEPTED", "FILLED", "CANCELLED", "ERROR"]
        assert [event.execution.name for event in at.inbox.orders] == names
        assert [event.request_id for event in at.inbox.orders] == ["in", "in", "", "move", "out", "out", "", "out"]
        assert {event.ts_ms for event in at.inbox.orders} == {OPEN}
        assert [deal.deal_id for deal in await at.broker.deals(1)] == [1, 2]


async def test_costs_are_reported_by_kind_over_all_closed_trades() -> None:
    async with desk(bars((OPEN, 4_000, 4_200, 4_000, 4_000))) as at:
        await at.play(at_first(enter(), enter(-1), enter(sl=500, tp=500)))
        # long into its target: spread 50, slippage 12.50; short into its stop: 50 and 25; the third is still open
        assert at.broker.costs() == (-5_000 - 5_000, -1_250 - 2_500)


async def test_the_fault_knob_rejects_an_order_after_accepting_it() -> None:
    async with desk() as at:
        at.broker.reject_next("TRADING_DISABLED")
        await at.play(at_first(enter()))
        assert [event.execution.name for event in at.inbox.orders] == ["ACCEPTED", "REJECTED"]


# -- the books


class WatchfulInbox(QueueInbox):
    """Looks into the books whenever it is told something."""

    def __init__(self, books: Books) -> None:
        super().__init__()
        self.books = books

    def put(self, event: BrokerEvent) -> None:
        if isinstance(event, OrderEvent) and event.fill is not None:
            assert not self.books._database.in_transaction
            assert event.fill in map(bot_fill, self.books.history.deals_of_position(1, event.fill.position_id))
            stored = self.books.tick(TRADED_ID)
            assert stored is not None
            assert stored.ts_ms == event.fill.ts_ms
        super().put(event)


async def test_every_fill_is_committed_before_it_is_told() -> None:
    with closing(Books(":memory:")) as books:
        feed = FileFeed(spec().core, bars((OPEN, 4_000, 4_200, 3_800, 4_000)), NO_ROLLS)
        at = Desk(feed, books, inbox=WatchfulInbox(books))
        await at.play(at_first(enter(), enter(-1), leave(1)))
        assert sum(event.fill is not None for event in at.inbox.orders) == 4


async def test_a_swap_is_committed_before_it_is_told() -> None:
    traded = spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS)
    night = bars((OPEN, 4_000, 4_000, 4_000, 4_000), (OPEN + 24 * HOUR_MS, 4_000, 4_000, 4_000, 4_000))

    class Stored(QueueInbox):
        def put(self, event: BrokerEvent) -> None:
            super().put(event)
            if isinstance(event, OrderEvent) and event.execution is Execution.SWAP:
                (held,) = books.kept(at.opening.catalogue, ()).positions
                assert bot_position(held.view(), SYMBOL) == event.position

    with closing(Books(":memory:")) as books:
        at = Desk(FileFeed(traded.core, night, NO_ROLLS), books, traded, inbox=Stored())
        await at.play(at_first(enter()))
        assert "SWAP" in [event.execution.name for event in at.inbox.orders]


async def test_what_the_disk_refuses_is_told_to_nobody_until_it_is_written() -> None:
    async with desk() as at:
        await at.broker.subscribe(SYMBOL)
        running = asyncio.create_task(at.broker.run())
        await turns()
        at.books._database.execute("PRAGMA query_only = ON")
        with pytest.raises(HaltError, match="BOOKS_UNWRITABLE"):
            await at.broker.submit(enter())
        assert at.inbox.orders == []
        at.books._database.execute("PRAGMA query_only = OFF")
        await at.broker.submit(leave(1))
        assert [event.execution.value for event in at.inbox.orders] == [2, 3, 2, 2, 3, 5]
        assert len(await at.broker.deals(1)) == 2
        running.cancel()
