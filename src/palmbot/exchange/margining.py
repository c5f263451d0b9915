"""What an order or a position needs of its account: margin by the account's leverage and the symbol's tiers."""

from __future__ import annotations

from collections.abc import Iterable

from palmbot.core.rounding import mul_div_half_away
from palmbot.exchange.account import Account, leg_of
from palmbot.exchange.charges import base_e8
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held
from palmbot.exchange.margin import Leg, exposure_cents, leverage_cents, position_minor, used_minor
from palmbot.exchange.rates import Rates
from palmbot.units import RATE_ONE_E8


def leverage_of(
    floor: Floor, account: Account, symbol_id: int, stake: tuple[int, int], price: tuple[int, Rates]
) -> int:
    """Return the leverage x 100 of ``(side, more volume)`` in a symbol at ``(price, rates)``."""
    listing = floor.pits[symbol_id].listing
    tiers = floor.catalogue.leverage(listing.leverage_id)
    (side, volume), (price_px, rates) = stake, price
    exposure = 0
    if tiers is not None and len(tiers.tiers) > 1 and rates.usd_e8:
        volume += sum(held.volume_cu for held in account.open if held.symbol_id == symbol_id and held.side == side)
        to_usd_e8 = mul_div_half_away(base_e8(price_px, rates), RATE_ONE_E8, rates.usd_e8)
        exposure = exposure_cents(volume, to_usd_e8)
    return leverage_cents(account.terms.leverage_in_cents, tiers, exposure)


def margin_minor(
    floor: Floor, account: Account, symbol_id: int, stake: tuple[int, int], price: tuple[int, Rates]
) -> int:
    """Return the margin that ``(side, more volume)`` in a symbol will hold, opened at ``(price, rates)``."""
    leverage = leverage_of(floor, account, symbol_id, stake, price)
    price_px, rates = price
    return position_minor(floor.pits[symbol_id].listing, price_px, stake[1], rates.quote_e8, leverage)


def used_with(account: Account, new: Iterable[Leg], gone: Held | None = None) -> int:
    """Return the margin in use of an account that also held ``new``, and no longer ``gone``."""
    legs = [leg_of(held) for held in account.open if held is not gone]
    return used_minor([*legs, *new], account.terms.total_margin)
