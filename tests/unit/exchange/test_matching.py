"""Ticks and requests against the account: touches, gaps, charges by time, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.unit.exchange.desk import BALANCE, MONDAY, OPEN, amend, enter, facts, leave, spec, tick
from tests.unit.exchange.single import Booking, Single

from palmbot.core.types import CostKind
from palmbot.model import Execution, Fill, OrderIntent
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX, SECOND_MS

CLOSED = OPEN + 2 * HOUR_MS  # lunch
WEEK = 7 * DAY_MS
LOT = 2_500


def desk(*rolls: tuple[int, int], **core: int) -> Single:
    """A market that is always open and quoted 4000 once, at the session's opening."""
    matching = Single(spec(always_open=True, **core), BALANCE, rolls)
    matching.tick(tick(OPEN, 4_000))
    return matching


def entered(side: int = 1, **core: int) -> Single:
    """The desk with one position of one lot, filled at 4002.5 long or 3999.5 short, stop 50 and target 80 away."""
    matching = desk(**core)
    assert [event.execution for event in matching.request(enter(side)).events] == [2, 3, 2]
    return matching


def after(seconds: float) -> int:
    return OPEN + round(seconds * SECOND_MS)


def fill_of(booked: Booking) -> Fill:
    (fill,) = (event.fill for event in booked.events if event.fill is not None)
    return fill


def refusal(booked: Booking, request_id: str = "in") -> str:
    (event,) = booked.events
    assert facts(event, "execution", "request_id", "order", "position") == (Execution.ERROR, request_id, None, None)
    assert event.error_text
    return event.error_code


# -- fills


