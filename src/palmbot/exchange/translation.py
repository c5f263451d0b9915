"""The bot's requests as the exchange's, and what the exchange tells in the bot's words."""

from __future__ import annotations

from palmbot.exchange.account import Account
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.values import (
    AmendPosition,
    Brackets,
    CashView,
    ClosePosition,
    DealView,
    NewOrder,
    OrderView,
    PositionView,
    Refused,
    Report,
    Request,
)
from palmbot.model import (
    AccountSnapshot,
    BrokerOrder,
    BrokerPosition,
    CashEvent,
    Close,
    Execution,
    Fill,
    IntentKind,
    OrderEvent,
    OrderIntent,
    OrderKind,
)

NO_SYMBOL = 0  # an id that is never listed


def request_of(intent: OrderIntent, catalogue: Catalogue) -> Request:
    """Return what ``intent`` asks of the exchange. Its client order id is also the label."""
    if intent.kind is IntentKind.AMEND:
        return AmendPosition(intent.position_id, intent.sl_px, intent.tp_px)
    if intent.kind is IntentKind.CLOSE:
        return ClosePosition(intent.position_id, intent.volume_cu, intent.client_order_id)
    listing = catalogue.named(intent.symbol)
    return NewOrder(
        symbol_id=NO_SYMBOL if listing is None else listing.symbol_id,
        kind=OrderKind.MARKET,
        side=intent.side,
        volume_cu=intent.volume_cu,
        brackets=Brackets(sl_distance_px=intent.sl_px, tp_distance_px=intent.tp_px),
        client_order_id=intent.client_order_id,
        label=intent.client_order_id,
    )


def snapshot_of(account: Account, symbol: str) -> AccountSnapshot:
    """Return what a reconcile of an account in ``symbol`` shows: open positions and their protective orders."""
    return AccountSnapshot(
        account_id=account.account_id,
        balance_minor=account.balance_minor,
        money_digits=account.terms.money_digits,
        leverage=account.terms.leverage_in_cents // 100,
        hedged=not account.is_netted,
        positions=tuple(bot_position(view, symbol) for view in account.position_views()),
        orders=tuple(bot_order(view, symbol) for view in account.order_views(with_protection=True)),
        balance_version=account.balance_version,
    )


def bot_cash(cash: CashView) -> CashEvent:
    """Return a change of the balance that is no trade."""
    return CashEvent(cash.ts_ms, cash.delta_minor, cash.balance_minor, cash.balance_version)


def event_of(report: Report, symbol: str) -> OrderEvent:
    """Return an event of an account in ``symbol``."""
    return OrderEvent(
        execution=report.execution,
        ts_ms=report.ts_ms,
        order=None if report.order is None else bot_order(report.order, symbol),
        position=None if report.position is None else bot_position(report.position, symbol),
        fill=None if report.deal is None or report.deal.filled_cu == 0 else bot_fill(report.deal),
        error_code=report.error_code,
        error_text=report.error_text,
        request_id=report.asked,
        server_made=report.server_made,
    )


def refusal_of(refused: Refused, ts_ms: int, request_id: str) -> OrderEvent:
    """Return the event that says no."""
    return OrderEvent(Execution.ERROR, ts_ms, error_code=refused.code, error_text=refused.text, request_id=request_id)


def bot_order(view: OrderView, symbol: str) -> BrokerOrder:
    """Return an order; the levels are those of a protective one."""
    is_protection = view.kind is OrderKind.PROTECTION
    return BrokerOrder(
        order_id=view.order_id,
        client_order_id=view.client_order_id,
        kind=view.kind,
        symbol=symbol,
        side=view.side,
        volume_cu=view.volume_cu,
        executed_cu=view.executed_cu,
        position_id=view.position_id,
        closing=view.closing,
        sl_px=view.stop_px if is_protection else None,
        tp_px=view.limit_px if is_protection else None,
        updated_ms=view.updated_ms,
    )


def bot_position(view: PositionView, symbol: str) -> BrokerPosition:
    """Return a position; its volume-weighted entry is rounded."""
    return BrokerPosition(
        position_id=view.position_id,
        symbol=symbol,
        side=view.side,
        volume_cu=view.volume_cu,
        entry_px=round(view.entry_px),
        sl_px=view.sl_px,
        tp_px=view.tp_px,
        swap_minor=view.swap_minor,
        commission_minor=view.commission_minor,
        used_margin_minor=view.used_margin_minor,
        label=view.label,
        open_ms=view.open_ms,
    )


def bot_fill(view: DealView) -> Fill:
    """Return a deal."""
    close = None
    if view.close is not None:
        close = Close(
            entry_px=round(view.close.entry_px),
            gross_minor=view.close.gross_minor,
            swap_minor=view.close.swap_minor,
            commission_minor=view.close.commission_minor,
            fee_minor=view.close.fee_minor,
            closed_cu=view.close.closed_cu,
            balance_minor=view.close.balance_minor,
            rate_e8=view.close.rate_e8,
        )
    return Fill(
        deal_id=view.deal_id,
        order_id=view.order_id,
        position_id=view.position_id,
        side=view.side,
        volume_cu=view.filled_cu,
        price_px=view.price_px,
        ts_ms=view.ts_ms,
        commission_minor=view.commission_minor,
        close=close,
    )
