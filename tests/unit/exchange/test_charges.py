"""Charges by the kinds of the wire: recordings to the cent, the rest against exact fractions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import money
from tests.oracle.worlds import START_MS, instrument_of

from palmbot.core import fills
from palmbot.core.types import CommissionKind, SwapKind
from palmbot.exchange import charges
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.charges import Stake
from palmbot.exchange.listing import CommissionType, Listing, MinCommissionType, SwapRounding, SwapType, Weekday
from palmbot.exchange.rates import Rates
from palmbot.instruments import PALM_OIL
from palmbot.units import DAY_MS, HOUR_MS, PX, RATE_ONE_E8

USD = replace(PALM_OIL, deposit_currency="USD", quote_currency="USD")
ONE = Rates(RATE_ONE_E8)


def listed(name: str = "EURUSD", **terms: Any) -> Listing:
    listing = catalogue_of(USD).named(name)
    assert listing is not None
    return replace(listing, **terms)


def with_core(listing: Listing, **core: int) -> Listing:
    return replace(listing, spec=replace(listing.spec, core=listing.spec.core._replace(**core)))


CRYPTO = with_core(
    listed("PALMOIL", commission_type=CommissionType.PERCENTAGE_OF_VALUE),
    commission_kind=int(CommissionKind.PERCENT_OF_VALUE),
    commission_rate=3_250,
)


@pytest.mark.parametrize(
    ("listing", "volume_cu", "entry_px", "exit_px", "money_minor"),
    [
        pytest.param(listed(), 10_000_000, 111_966, 111_969, (300, -250, -250), id="one lot of EURUSD"),
        pytest.param(listed(), 100_000, 112_569, 112_568, (-1, -3, -3), id="1000 units of EURUSD"),
        pytest.param(CRYPTO, 99, 8_528_721_000, 8_520_558_000, (-8_081, -2_744, -2_741), id="a crypto CFD"),
    ],
)
def test_the_recorded_trades_come_out_to_the_cent(
    listing: Listing, volume_cu: int, entry_px: int, exit_px: int, money_minor: tuple[int, int, int]
) -> None:
    gross = fills.gross_minor(listing.spec.core, 1, entry_px, exit_px, volume_cu, RATE_ONE_E8)
    paid = tuple(charges.commission_minor(listing, price, volume_cu, ONE) for price in (entry_px, exit_px))
    assert (gross, *paid) == money_minor


def test_the_recorded_margin_rate_is_what_a_euro_is_worth() -> None:
    assert charges.base_e8(111_984, ONE) == 111_984_000


@given(st.integers(0, 2**32), st.integers(10**6, 10**11))
def test_the_traded_symbol_is_charged_exactly_as_the_core_charges(seed: int, rate: int) -> None:
    rng = Random(seed)
    core = instrument_of(rng, 100, 4_000_000, START_MS + rng.randrange(7 * DAY_MS))
    listing = catalogue_of(replace(PALM_OIL, core=core)).traded
    price, volume, rates = rng.randrange(1, 10_000) * 1_000, rng.randrange(1, 10_000), Rates(rate)
    assert charges.commission_minor(listing, price, volume, rates) == fills.commission_minor(core, price, volume, rate)
    instant = charges.next_swap_ms(listing, START_MS)
    assert instant == fills.first_swap_ms(core, START_MS)
    for side in (1, -1):
        found = charges.swap_minor(listing, Stake(side, volume, START_MS), price, rates, instant)
        assert found == fills.swap_minor(core, side, price, volume, rate, instant)
    gross = rng.randrange(-(10**6), 10**6)
    assert charges.fee_minor(listing, gross) == fills.fee_minor(core, gross)


# -- commission

VOLUMES = st.integers(1, 10**9)
RATES = st.integers(10**6, 10**10)


@given(VOLUMES, st.integers(1, 10**7), RATES)
def test_dollars_a_lot_are_converted_from_dollars(volume_cu: int, price_px: int, usd_e8: int) -> None:
    listing = listed()
    exact = Fraction(volume_cu, listing.spec.core.lot_cu) * 250 * Fraction(usd_e8, RATE_ONE_E8)
    found = charges.commission_minor(listing, price_px, volume_cu, Rates(1, usd_e8))
    assert found == -money.nearest(exact)


@given(VOLUMES, st.integers(1, 10**7), RATES)
def test_dollars_a_million_dollars_follow_the_value_of_the_base(volume_cu: int, price_px: int, quote_e8: int) -> None:
    listing = listed("USDJPY")
    base = Fraction(charges.base_e8(price_px, Rates(quote_e8)), RATE_ONE_E8)
    exact = Fraction(volume_cu, 100) * base / 10**6 * 25 * 100
    found = charges.commission_minor(listing, price_px, volume_cu, Rates(quote_e8, 1))
    assert found == -money.nearest(exact)


def test_one_lot_of_a_pair_of_the_dollar_costs_its_rate_a_million() -> None:
    listing = listed("USDJPY")  # 100,000 USD at 25 USD a million
    assert charges.commission_minor(listing, 15_712_300, 10_000_000, Rates(636_444)) == -250


@given(VOLUMES, st.integers(1, 10**7), RATES)
def test_a_percentage_is_of_the_value_in_quote_currency(volume_cu: int, price_px: int, quote_e8: int) -> None:
    listing = listed("USDMYR")
    value = Fraction(volume_cu, 100) * Fraction(price_px, PX) * Fraction(quote_e8, RATE_ONE_E8)
    found = charges.commission_minor(listing, price_px, volume_cu, Rates(quote_e8, 1))
    assert found == -money.nearest(value * Fraction(3, 100_000) * 100)


@given(VOLUMES, RATES)
def test_quote_currency_a_lot_is_converted_from_it(volume_cu: int, quote_e8: int) -> None:
    listing = listed("PALMOIL")  # 25 a lot of 25 t
    exact = Fraction(volume_cu, 2_500) * 2_500 * Fraction(quote_e8, RATE_ONE_E8)
    assert charges.commission_minor(listing, 1, volume_cu, Rates(quote_e8, 1)) == -money.nearest(exact)


def test_a_trade_costs_at_least_the_minimum_in_its_own_currency() -> None:
    least = listed(commission_min_e8=150_000_000)  # 1.50 USD
    in_ringgit = Rates(447_120_000, 447_120_000, 447_120_000)
    assert charges.commission_minor(least, 111_984, 100_000, ONE) == -150
    assert charges.commission_minor(least, 111_984, 10_000_000, ONE) == -250
    assert charges.commission_minor(least, 111_984, 100_000, in_ringgit) == -671  # 6.7068
    in_yen = replace(least, commission_min_type=MinCommissionType.QUOTE_CURRENCY, commission_min_e8=20_000_000_000)
    assert charges.commission_minor(in_yen, 111_984, 100_000, Rates(0, RATE_ONE_E8, 636_444)) == -127


def test_a_minimum_holds_for_every_kind_of_commission() -> None:
    for name in ("EURUSD", "USDJPY", "USDMYR", "PALMOIL"):
        listing = listed(name, commission_min_e8=10**11)
        assert charges.commission_minor(listing, 100_000, 25, ONE) == -100_000


# -- overnight

MONDAY = int(datetime(2024, 3, 4, 21, tzinfo=UTC).timestamp()) * 1000
WEEK = [MONDAY + day * DAY_MS for day in range(7)]
LONG = Stake(1, 10_000_000, MONDAY - HOUR_MS)


def week_of(listing: Listing, stake: Stake = LONG, bid_px: int = 111_984) -> list[int]:
    return [charges.swap_minor(listing, stake, bid_px, ONE, instant) for instant in WEEK]


def test_swaps_in_pips_are_lots_times_units_times_pips_three_on_the_triple_day() -> None:
    assert week_of(listed()) == [-650, -650, -1_950, -650, -650, 0, 0]  # 0.65 pips on 100,000 EUR
    assert week_of(listed(), LONG._replace(side=-1)) == [210, 210, 630, 210, 210, 0, 0]


def test_swaps_in_points_are_counted_in_the_last_digit() -> None:
    points = with_core(listed(swap_type=SwapType.POINTS), swap_long=-650_000)
    assert points.swap_long == -6.5
    assert week_of(points)[0] == -650


def test_swaps_in_percent_are_a_360th_of_the_value() -> None:
    percent = with_core(listed("USDJPY"), swap_long=-360_000)  # 3.6 % a year
    assert week_of(percent, bid_px=15_000_000)[0] == -150_000  # 0.01 % of 15,000,000


@pytest.mark.parametrize(
    ("rounding", "charged", "paid"),
    [(SwapRounding.NEAREST, -651, 651), (SwapRounding.TOWARDS_ZERO, -650, 650), (SwapRounding.DOWN, -651, 650)],
)
def test_what_is_less_than_a_cent_of_a_swap_goes_where_the_knob_says(
    rounding: SwapRounding, charged: int, paid: int
) -> None:
    for rate, swap in ((-650_600, charged), (650_600, paid), (-650_000, -650), (650_000, 650)):
        points = with_core(listed(swap_type=SwapType.POINTS, swap_rounding=rounding), swap_long=rate)
        assert week_of(points)[0] == swap


def test_a_year_may_have_other_days() -> None:
    percent = with_core(listed("USDJPY", swap_year_days=365), swap_long=-365_000)
    assert week_of(percent, bid_px=15_000_000) == [-150_000, -150_000, -450_000, -150_000, -150_000, 0, 0]


@given(st.integers(1, 10**9), st.integers(-(10**7), 10**7), st.integers(1, 10**8))
def test_another_year_is_exact_to_a_hundredth_of_a_cent(bid_px: int, rate: int, volume_cu: int) -> None:
    listing = with_core(listed(swap_year_days=365), swap_kind=int(SwapKind.PERCENT_PER_YEAR), swap_long=rate)
    exact = Fraction(bid_px, PX) * Fraction(volume_cu, 100) * Fraction(rate, 10**7) / 365 * 100
    found = charges.swap_minor(listing, LONG._replace(volume_cu=volume_cu), bid_px, ONE, MONDAY)
    assert abs(found - exact) <= Fraction(51, 100)


def test_weekends_may_be_charged_and_may_hold_the_triple_day() -> None:
    assert week_of(listed(swap_at_weekends=True)) == [-650, -650, -1_950, -650, -650, -650, -650]
    sunday = with_core(listed(swap_at_weekends=True), swap_triple_weekday=6)
    assert week_of(sunday) == [-650] * 6 + [-1_950]
    nothing = with_core(listed(swap_at_weekends=True), swap_triple_weekday=-1)
    assert week_of(nothing) == [-650] * 7
    assert week_of(with_core(listed(), swap_triple_weekday=6)) == [-650] * 5 + [0, 0]


def test_the_first_periods_may_be_free() -> None:
    assert week_of(listed(swap_skip_periods=2)) == [0, 0, -1_950, -650, -650, 0, 0]
    later = LONG._replace(entry_ms=MONDAY)  # at an instant: that one is past
    assert week_of(listed(swap_skip_periods=2), later)[1:4] == [0, 0, -650]


def test_swaps_come_at_their_time_and_period() -> None:
    eight_hours = with_core(listed(), swap_period_ms=8 * HOUR_MS, swap_time_ms=5 * HOUR_MS)
    assert charges.next_swap_ms(eight_hours, MONDAY) == MONDAY + 8 * HOUR_MS
    assert charges.next_swap_ms(eight_hours, MONDAY - 1) == MONDAY
    assert charges.next_swap_ms(with_core(listed(), swap_long=0, swap_short=0), MONDAY) == fills.NEVER_MS


def test_an_account_without_swaps_pays_dollars_a_lot_and_day() -> None:
    listing = listed(rollover_commission=5, rollover_triple_day=Weekday.FRIDAY)
    found = [charges.rollover_minor(listing, LONG, Rates(1, 2 * RATE_ONE_E8), instant) for instant in WEEK]
    assert found == [-1_000, -1_000, -1_000, -1_000, -3_000, 0, 0]
    small = LONG._replace(volume_cu=100_000)
    assert charges.rollover_minor(listing, small, ONE, MONDAY) == -5


def test_the_daily_fee_has_days_of_grace_and_may_be_charged_at_weekends() -> None:
    listing = listed(rollover_commission=5, rollover_skip_days=3, swap_at_weekends=True)
    found = [charges.rollover_minor(listing, LONG, ONE, instant) for instant in WEEK]
    assert found == [0, 0, 0, -500, -500, -500, -500]
    never = replace(listing, rollover_triple_day=Weekday.NONE, rollover_skip_days=0)
    assert [charges.rollover_minor(never, LONG, ONE, instant) for instant in WEEK] == [-500] * 7


def test_the_daily_fee_is_due_at_the_swap_time_of_each_day_also_where_no_swap_is() -> None:
    listing = with_core(listed(rollover_commission=5), swap_long=0, swap_short=0, swap_period_ms=8 * HOUR_MS)
    assert charges.next_rollover_ms(listing, MONDAY - 1) == MONDAY
    assert charges.next_rollover_ms(listing, MONDAY) == MONDAY + DAY_MS
    assert charges.rollover_minor(listing, LONG, ONE, MONDAY) == -500
    assert charges.next_rollover_ms(listed(), MONDAY) == fills.NEVER_MS


# -- the rest


def test_a_guaranteed_stop_costs_points_on_its_volume() -> None:
    listing = listed(has_guaranteed_stops=True, gsl_charge=30)
    assert charges.gsl_charge_minor(listing, 10_000_000, ONE) == -3_000
    assert charges.gsl_charge_minor(listing, 10_000_000, Rates(50_000_000)) == -1_500
    assert charges.gsl_charge_minor(listed(), 10_000_000, ONE) == 0
    coarse = listed("PALMOIL", gsl_charge=30)  # three decimals: 0.03 on 25 t
    assert charges.gsl_charge_minor(coarse, 2_500, ONE) == -75


def test_the_conversion_fee_is_hundredths_of_a_percent_of_profit_and_loss_alike() -> None:
    listing = with_core(listed(), conversion_fee_bp=50)
    assert [charges.fee_minor(listing, gross) for gross in (10_000, -10_000, 99, 100)] == [-50, -50, 0, -1]
