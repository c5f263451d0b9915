"""Margin: what a position holds, how the legs of an account share it, and what happens when equity runs short.

Pure functions over small frozen values (protocol sheet 5.7, 6.7). A margin level is equity / used margin in percent; it
is compared as integers, never as a quotient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from palmbot.core import fills
from palmbot.core.rounding import half_away, mul_div_half_away
from palmbot.exchange.listing import DynamicLeverage, Listing
from palmbot.exchange.terms import MarginCall, Terms
from palmbot.exchange.values import StopOutOrder, TotalMargin
from palmbot.units import MINUTE_MS, RATE_ONE_E8

CENTS = 100  # leverage on the wire: 10000 is 1:100
CALL_AGAIN_MS: Final = 10 * MINUTE_MS


class Leg(NamedTuple):
    """An open position as margin sees it."""

    position_id: int
    symbol_id: int
    side: int
    volume_cu: int
    margin_minor: int
    net_minor: int = 0  # unrealised profit, charges included
    step_cu: int = 1
    min_cu: int = 1


class StopOut(NamedTuple):
    """What a stop-out closes."""

    position_id: int
    volume_cu: int


def exposure_cents(volume_cu: int, base_to_usd_e8: int) -> int:
    """Return what a volume is worth in USD cents."""
    return mul_div_half_away(volume_cu, base_to_usd_e8, RATE_ONE_E8)


def leverage_cents(account_cents: int, tiers: DynamicLeverage | None, exposure: int) -> int:
    """Return the leverage x 100 of a position: the account's, or less where the exposure calls for it.

    Args:
        account_cents: leverage of the account x 100.
        tiers: of the symbol; None = it has none.
        exposure: USD cents of the whole side of the symbol that the position belongs to, itself included.
    """
    if tiers is None:
        return account_cents
    tier = next((tier for tier in tiers.tiers if exposure <= tier.exposure_max_cents), tiers.tiers[-1])
    return min(account_cents, tier.leverage * CENTS)


def position_minor(listing: Listing, price_px: int, volume_cu: int, quote_e8: int, leverage: int) -> int:
    """Return the margin of ``volume_cu`` at a price.

    Args:
        listing: the symbol.
        price_px: entry price.
        volume_cu: open volume.
        quote_e8: quote currency in deposit currency x 10^8.
        leverage: x 100, from ``leverage_cents``.
    """
    value = fills.money_minor(price_px * volume_cu, quote_e8, listing.spec.core.money_digits)
    return half_away(value * CENTS, leverage)


def used_minor(legs: Iterable[Leg], kind: TotalMargin) -> int:
    """Return the margin that open positions hold together, symbol by symbol; never more than their sum."""
    sides: dict[int, dict[int, tuple[int, int]]] = {}
    for leg in legs:
        by_side = sides.setdefault(leg.symbol_id, {1: (0, 0), -1: (0, 0)})
        margin, volume = by_side[leg.side]
        by_side[leg.side] = (margin + leg.margin_minor, volume + leg.volume_cu)
    return sum(_SHARED[kind](by_side[1], by_side[-1]) for by_side in sides.values())


def _max(longs: tuple[int, int], shorts: tuple[int, int]) -> int:
    return max(longs[0], shorts[0])


def _sum(longs: tuple[int, int], shorts: tuple[int, int]) -> int:
    return longs[0] + shorts[0]


def _net(longs: tuple[int, int], shorts: tuple[int, int]) -> int:
    (margin, volume), (_, covered) = (longs, shorts) if longs[1] >= shorts[1] else (shorts, longs)
    return mul_div_half_away(margin, volume - covered, volume) if volume else 0


_SHARED: Final = {TotalMargin.MAX: _max, TotalMargin.SUM: _sum, TotalMargin.NET: _net}


def is_below(equity_minor: int, used: int, threshold_pct: float) -> bool:
    """Return whether the margin level is below a threshold; it never is where no margin is used."""
    return used > 0 and equity_minor * 100 < threshold_pct * used


def stop_out(legs: Sequence[Leg], equity_minor: int, terms: Terms) -> StopOut | None:
    """Return what to close next because the margin level is below the account's stop-out level; None when it is not.

    To be asked again after each close: every answer closes some volume, so it ends above the level, or flat. A fair
    stop-out closes a whole position; a partial one the fewest steps that would lift the level if the position's
    margin counted alone, and the whole position where what is left could not stand. Equals go by id.
    """
    used = used_minor(legs, terms.total_margin)
    if not is_below(equity_minor, used, terms.stop_out_pct):
        return None
    leg = min(legs, key=_FIRST[terms.stop_out_order])
    if terms.is_fair_stop_out:
        return StopOut(leg.position_id, leg.volume_cu)
    excess = used if equity_minor <= 0 else used - equity_minor * 100 // terms.stop_out_pct
    return StopOut(leg.position_id, _part(leg, excess))


def _part(leg: Leg, excess_minor: int) -> int:
    """Return the volume of ``leg`` to close so that it holds ``excess_minor`` (> 0) less margin."""
    if excess_minor >= leg.margin_minor:
        return leg.volume_cu
    least = -(-excess_minor * leg.volume_cu // leg.margin_minor)
    volume = max(-(-least // leg.step_cu) * leg.step_cu, leg.min_cu)
    return volume if leg.volume_cu - volume >= leg.min_cu else leg.volume_cu


_FIRST: Final = {
    StopOutOrder.MOST_MARGIN_USED_FIRST: lambda leg: (-leg.margin_minor, leg.position_id),
    StopOutOrder.MOST_LOSING_FIRST: lambda leg: (leg.net_minor, leg.position_id),
}


def due_calls(
    calls: Sequence[MarginCall], equity_minor: int, used: int, now_ms: int
) -> tuple[tuple[MarginCall, ...], tuple[MarginCall, ...]]:
    """Return the margin calls to tell now, and all of them afterwards.

    One is told while the level is at or below its threshold, at most once in ten minutes; 0 percent is never reached.
    """
    after, told = [], []
    for call in calls:
        is_due = call.told_ms is None or now_ms - call.told_ms >= CALL_AGAIN_MS
        if is_due and used > 0 and equity_minor * 100 <= call.threshold_pct * used and call.threshold_pct > 0:
            told.append(replace(call, told_ms=now_ms))
            after.append(told[-1])
        else:
            after.append(call)
    return tuple(told), tuple(after)
