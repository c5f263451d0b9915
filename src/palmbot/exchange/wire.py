"""The exchange's values as messages of the wire, and requests of the wire as values (sheet 4.6, 5 and 6).

Prices of orders, positions and deals are doubles on the wire and px here; ids, money, volumes and times are the same
numbers on both sides. What is None here is absent there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, cast

from palmbot.exchange.values import (
    AmendOrder,
    AmendPosition,
    Brackets,
    CancelOrder,
    CashView,
    ClosePosition,
    CloseView,
    DealView,
    MarginCalled,
    MarginCallSet,
    MarginMoved,
    NewOrder,
    OrderView,
    PositionView,
    Refused,
    Report,
    Request,
    TimeInForce,
    TrailMoved,
    Trigger,
    Via,
)
from palmbot.model import Execution, OrderKind
from palmbot.protocol._pb import palmbot_openapi_pb2 as pb
from palmbot.protocol.messages import Message
from palmbot.units import PX, RATE_ONE_E8

PRICE_MAX: Final = 100_000_000.0  # whatever is above is no price of anything
SIDES: Final = {1: pb.BUY, -1: pb.SELL}
SERVER_MADE: Final = OrderKind.PROTECTION
TradingReq: TypeAlias = (
    pb.NewOrderReq | pb.CancelOrderReq | pb.AmendOrderReq | pb.AmendPositionSLTPReq | pb.ClosePositionReq
)


def price_of(price_px: float | None) -> float | None:
    """Return the wire's price of ``price_px``: the double nearest to the decimal number."""
    return None if price_px is None else price_px / PX


# -- out


def order_message(view: OrderView, unit: str = "") -> pb.Order:
    """Return an order; ``unit`` is what the symbol's base is measured in."""
    asked = view.brackets
    return pb.Order(
        orderId=view.order_id,
        tradeData=pb.TradeData(
            symbolId=view.symbol_id,
            volume=view.volume_cu,
            tradeSide=SIDES[view.side],
            openTimestamp=view.created_ms,
            label=view.label or None,
            guaranteedStopLoss=asked.guaranteed or None,
            comment=view.comment or None,
            measurementUnits=unit or None,
            closeTimestamp=view.closed_ms,
        ),
        orderType=cast("pb.OrderType", view.kind),
        orderStatus=cast("pb.OrderStatus", view.status),
        expirationTimestamp=view.expires_ms,
        executionPrice=price_of(view.execution_px),
        executedVolume=view.executed_cu,
        utcLastUpdateTimestamp=view.updated_ms,
        baseSlippagePrice=price_of(view.base_px),
        slippageInPoints=view.slippage_points,
        closingOrder=view.closing,
        limitPrice=price_of(view.limit_px),
        stopPrice=price_of(view.stop_px),
        stopLoss=price_of(asked.sl_px),
        takeProfit=price_of(asked.tp_px),
        clientOrderId=view.client_order_id or None,
        timeInForce=cast("pb.TimeInForce", view.time_in_force),
        positionId=view.position_id,
        relativeStopLoss=asked.sl_distance_px,
        relativeTakeProfit=asked.tp_distance_px,
        isStopOut=view.is_stop_out,
        trailingStopLoss=asked.trailing or None,
        stopTriggerMethod=cast("pb.OrderTriggerMethod", asked.trigger),
    )


def position_message(view: PositionView, money_digits: int, unit: str = "") -> pb.Position:
    """Return a position."""
    return pb.Position(
        positionId=view.position_id,
        tradeData=pb.TradeData(
            symbolId=view.symbol_id,
            volume=view.volume_cu,
            tradeSide=SIDES[view.side],
            openTimestamp=view.open_ms,
            label=view.label or None,
            guaranteedStopLoss=view.guaranteed or None,
            comment=view.comment or None,
            measurementUnits=unit or None,
            closeTimestamp=view.closed_ms,
        ),
        positionStatus=cast("pb.PositionStatus", view.status),
        swap=view.swap_minor,
        price=price_of(view.entry_px),
        stopLoss=price_of(view.sl_px),
        takeProfit=price_of(view.tp_px),
        utcLastUpdateTimestamp=view.updated_ms,
        commission=view.commission_minor,
        marginRate=view.margin_rate_e8 / RATE_ONE_E8,
        mirroringCommission=0,
        guaranteedStopLoss=view.guaranteed,
        usedMargin=view.used_margin_minor,
        stopLossTriggerMethod=cast("pb.OrderTriggerMethod", view.trigger),
        moneyDigits=money_digits,
        trailingStopLoss=view.trailing,
    )


