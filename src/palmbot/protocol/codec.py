"""Messages to the house's values and back: the one place where wire units become ours. Pure.

Presence decides, never a default: an absent level is None, not 0 (sheet 4). Prices come as doubles and leave as the
nearest double of an exact decimal (sheet 5.2); money is brought to the account's digits; what the enums do not know is
read as the harmless neighbour, since an event is never thrown away for a number that is newer than this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from palmbot.errors import DataError, InvariantError
from palmbot.model import (
    AccountSnapshot,
    BrokerOrder,
    BrokerPosition,
    CashEvent,
    Close,
    Execution,
    Fill,
    HistoryBar,
    IntentKind,
    OrderEvent,
    OrderIntent,
    OrderKind,
)
from palmbot.protocol.messages import Message, pb
from palmbot.units import MINUTE_MS, PX, RATE_ONE_E8, step_px

LATEST_MS = 2_147_483_646_000  # the broker's own end of time (sheet 5.8)
_FLOAT_NOISE = 2.0**-24  # relative error of a price that went through a 32-bit float on its way (sheet 5.2)
_PRICE_MAX = 1e10
_MONEY_DIGITS_MAX = 18
_EXECUTIONS = MappingProxyType({int(kind): kind for kind in Execution if kind is not Execution.ERROR})
_MOVED = (pb.FILLED, pb.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the messages of one account leave unsaid.

    Args:
        account_id: the key of every request (ctidTraderAccountId, not the login number).
        money_digits: decimals of the account's money; all minor units that leave the codec have them.
        symbol_id: the traded symbol.
        symbol: its name at this broker.
        digits: its price decimals, 0..5.
        names: every symbol's name by id, for positions that are not ours.
    """

    account_id: int
    money_digits: int
    symbol_id: int
    symbol: str
    digits: int
    names: Mapping[int, str]

    def name(self, symbol_id: int) -> str:
        """Return the name of a symbol; one that the broker did not list is called by its number."""
        return self.names.get(symbol_id, str(symbol_id))

    def step_px(self, symbol_id: int) -> int:
        """Return the price step of a symbol in px; 1 where it is not known."""
        return step_px(self.digits) if symbol_id == self.symbol_id else 1


def px_of_price(price: float, price_step_px: int = 1) -> int:
    """Return ``price`` in px: on the step's grid if only float noise separates it, else the nearest px.

    Raises:
        DataError: it is no price, but infinite or absurd.
    """
    if not abs(price) < _PRICE_MAX:  # so that it is also false for what is no number
        raise DataError("PRICE_ABSURD", "Report this: the broker told a price that cannot be one.", price=price)
    exact_px = price * PX
    on_grid = round(exact_px / price_step_px) * price_step_px
    noise_px = max(0.5, abs(exact_px) * _FLOAT_NOISE)
    return on_grid if abs(exact_px - on_grid) <= noise_px else round(exact_px)


def price_of_level(level_px: int, digits: int) -> float:
    """Return the double whose shortest decimal form is ``level_px``.

    Raises:
        InvariantError: it has more decimals than the symbol; the broker would refuse it.
    """
    if level_px % step_px(digits) != 0:
        raise InvariantError(
            "PRICE_OFF_GRID",
            "Compare the instrument's digits with the broker's: a level has more decimals than the symbol.",
            level_px=level_px,
            digits=digits,
        )
    return level_px / PX  # both are exact integers, so the quotient is the nearest double


# -- requests


def request_of(intent: OrderIntent, terms: Terms) -> Message:
    """Return the request that carries out ``intent``.

    Raises:
        InvariantError: an entry or an amend without stop, or a price off the symbol's grid.
    """
    if intent.kind is IntentKind.CLOSE:
        return pb.ClosePositionReq(
            ctidTraderAccountId=terms.account_id, positionId=intent.position_id, volume=intent.volume_cu
        )
    if intent.sl_px <= 0:
        raise InvariantError(
            "ORDER_WITHOUT_STOP",
            "Report this: a request that leaves a position without a stop was planned.",
            client_order_id=intent.client_order_id,
        )
    if intent.kind is IntentKind.AMEND:
        return _amendment(intent, terms)
    return _market_order(intent, terms)


