"""Pending orders: placed, amended, cancelled, expired, and triggered by ticks (sheet 6.3)."""

from __future__ import annotations

from dataclasses import replace

from palmbot.calendar import next_open, session_end
from palmbot.exchange import matching
from palmbot.exchange.agenda import Work
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import needs_two, shell_of
from palmbot.exchange.pit import Pit
from palmbot.exchange.values import AmendOrder, NewOrder, OrderStatus, PositionView, Refused, TimeInForce
from palmbot.exchange.working import Stage, Working, reported, touches, trigger_px
from palmbot.model import Execution, OrderKind


def place(floor: Floor, working: Working, asked: str = "") -> None:
    """Let an accepted order wait for its price or its time, or go on at once where that is there already.

    ``asked`` is the token of the request: it is on the end of an order that does not wait.
    """
    view = working.view
    if view.time_in_force is TimeInForce.MARKET_ON_OPEN:
        session = floor.pits[view.symbol_id].listing.spec.session
        opens_ms = next_open(session_end(floor.now_ms, session), session)
        floor.work(replace(working, opens_ms=opens_ms))
        return
    if view.time_in_force is TimeInForce.GOOD_TILL_DATE and view.expires_ms is not None:
        step_ms = floor.conduct.knobs.expiry_step_ms
        floor.plan(-(-view.expires_ms // step_ms) * step_ms, Work.EXPIRE, view.account_id, view.order_id)
    _go(floor, working, asked)


def _go(floor: Floor, working: Working, asked: str) -> None:
    """Start an order whose price the market has already; end one that will not wait for it."""
    view, pit = working.view, floor.pits[working.view.symbol_id]
    if working.rests_at_limit and pit.last is not None and pit.is_open(floor.now_ms):
        level_px = trigger_px(working, pit.last._replace(is_jump=True), pit.listing.spec.core.step_px)
        if level_px is not None:
            matching.start(floor, working, level_px)
            return
    if view.kind is OrderKind.LIMIT and not matching.rests(floor, view):
        matching.end(floor, replace(working, asked=asked), OrderStatus.CANCELLED)


def amended(order: NewOrder, amend: AmendOrder, *, clears: bool) -> NewOrder:
    """Return the order that an amend makes of another; without ``clears`` what it leaves out stays as it is."""
    if clears:
        expires_ms, points = amend.expires_ms, amend.slippage_points
        limit_px, stop_px, brackets = amend.limit_px, amend.stop_px, amend.brackets
    else:
        expires_ms = order.expires_ms if amend.expires_ms is None else amend.expires_ms
        points = order.slippage_points if amend.slippage_points is None else amend.slippage_points
        limit_px = order.limit_px if amend.limit_px is None else amend.limit_px
        stop_px = order.stop_px if amend.stop_px is None else amend.stop_px
        asked, before = amend.brackets, order.brackets
        has_sl = asked.sl_px is not None or asked.sl_distance_px is not None
        has_tp = asked.tp_px is not None or asked.tp_distance_px is not None
        brackets = replace(
            asked,
            **{flag: getattr(before, flag) for flag in amend.left_out},
            sl_distance_px=asked.sl_distance_px if has_sl else before.sl_distance_px,
            tp_distance_px=asked.tp_distance_px if has_tp else before.tp_distance_px,
        )
    in_force = (
        TimeInForce.GOOD_TILL_CANCEL if order.time_in_force is TimeInForce.GOOD_TILL_DATE else order.time_in_force
    )
    return replace(
        order,
        brackets=brackets,
        volume_cu=order.volume_cu if amend.volume_cu is None else amend.volume_cu,
        limit_px=limit_px,
        stop_px=stop_px,
        slippage_points=points,
        expires_ms=expires_ms,
        time_in_force=in_force if expires_ms is None else TimeInForce.GOOD_TILL_DATE,
    )


def asked_with(working: Working) -> NewOrder:
    """Return an order as it would have to be asked for now."""
    view = working.view
    return NewOrder(
        symbol_id=view.symbol_id,
        kind=view.kind,
        side=view.side,
        volume_cu=view.volume_cu,
        brackets=view.brackets,
        limit_px=view.limit_px,
        stop_px=view.stop_px,
        base_px=view.base_px,
        slippage_points=view.slippage_points,
        time_in_force=view.time_in_force,
        expires_ms=view.expires_ms,
        client_order_id=view.client_order_id,
        label=view.label,
        comment=view.comment,
    )


def amend(floor: Floor, working: Working, order: NewOrder, asked: str) -> None:
    """Replace an order by what was checked to be right: same id, full new state."""
    view = replace(
        working.view,
        volume_cu=order.volume_cu,
        limit_px=order.limit_px,
        stop_px=order.stop_px,
        slippage_points=order.slippage_points,
        expires_ms=order.expires_ms,
        time_in_force=order.time_in_force or working.view.time_in_force,
        brackets=reported(order),
        updated_ms=floor.now_ms,
    )
    floor.unplan(Work.EXPIRE, view.order_id)
    working = floor.work(replace(working, view=view, is_touched=False))
    matching.tell(floor, Execution.REPLACED, replace(working, asked=asked), _position_of(floor, working))
    if working.opens_ms is None:
        place(floor, working, asked)


def busy(floor: Floor, working: Working, code: str) -> Refused:
    """Refuse to touch an order that is being executed, with ``code`` unless a knob has another."""
    code = floor.conduct.knobs.busy_order_code or code
    text, position_id = f"Order {working.order_id} is being executed", working.view.position_id
    return Refused(code, text, order_id=working.order_id, position_id=position_id)


def cancel(floor: Floor, working: Working, asked: str) -> Refused | None:
    """Cancel an order; one that is being executed has won the race (sheet 6.3)."""
    if working.stage is not Stage.EXECUTING:
        matching.end(floor, replace(working, asked=asked), OrderStatus.CANCELLED)
        return None
    refused = busy(floor, working, "UNABLE_TO_CANCEL_ORDER")
    if not floor.conduct.knobs.late_cancel_is_event:
        return refused
    position = _position_of(floor, working)
    told = replace(working, asked=asked)
    matching.tell(floor, Execution.CANCEL_REJECTED, told, position, refused=refused)
    return None


def expire(floor: Floor, working: Working) -> None:
    """Let an order's time be over; one that is being executed is not stopped by it, but what is left of it then is."""
    if working.stage is not Stage.EXECUTING:
        matching.end(floor, working, OrderStatus.EXPIRED)
        return
    again_ms = floor.now_ms + max(floor.conduct.delays.fill_ms, 1)
    floor.plan(again_ms, Work.EXPIRE, working.view.account_id, working.order_id)


def meet(floor: Floor, pit: Pit, working: Working, tick: FeedTick) -> None:
    """Let a pending order meet a tick."""
    if working.opens_ms is not None:
        if tick.ts_ms >= working.opens_ms:
            matching.start(floor, working)
        return
    level_px = trigger_px(working, tick, pit.listing.spec.core.step_px)
    if not working.rests_at_limit and needs_two(working.view.brackets.trigger):
        is_touched = touches(working, tick)
        if not working.is_touched:
            level_px = None
        if level_px is None and is_touched != working.is_touched:
            floor.work(replace(working, is_touched=is_touched))
    if level_px is not None:
        matching.start(floor, working, level_px)


def _position_of(floor: Floor, working: Working) -> PositionView:
    held = floor.accounts[working.view.account_id].positions.get(working.view.position_id)
    return shell_of(working.view) if held is None else held.view()
