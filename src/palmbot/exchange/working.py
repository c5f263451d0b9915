"""An order that is not finished: resting until a price or a time, or being executed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from palmbot.exchange.feed import FeedTick
from palmbot.exchange.held import mean_px, needs_two, sees_opposite
from palmbot.exchange.values import Brackets, NewOrder, OrderStatus, OrderView, TimeInForce
from palmbot.model import OrderKind

_LIMITS = frozenset({OrderKind.LIMIT, OrderKind.STOP_LIMIT})
_WAITING = frozenset({TimeInForce.GOOD_TILL_CANCEL, TimeInForce.GOOD_TILL_DATE})
AT_ONCE = frozenset({OrderKind.MARKET, OrderKind.MARKET_RANGE})


class Stage(IntEnum):
    """What an order waits for."""

    RESTING = 0  # its price or its time
    EXECUTING = 1  # its fill is due


class Binding(IntEnum):
    """How an order is tied to a position."""

    OPENS = 0  # it has reserved the id of a new one
    JOINS = 1  # it adds to one, or nets against it
    CLOSES = 2  # it reduces one and never opens anything


@dataclass(frozen=True, slots=True)
class Working:
    """An unfinished order. ``asked`` does not outlive the process: nobody would know it any more."""

    view: OrderView
    binding: Binding = Binding.OPENS
    stage: Stage = Stage.RESTING
    level_px: int | None = None  # the price of the instant that triggered it
    is_reached: bool = False  # a stop-limit order whose stop was reached: from then on a limit order
    is_touched: bool = False  # the tick before touched a stop that needs two
    opens_ms: int | None = None  # market on open: not before
    cost_pxcu: int = 0  # of what was executed
    sent_ms: int = 0  # when it was last sent to be executed
    asked: str = field(default="", compare=False)

    @property
    def order_id(self) -> int:
        """Its id."""
        return self.view.order_id

    @property
    def left_cu(self) -> int:
        """What is not executed yet."""
        return self.view.volume_cu - self.view.executed_cu

    @property
    def is_pending(self) -> bool:
        """Whether a client sees it among the pending orders."""
        return self.view.kind not in AT_ONCE or self.opens_ms is not None

    @property
    def rests_at_limit(self) -> bool:
        """Whether it fills at its limit or better, and at nothing else."""
        return self.view.kind is OrderKind.LIMIT or self.is_reached

    def limit_px(self, step_px: int) -> int | None:
        """Return the worst price at which it may fill; None = any."""
        view = self.view
        if view.kind not in _LIMITS:
            return None
        if view.kind is OrderKind.LIMIT or view.stop_px is None:
            return view.limit_px
        return view.stop_px + view.side * (view.slippage_points or 0) * step_px

    def filled(self, volume_cu: int, price_px: int, ts_ms: int) -> Working:
        """Return it after one more deal."""
        cost, executed = self.cost_pxcu + price_px * volume_cu, self.view.executed_cu + volume_cu
        is_done = executed == self.view.volume_cu
        view = replace(
            self.view,
            executed_cu=executed,
            execution_px=mean_px(cost, executed),
            status=OrderStatus.FILLED if is_done else OrderStatus.ACCEPTED,
            updated_ms=ts_ms,
            closed_ms=ts_ms if is_done else None,
        )
        return replace(self, view=view, cost_pxcu=cost)

    def ended(self, status: OrderStatus, ts_ms: int) -> OrderView:
        """Return its last state."""
        return replace(self.view, status=status, updated_ms=ts_ms, closed_ms=ts_ms)


def trigger_px(working: Working, tick: FeedTick, step_px: int) -> int | None:
    """Return the price of the instant at which this tick meets the order's price; None = it does not.

    A tick passes through every price, so that is the order's own; a jump passes through none, so it is the quote's.
    """
    view = working.view
    quote_px = tick.quote_px(view.side)
    if working.rests_at_limit:
        limit_px = working.limit_px(step_px)
        if limit_px is None or (quote_px - limit_px) * view.side > 0:
            return None
        return quote_px if tick.is_jump else limit_px
    if view.stop_px is None or not touches(working, tick):
        return None
    trigger = view.brackets.trigger
    if tick.is_jump or needs_two(trigger):
        return quote_px
    spread_px = tick.ask_px - tick.bid_px
    return view.stop_px + view.side * spread_px if sees_opposite(trigger) else view.stop_px


def touches(working: Working, tick: FeedTick) -> bool:
    """Return whether the quote that its trigger method looks at has reached the stop price."""
    view = working.view
    if view.stop_px is None or working.rests_at_limit:
        return False
    sees_ask = (view.side > 0) != sees_opposite(view.brackets.trigger)
    quote_px = tick.ask_px if sees_ask else tick.bid_px
    return (quote_px - view.stop_px) * view.side >= 0


def time_in_force_of(order: NewOrder) -> TimeInForce:
    """Return how long an order lives: market orders never wait, whatever was said, but for the next open."""
    said = order.time_in_force
    if order.kind not in AT_ONCE:
        return TimeInForce.GOOD_TILL_CANCEL if said is None else said
    return TimeInForce.IMMEDIATE_OR_CANCEL if said is None or said in _WAITING else said


def reported(order: NewOrder) -> Brackets:
    """Return the protection that an order asks for as the venue reports it: as distances (sheet 5.3)."""
    asked = order.brackets
    price = order.limit_px if order.kind is OrderKind.LIMIT else order.stop_px
    if price is None:
        return asked
    return replace(
        asked,
        sl_px=None,
        tp_px=None,
        sl_distance_px=asked.sl_distance_px if asked.sl_px is None else abs(price - asked.sl_px),
        tp_distance_px=asked.tp_distance_px if asked.tp_px is None else abs(price - asked.tp_px),
    )