def _market_order(intent: OrderIntent, terms: Terms) -> Message:
    price_of_level(intent.sl_px, terms.digits)  # distances obey the same grid
    price_of_level(intent.tp_px, terms.digits)
    return pb.NewOrderReq(
        ctidTraderAccountId=terms.account_id,
        symbolId=terms.symbol_id,
        orderType=pb.MARKET,
        tradeSide=pb.BUY if intent.side > 0 else pb.SELL,
        volume=intent.volume_cu,
        label=intent.client_order_id,  # positions carry only the label
        clientOrderId=intent.client_order_id,
        relativeStopLoss=intent.sl_px,
        relativeTakeProfit=intent.tp_px if intent.tp_px > 0 else None,
    )


def _amendment(intent: OrderIntent, terms: Terms) -> Message:
    """Return both legs, since one that is left out is removed."""
    return pb.AmendPositionSLTPReq(
        ctidTraderAccountId=terms.account_id,
        positionId=intent.position_id,
        stopLoss=price_of_level(intent.sl_px, terms.digits),
        takeProfit=price_of_level(intent.tp_px, terms.digits) if intent.tp_px > 0 else None,
    )


# -- account state


def snapshot_of(trader: pb.Trader, state: pb.ReconcileRes, terms: Terms) -> AccountSnapshot:
    """Return the account as two answers of the broker show it."""
    return AccountSnapshot(
        account_id=terms.account_id,
        balance_minor=_minor(trader.balance, trader, terms),
        money_digits=terms.money_digits,
        leverage=trader.leverageInCents // 100,
        hedged=trader.accountType == pb.HEDGED,
        positions=tuple(position_of(each, terms) for each in state.position),
        orders=tuple(order_of(each, terms) for each in state.order),
        balance_version=trader.balanceVersion,
    )


def position_of(message: pb.Position, terms: Terms) -> BrokerPosition:
    """Return a position; its entry is a volume-weighted mean and may lie between two price steps."""
    trade = message.tradeData
    grid_px = terms.step_px(trade.symbolId)
    return BrokerPosition(
        position_id=message.positionId,
        symbol=terms.name(trade.symbolId),
        side=_side(trade),
        volume_cu=trade.volume,
        entry_px=px_of_price(message.price),
        sl_px=px_of_price(message.stopLoss, grid_px) if message.HasField("stopLoss") else None,
        tp_px=px_of_price(message.takeProfit, grid_px) if message.HasField("takeProfit") else None,
        swap_minor=_minor(message.swap, message, terms),
        commission_minor=_minor(message.commission, message, terms),
        used_margin_minor=_minor(message.usedMargin, message, terms),
        label=trade.label,
        open_ms=trade.openTimestamp,
    )


def order_of(message: pb.Order, terms: Terms) -> BrokerOrder:
    """Return an order. The server-made one has its stop and target where others have stop and limit price."""
    trade = message.tradeData
    grid_px = terms.step_px(trade.symbolId)
    # a type that this schema does not know: neither filled at once nor a protection
    kind = OrderKind(message.orderType) if message.HasField("orderType") else OrderKind.LIMIT
    stop, target = ("stopPrice", "limitPrice") if kind is OrderKind.PROTECTION else ("stopLoss", "takeProfit")
    return BrokerOrder(
        order_id=message.orderId,
        client_order_id=message.clientOrderId,
        kind=kind,
        symbol=terms.name(trade.symbolId),
        side=_side(trade),
        volume_cu=trade.volume,
        executed_cu=message.executedVolume,
        position_id=message.positionId,
        closing=message.closingOrder,
        sl_px=px_of_price(getattr(message, stop), grid_px) if message.HasField(stop) else None,
        tp_px=px_of_price(getattr(message, target), grid_px) if message.HasField(target) else None,
        updated_ms=message.utcLastUpdateTimestamp,
    )


