"""Trading over the wire: sequences with their ids, who hears of them, the form of each refusal (sheet 1.1 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import ASK, BID, LOT, House, Plan, house_in
from tests.wire_client import WireClient

from palmbot.exchange.conduct import Conduct, VenueKnobs
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.trade_limits import TradeLimit
from palmbot.exchange.values import CashKind
from palmbot.protocol.messages import pb

ME: dict[str, Any] = {"ctidTraderAccountId": 1}
MARKET: dict[str, Any] = {**ME, "symbolId": 1, "orderType": pb.MARKET, "tradeSide": pb.BUY, "volume": LOT}
LIMIT: dict[str, Any] = {**MARKET, "orderType": pb.LIMIT, "limitPrice": 3_900.0}


def step(event: Any) -> tuple[str, bool, str]:
    """Return the type of an execution event, whose doing it was, and the state of the position."""
    assert isinstance(event, pb.ExecutionEvent), event
    status = pb.PositionStatus.Name(event.position.positionStatus).removeprefix("POSITION_STATUS_")
    return pb.ExecutionType.Name(event.executionType).removeprefix("ORDER_"), event.isServerEvent, status


async def bought(house: House, client: WireClient, **more: Any) -> list[Any]:
    """Buy at market; return accepted, filled, and the protective order where there is one."""
    request = pb.NewOrderReq(**MARKET, **more)
    (accepted,) = await client.asked(request, 1)
    house.later()
    events = [accepted, await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)]
    if more.get("relativeStopLoss") or more.get("relativeTakeProfit"):
        events.append(await client.take(pb.ExecutionEvent))
    return events


async def test_too_many_orders_of_an_account_in_a_minute_are_order_errors_on_every_connection(tmp_path: Path) -> None:
    limits = (TradeLimit(pb.NEW_ORDER_REQ, 2),)
    async with house_in(tmp_path, Plan(Knobs(trade_limits=limits))) as house:
        house.tick()
        client, other, stranger = await house.client(1), await house.client(1), await house.client(2)
        for _ in range(2):
            assert isinstance(await client.ask(pb.NewOrderReq(**LIMIT)), pb.ExecutionEvent)
        refused = await other.ask(pb.NewOrderReq(**LIMIT))
        assert (type(refused), refused.errorCode) == (pb.OrderErrorEvent, "REQUEST_FREQUENCY_EXCEEDED")
        order = pb.NewOrderReq(**{**LIMIT, "ctidTraderAccountId": 2})
        assert isinstance(await stranger.ask(order), pb.ExecutionEvent)


async def open_house(house: House) -> WireClient:
    client = await house.client(1)
    house.tick()
    return client


async def test_a_market_order_is_accepted_and_filled_under_its_id_and_protected_under_none(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        client.send(pb.NewOrderReq(**MARKET, relativeStopLoss=1_000_000, label="tag", clientOrderId="mine"), "my-id")
        await client.take(pb.ExecutionEvent)
        house.later()
        await client.until(lambda: len(client.all(pb.ExecutionEvent)) == 3)
        accepted, filled, protected = client.all(pb.ExecutionEvent)
        assert [step(each) for each in (accepted, filled, protected)] == [
            ("ACCEPTED", False, "CREATED"),
            ("FILLED", False, "OPEN"),
            ("ACCEPTED", True, "OPEN"),
        ]
        assert [each.client_msg_id for each in client.heard[-3:]] == ["my-id", "my-id", ""]
        assert accepted.order.positionId == filled.position.positionId == filled.deal.positionId
        assert (accepted.order.clientOrderId, filled.position.tradeData.label) == ("mine", "tag")
        assert not filled.position.HasField("stopLoss")
        assert protected.order.orderType == pb.STOP_LOSS_TAKE_PROFIT
        assert protected.position.stopLoss == protected.order.stopPrice == filled.order.executionPrice - 10


async def test_a_full_close_ends_flat_with_its_money_and_the_protection_gone(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        _, filled, _ = await bought(house, client, relativeStopLoss=1_000_000)
        client.mark()
        position_id = filled.position.positionId
        close = pb.ClosePositionReq(**ME, positionId=position_id, volume=LOT)
        (accepted,) = await client.asked(close, 1)
        house.later()
        await client.until(lambda: len(client.all(pb.ExecutionEvent)) == 6)
        closed, cancelled = client.all(pb.ExecutionEvent)[-2:]
        assert [step(each) for each in (accepted, closed, cancelled)] == [
            ("ACCEPTED", False, "OPEN"),
            ("FILLED", False, "CREATED"),
            ("CANCELLED", True, "CLOSED"),
        ]
        detail = closed.deal.closePositionDetail
        money = detail.grossProfit + detail.swap + detail.commission + detail.pnlConversionFee
        assert detail.balance == 10_000_000 + money
        trader = (await client.ask(pb.TraderReq(**ME))).trader
        assert (trader.balance, trader.balanceVersion) == (detail.balance, detail.balanceVersion)


async def test_a_hit_stop_is_one_event_under_no_id(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        await bought(house, client, relativeStopLoss=1_000_000)
        client.mark()
        house.tick(BID - 5_000_000)
        hit = await client.take(pb.ExecutionEvent)
        assert step(hit) == ("FILLED", True, "CLOSED")
        assert hit.order.orderType == pb.STOP_LOSS_TAKE_PROFIT
        assert (hit.position.tradeData.volume, hit.position.price) == (0, 0.0)
        assert client.heard[-1].client_msg_id == ""


async def test_a_pending_order_is_placed_amended_and_cancelled_under_the_ids_of_their_requests(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        placed = await client.ask(pb.NewOrderReq(**LIMIT, stopLoss=3_890.0))
        order_id = placed.order.orderId
        replaced = await client.ask(pb.AmendOrderReq(**ME, orderId=order_id, limitPrice=3_950.0, volume=2 * LOT))
        cancelled = await client.ask(pb.CancelOrderReq(**ME, orderId=order_id))
        assert [step(each)[0] for each in (placed, replaced, cancelled)] == ["ACCEPTED", "REPLACED", "CANCELLED"]
        assert (placed.order.relativeStopLoss, placed.order.HasField("stopLoss")) == (1_000_000, False)
        assert (replaced.order.limitPrice, replaced.order.tradeData.volume) == (3_950.0, 2 * LOT)
        gone = await client.ask(pb.CancelOrderReq(**ME, orderId=order_id))
        assert isinstance(gone, pb.OrderErrorEvent | pb.ExecutionEvent)
        never = await client.ask(pb.CancelOrderReq(**ME, orderId=999))
        assert isinstance(never, pb.OrderErrorEvent)
        assert (never.errorCode, never.orderId) == ("ORDER_NOT_FOUND", 999)


async def test_a_triggered_order_fills_under_no_id(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        await client.ask(pb.NewOrderReq(**{**LIMIT, "limitPrice": 4_001.0}))
        client.mark()
        house.tick(BID - 200_000, ASK - 200_000)
        house.later()
        filled = await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)
        assert filled.order.orderType == pb.LIMIT
        assert client.heard[-1].client_msg_id == ""


async def test_an_amend_that_leaves_a_leg_out_removes_it(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        _, filled, _ = await bought(house, client, relativeStopLoss=1_000_000, relativeTakeProfit=1_000_000)
        position_id = filled.position.positionId
        amended = await client.ask(pb.AmendPositionSLTPReq(**ME, positionId=position_id, stopLoss=3_990.0))
        assert step(amended)[:2] == ("REPLACED", False)
        assert (amended.position.stopLoss, amended.position.HasField("takeProfit")) == (3_990.0, False)


@pytest.mark.parametrize("shared", [True, False])
async def test_every_connection_of_the_account_hears_and_sees_the_asking_id_by_a_knob(
    tmp_path: Path, shared: bool
) -> None:
    plan = Plan(Knobs(per_second=None, tells_asking_id=shared))
    async with house_in(tmp_path, plan) as house:
        asking, watching, elsewhere = await open_house(house), await house.client(1), await house.client(2)
        asking.send(pb.NewOrderReq(**MARKET), "asked-this")
        await watching.take(pb.ExecutionEvent)
        house.later()
        await watching.take(pb.ExecutionEvent)
        await asking.until(lambda: len(asking.all(pb.ExecutionEvent)) == 2)
        assert [each.client_msg_id for each in asking.heard[-2:]] == ["asked-this"] * 2
        assert [each.client_msg_id for each in watching.heard[-2:]] == (["asked-this"] * 2 if shared else ["", ""])
        assert watching.all(pb.ExecutionEvent) == asking.all(pb.ExecutionEvent)
        await elsewhere.ask(pb.TraderReq(ctidTraderAccountId=2))
        assert not elsewhere.all(pb.ExecutionEvent)


REFUSED_BY_ERROR_RES = {
    "absolute levels on a market order": pb.NewOrderReq(**MARKET, stopLoss=3_900.0),
    "relative distance off the grid": pb.NewOrderReq(**MARKET, relativeStopLoss=150),
    "an order of the server's own type": pb.NewOrderReq(**{**MARKET, "orderType": pb.STOP_LOSS_TAKE_PROFIT}),
    "label too long": pb.NewOrderReq(**MARKET, label="x" * 101),
    "comment too long": pb.NewOrderReq(**MARKET, comment="x" * 513),
    "client order id too long": pb.NewOrderReq(**MARKET, clientOrderId="x" * 51),
}
REFUSED_BY_ORDER_ERROR = {
    "TRADING_BAD_VOLUME": pb.NewOrderReq(**{**MARKET, "volume": LOT + 1}),
    "NOT_ENOUGH_MONEY": pb.NewOrderReq(**{**MARKET, "volume": 900 * LOT}),
    "TRADING_BAD_PRICES": pb.NewOrderReq(**{**LIMIT, "limitPrice": 3_900.07400024414062}),
    "POSITION_NOT_FOUND": pb.ClosePositionReq(**ME, positionId=77, volume=LOT),
    "ORDER_NOT_FOUND": pb.AmendOrderReq(**ME, orderId=77, limitPrice=3_900.0),
}


@pytest.mark.parametrize("case", REFUSED_BY_ERROR_RES)
async def test_what_means_nothing_is_refused_by_an_error_response(tmp_path: Path, case: str) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        refused = await client.ask(REFUSED_BY_ERROR_RES[case])
        assert isinstance(refused, pb.ErrorRes)
        assert (refused.errorCode, refused.ctidTraderAccountId) == ("INVALID_REQUEST", 1)
        assert refused.description


@pytest.mark.parametrize("code", REFUSED_BY_ORDER_ERROR)
async def test_what_cannot_be_done_is_refused_by_an_order_error(tmp_path: Path, code: str) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        refused = await client.ask(REFUSED_BY_ORDER_ERROR[code])
        assert isinstance(refused, pb.OrderErrorEvent)
        assert (refused.errorCode, refused.ctidTraderAccountId) == (code, 1)


async def test_an_unknown_required_enum_is_invalid_and_not_its_first_value(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        order = pb.NewOrderReq(**MARKET)
        order.ClearField("tradeSide")
        order.MergeFromString(b"\x28\x63")  # tradeSide: 99
        refused = await client.ask(order)
        assert refused.errorCode == "INVALID_REQUEST"
        assert not house.engine.venue.accounts[1].position_views()


async def test_a_refusal_after_the_order_existed_is_an_execution_event(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        house.engine.venue.reject_next("TIMEOUT_ERROR")
        await client.ask(pb.NewOrderReq(**MARKET))
        house.later()
        rejected = await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_REJECTED)
        assert rejected.errorCode == "TIMEOUT_ERROR"
        assert rejected.order.orderStatus == pb.ORDER_STATUS_REJECTED


async def test_slices_are_told_one_by_one_under_the_id(tmp_path: Path) -> None:
    conduct = Conduct(knobs=VenueKnobs(slice_cu=LOT))
    async with house_in(tmp_path, Plan(conduct=conduct)) as house:
        client = await open_house(house)
        await client.asked(pb.NewOrderReq(**{**MARKET, "volume": 2 * LOT}), 1)
        house.later()
        filled = await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)
        partial = client.all(pb.ExecutionEvent)[1]
        assert (partial.executionType, partial.order.executedVolume) == (pb.ORDER_PARTIAL_FILL, LOT)
        assert (filled.order.executedVolume, filled.deal.filledVolume) == (2 * LOT, LOT)
        assert len({each.client_msg_id for each in client.heard[-3:]}) == 1


async def test_a_deposit_is_told_to_the_account(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        house.engine.cash(1, CashKind.DEPOSIT, 500, "gift")
        told = await client.take(pb.ExecutionEvent)
        assert told.executionType == pb.DEPOSIT_WITHDRAW
        assert (told.depositWithdraw.delta, told.depositWithdraw.balance) == (500, 10_000_500)


async def test_the_client_ids_of_the_order_go_round(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await open_house(house)
        accepted, filled = await bought(house, client, clientOrderId="o" * 50, label="l" * 100, comment="c" * 512)
        assert accepted.order.clientOrderId == "o" * 50
        assert filled.position.tradeData.label == "l" * 100
        assert filled.position.tradeData.comment == "c" * 512
