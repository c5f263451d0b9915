"""What the exchange does about each kind of request: checks, then the first step of its sequence (sheet 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from palmbot.exchange import matching, pending, protection
from palmbot.exchange.account import Account
from palmbot.exchange.admission import (
    Case,
    bad_volume,
    locked,
    refuses,
    refuses_hours,
    refuses_part,
)
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held, Levels
from palmbot.exchange.level_rules import refuses_levels
from palmbot.exchange.matching import Ask
from palmbot.exchange.refusals import barred, disabled, invalid, no_order, no_position, no_symbol
from palmbot.exchange.values import (
    AmendOrder,
    AmendPosition,
    CancelOrder,
    ClosePosition,
    NewOrder,
    Refused,
    Request,
    TimeInForce,
    Via,
)
from palmbot.exchange.working import AT_ONCE, Stage, Working
from palmbot.model import OrderKind


def handle(floor: Floor, account: Account, request: Request, asked: str) -> Refused | None:
    """Carry out a request at this instant, or say why not: then nothing has changed."""
    return _HANDLERS[type(request)](floor, account, request, asked)


def _new_order(floor: Floor, account: Account, order: NewOrder, asked: str) -> Refused | None:
    pit = floor.pits.get(order.symbol_id)
    if pit is None or pit.listing.archived_ms is not None:
        return no_symbol(floor.conduct.knobs, order.symbol_id)
    target = matching.target_of(account, order)
    refused = refuses(Case(floor, account, pit, order, target))
    if refused is not None:
        return refused
    working = matching.accept(floor, account, Ask(order, target, asked))
    if floor.rejects_next:
        code, floor.rejects_next = floor.rejects_next, ""
        matching.reject(floor, working, code, "Rejected by a fault that was asked for")
    elif order.kind in AT_ONCE and order.time_in_force is not TimeInForce.MARKET_ON_OPEN:
        matching.start(floor, working)
    else:
        pending.place(floor, working, asked)
    return None


# -- pending orders


def _working_of(account: Account, order_id: int, refusal: str) -> Working | Refused:
    """Return a pending order; where there is none, why nothing can be done about it."""
    working = account.orders.get(order_id)
    if working is not None:
        return working
    if any(held.protection_id == order_id for held in account.positions.values()):
        text = f"Order {order_id} follows its position"
        return Refused(refusal, text, Via.ORDER_ERROR, order_id)
    return no_order(order_id)


def _amend_order(floor: Floor, account: Account, amend: AmendOrder, asked: str) -> Refused | None:
    working = _working_of(account, amend.order_id, "UNABLE_TO_AMEND_ORDER")
    if isinstance(working, Refused):
        return working
    view = working.view
    if working.stage is Stage.EXECUTING:
        return pending.busy(floor, working, "UNABLE_TO_AMEND_ORDER")
    before = pending.asked_with(working)
    order = pending.amended(before, amend, clears=floor.conduct.knobs.amend_clears)
    if working.opens_ms is None and order == before:
        return invalid("Nothing to amend.")
    pit = floor.pits[view.symbol_id]
    target = matching.target_of(account, replace(order, position_id=view.position_id))
    refused = refuses(Case(floor, account, pit, order, target, is_new=False, is_reached=working.is_reached))
    if refused is not None:
        return replace(refused, order_id=view.order_id)
    if order.volume_cu <= view.executed_cu:
        return replace(bad_volume(f"{view.executed_cu} are executed already"), order_id=view.order_id)
    pending.amend(floor, working, order, asked)
    return None


def _cancel_order(floor: Floor, account: Account, cancel: CancelOrder, asked: str) -> Refused | None:
    working = _working_of(account, cancel.order_id, "UNABLE_TO_CANCEL_ORDER")
    if isinstance(working, Refused):
        return working
    refused = barred(account)
    if refused is not None:
        return replace(refused, order_id=cancel.order_id)
    return pending.cancel(floor, working, asked)


# -- positions


def _held_of(floor: Floor, account: Account, position_id: int) -> Held | Refused:
    """Return an open position that may be touched; else why not."""
    held = account.positions.get(position_id)
    if held is None or held.volume_cu == 0:
        if any(working.view.position_id == position_id for working in account.orders.values()):
            return Refused("POSITION_NOT_OPEN", f"Position {position_id} is not open", position_id=position_id)
        return no_position(position_id)
    if floor.now_ms - held.open_ms < floor.conduct.knobs.fresh_ms:
        return no_position(position_id)
    if held.closing_id:
        return locked(floor, held)
    pit = floor.pits[held.symbol_id]
    refused = barred(account) or disabled(pit.listing) or refuses_hours(floor, pit)
    return held if refused is None else replace(refused, position_id=position_id)


def _amend_position(floor: Floor, account: Account, amend: AmendPosition, asked: str) -> Refused | None:
    held = _held_of(floor, account, amend.position_id)
    if isinstance(held, Refused):
        return held
    before = held.wanted
    levels = Levels(
        sl_px=amend.sl_px,
        tp_px=amend.tp_px,
        guaranteed=before.guaranteed if amend.guaranteed is None else amend.guaranteed,
        trailing=before.trailing if amend.trailing is None else amend.trailing,
        trigger=amend.trigger,
    )
    if levels.is_bare and before.is_bare:
        return invalid("Nothing to amend.")
    if levels.sl_px is None and (amend.trailing is not None or levels.trailing):
        return invalid("A trailing stop needs a stop loss")
    if levels.sl_px is None and levels.guaranteed and not before.guaranteed:
        return invalid("A guaranteed stop needs a stop loss")
    refused = refuses_levels(floor, account, floor.pits[held.symbol_id], held, levels)
    if refused is not None:
        return replace(refused, position_id=held.position_id)
    protection.place(floor, held, levels, asked=asked, server_made=False)
    return None


def _close_position(floor: Floor, account: Account, close: ClosePosition, asked: str) -> Refused | None:
    held = _held_of(floor, account, close.position_id)
    if isinstance(held, Refused):
        return held
    volume_cu = close.volume_cu
    if volume_cu > held.volume_cu and floor.conduct.knobs.close_takes_what_there_is:
        volume_cu = held.volume_cu
    refused = refuses_part(floor.pits[held.symbol_id], held, volume_cu)
    if refused is not None:
        return refused
    order = NewOrder(
        symbol_id=held.symbol_id,
        kind=OrderKind.MARKET,
        side=-held.side,
        volume_cu=volume_cu,
        position_id=held.position_id,
        client_order_id=close.client_order_id,
    )
    matching.start(floor, matching.accept(floor, account, Ask(order, held, asked, closes=True)))
    return None


_Handler = Callable[[Floor, Account, Any, str], "Refused | None"]
_HANDLERS: Final[dict[type, _Handler]] = {
    NewOrder: _new_order,
    AmendOrder: _amend_order,
    CancelOrder: _cancel_order,
    AmendPosition: _amend_position,
    ClosePosition: _close_position,
}
