"""Margin: of a position, of an account with hedged legs, and what happens when equity runs short."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.core import fills
from palmbot.core.rounding import mul_div_half_away
from palmbot.exchange import margin
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.listing import OPEN_END, DynamicLeverage, Tier
from palmbot.exchange.margin import Leg, StopOut
from palmbot.exchange.terms import DEFAULT_MARGIN_CALLS, MarginCall, Terms
from palmbot.exchange.values import StopOutOrder, TotalMargin
from palmbot.instruments import PALM_OIL
from palmbot.units import MINUTE_MS, PX, RATE_ONE_E8

CATALOGUE = catalogue_of(replace(PALM_OIL, deposit_currency="USD", quote_currency="USD"))
EURUSD = next(each for each in CATALOGUE.listings if each.name == "EURUSD")
TERMS = Terms(1, CATALOGUE.deposit_asset_id)
TIERS = DynamicLeverage(1, (Tier(1_000, 500), Tier(5_000, 200), Tier(OPEN_END, 50)))


def leg(position_id: int, side: int, volume_cu: int, margin_minor: int, **more: int) -> Leg:
    return Leg(position_id, 1, side, volume_cu, margin_minor, **more)


# -- one position


def test_the_recorded_margin_comes_out_to_the_cent() -> None:
    assert margin.position_minor(EURUSD, 111_984, 100_000, RATE_ONE_E8, 10_000) == 1_120


@given(st.integers(1, 10**8), st.integers(1, 10**8), st.integers(10**6, 10**10), st.integers(1, 1_000))
def test_a_whole_leverage_holds_what_the_core_holds(price_px: int, volume_cu: int, rate: int, leverage: int) -> None:
    core = EURUSD.spec.core._replace(leverage=leverage)
    found = margin.position_minor(EURUSD, price_px, volume_cu, rate, leverage * 100)
    assert found == fills.margin_minor(core, price_px, volume_cu, rate)


def test_a_leverage_may_have_cents() -> None:
    assert margin.position_minor(EURUSD, 100_000, 100_000, RATE_ONE_E8, 3_333) == 3_000  # 1000 / 33.33 = 30.003


@pytest.mark.parametrize(
    ("exposure", "account", "leverage"),
    [(0, 100_000, 50_000), (1_000, 100_000, 50_000), (1_001, 100_000, 20_000), (5_001, 100_000, 5_000), (1, 300, 300)],
)
def test_the_leverage_is_the_less_of_the_account_and_its_tier(exposure: int, account: int, leverage: int) -> None:
    assert margin.leverage_cents(account, TIERS, exposure) == leverage


def test_without_tiers_the_account_decides() -> None:
    assert margin.leverage_cents(3_333, None, 10**15) == 3_333


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=5))
def test_a_larger_exposure_never_has_more_leverage(exposures: list[int]) -> None:
    found = [margin.leverage_cents(100_000, TIERS, exposure) for exposure in sorted(exposures)]
    assert found == sorted(found, reverse=True)


def test_an_exposure_is_cents_of_a_dollar() -> None:
    assert margin.exposure_cents(100_000, 111_984_000) == 111_984  # 1000 EUR


# -- an account

LEGS = st.lists(
    st.builds(
        lambda symbol, side, units, each, net, at: Leg(at, symbol, side, units * 25, units * each, net, 25, 25),
        st.integers(1, 2),
        st.sampled_from((1, -1)),
        st.integers(1, 40),
        st.integers(0, 5_000),
        st.integers(-50_000, 50_000),
        st.integers(1, 10**6),
    ),
    max_size=6,
    unique_by=lambda each: each.position_id,
)


@pytest.mark.parametrize(("kind", "used"), [(TotalMargin.SUM, 700), (TotalMargin.MAX, 400), (TotalMargin.NET, 300)])
def test_hedged_legs_share_margin_as_the_account_says(kind: TotalMargin, used: int) -> None:
    legs = [leg(1, 1, 3_000, 300), leg(2, 1, 1_000, 100), leg(3, -1, 1_000, 300)]
    assert margin.used_minor(legs, kind) == used  # net: three quarters of the longs' 400


@given(LEGS)
def test_totals_never_exceed_the_sum_and_one_sided_legs_share_nothing(legs: list[Leg]) -> None:
    total, larger, net = (margin.used_minor(legs, kind) for kind in (TotalMargin.SUM, TotalMargin.MAX, TotalMargin.NET))
    assert total == sum(each.margin_minor for each in legs)
    assert 0 <= larger <= total
    assert 0 <= net <= total
    longs = [each for each in legs if each.side > 0]
    assert len({margin.used_minor(longs, kind) for kind in TotalMargin}) == 1


def test_legs_of_other_symbols_do_not_hedge() -> None:
    legs = [leg(1, 1, 100, 300), leg(2, -1, 100, 300)._replace(symbol_id=2)]
    assert {margin.used_minor(legs, kind) for kind in TotalMargin} == {600}


def test_a_covered_account_holds_no_net_margin() -> None:
    assert margin.used_minor([leg(1, 1, 100, 300), leg(2, -1, 100, 310)], TotalMargin.NET) == 0
    assert margin.used_minor([], TotalMargin.NET) == 0


def test_without_margin_no_level_is_too_low() -> None:
    assert not margin.is_below(-1, 0, 50)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**12), st.integers(0, 200))
def test_below_is_exact(equity_minor: int, used: int, threshold_pct: int) -> None:
    assert margin.is_below(equity_minor, used, threshold_pct) == (Fraction(equity_minor * 100, used) < threshold_pct)


# -- stop-out


def test_nothing_is_closed_at_the_level_and_the_largest_margin_just_below_it() -> None:
    legs = [leg(1, 1, 1_000, 300), leg(2, -1, 1_000, 500), leg(3, 1, 1_000, 500)]
    assert margin.stop_out(legs, 650, TERMS) is None
    assert margin.stop_out(legs, 649, TERMS) == StopOut(2, 1_000)
    assert margin.stop_out([], -5, TERMS) is None


def test_the_most_losing_goes_first_where_the_account_says_so() -> None:
    legs = [leg(1, 1, 1_000, 300, net_minor=-5), leg(2, 1, 1_000, 500, net_minor=9), leg(3, 1, 50, 1, net_minor=-5)]
    terms = replace(TERMS, stop_out_order=StopOutOrder.MOST_LOSING_FIRST)
    assert margin.stop_out(legs, 10, terms) == StopOut(1, 1_000)


@pytest.mark.parametrize(
    ("equity_minor", "volume_cu"),
    [
        pytest.param(499, 25, id="one step where that is enough"),
        pytest.param(250, 500, id="half of it"),
        pytest.param(249, 525, id="and a step more"),
        pytest.param(14, 1_000, id="all of it where the rest could not stand"),
        pytest.param(0, 1_000, id="all of it without equity"),
        pytest.param(-9, 1_000, id="all of it below nothing"),
    ],
)
def test_a_partial_stop_out_closes_the_fewest_steps_that_lift_the_level(equity_minor: int, volume_cu: int) -> None:
    legs = [leg(1, 1, 1_000, 1_000, step_cu=25, min_cu=50 if equity_minor < 20 else 25)]
    terms = replace(TERMS, is_fair_stop_out=False)
    assert margin.stop_out(legs, equity_minor, terms) == StopOut(1, volume_cu)


def test_a_partial_stop_out_closes_at_least_the_smallest_volume() -> None:
    legs = [leg(1, 1, 1_000, 1_000, step_cu=25, min_cu=100)]
    assert margin.stop_out(legs, 499, replace(TERMS, is_fair_stop_out=False)) == StopOut(1, 100)


def closed(legs: list[Leg], out: StopOut) -> list[Leg]:
    """What is left after a close, margin and result shared pro rata as an account does."""
    rest = []
    for each in legs:
        if each.position_id != out.position_id:
            rest.append(each)
        elif out.volume_cu < each.volume_cu:
            part = mul_div_half_away(each.margin_minor, out.volume_cu, each.volume_cu)
            net = mul_div_half_away(each.net_minor, out.volume_cu, each.volume_cu)
            volume = each.volume_cu - out.volume_cu
            rest.append(
                each._replace(volume_cu=volume, margin_minor=each.margin_minor - part, net_minor=each.net_minor - net)
            )
    return rest


@given(
    LEGS,
    st.integers(-(10**5), 10**6),
    st.sampled_from(TotalMargin),
    st.sampled_from(StopOutOrder),
    st.booleans(),
    st.integers(0, 200),
)
def test_a_stop_out_ends_above_the_level_or_flat_whatever_the_account(
    legs: list[Leg], equity_minor: int, kind: TotalMargin, order: StopOutOrder, is_fair: bool, level: int
) -> None:
    terms = replace(TERMS, total_margin=kind, stop_out_order=order, is_fair_stop_out=is_fair, stop_out_pct=level)
    while (out := margin.stop_out(legs, equity_minor, terms)) is not None:
        chosen = next(each for each in legs if each.position_id == out.position_id)
        assert 0 < out.volume_cu <= chosen.volume_cu
        assert out.volume_cu % chosen.step_cu == 0
        rest_cu = chosen.volume_cu - out.volume_cu
        assert rest_cu == 0 or rest_cu >= chosen.min_cu
        assert rest_cu == 0 or not is_fair
        legs = closed(legs, out)
        equity_minor -= 7  # the closing commission
    used = margin.used_minor(legs, kind)
    assert not legs or used == 0 or equity_minor * 100 >= level * used


@given(LEGS, st.integers(0, 10**6), st.sampled_from(StopOutOrder))
def test_a_partial_stop_out_never_closes_more_than_a_fair_one(
    legs: list[Leg], equity_minor: int, order: StopOutOrder
) -> None:
    terms = replace(TERMS, stop_out_order=order)
    fair = margin.stop_out(legs, equity_minor, terms)
    part = margin.stop_out(legs, equity_minor, replace(terms, is_fair_stop_out=False))
    assert (fair is None) == (part is None)
    if fair is not None and part is not None:
        assert part.position_id == fair.position_id
        assert part.volume_cu <= fair.volume_cu


# -- margin calls


def told(calls: tuple[MarginCall, ...], equity: int, now_ms: int) -> tuple[list[int], tuple[MarginCall, ...]]:
    due, after = margin.due_calls(calls, equity, 1_000, now_ms)
    return [call.kind for call in due], after


def test_each_threshold_that_is_reached_is_told() -> None:
    assert told(DEFAULT_MARGIN_CALLS, 1_001, 0)[0] == []
    assert told(DEFAULT_MARGIN_CALLS, 1_000, 0)[0] == [61]
    assert told(DEFAULT_MARGIN_CALLS, 800, 0)[0] == [61, 62]
    assert told(DEFAULT_MARGIN_CALLS, -5, 0)[0] == [61, 62, 63]


def test_a_threshold_is_told_again_after_ten_minutes_and_each_by_itself() -> None:
    kinds, calls = told(DEFAULT_MARGIN_CALLS, 900, 0)
    assert kinds == [61]
    kinds, calls = told(calls, 700, 5 * MINUTE_MS)
    assert kinds == [62]
    assert told(calls, 700, 10 * MINUTE_MS - 1)[0] == []
    kinds, calls = told(calls, 700, 10 * MINUTE_MS)
    assert kinds == [61]
    assert [call.told_ms for call in calls] == [10 * MINUTE_MS, 5 * MINUTE_MS, None]


def test_an_account_that_uses_no_margin_and_a_threshold_of_nothing_are_never_called() -> None:
    assert margin.due_calls(DEFAULT_MARGIN_CALLS, -1, 0, 0) == ((), DEFAULT_MARGIN_CALLS)
    off = (MarginCall(61, 0.0),)
    assert margin.due_calls(off, -1, PX, 0) == ((), off)


@given(st.lists(st.tuples(st.integers(0, 20 * MINUTE_MS), st.integers(-100, 1_500)), max_size=30))
def test_no_threshold_is_ever_told_twice_in_ten_minutes(steps: list[tuple[int, int]]) -> None:
    calls, now_ms = DEFAULT_MARGIN_CALLS, 0
    last: dict[int, int] = {}
    for wait_ms, equity in steps:
        now_ms += wait_ms
        kinds, calls = told(calls, equity, now_ms)
        for kind in kinds:
            assert now_ms - last.get(kind, -10 * MINUTE_MS) >= 10 * MINUTE_MS
            last[kind] = now_ms
