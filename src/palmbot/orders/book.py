"""The bot's own account book: what it asked for, what the broker said, what it holds.

It believes the broker: balance, levels and volume are copied from the newest event, money from closing deals. A deal
counts once however often it is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
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

EARLIER_MAX = 64
REFUSALS = {
    "NOT_ENOUGH_MONEY": Reason.NOT_ENOUGH_MONEY,
    "MARKET_CLOSED": Reason.MARKET_CLOSED,
}


@dataclass(frozen=True, slots=True)
class Holding:
    """The open position of this bot, and how it came about. ``sl_px`` 0: its protective order is not in place."""

    position: BrokerPosition
    reason: int
    sl_first_px: int
    tp_px: int
    sl_px: int
    sl_wanted_px: int  # where the protective order should be: as last seen, before that as asked for
    tp_wanted_px: int
    risk_minor: float
    tp_first_px: int = 0
    protection_id: int = 0  # order id of the protective order; 0 until one was seen

    @property
    def is_protected(self) -> bool:
        """Whether the broker reported the stop."""
        return self.sl_px != 0

    def seen(self, position: BrokerPosition, protection_id: int) -> Holding:
        """Return what is held after the broker showed ``position``; ``protection_id`` 0 = it showed no such order."""
        sl_px, tp_px = position.sl_px or 0, position.tp_px or 0
        return replace(
            self,
            position=position,
            sl_px=sl_px,
            tp_px=tp_px,
            sl_first_px=self.sl_first_px or sl_px,
            tp_first_px=self.tp_first_px or tp_px,
            sl_wanted_px=sl_px or self.sl_wanted_px,
            tp_wanted_px=tp_px or self.tp_wanted_px,
            protection_id=protection_id or self.protection_id,
        )

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
        self.balance_version = 0  # as the broker counts changes of the balance, when it was last asked
        self.holding: Holding | None = None
        self._requests: dict[str, _Request] = {}
        self._open: dict[str, _Request] = {}  # those whose outcome is not known yet
        self._tries: dict[tuple[int, IntentKind], int] = {}  # made so far, by bar and leg
        self._earlier: dict[str, OrderIntent] = {}  # entries of earlier runs that may still be filled
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
        return 1 + self._tries.get((bar_end_ms, leg), 0)

    def intend(self, intent: OrderIntent) -> None:
        """Note a request that is about to be journaled and sent."""
        self._forget_old()
        leg = (intent.bar_end_ms, intent.kind)
        self._tries[leg] = 1 + self._tries.pop(leg, 0)  # the newest stand last
        self._requests[intent.client_order_id] = self._open[intent.client_order_id] = _Request(intent, Phase.INTENDED)

    def remember(self, intents: Mapping[str, OrderIntent]) -> None:
        """Keep the newest entries of earlier runs: one that was accepted before a crash may be filled after it."""
        entries = [each for each in intents.values() if each.kind is IntentKind.ENTER]
        self._earlier = {each.client_order_id: each for each in entries[-EARLIER_MAX:]}

    def recall(self, intent: OrderIntent) -> None:
        """Note a request that was sent, also one of an earlier run, of which the end was not heard."""
        if intent.client_order_id not in self._requests:
            self.intend(intent)
            self.happened(intent.client_order_id, Happening.SUBMIT)

    def has_counted(self, deal_id: int) -> bool:
        """Return whether a deal was taken in before."""
        return deal_id in self._deals

    def happened(self, client_order_id: str, happening: Happening) -> None:
        """Move a request on."""
        self._step(self._requests[client_order_id], happening)

    def own(self, account: AccountSnapshot) -> tuple[BrokerPosition, ...]:
        """Return the open positions of ``account`` that are this bot's; more than one is a divergence."""
        return tuple(each for each in account.positions if self.owner.owns(each.label) and each.volume_cu > 0)

    def adopt(self, account: AccountSnapshot, intents: Mapping[str, OrderIntent]) -> tuple[BrokerPosition, ...]:
        """Take over from the broker what is this bot's own; return it.

        Args:
            account: the broker's answer.
            intents: journaled entries by client order id, for risk and reason.
        """
        self.balance_minor, self.balance_version = account.balance_minor, account.balance_version
        own = self.own(account)
        if not own:
            self.holding = None
            return own
        position, known = own[0], self.holding
        if known is None or known.position.position_id != position.position_id:
            known = _begun(position, intents.get(position.label))
            self._closing = []
        guards = [each for each in account.orders if each.kind is OrderKind.PROTECTION]
        protection_id = next((each.order_id for each in guards if each.position_id == position.position_id), 0)
        self.holding = known.seen(position, protection_id)
        return own

    def apply(self, event: OrderEvent) -> Closed | None:
        """Take in one event; return the position's end when it brought it."""
        request = self._requests.get(event.request_id)
        if request is not None and request.phase not in FINAL:
            self._move(request, event)
        closed = None
        fill = event.fill
        if fill is not None:
            if fill.deal_id in self._deals:
                return None  # told before: what it says of the position may be old
            self._deals[fill.deal_id] = None
            if fill.close is None:
                self._opened(event)
            else:
                self.balance_minor = fill.close.balance_minor  # of the account, whoever's position it was
                closed = self._reduced(event, fill, request)
        if self.holding is not None and closed is None:
            self._copy_levels(event)
        return closed

    def refusal(self, event: OrderEvent) -> tuple[OrderIntent, Reason] | None:
        """Return the request that ``event`` refused, and why; None when it refused none."""
        request = self._requests.get(event.request_id)
        if request is None or request.phase in FINAL or not _is_refusal(event):
            return None
        return request.intent, REFUSALS.get(event.error_code, Reason.BROKER_REJECTED)

    def _move(self, request: _Request, event: OrderEvent) -> None:
        if _is_refusal(event):
            self._step(request, Happening.REFUSE)
        elif event.execution is Execution.REPLACED or _fills(event):
            self._step(request, Happening.FILL)
        elif event.execution is Execution.ACCEPTED and request.phase is not Phase.ACCEPTED:
            self._step(request, Happening.ACCEPT)

    def _step(self, request: _Request, happening: Happening) -> None:
        request.phase = apply(request.phase, happening)
        if request.phase in FINAL:
            del self._open[request.intent.client_order_id]

    def _opened(self, event: OrderEvent) -> None:
        position = event.position
        if position is None or not self.owner.owns(position.label):
            return
        request, known = self._requests.get(position.label), self.holding
        intent = self._earlier.get(position.label) if request is None else request.intent
        self.holding = _begun(position, intent)
        if known is not None and known.position.position_id == position.position_id:  # one more slice of the entry
            self.holding = replace(self.holding, protection_id=known.protection_id)
        else:
            self._closing = []

    def _reduced(self, event: OrderEvent, fill: Fill, request: _Request | None) -> Closed | None:
        close, holding = fill.close, self.holding
        if close is None or holding is None or fill.position_id != holding.position.position_id:
            return None
        self._closing.append(fill)
        left_cu = holding.position.volume_cu - close.closed_cu if event.position is None else event.position.volume_cu
        if left_cu > 0:
            self.holding = replace(holding, position=replace(holding.position, volume_cu=left_cu))
            return None
        trade = _trade(holding, self._closing, self._exit_reason(event, fill, request))
        self.holding = None
        return Closed(trade, close.balance_minor)

    def _exit_reason(self, event: OrderEvent, fill: Fill, request: _Request | None) -> int:
        """Tell stop from target by price against the levels, a request of ours by its own reason."""
        if request is not None and request.intent.kind is IntentKind.CLOSE:
            return request.intent.reason
        order, holding = event.order, self.holding
        if holding is None:
            return int(Reason.MANUAL)
        by_guard = fill.order_id == holding.protection_id if order is None else order.kind is OrderKind.PROTECTION
        if not by_guard:
            return int(Reason.MANUAL)
        target = holding.tp_px if order is None or order.tp_px is None else order.tp_px
        if target and (fill.price_px - target) * holding.position.side >= 0:
            return int(Reason.TP)
        stop = holding.sl_px if order is None or order.sl_px is None else order.sl_px
        return int(Reason.SL if holding.sl_first_px in (stop, 0) else Reason.TRAIL)

    def _copy_levels(self, event: OrderEvent) -> None:
        position, holding = event.position, self.holding
        if position is None or holding is None or position.position_id != holding.position.position_id:
            return
        if position.volume_cu == 0:
            return
        order = event.order
        protection_id = order.order_id if order is not None and order.kind is OrderKind.PROTECTION else 0
        self.holding = holding.seen(position, protection_id)

    def _forget_old(self) -> None:
        """Keep memory flat: ended requests matter for one bar, deals for the newest few hundred."""
        while len(self._requests) > 64:
            oldest = next(iter(self._requests))
            if self._requests[oldest].phase not in FINAL:
                break
            del self._requests[oldest]
        while len(self._deals) > 1_000:
            del self._deals[next(iter(self._deals))]
        while len(self._tries) > 64:
            del self._tries[next(iter(self._tries))]


