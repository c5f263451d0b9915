"""Where pending orders meet the market: prices, trigger methods, stop-limits, what will not wait (4.8, 6.3)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.exchange.desk import facts
from tests.unit.exchange.house import (
    FILL,
    LOT,
    PROTECT,
    House,
    brackets,
    limit,
    market,
    px,
    said,
    stop,
)

from palmbot.exchange.conduct import Delays
from palmbot.exchange.values import (
    Brackets,
    NewOrder,
    TimeInForce,
    Trigger,
)
from palmbot.model import Execution, OrderKind

AT_ONCE = Delays(0, 0)


def placed(house: House, order: NewOrder) -> Any:
    (accepted,) = house.ask(order)
    assert accepted.execution is Execution.ACCEPTED
    return accepted


def stop_limit(side: int, price: float, points: int, **more: Any) -> NewOrder:
    return NewOrder(1, OrderKind.STOP_LIMIT, side, LOT, stop_px=px(price), slippage_points=points, **more)


@pytest.mark.parametrize(
    ("order", "bid", "jump", "price"),
    [
        # a buy looks at the ask, two above the bid; slippage of half a point on stops only
        pytest.param(limit(1, 3_990), 3_988, False, 3_990, id="a buy limit at its price"),
        pytest.param(limit(1, 3_990), 3_980, False, 3_990, id="a buy limit passed through fills at its price"),
        pytest.param(limit(1, 3_990), 3_980, True, 3_982, id="a buy limit gapped through fills at the better open"),
        pytest.param(limit(-1, 4_010), 4_010, False, 4_010, id="a sell limit at its price"),
        pytest.param(limit(-1, 4_010), 4_020, True, 4_020, id="a sell limit gapped through fills at the better open"),
        pytest.param(stop(1, 4_010), 4_008, False, 4_010.5, id="a buy stop at its price slips"),
        pytest.param(stop(1, 4_010), 4_020, False, 4_010.5, id="a buy stop passed through fills at its price"),
        pytest.param(stop(1, 4_010), 4_020, True, 4_022.5, id="a buy stop gapped through fills at the open"),
        pytest.param(stop(-1, 3_990), 3_990, False, 3_989.5, id="a sell stop at its price"),
        pytest.param(stop(-1, 3_990), 3_980, True, 3_979.5, id="a sell stop gapped through fills at the open"),
    ],
)
def test_a_pending_order_fills_where_the_rules_say(order: NewOrder, bid: float, jump: bool, price: float) -> None:
    house = House(delays=AT_ONCE)
    placed(house, order)
    (filled,) = house.quote(bid, jump=jump)
    assert filled.deal.price_px == px(price)
    assert house.quote(bid) == []


@pytest.mark.parametrize(
    ("order", "bid"), [(limit(1, 3_990), 3_988.001), (limit(-1, 4_010), 4_009.999), (stop(1, 4_010), 4_007.999),
                       (stop(-1, 3_990), 3_990.001)]
)  # fmt: skip
def test_one_step_short_of_its_price_an_order_waits(order: NewOrder, bid: float) -> None:
    house = House(delays=AT_ONCE)
    placed(house, order)
    assert house.quote(bid) == []


@pytest.mark.parametrize("order", [limit(1, 3_990, asked=brackets(50, 80)), stop(-1, 3_990, asked=brackets(50, 80))])
def test_a_trigger_is_told_to_nobody_in_particular_and_then_the_position_is_protected(order: NewOrder) -> None:
    house = House()
    accepted = placed(house, order)
    kind = order.kind.name
    assert house.quote(3_985) == []
    assert said(house.passes(FILL)) == [f"FILLED {kind} FILLED 2500/2500 OPEN 2500 unasked"]
    (guarded,) = house.passes(PROTECT)
    assert said([guarded]) == ["ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server"]
    assert guarded.position.position_id == accepted.position.position_id  # the id that was reserved
    entry = guarded.position.entry_px
    assert facts(guarded.position, "sl_px", "tp_px") == (entry - order.side * px(50), entry + order.side * px(80))


def test_a_limit_order_that_the_market_has_already_fills_at_once_at_the_quote() -> None:
    house = House()
    assert said(house.ask(limit(1, 4_010))) == ["ACCEPTED LIMIT ACCEPTED 0/2500 CREATED 0 m1"]
    (filled,) = house.passes(FILL)
    assert said([filled]) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]
    assert filled.deal.price_px == px(4_002)


def test_a_limit_order_whose_price_left_before_the_fill_rests_again() -> None:
    house = House()
    order_id = placed(house, limit(1, 3_990)).order.order_id
    house.quote(3_985)
    house.tick(house.now + FILL - 1, 4_000)
    assert house.passes(1) == []
    assert [view.order_id for view in house.account.order_views(with_protection=False)] == [order_id]
    house.quote(3_985)
    assert said(house.passes(FILL)) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]


@pytest.mark.parametrize(("trigger", "bids", "fills"), [
    # a buy stop at 4,010; the ask is two above the bid
    (Trigger.TRADE, (4_008,), True),
    (Trigger.OPPOSITE, (4_009.999,), False),
    (Trigger.OPPOSITE, (4_010,), True),
    (Trigger.DOUBLE_TRADE, (4_008,), False),
    (Trigger.DOUBLE_TRADE, (4_008, 4_008), True),
    (Trigger.DOUBLE_TRADE, (4_008, 4_000, 4_008), False),
    (Trigger.DOUBLE_OPPOSITE, (4_010, 4_010), True),
    (Trigger.DOUBLE_OPPOSITE, (4_009, 4_009), False),
])  # fmt: skip
def test_a_stop_looks_at_the_quotes_of_its_trigger_method(
    trigger: Trigger, bids: tuple[float, ...], fills: bool
) -> None:
    house = House(delays=AT_ONCE)
    placed(house, stop(1, 4_010, asked=Brackets(trigger=trigger)))
    told = [report for bid in bids for report in house.quote(bid)]
    assert said(told) == (["FILLED STOP FILLED 2500/2500 OPEN 2500 unasked"] if fills else [])


@pytest.mark.parametrize(("trigger", "price"), [(Trigger.TRADE, 4_010.5), (Trigger.OPPOSITE, 4_012.5)])
def test_a_stop_that_is_triggered_by_the_other_side_pays_the_spread(trigger: Trigger, price: float) -> None:
    house = House(delays=AT_ONCE)
    placed(house, stop(1, 4_010, asked=Brackets(trigger=trigger)))
    (filled,) = house.quote(4_030)
    assert filled.deal.price_px == px(price)


@pytest.mark.parametrize(("points", "bid", "jump", "price"), [
    (500, 4_020, False, 4_010.5),  # half a point of slippage is within the limit
    (499, 4_020, False, None),
    (20_000, 4_020, True, 4_022.5),
    (12_000, 4_020, True, None),  # gapped through stop and limit
])  # fmt: skip
def test_a_stop_limit_order_fills_within_its_limit_or_rests_there(
    points: int, bid: float, jump: bool, price: float | None
) -> None:
    house = House(delays=AT_ONCE)
    order_id = placed(house, stop_limit(1, 4_010, points)).order.order_id
    told = house.quote(bid, jump=jump)
    if price is not None:
        assert told[0].deal.price_px == px(price)
        return
    assert told == []
    assert house.quote(4_030, jump=True) == []
    (filled,) = house.quote(4_000)  # it is a limit order now, and gets no slippage
    assert said([filled]) == ["FILLED STOP_LIMIT FILLED 2500/2500 OPEN 2500 unasked"]
    assert facts(filled, "execution", "asked") == (Execution.FILLED, "")
    assert (filled.order.order_id, filled.deal.price_px) == (order_id, px(4_010) + points * 100)


@pytest.mark.parametrize(("rests", "ends"), [(True, False), (False, True)])
def test_an_immediate_limit_order_that_is_away_from_the_market_rests_or_ends(rests: bool, ends: bool) -> None:
    house = House(ioc_limit_rests=rests)
    told = house.ask(limit(1, 3_990, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL))
    expected = ["ACCEPTED LIMIT ACCEPTED 0/2500 CREATED 0 m1", "CANCELLED LIMIT CANCELLED 0/2500 CLOSED 0 m1"]
    assert said(told) == (expected if ends else expected[:1])


def test_a_fill_or_kill_limit_order_never_rests() -> None:
    house = House()
    told = house.ask(limit(1, 3_990, time_in_force=TimeInForce.FILL_OR_KILL))
    assert [report.execution for report in told] == [Execution.ACCEPTED, Execution.CANCELLED]


def test_a_fill_or_kill_limit_order_rests_by_a_knob_until_all_of_it_is_there() -> None:
    house = House(delays=AT_ONCE, fok_limit_rests=True, liquidity_cu=LOT - 25)
    assert len(house.ask(limit(1, 3_990, time_in_force=TimeInForce.FILL_OR_KILL))) == 1
    assert house.quote(3_980) == []
    house.knobs(liquidity_cu=None)
    assert said(house.quote(3_980)) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]


def test_orders_of_one_tick_are_triggered_by_id_after_protective_orders() -> None:
    house = House(delays=AT_ONCE)
    late = placed(house, limit(1, 3_900)).order.order_id
    house.ask(market(asked=brackets(50, 80)))
    placed(house, limit(1, 3_950))
    told = house.quote(3_890)
    assert [(report.order.kind, report.order.order_id) for report in told] == [
        (OrderKind.PROTECTION, 3),
        (OrderKind.LIMIT, late),
        (OrderKind.LIMIT, 4),
    ]
