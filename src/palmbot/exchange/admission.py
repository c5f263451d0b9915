"""What the exchange refuses, in the sheet's order (11.7) and words (4.9, 5.2, 5.3, 6.9).

Symbol, trading mode and schedule, volume, digits of prices, rules of levels; last the margin. Malformed requests are
refused as errors (2142), the business's own refusals as order errors (2132).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from palmbot.calendar import is_open
from palmbot.exchange import matching
from palmbot.exchange.account import Account
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held
from palmbot.exchange.level_rules import refuses_brackets
from palmbot.exchange.listing import TradingMode
from palmbot.exchange.pit import Pit
from palmbot.exchange.refusals import barred, disabled, invalid, no_position
from palmbot.exchange.values import AccessRights, NewOrder, Refused, TimeInForce
from palmbot.exchange.working import AT_ONCE, time_in_force_of
from palmbot.model import OrderKind
from palmbot.protocol.codec import LATEST_MS

LABEL_MAX, COMMENT_MAX, CLIENT_ID_MAX = 100, 512, 50
# the prices that a kind of order is made of
_PRICES: Final = {
    OrderKind.MARKET: (),
    OrderKind.MARKET_RANGE: ("base_px", "slippage_points"),
    OrderKind.LIMIT: ("limit_px",),
    OrderKind.STOP: ("stop_px",),
    OrderKind.STOP_LIMIT: ("stop_px", "slippage_points"),
}


class Case(NamedTuple):
    """An order that somebody asks for, and what it meets."""

    floor: Floor
    account: Account
    pit: Pit
    order: NewOrder
    target: Held | None
    is_new: bool = True  # False: the new state of a pending order
    is_reached: bool = False  # of a stop-limit order whose stop was reached

    @property
    def opens(self) -> bool:
        """Whether it may open or raise a position."""
        target, order = self.target, self.order
        if target is None or target.side == order.side:
            return True
        return self.account.is_netted and order.volume_cu > target.volume_cu

    @property
    def waits(self) -> bool:
        """Whether it may be placed while the market is closed."""
        is_pending = self.order.kind not in AT_ONCE and self.floor.conduct.knobs.pending_while_closed
        return is_pending or self.order.time_in_force is TimeInForce.MARKET_ON_OPEN


def refuses(case: Case) -> Refused | None:
    """Return why an order is not accepted; None where it is."""
    for check in _CHECKS:
        refused = check(case)
        if refused is not None:
            return refused
    return None


def _shape(case: Case) -> Refused | None:
    order = case.order
    if order.kind not in _PRICES:
        return invalid(f"Orders of type {order.kind.name} are made by the server alone")
    if order.side not in {1, -1}:
        return invalid("An order buys or sells")
    for text, limit in ((order.label, LABEL_MAX), (order.comment, COMMENT_MAX), (order.client_order_id, CLIENT_ID_MAX)):
        if len(text) > limit:
            return invalid(f"A text is longer than {limit} characters")
    if order.time_in_force is TimeInForce.MARKET_ON_OPEN and order.kind is not OrderKind.MARKET:
        return invalid("Only a MARKET order can wait for the next open")
    missing = [name for name in _PRICES[order.kind] if getattr(order, name) is None]
    if missing:
        return invalid(f"{order.kind.name} needs {' and '.join(missing)}")
    if case.floor.conduct.knobs.refuses_known_client_ids and case.is_new and order.client_order_id:
        known = (working.view.client_order_id for working in case.account.orders.values())
        if order.client_order_id in known:
            return invalid(f"Client order id {order.client_order_id} is in use")
    return None


def _access(case: Case) -> Refused | None:
    """Refuse what the account may not do."""
    if case.opens and case.account.terms.rights is AccessRights.CLOSE_ONLY:
        return Refused("TRADING_NOT_ALLOWED", "The account may only close positions")
    return barred(case.account)


def _position(case: Case) -> Refused | None:
    """Refuse a named position that cannot be traded into."""
    number, target = case.order.position_id, case.target
    if number is None or case.account.is_netted:
        return None
    if target is None:
        shells = [working.view.position_id for working in case.account.orders.values()]
        if number in shells:
            return Refused("POSITION_NOT_OPEN", f"Position {number} is not open yet", position_id=number)
        return no_position(number)
    if target.symbol_id != case.order.symbol_id:
        return invalid(f"Position {number} is in another symbol")
    if target.side != case.order.side and target.closing_id:
        return locked(case.floor, target)
    return None


def locked(floor: Floor, held: Held) -> Refused:
    """Refuse what would touch a position that is being closed."""
    number = held.position_id
    return Refused(floor.conduct.knobs.busy_position_code, f"Position {number} is being closed", position_id=number)


def _mode(case: Case) -> Refused | None:
    listing = case.pit.listing
    refused = disabled(listing)
    if refused is not None or not case.opens:
        return refused
    if listing.trading_mode is TradingMode.CLOSE_ONLY_MODE:
        return Refused("TRADING_DISABLED", f"Positions in {listing.name} can only be closed")
    if case.order.side < 0 and not listing.has_short_selling:
        return Refused("SHORT_SELLING_NOT_ALLOWED", f"{listing.name} cannot be sold short")
    return None


def _hours(case: Case) -> Refused | None:
    return None if case.waits else refuses_hours(case.floor, case.pit)


def refuses_hours(floor: Floor, pit: Pit) -> Refused | None:
    """Return why nothing can be traded in a pit now; None where it can."""
    if pit.last is None:
        return Refused("NO_QUOTES", "There is no quote yet")
    if pit.is_open(floor.now_ms):
        return None
    session = pit.listing.spec.session
    if session.holidays and is_open(floor.now_ms, replace(session, holidays=frozenset())):
        return Refused("SYMBOL_HAS_HOLIDAY", "The market is closed for a holiday")
    return Refused("MARKET_CLOSED", "The market is closed")


def _volume(case: Case) -> Refused | None:
    order, listing, account = case.order, case.pit.listing, case.account
    if not is_volume(case.pit, order.volume_cu):
        return bad_volume(f"Volume {order.volume_cu} is outside minimum, maximum or step")
    if not case.opens:
        if not account.is_netted and case.target is not None:
            return refuses_part(case.pit, case.target, order.volume_cu)
        return None
    if listing.max_exposure_cu is not None:
        held = sum(each.side * each.volume_cu for each in account.open if each.symbol_id == listing.symbol_id)
        if abs(held + order.side * order.volume_cu) > listing.max_exposure_cu:
            return Refused("MAX_EXPOSURE_REACHED", f"More than {listing.max_exposure_cu} may not be open")
    most = case.floor.conduct.knobs.positions_max
    if most is not None and case.target is None and case.is_new and len(account.open) >= most:
        return Refused("TOO_MANY_POSITIONS", f"More than {most} positions may not be open")
    return None


def bad_volume(text: str) -> Refused:
    """Refuse a volume."""
    return Refused("TRADING_BAD_VOLUME", text)


def is_volume(pit: Pit, volume_cu: int) -> bool:
    """Return whether a volume is within minimum, maximum and step of a symbol."""
    core = pit.listing.spec.core
    return core.volume_min_cu <= volume_cu <= core.volume_max_cu and volume_cu % core.volume_step_cu == 0


def refuses_part(pit: Pit, held: Held, volume_cu: int) -> Refused | None:
    """Return why a part of a position cannot be closed: it, and what is left, must be volumes."""
    rest_cu = held.volume_cu - volume_cu
    if rest_cu == 0 or (is_volume(pit, volume_cu) and is_volume(pit, rest_cu)):
        return None
    return replace(bad_volume(f"Volume {volume_cu} cannot be closed of {held.volume_cu}"), position_id=held.position_id)


def _prices(case: Case) -> Refused | None:
    order, step_px = case.order, case.pit.listing.spec.core.step_px
    asked = order.brackets
    for price in (order.limit_px, order.stop_px, order.base_px, asked.sl_px, asked.tp_px):
        if price is not None and (price <= 0 or price % step_px != 0):
            return Refused("TRADING_BAD_PRICES", f"Price {price} has more digits than the symbol allows")
    if order.slippage_points is not None and order.slippage_points < 0:
        return Refused("TRADING_BAD_PRICES", "Slippage in points must not be negative")
    for leg, distance_px in (("stop loss", asked.sl_distance_px), ("take profit", asked.tp_distance_px)):
        if distance_px is not None and (distance_px <= 0 or distance_px % step_px != 0):
            return invalid(f"Relative {leg} has invalid precision: {distance_px}")
    tick = case.pit.last
    if order.stop_px is not None and tick is not None and not case.is_reached:
        quote_px = tick.quote_px(order.side)
        if (order.stop_px - quote_px) * order.side <= 0:
            return Refused("TRADING_BAD_PRICES", f"Stop price {order.stop_px} is on the wrong side of {quote_px}")
    return None


def _expiry(case: Case) -> Refused | None:
    order = case.order
    if time_in_force_of(order) is not TimeInForce.GOOD_TILL_DATE:
        return None
    if order.expires_ms is None or not case.floor.now_ms < order.expires_ms <= LATEST_MS:
        return Refused("TRADING_BAD_EXPIRATION_DATE", "An order must expire in the future, and in this age")
    return None


def _levels(case: Case) -> Refused | None:
    if not case.opens:
        return None
    return refuses_brackets(case.floor, case.account, case.pit, case.order)


def _margin(case: Case) -> Refused | None:
    """Refuse a market order whose margin at the fill price is not free; others are tested when they are filled."""
    order = case.order
    if order.kind not in AT_ONCE or order.time_in_force is TimeInForce.MARKET_ON_OPEN:
        return None
    strike = matching.market_strike(case.floor, case.pit, order.side)
    stake = (order.symbol_id, order.side)
    return matching.refuses_margin(case.floor, case.account, stake, case.target, (order.volume_cu, strike))


_CHECKS: Final[tuple[Callable[[Case], Refused | None], ...]] = (
    _shape,
    _position,
    _access,
    _mode,
    _hours,
    _volume,
    _prices,
    _expiry,
    _levels,
    _margin,
)