def fills_of(deals: Iterable[pb.Deal], terms: Terms) -> list[Fill]:
    """Return the deals that moved volume, in their order; lists show failed attempts too."""
    return [fill_of(each, terms) for each in deals if has_moved(each)]


def has_moved(deal: pb.Deal) -> bool:
    """Return whether a deal changed a position."""
    return deal.HasField("dealStatus") and deal.dealStatus in _MOVED and deal.filledVolume > 0


def fill_of(deal: pb.Deal, terms: Terms) -> Fill:
    """Return a deal that moved volume."""
    return Fill(
        deal_id=deal.dealId,
        order_id=deal.orderId,
        position_id=deal.positionId,
        side=_side(deal),
        volume_cu=deal.filledVolume,
        price_px=px_of_price(deal.executionPrice, terms.step_px(deal.symbolId)),
        ts_ms=_time_ms(deal.executionTimestamp),
        commission_minor=_minor(deal.commission, deal, terms),
        close=_close(deal, terms) if deal.HasField("closePositionDetail") else None,
    )


def _close(deal: pb.Deal, terms: Terms) -> Close:
    detail = deal.closePositionDetail
    has_rate = detail.HasField("quoteToDepositConversionRate")
    return Close(
        entry_px=px_of_price(detail.entryPrice),
        gross_minor=_minor(detail.grossProfit, detail, terms),
        swap_minor=_minor(detail.swap, detail, terms),
        commission_minor=_minor(detail.commission, detail, terms),
        fee_minor=_minor(detail.pnlConversionFee, detail, terms),
        closed_cu=detail.closedVolume if detail.HasField("closedVolume") else deal.filledVolume,
        balance_minor=_minor(detail.balance, detail, terms),
        rate_e8=_rate_e8(detail.quoteToDepositConversionRate) if has_rate else RATE_ONE_E8,
    )


def _rate_e8(rate: float) -> int:
    """Return a conversion rate; 0, which is no rate, for what cannot be one."""
    return round(rate * RATE_ONE_E8) if 0 < rate < _PRICE_MAX else 0


# -- events


def event_of(
    message: pb.ExecutionEvent, terms: Terms, now_ms: int, request_id: str = ""
) -> OrderEvent | CashEvent | None:
    """Return what an execution event says; None for what changes neither orders, positions nor the balance.

    Args:
        message: an event of this account.
        terms: of the account.
        now_ms: the market clock, for the few events that carry no time.
        request_id: client order id of the request that this answers, where it is known.
    """
    if message.executionType == pb.BONUS_DEPOSIT_WITHDRAW:
        return None
    if message.executionType == pb.DEPOSIT_WITHDRAW:
        return _cash(message.depositWithdraw, terms) if message.HasField("depositWithdraw") else None
    order = order_of(message.order, terms) if message.HasField("order") else None
    has_fill = message.HasField("deal") and has_moved(message.deal)
    if not message.HasField("executionType"):  # newer than this schema: what it shows counts, not what it is called
        execution, request_id, server_made = Execution.FILLED if has_fill else Execution.ACCEPTED, "", True
    else:
        execution, server_made = _EXECUTIONS[message.executionType], message.isServerEvent
    if order is not None and order.kind is OrderKind.PROTECTION:
        if request_id and execution in {Execution.ACCEPTED, Execution.CANCELLED}:
            execution = Execution.REPLACED  # an amend that gave a first stop or took the last is an amend (sheet 6.6)
    elif not request_id and order is not None and not server_made:
        request_id = order.client_order_id  # an order of ours that was sent over an earlier link
    return OrderEvent(
        execution=execution,
        ts_ms=_event_ms(message, now_ms),
        order=order,
        position=position_of(message.position, terms) if message.HasField("position") else None,
        fill=fill_of(message.deal, terms) if has_fill else None,
        error_code=message.errorCode,
        request_id=request_id,
        server_made=server_made,
    )


