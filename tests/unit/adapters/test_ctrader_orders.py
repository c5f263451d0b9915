"""Requests and what they lead to: sent at once or not at all, told in the order in which the broker told it."""

from __future__ import annotations

import asyncio

import pytest
from tests.scripted_peer import (
    ACCOUNT,
    SYMBOL,
    deal,
    entry,
    error,
    execution,
    order,
    position,
)
from tests.unit.adapters.ctrader_world import World, amending, closing, entering, story

from palmbot.errors import InvariantError, OutcomeUnknownError, RetryError
from palmbot.model import CashEvent, Execution, Fill, OrderEvent, OrderKind
from palmbot.protocol.messages import pb

NAME = entering().client_order_id


@story()
async def test_an_entry_is_a_market_order_with_distances_and_our_name_on_order_and_position(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(1)
    (request,) = world.peer.asked(pb.NewOrderReq)
    assert request == pb.NewOrderReq(
        ctidTraderAccountId=ACCOUNT,
        symbolId=SYMBOL,
        orderType=pb.MARKET,
        tradeSide=pb.BUY,
        volume=2_500,
        label=NAME,
        clientOrderId=NAME,
        relativeStopLoss=6_050_000,
        relativeTakeProfit=8_000_000,
    )


@story()
async def test_what_an_entry_leads_to_is_told_as_its_answer_and_the_servers_own_order_as_nobodys(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(0.2)
    world.peer.last.send(*entry(NAME), answering=pb.NewOrderReq)
    await world.passes(1)
    accepted, filled, guarded = world.order_events()
    assert (accepted.execution, accepted.request_id, accepted.ts_ms) == (Execution.ACCEPTED, NAME, 2_901)
    assert accepted.position is not None
    assert accepted.position.volume_cu == 0
    assert (filled.execution, filled.request_id, filled.ts_ms) == (Execution.FILLED, NAME, 2_100)
    assert filled.fill == Fill(701, 901, 501, 1, 2_500, 400_050_000, 2_100, -250, None)
    assert filled.position is not None
    assert (filled.position.label, filled.position.sl_px, filled.position.entry_px) == (NAME, None, 400_050_000)
    assert (guarded.execution, guarded.request_id, guarded.server_made) == (Execution.ACCEPTED, "", True)
    assert guarded.order is not None
    assert (guarded.order.kind, guarded.order.sl_px, guarded.order.tp_px) == (
        OrderKind.PROTECTION,
        394_000_000,
        408_050_000,
    )
    assert guarded.position is not None
    assert (guarded.position.sl_px, guarded.position.tp_px) == (394_000_000, 408_050_000)


@story()
async def test_requests_are_remembered_until_their_last_answer_or_the_end_of_the_link(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(0.2)
    accepted, filled, _ = entry(NAME)
    world.peer.last.send(accepted, answering=pb.NewOrderReq)
    await world.passes(0.2)
    assert list(world.ctrader._asked.values()) == [NAME]
    world.peer.last.send(filled, answering=pb.NewOrderReq)
    await world.passes(0.2)
    assert world.ctrader._asked == {}
    await world.ctrader.submit(entering())
    world.ctrader.abort("the test")
    assert world.ctrader._asked == {}


@story()
async def test_an_answer_that_shows_neither_order_nor_position_is_told(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(closing())
    await world.passes(0.2)
    world.peer.last.send(execution(pb.ORDER_REJECTED, errorCode="MARKET_CLOSED"), answering=pb.ClosePositionReq)
    await world.passes(1)
    (event,) = world.order_events()
    assert (event.execution, event.request_id) == (Execution.REJECTED, closing().client_order_id)


@story()
async def test_an_amend_sends_both_levels_as_the_decimals_that_they_are(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(amending(395_012_300, 409_050_000))
    await world.passes(0.2)
    (request,) = world.peer.asked(pb.AmendPositionSLTPReq)
    assert (request.positionId, request.stopLoss, request.takeProfit) == (501, 3950.123, 4090.5)
    guard = order(902, pb.STOP_LOSS_TAKE_PROFIT, closingOrder=True, stopPrice=3950.123, limitPrice=4090.5)
    moved = position(price=4_000.5, stopLoss=3950.123, takeProfit=4090.5)
    world.peer.last.send(execution(pb.ORDER_REPLACED, order=guard, position=moved), answering=pb.AmendPositionSLTPReq)
    await world.passes(1)
    (event,) = world.order_events()
    assert (event.execution, event.request_id) == (Execution.REPLACED, amending().client_order_id)
    assert event.position is not None
    assert (event.position.sl_px, event.position.tp_px) == (395_012_300, 409_050_000)


@story()
async def test_a_close_names_position_and_volume_and_its_money_is_told(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(closing())
    await world.passes(0.2)
    assert world.peer.asked(pb.ClosePositionReq) == [
        pb.ClosePositionReq(ctidTraderAccountId=ACCOUNT, positionId=501, volume=2_500)
    ]
    detail = pb.ClosePositionDetail(
        entryPrice=4_000.5, grossProfit=23_750, swap=-12, commission=-500, balance=10_023_238, moneyDigits=2,
        quoteToDepositConversionRate=0.21276596, closedVolume=2_500, pnlConversionFee=-3,
    )  # fmt: skip
    ordered = order(905, pb.MARKET, closingOrder=True, executed_cu=2_500, clientOrderId="made by the server")
    filled = execution(
        pb.ORDER_FILLED,
        order=ordered,
        position=position(volume_cu=0, price=0.0, stopLoss=3_940.0),
        deal=deal(702, 4_010.0, 905, closePositionDetail=detail),
    )
    world.peer.last.send(filled, answering=pb.ClosePositionReq)
    await world.passes(1)
    (event,) = world.order_events()
    assert event.request_id == closing().client_order_id
    assert event.fill is not None
    close = event.fill.close
    assert close is not None
    assert (close.gross_minor, close.swap_minor, close.commission_minor, close.fee_minor) == (23_750, -12, -500, -3)
    assert (close.balance_minor, close.rate_e8, close.closed_cu) == (10_023_238, 21_276_596, 2_500)


@pytest.mark.parametrize(
    ("code", "is_answer"),
    [("NOT_ENOUGH_MONEY", True), ("MARKET_CLOSED", True), ("POSITION_NOT_FOUND", False), ("SOMETHING_NEW", False)],
)
def test_only_what_proves_that_nothing_happened_counts_as_the_answer(code: str, is_answer: bool) -> None:
    async def tell(world: World) -> None:
        await world.ready()
        await world.ctrader.submit(entering())
        await world.passes(0.2)
        refused = pb.OrderErrorEvent(ctidTraderAccountId=ACCOUNT, errorCode=code, description="no", orderId=0)
        world.peer.last.send(refused, answering=pb.NewOrderReq)
        await world.passes(1)
        (event,) = world.order_events()
        assert (event.execution, event.error_code, event.error_text) == (Execution.ERROR, code, "no")
        assert event.request_id == (NAME if is_answer else "")

    World().play(tell)


@story()
async def test_a_malformed_request_is_told_but_nobody_knows_what_became_of_it(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(0.2)
    world.peer.last.send(error("INVALID_REQUEST", "Relative stop loss has invalid precision"), answering=pb.NewOrderReq)
    await world.passes(1)
    (event,) = world.order_events()
    assert (event.execution, event.error_code, event.request_id) == (Execution.ERROR, "INVALID_REQUEST", "")
    assert world.ctrader.is_ready


@story()
async def test_an_order_that_nobody_knows_the_end_of_is_no_reason_to_give_the_link_up(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(0.2)
    world.peer.last.send(error("TIMEOUT_ERROR"), answering=pb.NewOrderReq)
    await world.passes(1)
    (event,) = world.told()
    assert isinstance(event, OrderEvent)
    assert (event.error_code, event.request_id) == ("TIMEOUT_ERROR", "")
    assert world.ctrader.is_ready


@story()
async def test_a_rejection_after_the_acceptance_is_the_answer(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(0.2)
    rejected = execution(
        pb.ORDER_REJECTED, order=order(901, pb.MARKET, clientOrderId=NAME), errorCode="NOT_ENOUGH_MONEY"
    )
    world.peer.last.send(entry(NAME)[0], rejected, answering=pb.NewOrderReq)
    await world.passes(1)
    _, event = world.order_events()
    assert (event.execution, event.error_code, event.request_id) == (Execution.REJECTED, "NOT_ENOUGH_MONEY", NAME)


@story()
async def test_events_of_other_accounts_and_symbols_are_ignored_unless_they_move_the_balance(world: World) -> None:
    await world.ready()
    foreign = entry("x")
    for each in foreign:
        each.ctidTraderAccountId = ACCOUNT + 1
    elsewhere = execution(pb.ORDER_FILLED, position=position(601), deal=deal(801, 1.1))
    elsewhere.position.tradeData.symbolId = 1
    detail = pb.ClosePositionDetail(entryPrice=1.0, grossProfit=5, swap=0, commission=0, balance=10_000_005)
    closed = execution(pb.ORDER_FILLED, position=position(601, 0), deal=deal(802, 1.2, closePositionDetail=detail))
    closed.position.tradeData.symbolId = 1
    world.peer.last.send(*foreign, elsewhere, closed)
    await world.passes(1)
    (event,) = world.order_events()
    assert event.position is not None
    assert (event.position.symbol, event.fill is not None and event.fill.deal_id) == ("EURUSD", 802)


@story()
async def test_deposits_swaps_and_other_clients_orders_are_told(world: World) -> None:
    await world.ready()
    deposit = pb.DepositWithdraw(
        operationType=pb.BALANCE_WITHDRAW, balanceHistoryId=1, balance=9_999_000, delta=1_000,
        changeBalanceTimestamp=5_000, moneyDigits=2,
    )  # fmt: skip
    moved = execution(pb.DEPOSIT_WITHDRAW, depositWithdraw=deposit)
    bonus = execution(pb.BONUS_DEPOSIT_WITHDRAW)
    charged = execution(pb.SWAP, position=position(price=4_000.0, utcLastUpdateTimestamp=6_000), server_made=True)
    charged.position.swap = -77
    by_hand = execution(pb.ORDER_ACCEPTED, order=order(950, pb.LIMIT, clientOrderId="by hand"))
    world.peer.last.send(moved, bonus, charged, by_hand)
    await world.passes(1)
    cash, swap, limit = world.told()
    assert cash == CashEvent(5_000, -1_000, 9_999_000)
    assert isinstance(swap, OrderEvent)
    assert swap.position is not None
    assert (swap.execution, swap.ts_ms, swap.position.swap_minor) == (Execution.SWAP, 6_000, -77)
    assert isinstance(limit, OrderEvent)
    assert limit.request_id == "by hand"


# -- submit: at once or not at all


@story()
async def test_a_request_is_on_the_transport_when_submit_returns_and_nobody_else_had_a_turn(world: World) -> None:
    await world.ready()
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "somebody else")
    await world.ctrader.submit(entering())
    assert turns == []
    world.network.links[0].client.abort()  # what is in the pipe may still arrive, what is not written cannot
    assert world.ctrader._keeper._link is not None
    assert world.ctrader._keeper._link._session.waiting_requests == 1


@story()
async def test_what_cannot_be_written_is_certainly_not_sent(world: World) -> None:
    with pytest.raises(RetryError, match="LINK_DOWN"):
        await world.ctrader.submit(entering())
    await world.ready()
    world.ctrader.abort("the test")
    with pytest.raises(RetryError, match="reason=the test"):
        await world.ctrader.submit(entering())
    await world.ready()
    assert world.peer.asked(pb.NewOrderReq) == []


@story()
async def test_an_entry_waits_for_nobody_but_a_close_may_queue(world: World) -> None:
    await world.ready()
    world.peer.last.transport.pause_reading()
    transport = world.network.links[0].client
    transport.write(bytes(300_000))
    assert transport.get_write_buffer_size() > 0
    with pytest.raises(RetryError, match="LINK_CONGESTED"):
        await world.ctrader.submit(entering())
    await world.ctrader.submit(closing())


@story()
async def test_an_entry_waits_for_nobody_where_the_transport_says_no_more_than_that_it_is_full(world: World) -> None:
    await world.ready()
    link = world.ctrader._keeper.link()
    link.pause_writing()
    with pytest.raises(RetryError, match="LINK_CONGESTED"):
        await world.ctrader.submit(entering())
    link.resume_writing()
    await world.ctrader.submit(entering())


@story()
async def test_a_flood_of_orders_ends_before_the_brokers_limit(world: World) -> None:
    await world.ready()
    await world.passes(2)
    for number in range(50):
        await world.ctrader.submit(entering(f"x{number}"))
    with pytest.raises(RetryError, match="RATE_LIMITED"):
        await world.ctrader.submit(entering())
    await world.passes(1)
    await world.ctrader.submit(entering())
    await world.passes(1)
    assert len(world.peer.asked(pb.NewOrderReq)) == 51


@story()
async def test_a_link_that_dies_under_the_pen_leaves_the_outcome_unknown(world: World) -> None:
    await world.ready()
    transport = world.network.links[0].client
    write = transport.write

    def dying(data: bytes | bytearray | memoryview) -> None:
        write(data)
        transport.abort()

    transport.write = dying  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknownError, match="LINK_LOST"):
        await world.ctrader.submit(entering())


@story()
async def test_no_order_leaves_without_a_stop_or_off_the_grid(world: World) -> None:
    await world.ready()
    with pytest.raises(InvariantError, match="ORDER_WITHOUT_STOP"):
        await world.ctrader.submit(entering(sl_px=0))
    with pytest.raises(InvariantError, match="ORDER_WITHOUT_STOP"):
        await world.ctrader.submit(amending(sl_px=0))
    with pytest.raises(InvariantError, match="PRICE_OFF_GRID"):
        await world.ctrader.submit(entering(tp_px=8_000_050))
    assert world.peer.asked(pb.NewOrderReq) == []
