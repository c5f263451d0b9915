"""Pending orders, event for event: placed, amended, cancelled, triggered, expired, and who wins a race (6.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, facts
from tests.unit.exchange.house import (
    FILL,
    LOT,
    PROTECT,
    TRADED,
    House,
    brackets,
    good_till,
    levels,
    limit,
    market,
    px,
    said,
    stop,
)

from palmbot.exchange.conduct import Delays
from palmbot.exchange.values import (
    NO_BRACKETS,
    AmendOrder,
    CancelOrder,
    ClosePosition,
    NewOrder,
    OrderStatus,
    PositionStatus,
    Report,
    TimeInForce,
    Trigger,
)
from palmbot.instruments import PALM_OIL
from palmbot.model import Execution, OrderKind
from palmbot.units import HOUR_MS

AT_ONCE = Delays(0, 0)


def placed(house: House, order: NewOrder) -> Any:
    (accepted,) = house.ask(order)
    assert accepted.execution is Execution.ACCEPTED
    return accepted


def stop_limit(side: int, price: float, points: int, **more: Any) -> NewOrder:
    return NewOrder(1, OrderKind.STOP_LIMIT, side, LOT, stop_px=px(price), slippage_points=points, **more)


# -- place, amend, cancel


def test_a_pending_order_is_accepted_with_a_reserved_position_and_its_levels_as_distances() -> None:
    house = House()
    report = placed(house, limit(1, 3_990, asked=levels(3_950, 4_050), client_order_id="c", label="L"))
    assert said([report]) == ["ACCEPTED LIMIT ACCEPTED 0/2500 CREATED 0 m1"]
    assert facts(report.order, "time_in_force", "limit_px", "position_id", "client_order_id") == (
        TimeInForce.GOOD_TILL_CANCEL,
        px(3_990),
        1,
        "c",
    )
    assert report.order.brackets == brackets(40, 60)
    assert facts(report.position, "position_id", "volume_cu", "entry_px", "label") == (1, 0, 0, "L")
    assert house.account.order_views(with_protection=False) == [report.order]
    assert house.account.position_views() == []


def test_an_amend_replaces_the_whole_order_under_the_same_id() -> None:
    house = House()
    before = placed(house, limit(1, 3_990, asked=brackets(40, 60), **good_till(OPEN + HOUR_MS)))
    house.passes(5)
    (report,) = house.ask(AmendOrder(before.order.order_id, brackets(30), 1_000, px(3_980)), asked="m2")
    assert report == Report(
        Execution.REPLACED,
        1,
        OPEN + 5,
        replace(
            before.order,
            volume_cu=1_000,
            limit_px=px(3_980),
            brackets=brackets(30),  # the target is gone: what is left out is cleared
            expires_ms=None,
            time_in_force=TimeInForce.GOOD_TILL_CANCEL,
            updated_ms=OPEN + 5,
        ),
        replace(before.position, updated_ms=OPEN + 5),
        asked="m2",
    )
    assert house.venue.due_ms() is None  # it does not expire any more


def test_what_an_amend_leaves_out_may_be_kept_instead() -> None:
    house = House(amend_clears=False)
    before = placed(house, limit(1, 3_990, asked=brackets(40, 60), **good_till(OPEN + HOUR_MS)))
    (report,) = house.ask(AmendOrder(before.order.order_id, levels(sl=3_970), limit_px=px(3_985)))
    assert report.order.brackets == brackets(15, 60)
    assert report.order.expires_ms == OPEN + HOUR_MS


def test_an_amend_by_a_knob_leaves_the_flags_that_it_does_not_say() -> None:
    house = House(amend_clears=False)
    asked = brackets(40, 60, trailing=True, trigger=Trigger.OPPOSITE)
    before = placed(house, limit(1, 3_990, asked=asked))
    unsaid = AmendOrder(before.order.order_id, limit_px=px(3_985), left_out=frozenset({"trailing", "trigger"}))
    (report,) = house.ask(unsaid)
    assert report.order.brackets == asked
    (report,) = house.ask(AmendOrder(before.order.order_id, limit_px=px(3_984), left_out=frozenset({"trigger"})))
    assert report.order.brackets == replace(asked, trailing=False)


def test_an_amend_that_brings_an_order_into_the_market_fills_it() -> None:
    house = House()
    order_id = placed(house, limit(1, 3_990)).order.order_id
    assert said(house.ask(AmendOrder(order_id, limit_px=px(4_003)))) == ["REPLACED LIMIT ACCEPTED 0/2500 CREATED 0 m1"]
    (filled,) = house.passes(FILL)
    assert said([filled]) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]
    assert filled.deal.price_px == px(4_002)  # the quote, which is better


def test_a_cancel_ends_the_order_and_its_reserved_position() -> None:
    house = House()
    before = placed(house, stop(1, 4_050))
    house.passes(7)
    (report,) = house.ask(CancelOrder(before.order.order_id), asked="m2")
    ended = replace(before.order, status=OrderStatus.CANCELLED, updated_ms=OPEN + 7, closed_ms=OPEN + 7)
    closed = replace(before.position, status=PositionStatus.CLOSED, updated_ms=OPEN + 7, closed_ms=OPEN + 7)
    assert report == Report(Execution.CANCELLED, 1, OPEN + 7, ended, closed, asked="m2")
    assert house.account.orders == {}
    refused = house.refused(CancelOrder(before.order.order_id))
    assert facts(refused, "code", "order_id") == ("ORDER_NOT_FOUND", before.order.order_id)
    assert refused.text == f"Order not found with id {before.order.order_id}"


# -- time


def test_an_order_expires_at_its_time_before_the_tick_of_that_time() -> None:
    house = House()
    before = placed(house, limit(1, 3_990, **good_till(OPEN + 5_000)))
    assert house.venue.due_ms() == OPEN + 5_000
    (report,) = house.tick(5_000, 3_980)
    ended = replace(before.order, status=OrderStatus.EXPIRED, updated_ms=OPEN + 5_000, closed_ms=OPEN + 5_000)
    closed = replace(before.position, status=PositionStatus.CLOSED, updated_ms=OPEN + 5_000, closed_ms=OPEN + 5_000)
    assert report == Report(Execution.EXPIRED, 1, OPEN + 5_000, ended, closed)


def test_an_order_that_is_over_does_not_expire() -> None:
    house = House()
    order_id = placed(house, limit(1, 3_990, **good_till(OPEN + 5_000))).order.order_id
    house.ask(CancelOrder(order_id))
    assert house.venue.due_ms() is None
    placed(house, limit(1, 3_990, **good_till(OPEN + 5_000)))
    house.quote(3_980)
    house.passes(FILL)
    assert house.venue.due_ms() is None


def test_expiry_may_be_coarse() -> None:
    house = House(expiry_step_ms=60_000)
    placed(house, limit(1, 3_990, **good_till(OPEN + 5_000)))
    assert house.passes(59_999) == []
    assert said(house.passes(1)) == ["EXPIRED LIMIT EXPIRED 0/2500 CLOSED 0 unasked"]


def test_an_order_that_is_being_executed_does_not_expire() -> None:
    house = House()
    placed(house, limit(1, 3_990, **good_till(OPEN + 1_050)))
    house.quote(3_980)
    assert said(house.passes(FILL)) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]


def test_a_market_on_open_order_waits_for_the_first_tick_of_the_next_session() -> None:
    house = House(PALM_OIL)
    (accepted,) = house.ask(market(asked=brackets(50, 80), time_in_force=TimeInForce.MARKET_ON_OPEN))
    assert house.account.order_views(with_protection=False) == [accepted.order]
    assert house.tick(HOUR_MS, 4_100) == []
    assert house.tick(4 * HOUR_MS, 4_100, jump=True) == []  # 14:30: the afternoon opens, and the order is due
    assert said(house.passes(FILL)) == ["FILLED MARKET FILLED 2500/2500 OPEN 2500 unasked"]
    assert said(house.passes(PROTECT)) == ["ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server"]


def test_a_market_on_open_order_may_be_placed_and_cancelled_while_the_market_is_closed() -> None:
    house = House(PALM_OIL)
    house.passes(2 * HOUR_MS)  # lunch
    assert house.refused(market()).code == "MARKET_CLOSED"
    order_id = placed(house, market(time_in_force=TimeInForce.MARKET_ON_OPEN)).order.order_id
    assert said(house.ask(CancelOrder(order_id))) == ["CANCELLED MARKET CANCELLED 0/2500 CLOSED 0 m1"]


@pytest.mark.parametrize("opens", [True, False])
def test_a_knob_lets_pending_orders_be_placed_while_the_market_is_closed(opens: bool) -> None:
    house = House(PALM_OIL, pending_while_closed=opens)
    house.passes(2 * HOUR_MS)
    order = limit(1, 4_010)
    if opens:
        placed(house, order)  # it could be filled, but for the hour
        assert house.passes(FILL) == []
        assert house.refused(market()).code == "MARKET_CLOSED"
    else:
        assert house.refused(order).code == "MARKET_CLOSED"


# -- races


def test_a_cancel_that_comes_while_the_order_is_executed_has_lost() -> None:
    house = House()
    order_id = placed(house, limit(1, 3_990)).order.order_id
    house.quote(3_980)
    (report,) = house.ask(CancelOrder(order_id), asked="m2")
    assert said([report]) == ["CANCEL_REJECTED LIMIT ACCEPTED 0/2500 CREATED 0 UNABLE_TO_CANCEL_ORDER m2"]
    assert said(house.passes(FILL)) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]
    assert house.refused(CancelOrder(order_id)).code == "ORDER_NOT_FOUND"


def test_a_late_cancel_may_be_an_order_error_instead() -> None:
    house = House(late_cancel_is_event=False)
    order_id = placed(house, limit(1, 3_990)).order.order_id
    house.quote(3_980)
    refused = house.refused(CancelOrder(order_id))
    assert facts(refused, "code", "order_id", "position_id") == ("UNABLE_TO_CANCEL_ORDER", order_id, 1)


def test_an_amend_that_comes_while_the_order_is_executed_has_lost() -> None:
    house = House()
    order_id = placed(house, limit(1, 3_990)).order.order_id
    house.quote(3_980)
    refused = house.refused(AmendOrder(order_id, limit_px=px(3_970)))
    assert facts(refused, "code", "order_id") == ("UNABLE_TO_AMEND_ORDER", order_id)


def test_the_protective_order_of_a_position_is_neither_cancelled_nor_amended_as_an_order() -> None:
    house = House()
    house.open()
    assert house.refused(CancelOrder(2)).code == "UNABLE_TO_CANCEL_ORDER"
    assert house.refused(AmendOrder(2, limit_px=px(4_100))).code == "UNABLE_TO_AMEND_ORDER"


def test_a_pending_order_for_a_position_that_is_gone_is_rejected_when_it_is_triggered() -> None:
    house = House(delays=AT_ONCE)
    position_id = house.open()
    placed_with = replace(limit(1, 3_990), position_id=position_id)
    house.ask(placed_with)
    house.ask(ClosePosition(position_id, LOT))
    assert said(house.quote(3_985)) == ["REJECTED LIMIT REJECTED 0/2500 CLOSED 0 POSITION_NOT_FOUND unasked"]


def test_a_trigger_without_the_money_is_rejected() -> None:
    house = House(delays=AT_ONCE, accounts=(House().standing(balance_minor=400_000),))
    assert TRADED.core.leverage == 20
    assert BALANCE > 400_000
    placed(house, limit(1, 3_990))  # the money is looked at when it is filled
    assert said(house.quote(3_985)) == ["REJECTED LIMIT REJECTED 0/2500 CLOSED 0 NOT_ENOUGH_MONEY unasked"]


def test_nothing_to_amend_is_said_so() -> None:
    house = House()
    order_id = placed(house, limit(1, 3_990)).order.order_id
    assert house.refused(AmendOrder(order_id, NO_BRACKETS, limit_px=px(3_990))).code == "INVALID_REQUEST"