def test_a_market_order_fills_at_the_tick_being_processed_with_slippage_against_us() -> None:
    matching = desk()
    bought = matching.request(enter(1)).deals[0].fill
    sold = matching.request(enter(-1)).deals[0].fill
    assert (bought.price_px, sold.price_px) == (4_002 * PX + PX // 2, 4_000 * PX - PX // 2)
    assert (bought.ts_ms, sold.ts_ms) == (OPEN, OPEN)
    closed = matching.request(leave(1)).deals[0].fill
    assert (closed.side, closed.price_px) == (-1, sold.price_px)
    closed = matching.request(leave(2)).deals[0].fill
    assert (closed.side, closed.price_px) == (1, bought.price_px)


def test_slippage_in_ppm_refers_to_the_open_of_the_bar_of_the_tick() -> None:
    matching = desk(slippage_kind=int(CostKind.PPM), slippage=1_000)
    last = tick(after(15), 4_100)._replace(bar_open_px=3_000 * PX)
    matching.tick(last)
    assert matching.request(enter()).deals[0].fill.price_px == last.ask_px + 3 * PX
    matching.tick(last._replace(bar_open_px=2_000 * PX))
    assert matching.request(enter()).deals[0].fill.price_px == last.ask_px + 2 * PX


@pytest.mark.parametrize(
    ("side", "bid", "jump", "price"),
    [
        # long from 4002.5: stop 3952.5, target 4082.5, both on the bid
        pytest.param(1, 3_952.5, False, 3_952.0, id="a long's stop touched exactly"),
        pytest.param(1, 3_940, False, 3_952.0, id="a stop passed through fills at its level minus slippage"),
        pytest.param(1, 3_940, True, 3_939.5, id="a stop gapped through fills at the open minus slippage"),
        pytest.param(1, 4_082.5, False, 4_082.5, id="a long's target touched exactly has no slippage"),
        pytest.param(1, 4_100, False, 4_082.5, id="a target passed through fills at its level"),
        pytest.param(1, 4_100, True, 4_100.0, id="a target gapped through fills at the better open"),
        # short from 3999.5: stop 4049.5, target 3919.5, both on the ask, which is 2 above the bid
        pytest.param(-1, 4_047.5, False, 4_050.0, id="a short's stop touched exactly by the ask"),
        pytest.param(-1, 4_060, True, 4_062.5, id="a short's stop gapped through fills at the open's ask"),
        pytest.param(-1, 3_917.5, False, 3_919.5, id="a short's target touched exactly by the ask"),
        pytest.param(-1, 3_900, True, 3_902.0, id="a short's target gapped through fills at the better open"),
    ],
)
def test_a_touched_protective_order_fills_once_and_where_the_rules_say(
    side: int, bid: float, jump: bool, price: float
) -> None:
    matching = entered(side)
    booked = matching.tick(tick(after(15), bid, jump=jump))
    (event,) = booked.events
    assert facts(event, "execution", "server_made", "request_id") == (Execution.FILLED, True, "")
    assert facts(fill_of(booked), "price_px", "ts_ms", "side") == (round(price * PX), after(15), -side)
    assert matching.positions == {}
    assert matching.tick(tick(after(30), bid)).events == ()


@pytest.mark.parametrize(("side", "bid"), [(1, 3_952.501), (1, 4_082.499), (-1, 4_047.499), (-1, 3_917.501)])
def test_one_step_short_of_a_level_touches_nothing(side: int, bid: float) -> None:
    assert entered(side).tick(tick(after(15), bid)).events == ()


def test_a_wider_spread_alone_stops_a_short_but_not_a_long() -> None:
    assert entered(1).tick(tick(after(15), 4_000, spread=100 * PX)).events == ()
    assert fill_of(entered(-1).tick(tick(after(15), 4_000, spread=100 * PX))).price_px == 4_050 * PX


def test_protective_orders_of_one_tick_fill_by_position_id_each_complete() -> None:
    matching = entered()
    matching.request(enter(-1, tp=10))
    matching.request(enter(1, sl=900, tp=900))
    booked = matching.tick(tick(after(15), 3_900))
    assert [fill.position_id for fill in (deal.fill for deal in booked.deals)] == [1, 2]
    first, second = (event.fill.close for event in booked.events if event.fill is not None)
    assert first is not None
    assert second is not None
    assert first.balance_minor != second.balance_minor == matching.balance_minor
    assert list(matching.positions) == [3]


def test_a_stop_hit_in_the_same_tick_as_a_profit_on_paper_costs_slippage_and_a_target_does_not() -> None:
    stopped = entered().tick(tick(after(15), 3_940)).deals[0]
    reached = entered().tick(tick(after(15), 4_100)).deals[0]
    # half a point a side on 25 units
    assert (stopped.slippage_minor, reached.slippage_minor) == (-2_500, -1_250)


# -- requests that are refused


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": "RUBBER"}, "SYMBOL_NOT_FOUND"),
        ({"side": 0}, "INVALID_REQUEST"),
        ({"volume_cu": 0}, "TRADING_BAD_VOLUME"),
        ({"volume_cu": 24}, "TRADING_BAD_VOLUME"),
        ({"volume_cu": 26}, "TRADING_BAD_VOLUME"),
        ({"volume_cu": 2_500_025}, "TRADING_BAD_VOLUME"),
        ({"volume_cu": -25}, "TRADING_BAD_VOLUME"),
        ({"sl_px": 0}, "INVALID_REQUEST"),
        ({"sl_px": -PX}, "INVALID_REQUEST"),
        ({"sl_px": PX + 1}, "INVALID_REQUEST"),
        ({"tp_px": 0}, "INVALID_REQUEST"),
        ({"tp_px": 50}, "INVALID_REQUEST"),
        ({"volume_cu": 2_500_000}, "NOT_ENOUGH_MONEY"),
    ],
)
def test_an_entry_is_refused_by_an_event_and_changes_nothing(change: dict[str, int], code: str) -> None:
    matching = desk()
    before = matching.snapshot()
    assert refusal(matching.request(replace(enter(), **change))) == code  # type: ignore[arg-type]  # any field
    assert matching.snapshot() == before
    assert matching.counters.order == 0


def test_nothing_can_be_asked_before_the_first_tick() -> None:
    assert refusal(Single(spec(), BALANCE).request(enter())) == "NO_QUOTES"


