"""The protective order of a position: placed, moved, hit, trailed, cancelled (sheet 5.3, 6.1, 6.4-6.6).

A position has at most one. It appears after the fill that asked for it, follows the position's volume, and ends with
the position; each of it is told in an event of its own.
"""

from __future__ import annotations

from dataclasses import replace

from palmbot.exchange.agenda import Work
from palmbot.exchange.cash import charge_guarantee
from palmbot.exchange.deals import Slice, Strike, reduced
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import BARE, Held, Levels, needs_two, protective_price, touches_stop
from palmbot.exchange.pit import Pit
from palmbot.exchange.values import Brackets, OrderStatus, Report, TrailMoved
from palmbot.model import Execution


def levels_of(asked: Brackets, side: int, price_px: int) -> Levels:
    """Return what ``asked`` means for a position of ``side`` filled at a price; distances go before levels."""
    sl_px, tp_px = asked.sl_px, asked.tp_px
    if asked.sl_distance_px is not None:
        sl_px = price_px - side * asked.sl_distance_px
    if asked.tp_distance_px is not None:
        tp_px = price_px + side * asked.tp_distance_px
    return Levels(sl_px, tp_px, asked.guaranteed, asked.trailing, asked.trigger)


def await_order(floor: Floor, held: Held) -> None:
    """Let the protective order follow the position, now or when its delay has passed."""
    delay_ms = floor.conduct.delays.protect_ms
    if held.coming is None and held.protection_id == 0:
        return
    if delay_ms == 0:
        settle(floor, held)
    else:
        floor.hold(held)
        floor.plan(floor.now_ms + delay_ms, Work.PROTECT, held.account_id, held.position_id)


def settle(floor: Floor, held: Held) -> None:
    """Make the protective order what the position needs, and tell it."""
    if held.volume_cu == 0:
        _cancel(floor, held)
    elif held.coming is not None:
        place(floor, held, held.coming, asked="", server_made=True)
    elif held.protection_id:
        place(floor, held, held.levels, asked="", server_made=True)


def place(floor: Floor, held: Held, levels: Levels, *, asked: str, server_made: bool) -> Held:
    """Guard a position by ``levels``: a new protective order, the same one moved, or none any more (sheet 6.6)."""
    floor.unplan(Work.PROTECT, held.position_id)
    if levels.is_bare:
        return _bared(floor, held, asked=asked, server_made=server_made)
    is_new = held.protection_id == 0
    now_ms = floor.now_ms
    trail_px = 0
    if levels.trailing and levels.sl_px is not None:
        is_follow_up = server_made and held.coming is None  # of the volume alone: the distance stays what it was
        trail_px = held.trail_px if is_follow_up else abs(held.mark_px(floor.last(held.symbol_id)) - levels.sl_px)
    held = floor.hold(
        replace(
            held,
            levels=levels,
            coming=None,
            trail_px=trail_px,
            is_touched=False,
            protection_id=floor.order_id() if is_new else held.protection_id,
            protection_ms=now_ms if is_new else held.protection_ms,
            protected_ms=now_ms,
            protected_cu=held.volume_cu,
            updated_ms=now_ms,
        )
    )
    order = held.protection()
    floor.changes.orders[order.order_id] = order
    execution = Execution.ACCEPTED if is_new else Execution.REPLACED
    floor.told.append(
        Report(
            execution,
            held.account_id,
            now_ms,
            order=order,
            position=held.view(),
            asked=asked,
            server_made=server_made,
        )
    )
    return charge_guarantee(floor, held) if levels.guaranteed and not held.is_gsl_charged else held


def _bared(floor: Floor, held: Held, *, asked: str, server_made: bool) -> Held:
    """Take all levels away."""
    if held.protection_id == 0:
        return floor.hold(replace(held, levels=BARE, coming=None))
    bare = replace(held, levels=BARE, coming=None, trail_px=0, is_touched=False, updated_ms=floor.now_ms)
    cancels = floor.conduct.knobs.bare_removal_cancels
    order = replace(
        (held if cancels else bare).protection(),
        status=OrderStatus.CANCELLED,
        updated_ms=floor.now_ms,
        closed_ms=floor.now_ms,
    )
    bare = floor.hold(replace(bare, protection_id=0, protection_ms=0, protected_ms=0, protected_cu=0))
    floor.changes.orders[order.order_id] = order
    floor.told.append(
        Report(
            Execution.CANCELLED if cancels else Execution.REPLACED,
            held.account_id,
            floor.now_ms,
            order=order,
            position=bare.view(),
            asked=asked,
            server_made=server_made,
        )
    )
    return bare


def _cancel(floor: Floor, held: Held) -> None:
    """End the protective order of a position that was closed, and with it the position."""
    floor.unplan(Work.PROTECT, held.position_id)
    now_ms = floor.now_ms
    order = replace(held.protection(), status=OrderStatus.CANCELLED, updated_ms=now_ms, closed_ms=now_ms)
    floor.changes.orders[order.order_id] = order
    floor.release(held)
    floor.told.append(
        Report(
            Execution.CANCELLED,
            held.account_id,
            now_ms,
            order=order,
            position=held.closed_view(now_ms),
            server_made=True,
        )
    )


# -- ticks


def meet(floor: Floor, pit: Pit, held: Held, tick: FeedTick) -> None:
    """Let the protective order of a position meet a tick: it fills, or it waits."""
    if held.protection_id == 0:
        return
    struck = protective_price(held, tick, pit.slippage_px(tick))
    if struck is None:
        if needs_two(held.levels.trigger):
            floor.retouched(held, is_touched=touches_stop(held, tick))
        return
    price_px, slippage_px = struck
    hit(floor, held, Strike(price_px, floor.rates(pit), tick.ask_px - tick.bid_px, slippage_px))


def hit(floor: Floor, held: Held, strike: Strike) -> None:
    """Close a position by its protective order, all in one event that nobody asked for (sheet 6.4)."""
    now_ms = floor.now_ms
    order = replace(held.protection(), volume_cu=held.volume_cu, updated_ms=now_ms)
    rest, deal = reduced(floor, held, Slice(order, held.volume_cu, held.volume_cu, strike, now_ms))
    order = replace(
        order,
        status=OrderStatus.FILLED,
        executed_cu=held.volume_cu,
        execution_px=strike.price_px,
        closed_ms=now_ms,
    )
    floor.changes.orders[order.order_id] = order
    floor.unplan(Work.PROTECT, held.position_id)
    floor.release(rest)
    floor.told.append(
        Report(
            Execution.FILLED,
            held.account_id,
            now_ms,
            order=order,
            position=rest.closed_view(now_ms),
            deal=deal,
            server_made=True,
        )
    )


def trail(floor: Floor, held: Held, tick: FeedTick) -> None:
    """Let a trailing stop follow the price at its distance; it only tightens, and its position's time stays."""
    levels = held.levels
    if levels.sl_px is None:
        return
    stop_px = held.mark_px(tick) - held.side * held.trail_px
    if (stop_px - levels.sl_px) * held.side <= 0:
        return
    now_ms = floor.now_ms
    held = floor.hold(replace(held, levels=replace(levels, sl_px=stop_px), protected_ms=now_ms))
    floor.changes.orders[held.protection_id] = held.protection()
    floor.told.append(TrailMoved(held.account_id, held.position_id, held.protection_id, stop_px, now_ms))
