"""Trading requests: what they ask for goes to the engine, and what it does reaches everybody as events (sheet 6)."""

from __future__ import annotations

from palmbot.exchange.client import Client
from palmbot.exchange.desk import Desk, Needs, Reply, Route, Routes
from palmbot.exchange.values import Refused
from palmbot.exchange.wire import TradingReq, request_of
from palmbot.protocol.messages import payload_type, pb


def trade(desk: Desk, client: Client, request: TradingReq) -> Reply:
    """Carry out a request. Its answers are events, told before this returns; only a refusal is returned."""
    account_id, now_ms = request.ctidTraderAccountId, desk.clock.monotonic_ms()
    often = desk.meter.take(account_id, payload_type(request), now_ms)
    if often is not None:
        return often
    asked = request_of(request)
    if isinstance(asked, Refused):
        return asked
    return desk.engine.request(account_id, asked, client.asking)


ROUTES: Routes = {
    pb.NEW_ORDER_REQ: Route(trade, Needs.TRADING),
    pb.CANCEL_ORDER_REQ: Route(trade, Needs.TRADING),
    pb.AMEND_ORDER_REQ: Route(trade, Needs.TRADING),
    pb.AMEND_POSITION_SLTP_REQ: Route(trade, Needs.TRADING),
    pb.CLOSE_POSITION_REQ: Route(trade, Needs.TRADING),
}
