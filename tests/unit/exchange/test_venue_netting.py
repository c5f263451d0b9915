"""Netted accounts: one position a symbol, raised, reduced, closed and turned over (6.10)."""

from __future__ import annotations

import pytest
from tests.unit.exchange.desk import BALANCE, facts
from tests.unit.exchange.house import FILL, LOT, PROTECT, House, brackets, limit, market, netted, px, said

from palmbot.exchange.conduct import Delays
from palmbot.exchange.values import ClosePosition, NewOrder
from palmbot.units import RATE_ONE_E8

AT_ONCE = Delays(0, 0)


def filled(house: House, order: NewOrder) -> list[str]:
    house.ask(order)
    return said(house.passes(FILL))


def test_orders_of_one_side_raise_the_one_position_to_the_exact_mean() -> None:
    house = netted()
    house.open()
    house.quote(4_001)
    (accepted,) = house.ask(market(volume_cu=1_000, asked=brackets(30)))
    assert facts(accepted.order, "position_id", "closing") == (1, False)
    assert said(house.passes(FILL)) == ["FILLED MARKET FILLED 1000/1000 OPEN 3500 m1"]
    held = house.position(1)
    assert held.cost_pxcu == LOT * px(4_002.5) + 1_000 * px(4_003.5)
    (moved,) = house.passes(PROTECT)
    assert said([moved]) == ["REPLACED PROTECTION ACCEPTED 0/3500 OPEN 3500 server"]
    # the levels of the newest order stand for the whole position, and what it left out is gone
    assert facts(moved.position, "sl_px", "tp_px") == (px(3_973.5), None)


def test_an_order_against_it_reduces_it() -> None:
    house = netted()
    house.open()
    (accepted,) = house.ask(market(-1, 1_000))
    assert facts(accepted.order, "position_id", "closing") == (1, True)
    (report,) = house.passes(FILL)
    assert said([report]) == ["FILLED MARKET FILLED 1000/1000 OPEN 1500 m1"]
    assert facts(report.deal.close, "closed_cu", "gross_minor", "commission_minor") == (1_000, -3_000, -2_000)
    assert said(house.passes(PROTECT)) == ["REPLACED PROTECTION ACCEPTED 0/1500 OPEN 1500 server"]


def test_an_order_of_its_size_closes_it() -> None:
    house = netted()
    house.open()
    assert filled(house, market(-1)) == ["FILLED MARKET FILLED 2500/2500 CREATED 0 m1"]
    assert said(house.passes(PROTECT)) == ["CANCELLED PROTECTION CANCELLED 0/2500 CLOSED 0 server"]
    assert filled(house, market(-1)) == ["FILLED MARKET FILLED 2500/2500 OPEN 2500 m1"]
    assert list(house.account.positions) == [2]


@pytest.mark.parametrize(("keeps", "position_id"), [(False, 2), (True, 1)])
def test_a_larger_order_turns_it_over_in_two_deals(keeps: bool, position_id: int) -> None:
    house = netted(flip_keeps_position=keeps)
    house.open()
    house.ask(market(-1, 4_000, brackets(30, 40)))
    filled, guarded = house.passes(FILL), house.passes(PROTECT)
    first, second = filled[0], filled[-1]
    assert said([first, second]) == [
        "PARTIAL_FILL MARKET ACCEPTED 2500/4000 CREATED 0 m1",
        "FILLED MARKET FILLED 4000/4000 OPEN 1500 m1",
    ]
    assert facts(first.deal.close, "closed_cu", "gross_minor") == (LOT, -7_500)
    assert second.deal.close is None
    assert facts(second.position, "position_id", "side", "entry_px") == (position_id, -1, px(3_999.5))
    ended = ["CANCELLED PROTECTION CANCELLED 0/2500 CLOSED 0 server"]  # at once where the id is needed again
    assert said(filled[1:-1]) == (ended if keeps else [])
    assert said(guarded) == ([] if keeps else ended) + ["ACCEPTED PROTECTION ACCEPTED 0/1500 OPEN 1500 server"]
    (held,) = house.account.open
    assert facts(held.levels, "sl_px", "tp_px") == (px(4_029.5), px(3_959.5))  # of the order that turned it
    assert len(house.account.order_views(with_protection=True)) == 1


