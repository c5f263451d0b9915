"""The account: the sheet's recordings to the cent, and every sequence event for event."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, SYMBOL, amend, enter, facts, spec, tick
from tests.unit.exchange.single import ACCOUNT_ID, Booking, Deal, Single, Strike

from palmbot.core.types import CommissionKind, Instrument
from palmbot.errors import InvariantError
from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.changes import Counters, Kept
from palmbot.exchange.held import Held, Levels
from palmbot.exchange.opening import plain_account
from palmbot.exchange.values import AmendPosition, CancelOrder, Refused
from palmbot.instruments import PALM_OIL
from palmbot.model import AccountSnapshot, BrokerOrder, BrokerPosition, Close, Execution, Fill, OrderEvent, OrderKind
from palmbot.units import MINUTE_MS, PX, RATE_ONE_E8

LATER = OPEN + MINUTE_MS
ENTRY = 4_000 * PX
EURUSD = Instrument(
    step_px=1,
    lot_cu=10_000_000,
    volume_step_cu=100_000,
    volume_min_cu=100_000,
    volume_max_cu=10_000_000_000,
    leverage=100,
    slippage=0,
    commission_kind=int(CommissionKind.PER_LOT_DEPOSIT),
    commission_rate=250_000_000,
)
CRYPTO = Instrument(
    step_px=1_000,
    lot_cu=100,
    volume_step_cu=1,
    volume_min_cu=1,
    slippage=62_000,
    commission_kind=int(CommissionKind.PERCENT_OF_VALUE),
    commission_rate=3_250,
)


def strike(price_px: int = ENTRY, ts_ms: int = OPEN, rate_e8: int = RATE_ONE_E8) -> Strike:
    return Strike(ts_ms, price_px, rate_e8, 2 * PX, PX // 2)


def opened(account: Single, side: int = 1, rate_e8: int = RATE_ONE_E8) -> Held:
    account.enter(enter(side), strike(rate_e8=rate_e8))
    return account.positions[account.counters.position]


def market_order(**changed: object) -> BrokerOrder:
    closing, sl_px, tp_px = False, None, None
    order = BrokerOrder(1, "in", OrderKind.MARKET, SYMBOL, 1, 2_500, 0, 1, closing, sl_px, tp_px, OPEN)
    return replace(order, **changed)  # type: ignore[arg-type]  # any field of the order


def protection(**changed: object) -> BrokerOrder:
    closing, sl_px, tp_px = True, 3_950 * PX, 4_080 * PX
    order = BrokerOrder(2, "server-2", OrderKind.PROTECTION, SYMBOL, -1, 2_500, 0, 1, closing, sl_px, tp_px, OPEN)
    return replace(order, **changed)  # type: ignore[arg-type]  # any field of the order


def position(**changed: object) -> BrokerPosition:
    held = BrokerPosition(
        1, SYMBOL, 1, 2_500, ENTRY, 3_950 * PX, 4_080 * PX, 0, -2_500, 500_000, "in", OPEN
    )  # 25 units at 4,000 with leverage 20
    return replace(held, **changed)  # type: ignore[arg-type]  # any field of the position


NO_POSITION = position(
    volume_cu=0, entry_px=0, sl_px=None, tp_px=None, swap_minor=0, commission_minor=0, used_margin_minor=0
)


@pytest.mark.parametrize(
    ("core", "volume_cu", "entry_px", "exit_px", "money"),
    [
        # volume, prices; gross, commission of the opening and closing deal, of both, balance change
        pytest.param(EURUSD, 10_000_000, 111_966, 111_969, (300, -250, -250, -500, -200), id="EURUSD 1 lot"),
        pytest.param(EURUSD, 100_000, 112_569, 112_568, (-1, -3, -3, -6, -7), id="EURUSD 1000 units"),
        pytest.param(CRYPTO, 99, 8_528_721_000, 8_520_558_000, (-8_081, -2_744, -2_741, -5_485, -13_566), id="crypto"),
    ],
)
def test_the_recorded_trades_come_out_to_the_cent(
    core: Instrument, volume_cu: int, entry_px: int, exit_px: int, money: tuple[int, ...]
) -> None:
    account = Single(replace(PALM_OIL, core=core), BALANCE)
    opening = account.enter(enter(volume_cu=volume_cu), strike(entry_px)).deals[0].fill
    closing = account.hit(account.positions[1], strike(exit_px)).deals[0].fill
    close = closing.close
    assert close is not None
    paid = (close.gross_minor, opening.commission_minor, closing.commission_minor, close.commission_minor)
    assert (*paid, account.balance_minor - BALANCE) == money
    assert close.balance_minor == account.balance_minor


def test_the_recorded_margin_comes_out_to_the_cent() -> None:
    account = Single(replace(PALM_OIL, core=EURUSD), BALANCE)
    account.enter(enter(volume_cu=100_000), strike(111_984))
    assert account.used_margin_minor == 1_120
    assert account.snapshot().positions[0].commission_minor == -3


def test_a_market_order_is_accepted_filled_bare_and_then_protected() -> None:
    account = Single(spec(), BALANCE)
    fill = Fill(1, 1, 1, 1, 2_500, ENTRY, OPEN, -2_500, None)
    bare = position(sl_px=None, tp_px=None)
    assert account.enter(enter(), strike()) == Booking(
        (
            OrderEvent(Execution.ACCEPTED, OPEN, market_order(), NO_POSITION, request_id="in"),
            OrderEvent(Execution.FILLED, OPEN, market_order(executed_cu=2_500), bare, fill, request_id="in"),
            OrderEvent(Execution.ACCEPTED, OPEN, protection(), position(), server_made=True),
        ),
        (Deal(fill),),
    )
    assert account.balance_minor == BALANCE  # an opening books nothing


def test_a_short_is_protected_the_other_way_round() -> None:
    account = Single(spec(), BALANCE)
    order = account.enter(enter(-1), strike()).events[2].order
    assert facts(order, "side", "sl_px", "tp_px") == (1, 4_050 * PX, 3_920 * PX)


def test_a_stop_hit_is_one_event_of_the_server_with_both_levels_still_on_the_order() -> None:
    account = Single(spec(), BALANCE)
    held = opened(account)
    # 25 units lose 50.5 points: 1,262.50 MYR, and 25 MYR a side
    close = Close(ENTRY, -126_250, 0, -5_000, 0, 2_500, BALANCE - 131_250, RATE_ONE_E8)
    fill = Fill(2, 2, 1, -1, 2_500, ENTRY - 50 * PX - PX // 2, LATER, -2_500, close)
    order = protection(executed_cu=2_500, updated_ms=LATER)
    booked = account.hit(held, Strike(LATER, fill.price_px, RATE_ONE_E8, 3 * PX, PX // 2))
    assert booked.events == (OrderEvent(Execution.FILLED, LATER, order, NO_POSITION, fill, server_made=True),)
    assert account.snapshot() == AccountSnapshot(1, BALANCE - 131_250, 2, 20, hedged=True, balance_version=1)


def test_a_close_by_request_shows_the_level_until_the_protective_order_is_cancelled() -> None:
    account = Single(spec(), BALANCE)
    held = opened(account)
    booked = account.close(held, 2_500, "out", strike(4_010 * PX, LATER))
    order = market_order(order_id=3, client_order_id="out", side=-1, closing=True, updated_ms=LATER)
    close = Close(ENTRY, 25_000, 0, -5_000, 0, 2_500, BALANCE + 20_000, RATE_ONE_E8)
    fill = Fill(2, 3, 1, -1, 2_500, 4_010 * PX, LATER, -2_500, close)
    shown = replace(NO_POSITION, sl_px=3_950 * PX, tp_px=4_080 * PX)
    cancelled = protection(updated_ms=LATER)
    assert booked.events == (
        OrderEvent(Execution.ACCEPTED, LATER, order, position(), request_id="out"),
        OrderEvent(Execution.FILLED, LATER, replace(order, executed_cu=2_500), shown, fill, request_id="out"),
        OrderEvent(Execution.CANCELLED, LATER, cancelled, NO_POSITION, server_made=True),
    )


def test_a_partial_close_replaces_the_protective_order_by_a_smaller_one() -> None:
    account = Single(spec(), BALANCE)
    account.charge(opened(account), -1_001, OPEN)
    booked = account.close(account.positions[1], 1_000, "out", strike(4_010 * PX, LATER))
    order = market_order(order_id=3, client_order_id="out", side=-1, volume_cu=1_000, closing=True, updated_ms=LATER)
    # two fifths: swap -400.4, opening commission -1,000, and -1,000 for the closing side
    close = Close(ENTRY, 10_000, -400, -2_000, 0, 1_000, BALANCE + 7_600, RATE_ONE_E8)
    fill = Fill(2, 3, 1, -1, 1_000, 4_010 * PX, LATER, -1_000, close)
    rest = position(volume_cu=1_500, swap_minor=-601, commission_minor=-1_500, used_margin_minor=300_000)
    smaller = protection(volume_cu=1_500, updated_ms=LATER)
    assert booked.events == (
        OrderEvent(Execution.ACCEPTED, LATER, order, position(swap_minor=-1_001), request_id="out"),
        OrderEvent(Execution.FILLED, LATER, replace(order, executed_cu=1_000), rest, fill, request_id="out"),
        OrderEvent(Execution.REPLACED, LATER, smaller, rest, server_made=True),
    )


@pytest.mark.parametrize("parts", [(2_500,), (1_000, 1_500), (25, 775, 1_700)])
def test_however_a_position_is_closed_in_parts_all_opening_charges_are_booked_once(parts: tuple[int, ...]) -> None:
    account = Single(spec(commission_rate=0, commission_min_minor=0, swap_long=0), BALANCE)
    held = opened(account)
    account.venue._floor.hold(replace(held, commission_minor=-1_003, swap_minor=777))
    closes = [account.close(account.positions[1], part, "out", strike()).deals[0].fill.close for part in parts]
    assert sum(close.swap_minor for close in closes if close is not None) == 777
    assert sum(close.commission_minor for close in closes if close is not None) == -1_003
    assert (account.balance_minor, account.used_margin_minor) == (BALANCE - 1_003 + 777, 0)


def test_more_than_the_position_cannot_be_booked() -> None:
    account = Single(spec(), BALANCE)
    held = opened(account)
    with pytest.raises(InvariantError, match="CLOSED_TOO_MUCH"):
        account.close(held, 2_525, "out", strike())


def test_an_amend_is_one_event_with_both_new_levels() -> None:
    account = Single(spec(), BALANCE)
    booked = account.amend(opened(account), amend(1, 3_960, 4_090), LATER)
    levels = {"sl_px": 3_960 * PX, "tp_px": 4_090 * PX}
    order, moved = protection(updated_ms=LATER, **levels), position(**levels)
    assert booked.events == (OrderEvent(Execution.REPLACED, LATER, order, moved, request_id="move"),)
    assert account.snapshot().orders == (order,)


def test_a_swap_accrues_in_the_position_and_a_charge_of_nothing_is_not_told() -> None:
    account = Single(spec(), BALANCE)
    held = opened(account)
    assert account.charge(held, 0, LATER) == Booking()
    account.charge(held, -30, LATER)
    booked = account.charge(account.positions[1], -12, LATER + 1)
    assert booked.events == (
        OrderEvent(Execution.SWAP, LATER + 1, position=position(swap_minor=-42), server_made=True),
    )
    account.hit(account.positions[1], strike())
    assert account.balance_minor == BALANCE - 5_000 - 42


def test_a_rejection_may_follow_an_acceptance_and_opens_nothing() -> None:
    account = Single(spec(), BALANCE)
    first, second = account.reject(enter(), OPEN, "TRADING_DISABLED").events
    assert first == OrderEvent(Execution.ACCEPTED, OPEN, market_order(), NO_POSITION, request_id="in")
    rejected = Execution.REJECTED
    told = {"error_code": "TRADING_DISABLED", "request_id": "in"}
    assert second == OrderEvent(rejected, OPEN, market_order(), NO_POSITION, **told)  # type: ignore[arg-type]  # text fields
    assert account.positions == {}
    assert opened(account).position_id == 2  # the rejected order took its ids


def test_money_is_converted_at_the_rate_of_its_own_deal_and_the_fee_is_charged_on_it() -> None:
    account = Single(spec(conversion_fee_bp=100), BALANCE)
    held = opened(account, rate_e8=25_000_000)
    booked = account.hit(held, strike(4_100 * PX, LATER, 20_000_000))
    close = booked.deals[0].fill.close
    # 2,500 MYR gained are 500 at 0.2; the opening side is 25 MYR at 0.25, the closing side at 0.2
    assert close == Close(ENTRY, 50_000, 0, -625 - 500, -500, 2_500, BALANCE + 50_000 - 1_125 - 500, 20_000_000)


@pytest.mark.parametrize(("side", "spread_minor"), [(1, -5_000), (-1, -7_500)])
def test_the_spread_is_paid_entering_long_or_leaving_short_and_slippage_on_both_sides(
    side: int, spread_minor: int
) -> None:
    account = Single(spec(), BALANCE)
    held = opened(account, side)
    deal = account.hit(held, Strike(LATER, ENTRY, RATE_ONE_E8, 3 * PX, PX // 4)).deals[0]
    assert (deal.spread_minor, deal.slippage_minor) == (spread_minor, -1_875)


def test_equity_is_the_balance_with_what_every_position_would_bring_at_the_mark() -> None:
    account = Single(spec(), BALANCE)
    opened(account)
    opened(account, -1)
    account.charge(account.positions[1], -40, LATER)
    # long marked at 4,010, short at 4,012: +25,000 and -30,000, opening commissions and the swap
    account.tick(tick(LATER, 4_010))
    assert account.venue.equity_minor(ACCOUNT_ID) == BALANCE + 25_000 - 30_000 - 5_000 - 40
    assert account.used_margin_minor == 1_000_000


def test_the_side_of_an_account_is_that_of_its_net_volume() -> None:
    account = Single(spec(), BALANCE)
    assert account.side == 0
    opened(account, -1)
    assert account.side == -1
    opened(account, 1)
    assert account.side == 0
    opened(account, 1)
    assert account.side == 1


def test_an_account_goes_on_from_what_was_held_and_from_the_ids_that_were_given() -> None:
    catalogue = catalogue_of(spec())
    levels = Levels(1, ENTRY * 2)
    held = Held(7, ACCOUNT_ID, TRADED_ID, 1, 25, 25 * ENTRY, OPEN, OPEN, "old", levels=levels, protection_id=30)
    kept = Kept((plain_account(ACCOUNT_ID, catalogue, BALANCE),), (held,), counters=Counters(31, 7, 12))
    account = Single(spec(), BALANCE, kept=kept)
    assert account.snapshot().orders[0].order_id == 30
    opening, protected = account.enter(enter(), strike()).events[1:]
    assert facts(opening.fill, "deal_id", "order_id", "position_id") == (13, 32, 8)
    assert facts(protected.order, "order_id", "position_id") == (33, 8)
    account.close(account.positions[7], 25, "x", strike(ts_ms=LATER))
    assert account.counters == Counters(34, 8, 14)


def test_only_a_plain_refusal_changes_nothing() -> None:
    account = Single(spec(), BALANCE)
    assert isinstance(account.venue.request(ACCOUNT_ID, CancelOrder(9)), Refused)
    assert account.venue.changes.is_empty
    account.enter(enter(), strike())
    account.venue.request(ACCOUNT_ID, AmendPosition(1, 3_960 * PX))
    assert not account.venue.changes.is_empty
