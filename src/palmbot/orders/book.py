"""The bot's own account book: what it asked for, what the broker said, what it holds.

It believes the broker: balance, levels and volume are copied from the newest event, money from closing deals. A deal
counts once however often it is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from palmbot.core.types import Position, Reason
from palmbot.model import (
    AccountSnapshot,
    BrokerPosition,
    Execution,
    Fill,
    IntentKind,
    OrderEvent,
    OrderIntent,
    OrderKind,
    Trade,
)
from palmbot.orders.identity import Owner
from palmbot.orders.lifecycle import FINAL, Happening, Phase, apply

REFUSALS = {
    "NOT_ENOUGH_MONEY": Reason.NOT_ENOUGH_MONEY,
    "MARKET_CLOSED": Reason.MARKET_CLOSED,
}


@dataclass(frozen=True, slots=True)
class Holding:
    """The open position of this bot, and how it came about. ``sl_px`` 0: its protective order is not yet seen."""

    position: BrokerPosition
    reason: int
    sl_first_px: int
    tp_px: int
    sl_px: int
    sl_wanted_px: int  # where the first protective order should be; known from the fill on
    tp_wanted_px: int
    risk_minor: float

    @property
    def is_protected(self) -> bool:
        """Whether the broker reported the stop."""
        return self.sl_px != 0

    def core(self, bars_held: int) -> Position:
        """Return the position as the decision core sees it."""
        held = self.position
        sl_px = self.sl_px or self.sl_wanted_px
        return Position(
            held.side,
            held.volume_cu,
            held.entry_px,
            sl_px,
            self.tp_px or self.tp_wanted_px,
            self.sl_first_px or sl_px,
            held.open_ms,
            bars_held,
            held.swap_minor,
            held.commission_minor,
        )


@dataclass(frozen=True, slots=True)
class Closed:
    """A position that ended: the trade it was, and the balance after it."""

    trade: Trade
    balance_minor: int


@dataclass(slots=True)
class _Request:
    intent: OrderIntent
    phase: Phase


class Book:
    """What one bot on one account and symbol knows. Mutable; owned by one task."""

    def __init__(self, owner: Owner, balance_minor: int) -> None:
        self.owner = owner
        self.balance_minor = balance_minor
        self.holding: Holding | None = None
        self._requests: dict[str, _Request] = {}
        self._open: dict[str, _Request] = {}  # those whose outcome is not known yet
        self._deals: dict[int, None] = {}
        self._closing: list[Fill] = []  # the open position's closing deals so far

    @property
    def in_flight(self) -> tuple[OrderIntent, ...]:
        """The requests whose outcome is still open, oldest first."""
        return tuple(each.intent for each in self._open.values())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is awaited: no open request, no position without its protective order."""
        return not self._open and (self.holding is None or self.holding.is_protected)

    def tries(self, bar_end_ms: int, leg: IntentKind) -> int:
        """Return the number of the next try of ``leg`` for a bar, from 1."""
        made = [each for each in self._requests.values() if each.intent.kind is leg]
        return 1 + sum(each.intent.bar_end_ms == bar_end_ms for each in made)

    def intend(self, intent: OrderIntent) -> None:
        """Note a request that is about to be journaled and sent."""
        self._forget_old()
        self._requests[intent.client_order_id] = self._open[intent.client_order_id] = _Request(intent, Phase.INTENDED)

    def happened(self, client_order_id: str, happening: Happening) -> None:
        """Move a request on."""
        self._step(self._requests[client_order_id], happening)

    def adopt(self, account: AccountSnapshot, intents: dict[str, OrderIntent]) -> tuple[BrokerPosition, ...]:
        """Take over from the broker what is this bot's own; return all own positions (more than one is a divergence).

        Args:
            account: the broker's answer.
            intents: journaled entries by client order id, for risk and reason.
        """
        self.balance_minor = account.balance_minor
        own = tuple(each for each in account.positions if self.owner.owns(each.label) and each.volume_cu > 0)
        if not own:
            self.holding = None
            return own
        position, known = own[0], self.holding
        if known is not None and known.position.position_id == position.position_id:
            self.holding = replace(known, position=position, sl_px=position.sl_px or 0, tp_px=position.tp_px or 0)
            return own
        intent = intents.get(position.label)
        first = 0 if intent is None else position.entry_px - position.side * intent.sl_px
        wanted = 0 if intent is None else position.entry_px + position.side * intent.tp_px
        self.holding = Holding(
            position=position,
            reason=0 if intent is None else intent.reason,
            sl_first_px=first or (position.sl_px or 0),
            tp_px=position.tp_px or 0,
            sl_px=position.sl_px or 0,
            sl_wanted_px=first,
            tp_wanted_px=wanted,
            risk_minor=0.0 if intent is None else intent.risk_minor,
        )
        return own

    def apply(self, event: OrderEvent) -> Closed | None:
        """Take in one event; return the position's end when it brought it."""
        request = self._requests.get(event.request_id)
        if request is not None and request.phase not in FINAL:
            self._move(request, event)
        closed = None
        fill = event.fill
        if fill is not None and fill.deal_id not in self._deals:
            self._deals[fill.deal_id] = None
            if fill.close is None:
                self._opened(event, fill)
            elif self.holding is not None and fill.position_id == self.holding.position.position_id:
                closed = self._reduced(event, fill, request)
        if self.holding is not None and closed is None:
            self._copy_levels(event)
        return closed

    def refusal(self, event: OrderEvent) -> tuple[OrderIntent, Reason] | None:
        """Return the request that ``event`` refused, and why; None when it refused none."""
        request = self._requests.get(event.request_id)
        if request is None or not _is_refusal(event):
            return None
        return request.intent, REFUSALS.get(event.error_code, Reason.BROKER_REJECTED)

    def _move(self, request: _Request, event: OrderEvent) -> None:
        if _is_refusal(event):
            self._step(request, Happening.REFUSE)
        elif event.execution in {Execution.FILLED, Execution.REPLACED}:
            self._step(request, Happening.FILL)
        elif event.execution is Execution.ACCEPTED:
            self._step(request, Happening.ACCEPT)

    def _step(self, request: _Request, happening: Happening) -> None:
        request.phase = apply(request.phase, happening)
        if request.phase in FINAL:
            del self._open[request.intent.client_order_id]

    def _opened(self, event: OrderEvent, fill: Fill) -> None:
        position = event.position
        if position is None or not self.owner.owns(position.label):
            return
        request = self._requests.get(position.label)
        intent = None if request is None else request.intent
        stop = 0 if intent is None else fill.price_px - position.side * intent.sl_px
        target = 0 if intent is None else fill.price_px + position.side * intent.tp_px
        reason, risk = (0, 0.0) if intent is None else (intent.reason, intent.risk_minor)
        self._closing = []
        self.holding = Holding(position, reason, stop, 0, 0, stop, target, risk)

    def _reduced(self, event: OrderEvent, fill: Fill, request: _Request | None) -> Closed | None:
        close = fill.close
        if close is None or self.holding is None:
            return None
        self._closing.append(fill)
        self.balance_minor = close.balance_minor
        if event.position is not None and event.position.volume_cu > 0:
            self.holding = replace(self.holding, position=event.position)
            return None
        trade = _trade(self.holding, self._closing, self._exit_reason(event, fill, request))
        self.holding = None
        return Closed(trade, close.balance_minor)

    def _exit_reason(self, event: OrderEvent, fill: Fill, request: _Request | None) -> int:
        """Tell stop from target by price against the levels, a request of ours by its own reason."""
        if request is not None and request.intent.kind is IntentKind.CLOSE:
            return request.intent.reason
        order, holding = event.order, self.holding
        if order is None or holding is None or order.kind is not OrderKind.PROTECTION:
            return int(Reason.MANUAL)
        target = order.tp_px if order.tp_px is not None else holding.tp_px
        if target and (fill.price_px - target) * holding.position.side >= 0:
            return int(Reason.TP)
        stop = order.sl_px if order.sl_px is not None else holding.sl_px
        return int(Reason.SL if stop == holding.sl_first_px else Reason.TRAIL)

    def _copy_levels(self, event: OrderEvent) -> None:
        position, holding = event.position, self.holding
        if position is None or holding is None or position.position_id != holding.position.position_id:
            return
        if position.volume_cu == 0:
            return
        self.holding = replace(
            holding,
            position=position,
            sl_px=position.sl_px if position.sl_px is not None else 0,
            tp_px=position.tp_px if position.tp_px is not None else 0,
        )

    def _forget_old(self) -> None:
        """Keep memory flat: ended requests matter for one bar, deals for the newest few hundred."""
        while len(self._requests) > 64:
            oldest = next(iter(self._requests))
            if self._requests[oldest].phase not in FINAL:
                break
            del self._requests[oldest]
        while len(self._deals) > 1_000:
            del self._deals[next(iter(self._deals))]


