"""Values and messages: None is absent, prices are the nearest doubles, numbers that mean nothing are refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from palmbot.exchange import wire
from palmbot.exchange.values import (
    AmendOrder,
    AmendPosition,
    Brackets,
    CancelOrder,
    CashKind,
    CashView,
    ClosePosition,
    CloseView,
    DealStatus,
    DealView,
    MarginCalled,
    MarginCallSet,
    MarginMoved,
    NewOrder,
    OrderStatus,
    OrderView,
    PositionStatus,
    PositionView,
    Refused,
    Report,
    TimeInForce,
    TrailMoved,
    Trigger,
    Via,
)
from palmbot.model import Execution, OrderKind
from palmbot.protocol.messages import missing, pb

ORDER = OrderView(
    order_id=11,
    account_id=1,
    symbol_id=3,
    kind=OrderKind.LIMIT,
    status=OrderStatus.ACCEPTED,
    side=-1,
    volume_cu=2_500,
    executed_cu=0,
    position_id=7,
    closing=False,
    time_in_force=TimeInForce.GOOD_TILL_DATE,
    created_ms=1_000,
    updated_ms=2_000,
    client_order_id="mine",
    label="tag",
    comment="why",
    limit_px=111_966,
    expires_ms=9_000,
    brackets=Brackets(sl_distance_px=200, tp_distance_px=300, trigger=Trigger.OPPOSITE),
)
POSITION = PositionView(
    position_id=7,
    account_id=1,
    symbol_id=3,
    status=PositionStatus.OPEN,
    side=1,
    volume_cu=100_000,
    entry_px=111_984,
    sl_px=111_784,
    tp_px=None,
    swap_minor=-5,
    commission_minor=-3,
    used_margin_minor=1_120,
    margin_rate_e8=111_984_000,
    open_ms=1_000,
    updated_ms=2_000,
    label="tag",
)
CLOSE = CloseView(
    entry_px=8_528_721_000.0,
    gross_minor=-8_081,
    swap_minor=0,
    commission_minor=-5_485,
    fee_minor=-2,
    closed_cu=99,
    balance_minor=1_000_000,
    balance_version=12,
    rate_e8=100_000_000,
)
DEAL = DealView(
    deal_id=21,
    order_id=11,
    position_id=7,
    account_id=1,
    symbol_id=3,
    side=-1,
    volume_cu=99,
    filled_cu=99,
    price_px=8_520_558_000,
    status=DealStatus.FILLED,
    created_ms=1_000,
    ts_ms=1_140,
    commission_minor=-2_741,
    margin_rate_e8=8_528_721_000_000,
    base_to_usd_e8=8_528_721_000_000,
    close=CLOSE,
)


def present(message: object) -> set[str]:
    return {field.name for field, _ in message.ListFields()}  # type: ignore[attr-defined]


def test_a_pending_order_shows_distances_and_nothing_that_it_does_not_have() -> None:
    order = wire.order_message(ORDER, "t")
    assert (order.limitPrice, order.relativeStopLoss, order.relativeTakeProfit) == (1.11966, 200, 300)
    assert (order.orderType, order.orderStatus, order.timeInForce) == (pb.LIMIT, 1, pb.GOOD_TILL_DATE)
    assert (order.tradeData.tradeSide, order.tradeData.volume, order.tradeData.measurementUnits) == (
        pb.SELL,
        2_500,
        "t",
    )
    assert (order.tradeData.label, order.tradeData.comment, order.clientOrderId) == ("tag", "why", "mine")
    assert order.stopTriggerMethod == pb.OPPOSITE
    absent = {"executionPrice", "stopPrice", "stopLoss", "takeProfit", "baseSlippagePrice", "slippageInPoints"}
    assert not absent & present(order)
    assert not missing(order)


def test_a_protective_order_has_its_levels_in_stop_and_limit_price() -> None:
    view = replace(
        ORDER, kind=OrderKind.PROTECTION, closing=True, limit_px=112_000, stop_px=111_000, brackets=Brackets(), label=""
    )
    order = wire.order_message(view)
    assert (order.orderType, order.closingOrder) == (pb.STOP_LOSS_TAKE_PROFIT, True)
    assert (order.stopPrice, order.limitPrice) == (1.11, 1.12)
    assert not {"stopLoss", "takeProfit", "relativeStopLoss"} & present(order)
    assert not order.tradeData.HasField("label")


def test_a_position_has_no_level_where_it_has_none_and_says_its_digits() -> None:
    position = wire.position_message(POSITION, 2)
    assert (position.price, position.stopLoss, position.marginRate) == (1.11984, 1.11784, 1.11984)
    assert not position.HasField("takeProfit")
    assert (position.swap, position.commission, position.usedMargin, position.moneyDigits) == (-5, -3, 1_120, 2)
    assert not missing(position)


def test_a_closed_position_says_a_price_of_zero() -> None:
    closed = replace(POSITION, status=PositionStatus.CLOSED, volume_cu=0, entry_px=0, sl_px=None, closed_ms=3_000)
    position = wire.position_message(closed, 2)
    assert position.HasField("price")
    assert position.price == 0.0
    assert position.tradeData.closeTimestamp == 3_000


def test_a_closing_deal_carries_its_money_and_an_opening_one_does_not() -> None:
    deal = wire.deal_message(DEAL, 2)
    detail = deal.closePositionDetail
    assert (deal.executionPrice, detail.entryPrice) == (85_205.58, 85_287.21)
    assert (detail.grossProfit, detail.commission, detail.pnlConversionFee) == (-8_081, -5_485, -2)
    assert (detail.balance, detail.balanceVersion, detail.moneyDigits, deal.moneyDigits) == (1_000_000, 12, 2, 2)
    assert not missing(deal)
    assert not wire.deal_message(replace(DEAL, close=None), 2).HasField("closePositionDetail")


def test_a_report_is_an_execution_event_without_an_inner_payload_type() -> None:
    report = Report(Execution.FILLED, 1, 1_140, ORDER, POSITION, DEAL, asked="3:x", server_made=False)
    event = wire.report_message(report, 2, "t")
    assert isinstance(event, pb.ExecutionEvent)
    assert event.executionType == pb.ORDER_FILLED
    assert not event.HasField("payloadType")
    assert not event.HasField("errorCode")
    assert event.HasField("isServerEvent")
    assert not missing(event)


def test_cash_is_told_with_the_balance_after_it() -> None:
    cash = CashView(5, 1, CashKind.DEPOSIT, 100, 1_100, 3, 1_050, 7_000, "gift")
    event = wire.report_message(Report(Execution.DEPOSIT_WITHDRAW, 1, 7_000, cash=cash), 2)
    assert isinstance(event, pb.ExecutionEvent)
    told = event.depositWithdraw
    assert (told.operationType, told.delta, told.balance, told.equity) == (pb.BALANCE_DEPOSIT, 100, 1_100, 1_050)
    assert (told.balanceVersion, told.moneyDigits, told.externalNote) == (3, 2, "gift")


def test_refusals_have_two_forms() -> None:
    order_error = wire.refusal_message(Refused("POSITION_NOT_FOUND", "no", position_id=7), 1)
    assert isinstance(order_error, pb.OrderErrorEvent)
    assert (order_error.errorCode, order_error.positionId, order_error.HasField("orderId")) == (
        "POSITION_NOT_FOUND",
        7,
        False,
    )
    error = wire.refusal_message(Refused("INVALID_REQUEST", "no", Via.ERROR_RES), 1)
    assert isinstance(error, pb.ErrorRes)
    assert (error.errorCode, error.ctidTraderAccountId, error.description) == ("INVALID_REQUEST", 1, "no")
    nobodys = wire.refusal_message(Refused("CH_CLIENT_NOT_AUTHENTICATED", "no", Via.ERROR_RES))
    assert isinstance(nobodys, pb.ErrorRes)
    assert not nobodys.HasField("ctidTraderAccountId")


def test_the_other_events_have_messages_of_their_own() -> None:
    trail = wire.trail_message(TrailMoved(1, 7, 12, 111_900, 5_000))
    assert (trail.stopPrice, trail.orderId, trail.positionId) == (1.119, 12, 7)
    assert wire.margin_message(MarginMoved(1, 7, 1_120), 2).usedMargin == 1_120
    assert isinstance(wire.called_message(MarginCalled(1, 61, 100.0, 5_000)), pb.MarginCallTriggerEvent)
    moved = wire.called_message(MarginCallSet(1, 62, 80.5, 5_000))
    assert isinstance(moved, pb.MarginCallUpdateEvent)
    assert (moved.marginCall.marginCallType, moved.marginCall.marginLevelThreshold) == (62, 80.5)


def test_a_new_order_is_read_field_by_field() -> None:
    message = pb.NewOrderReq(
        ctidTraderAccountId=1,
        symbolId=3,
        orderType=pb.STOP_LIMIT,
        tradeSide=pb.SELL,
        volume=2_500,
        stopPrice=4_012.345,
        slippageInPoints=4,
        timeInForce=pb.GOOD_TILL_DATE,
        expirationTimestamp=9_000,
        stopLoss=4_020.0,
        takeProfit=4_000.5,
        trailingStopLoss=True,
        stopTriggerMethod=pb.DOUBLE_OPPOSITE,
        label="tag",
        comment="why",
        clientOrderId="mine",
        positionId=7,
    )
    assert wire.request_of(message) == NewOrder(
        symbol_id=3,
        kind=OrderKind.STOP_LIMIT,
        side=-1,
        volume_cu=2_500,
        brackets=Brackets(sl_px=402_000_000, tp_px=400_050_000, trailing=True, trigger=Trigger.DOUBLE_OPPOSITE),
        stop_px=401_234_500,
        slippage_points=4,
        time_in_force=TimeInForce.GOOD_TILL_DATE,
        expires_ms=9_000,
        position_id=7,
        client_order_id="mine",
        label="tag",
        comment="why",
    )


def test_what_a_new_order_leaves_out_is_none() -> None:
    message = pb.NewOrderReq(
        ctidTraderAccountId=1, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=25, relativeStopLoss=200
    )
    asked = wire.request_of(message)
    assert asked == NewOrder(1, OrderKind.MARKET, 1, 25, Brackets(sl_distance_px=200))


def test_the_other_requests_are_read() -> None:
    assert wire.request_of(pb.CancelOrderReq(ctidTraderAccountId=1, orderId=5)) == CancelOrder(5)
    assert wire.request_of(pb.ClosePositionReq(ctidTraderAccountId=1, positionId=7, volume=50)) == ClosePosition(7, 50)
    assert wire.request_of(pb.AmendOrderReq(ctidTraderAccountId=1, orderId=5, limitPrice=1.5)) == AmendOrder(
        5, limit_px=150_000, left_out=frozenset({"guaranteed", "trailing", "trigger"})
    )
    said = pb.AmendOrderReq(ctidTraderAccountId=1, orderId=5, trailingStopLoss=False, stopTriggerMethod=pb.TRADE)
    assert wire.request_of(said) == AmendOrder(5, left_out=frozenset({"guaranteed"}))
    amend = pb.AmendPositionSLTPReq(ctidTraderAccountId=1, positionId=7, takeProfit=1.2, trailingStopLoss=False)
    assert wire.request_of(amend) == AmendPosition(7, tp_px=120_000, trailing=False)
    assert wire.request_of(pb.AmendPositionSLTPReq(ctidTraderAccountId=1, positionId=7)) == AmendPosition(7)


@pytest.mark.parametrize("price", [131.07400024414062, math.nan, math.inf, -math.inf, 1e300, 1.000001])
def test_a_price_that_px_cannot_say_is_a_bad_price(price: float) -> None:
    message = pb.NewOrderReq(
        ctidTraderAccountId=1, symbolId=1, orderType=pb.LIMIT, tradeSide=pb.BUY, volume=25, limitPrice=price
    )
    refused = wire.request_of(message)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.via) == ("TRADING_BAD_PRICES", Via.ORDER_ERROR)


@pytest.mark.parametrize("price_px", [1, 111_966, 13_107_400, 401_234_500, 8_520_558_000, 9_999_999_999_999])
def test_a_price_that_was_told_is_read_as_the_same_px(price_px: int) -> None:
    message = pb.AmendPositionSLTPReq(ctidTraderAccountId=1, positionId=7, stopLoss=wire.price_of(price_px))
    assert wire.request_of(message) == AmendPosition(7, sl_px=price_px)


def test_orders_of_the_servers_own_kind_are_refused() -> None:
    message = pb.NewOrderReq(
        ctidTraderAccountId=1, symbolId=1, orderType=pb.STOP_LOSS_TAKE_PROFIT, tradeSide=pb.BUY, volume=25
    )
    refused = wire.request_of(message)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.via) == ("INVALID_REQUEST", Via.ERROR_RES)