@pytest.mark.parametrize("request_", [enter(), amend(1, 3_960, 4_090, "in"), leave(1, name="in")])
def test_nothing_can_be_asked_outside_the_session(request_: OrderIntent) -> None:
    matching = Single(spec(), BALANCE)
    matching.tick(tick(CLOSED - 1, 4_000))
    assert len(matching.request(enter()).events) == 3
    if request_.kind == "enter":
        assert len(matching.request(request_).events) == 3
    matching.tick(tick(CLOSED, 4_000))
    assert refusal(matching.request(request_)) == "MARKET_CLOSED"


def test_the_margin_at_the_fill_price_may_take_all_that_is_free_and_not_a_cent_more() -> None:
    # one lot at 4002.5 with leverage 20 holds 5,003.13 MYR
    for balance, executions in ((500_313, [2, 3, 2]), (500_312, [0])):
        matching = Single(spec(always_open=True), balance)
        matching.tick(tick(OPEN, 4_000))
        assert [event.execution for event in matching.request(enter()).events] == executions


def test_free_margin_is_equity_without_the_margin_in_use() -> None:
    # a second lot needs 5,003.13; one lot in use holds as much, and floats at -2.5 points and its commission: -87.50
    for balance, executions in ((500_313 * 2 + 8_750, [2, 3, 2]), (500_313 * 2 + 8_749, [0])):
        matching = Single(spec(always_open=True), balance)
        matching.tick(tick(OPEN, 4_000))
        matching.request(enter())
        assert [event.execution for event in matching.request(enter()).events] == executions


@pytest.mark.parametrize(
    ("side", "sl", "tp", "code"),
    [
        (1, 4_000, 4_090, "TRADING_BAD_STOPS"),  # a long's stop must lie below the bid
        (1, 3_990, 4_000, "TRADING_BAD_STOPS"),  # its target above
        (1, 4_010, 4_090, "TRADING_BAD_STOPS"),
        (1, 0, 4_090, "TRADING_BAD_STOPS"),  # both legs, always
        (1, 3_990, 0, "TRADING_BAD_STOPS"),
        (-1, 4_002, 3_900, "TRADING_BAD_STOPS"),  # a short's stop must lie above the ask
        (-1, 4_010, 4_002, "TRADING_BAD_STOPS"),
        (-1, 4_010, 0, "TRADING_BAD_STOPS"),
        (1, 3_990.0005, 4_090, "TRADING_BAD_PRICES"),
        (1, 3_990, 4_090.0005, "TRADING_BAD_PRICES"),
    ],
)
def test_an_amend_with_one_bad_leg_changes_neither(side: int, sl: float, tp: float, code: str) -> None:
    matching = entered(side)
    before = matching.snapshot()
    assert refusal(matching.request(amend(1, sl, tp)), "move") == code
    assert matching.snapshot() == before


@pytest.mark.parametrize(("side", "sl", "tp"), [(1, 3_999.999, 4_000.001), (-1, 4_002.001, 4_001.999)])
def test_an_amend_may_come_as_near_as_one_step_to_the_price(side: int, sl: float, tp: float) -> None:
    matching = entered(side)
    (event,) = matching.request(amend(1, sl, tp)).events
    assert facts(event, "execution", "request_id", "server_made") == (Execution.REPLACED, "move", False)
    assert facts(matching.positions[1].levels, "sl_px", "tp_px") == (round(sl * PX), round(tp * PX))


def test_a_moved_stop_is_the_one_that_is_hit() -> None:
    matching = entered()
    matching.request(amend(1, 3_990, 4_082.5))
    assert fill_of(matching.tick(tick(after(15), 3_989))).price_px == 3_990 * PX - PX // 2


def test_what_is_not_open_cannot_be_amended_or_closed() -> None:
    matching = entered()
    for asked in (amend(2, 3_990, 4_090), leave(2)):
        assert refusal(matching.request(asked), asked.client_order_id) == "POSITION_NOT_FOUND"
    matching.request(leave(1))
    assert refusal(matching.request(leave(1)), "out") == "POSITION_NOT_FOUND"


