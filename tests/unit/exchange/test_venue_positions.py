"""Positions, event for event: stops and targets, closes, amends, trailing and guaranteed stops (5.3, 6.4-6.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, facts
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
)

from palmbot.exchange.conduct import Delays
from palmbot.exchange.values import (
    AmendOrder,
    AmendPosition,
    Brackets,
    CancelOrder,
    ClosePosition,
    CloseView,
    DealStatus,
    DealView,
    OrderStatus,
    PositionStatus,
    Report,
    Trigger,
)
from palmbot.model import Execution, OrderKind
from palmbot.units import RATE_ONE_E8

AT_ONCE = Delays(0, 0)
ENTRY = px(4_002.5)


# -- stop and target


def test_a_stop_hit_is_one_event_of_the_server_with_both_prices_still_on_the_order() -> None:
    house = House()
    house.open()
    before, protective = house.account.position_views()[0], house.account.order_views(with_protection=True)[0]
    (report,) = house.quote(3_940)
    now_ms = house.venue.now_ms
    price = px(3_952)  # the level, and half a point of slippage
    order = replace(
        protective,
        status=OrderStatus.FILLED,
        executed_cu=LOT,
        execution_px=price,
        updated_ms=now_ms,
        closed_ms=now_ms,
    )
    assert facts(order, "stop_px", "limit_px") == (px(3_952.5), px(4_082.5))
    flat = replace(
        before,
        status=PositionStatus.CLOSED,
        volume_cu=0,
        entry_px=0,
        sl_px=None,
        tp_px=None,
        commission_minor=0,
        used_margin_minor=0,
        margin_rate_e8=0,
        updated_ms=now_ms,
        closed_ms=now_ms,
    )
    close = CloseView(
        entry_px=ENTRY,
        gross_minor=-126_250,
        swap_minor=0,
        commission_minor=-5_000,
        fee_minor=0,
        closed_cu=LOT,
        balance_minor=BALANCE - 131_250,
        balance_version=1,
        rate_e8=RATE_ONE_E8,
    )
    deal = DealView(
        deal_id=2,
        order_id=protective.order_id,
        position_id=1,
        account_id=1,
        symbol_id=1,
        side=-1,
        volume_cu=LOT,
        filled_cu=LOT,
        price_px=price,
        status=DealStatus.FILLED,
        created_ms=now_ms,
        ts_ms=now_ms,
        commission_minor=-2_500,
        margin_rate_e8=395_200_000_000,
        base_to_usd_e8=round(3_952 / 4.4712 * RATE_ONE_E8),
        close=close,
    )
    assert report == Report(Execution.FILLED, 1, now_ms, order, flat, deal, server_made=True)
    assert house.account.positions == {}


def test_a_target_hit_looks_the_same_but_for_its_price() -> None:
    house = House()
    house.open()
    (report,) = house.quote(4_100)
    assert said([report]) == ["FILLED PROTECTION FILLED 2500/2500 CLOSED 0 server"]
    assert report.deal.price_px == report.order.limit_px == px(4_082.5)


@pytest.mark.parametrize(("trigger", "side", "quotes", "price"), [
    # long: stop at 3,952.5; the bid is what TRADE looks at, the ask is two above it
    (Trigger.OPPOSITE, 1, (3_951,), None),
    (Trigger.OPPOSITE, 1, (3_950.5,), 3_950),  # the ask is at the stop, the bid two below it
    (Trigger.OPPOSITE, 1, (3_940,), 3_950),  # passed through
    (Trigger.DOUBLE_TRADE, 1, (3_950,), None),
    (Trigger.DOUBLE_TRADE, 1, (3_950, 3_945), 3_944.5),  # as a market order at the second tick
    (Trigger.DOUBLE_TRADE, 1, (3_950, 3_960, 3_950), None),
    (Trigger.DOUBLE_OPPOSITE, 1, (3_951, 3_951), None),
    (Trigger.DOUBLE_OPPOSITE, 1, (3_950, 3_949), 3_948.5),
    # short from 3,999.5: stop at 4,049.5; TRADE looks at the ask
    (Trigger.OPPOSITE, -1, (4_049,), None),
    (Trigger.OPPOSITE, -1, (4_049.5,), 4_052),
    (Trigger.DOUBLE_TRADE, -1, (4_047.5, 4_047.5), 4_050),
])  # fmt: skip
def test_a_stop_loss_looks_at_the_quotes_of_its_trigger_method(
    trigger: Trigger, side: int, quotes: tuple[float, ...], price: float | None
) -> None:
    house = House()
    house.open(side, asked=brackets(50, 80, trigger=trigger))
    assert house.account.order_views(with_protection=True)[0].brackets.trigger is trigger
    told = [report for bid in quotes for report in house.quote(bid)]
    assert [report.deal.price_px for report in told] == ([] if price is None else [px(price)])


def test_a_target_needs_no_second_tick_whatever_the_trigger_of_the_stop() -> None:
    house = House()
    house.open(asked=brackets(50, 80, trigger=Trigger.DOUBLE_OPPOSITE))
    assert [report.deal.price_px for report in house.quote(4_090)] == [px(4_082.5)]


# -- close


def test_a_full_close_shows_the_levels_until_the_protective_order_is_cancelled() -> None:
    house = House()
    position_id = house.open()
    before = house.account.position_views()[0]
    asked_ms = house.venue.now_ms
    (accepted,) = house.ask(ClosePosition(position_id, LOT, "out"), asked="m2")
    assert said([accepted]) == ["ACCEPTED MARKET ACCEPTED 0/2500 OPEN 2500 m2"]
    assert accepted.position == before
    names = ("kind", "side", "position_id", "closing", "client_order_id", "created_ms")
    assert facts(accepted.order, *names) == (OrderKind.MARKET, -1, position_id, True, "out", asked_ms)
    assert accepted.order.brackets == Brackets(sl_px=px(3_952.5), tp_px=px(4_082.5))

    (filled,) = house.passes(FILL)
    assert said([filled]) == ["FILLED MARKET FILLED 2500/2500 CREATED 0 m2"]
    assert facts(filled.position, "entry_px", "sl_px", "tp_px", "commission_minor", "used_margin_minor") == (
        0,
        px(3_952.5),
        px(4_082.5),
        0,
        0,
    )
    close = filled.deal.close
    assert facts(close, "entry_px", "gross_minor", "commission_minor", "closed_cu", "balance_version") == (
        ENTRY,
        -7_500,
        -5_000,
        LOT,
        1,
    )
    assert close.balance_minor == house.account.balance_minor == BALANCE - 12_500
    assert house.account.position_views() == []  # a reconcile shows what is open

    (cancelled,) = house.passes(PROTECT)
    assert said([cancelled]) == ["CANCELLED PROTECTION CANCELLED 0/2500 CLOSED 0 server"]
    assert facts(cancelled.order, "order_id", "stop_px", "limit_px") == (2, px(3_952.5), px(4_082.5))
    assert facts(cancelled.position, "sl_px", "tp_px", "closed_ms") == (None, None, house.venue.now_ms)
    assert house.account.positions == {}


def test_a_position_that_was_closed_is_not_stopped_while_its_protective_order_is_still_there() -> None:
    house = House()
    position_id = house.open()
    house.ask(ClosePosition(position_id, LOT))
    house.passes(FILL)
    assert house.tick(house.now + 1, 3_900) == []
    assert said(house.passes(PROTECT)) == ["CANCELLED PROTECTION CANCELLED 0/2500 CLOSED 0 server"]


@pytest.mark.parametrize("status", [PositionStatus.CLOSED, PositionStatus.CREATED])
def test_a_full_close_without_protection_is_over_with_its_fill(status: PositionStatus) -> None:
    house = House(bare_close_status=status)
    position_id = house.open(asked=brackets())
    house.ask(ClosePosition(position_id, LOT))
    assert said(house.passes(FILL)) == [f"FILLED MARKET FILLED 2500/2500 {status.name} 0 m1"]
    assert house.venue.due_ms() is None


def test_a_partial_close_shrinks_the_position_and_then_its_protective_order() -> None:
    house = House()
    position_id = house.open()
    house.ask(ClosePosition(position_id, 1_000))
    (filled,) = house.passes(FILL)
    assert said([filled]) == ["FILLED MARKET FILLED 1000/1000 OPEN 1500 m1"]
    names = ("entry_px", "commission_minor", "used_margin_minor", "sl_px")
    assert facts(filled.position, *names) == (ENTRY, -1_500, 300_188, px(3_952.5))
    assert house.account.order_views(with_protection=True)[0].volume_cu == LOT  # not told yet
    (moved,) = house.passes(PROTECT)
    assert said([moved]) == ["REPLACED PROTECTION ACCEPTED 0/1500 OPEN 1500 server"]
    assert moved.order.order_id == 2


def test_a_stop_that_is_hit_before_its_order_shrank_closes_what_is_open() -> None:
    house = House()
    position_id = house.open()
    house.ask(ClosePosition(position_id, 1_000))
    house.passes(FILL)
    (hit,) = house.tick(house.now + 1, 3_940)
    assert (hit.deal.filled_cu, hit.order.volume_cu) == (1_500, 1_500)
    assert house.passes(PROTECT) == []


def test_more_than_is_open_cannot_be_closed_unless_the_knob_says_so() -> None:
    house = House()
    position_id = house.open()
    assert house.refused(ClosePosition(position_id, LOT + 25)).code == "TRADING_BAD_VOLUME"
    house.knobs(close_takes_what_there_is=True)
    (accepted,) = house.ask(ClosePosition(position_id, LOT + 25))
    assert accepted.order.volume_cu == LOT


def test_a_position_that_is_being_closed_is_locked() -> None:
    house = House()
    position_id = house.open()
    house.ask(ClosePosition(position_id, 1_000))
    for request in (ClosePosition(position_id, 1_000), AmendPosition(position_id, px(3_960))):
        assert facts(house.refused(request), "code", "position_id") == ("POSITION_LOCKED", position_id)
    house.passes(FILL)
    assert len(house.ask(ClosePosition(position_id, 1_000))) == 1


@pytest.mark.parametrize("code", ["CONCURRENT_MODIFICATION", "PENDING_EXECUTION"])
def test_what_a_busy_order_or_position_says_is_a_knob(code: str) -> None:
    house = House(busy_order_code=code, busy_position_code=code, late_cancel_is_event=False)
    position_id = house.open()
    (accepted,) = house.ask(ClosePosition(position_id, 1_000))
    order_id = accepted.order.order_id
    of_order = facts(house.refused(CancelOrder(order_id)), "code", "order_id", "position_id")
    assert of_order == (code, order_id, position_id)
    assert house.refused(AmendOrder(order_id, volume_cu=LOT)).code == code
    assert facts(house.refused(ClosePosition(position_id, 1_000)), "code", "position_id") == (code, position_id)


def test_a_limit_order_that_closed_a_part_and_rests_does_not_lock_the_rest() -> None:
    house = House(liquidity_cu=1_000)
    house.knobs(liquidity_cu=None)
    position_id = house.open(asked=brackets())
    house.knobs(liquidity_cu=1_000)
    house.ask(limit(-1, 4_010, position_id=position_id))
    house.quote(4_010)
    assert house.refused(ClosePosition(position_id, 1_000)).code == "POSITION_LOCKED"
    (filled,) = house.passes(FILL)
    assert said([filled]) == ["PARTIAL_FILL LIMIT ACCEPTED 1000/2500 OPEN 1500 unasked"]
    assert facts(filled.deal, "created_ms", "ts_ms") == (house.venue.now_ms - FILL, house.venue.now_ms)
    assert len(house.ask(ClosePosition(position_id, 1_000))) == 1


def test_a_stop_that_is_hit_while_a_close_is_on_its_way_wins() -> None:
    house = House()
    position_id = house.open()
    house.ask(ClosePosition(position_id, LOT))
    assert said(house.tick(house.now + 10, 3_900)) == ["FILLED PROTECTION FILLED 2500/2500 CLOSED 0 server"]
    assert said(house.passes(FILL)) == ["REJECTED MARKET REJECTED 0/2500 CLOSED 0 POSITION_NOT_FOUND m1"]


def test_a_position_that_is_gone_or_not_open_yet_is_said_so() -> None:
    house = House()
    refused = house.refused(ClosePosition(9, LOT))
    assert facts(refused, "code", "text", "position_id") == ("POSITION_NOT_FOUND", "Position not found with id 9", 9)
    position_id = house.ask(market())[0].position.position_id
    assert house.refused(ClosePosition(position_id, LOT)).code == "POSITION_NOT_OPEN"
    assert house.refused(AmendPosition(position_id, px(3_960))).code == "POSITION_NOT_OPEN"


def test_a_fresh_position_may_not_be_found_for_a_moment() -> None:
    house = House(fresh_ms=100)
    position_id = house.ask(market(asked=brackets(50)))[0].position.position_id
    house.passes(FILL + 99)
    assert house.refused(AmendPosition(position_id, px(3_960))).code == "POSITION_NOT_FOUND"
    house.passes(1)
    assert len(house.ask(AmendPosition(position_id, px(3_960)))) == 1


# -- amend


def amended(house: House, **asked: Any) -> Any:
    position_id = next(iter(house.account.positions))
    (report,) = house.ask(AmendPosition(position_id, **asked), asked="m2")
    return report


def test_both_levels_move_in_one_event_of_the_same_order() -> None:
    house = House()
    house.open()
    report = amended(house, sl_px=px(3_960), tp_px=px(4_090))
    assert said([report]) == ["REPLACED PROTECTION ACCEPTED 0/2500 OPEN 2500 m2"]
    assert facts(report.order, "order_id", "stop_px", "limit_px") == (2, px(3_960), px(4_090))
    assert facts(report.position, "sl_px", "tp_px", "updated_ms") == (px(3_960), px(4_090), house.venue.now_ms)


def test_a_level_that_is_left_out_is_removed() -> None:
    house = House()
    house.open()
    report = amended(house, tp_px=px(4_090))
    assert said([report]) == ["REPLACED PROTECTION ACCEPTED 0/2500 OPEN 2500 m2"]
    assert facts(report.order, "stop_px", "limit_px") == (None, px(4_090))
    assert report.position.sl_px is None
    assert house.quote(3_000) == []


def test_a_first_level_makes_a_new_protective_order() -> None:
    house = House()
    house.open(asked=brackets())
    report = amended(house, sl_px=px(3_960))
    assert said([report]) == ["ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 m2"]
    assert facts(report.order, "order_id", "stop_px", "limit_px") == (2, px(3_960), None)


@pytest.mark.parametrize(("cancels", "shown"), [
    (True, ("CANCELLED PROTECTION CANCELLED 0/2500 OPEN 2500 m2", px(3_952.5))),
    (False, ("REPLACED PROTECTION CANCELLED 0/2500 OPEN 2500 m2", None)),
])  # fmt: skip
def test_without_any_level_the_protective_order_is_gone(cancels: bool, shown: tuple[str, int | None]) -> None:
    house = House(bare_removal_cancels=cancels)
    house.open()
    report = amended(house)
    assert (said([report])[0], report.order.stop_px) == shown
    assert facts(report.position, "sl_px", "tp_px") == (None, None)
    assert house.account.order_views(with_protection=True) == []
    assert house.refused(AmendPosition(1)).text == "Nothing to amend."
    assert amended(house, sl_px=px(3_960)).order.order_id == 3  # a new one


def test_an_amend_before_the_protective_order_was_placed_takes_its_place() -> None:
    house = House()
    house.ask(market(asked=brackets(50, 80)))
    house.passes(FILL)
    report = amended(house, sl_px=px(3_960))
    assert said([report]) == ["ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 m2"]
    assert facts(report.position, "sl_px", "tp_px") == (px(3_960), None)
    assert house.passes(PROTECT) == []


# -- the past of an order


def test_every_change_of_an_order_is_in_what_is_to_be_committed() -> None:
    house = House(delays=AT_ONCE)
    house.ask(market(asked=brackets(50)))
    house.ask(AmendPosition(1, px(3_960), trailing=True))
    house.quote(4_010)
    order = house.venue.changes.orders[2]
    assert facts(order, "stop_px", "updated_ms") == (px(3_970), OPEN + 1_000)