def deal_message(view: DealView, money_digits: int) -> pb.Deal:
    """Return a deal."""
    return pb.Deal(
        dealId=view.deal_id,
        orderId=view.order_id,
        positionId=view.position_id,
        volume=view.volume_cu,
        filledVolume=view.filled_cu,
        symbolId=view.symbol_id,
        createTimestamp=view.created_ms,
        executionTimestamp=view.ts_ms,
        utcLastUpdateTimestamp=view.ts_ms,
        executionPrice=price_of(view.price_px),
        tradeSide=SIDES[view.side],
        dealStatus=cast("pb.DealStatus", view.status),
        marginRate=view.margin_rate_e8 / RATE_ONE_E8,
        commission=view.commission_minor,
        baseToUsdConversionRate=view.base_to_usd_e8 / RATE_ONE_E8,
        closePositionDetail=None if view.close is None else _close_detail(view.close, money_digits),
        moneyDigits=money_digits,
    )


def _close_detail(view: CloseView, money_digits: int) -> pb.ClosePositionDetail:
    return pb.ClosePositionDetail(
        entryPrice=price_of(view.entry_px),
        grossProfit=view.gross_minor,
        swap=view.swap_minor,
        commission=view.commission_minor,
        balance=view.balance_minor,
        quoteToDepositConversionRate=view.rate_e8 / RATE_ONE_E8,
        closedVolume=view.closed_cu,
        balanceVersion=view.balance_version,
        moneyDigits=money_digits,
        pnlConversionFee=view.fee_minor,
    )


def cash_message(view: CashView, money_digits: int) -> pb.DepositWithdraw:
    """Return a balance operation."""
    return pb.DepositWithdraw(
        operationType=cast("pb.ChangeBalanceType", view.kind),
        balanceHistoryId=view.cash_id,
        balance=view.balance_minor,
        delta=view.delta_minor,
        changeBalanceTimestamp=view.ts_ms,
        externalNote=view.note or None,
        balanceVersion=view.balance_version,
        equity=view.equity_minor,
        moneyDigits=money_digits,
    )


def report_message(report: Report, money_digits: int, unit: str = "") -> Message:
    """Return the execution event of ``report``; of a refusal without an order, the order error."""
    order, position, deal, cash = report.order, report.position, report.deal, report.cash
    if report.execution is Execution.ERROR:
        refused = Refused(
            report.error_code,
            report.error_text,
            order_id=0 if order is None else order.order_id,
            position_id=0 if position is None else position.position_id,
        )
        return refusal_message(refused, report.account_id)
    return pb.ExecutionEvent(
        ctidTraderAccountId=report.account_id,
        executionType=cast("pb.ExecutionType", report.execution),
        position=None if position is None else position_message(position, money_digits, unit),
        order=None if order is None else order_message(order, unit),
        deal=None if deal is None else deal_message(deal, money_digits),
        depositWithdraw=None if cash is None else cash_message(cash, money_digits),
        errorCode=report.error_code or None,
        isServerEvent=report.server_made,
    )


def trail_message(told: TrailMoved) -> pb.TrailingSLChangedEvent:
    """Return the event of a trailing stop that stepped."""
    return pb.TrailingSLChangedEvent(
        ctidTraderAccountId=told.account_id,
        positionId=told.position_id,
        orderId=told.order_id,
        stopPrice=price_of(told.stop_px),
        utcLastUpdateTimestamp=told.ts_ms,
    )


def margin_message(told: MarginMoved, money_digits: int) -> pb.MarginChangedEvent:
    """Return the event of a position whose margin changed."""
    return pb.MarginChangedEvent(
        ctidTraderAccountId=told.account_id,
        positionId=told.position_id,
        usedMargin=told.used_margin_minor,
        moneyDigits=money_digits,
    )


def call_message(kind: int, threshold_pct: float, updated_ms: int) -> pb.MarginCall:
    """Return a threshold of the margin level."""
    return pb.MarginCall(
        marginCallType=cast("pb.NotificationType", kind),
        marginLevelThreshold=threshold_pct,
        utcLastUpdateTimestamp=updated_ms,
    )


def called_message(told: MarginCalled | MarginCallSet) -> Message:
    """Return the event of a threshold that was reached or changed."""
    call = call_message(told.kind, told.threshold_pct, told.ts_ms)
    if isinstance(told, MarginCalled):
        return pb.MarginCallTriggerEvent(ctidTraderAccountId=told.account_id, marginCall=call)
    return pb.MarginCallUpdateEvent(ctidTraderAccountId=told.account_id, marginCall=call)


def refusal_message(refused: Refused, account_id: int | None = None) -> Message:
    """Return a refusal in its form (sheet 6.9)."""
    if refused.via is Via.ORDER_ERROR and account_id is not None:
        return pb.OrderErrorEvent(
            errorCode=refused.code,
            orderId=refused.order_id or None,
            ctidTraderAccountId=account_id,
            positionId=refused.position_id or None,
            description=refused.text or None,
        )
    return pb.ErrorRes(ctidTraderAccountId=account_id, errorCode=refused.code, description=refused.text or None)


