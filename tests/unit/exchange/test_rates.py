"""Conversion along the chains of the catalogue, and the pair that says what the feed knows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.listing import Catalogue, MinCommissionType
from palmbot.exchange.rates import Rates, conversion_tick, rate_e8, rates_of
from palmbot.instruments import PALM_OIL
from palmbot.units import PX, RATE_ONE_E8, px_of_rate, rate_of_px

RINGGIT = catalogue_of(PALM_OIL)
DOLLARS = catalogue_of(replace(PALM_OIL, deposit_currency="USD"))
EUROS = catalogue_of(replace(PALM_OIL, quote_currency="EUR", deposit_currency="USD"))
BIDS = {"EURUSD": 112_000, "USDJPY": 15_000_000, "USDMYR": 450_000}


def converted(catalogue: Catalogue, first: str, last: str, bids: dict[str, int]) -> int:
    by_id = {listing.symbol_id: bids.get(listing.name) for listing in catalogue.listings}
    first_id, last_id = catalogue.asset_id(first), catalogue.asset_id(last)
    assert first_id is not None
    assert last_id is not None
    return rate_e8(catalogue, by_id.get, first_id, last_id)


def tick(rate: int) -> FeedTick:
    return FeedTick(7, 4_000 * PX, 4_002 * PX, is_jump=False, bar_open_px=4_000 * PX, rate_e8=rate)


@pytest.mark.parametrize(
    ("first", "last", "exact"),
    [
        ("EUR", "USD", Fraction(112, 100)),
        ("USD", "EUR", Fraction(100, 112)),
        ("EUR", "MYR", Fraction(112 * 45, 1_000)),
        ("JPY", "MYR", Fraction(45, 10 * 150)),
        ("JPY", "EUR", Fraction(100, 150 * 112)),
        ("MYR", "MYR", Fraction(1)),
    ],
)
def test_a_chain_multiplies_from_base_to_quote_and_divides_the_other_way(
    first: str, last: str, exact: Fraction
) -> None:
    assert converted(RINGGIT, first, last, BIDS) == int(exact * RATE_ONE_E8 + Fraction(1, 2))


def test_a_link_without_a_quote_or_a_currency_without_a_chain_is_no_rate() -> None:
    assert converted(RINGGIT, "EUR", "MYR", {"USDMYR": 450_000}) == 0
    assert converted(RINGGIT, "EUR", "MYR", {"EURUSD": 112_000, "USDMYR": 0}) == 0
    assert converted(RINGGIT, "CHF", "MYR", BIDS) == 0


@given(st.integers(1, 10**10))
def test_one_link_is_the_rate_that_both_ends_compute(bid_px: int) -> None:
    assert converted(DOLLARS, "MYR", "USD", {"USDMYR": bid_px}) == rate_of_px(bid_px, is_inverse=True)
    assert converted(DOLLARS, "USD", "MYR", {"USDMYR": bid_px}) == rate_of_px(bid_px, is_inverse=False)


@given(st.sampled_from((DOLLARS, EUROS)), st.integers(1, 10**9))
def test_the_conversion_pair_says_the_very_rate_of_the_feed(catalogue: Catalogue, bid_px: int) -> None:
    is_inverse = catalogue is DOLLARS
    known = rate_of_px(bid_px, is_inverse)
    told = conversion_tick(catalogue, tick(known))
    assert told is not None
    symbol_id, quote = told
    assert symbol_id == catalogue.conversion_id
    quote_id = catalogue.traded.quote_asset_id
    assert rate_e8(catalogue, {symbol_id: quote.bid_px}.get, quote_id, catalogue.deposit_asset_id) == known


def test_the_tick_of_the_conversion_pair_is_one_of_its_own() -> None:
    told = conversion_tick(DOLLARS, tick(22_222_222))
    assert told is not None
    pair = FeedTick(7, 450_000, 450_060, is_jump=True, bar_open_px=450_000, rate_e8=22_222_222)
    assert told[1] == pair
    direct = conversion_tick(EUROS, tick(112_000_000))
    assert direct is not None
    assert (direct[1].bid_px, direct[1].rate_e8) == (112_000, RATE_ONE_E8)  # it is quoted in the deposit currency


def test_there_is_no_conversion_tick_without_a_pair_a_rate_or_a_price_for_it() -> None:
    assert conversion_tick(RINGGIT, tick(RATE_ONE_E8)) is None
    assert conversion_tick(DOLLARS, tick(0)) is None
    assert px_of_rate(499, is_inverse=False) == 0
    assert conversion_tick(EUROS, tick(499)) is None


def test_charges_convert_the_quote_the_dollar_and_the_currency_of_the_minimum() -> None:
    bids = {listing.symbol_id: BIDS.get(listing.name) for listing in RINGGIT.listings}
    assert rates_of(RINGGIT, RINGGIT.traded, 77, bids.get) == Rates(77, 450_000_000, RATE_ONE_E8)
    euro = RINGGIT.named("EURUSD")
    assert euro is not None
    assert rates_of(RINGGIT, euro, 450_000_000, bids.get) == Rates(450_000_000, 450_000_000, 450_000_000)
    yen = replace(euro, commission_min_asset="JPY")
    assert rates_of(RINGGIT, yen, 450_000_000, bids.get).minimum_e8 == 3_000_000
    nothing = replace(euro, commission_min_asset="XAU")
    assert rates_of(RINGGIT, nothing, 450_000_000, bids.get).minimum_e8 == 0
    quoted = replace(euro, commission_min_type=MinCommissionType.QUOTE_CURRENCY)
    assert rates_of(RINGGIT, quoted, 77, bids.get).minimum_e8 == 77
