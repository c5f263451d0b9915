"""Fills and money: the worked recordings to the cent, then exact fractions over everything that may be asked."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.oracle import money

from palmbot.core import fills
from palmbot.core.types import CommissionKind, CostKind, Instrument, Position, Reason, SwapKind
from palmbot.units import DAY_MS, HOUR_MS, RATE_ONE_E8, px_of_text

LONG, SHORT = 1, -1
MONDAY_MS = 1_704_067_200_000  # 2024-01-01 00:00Z
EURUSD = Instrument(
    step_px=1,
    lot_cu=10_000_000,
    leverage=100,
    commission_kind=int(CommissionKind.PER_LOT_DEPOSIT),
    commission_rate=250_000_000,
)
CRYPTO = Instrument(
    step_px=1_000,
    lot_cu=100,
    commission_kind=int(CommissionKind.PERCENT_OF_VALUE),
    commission_rate=3_250,
)

sides = st.sampled_from([LONG, SHORT])
prices = st.integers(1, 10**10)  # up to 100 000.00000
rates = st.one_of(st.just(RATE_ONE_E8), st.sampled_from([22_345_678, 447_120_000]), st.integers(1, 2 * 10**12))
digits = st.sampled_from([0, 2, 2, 3, 5, 8])


def volume_for(price_px: int, wanted_cu: int) -> int:
    """Return a volume whose value at ``price_px`` is at most 400 000 million of a currency."""
    return max(1, min(wanted_cu, 4 * 10**18 // price_px))


def is_held(minor: int | Fraction, rate_e8: int, decimals: int) -> bool:
    """Return whether an account may hold so much: 64 bits carry it, and the rate in its minor units."""
    return -(1 << 62) <= minor <= 1 << 62 and rate_e8 * 10**decimals <= 1 << 62


# ---- the worked recordings of the protocol sheet, section 5.6


def test_one_lot_of_eurusd_gains_three_points() -> None:
    entry_px, exit_px, volume_cu = px_of_text("1.11966", 5), px_of_text("1.11969", 5), 10_000_000
    gross = fills.gross_minor(EURUSD, LONG, entry_px, exit_px, volume_cu, RATE_ONE_E8)
    sides_minor = [fills.commission_minor(EURUSD, price, volume_cu, RATE_ONE_E8) for price in (entry_px, exit_px)]
    assert gross == 300
    assert sides_minor == [-250, -250]
    assert gross + sum(sides_minor) == -200


def test_a_thousand_units_of_eurusd_pay_three_cents_a_side() -> None:
    entry_px, exit_px, volume_cu = px_of_text("1.12569", 5), px_of_text("1.12568", 5), 100_000
    assert fills.gross_minor(EURUSD, LONG, entry_px, exit_px, volume_cu, RATE_ONE_E8) == -1
    assert fills.commission_minor(EURUSD, entry_px, volume_cu, RATE_ONE_E8) == -3  # 0.025, half away from zero
    assert 2 * fills.commission_minor(EURUSD, exit_px, volume_cu, RATE_ONE_E8) == -6


def test_a_crypto_stop_slips_and_pays_a_percentage() -> None:
    entry_px, level_px, slippage = px_of_text("85287.21", 2), px_of_text("85206.20", 2), px_of_text("0.62", 2)
    position = Position(LONG, 99, entry_px, level_px, 10**10, level_px, 0, 0, 0, 0)
    reason, exit_px = fills.protective_fill(position, level_px - 50_000, 0, slippage, is_jump=False)
    closing = fills.commission_minor(CRYPTO, exit_px, 99, RATE_ONE_E8)
    assert (reason, exit_px) == (Reason.SL, px_of_text("85205.58", 2))
    assert fills.gross_minor(CRYPTO, LONG, entry_px, exit_px, 99, RATE_ONE_E8) == -8_081
    assert closing == -2_741
    assert fills.commission_minor(CRYPTO, entry_px, 99, RATE_ONE_E8) + closing == -5_485


def test_a_thousand_euros_at_leverage_one_hundred_hold_a_margin_of_1120() -> None:
    assert fills.margin_minor(EURUSD, px_of_text("1.11984", 5), 100_000, RATE_ONE_E8) == 1_120


# ---- exact fractions


@given(sides, prices, prices, st.integers(1, 10**12), rates, digits)
@example(LONG, 10**10, 1, 9 * 10**8, 2 * 10**12, 2)  # 90 million units, 100 000 points, rate 20 000
@example(LONG, 100_000, 100_001, 500_000, RATE_ONE_E8, 2)  # half a cent up
@example(SHORT, 100_000, 100_001, 500_000, RATE_ONE_E8, 2)  # half a cent down
def test_gross_is_exact(side: int, entry_px: int, exit_px: int, wanted_cu: int, rate_e8: int, decimals: int) -> None:
    volume_cu = volume_for(max(entry_px, exit_px), wanted_cu)
    exact = money.money(side * (exit_px - entry_px) * volume_cu, rate_e8, decimals)
    if is_held(exact, rate_e8, decimals):
        instrument = Instrument(money_digits=decimals)
        assert fills.gross_minor(instrument, side, entry_px, exit_px, volume_cu, rate_e8) == exact


@given(st.sampled_from(list(CommissionKind)), prices, st.integers(1, 10**13), st.integers(1, 10**6), rates, digits)
@example(CommissionKind.PER_LOT_QUOTE, 110_000, 10_000_000, 250_000_000, 447_120_000, 2)  # EURUSD, in ringgit
@example(CommissionKind.PER_LOT_DEPOSIT, 110_000, 33_333, 250_000_000, RATE_ONE_E8, 2)
@example(CommissionKind.PERCENT_OF_VALUE, 10**10, 10**8, 10**5, 447_120_000, 2)
def test_commission_is_exact(
    kind: CommissionKind, price_px: int, wanted_cu: int, rate: int, rate_e8: int, decimals: int
) -> None:
    volume_cu, lot_cu = volume_for(price_px, wanted_cu), 10_000_000
    instrument = Instrument(money_digits=decimals, lot_cu=lot_cu, commission_kind=int(kind), commission_rate=rate)
    exact = money.commission(instrument, price_px, volume_cu, rate_e8)
    if is_held(exact, rate_e8, decimals):
        assert fills.commission_minor(instrument, price_px, volume_cu, rate_e8) == exact


@pytest.mark.parametrize("lot_cu", [100, 2_500, 10_000_000, 1_000_000_000])
@pytest.mark.parametrize("rate_e8", [22_345_678, RATE_ONE_E8, 447_120_000, 15_600_000_000])
def test_a_commission_in_quote_currency_is_converted_whatever_the_lot(lot_cu: int, rate_e8: int) -> None:
    instrument = Instrument(
        lot_cu=lot_cu, commission_kind=int(CommissionKind.PER_LOT_QUOTE), commission_rate=2_500_000_000
    )
    charge = Fraction(25 * rate_e8, 10**8) * 100  # 25 a lot, in cents
    assert fills.commission_minor(instrument, 400_000_000, lot_cu, rate_e8) == -money.nearest(charge)
    assert fills.commission_minor(instrument, 400_000_000, lot_cu * 3, rate_e8) == -money.nearest(charge * 3)


def test_a_minimum_commission_is_charged_where_any_is() -> None:
    charged = EURUSD._replace(commission_min_minor=100)
    assert fills.commission_minor(charged, 112_569, 100_000, RATE_ONE_E8) == -100
    assert fills.commission_minor(charged, 112_569, 10_000_000, RATE_ONE_E8) == -250
    free = charged._replace(commission_rate=0)
    assert fills.commission_minor(free, 112_569, 10_000_000, RATE_ONE_E8) == 0


@given(st.sampled_from(list(CommissionKind)), prices, st.integers(1, 10**7), st.integers(0, 10**10), rates, digits)
def test_the_estimate_is_the_commission_before_rounding(
    kind: CommissionKind, price_px: int, volume_cu: int, rate: int, rate_e8: int, decimals: int
) -> None:
    instrument = Instrument(money_digits=decimals, commission_kind=int(kind), commission_rate=rate)
    exact = money.exact_commission(instrument, price_px, volume_cu, rate_e8)
    assert fills.commission_estimate(instrument, price_px, volume_cu, rate_e8) == pytest.approx(float(exact), rel=1e-12)


@given(
    st.sampled_from(list(SwapKind)), sides, prices, st.integers(1, 10**9), st.integers(-(10**9), 10**9), rates, digits
)
@example(SwapKind.PRICE, LONG, 400_000_000, 2_500, -25_000_000_000, 22_345_678, 2)  # -2.5 points of palm oil
def test_swap_is_exact_on_each_weekday(  # noqa: PLR0917 - a charge depends on them all
    kind: SwapKind, side: int, bid_px: int, wanted_cu: int, rate: int, rate_e8: int, decimals: int
) -> None:
    volume_cu = volume_for(bid_px, wanted_cu)
    instrument = Instrument(
        money_digits=decimals, swap_kind=int(kind), swap_long=rate, swap_short=-rate // 2, swap_triple_weekday=2
    )
    for day in range(7):
        instant_ms = MONDAY_MS + day * DAY_MS + 22 * HOUR_MS
        exact = money.swap(instrument, side, bid_px, volume_cu, rate_e8, instant_ms)
        if is_held(exact, rate_e8, decimals):
            assert fills.swap_minor(instrument, side, bid_px, volume_cu, rate_e8, instant_ms) == exact


def test_swap_is_three_fold_on_its_day_and_never_at_the_weekend() -> None:
    instrument = Instrument(swap_long=1, swap_triple_weekday=2)
    days = [fills.swap_multiple(instrument, MONDAY_MS + day * DAY_MS) for day in range(7)]
    assert days == [1, 1, 3, 1, 1, 0, 0]


@given(st.integers(0, 10**12), st.integers(0, 10_000))
@example(-5, 1_000)
@example(5, 1_000)
def test_the_conversion_fee_is_a_share_of_the_gross_of_either_sign(gross: int, fee_bp: int) -> None:
    instrument = Instrument(conversion_fee_bp=fee_bp)
    assert fills.fee_minor(instrument, gross) == money.fee(instrument, gross) <= 0
    assert fills.fee_minor(instrument, -gross) == fills.fee_minor(instrument, gross)


@given(prices, st.integers(1, 10**10), rates, digits, st.integers(1, 10_000))
def test_margin_is_a_share_of_the_value(
    price_px: int, wanted_cu: int, rate_e8: int, decimals: int, leverage: int
) -> None:
    volume_cu = volume_for(price_px, wanted_cu)
    instrument = Instrument(money_digits=decimals, leverage=leverage)
    if is_held(money.money(price_px * volume_cu, rate_e8, decimals), rate_e8, decimals):
        held = fills.margin_minor(instrument, price_px, volume_cu, rate_e8)
        assert held == money.margin(instrument, price_px, volume_cu, rate_e8)


@given(sides, st.integers(-(10**8), 10**8), st.integers(1, 10**9), rates)
def test_a_roll_takes_the_jump_between_contracts_back(side: int, gap_px: int, volume_cu: int, rate_e8: int) -> None:
    instrument = Instrument()
    taken = fills.roll_minor(instrument, side, gap_px, volume_cu, rate_e8)
    assert taken == money.roll(instrument, side, gap_px, volume_cu, rate_e8)
    assert taken == -fills.gross_minor(instrument, side, 0, gap_px, volume_cu, rate_e8)


# ---- prices


@given(st.integers(1, 10**10), st.integers(0, 10**5), st.sampled_from([1, 10, 100, 1_000, 10_000, 100_000]))
def test_a_cost_in_percent_is_rounded_half_up_to_the_step(open_px: int, ppm: int, step_px: int) -> None:
    exact = money.cost(CostKind.PPM, ppm, open_px, step_px)
    assert fills.cost_px(int(CostKind.PPM), ppm, open_px, step_px) == exact
    assert fills.cost_px(int(CostKind.POINTS), ppm, open_px, step_px) == ppm


def test_a_long_buys_the_ask_and_is_marked_at_the_bid() -> None:
    assert fills.market_px(LONG, 1_000, 30, 5) == 1_035
    assert fills.mark_px(LONG, 1_000, 30) == 1_000
    assert fills.market_px(SHORT, 1_000, 30, 5) == 995
    assert fills.mark_px(SHORT, 1_000, 30) == 1_030


BUY = Position(LONG, 100, 1_000, 900, 1_200, 900, 0, 0, 0, 0)
SELL = Position(SHORT, 100, 1_000, 1_100, 800, 1_100, 0, 0, 0, 0)
NOT_TOUCHED = (Reason.NONE, 0)


@pytest.mark.parametrize(
    ("position", "bid_px", "is_jump", "filled"),
    [
        (BUY, 901, False, NOT_TOUCHED),
        (BUY, 900, False, (Reason.SL, 895)),  # a touch is enough; the level less slippage
        (BUY, 850, False, (Reason.SL, 895)),  # continuous: it went through the level
        (BUY, 850, True, (Reason.SL, 845)),  # a jump fills where it lands
        (BUY, 1_199, False, NOT_TOUCHED),
        (BUY, 1_200, False, (Reason.TP, 1_200)),  # never slips
        (BUY, 1_250, False, (Reason.TP, 1_200)),
        (BUY, 1_250, True, (Reason.TP, 1_250)),  # the better open
        (SELL, 1_069, False, NOT_TOUCHED),  # the ask is 30 above
        (SELL, 1_070, False, (Reason.SL, 1_105)),
        (SELL, 1_150, False, (Reason.SL, 1_105)),
        (SELL, 1_150, True, (Reason.SL, 1_185)),
        (SELL, 771, False, NOT_TOUCHED),
        (SELL, 770, False, (Reason.TP, 800)),
        (SELL, 700, True, (Reason.TP, 730)),
    ],
)
def test_a_protective_order_fills_at(position: Position, bid_px: int, is_jump: bool, filled: tuple[int, int]) -> None:
    assert fills.protective_fill(position, bid_px, 30, 5, is_jump) == filled


def test_on_one_tick_the_stop_is_tested_before_the_target() -> None:
    """Only levels that have crossed can both hold on one tick; the stop is the one that counts."""
    crossed = BUY._replace(sl_px=1_100, sl_first_px=1_100, tp_px=1_000)
    assert fills.protective_fill(crossed, 1_050, 0, 0, is_jump=False) == (Reason.SL, 1_100)


def test_a_stop_that_was_moved_is_a_trailing_exit() -> None:
    moved = BUY._replace(sl_px=950)
    assert fills.protective_fill(moved, 940, 30, 5, is_jump=False) == (Reason.TRAIL, 945)


def test_the_first_swap_is_strictly_later() -> None:
    instrument = Instrument(swap_long=-1, swap_time_ms=22 * HOUR_MS, swap_period_ms=DAY_MS)
    at_ms = MONDAY_MS + 22 * HOUR_MS
    assert fills.first_swap_ms(instrument, at_ms - 1) == at_ms
    assert fills.first_swap_ms(instrument, at_ms) == at_ms + DAY_MS
    assert fills.first_swap_ms(instrument._replace(swap_period_ms=8 * HOUR_MS), at_ms) == at_ms + 8 * HOUR_MS
    assert fills.first_swap_ms(Instrument(), at_ms) == fills.NEVER_MS


def test_a_flat_account_floats_nothing() -> None:
    assert fills.floating_minor(Instrument(), Position(), 400_000_000, 0, RATE_ONE_E8) == 0


def test_a_position_floats_its_gross_its_swap_and_its_opening_commission_alone() -> None:
    position = Position(SHORT, 2_500, 400_000_000, 0, 0, 0, 0, 0, -700, -2_500)
    # 25 units, sold at 4 000, bought back at the ask of 3 990 + 2: +8 a unit
    floating = fills.floating_minor(Instrument(), position, 399_000_000, 200_000, RATE_ONE_E8)
    assert floating == 20_000 - 700 - 2_500
