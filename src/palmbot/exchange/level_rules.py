"""Where stop loss and take profit may lie (sheet 5.3): on their side of the price, not too near, and guaranteed."""

from __future__ import annotations

from palmbot.exchange.account import Account
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held, Levels
from palmbot.exchange.listing import Listing
from palmbot.exchange.matching import market_strike
from palmbot.exchange.pit import Pit
from palmbot.exchange.protection import levels_of
from palmbot.exchange.refusals import invalid
from palmbot.exchange.values import Brackets, NewOrder, Refused
from palmbot.exchange.working import AT_ONCE
from palmbot.model import OrderKind


def bad_stops(text: str) -> Refused:
    """Refuse levels."""
    return Refused("TRADING_BAD_STOPS", text)


def refuses_brackets(floor: Floor, account: Account, pit: Pit, order: NewOrder) -> Refused | None:
    """Return why an order may not ask for its levels; None where it may."""
    asked, listing = order.brackets, pit.listing
    refused = _refuses_form(floor, order) or refuses_guarantee(account, listing, asked)
    if refused is not None:
        return refused
    if order.kind in AT_ONCE:
        price_px = market_strike(floor, pit, order.side).price_px if pit.last is not None else None
        mark_px = None if pit.last is None else pit.last.quote_px(-order.side)
    else:
        price_px = mark_px = order.limit_px if order.kind is OrderKind.LIMIT else order.stop_px
    if price_px is None or mark_px is None:
        return None
    levels = levels_of(asked, order.side, price_px)
    if not _are_apart(levels, order.side, price_px):
        return bad_stops(f"Stop {levels.sl_px} and target {levels.tp_px} must lie around the price {price_px}")
    return _refuses_distance(floor, listing, levels, (order.side, mark_px))


def _refuses_form(floor: Floor, order: NewOrder) -> Refused | None:
    asked = order.brackets
    is_absolute = asked.sl_px is not None or asked.tp_px is not None
    takes_levels = order.kind is OrderKind.MARKET_RANGE and floor.conduct.knobs.range_takes_levels
    if is_absolute and order.kind in AT_ONCE and not takes_levels:
        return invalid("Absolute stop loss and take profit are allowed only for LIMIT, STOP and STOP_LIMIT orders")
    has_both = (asked.sl_px is not None and asked.sl_distance_px is not None) or (
        asked.tp_px is not None and asked.tp_distance_px is not None
    )
    if has_both:
        return invalid("A level is either absolute or relative")
    has_stop = asked.sl_px is not None or asked.sl_distance_px is not None
    if asked.trailing and not has_stop:
        return invalid("A trailing stop needs a stop loss")
    if asked.guaranteed and not has_stop:
        return invalid("A guaranteed stop needs a stop loss")
    return None


def refuses_guarantee(account: Account, listing: Listing, asked: Brackets | Levels) -> Refused | None:
    """Return why a stop may not be guaranteed, or not stay without a guarantee."""
    if asked.guaranteed and not listing.has_guaranteed_stops:
        return bad_stops(f"{listing.name} has no guaranteed stops")
    if account.terms.is_limited_risk and not asked.guaranteed:
        return bad_stops("The account has limited risk: every position needs a guaranteed stop loss")
    return None


def refuses_levels(floor: Floor, account: Account, pit: Pit, held: Held, levels: Levels) -> Refused | None:
    """Return why a position may not be guarded by ``levels``; None where it may. Both legs or none (sheet 5.3)."""
    step_px, tick = pit.listing.spec.core.step_px, floor.last(held.symbol_id)
    for level_px in (levels.sl_px, levels.tp_px):
        if level_px is not None and level_px % step_px != 0:
            return Refused("TRADING_BAD_PRICES", f"Level {level_px} has more digits than the symbol allows")
    refused = _refuses_loosening(held, levels) or refuses_guarantee(account, pit.listing, levels)
    if refused is not None:
        return refused
    mark_px = held.mark_px(tick)
    if not _are_apart(levels, held.side, mark_px):
        return bad_stops(f"Stop {levels.sl_px} and target {levels.tp_px} must lie around the current price {mark_px}")
    return _refuses_distance(floor, pit.listing, levels, (held.side, mark_px))


def _refuses_loosening(held: Held, levels: Levels) -> Refused | None:
    """Refuse to weaken a guaranteed stop."""
    before = held.wanted
    if not before.guaranteed or before.sl_px is None:
        return None
    if levels.guaranteed and levels.sl_px is not None and (levels.sl_px - before.sl_px) * held.side >= 0:
        return None
    return Refused("WORSE_GSL_NOT_ALLOWED", f"The guaranteed stop {before.sl_px} may not be loosened")


def _refuses_distance(floor: Floor, listing: Listing, levels: Levels, mark: tuple[int, int]) -> Refused | None:
    """Refuse levels that are nearer than the symbol allows to the price of ``(side, price)``."""
    if not floor.conduct.knobs.keeps_distance:
        return None
    side, mark_px = mark
    sl_min = listing.distance_px(listing.gsl_distance if levels.guaranteed else listing.sl_distance, mark_px)
    tp_min = listing.distance_px(listing.tp_distance, mark_px)
    is_near = (levels.sl_px is not None and sl_min > 0 and (mark_px - levels.sl_px) * side < sl_min) or (
        levels.tp_px is not None and tp_min > 0 and (levels.tp_px - mark_px) * side < tp_min
    )
    if not is_near:
        return None
    text = f"Stop {levels.sl_px} or target {levels.tp_px} is too close to {mark_px}"
    return Refused("PROTECTION_IS_TOO_CLOSE_TO_MARKET", text)


def _are_apart(levels: Levels, side: int, price_px: int) -> bool:
    """Return whether a price lies strictly between the levels, as a position of ``side`` needs it."""
    sl_px, tp_px = levels.sl_px, levels.tp_px
    is_stop = sl_px is None or (sl_px > 0 and (price_px - sl_px) * side > 0)
    return is_stop and (tp_px is None or (tp_px > 0 and (tp_px - price_px) * side > 0))
