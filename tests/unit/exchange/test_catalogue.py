"""What is listed for which instrument, and how one finds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palmbot.core.types import CommissionKind
from palmbot.errors import ConfigError
from palmbot.exchange.catalogue import FOREX, catalogue_of
from palmbot.exchange.listing import OPEN_END, Catalogue, CommissionType, SwapType
from palmbot.instruments import PALM_OIL, InstrumentSpec


def names(catalogue: Catalogue, first: str, last: str) -> list[str]:
    first_id, last_id = catalogue.asset_id(first), catalogue.asset_id(last)
    assert first_id is not None
    assert last_id is not None
    return [listing.name for listing in catalogue.chain(first_id, last_id)]


def dollars(spec: InstrumentSpec = PALM_OIL, deposit: str = "USD") -> InstrumentSpec:
    return replace(spec, deposit_currency=deposit)


def test_the_traded_symbol_comes_first_and_pairs_with_quotes_that_never_move_follow() -> None:
    catalogue = catalogue_of(PALM_OIL)
    assert [listing.name for listing in catalogue.listings] == ["PALMOIL", "EURUSD", "USDJPY", "USDMYR"]
    assert [listing.fixed_quote for listing in catalogue.listings[:2]] == [None, (111_984, 111_987)]
    assert catalogue.traded is catalogue.listing(catalogue.traded_id) is catalogue.named("PALMOIL")
    assert catalogue.conversion_id is None


def test_every_kind_of_commission_and_swap_is_listed() -> None:
    listings = catalogue_of(PALM_OIL).listings
    assert {listing.commission_type for listing in listings} == set(CommissionType)
    assert {listing.swap_type for listing in listings} == set(SwapType)


def test_ids_lead_to_what_they_name() -> None:
    catalogue = catalogue_of(dollars())
    assets = {asset.asset_id: asset for asset in catalogue.assets}
    assert len(assets) == len(catalogue.assets)
    assert len({listing.symbol_id for listing in catalogue.listings}) == len(catalogue.listings)
    categories = {category.category_id for category in catalogue.categories}
    for listing in catalogue.listings:
        assert assets[listing.quote_asset_id].name == listing.spec.quote_currency
        assert listing.category_id in categories
        tiers = catalogue.leverage(listing.leverage_id)
        assert tiers is not None
        assert tiers.tiers[-1].exposure_max_cents == OPEN_END
    assert assets[catalogue.deposit_asset_id].name == "USD"
    assert {each.name: each.digits for each in catalogue.assets}["JPY"] == 0


def test_what_is_not_listed_is_none() -> None:
    catalogue = catalogue_of(PALM_OIL)
    assert catalogue.listing(99) is None
    assert catalogue.named("XAUUSD") is None
    assert catalogue.asset_id("XAU") is None
    assert catalogue.leverage(99) is None


def test_another_deposit_currency_brings_the_pair_that_the_feed_quotes() -> None:
    catalogue = catalogue_of(dollars())
    pair = catalogue.named("USDMYR")
    assert pair is not None
    assert (pair.symbol_id, pair.fixed_quote, pair.spec.digits) == (catalogue.conversion_id, None, 5)
    assert names(catalogue, "MYR", "USD") == ["USDMYR"]


def test_a_pair_that_nobody_thought_of_is_listed_as_the_market_would() -> None:
    catalogue = catalogue_of(dollars(deposit="SGD"))
    assert names(catalogue, "MYR", "SGD") == ["MYRSGD"]
    assert catalogue.asset_id("SGD") is not None


def test_a_chain_leads_over_as_few_symbols_as_possible() -> None:
    catalogue = catalogue_of(PALM_OIL)
    assert names(catalogue, "EUR", "MYR") == ["EURUSD", "USDMYR"]
    assert names(catalogue, "JPY", "EUR") == ["USDJPY", "EURUSD"]
    assert names(catalogue, "PALMOIL", "USD") == ["PALMOIL", "USDMYR"]


def test_there_is_no_chain_to_itself_to_nowhere_and_through_what_is_archived() -> None:
    catalogue = catalogue_of(PALM_OIL)
    assert names(catalogue, "MYR", "MYR") == []
    assert names(catalogue, "CHF", "MYR") == []
    gone = tuple(replace(each, archived_ms=1) if each.name == "USDMYR" else each for each in catalogue.listings)
    assert names(replace(catalogue, listings=gone), "EUR", "MYR") == []


def test_a_traded_pair_is_made_of_its_currencies_and_listed_once() -> None:
    euro = replace(PALM_OIL, symbol="EURUSD", quote_currency="USD", deposit_currency="USD", digits=5)
    catalogue = catalogue_of(euro)
    assert [listing.name for listing in catalogue.listings] == ["EURUSD", "USDJPY", "USDMYR"]
    assert catalogue.traded.base_asset_id == catalogue.asset_id("EUR")
    assert catalogue.traded.category_id == FOREX


def test_a_traded_pair_whose_own_base_is_the_deposit_converts_by_a_pair_of_its_own() -> None:
    euro = replace(PALM_OIL, symbol="EURUSD", quote_currency="USD", deposit_currency="EUR", digits=5)
    assert names(catalogue_of(euro), "USD", "EUR") == ["EURUSD.RATE"]


def test_a_commission_in_a_currency_that_the_protocol_does_not_know_is_refused() -> None:
    core = PALM_OIL.core._replace(commission_kind=int(CommissionKind.PER_LOT_DEPOSIT))
    spec = replace(PALM_OIL, core=core)
    assert catalogue_of(spec).traded.commission_type is CommissionType.QUOTE_CCY_PER_LOT
    assert catalogue_of(dollars(spec)).traded.commission_type is CommissionType.USD_PER_LOT
    with pytest.raises(ConfigError, match="COMMISSION_NOT_ON_WIRE"):
        catalogue_of(dollars(spec, "EUR"))
