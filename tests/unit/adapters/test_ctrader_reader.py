"""The client that only reads: what it can, and what no way of asking lets it say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from tests.scripted_peer import ACCOUNT, entry, spot
from tests.unit.adapters.ctrader_world import World, amending, closing, entering

from palmbot.adapters.ctrader import Ctrader
from palmbot.adapters.ctrader_reader import AHEAD_MAX_MS, READING, CtraderReader
from palmbot.errors import InvariantError
from palmbot.model import LinkEvent, LinkState, OrderIntent, Quote
from palmbot.protocol.codec import request_of
from palmbot.protocol.messages import REQUESTS, Message, name, pb

TRADING = {
    *(pb.NEW_ORDER_REQ, pb.CANCEL_ORDER_REQ, pb.AMEND_ORDER_REQ),
    *(pb.AMEND_POSITION_SLTP_REQ, pb.CLOSE_POSITION_REQ),
}


def reading(tell: Callable[[World], Awaitable[None]]) -> None:
    """Play a story whose client only reads."""
    World(client=cast("Any", CtraderReader)).play(tell)


def test_what_a_reader_may_say_changes_nothing_at_the_broker() -> None:
    assert not READING & TRADING
    assert READING - {pb.HEARTBEAT_EVENT} < REQUESTS
    asks = ("Get", "List", "ById", "Subscribe", "Trader", "Version", "Auth", "ForConversion")
    assert [name(each) for each in READING - {pb.HEARTBEAT_EVENT} if not any(word in name(each) for word in asks)] == []


def test_a_reader_has_no_way_to_send_an_order_and_the_trader_is_the_one_that_has() -> None:
    ways = ("submit", "deals", "account")
    assert [each for each in ways if hasattr(CtraderReader, each)] == []
    assert [each for each in ways if hasattr(Ctrader, each)] == list(ways)
    assert (CtraderReader.may_send, Ctrader.may_send) == (READING, None)


def test_quotes_history_and_the_account_are_read() -> None:
    async def tell(world: World) -> None:
        world.peer.first_spots = [spot(400_000_000, 400_200_000, 1_000)]
        await world.ready()
        await world.ctrader.subscribe("PALMOIL")
        await world.passes(0.1)
        assert world.told() == [Quote("PALMOIL", 1_000, 400_000_000, 400_200_000)]
        assert await world.ctrader.history("PALMOIL", 60_000, 10) == []
        standing = await world.ctrader.standing()
        assert (standing.account_id, standing.balance_minor, standing.leverage) == (ACCOUNT, 10_000_000, 20)
        assert standing.hedged
        answer = await world.ctrader.need(pb.TraderReq(ctidTraderAccountId=ACCOUNT))
        assert isinstance(answer, pb.TraderRes)

    reading(tell)


def test_orders_of_others_are_none_of_its_business_and_a_lost_link_is() -> None:
    async def tell(world: World) -> None:
        await world.listening()
        world.peer.last.send(*entry("x"), pb.OrderErrorEvent(ctidTraderAccountId=ACCOUNT, errorCode="MARKET_CLOSED"))
        await world.passes(1)
        assert world.told() == []
        world.ctrader.abort("the test")
        await world.passes(5)
        assert [event.state for event in world.told() if isinstance(event, LinkEvent)] == [
            LinkState.LOST,
            LinkState.READY,
        ]

    reading(tell)


ORDERS: list[Message] = [
    pb.NewOrderReq(ctidTraderAccountId=ACCOUNT, symbolId=22, orderType=pb.MARKET, tradeSide=pb.BUY, volume=2_500),
    pb.CancelOrderReq(ctidTraderAccountId=ACCOUNT, orderId=1),
    pb.AmendOrderReq(ctidTraderAccountId=ACCOUNT, orderId=1),
    pb.AmendPositionSLTPReq(ctidTraderAccountId=ACCOUNT, positionId=501),
    pb.ClosePositionReq(ctidTraderAccountId=ACCOUNT, positionId=501, volume=2_500),
    pb.RefreshTokenReq(refreshToken="x"),
    pb.AccountLogoutReq(ctidTraderAccountId=ACCOUNT),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_an_order_that_is_planted_below_the_ports_is_refused_before_a_byte_of_it_is_written(order: Message) -> None:
    async def tell(world: World) -> None:
        await world.listening()
        link, heard = world.ctrader._keeper.link(), world.peer.last.session.frames_received
        for ask in (link.ask, link.need, world.ctrader.need):
            with pytest.raises(InvariantError, match="NOT_ALLOWED_TO_SEND"):
                await ask(order)
        with pytest.raises(InvariantError, match="NOT_ALLOWED_TO_SEND"):
            link.tell(order)
        await world.passes(1)
        assert world.peer.last.session.frames_received == heard
        assert world.ctrader.is_ready
        assert world.told() == []

    reading(tell)


@pytest.mark.parametrize("intent", [entering(), closing(), amending()], ids=lambda intent: intent.kind)
def test_the_way_of_the_trader_leads_nowhere_over_the_session_of_a_reader(intent: OrderIntent) -> None:
    async def tell(world: World) -> None:
        await world.listening()
        with pytest.raises(InvariantError, match="NOT_ALLOWED_TO_SEND"):
            world.ctrader._keeper.link().tell(request_of(intent, world.ctrader._known()[1].terms))
        await world.passes(1)
        assert not [each for each in world.peer.heard if type(each).__name__ not in {name(kind) for kind in READING}]

    reading(tell)


def test_a_quote_from_far_ahead_of_this_machine_counts_as_of_now() -> None:
    async def tell(world: World) -> None:
        await world.listening()
        world.ctrader._is_simulated = False  # as at the broker's own servers
        now_ms = world.clock.utc_ms()
        for ahead_ms in (AHEAD_MAX_MS, AHEAD_MAX_MS + 60_000):
            world.peer.last.send(spot(400_000_000, 400_200_000, now_ms + ahead_ms))
            await world.passes(0.1)
        near, far = [event.ts_ms for event in world.told() if isinstance(event, Quote)]
        assert near == now_ms + AHEAD_MAX_MS
        assert now_ms <= far <= now_ms + 1_000

    reading(tell)
