"""Pending orders whose time is over while they are being executed (sheet 6.2, 6.3)."""

from __future__ import annotations

import pytest
from tests.unit.exchange.desk import OPEN
from tests.unit.exchange.house import FILL, LOT, House, good_till, limit, said

from palmbot.exchange.values import Via
from palmbot.protocol.codec import LATEST_MS


def test_what_is_left_of_an_order_whose_time_was_over_while_it_was_executed_expires() -> None:
    house = House(liquidity_cu=25)
    house.ask(limit(1, 4_010, **good_till(OPEN + FILL - 30)))
    assert said(house.passes(FILL)) == ["PARTIAL_FILL LIMIT ACCEPTED 25/2500 OPEN 25 unasked"]
    assert said(house.passes(FILL)) == ["EXPIRED LIMIT EXPIRED 25/2500 OPEN 25 unasked"]
    assert house.account.orders == {}
    assert house.venue.due_ms() is None


def test_an_order_that_was_filled_after_its_time_was_over_has_nothing_left_to_expire() -> None:
    house = House()
    house.ask(limit(1, 4_010, **good_till(OPEN + FILL - 30)))
    assert said(house.passes(2 * FILL)) == [f"FILLED LIMIT FILLED {LOT}/{LOT} OPEN {LOT} unasked"]
    assert house.venue.due_ms() is None


@pytest.mark.parametrize("step_ms", [1, 1_000])
def test_an_order_cannot_expire_after_the_last_time_that_the_protocol_knows(step_ms: int) -> None:
    house = House(expiry_step_ms=step_ms)
    refused = house.refused(limit(1, 3_990, **good_till((1 << 63) - 1)))
    assert (refused.code, refused.via) == ("TRADING_BAD_EXPIRATION_DATE", Via.ORDER_ERROR)
    house.ask(limit(1, 3_990, **good_till(LATEST_MS)))
