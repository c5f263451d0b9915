"""What the broker says of a symbol and an account: what it forbids, and what it states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from palmbot.config.terms import differences
from palmbot.errors import ConfigError, RefusedError
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.reference import full_symbol, light_symbol
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.protocol.messages import parse, pb, serialise
from palmbot.protocol.statement import (
    NOT_STATED,
    Reading,
    Statement,
    full_of,
    instrument_of,
    listed_as,
    refusals,
)

CATALOGUE = catalogue_of(PALM_OIL)
ASSETS = {each.asset_id: each.name for each in CATALOGUE.assets}
USD = next(number for number, name in ASSETS.items() if name == "USD")


def stated(*, symbol: dict[str, Any] | None = None, trader: dict[str, Any] | None = None, **fields: Any) -> Statement:
    """Return what a broker says that lists palm oil as it is built in, but for some fields; None is left unsaid."""
    statement = Statement(
        trader=pb.Trader(
            ctidTraderAccountId=1,
            balance=0,
            depositAssetId=CATALOGUE.deposit_asset_id,
            leverageInCents=2_000,
            moneyDigits=2,
        ),
        light=light_symbol(CATALOGUE.traded),
        full=full_symbol(CATALOGUE.traded),
        assets=ASSETS,
    )
    for message, changes in ((statement.full, symbol or {}), (statement.trader, trader or {})):
        for name, value in changes.items():
            message.ClearField(name)
            if value is not None:
                setattr(message, name, value)
    return replace(statement, **fields)


def read(configured: InstrumentSpec = PALM_OIL, **said: Any) -> Reading:
    return instrument_of(stated(**said), configured)


def codes(*, wants_shorts: bool = True, **said: Any) -> list[str]:
    return [each.code for each in refusals(stated(**said), wants_shorts=wants_shorts)]


def shown(**said: Any) -> dict[str, tuple[str, str]]:
    """Return what a person is shown, without what no broker states."""
    found = differences(PALM_OIL, read(**said))
    return {each.name: (each.configured, each.broker) for each in found if each.broker != NOT_STATED}


# -- what is forbidden


def test_nothing_is_forbidden_on_an_ordinary_account() -> None:
    assert codes() == []
    assert codes(symbol={"enableShortSelling": None, "tradingMode": None}) == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"trader": {"accessRights": pb.CLOSE_ONLY}}, "NO_FULL_ACCESS"),
        ({"trader": {"accessRights": pb.NO_TRADING}}, "NO_FULL_ACCESS"),
        ({"trader": {"accessRights": pb.NO_LOGIN}}, "NO_FULL_ACCESS"),
        ({"trader": {"accountType": pb.NETTED}}, "ACCOUNT_NETTED"),
        ({"trader": {"accountType": pb.SPREAD_BETTING}}, "ACCOUNT_SPREAD_BETTING"),
        ({"trader": {"isLimitedRisk": True}}, "LIMITED_RISK"),
        ({"trader": {"frenchRisk": True}}, "LIMITED_RISK"),
        ({"trader": {"swapFree": True}}, "SWAP_FREE"),
        ({"symbol": {"tradingMode": pb.CLOSE_ONLY_MODE}}, "SYMBOL_NOT_TRADED"),
        ({"symbol": {"tradingMode": pb.DISABLED_WITH_PENDINGS_EXECUTION}}, "SYMBOL_NOT_TRADED"),
        ({"symbol": {"tradingMode": pb.DISABLED_WITHOUT_PENDINGS_EXECUTION}}, "SYMBOL_NOT_TRADED"),
        ({"symbol": {"enableShortSelling": False}}, "SHORTS_DISABLED"),
        ({"light": pb.LightSymbol(symbolId=1, symbolName="PALMOIL", enabled=False)}, "SYMBOL_NOT_TRADED"),
        ({"has_chain": False}, "NO_CONVERSION"),
    ],
)
def test_what_is_forbidden_has_a_code_and_a_way_out(said: dict[str, Any], code: str) -> None:
    assert codes(**said) == [code]
    (refusal,) = refusals(stated(**said), wants_shorts=True)
    assert refusal.exit_code == 3
    assert refusal.todo.endswith((".", "?"))
    assert "\n" not in refusal.todo


def test_every_reason_is_named_the_accounts_first() -> None:
    said: dict[str, Any] = {"trader": {"swapFree": True}, "symbol": {"enableShortSelling": False}, "has_chain": False}
    assert codes(**said) == ["SWAP_FREE", "SHORTS_DISABLED", "NO_CONVERSION"]


def test_who_sells_nothing_short_needs_no_shorts() -> None:
    assert codes(wants_shorts=False, symbol={"enableShortSelling": False}) == []


@pytest.mark.parametrize(
    ("name", "number"),
    [("tradingMode", 27), ("commissionType", 15), ("swapCalculationType", 29), ("distanceSetIn", 20)],
)
def test_a_term_that_is_newer_than_this_program_is_not_read_as_its_default(name: str, number: int) -> None:
    plain = full_symbol(CATALOGUE.traded)
    plain.ClearField(name)
    key = number << 3
    newer = pb.Symbol.FromString(plain.SerializeToString() + bytes([key & 127 | 128, key >> 7, 99]))
    assert codes(full=newer) == ["TERMS_UNKNOWN"]
    (refusal,) = refusals(stated(full=newer), wants_shorts=True)
    assert refusal.facts["terms"] == name


def test_rights_that_are_newer_than_this_program_are_no_full_access() -> None:
    trader = pb.Trader.FromString(stated().trader.SerializeToString() + bytes([7 << 3, 99]))
    assert [each.code for each in refusals(replace(stated(), trader=trader), wants_shorts=True)] == ["TERMS_UNKNOWN"]


# -- what is listed


def listed() -> pb.SymbolsListRes:
    light = light_symbol(CATALOGUE.traded)
    gone = pb.ArchivedSymbol(symbolId=9, name="PALM.OLD", utcLastUpdateTimestamp=5)
    answer = pb.SymbolsListRes(ctidTraderAccountId=1, symbol=[light], archivedSymbol=[gone])
    again = parse(pb.SYMBOLS_LIST_RES, serialise(answer))
    assert isinstance(again, pb.SymbolsListRes)
    return again


def test_a_symbol_is_found_by_its_name() -> None:
    assert listed_as("PALMOIL", listed()).symbolId == CATALOGUE.traded_id


def test_a_symbol_that_is_not_there_is_a_wrong_setting_with_its_neighbours() -> None:
    with pytest.raises(ConfigError, match="SYMBOL_NOT_FOUND: symbol=PALMXX near=PALMOIL"):
        listed_as("PALMXX", listed())


def test_a_symbol_that_the_broker_has_retired_or_is_about_to_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"SYMBOL_ARCHIVED: symbol=PALM\.OLD since_ms=5"):
        listed_as("PALM.OLD", listed())
    both = listed()
    both.archivedSymbol[0].name = "PALMOIL"  # on its way out it may stand in both lists
    both.archivedSymbol[0].symbolId = CATALOGUE.traded_id
    with pytest.raises(RefusedError, match="SYMBOL_ARCHIVED"):
        listed_as("PALMOIL", both)
    with pytest.raises(RefusedError, match="SYMBOL_ARCHIVED"):
        full_of(light_symbol(CATALOGUE.traded), pb.SymbolByIdRes(ctidTraderAccountId=1))


def test_a_symbol_that_was_retired_and_is_listed_anew_is_traded() -> None:
    again = listed()
    again.archivedSymbol[0].name = "PALMOIL"
    assert listed_as("PALMOIL", again).symbolId == CATALOGUE.traded_id


def test_of_two_symbols_with_one_name_the_traded_one_is_meant_and_neither_where_both_are() -> None:
    two = listed()
    two.symbol.add().CopyFrom(two.symbol[0])
    two.symbol[0].symbolId, two.symbol[0].enabled = 77, False
    assert listed_as("PALMOIL", two).symbolId == CATALOGUE.traded_id
    two.symbol[0].enabled = True
    with pytest.raises(RefusedError, match=f"SYMBOL_AMBIGUOUS: symbol=PALMOIL ids=77,{CATALOGUE.traded_id}"):
        listed_as("PALMOIL", two)


# -- what is stated


def test_what_is_as_configured_is_no_difference() -> None:
    assert read().spec == PALM_OIL
    assert shown() == {}


@pytest.mark.parametrize(
    ("symbol", "difference"),
    [
        ({"digits": 2}, {"digits": ("3", "2")}),
        ({"lotSize": 5_000}, {"lot": ("25", "50"), "volume_step": ("0.01", "0.005"), "volume_min": ("0.01", "0.005")}),
        ({"minVolume": 50}, {"volume_min": ("0.01", "0.02")}),
        ({"stepVolume": 250}, {"volume_step": ("0.01", "0.1")}),
        ({"maxVolume": 250_000}, {"volume_max": ("1000", "100")}),
        ({"maxExposure": 250_000}, {"volume_max": ("1000", "100 (the largest exposure)")}),
        ({"maxExposure": 10**10}, {}),
        ({"slDistance": 30_000}, {"sl_min": ("0", "30")}),
        ({"tpDistance": 40_000}, {"tp_min": ("0", "40")}),
        ({"measurementUnits": "kg"}, {"unit": ("t", "kg")}),
    ],
)
def test_what_is_stated_otherwise_is_named_in_the_words_of_the_settings(
    symbol: dict[str, Any], difference: dict[str, tuple[str, str]]
) -> None:
    found = shown(symbol=symbol)
    assert difference.items() <= found.items()
    assert set(found) <= set(difference) | {"volume_max", "commission"}  # a lot's other size is theirs too


def test_the_accounts_money_and_leverage_are_the_brokers() -> None:
    found = shown(trader={"depositAssetId": USD, "moneyDigits": 8, "leverageInCents": 10_000})
    assert found["deposit_currency"] == ("MYR", "USD")
    assert found["money_digits"] == ("2", "8")
    assert found["leverage"] == ("20", "100")
    assert read(trader={"moneyDigits": None}).spec.core.money_digits == 2


@pytest.mark.parametrize(
    ("hundredths", "tiers", "leverage", "words"),
    [
        (10_000, (), 100, None),
        (3_333, (), 33, "rounded down from 33.33"),
        (10_000, (500, 200), 100, None),
        (10_000, (50,), 50, None),
        (10_000, (500, 200, 50), 50, "the lowest of 500, 200, 50 by exposure"),
    ],
)
def test_leverage_is_never_more_than_the_account_or_any_tier_gives(
    hundredths: int, tiers: tuple[int, ...], leverage: int, words: str | None
) -> None:
    reading = read(trader={"leverageInCents": hundredths}, tiers=tiers)
    assert reading.spec.core.leverage == leverage
    assert reading.remarks.get("leverage") == words


def test_what_a_broker_leaves_unsaid_stays_as_it_is_configured() -> None:
    names = ("lotSize", "minVolume", "stepVolume", "maxVolume", "slDistance", "tpDistance", "pnlConversionFeeRate")
    rates = ("preciseTradingCommissionRate", "commission", "swapLong", "swapShort", "measurementUnits")
    unsaid = dict.fromkeys((*names, *rates, "schedule", "holiday", "leverageId"))
    assert read(symbol=unsaid, trader={"leverageInCents": None, "moneyDigits": None}).spec == PALM_OIL


def test_a_conversion_fee_counts_only_where_something_is_converted() -> None:
    assert read(symbol={"pnlConversionFeeRate": 30}).spec.core.conversion_fee_bp == 0
    abroad = read(symbol={"pnlConversionFeeRate": 30}, trader={"depositAssetId": USD})
    assert abroad.spec.core.conversion_fee_bp == 30


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"symbol": {"digits": 6}}, "TERMS_ABSURD: term=digits"),
        ({"symbol": {"digits": -1}}, "TERMS_ABSURD: term=digits"),
        ({"trader": {"moneyDigits": 9}}, "TERMS_ABSURD: term=money_digits"),
        ({"symbol": {"lotSize": 0}}, "TERMS_ABSURD: term=lot"),
        ({"symbol": {"stepVolume": 0}}, "TERMS_ABSURD: term=volume_step"),
        ({"symbol": {"minVolume": -25}}, "TERMS_ABSURD: term=volume_min"),
        ({"symbol": {"maxVolume": 2**62}}, "TERMS_ABSURD: term=volume_max"),
        ({"symbol": {"minVolume": 50, "maxVolume": 25}}, "VOLUMES_UNFIT"),
        ({"symbol": {"maxExposure": 10}}, "VOLUMES_UNFIT"),
        ({"trader": {"leverageInCents": 50}}, "TERMS_ABSURD: term=leverage"),
        ({"symbol": {"slDistance": 1, "distanceSetIn": pb.SYMBOL_DISTANCE_IN_PERCENTAGE}}, "DISTANCE_IN_PERCENT"),
        ({"symbol": {"digits": 0}}, "COST_OFF_GRID: setting=instrument.slippage"),
        ({"symbol": {"pnlConversionFeeRate": -1}, "trader": {"depositAssetId": USD}}, "TERMS_ABSURD: term=conversion"),
    ],
)
def test_what_cannot_be_counted_is_refused(said: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusedError, match=code):
        read(**said)


def test_no_distance_at_all_may_be_in_percent() -> None:
    assert read(symbol={"distanceSetIn": pb.SYMBOL_DISTANCE_IN_PERCENTAGE}).spec == PALM_OIL


def test_spread_and_slippage_stay_assumptions_and_that_is_said() -> None:
    found = {each.name: each for each in differences(PALM_OIL, read())}
    assert set(found) == {"spread", "slippage"}
    assert (found["spread"].configured, found["spread"].broker) == ("2", NOT_STATED)


def test_a_commission_that_no_setting_can_say_is_shown_in_its_own_words() -> None:
    said = {"symbol": {"commissionType": pb.USD_PER_LOT, "preciseTradingCommissionRate": 5 * 10**7}}
    assert shown(**said, trader={"depositAssetId": USD})["commission"] == ("1", "0.5 USD a lot")
