"""Money short of margin, and money that comes and goes: calls, stop-outs, terms, cash, swaps of many (6.7, 6.8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, facts, spec
from tests.unit.exchange.house import FILL, LOT, PROTECT, TRADED, House, brackets, market, px, said, standing

from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.conduct import Delays
from palmbot.exchange.listing import DynamicLeverage, Tier
from palmbot.exchange.values import (
    CashKind,
    ClosePosition,
    MarginCalled,
    MarginCallSet,
    MarginMoved,
    OrderStatus,
    Refused,
    Report,
    StopOutOrder,
    TotalMargin,
    TraderChanged,
)
from palmbot.model import Execution, OrderKind
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

AT_ONCE = Delays(0, 0)
CATALOGUE = catalogue_of(TRADED)


def poor(balance_minor: int, delays: Delays | None = AT_ONCE, knobs: Any = None, **terms: Any) -> House:
    accounts = (standing(CATALOGUE, balance_minor=balance_minor, **terms),)
    return House(accounts=accounts, delays=delays, **(knobs or {}))


# -- margin calls


def test_margin_calls_are_told_at_their_thresholds_and_not_again_for_ten_minutes() -> None:
    house = poor(600_000)  # one lot holds 5,003.13 and costs 25
    house.open(asked=brackets())
    assert house.tick(1_000, 3_964) == []
    ts_ms = OPEN + 2_000
    # 6,000 - 25 - 25 x 40.5 = 4,962.50: 99.2 %
    assert house.tick(2_000, 3_962) == [MarginCalled(1, 61, 100.0, ts_ms)]
    assert house.tick(3_000, 3_923) == [MarginCalled(1, 62, 80.0, OPEN + 3_000)]
    assert house.tick(4_000, 3_940) == []
    assert [each.kind for each in house.tick(2_000 + 10 * MINUTE_MS, 3_940)] == [61]
    assert [each.kind for each in house.tick(3_000 + 10 * MINUTE_MS, 3_880)] == [62, 63]


def test_a_threshold_can_be_moved_and_is_told_anew() -> None:
    house = poor(600_000)
    house.open(asked=brackets())
    house.quote(3_962)
    assert house.venue.set_margin_call(1, 61, 95.0) == [MarginCallSet(1, 61, 95.0, house.venue.now_ms)]
    assert house.quote(3_962) == []
    assert [each.threshold_pct for each in house.quote(3_951)] == [95.0]
    for kind, pct in ((60, 50.0), (61, -1.0)):
        assert isinstance(house.venue.set_margin_call(1, kind, pct), Refused)


# -- stop-outs


def test_a_stop_out_closes_at_market_by_an_order_of_the_servers_own() -> None:
    house = poor(600_000, delays=None)
    house.open(asked=brackets(900, 900))
    told = house.quote(3_862)  # 6,000 - 25 - 25 x 140.5 = 2,462.50 of 5,003.13
    assert said(told) == [
        "MarginCalled",
        "MarginCalled",
        "MarginCalled",
        "ACCEPTED MARKET ACCEPTED 0/2500 OPEN 2500 server",
        "FILLED MARKET FILLED 2500/2500 CREATED 0 server",
    ]
    accepted, filled = told[3:]
    names = ("is_stop_out", "closing", "position_id", "side", "client_order_id")
    assert facts(filled.order, *names) == (True, True, 1, -1, "server-3")
    assert accepted.order.is_stop_out
    assert filled.deal.price_px == px(3_861.5)
    (cancelled,) = house.passes(PROTECT)
    assert said([cancelled]) == ["CANCELLED PROTECTION CANCELLED 0/2500 CLOSED 0 server"]


def test_a_stop_out_may_come_without_an_acceptance() -> None:
    house = poor(600_000, knobs={"stop_out_is_accepted": False})
    house.open(asked=brackets())
    assert said(house.quote(3_862))[3:] == ["FILLED MARKET FILLED 2500/2500 CLOSED 0 server"]


@pytest.mark.parametrize(("order", "closed"), [
    (StopOutOrder.MOST_MARGIN_USED_FIRST, [1]),
    (StopOutOrder.MOST_LOSING_FIRST, [2]),
])  # fmt: skip
def test_the_terms_say_which_position_goes_first_and_no_more_than_needed(
    order: StopOutOrder, closed: list[int]
) -> None:
    house = poor(2_000_000, stop_out_order=order)
    house.open(-1, 2 * LOT, brackets())
    house.open(1, LOT, brackets())  # 10,000 and 5,000 of margin; a fall hurts the second
    house.venue._floor.book(house.account, -1_280_000)  # 7,200 are left
    told = [each for each in house.quote(3_995) if isinstance(each, Report)]
    assert [each.deal.position_id for each in told if each.deal is not None] == closed


def test_a_smart_stop_out_closes_a_part_and_a_fair_one_all() -> None:
    for is_fair in (True, False):
        house = poor(1_200_000, is_fair_stop_out=is_fair)
        house.open(asked=brackets(), volume_cu=2 * LOT)  # holds 10,006.25
        house.quote(3_861.5)  # 12,000 - 50 - 50 x 141 = 4,900
        left = sum(held.volume_cu for held in house.account.open)
        assert left == (0 if is_fair else 2 * LOT - 125)  # 106.25 of excess margin: five steps of 25


def test_a_balance_below_zero_is_made_good_after_a_stop_out() -> None:
    house = poor(600_000)
    house.open(asked=brackets())
    told = house.quote(3_700, jump=True)
    assert told[-1].cash.kind is CashKind.NEGATIVE_BALANCE_PROTECTION
    assert facts(told[-1].cash, "balance_minor", "balance_version") == (0, 2)
    strict = poor(600_000, knobs={"debt_is_forgiven": False})
    strict.open(asked=brackets())
    assert said(strict.quote(3_700, jump=True))[-1] == "FILLED MARKET FILLED 2500/2500 CLOSED 0 server"
    assert strict.account.balance_minor < 0


@pytest.mark.parametrize("ends", ["a stop", "a request"])
@pytest.mark.parametrize("forgives", [True, False])
def test_a_balance_below_zero_is_made_good_whatever_closed_the_last_position(ends: str, forgives: bool) -> None:
    house = poor(600_000, knobs={"debt_is_forgiven": forgives})
    number = house.open(asked=brackets(50) if ends == "a stop" else brackets())
    other = house.open(asked=brackets(), volume_cu=25)
    if ends == "a request":
        house.venue._floor.book(house.account, -700_000)
        house.ask(ClosePosition(number, LOT))
    else:
        house.quote(3_700, jump=True)
    if other in house.account.positions:
        assert house.account.balance_minor < 0  # something is open: it may win yet
        house.ask(ClosePosition(other, 25))
    assert (house.account.balance_minor == 0) == forgives


def test_a_stop_out_takes_a_position_that_is_being_closed_and_the_close_comes_too_late() -> None:
    house = poor(600_000, delays=None)
    position_id = house.open(asked=brackets())
    house.ask(ClosePosition(position_id, LOT))
    house.tick(house.now + 1, 3_862)
    assert said(house.passes(FILL)) == ["REJECTED MARKET REJECTED 0/2500 CLOSED 0 POSITION_NOT_FOUND m1"]


def test_without_anybody_to_take_it_a_stop_out_tries_again_at_the_next_tick() -> None:
    house = poor(600_000, knobs={"liquidity_cu": 0})
    house.knobs(liquidity_cu=None)
    house.open(asked=brackets())
    house.knobs(liquidity_cu=0)
    for _ in range(2):
        told = [each for each in house.quote(3_861) if isinstance(each, Report)]
        statuses = [each.order.status for each in told if each.order is not None]
        assert statuses == [OrderStatus.ACCEPTED, OrderStatus.CANCELLED]
    house.knobs(liquidity_cu=None)
    assert house.quote(3_861)[-1].order.kind is OrderKind.MARKET
    assert house.account.positions == {}


def test_the_accounts_of_others_are_not_touched() -> None:
    house = House(accounts=(standing(CATALOGUE, 1, 600_000), standing(CATALOGUE, 2, BALANCE)), delays=AT_ONCE)
    for account_id in (1, 2):
        house.open(asked=brackets(), account_id=account_id)
    assert {each.account_id for each in house.quote(3_861)} == {1}
    assert [len(list(house.venue.accounts[number].open)) for number in (1, 2)] == [0, 1]


# -- shared margin, leverage, expected margin


@pytest.mark.parametrize(("kind", "used"), [
    (TotalMargin.SUM, 1_000_313 + 999_875 // 2),
    (TotalMargin.MAX, 1_000_625),
    (TotalMargin.NET, 500_313),
])  # fmt: skip
def test_hedged_legs_share_margin_as_the_terms_say(kind: TotalMargin, used: int) -> None:
    house = poor(BALANCE, total_margin=kind)
    house.open(1, 2 * LOT, brackets())
    house.open(-1, LOT, brackets())
    longs, shorts = 1_000_625, 499_938
    expected = {TotalMargin.SUM: longs + shorts, TotalMargin.MAX: longs, TotalMargin.NET: 500_313}[kind]
    assert house.account.used_margin_minor == expected
    assert abs(used - expected) < 1_000


def test_a_hedge_that_needs_no_margin_is_taken_with_no_money_left() -> None:
    for kind, takes in ((TotalMargin.MAX, True), (TotalMargin.SUM, False)):
        house = poor(510_000, total_margin=kind)
        house.open(asked=brackets())
        if takes:
            house.ask(market(-1))
        else:
            assert house.refused(market(-1)).code == "NOT_ENOUGH_MONEY"


def test_dynamic_leverage_looks_at_the_whole_side_of_a_symbol() -> None:
    tiers = DynamicLeverage(1, (Tier(3_000_000, 20), Tier(2**62, 10)))  # above 30,000 USD
    catalogue = replace(CATALOGUE, leverages=(tiers, *CATALOGUE.leverages[1:]))
    house = House(catalogue=catalogue, accounts=(standing(catalogue),), delays=AT_ONCE)
    assert house.venue.expected_margin(1, TRADED_ID, LOT) == (500_250, 500_000)  # about 22,000 USD
    assert house.venue.expected_margin(1, TRADED_ID, 2 * LOT) == (2_001_000, 2_000_000)
    house.open(asked=brackets())
    assert house.venue.expected_margin(1, TRADED_ID, LOT) == (1_000_500, 500_000)
    house.open(asked=brackets())
    assert [held.margin_minor for held in house.account.open] == [500_313, 1_000_625]


def test_expected_margin_of_what_is_not_listed_or_not_quoted_is_refused() -> None:
    house = House()
    for symbol_id, code in ((99, "SYMBOL_NOT_FOUND"), (2, "NO_QUOTES")):
        refused = house.venue.expected_margin(1, symbol_id, LOT)
        assert isinstance(refused, Refused)
        assert refused.code == code


def test_another_leverage_is_told_with_the_margin_that_it_changes() -> None:
    house = House(delays=AT_ONCE)
    position_id = house.open()
    terms = replace(house.account.terms, leverage_in_cents=1_000)
    assert house.venue.set_terms(terms) == [TraderChanged(1), MarginMoved(1, position_id, 1_000_625)]
    assert house.account.used_margin_minor == 1_000_625
    assert house.venue.set_terms(replace(terms, is_live=True)) == [TraderChanged(1)]


# -- unrealized


def test_unrealized_profit_is_without_and_with_swap_and_opening_commission() -> None:
    house = House(spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS))
    house.open()
    house.tick(DAY_MS, 4_010)
    (found,) = house.venue.unrealized(1)
    assert found == (1, 18_750, 18_750 - 2_500 - 2_500)
    assert house.venue.equity_minor(1) == BALANCE + found.net_minor


# -- cash


def test_a_deposit_and_a_withdrawal_change_the_balance_and_its_version() -> None:
    house = House()
    (told,) = house.venue.cash(1, CashKind.DEPOSIT, 5_000, "bonus")  # type: ignore[misc]  # it is not refused
    assert said([told]) == ["DEPOSIT_WITHDRAW server"]
    assert isinstance(told, Report)
    names = ("cash_id", "kind", "delta_minor", "balance_minor", "balance_version", "equity_minor", "note", "ts_ms")
    expected = (1, CashKind.DEPOSIT, 5_000, BALANCE + 5_000, 1, BALANCE + 5_000, "bonus", OPEN)
    assert facts(told.cash, *names) == expected
    house.venue.cash(1, CashKind.WITHDRAW, -3_000)
    assert facts(house.account, "balance_minor", "balance_version") == (BALANCE + 2_000, 2)
    assert told.execution is Execution.DEPOSIT_WITHDRAW


def test_margin_and_profit_on_paper_cannot_be_withdrawn() -> None:
    house = poor(600_000)
    house.open(asked=brackets())
    house.quote(4_050)  # equity 7,125 - 25 x 2.5: but the balance is 6,000
    free = house.venue.equity_minor(1) - house.account.used_margin_minor
    refused = house.venue.cash(1, CashKind.WITHDRAW, -free - 1)
    assert isinstance(refused, Refused)
    assert refused.code == "NOT_ENOUGH_MONEY"
    assert not isinstance(house.venue.cash(1, CashKind.WITHDRAW, -free), Refused)


# -- swaps


def test_a_swap_is_told_with_the_position_and_without_an_order() -> None:
    house = House(spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS))
    house.open()
    before = house.account.position_views()[0]
    due_ms = OPEN - 2 * HOUR_MS - HOUR_MS // 2 + 22 * HOUR_MS
    assert house.venue.due_ms() == due_ms
    (told,) = house.venue.advance(due_ms)
    position = replace(before, swap_minor=-2_500, updated_ms=due_ms)
    assert told == Report(Execution.SWAP, 1, due_ms, position=position, server_made=True)


def test_a_position_that_is_opened_at_the_instant_of_a_swap_is_not_charged_and_one_that_is_closed_there_is() -> None:
    house = House(spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS))
    due = 19 * HOUR_MS + HOUR_MS // 2  # after the first tick
    position_id = house.open()
    house.passes(due - house.now - FILL)
    house.ask(market())
    house.ask(ClosePosition(position_id, LOT))
    told = house.passes(FILL)
    assert said(told) == [
        "SWAP OPEN 2500 server",
        "FILLED MARKET FILLED 2500/2500 OPEN 2500 m1",
        "FILLED MARKET FILLED 2500/2500 CREATED 0 m1",
    ]
    assert told[-1].deal.close.swap_minor == -2_500
    assert [held.swap_minor for held in house.account.open] == [0]


def test_an_account_without_swaps_pays_the_fee_instead() -> None:
    catalogue = catalogue_of(spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS))
    fee: dict[str, Any] = {"rollover_commission": 3, "rollover_skip_days": 1}
    listings = [replace(each, **fee) if each.symbol_id == TRADED_ID else each for each in catalogue.listings]
    catalogue = replace(catalogue, listings=tuple(listings))
    accounts = (standing(catalogue, 1, is_swap_free=True), standing(catalogue, 2))
    house = House(catalogue=catalogue, accounts=accounts, delays=AT_ONCE)
    for account_id in (1, 2):
        house.open(account_id=account_id)
    first, second = house.tick(DAY_MS, 4_000), house.tick(2 * DAY_MS, 4_000)
    assert [(each.account_id, each.position.swap_minor) for each in first] == [(2, -2_500)]
    # 3 USD a lot and day, at 4.4712 MYR; the first day is free
    assert [(each.account_id, each.position.swap_minor) for each in second] == [(2, -5_000), (1, -1_341)]