@pytest.mark.parametrize("volume_cu", [0, -25, 24, 2_476, 2_525])
def test_a_position_is_not_closed_by_an_impossible_part_or_down_to_an_impossible_rest(volume_cu: int) -> None:
    matching = entered()
    assert refusal(matching.request(leave(1, volume_cu)), "out") == "TRADING_BAD_VOLUME"
    assert matching.positions[1].volume_cu == LOT


def test_a_part_of_a_position_can_be_closed_and_the_rest_stays_protected() -> None:
    matching = entered()
    booked = matching.request(leave(1, 2_475))
    assert [event.execution for event in booked.events] == [2, 3, 4]
    assert matching.snapshot().orders[0].volume_cu == 25
    assert fill_of(matching.tick(tick(after(15), 3_940))).volume_cu == 25


def test_the_fault_knob_rejects_the_next_good_order_and_only_that() -> None:
    matching = desk()
    matching.venue.reject_next("TRADING_DISABLED")
    assert refusal(matching.request(replace(enter(), volume_cu=1))) == "TRADING_BAD_VOLUME"
    booked = matching.request(enter())
    assert [event.execution for event in booked.events] == [Execution.ACCEPTED, Execution.REJECTED]
    assert booked.events[1].error_code == "TRADING_DISABLED"
    assert len(matching.request(enter()).events) == 3


# -- what time brings

DAILY = {"swap_long": -1 * 10**10, "swap_short": 5 * 10**9, "swap_time_ms": 22 * HOUR_MS}  # 1 and 0.5 a unit and night


def charges(booked: Booking) -> list[tuple[int, int]]:
    return [
        (event.ts_ms, event.position.swap_minor)
        for event in booked.events
        if event.execution is Execution.SWAP and event.position is not None
    ]


def test_swaps_are_charged_night_by_night_three_fold_once_and_never_at_the_week_end() -> None:
    matching = entered(**DAILY)
    booked = matching.tick(tick(OPEN + WEEK, 4_000))
    nights = [MONDAY + day * DAY_MS + 22 * HOUR_MS for day in range(5)]
    # 25 units: 25 MYR a night; Wednesday counts three; nothing on Saturday and Sunday
    assert charges(booked) == list(zip(nights, [-2_500, -5_000, -12_500, -15_000, -17_500], strict=True))
    assert all(event.server_made and event.order is None for event in booked.events)


def test_a_short_has_its_own_swap_rate() -> None:
    assert charges(entered(-1, **DAILY).tick(tick(OPEN + DAY_MS, 4_000))) == [(MONDAY + 22 * HOUR_MS, 1_250)]


def test_a_swap_at_the_entry_is_not_charged_and_one_at_the_exit_is() -> None:
    matching = desk(**{**DAILY, "swap_time_ms": OPEN - MONDAY})
    matching.request(enter())
    assert matching.tick(tick(OPEN + DAY_MS - 1, 4_000)).events == ()
    booked = matching.tick(tick(OPEN + DAY_MS, 3_900))  # the swap comes first, then the stop takes it along
    assert [event.execution for event in booked.events] == [Execution.SWAP, Execution.FILLED]
    close = fill_of(booked).close
    assert close is not None
    assert close.swap_minor == -2_500


def test_a_swap_in_percent_is_priced_on_the_last_bid_and_rate_before_it() -> None:
    # 3.6 % a year of 25 units: a hundredth of a percent of their value a night
    terms = {"swap_kind": 1, "swap_long": -360_000, "swap_time_ms": 22 * HOUR_MS}
    matching = entered(**terms)
    matching.tick(tick(after(60), 4_040, rate_e8=50_000_000))
    assert charges(matching.tick(tick(OPEN + DAY_MS, 4_070)))[0] == (MONDAY + 22 * HOUR_MS, -505)


