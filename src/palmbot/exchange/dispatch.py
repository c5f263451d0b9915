"""From a request to its answer: who may ask, how often, whether it means anything, and who handles it (sheet 11.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from palmbot.exchange import access, lists, market_data, reference, trading
from palmbot.exchange.access import NO_APPLICATION, refused
from palmbot.exchange.client import Client
from palmbot.exchange.desk import Desk, Needs, Reply, Route, Routes, Then
from palmbot.exchange.faults import Fault
from palmbot.exchange.grants import Scope
from palmbot.exchange.refusals import invalid
from palmbot.exchange.values import Refused, Via
from palmbot.exchange.wire import refusal_message
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import Message, missing, pb
from palmbot.units import SECOND_MS

ROUTES: Final[Routes] = {
    **access.ROUTES,
    **reference.ROUTES,
    **lists.ROUTES,
    **market_data.ROUTES,
    **trading.ROUTES,
}
ROWS_MAX: Final = 1_000  # of ids or volumes in one request; clients are told to ask for some fifty at a time
ACCOUNT: Final = "ctidTraderAccountId"
UNSUPPORTED: Final = refused("UNSUPPORTED_MESSAGE", "This payload type is not supported")
VIEW_ONLY: Final = refused("TRADING_NOT_ALLOWED", "The access token does not permit trading")
BLOCKED: Final = "BLOCKED_PAYLOAD_TYPE"
NO_ACCOUNT: Final = "Trading account is not authorized"


def under_maintenance(desk: Desk) -> Message | None:
    """Return the answer to everything during maintenance, in the units of its message; None where there is none."""
    maintenance = desk.faults.maintenance
    if maintenance is None:
        return None
    code, text = "SERVER_IS_UNDER_MAINTENANCE", "Server is under maintenance"
    if maintenance.by_common_error:
        return pb.CommonErrorRes(errorCode=code, description=text, maintenanceEndTimestamp=maintenance.end_ms)
    end_s = maintenance.end_ms // SECOND_MS
    return pb.ErrorRes(errorCode=code, description=text, maintenanceEndTimestamp=end_s)


def too_often(limiter: Limiter, payload_type: int, now_ms: int, code: str) -> Message | None:
    """Count a request; return the answer to one too many."""
    wait_ms = limiter.wait_ms(payload_type, now_ms)
    if wait_ms == 0:
        limiter.take(payload_type, now_ms)
        return None
    text, wait_s = f"Too many requests; payload type {payload_type} is blocked", -(-wait_ms // SECOND_MS)
    return pb.ErrorRes(errorCode=code, description=text, retryAfter=wait_s if code == BLOCKED else None)


class Answer(NamedTuple):
    """An answer in its form, and what is told right after it."""

    message: Message
    after: Callable[[], None] | None = None


def answer(desk: Desk, client: Client, payload_type: int, request: Message | None) -> Answer | None:
    """Return the answer to a request; None where events have answered it.

    Args:
        desk: the exchange.
        client: who asks.
        payload_type: of the request.
        request: None where its payload type is unknown.
    """
    route = None if request is None else ROUTES.get(payload_type)
    account_id = _account_id(request)
    barred = _barred(client, desk, route, request) or desk.faults.refusal(payload_type)
    reply = barred or _handled(desk, client, route, request)
    if reply is None:
        return None
    if isinstance(reply, Then):
        return Answer(_formed(reply.answer, route, account_id), reply.after)
    message = _formed(reply, route, account_id)
    if route is not None and route.is_list and desk.faults.take(Fault.EMPTY_LIST, payload_type):
        _empty(message)
    return Answer(message)


def _barred(client: Client, desk: Desk, route: Route | None, request: Message | None) -> Refused | None:
    """Return why this client may not ask this; None where it may."""
    needs = Needs.APPLICATION if route is None else route.needs
    if needs >= Needs.APPLICATION and not client.session.is_app_authorised:
        return NO_APPLICATION
    if route is None:
        return UNSUPPORTED
    account_id = _account_id(request)
    if needs >= Needs.ACCOUNT and account_id is not None and account_id not in client.keys:
        return refused(desk.knobs.unauthorised_code, NO_ACCOUNT)
    if request is not None:
        meaningless = _means_nothing(request)
        if meaningless is not None:
            return meaningless
    if needs >= Needs.TRADING and account_id is not None and client.keys[account_id].scope is not Scope.TRADE:
        return VIEW_ONLY
    return None


def _means_nothing(request: Message) -> Refused | None:
    """Return why a request of any kind cannot be handled; None where it can."""
    absent = missing(request)
    if absent:
        return invalid(f"Message has no valid {', '.join(absent)}")
    for field, content in request.ListFields():
        if field.is_repeated and len(content) > ROWS_MAX:
            return invalid(f"{field.name} has more than {ROWS_MAX} values")
    return None


def _handled(desk: Desk, client: Client, route: Route | None, request: Any) -> Reply:  # noqa: ANN401 - of any type
    return None if route is None else route.answer(desk, client, request)


def _formed(reply: Message | Refused, route: Route | None, account_id: int | None) -> Message:
    """Return ``reply`` as a message; only a trading request is refused by an order error (sheet 6.9)."""
    if not isinstance(reply, Refused):
        return reply
    if route is None or route.needs < Needs.TRADING:
        reply = Refused(reply.code, reply.text, Via.ERROR_RES)
    return refusal_message(reply, account_id)


def _account_id(request: Message | None) -> int | None:
    """Return the account that ``request`` names; None where it names none."""
    if request is None or ACCOUNT not in request.DESCRIPTOR.fields_by_name or not request.HasField(ACCOUNT):
        return None
    return int(getattr(request, ACCOUNT))


def _empty(message: Any) -> None:  # noqa: ANN401 - of any type
    """Take every row from a list."""
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            message.ClearField(field.name)
    if "hasMore" in message.DESCRIPTOR.fields_by_name:
        message.hasMore = False