def _trade(holding: Holding, fills: list[Fill], reason: int) -> Trade:
    """Return the trade that ``fills`` completed: money summed, exit price weighted by volume."""
    closes = [fill.close for fill in fills if fill.close is not None]
    volume_cu = sum(close.closed_cu for close in closes)
    value = sum(fill.price_px * fill.volume_cu for fill in fills)
    gross, swap = sum(each.gross_minor for each in closes), sum(each.swap_minor for each in closes)
    commission, fee = sum(each.commission_minor for each in closes), sum(each.fee_minor for each in closes)
    return Trade(
        entry_ms=holding.position.open_ms,
        exit_ms=fills[-1].ts_ms,
        side=holding.position.side,
        volume_cu=volume_cu,
        entry_px=holding.position.entry_px,
        exit_px=value / volume_cu,
        exit_reason=reason,
        pnl_minor=gross + swap + commission + fee,
        gross_minor=gross,
        swap_minor=swap,
        commission_minor=commission,
        fee_minor=fee,
        risk_minor=holding.risk_minor,
        sl_px=holding.sl_first_px,
        tp_px=holding.tp_px,
    )


def _is_refusal(event: OrderEvent) -> bool:
    if event.execution in {Execution.ERROR, Execution.REJECTED, Execution.EXPIRED}:
        return True
    unfilled = event.order is not None and event.order.executed_cu == 0 and event.order.kind is OrderKind.MARKET
    return event.execution is Execution.CANCELLED and unfilled and not event.server_made
