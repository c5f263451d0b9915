"""The broker's commission and swap as the core counts them."""

from __future__ import annotations

from typing import Any

import pytest

from palmbot.core import fills
from palmbot.core.types import CommissionKind, Instrument, SwapKind
from palmbot.errors import RefusedError
from palmbot.protocol.charges import Money, commission_of, swap_of
from palmbot.protocol.messages import pb
from palmbot.units import HOUR_MS, MINUTE_MS, PX, RATE_ONE_E8

ONE, USD_QUOTED, USD_ACCOUNT = Money("MYR", "MYR"), Money("USD", "EUR"), Money("MYR", "USD")
CORE = Instrument(commission_kind=int(CommissionKind.PERCENT_OF_VALUE))


def symbol(**fields: Any) -> pb.Symbol:
    return pb.Symbol(symbolId=1, digits=3, pipPosition=2, **fields)


def commission(money: Money, kind: pb.CommissionType, rate: int, **fields: Any) -> Instrument:
    full = symbol(commissionType=kind, preciseTradingCommissionRate=rate, **fields)
    return commission_of(full, money, CORE)


@pytest.mark.parametrize(
    ("money", "kind", "told", "core_kind", "rate"),
    [
        (ONE, pb.PERCENTAGE_OF_VALUE, 300, CommissionKind.PERCENT_OF_VALUE, 300),
        (USD_ACCOUNT, pb.QUOTE_CCY_PER_LOT, 7, CommissionKind.PER_LOT_QUOTE, 7),
        (USD_ACCOUNT, pb.USD_PER_LOT, 7, CommissionKind.PER_LOT_DEPOSIT, 7),
        (USD_QUOTED, pb.USD_PER_LOT, 7, CommissionKind.PER_LOT_QUOTE, 7),
        (USD_QUOTED, pb.USD_PER_MILLION_USD, 25 * 10**8, CommissionKind.PERCENT_OF_VALUE, 250),
        (ONE, pb.USD_PER_MILLION_USD, 10**7, CommissionKind.PERCENT_OF_VALUE, 1),
    ],
)
def test_every_kind_of_commission_has_its_like(
    money: Money, kind: pb.CommissionType, told: int, core_kind: CommissionKind, rate: int
) -> None:
    core = commission(money, kind, told)
    assert (core.commission_kind, core.commission_rate) == (core_kind, rate)


def test_dollars_a_million_are_charged_as_the_share_of_the_value_that_they_are() -> None:
    core = commission(Money("USD", "USD"), pb.USD_PER_MILLION_USD, 30 * 10**8)
    # 100 000 units at 1.12 are 112 000 USD; 30 USD a million of them are 3.36
    assert fills.commission_minor(core, 112_000, 10_000_000, RATE_ONE_E8) == -336


@pytest.mark.parametrize("kind", [CommissionKind.PER_LOT_DEPOSIT, CommissionKind.PER_LOT_QUOTE])
def test_in_one_currency_a_commission_a_lot_keeps_its_configured_name(kind: CommissionKind) -> None:
    core = Instrument(commission_kind=int(kind))
    full = symbol(commissionType=pb.QUOTE_CCY_PER_LOT, preciseTradingCommissionRate=5)
    assert commission_of(full, ONE, core).commission_kind == kind


def test_the_old_field_is_read_where_the_new_one_is_missing_and_none_is_no_statement() -> None:
    percent = symbol(commissionType=pb.PERCENTAGE_OF_VALUE, commission=3)
    assert commission_of(percent, ONE, CORE).commission_rate == 3_000
    a_lot = symbol(commissionType=pb.QUOTE_CCY_PER_LOT, commission=250)
    assert commission_of(a_lot, ONE, CORE).commission_rate == 250_000_000
    assert commission_of(symbol(), ONE, CORE) == CORE


@pytest.mark.parametrize(
    ("e8", "digits", "minor"), [(10**8, 2, 100), (2_500_000, 2, 3), (2_400_000, 2, 2), (1, 8, 1), (0, 2, 0)]
)
def test_a_least_commission_is_rounded_as_a_charge_is(e8: int, digits: int, minor: int) -> None:
    full = symbol(
        commissionType=pb.PERCENTAGE_OF_VALUE,
        preciseTradingCommissionRate=1,
        preciseMinCommission=e8,
        minCommissionAsset="MYR",
    )
    assert commission_of(full, ONE, CORE._replace(money_digits=digits)).commission_min_minor == minor


