"""The client and the exchange over real TLS: what the exchange books is what the client tells, px and cent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from tests.exchange_house import ASK, BALANCE, BID, LOT, SPEC, START_MS, House, Plan, house_in

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_keeper import Patience
from palmbot.adapters.ctrader_link import UNSENT_MAX_MS, real_dial
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.tls import client_context
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.values import CashKind
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
    OrderKind,
    Quote,
)
from palmbot.settings import CtraderCredentials, Environment
from palmbot.units import HOUR_MS, MINUTE_MS, PX, rate_of_px

NAME, SYMBOL = "ab12.rs.PALMOI.h8k2z.E1.3", SPEC.symbol
AT_ONCE = Plan(conduct=LOCK_STEP)
Event = TypeVar("Event", bound=BrokerEvent)


@dataclass
class Bot:
    """A client of a house, and what it told."""

    ctrader: Ctrader
    inbox: Inbox

    async def next(self, kind: type[Event]) -> Event:
        """Return the next event, which is of ``kind``."""
        event = await self.inbox.get(20.0)
        assert isinstance(event, kind), event
        return event


def enters(name: str = NAME) -> OrderIntent:
    return OrderIntent(IntentKind.ENTER, name, SYMBOL, 1, LOT, 50, START_MS, sl_px=60 * PX, tp_px=80 * PX)


def changes(kind: IntentKind, position_id: int, sl_px: int = 0, tp_px: int = 0) -> OrderIntent:
    volume_cu = LOT if kind is IntentKind.CLOSE else 0
    return OrderIntent(
        kind, f"{kind}", SYMBOL, -1, volume_cu, 60, START_MS, sl_px=sl_px, tp_px=tp_px, position_id=position_id
    )


@asynccontextmanager
async def bot_of(house: House) -> AsyncIterator[Bot]:
    """Give a client that is logged in and has subscribed."""
    ready, inbox = house.ready, Inbox()
    credentials = CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, ready.account_id)
    config = CtraderConfig(credentials, SYMBOL, SPEC.core.day_start_ms, Patience(pause_min_ms=1, pause_max_ms=10))
    dial = real_dial(ready.host, ready.port, client_context(ready.host, Path(ready.ca_file)))
    wires = CtraderWires(dial, SystemClock(), Random(1), FixedToken(ready.access_token), inbox, lambda: None)
    ctrader = Ctrader(config, wires)
    running = asyncio.create_task(ctrader.run())
    try:
        await ctrader.subscribe(SYMBOL)
        yield Bot(ctrader, inbox)
        if running.done():
            running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_trade_is_told_as_it_was_booked(tmp_path: Path) -> None:
    async with house_in(tmp_path, AT_ONCE) as house, bot_of(house) as bot:
        house.tick()
        quote = await bot.next(Quote)
        assert (quote.bid_px, quote.ask_px, quote.ts_ms, quote.rate_e8) == (BID, ASK, house.now_ms, 100_000_000)
        await bot.ctrader.submit(enters())
        accepted, filled, guarded = [await bot.next(OrderEvent) for _ in range(3)]
        assert [event.request_id for event in (accepted, filled, guarded)] == [NAME, NAME, ""]
        fill = filled.fill
        assert fill is not None
        assert (fill.side, fill.volume_cu, fill.ts_ms) == (1, LOT, house.now_ms)
        held = guarded.position
        assert held is not None
        assert (held.label, held.entry_px, held.volume_cu) == (NAME, fill.price_px, LOT)
        assert (held.sl_px, held.tp_px) == (fill.price_px - 60 * PX, fill.price_px + 80 * PX)
        assert guarded.order is not None
        assert (guarded.order.kind, guarded.order.sl_px, guarded.order.tp_px) == (
            OrderKind.PROTECTION, held.sl_px, held.tp_px,
        )  # fmt: skip

        await bot.ctrader.submit(
            changes(IntentKind.AMEND, held.position_id, fill.price_px - 30 * PX, fill.price_px + 90 * PX)
        )
        amended = await bot.next(OrderEvent)
        assert (amended.execution, amended.request_id) == (Execution.REPLACED, "amend")
        assert amended.position is not None
        assert (amended.position.sl_px, amended.position.tp_px) == (fill.price_px - 30 * PX, fill.price_px + 90 * PX)
        snapshot = await bot.ctrader.account()
        assert snapshot.positions == (amended.position,)
        assert [order.order_id for order in snapshot.orders] == [guarded.order.order_id]

        house.tick(BID + 10 * PX)
        await bot.next(Quote)
        await bot.ctrader.submit(changes(IntentKind.CLOSE, held.position_id))
        _, closed, gone = [await bot.next(OrderEvent) for _ in range(3)]
        assert closed.fill is not None
        close = closed.fill.close
        assert close is not None
        money = (close.gross_minor, close.swap_minor, close.commission_minor, close.fee_minor)
        assert close.balance_minor == BALANCE + sum(money)
        assert (closed.request_id, gone.execution, gone.server_made) == ("close", Execution.CANCELLED, True)
        after = await bot.ctrader.account()
        assert (after.balance_minor, after.positions, after.orders) == (close.balance_minor, (), ())
        assert list(await bot.ctrader.deals(held.position_id)) == [fill, closed.fill]


async def test_a_stop_that_is_hit_is_told_before_the_quote_that_hit_it(tmp_path: Path) -> None:
    async with house_in(tmp_path, AT_ONCE) as house, bot_of(house) as bot:
        house.tick()
        await bot.next(Quote)
        await bot.ctrader.submit(enters())
        for _ in range(3):
            await bot.next(OrderEvent)
        house.tick(BID - 100 * PX)
        hit = await bot.next(OrderEvent)
        assert hit.fill is not None
        assert (hit.server_made, hit.request_id, hit.fill.close is not None) == (True, "", True)
        assert hit.order is not None
        assert hit.order.kind is OrderKind.PROTECTION
        assert (await bot.next(Quote)).bid_px == BID - 100 * PX


async def test_refusals_come_in_all_their_forms(tmp_path: Path) -> None:
    async with house_in(tmp_path, AT_ONCE) as house, bot_of(house) as bot:
        house.tick()
        await bot.next(Quote)
        await bot.ctrader.submit(replace(enters(), volume_cu=10**9))
        refused = await bot.next(OrderEvent)
        assert (refused.execution, refused.error_code) == (Execution.ERROR, "TRADING_BAD_VOLUME")
        assert (refused.request_id, refused.ts_ms) == (NAME, house.now_ms)
        await bot.ctrader.submit(changes(IntentKind.CLOSE, 4_242))
        missing = await bot.next(OrderEvent)
        assert (missing.error_code, missing.request_id) == ("POSITION_NOT_FOUND", "")  # look, it is no answer


async def test_money_that_comes_and_goes_is_told(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, bot_of(house) as bot:
        house.tick()
        await bot.next(Quote)
        house.engine.cash(1, CashKind.WITHDRAW, -1_234, "rent")
        event = await bot.next(CashEvent)
        assert (event.delta_minor, event.balance_minor) == (-1_234, BALANCE - 1_234)


async def test_bars_are_those_that_the_exchange_has_and_the_last_one_forms(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, bot_of(house) as bot:
        for number in range(200):
            house.tick(BID + number * 100 * (-1) ** number, after_ms=MINUTE_MS)
            await bot.next(Quote)
        for period_ms in (MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 24 * HOUR_MS):
            bars = await bot.ctrader.history(SYMBOL, period_ms, 500)
            kept = house.engine.prices[1].history(period_ms, 500)
            prices = [(bar.open_px, bar.high_px, bar.low_px, bar.close_px, bar.is_forming) for bar in bars]
            assert prices == [(bar.open_px, bar.high_px, bar.low_px, bar.close_px, bar.is_forming) for bar in kept]
            assert [bar.is_forming for bar in bars] == [False] * (len(bars) - 1) + [True]


@pytest.mark.parametrize("pair_px", [470_000, 426_317, 300_001])
async def test_the_rate_of_a_quote_is_the_one_that_the_exchange_books_with(tmp_path: Path, pair_px: int) -> None:
    rate_e8 = rate_of_px(pair_px, is_inverse=True)
    spec = replace(SPEC, deposit_currency="USD")
    async with house_in(tmp_path, Plan(conduct=LOCK_STEP, spec=spec)) as house, bot_of(house) as bot:

        def tick(bid_px: int) -> None:
            house.now_ms += 1_000
            ask_px = bid_px + ASK - BID
            house.engine._settle(
                FeedTick(house.now_ms, bid_px, ask_px, is_jump=False, bar_open_px=BID, rate_e8=rate_e8)
            )

        tick(BID)
        assert (await bot.next(Quote)).rate_e8 == rate_e8
        await bot.ctrader.submit(enters())
        opened = [await bot.next(OrderEvent) for _ in range(3)]
        tick(BID + 5 * PX)
        assert (await bot.next(Quote)).rate_e8 == rate_e8
        assert opened[1].position is not None
        await bot.ctrader.submit(changes(IntentKind.CLOSE, opened[1].position.position_id))
        closed = [await bot.next(OrderEvent) for _ in range(3)][1]
        assert closed.fill is not None
        assert closed.fill.close is not None
        assert closed.fill.close.rate_e8 == rate_e8


async def test_a_link_that_the_exchange_cuts_comes_back_with_what_happened_meanwhile_to_be_read(tmp_path: Path) -> None:
    async with house_in(tmp_path, AT_ONCE) as house, bot_of(house) as bot:
        house.tick()
        await bot.next(Quote)
        await bot.ctrader.submit(enters())
        opened = [await bot.next(OrderEvent) for _ in range(3)]
        next(iter(house.server.connections.values())).cut("the test")
        house.tick(BID - 100 * PX)  # nobody hears it
        lost, back = await bot.next(LinkEvent), await bot.next(LinkEvent)
        assert (lost.state, back.state) == (LinkState.LOST, LinkState.READY)
        assert (await bot.next(Quote)).bid_px == BID - 100 * PX
        assert opened[1].position is not None
        snapshot = await bot.ctrader.account()
        assert snapshot.positions == ()
        fills = await bot.ctrader.deals(opened[1].position.position_id)
        close = fills[-1].close
        assert close is not None
        assert close.balance_minor == snapshot.balance_minor


async def test_an_account_that_the_exchange_logs_out_is_logged_in_again(tmp_path: Path) -> None:
    async with house_in(tmp_path, AT_ONCE) as house, bot_of(house) as bot:
        house.tick()
        await bot.next(Quote)
        house.server.drop_accounts()
        lost, back = await bot.next(LinkEvent), await bot.next(LinkEvent)
        assert (lost.state, lost.detail, back.state) == (LinkState.LOST, "AccountDisconnectEvent", LinkState.READY)
        assert (await bot.next(Quote)).bid_px == BID
        assert len(house.server.connections) == 1


async def test_frames_that_were_sent_are_frames_that_were_received(tmp_path: Path) -> None:
    async with house_in(tmp_path, AT_ONCE) as house, bot_of(house) as bot:
        for number in range(100):
            house.tick(BID + number * 100)
        while (await bot.next(Quote)).bid_px != BID + 99 * 100:
            pass
        (connection,) = house.server.connections.values()
        assert bot.ctrader.frames_received == connection.session.frames_sent


# -- the socket


async def test_a_socket_sends_at_once_and_does_not_wait_long_for_the_other_end(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, bot_of(house) as bot:
        link = bot.ctrader._keeper.link()
        assert link._transport is not None
        peer = link._transport.get_extra_info("socket")
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNSENT_MAX_MS


async def test_an_abort_resets_so_that_nothing_that_was_written_can_leave_later(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, bot_of(house) as bot:
        link = bot.ctrader._keeper.link()
        assert link._transport is not None
        peer = link._transport.get_extra_info("socket")
        lingers: list[bytes] = []
        abort = link._transport.abort

        def watched() -> None:
            lingers.append(peer.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
            abort()

        link._transport.abort = watched  # type: ignore[method-assign]
        number = next(iter(house.server.connections))
        bot.ctrader.abort("silence")
        assert lingers == [struct.pack("ii", 1, 0)]
        assert (await bot.next(LinkEvent)).detail == "silence"
        await house.until_left(number)
        assert (await bot.next(LinkEvent)).state is LinkState.READY
