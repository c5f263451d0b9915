"""A hedged account: balance, open positions, and the exact events that each change of them makes.

Money is ``core/fills`` alone; the sequences are those of the protocol sheet (6.1, 6.4-6.6). Opening a position leaves
the balance as it is; a closing deal books everything at once (PARITY 8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from palmbot.core import fills
from palmbot.core.rounding import mul_div_half_away
from palmbot.core.types import Position
from palmbot.errors import InvariantError
from palmbot.instruments import InstrumentSpec
from palmbot.model import (
    AccountSnapshot,
    BrokerOrder,
    BrokerPosition,
    Close,
    Execution,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderKind,
)

ACCOUNT_ID = 1


class Strike(NamedTuple):
    """How an order met the market. ``price_px`` includes both costs; they are told apart for the cost report only."""

    ts_ms: int
    price_px: int
    rate_e8: int
    spread_px: int
    slippage_px: int


@dataclass(frozen=True, slots=True)
class Held:
    """An open position and the protective order that guards it."""

    position_id: int
    protection_id: int
    label: str
    core: Position  # ``sl_first_px`` and ``bars_held`` are the bot's business and 0 here
    margin_minor: int
    spread_px: int  # at the entry
    slippage_px: int
    protected_ms: int  # when the protective order last changed


@dataclass(frozen=True, slots=True)
class Deal:
    """A fill, and the spread and slippage in it as money <= 0; both are stated at the close, for both sides."""

    fill: Fill
    spread_minor: int = 0
    slippage_minor: int = 0


@dataclass(frozen=True, slots=True)
class Booking:
    """What one request or one tick did, in order: to be committed first, then told."""

    events: tuple[OrderEvent, ...] = ()
    deals: tuple[Deal, ...] = ()

    def __add__(self, later: Booking) -> Booking:
        return Booking(self.events + later.events, self.deals + later.deals)

    @property
    def changes_account(self) -> bool:
        """Whether there is anything to commit: a plain refusal changes nothing."""
        return any(event.order is not None or event.position is not None for event in self.events)


NOTHING = Booking()


@dataclass(frozen=True, slots=True)
class Counters:
    """The last id given, by kind."""

    order: int = 0
    position: int = 0
    deal: int = 0


class Account:
    """One account in one symbol. It obeys: what may be asked for is checked in ``matching``."""

    def __init__(
        self,
        spec: InstrumentSpec,
        balance_minor: int,
        held: tuple[Held, ...] = (),
        counters: Counters | None = None,
    ) -> None:
        self.spec = spec
        self.balance_minor = balance_minor
        self.positions = {each.position_id: each for each in held}  # by id, for ids only grow
        self.counters = Counters() if counters is None else counters

    @property
    def side(self) -> int:
        """Side of the net volume: 1, -1, or 0 where it is flat or balanced."""
        net = sum(each.core.side * each.core.volume_cu for each in self.positions.values())
        return (net > 0) - (net < 0)

    @property
    def used_margin_minor(self) -> int:
        """Margin held by all open positions."""
        return sum(each.margin_minor for each in self.positions.values())

    def equity_minor(self, bid_px: int, spread_px: int, rate_e8: int) -> int:
        """Return balance and floating result at a quote (PARITY 11)."""
        core = self.spec.core
        floating = (
            fills.floating_minor(core, each.core, bid_px, spread_px, rate_e8) for each in self.positions.values()
        )
        return self.balance_minor + sum(floating)

    def snapshot(self) -> AccountSnapshot:
        """Return what a reconcile shows: open positions and their protective orders."""
        core = self.spec.core
        return AccountSnapshot(
            account_id=ACCOUNT_ID,
            balance_minor=self.balance_minor,
            money_digits=core.money_digits,
            leverage=core.leverage,
            hedged=True,
            positions=tuple(self._position(each) for each in self.positions.values()),
            orders=tuple(self._protection(each) for each in self.positions.values()),
        )

    # -- what can happen

    def enter(self, intent: OrderIntent, strike: Strike) -> Booking:
        """Open a position at ``strike`` with its levels at the asked distances from the fill (sheet 6.1)."""
        core, side, volume = self.spec.core, intent.side, intent.volume_cu
        ts_ms, price, rate = strike.ts_ms, strike.price_px, strike.rate_e8
        order, shell = self._new_market_order(intent, ts_ms)
        self.counters = replace(self.counters, order=self.counters.order + 1)
        commission = fills.commission_minor(core, price, volume, rate)
        held = Held(
            position_id=shell.position_id,
            protection_id=self.counters.order,
            label=intent.client_order_id,
            core=Position(
                side=side,
                volume_cu=volume,
                entry_px=price,
                sl_px=price - side * intent.sl_px,
                tp_px=price + side * intent.tp_px,
                entry_ms=ts_ms,
                commission_minor=commission,
            ),
            margin_minor=fills.margin_minor(core, price, volume, rate),
            spread_px=strike.spread_px,
            slippage_px=strike.slippage_px,
            protected_ms=ts_ms,
        )
        self.positions[held.position_id] = held
        position = self._position(held)
        bare = replace(position, sl_px=None, tp_px=None)
        fill = self._new_fill(order, ts_ms, price, commission, None)
        asked = intent.client_order_id
        filled = replace(order, executed_cu=volume)
        return Booking(
            (
                OrderEvent(Execution.ACCEPTED, ts_ms, order, shell, request_id=asked),
                OrderEvent(Execution.FILLED, ts_ms, filled, bare, fill, request_id=asked),
                OrderEvent(Execution.ACCEPTED, ts_ms, self._protection(held), position, server_made=True),
            ),
            (Deal(fill),),
        )

    def reject(self, intent: OrderIntent, ts_ms: int, error_code: str) -> Booking:
        """Accept a market order, then reject it: the refusal that comes after an order exists (sheet 6.9)."""
        order, shell = self._new_market_order(intent, ts_ms)
        asked = intent.client_order_id
        return Booking(
            (
                OrderEvent(Execution.ACCEPTED, ts_ms, order, shell, request_id=asked),
                OrderEvent(Execution.REJECTED, ts_ms, order, shell, error_code=error_code, request_id=asked),
            )
        )

    def close(self, held: Held, volume_cu: int, client_order_id: str, strike: Strike) -> Booking:
        """Close ``volume_cu`` of a position by request, all of it or a part (sheet 6.5)."""
        ts_ms = strike.ts_ms
        before = self._position(held)
        self.counters = replace(self.counters, order=self.counters.order + 1)
        order = BrokerOrder(
            order_id=self.counters.order,
            client_order_id=client_order_id,
            kind=OrderKind.MARKET,
            symbol=self.spec.symbol,
            side=-held.core.side,
            volume_cu=volume_cu,
            executed_cu=0,
            position_id=held.position_id,
            closing=True,
            sl_px=None,
            tp_px=None,
            updated_ms=ts_ms,
        )
        filled = replace(order, executed_cu=volume_cu)
        deal, rest = self._reduce(held, filled, strike)
        if rest is None:
            flat = self._flat(held)
            after = replace(flat, sl_px=before.sl_px, tp_px=before.tp_px)  # shown until the protective order is gone
            cancelled = replace(self._protection(held), updated_ms=ts_ms)
            last = OrderEvent(Execution.CANCELLED, ts_ms, cancelled, flat, server_made=True)
        else:
            after = self._position(rest)
            last = OrderEvent(Execution.REPLACED, ts_ms, self._protection(rest), after, server_made=True)
        return Booking(
            (
                OrderEvent(Execution.ACCEPTED, ts_ms, order, before, request_id=client_order_id),
                OrderEvent(Execution.FILLED, ts_ms, filled, after, deal.fill, request_id=client_order_id),
                last,
            ),
            (deal,),
        )

    def hit(self, held: Held, strike: Strike) -> Booking:
        """Close a position by its protective order: one event, nobody asked for it (sheet 6.4)."""
        order = replace(self._protection(held), executed_cu=held.core.volume_cu, updated_ms=strike.ts_ms)
        deal, _ = self._reduce(held, order, strike)
        event = OrderEvent(Execution.FILLED, strike.ts_ms, order, self._flat(held), deal.fill, server_made=True)
        return Booking((event,), (deal,))

    def amend(self, held: Held, intent: OrderIntent, ts_ms: int) -> Booking:
        """Move both levels of a position (sheet 6.6)."""
        levels = held.core._replace(sl_px=intent.sl_px, tp_px=intent.tp_px)
        held = self._keep(replace(held, core=levels, protected_ms=ts_ms))
        order, position = self._protection(held), self._position(held)
        return Booking((OrderEvent(Execution.REPLACED, ts_ms, order, position, request_id=intent.client_order_id),))

    def charge(self, held: Held, swap_minor: int, instant_ms: int) -> Booking:
        """Let a swap or a roll accrue in a position; nothing to tell where it is 0."""
        if swap_minor == 0:
            return NOTHING
        held = self._keep(replace(held, core=held.core._replace(swap_minor=held.core.swap_minor + swap_minor)))
        event = OrderEvent(Execution.SWAP, instant_ms, position=self._position(held), server_made=True)
        return Booking((event,))

    # -- parts of it

    def _keep(self, held: Held) -> Held:
        self.positions[held.position_id] = held
        return held

    def _reduce(self, held: Held, order: BrokerOrder, strike: Strike) -> tuple[Deal, Held | None]:
        """Book the deal that fills the closing ``order``; return it and what is left of the position."""
        core, position, volume = self.spec.core, held.core, order.volume_cu
        price, rate = strike.price_px, strike.rate_e8
        if not 0 < volume <= position.volume_cu:
            raise InvariantError("CLOSED_TOO_MUCH", "Report this: a deal exceeds its position.", volume_cu=volume)
        gross = fills.gross_minor(core, position.side, position.entry_px, price, volume, rate)
        closing = fills.commission_minor(core, price, volume, rate)
        opening = mul_div_half_away(position.commission_minor, volume, position.volume_cu)  # pro rata
        swap = mul_div_half_away(position.swap_minor, volume, position.volume_cu)
        fee = fills.fee_minor(core, gross)
        self.balance_minor += gross + swap + opening + closing + fee
        close = Close(
            entry_px=position.entry_px,
            gross_minor=gross,
            swap_minor=swap,
            commission_minor=opening + closing,
            fee_minor=fee,
            closed_cu=volume,
            balance_minor=self.balance_minor,
            rate_e8=rate,
        )
        # longs pay the spread when they enter, shorts when they leave
        spread = held.spread_px if position.side > 0 else strike.spread_px
        slippage = held.slippage_px + strike.slippage_px
        deal = Deal(
            fill=self._new_fill(order, strike.ts_ms, price, closing, close),
            spread_minor=-fills.money_minor(spread * volume, rate, core.money_digits),
            slippage_minor=-fills.money_minor(slippage * volume, rate, core.money_digits),
        )
        if volume == position.volume_cu:
            del self.positions[held.position_id]
            return deal, None
        rest = position._replace(
            volume_cu=position.volume_cu - volume,
            swap_minor=position.swap_minor - swap,
            commission_minor=position.commission_minor - opening,
        )
        margin = held.margin_minor - mul_div_half_away(held.margin_minor, volume, position.volume_cu)
        return deal, self._keep(replace(held, core=rest, margin_minor=margin, protected_ms=strike.ts_ms))

    def _new_fill(
        self, order: BrokerOrder, ts_ms: int, price_px: int, commission_minor: int, close: Close | None
    ) -> Fill:
        self.counters = replace(self.counters, deal=self.counters.deal + 1)
        return Fill(
            deal_id=self.counters.deal,
            order_id=order.order_id,
            position_id=order.position_id,
            side=order.side,
            volume_cu=order.volume_cu,
            price_px=price_px,
            ts_ms=ts_ms,
            commission_minor=commission_minor,
            close=close,
        )

    def _new_market_order(self, intent: OrderIntent, ts_ms: int) -> tuple[BrokerOrder, BrokerPosition]:
        """Return an accepted market order and the empty shell of the position that it may open."""
        at = self.counters
        self.counters = replace(at, order=at.order + 1, position=at.position + 1)
        order = BrokerOrder(
            order_id=self.counters.order,
            client_order_id=intent.client_order_id,
            kind=OrderKind.MARKET,
            symbol=self.spec.symbol,
            side=intent.side,
            volume_cu=intent.volume_cu,
            executed_cu=0,
            position_id=self.counters.position,
            closing=False,
            sl_px=None,
            tp_px=None,
            updated_ms=ts_ms,
        )
        shell = self._empty(self.counters.position, intent.side, intent.client_order_id, ts_ms)
        return order, shell

    def _position(self, held: Held) -> BrokerPosition:
        core = held.core
        return BrokerPosition(
            position_id=held.position_id,
            symbol=self.spec.symbol,
            side=core.side,
            volume_cu=core.volume_cu,
            entry_px=core.entry_px,
            sl_px=core.sl_px,
            tp_px=core.tp_px,
            swap_minor=core.swap_minor,
            commission_minor=core.commission_minor,
            used_margin_minor=held.margin_minor,
            label=held.label,
            open_ms=core.entry_ms,
        )

    def _flat(self, held: Held) -> BrokerPosition:
        return self._empty(held.position_id, held.core.side, held.label, held.core.entry_ms)

    def _empty(self, position_id: int, side: int, label: str, open_ms: int) -> BrokerPosition:
        return BrokerPosition(position_id, self.spec.symbol, side, 0, 0, None, None, 0, 0, 0, label, open_ms)

    def _protection(self, held: Held) -> BrokerOrder:
        core = held.core
        return BrokerOrder(
            order_id=held.protection_id,
            client_order_id=f"server-{held.protection_id}",
            kind=OrderKind.PROTECTION,
            symbol=self.spec.symbol,
            side=-core.side,
            volume_cu=core.volume_cu,
            executed_cu=0,
            position_id=held.position_id,
            closing=True,
            sl_px=core.sl_px,
            tp_px=core.tp_px,
            updated_ms=held.protected_ms,
        )
