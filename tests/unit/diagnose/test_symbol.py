"""A symbol as the broker states it beside the instrument as it is configured."""

from __future__ import annotations

from typing import Any

import pytest

from palmbot.diagnose.symbol import Listed, differences
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.reference import full_symbol, light_symbol
from palmbot.instruments import PALM_OIL
from palmbot.protocol.messages import pb

LISTING = catalogue_of(PALM_OIL).traded
ASSETS = {each.asset_id: each.name for each in catalogue_of(PALM_OIL).assets}
TRADER = pb.Trader(
    ctidTraderAccountId=1,
    balance=0,
    depositAssetId=catalogue_of(PALM_OIL).deposit_asset_id,
    leverageInCents=2_000,
    moneyDigits=2,
)


def changed(*, trader: pb.Trader = TRADER, **fields: Any) -> list[str]:
    """Return the differences where the broker states ``fields`` otherwise; None is left unsaid."""
    full = full_symbol(LISTING)
    for name, value in fields.items():
        if value is None:
            full.ClearField(name)
        else:
            setattr(full, name, value)
    return differences(Listed(light_symbol(LISTING), full), trader, ASSETS, PALM_OIL)


def test_what_is_stated_as_it_is_configured_is_no_difference() -> None:
    assert changed() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"digits": 2}, "digits 2, configured 3"),
        ({"minVolume": 50}, "least volume 0.02, configured 0.01"),
        ({"stepVolume": 250}, "volume step 0.1, configured 0.01"),
        ({"maxVolume": 250_000}, "largest volume 100, configured 1000"),
        ({"slDistance": 30}, "stop distance 30, configured 0"),
        ({"tpDistance": 40}, "target distance 40, configured 0"),
    ],
)
def test_what_is_stated_otherwise_is_named_with_both_numbers(fields: dict[str, Any], words: str) -> None:
    assert words in changed(**fields)
    assert all("configured" in each for each in changed(**fields))


def test_volumes_are_compared_in_lots_of_the_brokers() -> None:
    found = changed(lotSize=5_000)
    assert "lot 5000, configured 2500" in found
    assert not any("least volume" in each for each in found)  # 25 cu are 25 cu


@pytest.mark.parametrize("name", ["lotSize", "minVolume", "stepVolume", "maxVolume", "slDistance", "tpDistance"])
def test_what_is_left_unsaid_is_no_difference(name: str) -> None:
    unsaid: dict[str, Any] = {name: None}
    assert changed(**unsaid) == []


def test_a_distance_in_percent_is_not_compared_with_points() -> None:
    assert changed(slDistance=30, distanceSetIn=pb.SYMBOL_DISTANCE_IN_PERCENTAGE) == []


def test_the_account_is_compared_too() -> None:
    usd = next(number for number, name in ASSETS.items() if name == "USD")
    trader = pb.Trader(ctidTraderAccountId=1, balance=0, depositAssetId=usd, leverageInCents=10_000, moneyDigits=8)
    assert changed(trader=trader) == [
        "deposit currency USD, configured MYR",
        "money digits 8, configured 2",
        "leverage 100, configured 20",
    ]
