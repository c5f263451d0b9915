"""What follows a position by itself leaves alone what its holder asked for (sheet 5.3)."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.exchange.house import FILL, LOT, PROTECT, TRADED, House, brackets, market, netted, px

from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.values import AmendPosition, ClosePosition, Via


def test_a_partial_close_leaves_the_distance_of_a_trailing_stop_as_it_was() -> None:
    house = House()
    position_id = house.open(1, 2 * LOT, brackets(50, trailing=True))
    house.quote(4_100)
    distance_px, stop_px = house.position(position_id).trail_px, house.position(position_id).levels.sl_px
    house.quote(4_070)
    house.ask(ClosePosition(position_id, LOT))
    house.passes(FILL + PROTECT)
    held = house.position(position_id)
    assert (held.trail_px, held.levels.sl_px, held.protected_cu) == (distance_px, stop_px, LOT)


def test_adding_to_a_position_leaves_the_distance_of_its_trailing_stop_as_it_was() -> None:
    house = netted()
    position_id = house.open(1, LOT, brackets(50, trailing=True))
    distance_px = house.position(position_id).trail_px
    house.quote(3_980)
    house.ask(market())
    house.passes(FILL + PROTECT)
    assert (house.position(position_id).trail_px, house.position(position_id).protected_cu) == (distance_px, 2 * LOT)


def test_a_guarantee_needs_a_stop_to_be_charged_for() -> None:
    catalogue = catalogue_of(TRADED)
    listings = [
        replace(each, has_guaranteed_stops=True, gsl_charge=2) if each.symbol_id == TRADED_ID else each
        for each in catalogue.listings
    ]
    house = House(catalogue=replace(catalogue, listings=tuple(listings)))
    position_id = house.open(1, LOT, brackets())
    refused = house.refused(AmendPosition(position_id, tp_px=px(4_500), guaranteed=True))
    assert (refused.code, refused.via) == ("INVALID_REQUEST", Via.ERROR_RES)
