"""Stop-outs of accounts whose hedged legs share margin."""

from __future__ import annotations

import pytest
from tests.unit.exchange.house import LOT, TRADED, House, brackets, standing

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import Delays
from palmbot.exchange.values import Report, StopOutOrder, TotalMargin

CATALOGUE = catalogue_of(TRADED)


@pytest.mark.parametrize("kind", [TotalMargin.MAX, TotalMargin.NET])
def test_a_leg_that_frees_no_margin_does_not_end_a_stop_out(kind: TotalMargin) -> None:
    """The short goes first, for it loses; the long holds as much margin as before, or more, and has to go as well."""
    terms = {"total_margin": kind, "stop_out_order": StopOutOrder.MOST_LOSING_FIRST}
    house = House(accounts=(standing(CATALOGUE, balance_minor=2_000_000, **terms),), delays=Delays(0, 0))
    long = house.open(1, 2 * LOT, brackets())
    short = house.open(-1, LOT, brackets())
    house.venue._floor.book(house.account, -1_800_000)
    told = [each for each in house.quote(4_010) if isinstance(each, Report)]
    assert [each.deal.position_id for each in told if each.deal is not None] == [short, long]
    assert house.account.used_margin_minor == 0
