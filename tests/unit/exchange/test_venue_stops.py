"""Stops that move or are guaranteed, event for event (5.3, 6.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.exchange.desk import BALANCE, facts
from tests.unit.exchange.house import (
    FILL,
    LOT,
    TRADED,
    House,
    brackets,
    market,
    px,
    said,
    standing,
)

from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.conduct import Delays
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.values import (
    AmendPosition,
    CashKind,
    ClosePosition,
    TrailMoved,
)

AT_ONCE = Delays(0, 0)
ENTRY = px(4_002.5)


def amended(house: House, **asked: Any) -> Any:
    position_id = next(iter(house.account.positions))
    (report,) = house.ask(AmendPosition(position_id, **asked), asked="m2")
    return report


# -- trailing


def test_a_trailing_stop_follows_at_its_distance_and_leaves_the_time_of_the_position() -> None:
    house = House()
    position_id = house.open(asked=brackets(50, 800, trailing=True))
    before = house.account.position_views()[0]
    assert before.trailing
    # the distance is taken when the order is placed: from the bid of 4,000 to 3,952.5
    (moved,) = house.quote(4_010)
    assert moved == TrailMoved(1, position_id, 2, px(3_962.5), house.venue.now_ms)
    assert house.quote(4_005) == []  # it only tightens
    assert [each.stop_px for each in house.quote(4_011)] == [px(3_963.5)]
    after = house.account.position_views()[0]
    assert after == replace(before, sl_px=px(3_963.5))
    assert house.account.order_views(with_protection=True)[0].stop_px == px(3_963.5)
    (hit,) = house.quote(3_963)
    assert hit.deal.price_px == px(3_963)
    assert hit.order.brackets.trailing


def test_a_short_trails_the_ask_downwards() -> None:
    house = House()
    house.open(-1, asked=brackets(50, trailing=True))  # from the ask of 4,002 to 4,049.5
    assert [each.stop_px for each in house.quote(3_990)] == [px(4_039.5)]


def test_an_amend_takes_the_distance_anew_and_may_end_the_trailing() -> None:
    house = House()
    house.open(asked=brackets(50, trailing=True))
    assert amended(house, sl_px=px(3_980)).position.trailing  # not said: as it is
    assert [each.stop_px for each in house.quote(4_010)] == [px(3_990)]
    assert not amended(house, sl_px=px(3_985), trailing=False).position.trailing
    assert house.quote(4_020) == []
    assert amended(house, sl_px=px(3_985), trailing=True).position.trailing
    assert [each.stop_px for each in house.quote(4_021)] == [px(3_986)]


@pytest.mark.parametrize("trailing", [None, True, False])
def test_trailing_needs_a_stop(trailing: bool | None) -> None:
    house = House()
    house.open(asked=brackets(50, trailing=True))
    refused = house.refused(AmendPosition(1, tp_px=px(4_100), trailing=trailing))
    assert refused.code == "INVALID_REQUEST"


# -- guaranteed stops


def guaranteed_catalogue(**more: Any) -> Catalogue:
    catalogue = catalogue_of(TRADED)
    terms = {"has_guaranteed_stops": True, "gsl_distance": 20_000, "gsl_charge": 300, **more}
    listings = [replace(each, **terms) if each.symbol_id == TRADED_ID else each for each in catalogue.listings]
    return replace(catalogue, listings=tuple(listings))


def test_a_guaranteed_stop_fills_at_its_level_through_any_gap_and_is_charged_once() -> None:
    house = House(catalogue=guaranteed_catalogue(), delays=AT_ONCE)
    told = house.ask(market(asked=brackets(50, 80, guaranteed=True)))
    assert said(told)[2:] == [
        "ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server",
        "DEPOSIT_WITHDRAW server",
    ]
    cash = told[-1].cash  # 0.3 points on 25 units
    names = ("kind", "delta_minor", "balance_minor", "balance_version")
    assert facts(cash, *names) == (CashKind.GSL_CHARGE, -750, BALANCE - 750, 1)
    assert told[2].position.guaranteed
    assert said([amended(house, sl_px=px(3_960), tp_px=px(4_090))]) == [
        "REPLACED PROTECTION ACCEPTED 0/2500 OPEN 2500 m2"
    ]
    (hit,) = house.quote(3_500, jump=True)
    assert hit.deal.price_px == px(3_960)
    assert house.venue.changes.deals[-1].slippage_minor == -1_250  # of the entry alone


def test_a_guaranteed_stop_may_stay_or_be_tightened() -> None:
    house = House(catalogue=guaranteed_catalogue(), delays=AT_ONCE)
    house.ask(market(asked=brackets(50, guaranteed=True)))
    assert amended(house, sl_px=px(3_952.5), tp_px=px(4_100)).position.tp_px == px(4_100)
    assert amended(house, sl_px=px(3_960)).position.sl_px == px(3_960)


@pytest.mark.parametrize("asked", [
    {"sl_px": px(3_950)}, {"tp_px": px(4_090)}, {"sl_px": px(3_960), "guaranteed": False}, {},
])  # fmt: skip
def test_a_guaranteed_stop_may_not_be_loosened(asked: dict[str, Any]) -> None:
    house = House(catalogue=guaranteed_catalogue(), delays=AT_ONCE)
    house.ask(market(asked=brackets(50, guaranteed=True)))
    assert facts(house.refused(AmendPosition(1, **asked)), "code", "position_id") == ("WORSE_GSL_NOT_ALLOWED", 1)


def test_a_guaranteed_stop_may_not_be_loosened_before_it_is_placed_either() -> None:
    house = House(catalogue=guaranteed_catalogue())
    house.ask(market(asked=brackets(50, guaranteed=True)))
    house.passes(FILL)
    assert house.refused(AmendPosition(1, px(3_950))).code == "WORSE_GSL_NOT_ALLOWED"


def test_a_guaranteed_stop_keeps_its_own_distance() -> None:
    house = House(catalogue=guaranteed_catalogue(), delays=AT_ONCE)
    # filled at 4,002.5, marked at 4,000: 20 points
    assert house.refused(market(asked=brackets(22.499, guaranteed=True))).code == "PROTECTION_IS_TOO_CLOSE_TO_MARKET"
    house.ask(market(asked=brackets(22.5, guaranteed=True)))
    refused = house.refused(AmendPosition(1, px(3_980.001)))
    assert refused.code == "PROTECTION_IS_TOO_CLOSE_TO_MARKET"


def test_a_stop_can_be_guaranteed_later_and_is_charged_then() -> None:
    house = House(catalogue=guaranteed_catalogue(), delays=AT_ONCE)
    house.ask(market(asked=brackets(50)))
    told = house.ask(AmendPosition(1, px(3_960), guaranteed=True))
    assert said(told) == ["REPLACED PROTECTION ACCEPTED 0/2500 OPEN 2500 m1", "DEPOSIT_WITHDRAW server"]


def test_where_guaranteed_stops_are_not_offered_they_are_refused() -> None:
    house = House(delays=AT_ONCE)
    assert house.refused(market(asked=brackets(50, guaranteed=True))).code == "TRADING_BAD_STOPS"
    house.ask(market(asked=brackets(50)))
    assert house.refused(AmendPosition(1, px(3_960), guaranteed=True)).code == "TRADING_BAD_STOPS"


def test_an_account_of_limited_risk_needs_guaranteed_stops() -> None:
    catalogue = guaranteed_catalogue()
    house = House(catalogue=catalogue, delays=AT_ONCE, accounts=(standing(catalogue, is_limited_risk=True),))
    for asked in (brackets(), brackets(50)):
        assert house.refused(market(asked=asked)).code == "TRADING_BAD_STOPS"
    house.ask(market(asked=brackets(50, guaranteed=True)))
    assert len(house.ask(ClosePosition(1, LOT))) == 3  # it can always leave
