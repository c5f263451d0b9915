"""Where the levels of an order may lie."""

from __future__ import annotations

import pytest
from tests.unit.exchange.house import House, brackets, market

from palmbot.exchange.values import Brackets, Via


@pytest.mark.parametrize(("side", "asked"), [(1, brackets(4_003)), (-1, brackets(tp=4_003))])
def test_a_distance_of_a_market_order_that_leads_below_nothing_is_refused(side: int, asked: Brackets) -> None:
    house = House()
    refused = house.refused(market(side, asked=asked))
    assert (refused.code, refused.via) == ("TRADING_BAD_STOPS", Via.ORDER_ERROR)