def test_a_roll_is_charged_to_what_was_open_before_it_so_that_the_jump_is_nobodys_profit() -> None:
    roll_ms = OPEN + DAY_MS
    for side, charge in ((1, -30_000), (-1, 30_000)):
        matching = desk((roll_ms, 12 * PX))
        matching.request(enter(side))
        booked = matching.tick(tick(roll_ms, 4_012))
        assert charges(booked) == [(roll_ms, charge)]
        held = matching.positions[1]
        assert held.levels.sl_px == held.entry_px - side * 50 * PX  # entry and levels stay
        assert matching.tick(tick(roll_ms + 15_000, 4_012)).events == ()


def test_a_position_opened_on_the_roll_tick_is_not_rolled() -> None:
    roll_ms = OPEN + DAY_MS
    matching = desk((OPEN - DAY_MS, PX), (roll_ms, 12 * PX))
    matching.tick(tick(roll_ms, 4_012))
    matching.request(enter())
    assert matching.tick(tick(roll_ms + WEEK, 4_012)).events == ()


def test_at_one_instant_a_swap_comes_before_a_roll_and_all_come_in_order_of_time() -> None:
    night = MONDAY + 22 * HOUR_MS
    matching = desk((night - HOUR_MS, 2 * PX), (night, 4 * PX), (night + HOUR_MS, 8 * PX), **DAILY)
    matching.request(enter())
    booked = matching.tick(tick(OPEN + DAY_MS, 4_000))
    running = [0, *(swap for _, swap in charges(booked))]
    assert [ts_ms for ts_ms, _ in charges(booked)] == [night - HOUR_MS, night, night, night + HOUR_MS]
    assert [after_ - before for before, after_ in pairwise(running)] == [-5_000, -2_500, -10_000, -20_000]


def test_a_charge_meets_every_open_position() -> None:
    matching = entered(**DAILY)
    matching.request(enter(-1))
    booked = matching.tick(tick(OPEN + DAY_MS, 4_000))
    assert [swap for _, swap in charges(booked)] == [-2_500, 1_250]


def test_nights_without_a_position_are_not_made_up_for() -> None:
    matching = desk(**DAILY)
    matching.tick(tick(OPEN + 3 * DAY_MS, 4_000))
    matching.request(enter())
    assert charges(matching.tick(tick(OPEN + 3 * DAY_MS + MINUTE_MS, 4_000))) == []


def test_from_stored_books_the_market_goes_on_with_what_was_not_yet_charged() -> None:
    roll_ms = OPEN + 2 * DAY_MS
    before = entered(**DAILY)
    last = tick(OPEN + DAY_MS, 4_000)
    before.tick(last)
    later = ((OPEN + DAY_MS, 99 * PX), (roll_ms, PX))
    matching = Single(spec(always_open=True, **DAILY), BALANCE, later, kept=before.venue.kept())
    booked = matching.tick(tick(roll_ms, 4_000))
    assert charges(booked) == [(MONDAY + 46 * HOUR_MS, -5_000), (roll_ms, -7_500)]


# -- margin


@pytest.mark.parametrize(("bid", "stops"), [(3_861, False), (3_860.999, True)])
def test_equity_below_half_of_the_margin_closes_the_position_and_at_half_it_does_not(bid: float, stops: bool) -> None:
    # one lot at 4000 holds 5,000; at 3861 the 6,000 are 2,500: 3,475 lost and 25 of commission
    matching = Single(spec(always_open=True, slippage=0), 600_000)
    matching.tick(tick(OPEN, 4_000, spread=0))
    matching.request(enter(sl=1_000, tp=1_000))
    executions = [event.execution for event in matching.tick(tick(after(15), bid, spread=0)).events]
    assert executions == ([2, 3, 5] if stops else [])
    assert bool(matching.snapshot().positions) is not stops


def test_a_stop_that_is_hit_comes_before_the_test_for_a_stop_out() -> None:
    matching = desk()
    matching.request(enter(volume_cu=15 * LOT, sl=160, tp=1_000))
    assert fill_of(matching.tick(tick(after(15), 3_600, jump=True))).price_px == 3_600 * PX - PX // 2
    assert matching.positions == {}
