"""The bot's own books against the sequences that a broker really sends (protocol sheet 6.1, 6.2, 6.4-6.6, 6.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.orders.ledger import BALANCE, START_MS, Ledger, ended, levels, strike

from palmbot.core.types import Reason
from palmbot.errors import InvariantError
from palmbot.model import Execution, Fill, IntentKind, OrderEvent, Trade
from palmbot.orders.book import Closed
from palmbot.orders.lifecycle import Happening
from palmbot.units import PX

BOTH = pytest.mark.parametrize("side", [1, -1])


# -- 6.1 market order


@BOTH
def test_an_entry_is_held_from_its_fill_and_settled_when_its_protective_order_is_seen(side: int) -> None:
    ledger = Ledger()
    intent = ledger.asked_entry(side)
    accepted, filled, protected = ledger.account.enter(intent, strike(START_MS, 4_000)).events
    assert ledger.book.in_flight == (intent,)
    ledger.tell(accepted)
    assert (ledger.book.holding, ledger.book.in_flight) == (None, (intent,))
    ledger.tell(filled)
    holding = ledger.book.holding
    assert holding is not None
    assert not holding.is_protected
    assert not ledger.book.in_flight
    assert not ledger.book.is_settled
    core = holding.core(3)
    assert (core.side, core.volume_cu, core.entry_px, core.entry_ms) == (side, 2_500, 4_000 * PX, START_MS)
    assert (core.sl_px, core.tp_px) == ((4_000 - side * 50) * PX, (4_000 + side * 80) * PX)  # as asked, not yet seen
    assert (core.sl_first_px, core.bars_held, core.commission_minor) == (core.sl_px, 3, -2_500)
    ledger.tell(protected)
    holding = ledger.book.holding
    assert holding is not None
    assert (holding.is_protected, ledger.book.is_settled) == (True, True)
    assert levels(ledger) == (4_000 - side * 50, 4_000 + side * 80)
    assert (holding.reason, holding.risk_minor) == (Reason.ENTRY_LONG, 1_234.5)


def test_an_acceptance_without_its_position_is_taken_too() -> None:
    ledger = Ledger()
    intent = ledger.asked_entry()
    accepted, *rest = ledger.account.enter(intent, strike(START_MS, 4_000)).events
    ledger.tell(replace(accepted, position=None), *rest)
    assert ledger.book.is_settled
    assert levels(ledger) == (3_950, 4_080)


def test_the_wanted_levels_hang_on_the_real_fill() -> None:
    ledger = Ledger()
    _, filled, _ = ledger.account.enter(ledger.asked_entry(), strike(START_MS, 4_003.5)).events
    ledger.tell(filled)
    holding = ledger.book.holding
    assert holding is not None
    assert (holding.sl_wanted_px, holding.tp_wanted_px) == (395_350_000, 408_350_000)


def test_an_entry_filled_in_slices_is_awaited_until_its_volume_is_full() -> None:
    ledger = Ledger()
    intent = ledger.asked_entry()
    accepted, filled, protected = ledger.account.enter(intent, strike(START_MS, 4_000)).events
    order, position, fill = filled.order, filled.position, filled.fill
    assert order is not None
    assert position is not None
    assert fill is not None
    first = replace(
        filled,  # some servers call a slice FILLED: the volumes decide
        order=replace(order, executed_cu=1_000),
        position=replace(position, volume_cu=1_000),
        fill=replace(fill, deal_id=90, volume_cu=1_000),
    )
    ledger.tell(accepted, first)
    assert ledger.book.in_flight == (intent,)
    ledger.tell(replace(filled, fill=replace(fill, volume_cu=1_500)), protected)
    assert ledger.book.is_settled
    holding = ledger.book.holding
    assert holding is not None
    assert holding.position.volume_cu == 2_500


def test_an_entry_whose_rest_is_cancelled_is_settled_with_what_it_got() -> None:
    ledger = Ledger()
    accepted, filled, protected = ledger.account.enter(ledger.asked_entry(), strike(START_MS, 4_000)).events
    order, position, fill = filled.order, filled.position, filled.fill
    assert order is not None
    assert position is not None
    assert fill is not None
    got = replace(position, volume_cu=1_000)
    part = replace(order, executed_cu=1_000)
    slice_ = replace(filled, execution=Execution.PARTIAL_FILL, order=part, position=got, fill=fill)
    ledger.tell(accepted, slice_)
    assert not ledger.book.is_settled
    ledger.tell(replace(filled, execution=Execution.CANCELLED, order=part, position=got, fill=None))
    assert ledger.book.in_flight == ()
    assert protected.position is not None
    ledger.tell(replace(protected, position=replace(protected.position, volume_cu=1_000)))
    assert ledger.book.is_settled


# -- 6.4 the protective order fills


def money(side: int, exit_price: float) -> tuple[int, int]:
    """Return gross and net of one lot from 4000, by hand: 25 t, 25 MYR a side."""
    gross = round(side * (exit_price - 4_000) * 25 * 100)
    return gross, gross - 2 * 2_500


@BOTH
@pytest.mark.parametrize(
    ("distance", "reason"),
    [
        (-50, Reason.SL),
        (-50.5, Reason.SL),  # with slippage
        (-300, Reason.SL),  # a gap
        (80, Reason.TP),
        (120, Reason.TP),  # a gap, to our good
    ],
)
def test_a_protective_fill_tells_stop_from_target_by_price_and_closes_at_once(
    side: int, distance: float, reason: Reason
) -> None:
    ledger = Ledger()
    held, exit_price = ledger.entered(side), 4_000 + side * distance
    (event,) = ledger.booked(ledger.account.hit(held, strike(START_MS + 7, exit_price)))
    assert (event.request_id, event.server_made) == ("", True)
    gross, net = money(side, exit_price)
    assert ended(ledger) == Closed(
        Trade(
            entry_ms=START_MS,
            exit_ms=START_MS + 7,
            side=side,
            volume_cu=2_500,
            entry_px=4_000 * PX,
            exit_px=exit_price * PX,
            exit_reason=int(reason),
            pnl_minor=net,
            gross_minor=gross,
            swap_minor=0,
            commission_minor=-5_000,
            fee_minor=0,
            risk_minor=1_234.5,
            sl_px=(4_000 - side * 50) * PX,
            tp_px=(4_000 + side * 80) * PX,
        ),
        BALANCE + net,
    )
    assert ledger.book.balance_minor == ledger.account.balance_minor == BALANCE + net


@BOTH
def test_a_stop_that_was_moved_is_a_trail_and_the_trade_keeps_its_first_levels(side: int) -> None:
    ledger = Ledger()
    ledger.entered(side)
    ledger.amended(4_000 + side * 10, 4_000 + side * 90)
    ledger.booked(ledger.account.hit(ledger.held, strike(START_MS + 7, 4_000 + side * 10)))
    trade = ended(ledger).trade
    assert trade.exit_reason == Reason.TRAIL
    assert (trade.sl_px, trade.tp_px) == ((4_000 - side * 50) * PX, (4_000 + side * 80) * PX)


def test_a_stop_told_by_a_deal_alone_is_known_by_the_order_it_filled() -> None:
    for order, reason in (("guard", Reason.SL), ("other", Reason.MANUAL)):
        ledger = Ledger()
        held = ledger.entered()
        (event,) = ledger.account.hit(held, strike(START_MS + 7, 3_949.5)).events
        fill = event.fill
        assert fill is not None
        order_id = held.protection_id if order == "guard" else 99
        ledger.tell(replace(event, order=None, fill=replace(fill, order_id=order_id)))
        assert ended(ledger).trade.exit_reason == reason


# -- 6.5 close by request, by another client, in parts


@BOTH
def test_an_own_close_ends_the_trade_at_its_fill_with_the_reason_that_was_asked(side: int) -> None:
    ledger = Ledger()
    held = ledger.entered(side)
    asked = ledger.sent(IntentKind.CLOSE, -side, reason=int(Reason.TIME), position_id=held.position_id)
    accepted, filled, cancelled = ledger.account.close(
        held, 2_500, asked.client_order_id, strike(START_MS + 9, 3_990)
    ).events
    ledger.tell(accepted)
    assert ledger.book.in_flight == (asked,)
    assert ledger.book.holding is not None
    ledger.tell(filled)
    gross, net = money(side, 3_990)
    assert (ended(ledger).trade.exit_reason, ended(ledger).trade.pnl_minor) == (Reason.TIME, net)
    assert ended(ledger).trade.gross_minor == gross
    ledger.tell(cancelled)
    assert ended(ledger).balance_minor == BALANCE + net


def test_a_close_of_a_position_that_had_no_protection_is_complete_without_its_cancelling() -> None:
    ledger = Ledger()
    held = ledger.entered()
    asked = ledger.sent(IntentKind.CLOSE, -1, reason=int(Reason.SIGNAL), position_id=held.position_id)
    ledger.tell(*ledger.account.close(held, 2_500, asked.client_order_id, strike(START_MS + 9, 4_010)).events[:2])
    assert ended(ledger).trade.exit_reason == Reason.SIGNAL


def test_a_close_by_another_client_is_manual_whatever_its_price() -> None:
    for price in (3_900, 4_000, 4_200):
        ledger = Ledger()
        ledger.booked(ledger.account.close(ledger.entered(), 2_500, "theirs", strike(START_MS + 9, price)))
        assert ended(ledger).trade.exit_reason == Reason.MANUAL


@BOTH
def test_closes_in_parts_add_up_and_exit_at_their_mean_weighted_by_volume(side: int) -> None:
    ledger = Ledger(swap_long=-1, swap_short=-1)
    ledger.entered(side)
    ledger.booked(ledger.account.charge(ledger.held, -700, START_MS + 1))
    for volume_cu, price in ((500, 4_020), (1_500, 4_030)):
        ledger.booked(ledger.account.close(ledger.held, volume_cu, "theirs", strike(START_MS + 2, price)))
        assert ledger.closed == []
        holding = ledger.book.holding
        assert holding is not None
        assert levels(ledger) == (4_000 - side * 50, 4_000 + side * 80)
        assert holding.position.volume_cu == ledger.held.volume_cu
        assert ledger.book.balance_minor == ledger.account.balance_minor
    ledger.booked(ledger.account.hit(ledger.held, strike(START_MS + 3, 4_000 - side * 50)))
    trade = ended(ledger).trade
    assert trade.exit_px == (500 * 4_020 + 1_500 * 4_030 + 500 * (4_000 - side * 50)) / 2_500 * PX
    parts = [(500, 4_020), (1_500, 4_030), (500, 4_000 - side * 50)]
    assert trade.gross_minor == sum(side * (price - 4_000) * volume for volume, price in parts)
    assert (trade.volume_cu, trade.swap_minor, trade.commission_minor) == (2_500, -700, -5_000)
    assert trade.pnl_minor == ledger.account.balance_minor - BALANCE
    assert (trade.exit_reason, trade.exit_ms) == (Reason.SL, START_MS + 3)


def test_a_closing_deal_without_its_position_counts_by_its_volume() -> None:
    ledger = Ledger()
    held = ledger.entered()

    def bare(volume_cu: int, price: float) -> OrderEvent:
        event = ledger.account.close(ledger.held, volume_cu, "theirs", strike(START_MS + 2, price)).events[1]
        assert isinstance(event.fill, Fill)
        return replace(event, position=None)

    ledger.tell(bare(1_000, 4_010))
    assert ledger.closed == []
    ledger.tell(bare(1_500, 4_020))
    assert ended(ledger).trade.volume_cu == held.volume_cu


# -- 6.6 amend


def test_an_amend_moves_both_levels_and_is_done() -> None:
    ledger = Ledger()
    ledger.entered()
    ledger.amended(3_980, 4_085)
    assert levels(ledger) == (3_980, 4_085)
    assert ledger.book.is_settled
    holding = ledger.book.holding
    assert holding is not None
    assert holding.sl_first_px == 3_950 * PX


def test_a_stop_that_somebody_took_away_is_missed_and_wanted_where_it_was_last() -> None:
    ledger = Ledger()
    ledger.entered()
    (event,) = ledger.amended(3_980, 4_080)
    assert event.order is not None
    assert event.position is not None
    bare = replace(event.position, sl_px=None)
    ledger.tell(replace(event, order=replace(event.order, sl_px=None), position=bare, request_id="theirs"))
    assert levels(ledger) == (0, 4_080)
    assert not ledger.book.is_settled
    holding = ledger.book.holding
    assert holding is not None
    assert (holding.sl_wanted_px, holding.tp_wanted_px) == (3_980 * PX, 4_080 * PX)  # never looser than last seen
    assert holding.core(0).sl_px == 3_980 * PX
    new = replace(event, execution=Execution.ACCEPTED, request_id="")  # the first level on a bare position
    ledger.tell(new)
    assert levels(ledger) == (3_980, 4_080)
    assert ledger.book.is_settled


def test_a_swap_accrues_in_what_is_held() -> None:
    ledger = Ledger()
    ledger.entered()
    ledger.booked(ledger.account.charge(ledger.held, -42, START_MS + 1))
    holding = ledger.book.holding
    assert holding is not None
    assert holding.core(0).swap_minor == -42
    assert levels(ledger) == (3_950, 4_080)


# -- 6.9 refusals


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("NOT_ENOUGH_MONEY", Reason.NOT_ENOUGH_MONEY),
        ("MARKET_CLOSED", Reason.MARKET_CLOSED),
        ("TRADING_BAD_VOLUME", Reason.BROKER_REJECTED),
        ("", Reason.BROKER_REJECTED),
    ],
)
def test_an_order_error_refuses_its_request_and_says_why(code: str, reason: Reason) -> None:
    ledger = Ledger()
    asked = ledger.asked_entry()
    event = OrderEvent(Execution.ERROR, START_MS, error_code=code, request_id=asked.client_order_id)
    assert ledger.book.refusal(event) == (asked, reason)
    ledger.tell(event)
    assert (ledger.book.is_settled, ledger.book.holding) == (True, None)
    assert ledger.book.refusal(event) is None  # told again


def test_a_rejection_may_follow_the_acceptance() -> None:
    ledger = Ledger()
    asked = ledger.asked_entry()
    accepted, rejected = ledger.account.reject(asked, START_MS, "NO_LIQUIDITY").events
    ledger.tell(accepted)
    assert ledger.book.refusal(accepted) is None
    assert ledger.book.refusal(rejected) == (asked, Reason.BROKER_REJECTED)
    ledger.tell(rejected)
    assert (ledger.book.is_settled, ledger.book.holding) == (True, None)


def test_an_order_that_found_nobody_is_refused_by_its_cancelling() -> None:
    ledger = Ledger()
    asked = ledger.asked_entry()
    accepted, _ = ledger.account.reject(asked, START_MS, "").events
    cancelled = replace(accepted, execution=Execution.CANCELLED)
    ledger.tell(accepted)
    assert ledger.book.refusal(cancelled) == (asked, Reason.BROKER_REJECTED)
    ledger.tell(cancelled)
    assert ledger.book.is_settled


def test_what_was_refused_to_somebody_else_is_nothing() -> None:
    ledger = Ledger()
    asked = ledger.asked_entry()
    event = OrderEvent(Execution.ERROR, START_MS, error_code="MARKET_CLOSED", request_id="theirs")
    assert ledger.book.refusal(event) is None
    ledger.tell(event)
    assert ledger.book.in_flight == (asked,)


def test_a_request_that_ended_is_not_moved_by_what_comes_late() -> None:
    ledger = Ledger()
    asked = ledger.asked_entry()
    ledger.tell(OrderEvent(Execution.ERROR, START_MS, error_code="MARKET_CLOSED", request_id=asked.client_order_id))
    accepted, _ = ledger.account.reject(asked, START_MS, "").events
    ledger.tell(accepted)
    assert ledger.book.is_settled
    with pytest.raises(InvariantError):
        ledger.book.happened(asked.client_order_id, Happening.ACCEPT)
