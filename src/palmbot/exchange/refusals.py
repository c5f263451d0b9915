"""Refusals that more than one part of the exchange says, in the words of the sheet (4.9)."""

from __future__ import annotations

from palmbot.exchange.account import Account
from palmbot.exchange.conduct import VenueKnobs
from palmbot.exchange.listing import Listing, TradingMode
from palmbot.exchange.values import AccessRights, Refused, Via

_NO_TRADING = frozenset({AccessRights.NO_TRADING, AccessRights.NO_LOGIN})
_DISABLED = frozenset({TradingMode.DISABLED_WITHOUT_PENDINGS_EXECUTION, TradingMode.DISABLED_WITH_PENDINGS_EXECUTION})


def invalid(text: str) -> Refused:
    """Refuse a malformed request."""
    return Refused("INVALID_REQUEST", text, Via.ERROR_RES)


def no_symbol(knobs: VenueKnobs, symbol_id: int) -> Refused:
    """Refuse a symbol that is not listed."""
    return Refused(knobs.unknown_symbol_code, f"Symbol not found with id {symbol_id}")


def no_position(position_id: int) -> Refused:
    """Refuse a position that is not there."""
    return Refused("POSITION_NOT_FOUND", f"Position not found with id {position_id}", position_id=position_id)


def no_order(order_id: int) -> Refused:
    """Refuse an order that is not there."""
    return Refused("ORDER_NOT_FOUND", f"Order not found with id {order_id}", order_id=order_id)


def barred(account: Account) -> Refused | None:
    """Refuse whatever an account asks for that may not trade; None where it may."""
    if account.terms.rights in _NO_TRADING:
        return Refused("TRADING_NOT_ALLOWED", "The account may not trade")
    return None


def disabled(listing: Listing) -> Refused | None:
    """Refuse whatever is asked for in a symbol that is not traded; None where it is."""
    if listing.trading_mode in _DISABLED or not listing.is_enabled:
        return Refused("TRADING_DISABLED", f"Trading of {listing.name} is disabled")
    return None
