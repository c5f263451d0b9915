"""An open position, exactly: what it cost and owes, how it is guarded, and where its guard meets a tick."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from palmbot.core import fills
from palmbot.core.rounding import mul_div_half_away
from palmbot.core.types import Position, Reason
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.values import (
    NO_BRACKETS,
    Brackets,
    OrderStatus,
    OrderView,
    PositionStatus,
    PositionView,
    TimeInForce,
    Trigger,
)
from palmbot.model import OrderKind

FAR_PX = 1 << 60  # where a level lies that is not there
MEAN_DIGITS = 4  # of a volume-weighted price, in px: beyond what the wire's doubles are read to
_NONE, _TP = int(Reason.NONE), int(Reason.TP)
_OPPOSITE = frozenset({Trigger.OPPOSITE, Trigger.DOUBLE_OPPOSITE})
_DOUBLE = frozenset({Trigger.DOUBLE_TRADE, Trigger.DOUBLE_OPPOSITE})


def mean_px(cost_pxcu: int, volume_cu: int) -> float:
    """Return the volume-weighted price of what cost ``cost_pxcu``, to be shown: exact where it is whole."""
    whole, rest = divmod(cost_pxcu, volume_cu)
    return whole if rest == 0 else round(cost_pxcu / volume_cu, MEAN_DIGITS)


@dataclass(frozen=True, slots=True)
class Levels:
    """What a protective order carries, or is to carry."""

    sl_px: int | None = None
    tp_px: int | None = None
    guaranteed: bool = False
    trailing: bool = False
    trigger: Trigger = Trigger.TRADE

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing to guard by."""
        return self.sl_px is None and self.tp_px is None


BARE = Levels()


@dataclass(frozen=True, slots=True)
class Held:
    """An open position, or one that was closed and whose protective order is still to be cancelled (volume 0).

    ``cost_pxcu`` is what the open volume cost, exactly; a part that is closed takes its share along, and no share is
    lost. The same holds for the spread and slippage in it, which only the cost report asks for.
    """

    position_id: int
    account_id: int
    symbol_id: int
    side: int
    volume_cu: int
    cost_pxcu: int
    open_ms: int
    updated_ms: int
    label: str = ""
    comment: str = ""
    levels: Levels = BARE
    coming: Levels | None = None  # what its protective order will carry once it is placed; None = as it is
    trail_px: int = 0  # distance of a trailing stop
    is_touched: bool = False  # the tick before touched a stop that needs two
    protection_id: int = 0  # 0 = there is no protective order
    protection_ms: int = 0  # when it was placed
    protected_ms: int = 0  # when it last changed
    protected_cu: int = 0  # its volume: that of the position once it was told
    closing_id: int = 0  # an order in flight that closes it; 0 = none
    swap_minor: int = 0
    commission_minor: int = 0
    margin_minor: int = 0
    margin_rate_e8: int = 0
    spread_pxcu: int = 0
    slippage_pxcu: int = 0
    is_gsl_charged: bool = False
    guard: Position = field(init=False, repr=False, compare=False)  # as the core sees it

    def __post_init__(self) -> None:
        side, levels = self.side, self.levels
        guard = Position(
            side=side,
            volume_cu=self.volume_cu,
            sl_px=-side * FAR_PX if levels.sl_px is None else levels.sl_px,
            tp_px=side * FAR_PX if levels.tp_px is None else levels.tp_px,
        )
        object.__setattr__(self, "guard", guard)

    @property
    def wanted(self) -> Levels:
        """The levels that stand, or those that are about to."""
        return self.levels if self.coming is None else self.coming

    @property
    def entry_px(self) -> float:
        """Volume-weighted entry, to be shown; 0 where nothing is open."""
        return mean_px(self.cost_pxcu, self.volume_cu) if self.volume_cu else 0

    def share(self, total: int, volume_cu: int) -> int:
        """Return the part of ``total`` (of the whole position) that belongs to ``volume_cu`` of it, rounded."""
        if volume_cu == self.volume_cu:
            return total
        return int(mul_div_half_away(total, volume_cu, self.volume_cu))

    def without(self, volume_cu: int, ts_ms: int) -> Held:
        """Return what is left after ``volume_cu`` were closed; every charge falls by its share."""
        return replace(
            self,
            volume_cu=self.volume_cu - volume_cu,
            cost_pxcu=self.cost_pxcu - self.share(self.cost_pxcu, volume_cu),
            swap_minor=self.swap_minor - self.share(self.swap_minor, volume_cu),
            commission_minor=self.commission_minor - self.share(self.commission_minor, volume_cu),
            margin_minor=self.margin_minor - self.share(self.margin_minor, volume_cu),
            spread_pxcu=self.spread_pxcu - self.share(self.spread_pxcu, volume_cu),
            slippage_pxcu=self.slippage_pxcu - self.share(self.slippage_pxcu, volume_cu),
            updated_ms=ts_ms,
        )

    def gross_minor(self, exit_px: int, volume_cu: int, rate_e8: int, money_digits: int) -> int:
        """Return the profit of closing ``volume_cu`` at a price, before charges."""
        earned = self.side * (exit_px * volume_cu - self.share(self.cost_pxcu, volume_cu))
        return int(fills.money_minor(earned, rate_e8, money_digits))

    def mark_px(self, tick: FeedTick) -> int:
        """Return the price at which it could be closed."""
        return tick.quote_px(-self.side)

    # -- how it is seen

    def view(self, status: PositionStatus = PositionStatus.OPEN) -> PositionView:
        """Return it as it stands."""
        levels = self.levels
        return PositionView(
            position_id=self.position_id,
            account_id=self.account_id,
            symbol_id=self.symbol_id,
            status=status,
            side=self.side,
            volume_cu=self.volume_cu,
            entry_px=self.entry_px,
            sl_px=levels.sl_px,
            tp_px=levels.tp_px,
            swap_minor=self.swap_minor,
            commission_minor=self.commission_minor,
            used_margin_minor=self.margin_minor,
            margin_rate_e8=self.margin_rate_e8,
            open_ms=self.open_ms,
            updated_ms=self.updated_ms,
            label=self.label,
            comment=self.comment,
            guaranteed=levels.guaranteed,
            trailing=levels.trailing,
            trigger=levels.trigger,
        )

    def closed_view(self, ts_ms: int) -> PositionView:
        """Return it as it is told at its end: no volume, no price, no levels (sheet 6.4)."""
        ended = replace(self, volume_cu=0, cost_pxcu=0, levels=BARE, updated_ms=ts_ms)
        return replace(ended.view(PositionStatus.CLOSED), margin_rate_e8=0, closed_ms=ts_ms)

    def protection(self) -> OrderView:
        """Return its protective order (sheet 6.1): the stop loss is its stop price, the take profit its limit price."""
        levels = self.levels
        flags = Brackets(guaranteed=levels.guaranteed, trailing=levels.trailing, trigger=levels.trigger)
        return OrderView(
            order_id=self.protection_id,
            account_id=self.account_id,
            symbol_id=self.symbol_id,
            kind=OrderKind.PROTECTION,
            status=OrderStatus.ACCEPTED,
            side=-self.side,
            volume_cu=self.protected_cu,
            executed_cu=0,
            position_id=self.position_id,
            closing=True,
            time_in_force=TimeInForce.GOOD_TILL_CANCEL,
            created_ms=self.protection_ms,
            updated_ms=self.protected_ms,
            client_order_id=f"server-{self.protection_id}",
            limit_px=levels.tp_px,
            stop_px=levels.sl_px,
            brackets=NO_BRACKETS if flags == NO_BRACKETS else flags,
        )


