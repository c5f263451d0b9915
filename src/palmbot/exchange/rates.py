"""Conversion between currencies through what is listed, by bids throughout, as the official clients do (sheet 5.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from palmbot.core.fills import spread_px
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.listing import Catalogue, Listing, MinCommissionType
from palmbot.units import RATE_ONE_E8, px_of_rate, rate_of_chain

BidOf = Callable[[int], int | None]  # the last bid of a symbol by its id, in px; None before its first quote


class Rates(NamedTuple):
    """What one unit of a currency is worth in the deposit currency x 10^8; 0 where it is not known."""

    quote_e8: int  # the symbol's quote currency
    usd_e8: int = RATE_ONE_E8
    minimum_e8: int = RATE_ONE_E8  # the currency of the symbol's least commission


def rate_e8(catalogue: Catalogue, bid_px_of: BidOf, first_asset_id: int, last_asset_id: int) -> int:
    """Return what one unit of the first asset is in units of the last, x 10^8; 0 where it is not known.

    Exact along the chain, rounded once: a client that walks the same chain (2118) computes the same number.
    """
    links, asset_id = [], first_asset_id
    for listing in catalogue.chain(first_asset_id, last_asset_id):
        is_inverse = listing.base_asset_id != asset_id
        links.append((bid_px_of(listing.symbol_id) or 0, is_inverse))
        asset_id = listing.base_asset_id if is_inverse else listing.quote_asset_id
    if asset_id != last_asset_id or any(px == 0 for px, _ in links):
        return 0
    return rate_of_chain(links)


def rates_of(catalogue: Catalogue, listing: Listing, quote_e8: int, bid_px_of: BidOf) -> Rates:
    """Return what charges on ``listing`` convert with.

    Args:
        catalogue: what is listed.
        listing: the symbol that is charged for.
        quote_e8: its quote currency in deposit currency: the tick's own ``rate_e8``.
        bid_px_of: last bids.
    """
    deposit_id = catalogue.deposit_asset_id

    def worth(name: str) -> int:
        asset_id = catalogue.asset_id(name)
        return 0 if asset_id is None else rate_e8(catalogue, bid_px_of, asset_id, deposit_id)

    if listing.commission_min_type is MinCommissionType.QUOTE_CURRENCY:
        return Rates(quote_e8, worth("USD"), quote_e8)
    return Rates(quote_e8, worth("USD"), worth(listing.commission_min_asset))


def conversion_tick(catalogue: Catalogue, tick: FeedTick) -> tuple[int, FeedTick] | None:
    """Return the conversion pair's id and the tick of it that says the ``rate_e8`` of a tick of the traded symbol.

    None where there is no such pair, no rate is known, or no price can say it. The price of the pair jumps.
    """
    pair = None if catalogue.conversion_id is None else catalogue.listing(catalogue.conversion_id)
    if pair is None or tick.rate_e8 == 0:
        return None
    quote_id = catalogue.traded.quote_asset_id
    bid_px = px_of_rate(tick.rate_e8, is_inverse=pair.base_asset_id != quote_id)
    if bid_px == 0:
        return None
    pair_e8 = tick.rate_e8 if pair.quote_asset_id == quote_id else RATE_ONE_E8
    ask_px = bid_px + spread_px(pair.spec.core, bid_px)
    return pair.symbol_id, FeedTick(tick.ts_ms, bid_px, ask_px, is_jump=True, bar_open_px=bid_px, rate_e8=pair_e8)
