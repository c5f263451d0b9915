"""What a listing states on the wire, and that a client reads the very costs of the core off it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.worlds import START_MS, instrument_of

from palmbot.calendar import EPOCH, Session, is_open
from palmbot.core.types import CommissionKind, Instrument, SwapKind
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.listing import (
    CommissionType,
    DistanceUnit,
    Interval,
    Listing,
    MinCommissionType,
    SwapType,
    Weekday,
    holidays_of,
    schedule_of,
)
from palmbot.instruments import BURSA, PALM_OIL, InstrumentSpec
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX

HOUR_S = 3_600
UNSAID = ("spread_kind", "spread", "slippage_kind", "slippage", "day_start_ms")  # what no field of the wire says


def read_by_a_client(listing: Listing, money_digits: int, leverage: int) -> Instrument:
    """What the wire's fields say, by the protocol sheet alone (4.4, 5.5)."""
    step_px = 10 ** (5 - listing.spec.digits)
    sizes = listing.spec.core
    kinds = {
        CommissionType.PERCENTAGE_OF_VALUE: CommissionKind.PERCENT_OF_VALUE,
        CommissionType.QUOTE_CCY_PER_LOT: CommissionKind.PER_LOT_QUOTE,
        CommissionType.USD_PER_LOT: CommissionKind.PER_LOT_DEPOSIT,
    }
    in_percent = listing.swap_type is SwapType.PERCENTAGE
    scale = 10**5 if in_percent else 10**10 / 10**listing.spec.digits
    assert listing.commission_min_type is MinCommissionType.CURRENCY
    assert listing.commission_min_asset == listing.spec.deposit_currency
    assert listing.distance_unit is DistanceUnit.POINTS
    return sizes._replace(
        step_px=step_px,
        money_digits=money_digits,
        leverage=leverage,
        commission_kind=int(kinds[listing.commission_type]),
        commission_rate=sizes.commission_rate,  # preciseTradingCommissionRate has the core's scales
        commission_min_minor=listing.commission_min_e8 * 10**money_digits // 10**8,
        sl_min_px=listing.sl_distance * step_px,
        tp_min_px=listing.tp_distance * step_px,
        swap_kind=int(SwapKind.PERCENT_PER_YEAR if in_percent else SwapKind.PRICE),
        swap_long=round(listing.swap_long * scale),
        swap_short=round(listing.swap_short * scale),
        swap_time_ms=listing.swap_time_minutes * MINUTE_MS,
        swap_period_ms=listing.swap_period_hours * HOUR_MS,
        swap_triple_weekday=listing.swap_triple_day - Weekday.MONDAY,
    )


def as_sent(spec: InstrumentSpec) -> Instrument:
    catalogue = catalogue_of(spec)
    tiers = catalogue.leverage(catalogue.traded.leverage_id)
    assert tiers is not None
    return read_by_a_client(catalogue.traded, spec.core.money_digits, tiers.tiers[-1].leverage)


def test_a_client_reads_the_costs_of_the_built_in_palm_oil_off_its_listing() -> None:
    assert as_sent(PALM_OIL) == PALM_OIL.core


@pytest.mark.parametrize(
    "core",
    [
        pytest.param({"commission_kind": 2, "commission_rate": 3_250, "commission_min_minor": 125}, id="percent"),
        pytest.param(
            {"swap_long": -12_345_678_900, "swap_short": 7, "swap_time_ms": 22 * HOUR_MS}, id="swap in points"
        ),
        pytest.param({"swap_kind": 1, "swap_long": -650_001, "swap_short": 12_345}, id="swap in percent"),
        pytest.param({"swap_triple_weekday": -1}, id="no triple day"),
        pytest.param({"sl_min_px": 300_000, "tp_min_px": 100}, id="distances"),
    ],
)
def test_a_client_reads_configured_costs_off_the_listing(core: dict[str, int]) -> None:
    spec = replace(PALM_OIL, core=PALM_OIL.core._replace(**core))
    assert as_sent(spec) == spec.core