def _event_ms(message: pb.ExecutionEvent, now_ms: int) -> int:
    if message.HasField("deal"):
        return _time_ms(message.deal.executionTimestamp)
    for part in ("order", "position"):
        if message.HasField(part):
            updated_ms: int = getattr(message, part).utcLastUpdateTimestamp
            if updated_ms > 0:
                return _time_ms(updated_ms)
    return now_ms


def _cash(message: pb.DepositWithdraw, terms: Terms) -> CashEvent:
    """Return a balance operation. Some servers give the amount of a withdrawal without its sign."""
    delta = message.delta
    if message.HasField("operationType"):
        name = pb.ChangeBalanceType.Name(message.operationType)
        delta = -abs(delta) if name.startswith("BALANCE_WITHDRAW") else delta
    return CashEvent(
        ts_ms=_time_ms(message.changeBalanceTimestamp),
        delta_minor=_minor(delta, message, terms),
        balance_minor=_minor(message.balance, message, terms),
        balance_version=message.balanceVersion,
    )


# -- history


def bars_of(trendbars: Iterable[pb.Trendbar], bid_px: int | None = None) -> dict[int, HistoryBar]:
    """Return bars by their open time in ms, in the order of time; of two with one open time the later counts.

    Args:
        trendbars: as the broker sent them, in any order.
        bid_px: the newest bid, for a newest bar that does not tell its close since it is live.
    """
    latest_minute = LATEST_MS // MINUTE_MS
    fitting = (each for each in trendbars if each.HasField("low") and each.utcTimestampInMinutes <= latest_minute)
    told = {each.utcTimestampInMinutes: each for each in fitting}
    bars = {minute * MINUTE_MS: _bar(told[minute]) for minute in sorted(told)}
    if told and bid_px is not None and not told[max(told)].HasField("deltaClose"):
        live = bars[max(told) * MINUTE_MS]
        high_px, low_px = max(live.high_px, bid_px), min(live.low_px, bid_px)
        bars[live.ts_ms] = replace(live, high_px=high_px, low_px=low_px, close_px=bid_px)
    return bars


def _bar(message: pb.Trendbar) -> HistoryBar:
    low_px = message.low
    return HistoryBar(
        ts_ms=message.utcTimestampInMinutes * MINUTE_MS,
        open_px=low_px + message.deltaOpen,
        high_px=low_px + message.deltaHigh,
        low_px=low_px,
        close_px=low_px + message.deltaClose,
    )


# -- parts of messages


def _side(trade: pb.TradeData | pb.Deal) -> int:
    if not trade.HasField("tradeSide"):
        return 0
    return 1 if trade.tradeSide == pb.BUY else -1


def _time_ms(told_ms: int) -> int:
    """Return a time, which the market clock may follow day by day."""
    if not 0 <= told_ms <= LATEST_MS:
        raise DataError("TIME_ABSURD", "Report this: the broker told a time that cannot be one.", time_ms=told_ms)
    return told_ms


_Money = pb.Trader | pb.Position | pb.Deal | pb.ClosePositionDetail | pb.DepositWithdraw


def _minor(value: int, message: _Money, terms: Terms) -> int:
    """Return money of ``message``, which says its own digits, in minor units of the account; halves away from zero."""
    digits = message.moneyDigits if message.HasField("moneyDigits") else terms.money_digits
    if digits > _MONEY_DIGITS_MAX:
        raise DataError("MONEY_ABSURD", "Report this: the broker counts in fractions that do not exist.", digits=digits)
    if digits <= terms.money_digits:
        return value * int(10 ** (terms.money_digits - digits))
    unit = int(10 ** (digits - terms.money_digits))
    rounded = (2 * abs(value) + unit) // (2 * unit)
    return rounded if value >= 0 else -rounded