def test_a_turned_position_without_levels_of_its_own_does_not_inherit_those_of_the_old_one() -> None:
    house = netted(delays=AT_ONCE)
    house.open()
    house.ask(market(-1, 4_000))
    (held,) = house.account.open
    assert (held.side, held.levels.is_bare, held.protection_id) == (-1, True, 0)


def test_a_close_request_never_turns_it_over() -> None:
    house = netted(close_takes_what_there_is=True)
    house.open()
    (accepted,) = house.ask(ClosePosition(1, 4_000))
    assert accepted.order.volume_cu == LOT
    house.tick(house.now + 10, 3_900)  # the stop comes first
    assert said(house.passes(FILL)) == ["REJECTED MARKET REJECTED 0/2500 CLOSED 0 POSITION_NOT_FOUND m1"]


def test_a_pending_order_nets_against_what_is_there_when_it_is_triggered() -> None:
    house = netted(delays=AT_ONCE)
    (accepted,) = house.ask(limit(-1, 4_010))
    assert facts(accepted.order, "position_id", "closing") == (1, False)  # a reserved one
    house.ask(market())
    (report,) = house.quote(4_020)
    assert said([report]) == ["FILLED LIMIT FILLED 2500/2500 CLOSED 0 unasked"]
    assert report.order.position_id == report.position.position_id == 2
    assert report.order.closing
    assert report.deal.close.gross_minor == 18_750
    assert house.account.balance_minor == BALANCE + 18_750 - 5_000


def test_an_order_that_was_to_reduce_what_is_gone_opens_a_new_position() -> None:
    house = netted()
    house.open()
    house.ask(market(-1))
    house.tick(house.now + 10, 3_900)  # stopped out of the old one first
    (report,) = house.passes(FILL)
    assert said([report]) == ["FILLED MARKET FILLED 2500/2500 OPEN 2500 m1"]
    assert facts(report.position, "position_id", "side") == (2, -1)


def test_reducing_needs_no_margin_and_turning_over_needs_it_for_what_is_left() -> None:
    house = netted(delays=AT_ONCE)
    house.open(volume_cu=30 * LOT // 2, asked=brackets())  # 75,046.88 of 100,000
    house.ask(market(-1, LOT))
    house.ask(market(-1, 14 * LOT + 19 * LOT))
    assert [(held.side, held.volume_cu) for held in house.account.open] == [(-1, 19 * LOT)]
    assert house.refused(market(1, 40 * LOT)).code == "NOT_ENOUGH_MONEY"


def test_a_position_of_many_prices_is_closed_in_parts_without_losing_anything() -> None:
    house = netted(delays=AT_ONCE)
    orders = [(4_000 + number * 0.007, 25 + 25 * (number % 3)) for number in range(29)]
    for price, volume_cu in orders:
        house.quote(price)
        house.ask(market(volume_cu=volume_cu))
    whole = sum(volume_cu for _, volume_cu in orders)
    cost = sum(volume_cu * (px(price) + px(2.5)) for price, volume_cu in orders)
    assert house.position(1).cost_pxcu == cost
    assert cost % whole != 0  # its mean lies between two prices
    house.quote(4_000)
    parts, closes, left = [25, 75, 50, 25, whole - 175], [], whole
    for part in parts:
        closes.append(house.ask(market(-1, part))[1].deal.close)
        left -= part
        if left:  # what is left still costs what it did, to the last unit
            assert house.position(1).cost_pxcu == pytest.approx(cost * left / whole, rel=0, abs=len(closes))
    assert house.account.positions == {}
    exact = whole * px(3_999.5) - cost
    assert sum(close.gross_minor for close in closes) * 100_000 == pytest.approx(exact, abs=100_000 * len(parts) / 2)
    charged = sum(close.gross_minor + close.commission_minor for close in closes)
    assert house.account.balance_minor == BALANCE + charged
    assert {close.rate_e8 for close in closes} == {RATE_ONE_E8}
