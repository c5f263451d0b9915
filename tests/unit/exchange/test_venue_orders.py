"""Orders that are executed at once, event for event: fills, slices, what is left, late rejections (6.1, 6.2, 6.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, facts
from tests.unit.exchange.house import FILL, LOT, PROTECT, House, brackets, limit, market, px, said

from palmbot.exchange.conduct import Delays
from palmbot.exchange.values import (
    NO_BRACKETS,
    Brackets,
    ClosePosition,
    DealStatus,
    DealView,
    NewOrder,
    OrderStatus,
    OrderView,
    PositionStatus,
    PositionView,
    Report,
    TimeInForce,
    Trigger,
)
from palmbot.instruments import PALM_OIL
from palmbot.model import Execution, OrderKind
from palmbot.units import HOUR_MS, RATE_ONE_E8

ENTRY = px(4_002.5)  # bought at the ask of 4,002 with half a point of slippage
RATE = 400_250_000_000  # base to deposit x 10^8: the price itself


ORDER = OrderView(
    order_id=1,
    account_id=1,
    symbol_id=1,
    kind=OrderKind.MARKET,
    status=OrderStatus.ACCEPTED,
    side=1,
    volume_cu=LOT,
    executed_cu=0,
    position_id=1,
    closing=False,
    time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
    created_ms=OPEN,
    updated_ms=OPEN,
    client_order_id="c1",
    label="L",
    comment="why",
    brackets=brackets(50, 80),
)
SHELL = PositionView(
    position_id=1,
    account_id=1,
    symbol_id=1,
    status=PositionStatus.CREATED,
    side=1,
    volume_cu=0,
    entry_px=0,
    sl_px=None,
    tp_px=None,
    swap_minor=0,
    commission_minor=0,
    used_margin_minor=0,
    margin_rate_e8=0,
    open_ms=OPEN,
    updated_ms=OPEN,
    label="L",
    comment="why",
)
DEAL = DealView(
    deal_id=1,
    order_id=1,
    position_id=1,
    account_id=1,
    symbol_id=1,
    side=1,
    volume_cu=LOT,
    filled_cu=LOT,
    price_px=ENTRY,
    status=DealStatus.FILLED,
    created_ms=OPEN,
    ts_ms=OPEN + FILL,
    commission_minor=-2_500,
    margin_rate_e8=RATE,
    base_to_usd_e8=round(4_002.5 / 4.4712 * RATE_ONE_E8),
)
PROTECTIVE = OrderView(
    order_id=2,
    account_id=1,
    symbol_id=1,
    kind=OrderKind.PROTECTION,
    status=OrderStatus.ACCEPTED,
    side=-1,
    volume_cu=LOT,
    executed_cu=0,
    position_id=1,
    closing=True,
    time_in_force=TimeInForce.GOOD_TILL_CANCEL,
    created_ms=OPEN + FILL + PROTECT,
    updated_ms=OPEN + FILL + PROTECT,
    client_order_id="server-2",
    limit_px=ENTRY + px(80),
    stop_px=ENTRY - px(50),
    brackets=NO_BRACKETS,
)


def test_a_market_order_is_accepted_then_filled_bare_then_protected() -> None:
    house = House()
    asked = market(asked=brackets(50, 80), client_order_id="c1", label="L", comment="why")
    assert house.ask(asked) == [Report(Execution.ACCEPTED, 1, OPEN, ORDER, SHELL, asked="m1")]

    assert house.passes(FILL - 1) == []
    filled_ms = OPEN + FILL
    filled = replace(
        ORDER,
        status=OrderStatus.FILLED,
        executed_cu=LOT,
        execution_px=ENTRY,
        updated_ms=filled_ms,
        closed_ms=filled_ms,
    )
    bare = replace(
        SHELL,
        status=PositionStatus.OPEN,
        volume_cu=LOT,
        entry_px=ENTRY,
        commission_minor=-2_500,
        used_margin_minor=500_313,
        margin_rate_e8=RATE,
        open_ms=filled_ms,
        updated_ms=filled_ms,
    )
    assert house.passes(1) == [Report(Execution.FILLED, 1, filled_ms, filled, bare, DEAL, asked="m1")]

    assert house.passes(PROTECT - 1) == []
    guarded_ms = filled_ms + PROTECT
    guarded = replace(bare, sl_px=ENTRY - px(50), tp_px=ENTRY + px(80), updated_ms=guarded_ms, trigger=Trigger.TRADE)
    assert house.passes(1) == [Report(Execution.ACCEPTED, 1, guarded_ms, PROTECTIVE, guarded, server_made=True)]
    assert house.account.balance_minor == BALANCE  # an opening books nothing


def test_without_delays_all_three_come_at_once_and_at_one_time() -> None:
    house = House(delays=Delays(0, 0))
    told = house.ask(market(asked=brackets(50, 80)))
    assert said(told) == [
        "ACCEPTED MARKET ACCEPTED 0/2500 CREATED 0 m1",
        "FILLED MARKET FILLED 2500/2500 OPEN 2500 m1",
        "ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server",
    ]
    assert {report.ts_ms for report in told} == {OPEN}
    assert house.venue.due_ms() is None


def test_an_order_without_levels_is_never_protected() -> None:
    house = House()
    house.ask(market())
    assert said(house.passes(FILL)) == ["FILLED MARKET FILLED 2500/2500 OPEN 2500 m1"]
    assert house.venue.due_ms() is None
    assert house.account.order_views(with_protection=True) == []


@pytest.mark.parametrize("asked", [brackets(sl=50), brackets(tp=80)])
def test_one_level_alone_makes_a_protective_order(asked: Brackets) -> None:
    house = House()
    house.open(asked=asked)
    (order,) = house.account.order_views(with_protection=True)
    expected = (ENTRY - px(50), None) if asked.sl_distance_px else (None, ENTRY + px(80))
    assert facts(order, "stop_px", "limit_px") == expected


def test_a_delayed_order_fills_at_the_quotes_of_its_fill_not_of_its_request() -> None:
    house = House()
    house.ask(market())
    house.tick(FILL - 1, 4_010)
    (filled,) = house.passes(1)
    assert filled.deal.price_px == px(4_012.5)


def test_a_fill_that_is_due_at_the_time_of_a_tick_does_not_see_it() -> None:
    house = House()
    house.ask(market())
    (filled,) = house.tick(FILL, 4_010)
    assert (filled.deal.price_px, filled.ts_ms) == (px(4_002.5), OPEN + FILL)


def test_between_fill_and_protection_a_position_is_unprotected() -> None:
    house = House()
    house.ask(market(asked=brackets(50, 80)))
    assert [report.execution.name for report in house.tick(FILL + 1, 3_900)] == ["FILLED"]
    assert said(house.tick(FILL + PROTECT, 3_900)) == [
        "ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server",  # placed, then hit by the same tick
        "FILLED PROTECTION FILLED 2500/2500 CLOSED 0 server",
    ]


@pytest.mark.parametrize("said_", [None, TimeInForce.GOOD_TILL_CANCEL, TimeInForce.GOOD_TILL_DATE])
def test_a_market_order_never_waits_whatever_it_says(said_: TimeInForce | None) -> None:
    (accepted,) = House().ask(market(time_in_force=said_))
    assert accepted.order.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL


# -- slices


def test_a_large_order_is_filled_slice_by_slice_and_then_complete() -> None:
    house = House(slice_cu=1_000)
    house.ask(market(asked=brackets(50, 80)))
    told = house.passes(FILL)
    assert said(told) == [
        "PARTIAL_FILL MARKET ACCEPTED 1000/2500 OPEN 1000 m1",
        "PARTIAL_FILL MARKET ACCEPTED 2000/2500 OPEN 2000 m1",
        "FILLED MARKET FILLED 2500/2500 OPEN 2500 m1",
    ]
    assert [facts(report.deal, "volume_cu", "filled_cu", "status") for report in told] == [
        (2_500, 1_000, DealStatus.PARTIALLY_FILLED),
        (1_500, 1_000, DealStatus.PARTIALLY_FILLED),
        (500, 500, DealStatus.FILLED),
    ]
    assert [report.position.commission_minor for report in told] == [-1_000, -2_000, -2_500]
    assert said(house.passes(PROTECT)) == ["ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server"]


def test_slices_may_be_told_as_fills_as_an_old_table_has_it() -> None:
    house = House(slice_cu=1_500, slices_say_filled=True)
    house.ask(market())
    assert said(house.passes(FILL)) == [
        "FILLED MARKET ACCEPTED 1500/2500 OPEN 1500 m1",
        "FILLED MARKET FILLED 2500/2500 OPEN 2500 m1",
    ]


def test_what_an_immediate_order_does_not_find_is_cancelled() -> None:
    house = House(slice_cu=1_000, liquidity_cu=1_500)
    house.ask(market(asked=brackets(50, 80)))
    told = house.passes(FILL)
    assert said(told) == [
        "PARTIAL_FILL MARKET ACCEPTED 1000/2500 OPEN 1000 m1",
        "PARTIAL_FILL MARKET ACCEPTED 1500/2500 OPEN 1500 m1",
        "CANCELLED MARKET CANCELLED 1500/2500 OPEN 1500 m1",
    ]
    assert told[-1].deal is None
    assert said(house.passes(PROTECT)) == ["ACCEPTED PROTECTION ACCEPTED 0/1500 OPEN 1500 server"]


@pytest.mark.parametrize("liquidity_cu", [2_475, 0])
def test_fill_or_kill_is_all_or_nothing(liquidity_cu: int) -> None:
    house = House(liquidity_cu=liquidity_cu)
    house.ask(market(time_in_force=TimeInForce.FILL_OR_KILL))
    (ended,) = house.passes(FILL)
    assert said([ended]) == ["CANCELLED MARKET CANCELLED 0/2500 CLOSED 0 m1"]
    assert facts(ended.deal, "filled_cu", "status") == (0, DealStatus.MISSED)  # the attempt appears in lists
    assert ended.position.closed_ms == OPEN + FILL
    house.knobs(liquidity_cu=LOT)
    house.ask(market(time_in_force=TimeInForce.FILL_OR_KILL))
    assert said(house.passes(FILL)) == ["FILLED MARKET FILLED 2500/2500 OPEN 2500 m1"]


def test_a_market_without_liquidity_may_reject_instead() -> None:
    house = House(liquidity_cu=0, unfilled_is_rejected=True)
    house.ask(market())
    assert said(house.passes(FILL)) == ["REJECTED MARKET REJECTED 0/2500 CLOSED 0 TIMEOUT_ERROR m1"]


def test_a_close_that_finds_a_part_only_leaves_the_rest_open_and_protected() -> None:
    house = House()
    position_id = house.open()
    house.knobs(liquidity_cu=1_000)
    house.ask(ClosePosition(position_id, LOT))
    assert said(house.passes(FILL)) == [
        "PARTIAL_FILL MARKET ACCEPTED 1000/2500 OPEN 1500 m1",
        "CANCELLED MARKET CANCELLED 1000/2500 OPEN 1500 m1",
    ]
    assert said(house.passes(PROTECT)) == ["REPLACED PROTECTION ACCEPTED 0/1500 OPEN 1500 server"]
    house.knobs(liquidity_cu=None)
    assert said(house.ask(ClosePosition(position_id, 1_500)))  # it is not locked any more


def test_a_limit_order_that_finds_a_part_rests_with_the_rest_and_keeps_the_levels_of_its_first_fill() -> None:
    house = House(liquidity_cu=1_000)
    house.ask(limit(1, 3_990, asked=brackets(50, 80)))
    house.quote(3_987)
    assert said(house.passes(FILL)) == ["PARTIAL_FILL LIMIT ACCEPTED 1000/2500 OPEN 1000 unasked"]
    assert said(house.passes(PROTECT)) == ["ACCEPTED PROTECTION ACCEPTED 0/1000 OPEN 1000 server"]
    house.knobs(liquidity_cu=None)
    house.quote(3_980, jump=True)
    (filled,) = house.passes(FILL)
    assert said([filled]) == ["FILLED LIMIT FILLED 2500/2500 OPEN 2500 unasked"]
    assert filled.deal.price_px == px(3_982)
    mean = (1_000 * px(3_990) + 1_500 * px(3_982)) / 2_500
    assert (filled.position.entry_px, filled.order.execution_px) == (mean, mean)
    (moved,) = house.passes(PROTECT)
    assert said([moved]) == ["REPLACED PROTECTION ACCEPTED 0/2500 OPEN 2500 server"]
    assert facts(moved.position, "sl_px", "tp_px") == (px(3_940), px(4_070))


# -- market range


@pytest.mark.parametrize(("points", "fills"), [(500, True), (499, False)])
def test_a_market_range_order_fills_within_its_range_of_the_base_price_only(points: int, fills: bool) -> None:
    house = House()  # the ask is 4,002 and slips by half a point: 500 points of 0.001
    order = NewOrder(1, OrderKind.MARKET_RANGE, 1, LOT, brackets(50), base_px=px(4_002), slippage_points=points)
    (accepted,) = house.ask(order)
    assert facts(accepted.order, "kind", "base_px", "slippage_points", "time_in_force") == (
        OrderKind.MARKET_RANGE,
        px(4_002),
        points,
        TimeInForce.IMMEDIATE_OR_CANCEL,
    )
    expected = "FILLED MARKET_RANGE FILLED 2500/2500 OPEN 2500 m1"
    missed = "CANCELLED MARKET_RANGE CANCELLED 0/2500 CLOSED 0 m1"
    assert said(house.passes(FILL)) == [expected if fills else missed]


# -- refusals after acceptance


def test_the_fault_knob_rejects_an_order_after_accepting_it() -> None:
    house = House()
    house.venue.reject_next("TRADING_DISABLED")
    assert said(house.ask(market())) == [
        "ACCEPTED MARKET ACCEPTED 0/2500 CREATED 0 m1",
        "REJECTED MARKET REJECTED 0/2500 CLOSED 0 TRADING_DISABLED m1",
    ]
    assert house.venue.due_ms() is None
    assert said(house.ask(market())) == ["ACCEPTED MARKET ACCEPTED 0/2500 CREATED 0 m1"]


def test_money_that_is_gone_by_the_fill_rejects_the_order() -> None:
    house = House(delays=Delays(FILL, PROTECT))
    house.venue.cash(1, 1, -BALANCE + 500_400)  # type: ignore[arg-type]  # a withdrawal
    house.ask(market())
    house.tick(FILL - 1, 4_100)
    (rejected,) = house.passes(1)
    assert said([rejected]) == ["REJECTED MARKET REJECTED 0/2500 CLOSED 0 NOT_ENOUGH_MONEY m1"]
    assert rejected.deal is None
    assert house.account.orders == {}


def test_a_market_that_closes_before_the_fill_rejects_the_order() -> None:
    house = House(PALM_OIL)
    closes = 2 * HOUR_MS
    house.tick(closes - FILL, 4_000)
    house.ask(market())
    assert said(house.passes(FILL)) == ["REJECTED MARKET REJECTED 0/2500 CLOSED 0 MARKET_CLOSED m1"]


def test_an_acceptance_may_come_without_a_position() -> None:
    house = House(shell_on_accept=False)
    assert said(house.ask(market())) == ["ACCEPTED MARKET ACCEPTED 0/2500 m1"]


# -- adding to a position


def test_an_order_for_an_open_position_raises_it_to_the_exact_mean() -> None:
    house = House()
    position_id = house.open()
    house.quote(4_010)
    (accepted,) = house.ask(market(volume_cu=1_000, position_id=position_id))
    assert facts(accepted.order, "position_id", "closing") == (position_id, False)
    assert said([accepted]) == ["ACCEPTED MARKET ACCEPTED 0/1000 OPEN 2500 m1"]
    (filled,) = house.passes(FILL)
    assert said([filled]) == ["FILLED MARKET FILLED 1000/1000 OPEN 3500 m1"]
    cost = 2_500 * px(4_002.5) + 1_000 * px(4_012.5)
    assert filled.position.entry_px == round(cost / 3_500, 4)
    assert house.position(position_id).cost_pxcu == cost
    assert filled.deal.close is None
    (moved,) = house.passes(PROTECT)
    assert said([moved]) == ["REPLACED PROTECTION ACCEPTED 0/3500 OPEN 3500 server"]
    assert moved.position.sl_px == px(3_952.5)  # where it was


def test_an_order_against_an_open_position_of_a_hedged_account_closes_it() -> None:
    house = House()
    position_id = house.open()
    house.ask(market(-1, 1_000, position_id=position_id))
    (filled,) = house.passes(FILL)
    assert facts(filled.order, "closing", "position_id") == (True, position_id)
    assert filled.deal.close.closed_cu == 1_000
    assert house.refused(market(-1, LOT, position_id=position_id)).code == "TRADING_BAD_VOLUME"


def test_without_a_position_id_each_order_of_a_hedged_account_opens_its_own() -> None:
    house = House()
    house.open(1)
    house.open(-1)
    assert [held.side for held in house.account.open] == [1, -1]