def test_a_least_commission_in_the_quote_currency_counts_where_that_is_the_accounts() -> None:
    least = {"preciseMinCommission": 10**8, "minCommissionType": pb.QUOTE_CURRENCY, "minCommissionAsset": "USD"}
    assert commission(ONE, pb.PERCENTAGE_OF_VALUE, 1, **least).commission_min_minor == 100
    with pytest.raises(RefusedError, match=r"COMMISSION_UNFIT: .*minimum is in MYR"):
        commission(USD_ACCOUNT, pb.PERCENTAGE_OF_VALUE, 1, **least)


@pytest.mark.parametrize(
    ("money", "kind", "rate", "why"),
    [
        (ONE, pb.USD_PER_LOT, 1, "neither the symbol's currency nor the account's"),
        (ONE, pb.USD_PER_MILLION_USD, 10**7 + 1, "finer than 0.1 USD a million"),
        (ONE, pb.PERCENTAGE_OF_VALUE, -1, "negative"),
    ],
)
def test_what_the_core_cannot_count_is_refused(money: Money, kind: pb.CommissionType, rate: int, why: str) -> None:
    with pytest.raises(RefusedError, match=f"COMMISSION_UNFIT: .*{why}"):
        commission(money, kind, rate)


def swap(**fields: Any) -> Instrument:
    fields = {"swapLong": -1.5, "swapShort": 0.25, "swapPeriod": 24, "swapTime": 1_260} | fields
    return swap_of(symbol(**fields), CORE)[0]


@pytest.mark.parametrize(
    ("kind", "core_kind", "long", "short"),
    [
        (pb.PIPS, SwapKind.PRICE, -150_000_000, 25_000_000),  # 0.01 a pip
        (pb.POINTS, SwapKind.PRICE, -15_000_000, 2_500_000),  # 0.001 a point
        (pb.PERCENTAGE, SwapKind.PERCENT_PER_YEAR, -150_000, 25_000),
    ],
)
def test_every_kind_of_swap_has_its_like(
    kind: pb.SwapCalculationType, core_kind: SwapKind, long: int, short: int
) -> None:
    core = swap(swapCalculationType=kind)
    assert (core.swap_kind, core.swap_long, core.swap_short) == (core_kind, long, short)


def test_a_swap_in_pips_is_charged_as_the_price_it_is() -> None:
    monday_ms = 4 * 24 * HOUR_MS
    core = swap(swapCalculationType=pb.PIPS, swapRollover3Days=pb.FRIDAY)
    # 25 t x 1.5 pips of 0.01
    assert fills.swap_minor(core, 1, 4_000 * PX, 2_500, RATE_ONE_E8, monday_ms) == -38


@pytest.mark.parametrize(("day", "weekday"), [(pb.MONDAY, 0), (pb.FRIDAY, 4), (pb.SUNDAY, 6), (pb.NONE, -1), (None, 0)])
def test_the_triple_day_is_counted_from_monday(day: pb.DayOfWeek | None, weekday: int) -> None:
    assert swap(swapRollover3Days=day).swap_triple_weekday == weekday


def test_times_of_charges_are_the_brokers_and_the_configured_ones_where_it_says_none() -> None:
    assert (swap().swap_time_ms, swap(swapPeriod=8).swap_period_ms) == (1_260 * MINUTE_MS, 8 * HOUR_MS)
    unsaid = swap(swapPeriod=None, swapTime=None)
    assert (unsaid.swap_time_ms, unsaid.swap_period_ms) == (CORE.swap_time_ms, CORE.swap_period_ms)
    assert swap(swapLong=None, swapShort=None) == CORE
    assert swap(swapLong=None).swap_long == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"chargeSwapAtWeekends": True},
        {"skipSWAPPeriods": 1},
        {"swapPeriod": 7},
        {"swapPeriod": 0},
        {"swapPeriod": 48},
        {"swapTime": 1_440},
        {"swapTime": -1},
        {"swapLong": float("nan")},
        {"swapLong": float("inf")},
        {"swapLong": 1e12},
    ],
)
def test_a_swap_that_the_core_cannot_count_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="SWAP_UNFIT"):
        swap(**fields)


def test_how_nothing_is_charged_does_not_matter() -> None:
    core = swap(swapLong=0.0, swapShort=0.0, chargeSwapAtWeekends=True, swapPeriod=7)
    assert (core.swap_long, core.swap_short, core.swap_period_ms) == (0, 0, CORE.swap_period_ms)


def test_a_swap_that_is_too_fine_is_rounded_against_us_and_that_is_said() -> None:
    full = symbol(swapLong=-1e-9, swapShort=2.5e-7, swapCalculationType=pb.POINTS)
    core, remarks = swap_of(full, CORE)
    assert (core.swap_long, core.swap_short) == (-1, 2)
    assert set(remarks) == {"swap_long", "swap_short"}
    assert all("rounded against us" in each for each in remarks.values())
