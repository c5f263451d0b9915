"""State and history of an account: reconcile, deals, orders, offsets, cash (sheet 4.7). Newest first, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from palmbot.exchange.client import Client
from palmbot.exchange.desk import Desk, Reply, Route, Routes, no_entity
from palmbot.exchange.history import Window
from palmbot.exchange.offsets import Offset
from palmbot.exchange.refusals import invalid
from palmbot.exchange.values import Refused, Via
from palmbot.exchange.wire import cash_message, deal_message, order_message, position_message, price_of
from palmbot.protocol.codec import LATEST_MS
from palmbot.protocol.messages import pb

Ranged = (
    pb.DealListReq
    | pb.OrderListReq
    | pb.DealListByPositionIdReq
    | pb.OrderListByPositionIdReq
    | pb.CashFlowHistoryListReq
    | pb.GetTrendbarsReq
    | pb.GetTickDataReq
)
T = TypeVar("T")


def boundaries(message: Ranged, widest_ms: int, now_ms: int, *, refuses_wide: bool) -> tuple[int, int] | Refused:
    """Return the window that ``message`` asks for; what it leaves out is as wide as may be, up to now.

    A window that is too wide is refused, or keeps its end alone.
    """
    to_ms = message.toTimestamp if message.HasField("toTimestamp") else now_ms
    from_ms = message.fromTimestamp if message.HasField("fromTimestamp") else max(to_ms - widest_ms, 0)
    if not 0 <= from_ms <= to_ms <= LATEST_MS or (refuses_wide and to_ms - from_ms > widest_ms):
        text = f"The window from {from_ms} to {to_ms} is no window of at most {widest_ms} ms"
        return Refused("INCORRECT_BOUNDARIES", text, Via.ERROR_RES)
    return max(from_ms, to_ms - widest_ms), to_ms


def reconcile(desk: Desk, _client: Client, request: pb.ReconcileReq) -> Reply:
    """Return open positions and pending orders; protective orders only where they are asked for."""
    account_id, venue = request.ctidTraderAccountId, desk.engine.venue
    account = venue.accounts[account_id]
    digits = account.terms.money_digits
    orders = account.order_views(with_protection=request.returnProtectionOrders)
    return pb.ReconcileRes(
        ctidTraderAccountId=account_id,
        position=[position_message(each, digits, _unit(desk, each.symbol_id)) for each in account.position_views()],
        order=[order_message(each, _unit(desk, each.symbol_id)) for each in orders],
    )


def deals(desk: Desk, _client: Client, request: pb.DealListReq) -> Reply:
    """Return the deals of a window of execution times."""
    account_id = request.ctidTraderAccountId
    if request.HasField("maxRows") and request.maxRows <= 0:
        return invalid("maxRows must be positive")
    rows = min(request.maxRows or desk.knobs.page_rows, desk.knobs.page_rows)
    window = _window(desk, request, rows)
    if isinstance(window, Refused):
        return window
    found, more = _page(desk.engine.books.history.deals(account_id, _lagging(desk, window)), rows)
    digits = _digits(desk, account_id)
    return pb.DealListRes(
        ctidTraderAccountId=account_id, deal=[deal_message(each, digits) for each in found], hasMore=more
    )


def deals_of_position(desk: Desk, _client: Client, request: pb.DealListByPositionIdReq) -> Reply:
    """Return the deals of a position, of all times where no window is given."""
    account_id, rows = request.ctidTraderAccountId, desk.knobs.page_rows
    window = _window_or_all(desk, request, rows)
    if isinstance(window, Refused):
        return window
    history = desk.engine.books.history
    found, more = _page(history.deals_of_position(account_id, request.positionId, _lagging(desk, window)), rows)
    digits = _digits(desk, account_id)
    return pb.DealListByPositionIdRes(
        ctidTraderAccountId=account_id, deal=[deal_message(each, digits) for each in found], hasMore=more
    )


def orders(desk: Desk, _client: Client, request: pb.OrderListReq) -> Reply:
    """Return the orders of a window of last changes, open and finished."""
    account_id, rows = request.ctidTraderAccountId, desk.knobs.page_rows
    window = _window(desk, request, rows)
    if isinstance(window, Refused):
        return window
    found, more = _page(desk.engine.books.history.orders(account_id, window), rows)
    messages = [order_message(each, _unit(desk, each.symbol_id)) for each in found]
    return pb.OrderListRes(ctidTraderAccountId=account_id, order=messages, hasMore=more)


def orders_of_position(desk: Desk, _client: Client, request: pb.OrderListByPositionIdReq) -> Reply:
    """Return the orders of a position, protective ones too, of all times where no window is given."""
    account_id, rows = request.ctidTraderAccountId, desk.knobs.page_rows
    window = _window_or_all(desk, request, rows)
    if isinstance(window, Refused):
        return window
    history = desk.engine.books.history
    found, more = _page(history.orders_of_position(account_id, request.positionId, window), rows)
    messages = [order_message(each, _unit(desk, each.symbol_id)) for each in found]
    return pb.OrderListByPositionIdRes(ctidTraderAccountId=account_id, order=messages, hasMore=more)


def order_details(desk: Desk, _client: Client, request: pb.OrderDetailsReq) -> Reply:
    """Return an order in its last state with its deals."""
    account_id, history = request.ctidTraderAccountId, desk.engine.books.history
    order = history.order(account_id, request.orderId)
    if order is None:
        text = f"Order not found with id {request.orderId}"
        return Refused("ORDER_NOT_FOUND", text, Via.ERROR_RES, order_id=request.orderId)
    digits = _digits(desk, account_id)
    return pb.OrderDetailsRes(
        ctidTraderAccountId=account_id,
        order=order_message(order, _unit(desk, order.symbol_id)),
        deal=[deal_message(each, digits) for each in history.deals_of_order(account_id, order.order_id)],
    )


def deal_offsets(desk: Desk, _client: Client, request: pb.DealOffsetListReq) -> Reply:
    """Return which deals closed a deal, and which it closed."""
    account_id = request.ctidTraderAccountId
    offsets = desk.engine.books.history.offsets(account_id, request.dealId)
    if offsets is None:
        return no_entity(f"Deal not found with id {request.dealId}")
    offset_by, offsetting = ([_offset_message(each) for each in side] for side in offsets)
    return pb.DealOffsetListRes(ctidTraderAccountId=account_id, offsetBy=offset_by, offsetting=offsetting)


def cash_flow(desk: Desk, _client: Client, request: pb.CashFlowHistoryListReq) -> Reply:
    """Return deposits, withdrawals and charges of a window; this list has no pages."""
    account_id = request.ctidTraderAccountId
    window = _window(desk, request, None)
    if isinstance(window, Refused):
        return window
    digits = _digits(desk, account_id)
    found = desk.engine.books.history.cash(account_id, window)
    return pb.CashFlowHistoryListRes(
        ctidTraderAccountId=account_id, depositWithdraw=[cash_message(each, digits) for each in found]
    )


def _window(desk: Desk, request: Ranged, rows: int | None) -> Window | Refused:
    """Return the window of ``request`` with room for one row more than a page, which says whether there is more."""
    knobs = desk.knobs
    span = boundaries(
        request, knobs.list_window_max_ms, desk.engine.venue.now_ms, refuses_wide=knobs.refuses_wide_windows
    )
    if isinstance(span, Refused):
        return span
    return Window(*span) if rows is None else Window(*span, limit=rows + 1)


def _window_or_all(desk: Desk, request: Ranged, rows: int) -> Window | Refused:
    if request.HasField("fromTimestamp") or request.HasField("toTimestamp"):
        return _window(desk, request, rows)
    return Window(limit=rows + 1)


def _lagging(desk: Desk, window: Window) -> Window:
    """Return the window without deals that a fault keeps from lists for a while."""
    lag_ms = desk.faults.deal_lag_ms
    return window if lag_ms == 0 else replace(window, to_ms=min(window.to_ms, desk.engine.venue.now_ms - lag_ms))


def _page(rows: Sequence[T], most: int) -> tuple[Sequence[T], bool]:
    return rows[:most], len(rows) > most


def _digits(desk: Desk, account_id: int) -> int:
    return desk.engine.venue.accounts[account_id].terms.money_digits


def _unit(desk: Desk, symbol_id: int) -> str:
    listing = desk.engine.venue.catalogue.listing(symbol_id)
    return "" if listing is None else listing.spec.unit


def _offset_message(offset: Offset) -> pb.DealOffset:
    return pb.DealOffset(
        dealId=offset.deal_id,
        volume=offset.volume_cu,
        executionTimestamp=offset.ts_ms,
        executionPrice=price_of(offset.price_px),
    )


ROUTES: Routes = {
    pb.RECONCILE_REQ: Route(reconcile, is_list=True),
    pb.DEAL_LIST_REQ: Route(deals, is_list=True),
    pb.DEAL_LIST_BY_POSITION_ID_REQ: Route(deals_of_position, is_list=True),
    pb.ORDER_LIST_REQ: Route(orders, is_list=True),
    pb.ORDER_LIST_BY_POSITION_ID_REQ: Route(orders_of_position, is_list=True),
    pb.ORDER_DETAILS_REQ: Route(order_details),
    pb.DEAL_OFFSET_LIST_REQ: Route(deal_offsets, is_list=True),
    pb.CASH_FLOW_HISTORY_LIST_REQ: Route(cash_flow, is_list=True),
}