@given(st.integers(0, 2**32), st.integers(0, 5))
def test_a_client_reads_the_costs_of_any_instrument_off_its_listing(seed: int, digits: int) -> None:
    rng = Random(seed)
    step_px = 10 ** (5 - digits)
    core = instrument_of(rng, step_px, 4_000 * step_px, START_MS + rng.randrange(7 * DAY_MS))
    core = core._replace(swap_time_ms=core.swap_time_ms // MINUTE_MS * MINUTE_MS)
    for deposit in ("MYR", "USD"):  # what is charged in the deposit currency is sayable in these two
        spec = replace(PALM_OIL, digits=digits, core=core, deposit_currency=deposit)
        found = as_sent(spec)
        if deposit == "MYR" and core.commission_kind == CommissionKind.PER_LOT_DEPOSIT:
            found = found._replace(commission_kind=core.commission_kind)  # one currency: both names mean the same
        assert [name for name in core._fields if getattr(found, name) != getattr(core, name)] == []


def test_distances_between_two_points_are_stated_as_the_larger_number_of_them() -> None:
    spec = replace(PALM_OIL, core=PALM_OIL.core._replace(sl_min_px=101))
    assert catalogue_of(spec).traded.sl_distance == 2


def test_the_week_of_bursa_is_stated_from_sunday() -> None:
    monday = [(34.5, 36.5), (38.5, 42), (45, 47.5)]
    days = [(start + 24 * day, end + 24 * day) for day in range(5) for start, end in monday]
    assert schedule_of(BURSA) == tuple(Interval(int(a * HOUR_S), int(b * HOUR_S)) for a, b in days[:-1])
    assert catalogue_of(PALM_OIL).traded.schedule == schedule_of(BURSA)


def test_no_intervals_are_a_whole_week() -> None:
    assert schedule_of(Session()) == (Interval(0, 7 * 24 * HOUR_S),)


def test_a_session_over_the_turn_of_the_week_is_one_interval_and_one_over_saturday_is_two() -> None:
    sunday_to_monday = Session("UTC", ((6 * 1_440 + 1_320, 7 * 1_440 + 120),))
    assert schedule_of(sunday_to_monday) == (Interval(22 * HOUR_S, 26 * HOUR_S),)
    saturday_to_sunday = Session("UTC", ((5 * 1_440 + 1_320, 6 * 1_440 + 120),))
    assert schedule_of(saturday_to_sunday) == (Interval(0, 2 * HOUR_S), Interval(166 * HOUR_S, 168 * HOUR_S))


def test_intervals_that_touch_are_one() -> None:
    assert schedule_of(Session("UTC", ((0, 60), (60, 120)))) == (Interval(24 * HOUR_S, 26 * HOUR_S),)


@given(
    st.lists(st.tuples(st.integers(0, 7 * 1_440 - 1), st.integers(1, 2_000)), max_size=4),
    st.sets(st.integers(0, 13), max_size=3),
    st.integers(0, 14 * 1_440 - 1),
)
def test_a_client_that_reads_schedule_and_holidays_knows_when_the_market_is_open(
    spans: list[tuple[int, int]], closed: set[int], minute: int
) -> None:
    monday = date(2024, 3, 4)
    days = frozenset(monday + timedelta(day) for day in closed)
    session = Session("Asia/Kuala_Lumpur", tuple((start, start + length) for start, length in spans), days)
    ts_ms = (monday - EPOCH).days * DAY_MS + minute * MINUTE_MS - 8 * HOUR_MS  # Kuala Lumpur is 8 hours ahead
    second = (86_400 + minute * 60) % (7 * 86_400)
    in_week = any(each.start_s <= second < each.end_s for each in schedule_of(session))
    local_day = (ts_ms + 8 * HOUR_MS) // DAY_MS
    in_holiday = any(each.day == local_day for each in holidays_of(session))
    assert (in_week and not in_holiday) == is_open(ts_ms, session)


def test_holidays_are_days_since_the_epoch_in_order() -> None:
    session = Session("Asia/Kuala_Lumpur", (), frozenset({date(2024, 2, 12), date(1970, 1, 2)}))
    first, second = holidays_of(session)
    assert (first.holiday_id, first.day, first.time_zone) == (1, 1, "Asia/Kuala_Lumpur")
    assert (second.holiday_id, second.day) == (2, 19_765)


def test_a_distance_is_points_or_hundredths_of_a_percent() -> None:
    listing = catalogue_of(PALM_OIL).traded
    assert listing.distance_px(3, 4_000 * PX) == 300
    in_percent = replace(listing, distance_unit=DistanceUnit.PERCENTAGE)
    assert in_percent.distance_px(25, 4_000 * PX) == 10 * PX


def test_swaps_in_pips_count_pips_and_swaps_in_points_count_points() -> None:
    named = catalogue_of(PALM_OIL).named("EURUSD")
    assert named is not None
    assert (named.pip_position, named.spec.digits) == (4, 5)
    assert (named.swap_long, named.swap_short) == (-0.65, 0.21)
    assert replace(named, swap_type=SwapType.POINTS).swap_long == -6.5