def _begun(position: BrokerPosition, intent: OrderIntent | None) -> Holding:
    """Return the holding of a position just met, at the levels its entry asked for; 0 where that is not known."""
    if intent is None:
        return Holding(position, 0, 0, 0, 0, 0, 0, 0.0)
    stop = position.entry_px - position.side * intent.sl_px
    target = position.entry_px + position.side * intent.tp_px
    return Holding(position, intent.reason, stop, 0, 0, stop, target, intent.risk_minor, target)


def _trade(holding: Holding, fills: list[Fill], reason: int) -> Trade:
    """Return the trade that ``fills`` completed: money summed, exit price weighted by volume."""
    closes = [fill.close for fill in fills if fill.close is not None]
    volume_cu = sum(close.closed_cu for close in closes)
    value = sum(fill.price_px * fill.close.closed_cu for fill in fills if fill.close is not None)
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
        tp_px=holding.tp_first_px,
    )


def _fills(event: OrderEvent) -> bool:
    """Return whether a request has got all that it will get: volumes decide, not the event's name (sheet 6.2)."""
    order = event.order
    if order is None or event.execution not in {Execution.FILLED, Execution.PARTIAL_FILL, Execution.CANCELLED}:
        return event.execution is Execution.FILLED
    rest_is_cancelled = event.execution is Execution.CANCELLED and order.executed_cu > 0 and not event.server_made
    return rest_is_cancelled or 0 < order.volume_cu <= order.executed_cu


def _is_refusal(event: OrderEvent) -> bool:
    if event.execution in {Execution.ERROR, Execution.REJECTED, Execution.EXPIRED}:
        return True
    unfilled = event.order is not None and event.order.executed_cu == 0 and event.order.kind is OrderKind.MARKET
    return event.execution is Execution.CANCELLED and unfilled and not event.server_made