def shell_of(order: OrderView, status: PositionStatus = PositionStatus.CREATED) -> PositionView:
    """Return the empty position that a new order may open; with ``CLOSED``, that it did not."""
    is_over = status is PositionStatus.CLOSED
    return PositionView(
        position_id=order.position_id,
        account_id=order.account_id,
        symbol_id=order.symbol_id,
        status=status,
        side=order.side,
        volume_cu=0,
        entry_px=0,
        sl_px=None,
        tp_px=None,
        swap_minor=0,
        commission_minor=0,
        used_margin_minor=0,
        margin_rate_e8=0,
        open_ms=order.created_ms,
        updated_ms=order.updated_ms,
        label=order.label,
        comment=order.comment,
        closed_ms=order.updated_ms if is_over else None,
    )


# -- where it meets a tick


def needs_two(trigger: Trigger) -> bool:
    """Return whether a trigger method needs a second consecutive tick."""
    return trigger in _DOUBLE


def sees_opposite(trigger: Trigger) -> bool:
    """Return whether a trigger method looks at the side of the quote at which it would not fill."""
    return trigger in _OPPOSITE


def touches_stop(held: Held, tick: FeedTick) -> bool:
    """Return whether the quote that its trigger method looks at has reached the stop loss."""
    levels = held.levels
    if levels.sl_px is None:
        return False
    sees_bid = (held.side > 0) != sees_opposite(levels.trigger)
    quote_px = tick.bid_px if sees_bid else tick.ask_px
    return (quote_px - levels.sl_px) * held.side <= 0


def protective_price(held: Held, tick: FeedTick, slippage_px: int) -> tuple[int, int] | None:
    """Return the price at which the protective order fills on this tick and the slippage in it; None = it does not.

    The stop before the target. A guaranteed stop fills at its level whatever happens. Triggers other than TRADE fill as
    a market order does at the instant that triggers.
    """
    levels, side = held.levels, held.side
    spread_px = tick.ask_px - tick.bid_px
    if levels.guaranteed:
        slippage_px = 0
    if levels.trigger is Trigger.TRADE:
        reason, price = fills.protective_fill(held.guard, tick.bid_px, spread_px, slippage_px, tick.is_jump)
        if reason == _NONE:
            return None
        if reason == _TP:
            return price, 0
        return (held.guard.sl_px if levels.guaranteed else price), slippage_px
    if touches_stop(held, tick) and (held.is_touched or not needs_two(levels.trigger)):
        if levels.guaranteed:
            return held.guard.sl_px, 0
        return _after_touch(held, tick, spread_px) - side * slippage_px, slippage_px
    target = held.guard._replace(sl_px=-side * FAR_PX)
    reason, price = fills.protective_fill(target, tick.bid_px, spread_px, 0, tick.is_jump)
    return (price, 0) if reason == _TP else None


def _after_touch(held: Held, tick: FeedTick, spread_px: int) -> int:
    """Return the mark at the instant at which the trigger was met."""
    if held.levels.trigger is Trigger.OPPOSITE and not tick.is_jump:
        return held.guard.sl_px - held.side * spread_px  # the other side passed through the level
    return held.mark_px(tick)
