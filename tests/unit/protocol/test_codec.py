"""Wire to house and back: presence, prices without float noise, money in the account's digits, requests."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scripted_peer import ACCOUNT, PAIR, SYMBOL, deal, entry, execution, order, position

from palmbot.errors import DataError, InvariantError
from palmbot.model import (
    BrokerPosition,
    CashEvent,
    Close,
    Execution,
    Fill,
    IntentKind,
    OrderEvent,
    OrderIntent,
    OrderKind,
)
from palmbot.protocol.codec import (
    LATEST_MS,
    Terms,
    bars_of,
    event_of,
    fill_of,
    fills_of,
    order_of,
    position_of,
    price_of_level,
    px_of_price,
    request_of,
    snapshot_of,
)
from palmbot.protocol.messages import pb
from palmbot.units import PX, step_px

TERMS = Terms(ACCOUNT, 2, SYMBOL, "PALMOIL", 3, {SYMBOL: "PALMOIL", PAIR: "USDMYR"})
NOW_MS = 9_999


def intent(kind: IntentKind, **fields: Any) -> OrderIntent:
    given = {"side": 1, "volume_cu": 2_500, "sl_px": 6_050_000, "tp_px": 8_000_000, "position_id": 501} | fields
    return OrderIntent(kind, "ab12.rs.PALMOI.h8k2z.E1.3", "PALMOIL", reason=50, ts_ms=1, **given)


def order_event(message: pb.ExecutionEvent, request_id: str = "") -> OrderEvent:
    event = event_of(message, TERMS, NOW_MS, request_id)
    assert isinstance(event, OrderEvent)
    return event


# -- prices


@given(st.integers(1, 10**9), st.integers(0, 5))
def test_a_price_on_the_grid_comes_back_exactly_through_a_double(steps: int, digits: int) -> None:
    price_px = steps * step_px(digits)
    level = price_of_level(price_px, digits)
    assert px_of_price(level, step_px(digits)) == price_px
    assert Decimal(repr(level)) == Decimal(price_px).scaleb(-5)
    exponent = Decimal(repr(level)).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    assert -exponent <= digits


@pytest.mark.parametrize(
    ("price", "digits", "price_px"),
    [
        (131.07400024414062, 3, 13_107_400),  # a 32-bit float's idea of 131.074
        (4000.123046875, 3, 400_012_300),
        (4000.123046875, 5, 400_012_305),  # as far as 32 bits go it may well be that
        (4000.1234, 3, 400_012_340),  # a mean of several prices lies between steps
        (4000.12345, 3, 400_012_345),
        (0.0, 3, 0),
        (157.123, 3, 15_712_300),
        (1.119665, 5, 111_966),  # halves to even, as the double says: 1.119665 is a little less
    ],
)
def test_float_noise_is_taken_off_and_nothing_else(price: float, digits: int, price_px: int) -> None:
    assert px_of_price(price, step_px(digits)) == price_px


@pytest.mark.parametrize("price", [nan, inf, -inf, 1e303, -1e10])
def test_what_cannot_be_a_price_is_refused(price: float) -> None:
    with pytest.raises(DataError, match="PRICE_ABSURD"):
        px_of_price(price)


@pytest.mark.parametrize("time_ms", [-1, LATEST_MS + 1, 2**63 - 1])
def test_a_time_that_cannot_be_is_refused_before_the_market_clock_follows_it(time_ms: int) -> None:
    filled = execution(pb.ORDER_FILLED, deal=deal(9, 4_000.0, ts_ms=time_ms))
    swapped = execution(pb.SWAP, position=position(utcLastUpdateTimestamp=time_ms))
    for message in (filled, swapped) if time_ms > 0 else (filled,):  # what is not told is none
        with pytest.raises(DataError, match="TIME_ABSURD"):
            event_of(message, TERMS, NOW_MS)
    cash = pb.DepositWithdraw(balance=1, delta=1, changeBalanceTimestamp=time_ms)
    with pytest.raises(DataError, match="TIME_ABSURD"):
        event_of(execution(pb.DEPOSIT_WITHDRAW, depositWithdraw=cash), TERMS, NOW_MS)


def test_money_in_absurd_fractions_is_refused_before_anything_is_computed() -> None:
    message = position(swap=1)
    message.moneyDigits = 4_000_000_000
    with pytest.raises(DataError, match="MONEY_ABSURD"):
        position_of(message, TERMS)


def test_a_level_off_the_symbols_grid_is_refused() -> None:
    with pytest.raises(InvariantError, match="PRICE_OFF_GRID"):
        price_of_level(400_012_350, 3)


# -- requests


def test_an_entry_has_distances_and_no_levels() -> None:
    request = request_of(intent(IntentKind.ENTER, side=-1), TERMS)
    assert isinstance(request, pb.NewOrderReq)
    assert (request.tradeSide, request.relativeStopLoss, request.relativeTakeProfit) == (pb.SELL, 6_050_000, 8_000_000)
    assert (request.label, request.clientOrderId) == ("ab12.rs.PALMOI.h8k2z.E1.3",) * 2
    assert not any(map(request.HasField, ("stopLoss", "takeProfit", "timeInForce", "comment", "positionId")))


def test_an_amend_has_both_levels_and_leaves_out_a_target_that_there_is_not() -> None:
    request = request_of(intent(IntentKind.AMEND, sl_px=395_012_300, tp_px=409_050_000), TERMS)
    assert isinstance(request, pb.AmendPositionSLTPReq)
    assert (request.stopLoss, request.takeProfit) == (3950.123, 4090.5)
    bare = request_of(intent(IntentKind.AMEND, sl_px=395_012_300, tp_px=0), TERMS)
    assert not bare.HasField("takeProfit")
    assert not bare.HasField("trailingStopLoss")


@pytest.mark.parametrize("kind", [IntentKind.ENTER, IntentKind.AMEND])
def test_no_request_leaves_a_position_without_a_stop(kind: IntentKind) -> None:
    with pytest.raises(InvariantError, match="ORDER_WITHOUT_STOP"):
        request_of(intent(kind, sl_px=0), TERMS)


def test_a_close_needs_no_stop() -> None:
    request = request_of(intent(IntentKind.CLOSE, sl_px=0, tp_px=0), TERMS)
    assert request == pb.ClosePositionReq(ctidTraderAccountId=ACCOUNT, positionId=501, volume=2_500)


# -- positions, orders, deals


def test_a_position_is_read_field_by_field() -> None:
    message = position(
        label="x", price=4_000.12345, commission=-250, usedMargin=500_000, stopLoss=3_940.0, takeProfit=4_080.5
    )
    message.swap = -12
    assert position_of(message, TERMS) == BrokerPosition(
        501, "PALMOIL", 1, 2_500, 400_012_345, 394_000_000, 408_050_000, -12, -250, 500_000, "x", 1_000
    )


def test_absent_levels_are_none_and_a_level_of_zero_is_zero() -> None:
    assert position_of(position(), TERMS).sl_px is None
    assert position_of(position(stopLoss=0.0), TERMS).sl_px == 0


def test_money_comes_in_the_digits_of_its_message_and_goes_in_those_of_the_account() -> None:
    def swap(amount: int, digits: int | None) -> int:
        message = position()
        message.swap = amount
        message.ClearField("moneyDigits")
        if digits is not None:
            message.moneyDigits = digits
        return position_of(message, TERMS).swap_minor

    told = {None: -1_250, 2: -1_250, 0: -125_000, 1: -12_500, 3: -125, 4: -13, 8: 0}
    assert {digits: swap(-1_250, digits) for digits in told} == told
    assert swap(1_249, 4) == 12
    assert swap(1_250, 4) == 13


def test_the_servers_own_order_has_its_levels_where_others_have_their_prices() -> None:
    guard = order(902, pb.STOP_LOSS_TAKE_PROFIT, closingOrder=True, stopPrice=3_940.0, limitPrice=4_080.5)
    read = order_of(guard, TERMS)
    assert (read.order_id, read.kind, read.closing, read.position_id) == (902, OrderKind.PROTECTION, True, 501)
    assert (read.sl_px, read.tp_px, read.executed_cu, read.updated_ms) == (394_000_000, 408_050_000, 0, 2_902)
    limit = order(903, pb.LIMIT, limitPrice=3_900.0, stopLoss=3_800.0)
    assert (order_of(limit, TERMS).sl_px, order_of(limit, TERMS).tp_px) == (380_000_000, None)


def test_sides_and_kinds_that_nobody_knows_are_read_as_harmless_ones() -> None:
    message = order(904, pb.MARKET)
    message.ClearField("orderType")
    message.tradeData.ClearField("tradeSide")
    read = order_of(message, TERMS)
    assert (read.kind, read.side) == (OrderKind.LIMIT, 0)


def test_a_symbol_that_is_not_listed_is_called_by_its_number() -> None:
    message = position()
    message.tradeData.symbolId = 77
    assert position_of(message, TERMS).symbol == "77"


@pytest.mark.parametrize(
    ("status", "filled_cu", "moved"),
    [
        (pb.FILLED, 2_500, True),
        (pb.PARTIALLY_FILLED, 1_000, True),
        (pb.FILLED, 0, False),
        (pb.REJECTED, 2_500, False),
        (pb.MISSED, 2_500, False),
        (None, 2_500, False),
    ],
)
def test_only_deals_that_moved_volume_are_fills(status: pb.DealStatus | None, filled_cu: int, moved: bool) -> None:
    message = deal(1, 4_000.0)
    message.filledVolume = filled_cu
    message.ClearField("dealStatus")
    if status is not None:
        message.dealStatus = status
    assert [fill.volume_cu for fill in fills_of([message], TERMS)] == [filled_cu] * moved
    assert (order_event(execution(pb.ORDER_FILLED, deal=message)).fill is not None) is moved


def test_a_closing_deal_has_its_money() -> None:
    detail = pb.ClosePositionDetail(
        entryPrice=4_000.00005, grossProfit=23_750, swap=-12, commission=-500, balance=10_023_238, moneyDigits=2,
        quoteToDepositConversionRate=0.21276596, closedVolume=2_000, pnlConversionFee=-3,
    )  # fmt: skip
    message = deal(702, 4_010.0, closePositionDetail=detail)
    close = Close(400_000_005, 23_750, -12, -500, -3, 2_000, 10_023_238, 21_276_596)
    assert fill_of(message, TERMS) == Fill(702, 901, 501, 1, 2_500, 401_000_000, 2_100, -250, close)
    message.closePositionDetail.ClearField("closedVolume")
    message.closePositionDetail.ClearField("quoteToDepositConversionRate")
    bare = fill_of(message, TERMS).close
    assert bare is not None
    assert (bare.closed_cu, bare.rate_e8) == (2_500, 100_000_000)
    message.closePositionDetail.quoteToDepositConversionRate = inf
    unknown = fill_of(message, TERMS).close
    assert unknown is not None
    assert unknown.rate_e8 == 0


@given(st.integers(1, 10**15))
def test_a_rate_comes_back_exactly_through_a_double(rate_e8: int) -> None:
    message = deal(1, 1.0)
    message.closePositionDetail.quoteToDepositConversionRate = rate_e8 / 100_000_000
    close = fill_of(message, TERMS).close
    assert close is not None
    assert close.rate_e8 == rate_e8


def test_a_snapshot_has_the_account_its_positions_and_orders() -> None:
    trader = pb.Trader(ctidTraderAccountId=ACCOUNT, balance=1_234, depositAssetId=1, leverageInCents=2_000)
    state = pb.ReconcileRes(
        ctidTraderAccountId=ACCOUNT, position=[position()], order=[order(902, pb.STOP_LOSS_TAKE_PROFIT)]
    )
    snapshot = snapshot_of(trader, state, TERMS)
    assert (snapshot.balance_minor, snapshot.leverage, snapshot.hedged) == (1_234, 20, True)
    assert [each.position_id for each in snapshot.positions] == [501]
    assert [each.order_id for each in snapshot.orders] == [902]
    trader.accountType = pb.NETTED
    assert not snapshot_of(trader, state, TERMS).hedged


# -- events


def test_every_kind_of_execution_is_told_as_itself() -> None:
    for kind in (each for each in Execution if each.value not in {0, 10}):
        message = execution(pb.ORDER_ACCEPTED, order=order(1, pb.LIMIT))
        message.MergeFrom(pb.ExecutionEvent.FromString(bytes([0x18, kind])))
        assert order_event(message).execution is kind


def test_the_time_of_an_event_is_its_deals_else_its_orders_else_its_positions_else_now() -> None:
    bare = position()
    dated = position(utcLastUpdateTimestamp=3_000)
    messages = [
        execution(pb.ORDER_FILLED, order=order(1, pb.MARKET), deal=deal(1, 1.0), position=dated),
        execution(pb.ORDER_ACCEPTED, order=order(1, pb.MARKET), position=dated),
        execution(pb.SWAP, position=dated),
        execution(pb.SWAP, position=bare),
    ]
    assert [order_event(message).ts_ms for message in messages] == [2_100, 2_001, 3_000, NOW_MS]


def test_an_amend_that_gave_the_first_stop_or_took_the_last_is_told_as_one() -> None:
    guard = order(902, pb.STOP_LOSS_TAKE_PROFIT, clientOrderId="made by the server")
    for kind in (pb.ORDER_ACCEPTED, pb.ORDER_CANCELLED, pb.ORDER_REPLACED):
        event = order_event(execution(kind, order=guard, position=position()), "amend")
        assert (event.execution, event.request_id) == (Execution.REPLACED, "amend")
    unasked = order_event(execution(pb.ORDER_ACCEPTED, order=guard, server_made=True))
    assert (unasked.execution, unasked.request_id) == (Execution.ACCEPTED, "")


def test_an_order_names_its_request_unless_the_server_made_it() -> None:
    accepted, filled, guarded = entry("mine")
    guarded.order.clientOrderId = "made by the server"
    assert [order_event(each).request_id for each in (accepted, filled, guarded)] == ["mine", "mine", ""]
    assert order_event(accepted, "as asked").request_id == "as asked"
    stopped_out = execution(pb.ORDER_FILLED, order=order(9, pb.MARKET, clientOrderId="server"), server_made=True)
    assert order_event(stopped_out).request_id == ""


@pytest.mark.parametrize(
    ("kind", "delta", "told"),
    [
        (pb.BALANCE_DEPOSIT, 1_000, 1_000),
        (pb.BALANCE_WITHDRAW, 1_000, -1_000),
        (pb.BALANCE_WITHDRAW, -1_000, -1_000),
        (pb.BALANCE_WITHDRAW_GSL_CHARGE, 5, -5),
        (pb.BALANCE_DEPOSIT_SWAP, -7, -7),
        (None, -3, -3),
    ],
)
def test_a_withdrawal_is_negative_with_or_without_its_sign(
    kind: pb.ChangeBalanceType | None, delta: int, told: int
) -> None:
    operation = pb.DepositWithdraw(
        operationType=kind, balanceHistoryId=1, balance=500, delta=delta, changeBalanceTimestamp=77
    )
    event = event_of(execution(pb.DEPOSIT_WITHDRAW, depositWithdraw=operation), TERMS, NOW_MS)
    assert event == CashEvent(77, told, 500)


def test_what_changes_nothing_is_not_told() -> None:
    assert event_of(execution(pb.BONUS_DEPOSIT_WITHDRAW), TERMS, NOW_MS) is None
    assert event_of(execution(pb.DEPOSIT_WITHDRAW), TERMS, NOW_MS) is None


# -- bars


def test_bars_come_in_the_order_of_time_once_each_and_only_with_a_price() -> None:
    def bar(minute: int, low: int | None) -> pb.Trendbar:
        return pb.Trendbar(volume=1, low=low, deltaOpen=1, deltaHigh=5, deltaClose=3, utcTimestampInMinutes=minute)

    bars = bars_of([bar(3, 30), bar(1, 10), bar(2, None), bar(3, 31), bar(2**32 - 1, 40)])  # the last lies beyond time
    assert [(ts_ms, each.low_px) for ts_ms, each in bars.items()] == [(60_000, 10), (180_000, 31)]
    first = bars[60_000]
    assert (first.open_px, first.high_px, first.close_px, first.is_forming) == (11, 15, 13, False)


PRICE = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 10**9).map(lambda px: px / PX))


@given(st.binary(max_size=200))
def test_any_bytes_that_parse_as_an_execution_are_told_or_refused_by_name(body: bytes) -> None:
    try:
        message = pb.ExecutionEvent.FromString(body)
    except Exception:  # noqa: BLE001 - what does not parse never comes here
        return
    try:
        event_of(message, TERMS, NOW_MS)
    except DataError as failure:
        assert failure.code in {"PRICE_ABSURD", "MONEY_ABSURD", "TIME_ABSURD"}  # noqa: PT017 - it need not fail


@given(PRICE, PRICE, PRICE)
def test_any_price_is_read_or_refused_by_name(price: float, stop: float, target: float) -> None:
    message = execution(
        pb.ORDER_FILLED,
        position=position(price=price, stopLoss=stop, takeProfit=target),
        deal=deal(1, price),
    )
    try:
        event = order_event(message)
    except DataError:
        return
    assert event.position is not None
    assert isinstance(event.position.entry_px, int)