# -- in


def request_of(message: TradingReq) -> Request | Refused:
    """Return what a trading request asks for, or why its numbers mean nothing."""
    try:
        match message:
            case pb.NewOrderReq():
                return _new_order(message)
            case pb.CancelOrderReq():
                return CancelOrder(message.orderId)
            case pb.AmendOrderReq():
                return _amend_order(message)
            case pb.AmendPositionSLTPReq():
                return _amend_position(message)
        return ClosePosition(message.positionId, message.volume)
    except _BadPriceError as bad:
        return Refused("TRADING_BAD_PRICES", str(bad))


class _BadPriceError(Exception):
    """A price that px cannot say."""


def _px(message: Message, name: str) -> int | None:
    """Return the price ``name`` of ``message`` in px, exactly; None where it is absent."""
    if not message.HasField(name):
        return None
    price = cast("float", getattr(message, name))
    if not (math.isfinite(price) and abs(price) <= PRICE_MAX):
        raise _BadPriceError(f"{name} is no price")
    exact = Decimal(repr(price)) * PX  # as the decimal number that was meant, not as the double it became
    if exact != int(exact):
        raise _BadPriceError(f"{name} {price!r} has more digits than symbol allows")
    return int(exact)


def _distance_px(message: Message, name: str) -> int | None:
    """Return the distance ``name`` of ``message``; None where it is absent."""
    distance_px = _whole(message, name)
    if distance_px is not None and distance_px > PRICE_MAX * PX:
        raise _BadPriceError(f"{name} {distance_px} leads to no price")
    return distance_px


def _whole(message: Message, name: str) -> int | None:
    """Return the whole number ``name`` of ``message``; None where it is absent."""
    return cast("int", getattr(message, name)) if message.HasField(name) else None


_FLAGS: Final[Mapping[str, Any]] = {  # of brackets, by their names on the wire
    "guaranteed": "guaranteedStopLoss",
    "trailing": "trailingStopLoss",
    "trigger": "stopTriggerMethod",
}


def _brackets(message: pb.NewOrderReq | pb.AmendOrderReq) -> Brackets:
    return Brackets(
        sl_px=_px(message, "stopLoss"),
        tp_px=_px(message, "takeProfit"),
        sl_distance_px=_distance_px(message, "relativeStopLoss"),
        tp_distance_px=_distance_px(message, "relativeTakeProfit"),
        guaranteed=message.guaranteedStopLoss,
        trailing=message.trailingStopLoss,
        trigger=Trigger(message.stopTriggerMethod),
    )


def _new_order(message: pb.NewOrderReq) -> NewOrder | Refused:
    kind = OrderKind(message.orderType)
    if kind is SERVER_MADE:
        return Refused("INVALID_REQUEST", "Orders of this type are made by the server alone", Via.ERROR_RES)
    return NewOrder(
        symbol_id=message.symbolId,
        kind=kind,
        side=1 if message.tradeSide == pb.BUY else -1,
        volume_cu=message.volume,
        brackets=_brackets(message),
        limit_px=_px(message, "limitPrice"),
        stop_px=_px(message, "stopPrice"),
        base_px=_px(message, "baseSlippagePrice"),
        slippage_points=_whole(message, "slippageInPoints"),
        time_in_force=TimeInForce(message.timeInForce) if message.HasField("timeInForce") else None,
        expires_ms=_whole(message, "expirationTimestamp"),
        position_id=_whole(message, "positionId"),
        client_order_id=message.clientOrderId,
        label=message.label,
        comment=message.comment,
    )


def _amend_order(message: pb.AmendOrderReq) -> AmendOrder:
    return AmendOrder(
        order_id=message.orderId,
        brackets=_brackets(message),
        volume_cu=_whole(message, "volume"),
        limit_px=_px(message, "limitPrice"),
        stop_px=_px(message, "stopPrice"),
        expires_ms=_whole(message, "expirationTimestamp"),
        slippage_points=_whole(message, "slippageInPoints"),
        left_out=frozenset(flag for flag, name in _FLAGS.items() if not message.HasField(name)),
    )


def _amend_position(message: pb.AmendPositionSLTPReq) -> AmendPosition:
    return AmendPosition(
        position_id=message.positionId,
        sl_px=_px(message, "stopLoss"),
        tp_px=_px(message, "takeProfit"),
        guaranteed=message.guaranteedStopLoss if message.HasField("guaranteedStopLoss") else None,
        trailing=message.trailingStopLoss if message.HasField("trailingStopLoss") else None,
        trigger=Trigger(message.stopLossTriggerMethod),
    )
