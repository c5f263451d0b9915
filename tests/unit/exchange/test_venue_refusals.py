"""What is refused: code, form and order of the checks (4.9, 5.2, 5.3, 6.9, 11.7). A refusal changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.unit.exchange.desk import OPEN, spec
from tests.unit.exchange.house import (
    FILL,
    LOT,
    TRADED,
    House,
    brackets,
    good_till,
    levels,
    limit,
    market,
    px,
    said,
    standing,
    stop,
)

from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.conduct import Delays
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.listing import DistanceUnit, TradingMode
from palmbot.exchange.values import (
    AccessRights,
    AmendOrder,
    AmendPosition,
    Brackets,
    CancelOrder,
    ClosePosition,
    NewOrder,
    Request,
    TimeInForce,
    Via,
)
from palmbot.instruments import PALM_OIL
from palmbot.model import OrderKind
from palmbot.units import HOUR_MS, PX

AT_ONCE = Delays(0, 0)
MALFORMED, BUSINESS = Via.ERROR_RES, Via.ORDER_ERROR


def listed(**terms: Any) -> House:
    """A house whose traded symbol has other terms, and one open position."""
    catalogue = catalogue_of(TRADED)
    house = House(catalogue=catalogue, delays=AT_ONCE)
    house.open()
    listings = [replace(each, **terms) if each.symbol_id == TRADED_ID else each for each in catalogue.listings]
    house.catalogue = replace(catalogue, listings=tuple(listings))
    house.restart()
    return house


def with_rights(rights: AccessRights) -> House:
    house = House(delays=AT_ONCE)
    house.open()
    house.ask(limit(1, 3_900))
    house.venue.set_terms(replace(house.account.terms, rights=rights))
    return house


@pytest.mark.parametrize(
    ("order", "code", "via"),
    [
        # in the order of the checks
        pytest.param(replace(market(), symbol_id=77), "SYMBOL_NOT_FOUND", BUSINESS, id="no such symbol"),
        pytest.param(
            replace(market(), kind=OrderKind.PROTECTION), "INVALID_REQUEST", MALFORMED, id="server's own kind"
        ),
        pytest.param(replace(market(), side=0), "INVALID_REQUEST", MALFORMED, id="neither buys nor sells"),
        pytest.param(replace(market(), label="x" * 101), "INVALID_REQUEST", MALFORMED, id="label too long"),
        pytest.param(replace(market(), comment="x" * 513), "INVALID_REQUEST", MALFORMED, id="comment too long"),
        pytest.param(replace(market(), client_order_id="x" * 51), "INVALID_REQUEST", MALFORMED, id="id too long"),
        pytest.param(replace(limit(1, 1), limit_px=None), "INVALID_REQUEST", MALFORMED, id="limit without a price"),
        pytest.param(replace(stop(1, 1), stop_px=None), "INVALID_REQUEST", MALFORMED, id="stop without a price"),
        pytest.param(
            NewOrder(1, OrderKind.STOP_LIMIT, 1, LOT, stop_px=px(4_010)),
            *("INVALID_REQUEST", MALFORMED),
            id="stop-limit without a slippage",
        ),
        pytest.param(
            NewOrder(1, OrderKind.MARKET_RANGE, 1, LOT, slippage_points=1),
            *("INVALID_REQUEST", MALFORMED),
            id="range without a base",
        ),
        pytest.param(
            limit(1, 3_990, time_in_force=TimeInForce.MARKET_ON_OPEN),
            *("INVALID_REQUEST", MALFORMED),
            id="a limit order for the next open",
        ),
        pytest.param(market(volume_cu=0), "TRADING_BAD_VOLUME", BUSINESS, id="no volume"),
        pytest.param(market(volume_cu=26), "TRADING_BAD_VOLUME", BUSINESS, id="no multiple of the step"),
        pytest.param(market(volume_cu=2_500_025), "TRADING_BAD_VOLUME", BUSINESS, id="above the maximum"),
        pytest.param(limit(1, 3_990.0001), "TRADING_BAD_PRICES", BUSINESS, id="more digits than the symbol"),
        pytest.param(limit(1, 0), "TRADING_BAD_PRICES", BUSINESS, id="a price of nothing"),
        pytest.param(limit(1, 3_990, asked=levels(3_950.0004)), "TRADING_BAD_PRICES", BUSINESS, id="digits of a level"),
        pytest.param(stop(1, 4_002), "TRADING_BAD_PRICES", BUSINESS, id="a buy stop must lie above the ask"),
        pytest.param(stop(-1, 4_000), "TRADING_BAD_PRICES", BUSINESS, id="a sell stop must lie below the bid"),
        pytest.param(
            NewOrder(1, OrderKind.MARKET_RANGE, 1, LOT, base_px=px(4_002), slippage_points=-1),
            *("TRADING_BAD_PRICES", BUSINESS),
            id="slippage below zero",
        ),
        pytest.param(market(asked=Brackets(sl_distance_px=PX + 1)), "INVALID_REQUEST", MALFORMED, id="precision of SL"),
        pytest.param(market(asked=Brackets(tp_distance_px=-PX)), "INVALID_REQUEST", MALFORMED, id="TP below zero"),
        pytest.param(limit(1, 3_990, **good_till(OPEN)), "TRADING_BAD_EXPIRATION_DATE", BUSINESS, id="expired already"),
        pytest.param(
            limit(1, 3_990, time_in_force=TimeInForce.GOOD_TILL_DATE),
            *("TRADING_BAD_EXPIRATION_DATE", BUSINESS),
            id="no date",
        ),
        pytest.param(market(asked=levels(3_900)), "INVALID_REQUEST", MALFORMED, id="absolute stop on a market order"),
        pytest.param(market(asked=levels(tp=4_100)), "INVALID_REQUEST", MALFORMED, id="absolute target on one"),
        pytest.param(
            NewOrder(1, OrderKind.MARKET_RANGE, 1, LOT, levels(3_900), base_px=px(4_002), slippage_points=900),
            *("INVALID_REQUEST", MALFORMED),
            id="absolute stop on a market range order",
        ),
        pytest.param(
            limit(1, 3_990, asked=Brackets(sl_px=px(3_950), sl_distance_px=px(40))),
            *("INVALID_REQUEST", MALFORMED),
            id="a level both ways",
        ),
        pytest.param(market(asked=Brackets(trailing=True)), "INVALID_REQUEST", MALFORMED, id="trailing without a stop"),
        pytest.param(
            market(asked=Brackets(guaranteed=True)), "INVALID_REQUEST", MALFORMED, id="guaranteed without one"
        ),
        pytest.param(limit(1, 3_990, asked=levels(3_990)), "TRADING_BAD_STOPS", BUSINESS, id="stop at the price"),
        pytest.param(limit(1, 3_990, asked=levels(tp=3_980)), "TRADING_BAD_STOPS", BUSINESS, id="target below it"),
        pytest.param(limit(-1, 4_010, asked=levels(4_000)), "TRADING_BAD_STOPS", BUSINESS, id="a short's stop below"),
        pytest.param(market(volume_cu=2_500_000), "NOT_ENOUGH_MONEY", BUSINESS, id="more than the money allows"),
        pytest.param(market(position_id=55), "POSITION_NOT_FOUND", BUSINESS, id="no such position to add to"),
    ],
)
def test_an_order_is_refused_by_its_code_and_form(order: NewOrder, code: str, via: Via) -> None:
    house = House()
    refused = house.refused(order)
    assert (refused.code, refused.via) == (code, via)
    assert refused.text
    assert house.venue.changes.is_empty


FAULTS: list[tuple[str, Callable[[NewOrder], NewOrder]]] = [
    ("TRADING_BAD_VOLUME", lambda order: replace(order, volume_cu=26)),
    ("TRADING_BAD_PRICES", lambda order: replace(order, limit_px=1)),
    ("TRADING_BAD_EXPIRATION_DATE", lambda order: replace(order, expires_ms=1)),
    ("TRADING_BAD_STOPS", lambda order: replace(order, brackets=levels(4_050))),
]


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_of_several_faults_the_first_check_speaks(first: int) -> None:
    order = limit(1, 3_990, **good_till(OPEN + HOUR_MS))
    for _, spoil in FAULTS[first:]:
        order = spoil(order)
    assert House().refused(order).code == FAULTS[first][0]


def test_schedule_comes_before_volume_and_symbol_before_both() -> None:
    house = House(PALM_OIL)
    house.passes(2 * HOUR_MS)
    bad = replace(market(), volume_cu=26)
    assert house.refused(bad).code == "MARKET_CLOSED"
    assert house.refused(replace(bad, symbol_id=77)).code == "SYMBOL_NOT_FOUND"


def test_a_holiday_is_said_so() -> None:
    day = date(2024, 1, 8)  # the first tick's own
    closed = replace(PALM_OIL, session=replace(PALM_OIL.session, holidays=frozenset({day})))
    assert House(closed).refused(market()).code == "SYMBOL_HAS_HOLIDAY"


def test_a_symbol_that_never_quoted_cannot_be_traded() -> None:
    house = House()
    order = NewOrder(2, OrderKind.MARKET, 1, 100_000)
    assert house.refused(order).code == "NO_QUOTES"
    house.venue.tick(2, FeedTick(house.venue.now_ms, 111_984, 111_987, is_jump=True, bar_open_px=111_984, rate_e8=0))
    (accepted,) = house.ask(order)
    (filled,) = house.passes(FILL)
    assert accepted.order.symbol_id == 2
    # 1000 EUR at 1.11987, and 4.4712 MYR a dollar: leverage 20; 2.50 USD a lot of 100,000
    assert filled.position.used_margin_minor == round(1_000 * 1.11987 * 4.4712 / 20 * 100)
    assert filled.deal.commission_minor == -11


# -- what the account, the symbol or a knob forbids


@pytest.mark.parametrize(("rights", "codes"), [
    (AccessRights.FULL_ACCESS, ("", "", "", "", "")),
    (AccessRights.CLOSE_ONLY, ("TRADING_NOT_ALLOWED", "TRADING_NOT_ALLOWED", "", "", "")),
    (AccessRights.NO_TRADING, ("TRADING_NOT_ALLOWED",) * 5),
    (AccessRights.NO_LOGIN, ("TRADING_NOT_ALLOWED",) * 5),
])  # fmt: skip
def test_rights_of_an_account(rights: AccessRights, codes: tuple[str, ...]) -> None:
    requests: list[Request] = [
        market(),
        limit(1, 3_980),
        CancelOrder(3),
        AmendPosition(1, px(3_960)),
        ClosePosition(1, LOT),
    ]
    for request, code in zip(requests, codes, strict=True):
        house = with_rights(rights)
        if code:
            assert house.refused(request).code == code
        else:
            house.ask(request)


def test_an_account_that_may_only_close_may_reduce_by_an_order_too() -> None:
    house = with_rights(AccessRights.CLOSE_ONLY)
    house.ask(market(-1, 1_000, position_id=1))
    assert house.refused(market(1, 1_000, position_id=1)).code == "TRADING_NOT_ALLOWED"


@pytest.mark.parametrize(("mode", "opens", "closes", "executes"), [
    (TradingMode.ENABLED, "", "", True),
    (TradingMode.DISABLED_WITHOUT_PENDINGS_EXECUTION, "TRADING_DISABLED", "TRADING_DISABLED", False),
    (TradingMode.DISABLED_WITH_PENDINGS_EXECUTION, "TRADING_DISABLED", "TRADING_DISABLED", True),
    (TradingMode.CLOSE_ONLY_MODE, "TRADING_DISABLED", "", True),
])  # fmt: skip
def test_trading_modes(mode: TradingMode, opens: str, closes: str, executes: bool) -> None:
    for request, code in ((market(), opens), (ClosePosition(1, LOT), closes), (AmendPosition(1, px(3_960)), closes)):
        house = listed(trading_mode=mode)
        if code:
            assert house.refused(request).code == code
        else:
            house.ask(request)
    assert bool(listed(trading_mode=mode).quote(3_900)) is executes


def test_a_symbol_without_short_selling_takes_sales_that_close_only() -> None:
    house = listed(has_short_selling=False)
    assert house.refused(market(-1)).code == "SHORT_SELLING_NOT_ALLOWED"
    assert house.refused(stop(-1, 3_900)).code == "SHORT_SELLING_NOT_ALLOWED"
    house.ask(market(-1, position_id=1))
    house.ask(market(1))


def test_a_symbol_that_is_disabled_or_archived() -> None:
    assert listed(is_enabled=False).refused(market()).code == "TRADING_DISABLED"
    assert listed(archived_ms=1).refused(market()).code == "SYMBOL_NOT_FOUND"


def test_exposure_and_number_of_positions_have_limits() -> None:
    house = listed(max_exposure_cu=2 * LOT)
    assert house.refused(market(volume_cu=LOT + 25)).code == "MAX_EXPOSURE_REACHED"
    house.ask(market())
    house.ask(market(-1))
    counted = House(positions_max=1, delays=AT_ONCE)
    counted.open()
    assert counted.refused(market()).code == "TOO_MANY_POSITIONS"
    counted.ask(market(position_id=1))


def test_a_client_order_id_may_be_asked_for_twice_unless_the_knob_forbids_it() -> None:
    for forbids in (False, True):
        house = House(refuses_known_client_ids=forbids)
        house.ask(limit(1, 3_990, client_order_id="same"))
        again = limit(1, 3_980, client_order_id="same")
        if forbids:
            assert house.refused(again).code == "INVALID_REQUEST"
        else:
            house.ask(again)


@pytest.mark.parametrize(("unit", "distance"), [(DistanceUnit.POINTS, 20_000), (DistanceUnit.PERCENTAGE, 50)])
def test_levels_keep_the_least_distance_of_the_symbol(unit: DistanceUnit, distance: int) -> None:
    code = "PROTECTION_IS_TOO_CLOSE_TO_MARKET"  # 20 points of the price, or half a percent of 4,000
    house = listed(sl_distance=distance, tp_distance=distance, distance_unit=unit)
    assert house.refused(market(asked=brackets(22.499))).code == code  # filled at 4,002.5, marked at 4,000
    assert house.refused(market(asked=brackets(tp=17.499))).code == code
    assert house.refused(limit(1, 4_000, asked=levels(3_980.001))).code == code
    assert house.refused(AmendPosition(1, px(3_980.001))).code == code
    assert house.refused(AmendPosition(1, None, px(4_019.999))).code == code
    house.ask(market(asked=brackets(22.5, 17.5)))
    house.ask(AmendPosition(1, px(3_980), px(4_020)))
    house.knobs(keeps_distance=False)
    house.ask(AmendPosition(1, px(3_999), px(4_001)))


@pytest.mark.parametrize(("sl", "tp", "code"), [
    (4_000, 4_090, "TRADING_BAD_STOPS"),  # a long's stop must lie below the bid
    (3_990, 4_000, "TRADING_BAD_STOPS"),  # its target above
    (3_990, 3_980, "TRADING_BAD_STOPS"),
    (-5, None, "TRADING_BAD_STOPS"),
    (3_990.0004, None, "TRADING_BAD_PRICES"),
    (None, 4_090.0004, "TRADING_BAD_PRICES"),
])  # fmt: skip
def test_an_amend_of_a_position_is_refused_whole(sl: float | None, tp: float | None, code: str) -> None:
    house = House(delays=AT_ONCE)
    house.open()
    refused = house.refused(AmendPosition(1, None if sl is None else px(sl), None if tp is None else px(tp)))
    assert (refused.code, refused.via, refused.position_id) == (code, BUSINESS, 1)


def test_an_amended_order_is_checked_like_a_new_one() -> None:
    house = House()
    house.ask(limit(1, 3_990, asked=levels(3_950)))
    for amend, code in (
        (AmendOrder(1), "INVALID_REQUEST"),  # its price would be gone
        (AmendOrder(1, limit_px=px(3_990.0001)), "TRADING_BAD_PRICES"),
        (AmendOrder(1, levels(3_995), limit_px=px(3_990)), "TRADING_BAD_STOPS"),
        (AmendOrder(1, volume_cu=26, limit_px=px(3_990)), "TRADING_BAD_VOLUME"),
        (AmendOrder(1, limit_px=px(3_990), expires_ms=1), "TRADING_BAD_EXPIRATION_DATE"),
        (AmendOrder(99, limit_px=px(3_990)), "ORDER_NOT_FOUND"),
    ):
        assert house.refused(amend).code == code


def test_an_order_cannot_shrink_below_what_is_executed() -> None:
    house = House(liquidity_cu=1_000, delays=AT_ONCE)
    house.ask(limit(1, 3_990))
    house.quote(3_980)
    assert house.refused(AmendOrder(1, volume_cu=1_000, limit_px=px(3_970))).code == "TRADING_BAD_VOLUME"
    assert said(house.ask(AmendOrder(1, volume_cu=1_025, limit_px=px(3_970)))) == [
        "REPLACED LIMIT ACCEPTED 1000/1025 OPEN 1000 m1"
    ]


def test_a_knob_lets_market_range_orders_carry_levels() -> None:
    house = House(range_takes_levels=True, delays=AT_ONCE)
    order = NewOrder(1, OrderKind.MARKET_RANGE, 1, LOT, levels(3_900), base_px=px(4_002), slippage_points=900)
    assert house.ask(order)[-1].position.sl_px == px(3_900)


def test_a_position_of_another_symbol_or_account_is_none_to_trade_with() -> None:
    accounts = tuple(standing(catalogue_of(spec(always_open=True)), number) for number in (1, 2))
    house = House(accounts=accounts, delays=AT_ONCE)
    house.open()
    for request in (ClosePosition(1, LOT), AmendPosition(1, px(3_960)), market(position_id=1)):
        assert house.refused(request, account_id=2).code == "POSITION_NOT_FOUND"
    house.ask(limit(1, 3_900))
    assert house.refused(CancelOrder(3), account_id=2).code == "ORDER_NOT_FOUND"
    house.venue.tick(2, FeedTick(house.venue.now_ms, 111_984, 111_987, is_jump=True, bar_open_px=111_984, rate_e8=0))
    assert house.refused(NewOrder(2, OrderKind.MARKET, 1, 100_000, position_id=1)).code == "INVALID_REQUEST"
