"""Where orders meet the market: accepted, executed in one deal or in slices, and what becomes of what is left.

The sequences are those of the protocol sheet (6.1, 6.2, 6.5, 6.10). A market order fills at the quotes of the instant
of its execution with slippage against it (PARITY 19), a limit order at its limit or better.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from palmbot.core import fills
from palmbot.exchange import protection
from palmbot.exchange.account import Account
from palmbot.exchange.agenda import Work
from palmbot.exchange.deals import Slice, Strike, missed, opened, raised, reduced
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held, shell_of
from palmbot.exchange.margin import Leg
from palmbot.exchange.margining import margin_minor, used_with
from palmbot.exchange.pit import Pit
from palmbot.exchange.values import (
    NO_BRACKETS,
    DealView,
    NewOrder,
    OrderStatus,
    OrderView,
    PositionStatus,
    PositionView,
    Refused,
    Report,
    TimeInForce,
)
from palmbot.exchange.working import AT_ONCE, Binding, Stage, Working, reported, time_in_force_of
from palmbot.model import Execution, OrderKind

_ENDS = {
    OrderStatus.CANCELLED: Execution.CANCELLED,
    OrderStatus.REJECTED: Execution.REJECTED,
    OrderStatus.EXPIRED: Execution.EXPIRED,
}


class Ask(NamedTuple):
    """An order that was checked, and what it is about."""

    order: NewOrder
    target: Held | None = None  # the open position that it adds to or reduces, from ``target_of``
    asked: str = ""  # the token of the request
    closes: bool = False  # it may do nothing but reduce its target
    is_stop_out: bool = False


def accept(floor: Floor, account: Account, ask: Ask) -> Working:
    """Accept an order: it has an id from now on, and so has the position that it may open."""
    order, target = ask.order, ask.target
    closing = target is not None and target.side != order.side
    brackets = reported(order)
    if target is not None and closing and brackets == NO_BRACKETS:  # in history it shows the position's levels
        brackets = replace(NO_BRACKETS, sl_px=target.levels.sl_px, tp_px=target.levels.tp_px)
    binding = Binding.OPENS if target is None else Binding.JOINS
    if ask.closes or (closing and not account.is_netted):
        binding = Binding.CLOSES
    order_id = floor.order_id()
    view = OrderView(
        order_id=order_id,
        account_id=account.account_id,
        symbol_id=order.symbol_id,
        kind=order.kind,
        status=OrderStatus.ACCEPTED,
        side=order.side,
        volume_cu=order.volume_cu,
        executed_cu=0,
        position_id=floor.position_id() if target is None else target.position_id,
        closing=closing,
        time_in_force=time_in_force_of(order),
        created_ms=floor.now_ms,
        updated_ms=floor.now_ms,
        client_order_id=f"server-{order_id}" if ask.is_stop_out else order.client_order_id,
        label=order.label,
        comment=order.comment,
        limit_px=order.limit_px,
        stop_px=order.stop_px,
        base_px=order.base_px,
        slippage_points=order.slippage_points,
        expires_ms=order.expires_ms,
        brackets=brackets,
        is_stop_out=ask.is_stop_out,
    )
    working = floor.work(Working(view, binding, sent_ms=floor.now_ms, asked=ask.asked))
    knobs = floor.conduct.knobs
    if knobs.stop_out_is_accepted or not ask.is_stop_out:
        shell = shell_of(view) if knobs.shell_on_accept else None
        tell(floor, Execution.ACCEPTED, working, shell if target is None else target.view())
    if order.kind in AT_ONCE and order.time_in_force is not TimeInForce.MARKET_ON_OPEN:
        return working
    return floor.work(replace(working, asked=""))  # whatever becomes of it later, nobody waits for it


def close_out(floor: Floor, account: Account, order: NewOrder, target: Held) -> None:
    """Close a position for lack of margin: nobody asked for it, and nothing is waited for."""
    execute(floor, accept(floor, account, Ask(order, target, closes=True, is_stop_out=True)))


def target_of(account: Account, order: NewOrder) -> Held | None:
    """Return the open position that an order adds to or reduces; None where it opens one."""
    if account.is_netted:
        return account.net_of(order.symbol_id)
    held = None if order.position_id is None else account.positions.get(order.position_id)
    return held if held is not None and held.volume_cu else None


def tell(
    floor: Floor,
    execution: Execution,
    working: Working,
    position: PositionView | None,
    deal: DealView | None = None,
    refused: Refused | None = None,
) -> None:
    """Tell an event of an order."""
    view = working.view
    floor.told.append(
        Report(
            execution,
            view.account_id,
            floor.now_ms,
            order=view,
            position=position,
            deal=deal,
            error_code="" if refused is None else refused.code,
            error_text="" if refused is None else refused.text,
            asked=working.asked,
            server_made=view.is_stop_out,
        )
    )


def end(
    floor: Floor,
    working: Working,
    status: OrderStatus,
    deal: DealView | None = None,
    refused: Refused | None = None,
) -> None:
    """End an order without another fill: what it had reserved or locked is free again."""
    working = replace(working, view=floor.finish(working, working.ended(status, floor.now_ms)))
    view = working.view
    held = _unlocked(floor, view)
    position = shell_of(view, PositionStatus.CLOSED) if held is None else held.view()
    tell(floor, _ENDS[status], working, position, deal, refused)


def _unlocked(floor: Floor, view: OrderView) -> Held | None:
    """Return the position of an order, not closed by it any more; None where there is none."""
    held = floor.accounts[view.account_id].positions.get(view.position_id)
    if held is not None and held.closing_id == view.order_id:
        held = floor.hold(replace(held, closing_id=0))
    return held


def reject(floor: Floor, working: Working, code: str, text: str = "") -> None:
    """End an order by a refusal that comes after it was accepted (sheet 6.9)."""
    end(floor, working, OrderStatus.REJECTED, refused=Refused(code, text))


# -- execution


def start(floor: Floor, working: Working, level_px: int | None = None) -> None:
    """Let an order be executed: now, or when its delay has passed."""
    working = replace(working, stage=Stage.EXECUTING, level_px=level_px, sent_ms=floor.now_ms)
    delay_ms = floor.conduct.delays.fill_ms
    if delay_ms == 0:
        execute(floor, working)
        return
    floor.work(working)
    held = floor.accounts[working.view.account_id].positions.get(working.view.position_id)
    if working.view.closing and held is not None:
        floor.hold(replace(held, closing_id=working.order_id))
    floor.plan(floor.now_ms + delay_ms, Work.EXECUTE, working.view.account_id, working.order_id)


def execute_due(floor: Floor, working: Working) -> None:
    """Execute an order whose delay has passed, if its market is still there."""
    if floor.pits[working.view.symbol_id].is_open(floor.now_ms):
        execute(floor, working)
    else:
        reject(floor, working, "MARKET_CLOSED", "The market closed before the order was executed")


def execute(floor: Floor, working: Working) -> None:
    """Fill an order at this instant, as far as price, liquidity and margin allow."""
    view = working.view
    account, pit = floor.accounts[view.account_id], floor.pits[view.symbol_id]
    target = _target(account, view)
    if target is None and working.binding is not Binding.OPENS:
        if working.binding is Binding.CLOSES or not account.is_netted:
            reject(floor, working, "POSITION_NOT_FOUND", f"Position not found with id {view.position_id}")
            return
        position_id = floor.position_id()
    else:
        position_id = view.position_id if target is None else target.position_id
    closing = target is not None and target.side != view.side
    working = replace(working, view=replace(view, position_id=position_id, closing=closing))
    strike = _strike(floor, pit, working)
    if strike is None:
        _unfilled(floor, working)
        return
    found_cu = _found(floor, working, target)
    if found_cu == 0:
        _unfilled(floor, working)
        return
    short = refuses_margin(floor, account, (view.symbol_id, view.side), target, (found_cu, strike))
    if short is not None:
        reject(floor, working, short.code, short.text)
        return
    fill(floor, working, found_cu, strike)


def _target(account: Account, view: OrderView) -> Held | None:
    if account.is_netted:
        return account.net_of(view.symbol_id)
    held = account.positions.get(view.position_id)
    return held if held is not None and held.volume_cu else None


def market_strike(floor: Floor, pit: Pit, side: int) -> Strike:
    """Return how a market order of ``side`` fills at the last quotes."""
    tick = floor.last(pit.listing.symbol_id)
    spread_px, slippage_px = tick.ask_px - tick.bid_px, pit.slippage_px(tick)
    price_px = fills.market_px(side, tick.bid_px, spread_px, slippage_px)
    return Strike(price_px, floor.rates(pit), spread_px, slippage_px)


def _strike(floor: Floor, pit: Pit, working: Working) -> Strike | None:
    """Return the fill that the market offers an order; None where that is worse than its price allows."""
    view, step_px = working.view, pit.listing.spec.core.step_px
    strike = market_strike(floor, pit, view.side)
    level_px = working.level_px
    if working.rests_at_limit and level_px is not None:
        limit_px = working.limit_px(step_px)
        tick = floor.last(view.symbol_id)
        quote_px = tick.quote_px(view.side)
        if limit_px is None or (quote_px - limit_px) * view.side > 0:
            return None  # it left the limit again before the order was executed
        return strike._replace(price_px=level_px, slippage_px=0)
    if level_px is not None and floor.conduct.delays.fill_ms == 0:
        strike = strike._replace(price_px=level_px + view.side * strike.slippage_px)
    worst_px = working.limit_px(step_px)
    if view.kind is OrderKind.MARKET_RANGE and view.base_px is not None:
        worst_px = view.base_px + view.side * (view.slippage_points or 0) * step_px
    if worst_px is not None and (strike.price_px - worst_px) * view.side > 0:
        return None
    return strike


def _found(floor: Floor, working: Working, target: Held | None) -> int:
    """Return the volume that an order finds."""
    left_cu, knobs, view = working.left_cu, floor.conduct.knobs, working.view
    found_cu = left_cu if knobs.liquidity_cu is None else min(left_cu, knobs.liquidity_cu)
    if view.time_in_force is TimeInForce.FILL_OR_KILL and found_cu < left_cu:
        return 0
    return min(found_cu, target.volume_cu) if target is not None and working.binding is Binding.CLOSES else found_cu


def _unfilled(floor: Floor, working: Working) -> None:
    """Let an order that was not filled rest again, or end."""
    view = working.view
    if rests(floor, view):
        _unlocked(floor, view)
        reached = working.is_reached or view.kind is OrderKind.STOP_LIMIT
        floor.work(replace(working, stage=Stage.RESTING, level_px=None, is_reached=reached, is_touched=False))
        return
    deal = missed(floor, view, working.left_cu, working.sent_ms)
    if floor.conduct.knobs.unfilled_is_rejected and view.executed_cu == 0:
        end(floor, working, OrderStatus.REJECTED, deal, Refused("TIMEOUT_ERROR", "Nobody took the other side"))
    else:
        end(floor, working, OrderStatus.CANCELLED, deal)


def rests(floor: Floor, view: OrderView) -> bool:
    """Return whether what is not filled of an order waits for another chance."""
    if view.kind not in {OrderKind.LIMIT, OrderKind.STOP_LIMIT}:
        return False
    if view.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL:
        return floor.conduct.knobs.ioc_limit_rests
    return view.time_in_force is not TimeInForce.FILL_OR_KILL or floor.conduct.knobs.fok_limit_rests


def refuses_margin(
    floor: Floor, account: Account, stake: tuple[int, int], target: Held | None, fill: tuple[int, Strike]
) -> Refused | None:
    """Compare the margin of ``(symbol, side)`` at ``(volume, strike)`` with what is free (PARITY 41).

    What only reduces ``target`` needs none.
    """
    (volume_cu, strike), (symbol_id, side) = fill, stake
    gone = None
    if target is not None and target.side != side:
        if volume_cu <= target.volume_cu or not account.is_netted:
            return None
        gone, volume_cu = target, volume_cu - target.volume_cu  # a flip needs what is left of it
    needed = margin_minor(floor, account, symbol_id, (side, volume_cu), (strike.price_px, strike.rates))
    used = used_with(account, [Leg(0, symbol_id, side, volume_cu, needed)], gone)
    equity = floor.equity_minor(account)
    if used <= equity:
        return None
    free = equity - account.used_margin_minor
    return Refused("NOT_ENOUGH_MONEY", f"Margin {needed} is more than the free {free}, in minor units")


# -- fills


def fill(floor: Floor, working: Working, found_cu: int, strike: Strike) -> None:
    """Fill ``found_cu`` of an order, slice by slice, each told; then what is left of it, then the protective orders."""
    slice_cu = floor.conduct.knobs.slice_cu or found_cu
    is_first = working.view.executed_cu == 0
    touched: dict[int, None] = {}
    while found_cu > 0:
        part_cu = min(found_cu, slice_cu)
        working = _deal(floor, working, part_cu, strike, touched)
        found_cu -= part_cu
    _unlocked(floor, working.view)
    if working.left_cu > 0:
        _keep_rest(floor, working)
    account = floor.accounts[working.view.account_id]
    for position_id in touched:
        held = account.positions.get(position_id)
        if held is not None:
            protection.await_order(floor, _wanting(held, working.view, strike) if is_first else held)


def _keep_rest(floor: Floor, working: Working) -> None:
    if rests(floor, working.view):
        floor.work(replace(working, stage=Stage.RESTING, level_px=None))
    else:
        end(floor, working, OrderStatus.CANCELLED)


def _deal(floor: Floor, working: Working, volume_cu: int, strike: Strike, touched: dict[int, None]) -> Working:
    """Make one deal of an order and tell it; a netted order that turns its position over makes two."""
    view = working.view
    held = _target(floor.accounts[view.account_id], view)
    may_flip = held is not None and held.side != view.side and working.binding is not Binding.CLOSES
    flips = may_flip and held is not None and volume_cu > held.volume_cu
    part_cu = held.volume_cu if held is not None and flips else volume_cu
    part = Slice(view, working.left_cu, part_cu, strike, working.sent_ms)
    if held is None:
        held, deal = opened(floor, part)
    elif held.side == view.side:
        held, deal = raised(floor, held, part)
    else:
        held, deal = reduced(floor, held, part)
    working = working.filled(part_cu, strike.price_px, floor.now_ms)
    is_done = working.left_cu == 0
    working = replace(working, view=floor.finish(working, working.view)) if is_done else floor.work(working)
    touched[held.position_id] = None
    said = Execution.FILLED if is_done or floor.conduct.knobs.slices_say_filled else Execution.PARTIAL_FILL
    tell(floor, said, working, _after(floor, held), deal)
    if not flips:
        return working
    if not floor.conduct.knobs.flip_keeps_position:
        working = replace(working, view=replace(working.view, position_id=floor.position_id()))
    elif held.protection_id:
        protection.settle(floor, held)  # the id is needed for what comes
    return _deal(floor, working, volume_cu - part_cu, strike, touched)


def _after(floor: Floor, held: Held) -> PositionView:
    """Return a position after a deal. One that is closed shows its levels until its protective order is gone (6.5)."""
    if held.volume_cu:
        return held.view()
    if held.protection_id:
        floor.hold(replace(held, closing_id=0, coming=None))
        return held.view(PositionStatus.CREATED)
    floor.unplan(Work.PROTECT, held.position_id)
    floor.release(held)
    closed = held.closed_view(floor.now_ms)
    return replace(closed, status=floor.conduct.knobs.bare_close_status)


def _wanting(held: Held, order: OrderView, strike: Strike) -> Held:
    """Return the position with the levels that an order brought to it, to be placed."""
    asked = order.brackets
    if order.closing:  # what it shows are the levels of the position that it closed
        asked = replace(asked, sl_px=None, tp_px=None)
    coming = protection.levels_of(asked, held.side, strike.price_px)
    if held.volume_cu == 0 or held.side != order.side or coming.is_bare:
        return held
    return replace(held, coming=coming)
