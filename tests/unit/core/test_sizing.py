"""Risk to volume: whole steps, rounded down, capped, refused with a reason; and the distances it starts from."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.decisions import Close, entry

from palmbot.core import sizing
from palmbot.core.types import Instrument, Params, Reason, StopKind
from palmbot.units import PX, RATE_ONE_E8

PERCENT, ATR = int(StopKind.PERCENT), int(StopKind.ATR)
# 0.01 lot of 25 t is 25 cu = 0.25 t; no costs unless a test adds them
FREE = Instrument(spread=0, slippage=0, commission_rate=0)
PRICE_PX = 4_000 * PX
EQUITY_MINOR = 10_000_000  # 100 000.00


def sized(params: Params, instrument: Instrument, sl_px: int, equity_minor: int = EQUITY_MINOR) -> tuple[int, int]:
    """Return ``(volume_cu, reason)`` of an entry at 4 000 with a stop ``sl_px`` away."""
    loss = sizing.loss_of_step(instrument, sl_px, instrument.slippage, PRICE_PX, RATE_ONE_E8)
    return sizing.volume_cu(params, instrument, equity_minor, loss, PRICE_PX, RATE_ONE_E8)


# ---- distances


@pytest.mark.parametrize(
    ("ppm", "close_px", "step_px", "distance"),
    [
        (15_000, 4_000 * PX, 100, 60 * PX),
        (15_000, 4_001 * PX, PX, 60 * PX),  # 60.015 points
        (12_500, 4_040 * PX, PX, 51 * PX),  # 50.5: half goes up
        (12_500, 4_039 * PX, PX, 50 * PX),  # 50.4875
        (1, 4_000 * PX, PX, PX),  # 0.004 points: at least one step
        (100, 4_000 * PX, PX, PX),  # 0.4 points
    ],
)
def test_a_percent_distance_is_half_up_to_the_step_and_at_least_one(
    ppm: int, close_px: int, step_px: int, distance: int
) -> None:
    assert sizing.distance_px(PERCENT, ppm, 99.0, close_px, 99.0, step_px) == distance


@pytest.mark.parametrize(
    ("multiple", "atr", "step_px", "distance"),
    [
        (4.0, 12.5, 100, 50 * PX),
        (1.0, 12.5, PX, 13 * PX),  # half goes up
        (1.0, 12.25, PX, 12 * PX),
        (4.0, 0.0, PX, PX),  # no range at all: one step
        (0.5, 0.5, PX, PX),
    ],
)
def test_an_atr_distance_is_half_up_to_the_step_and_at_least_one(
    multiple: float, atr: float, step_px: int, distance: int
) -> None:
    assert sizing.distance_px(ATR, 15_000, multiple, PRICE_PX, atr, step_px) == distance


# ---- too close


@pytest.mark.parametrize(
    ("sl_px", "tp_px", "reason"),
    [
        (300, 1_000, Reason.STOP_TOO_CLOSE),  # spread 200 + slippage 50 + minimum 50
        (301, 1_000, Reason.NONE),
        (1_000, 320, Reason.TARGET_TOO_CLOSE),  # spread 200 + slippage 50 + minimum 70
        (1_000, 321, Reason.NONE),
        (300, 320, Reason.STOP_TOO_CLOSE),  # the stop is said first
    ],
)
def test_a_distance_must_exceed_costs_and_the_brokers_minimum(sl_px: int, tp_px: int, reason: int) -> None:
    instrument = FREE._replace(sl_min_px=50, tp_min_px=70)
    assert sizing.too_close(instrument, sl_px, tp_px, 200, 50) == reason


# ---- volume


def test_the_volume_risks_the_fraction_and_no_more() -> None:
    # 0.5 % of 100 000 is 500; one step loses 60 x 0.25 t = 15 at the stop: 33.3 steps
    assert sized(Params(), FREE, 60 * PX) == (33 * 25, Reason.NONE)


def test_an_exact_quotient_is_not_floored_a_step_down() -> None:
    # 500 / (50 x 0.25) = 40 exactly, whatever 0.005 and 10^-5 are as floats
    assert sized(Params(), FREE, 50 * PX) == (40 * 25, Reason.NONE)
    assert sized(Params(), FREE, 50 * PX, EQUITY_MINOR - 1) == (39 * 25, Reason.NONE)


def test_slippage_and_both_commissions_are_part_of_the_risk() -> None:
    costly = FREE._replace(slippage=10 * PX, commission_rate=2_000_000_000)  # 20 a lot and side: 0.20 a step
    # a step loses (50 + 10) x 0.25 + 2 x 0.20 = 15.40
    assert sizing.loss_of_step(costly, 50 * PX, 10 * PX, PRICE_PX, RATE_ONE_E8) == pytest.approx(1_540.0)
    assert sized(Params(), costly, 50 * PX) == (32 * 25, Reason.NONE)


def test_volume_is_capped_by_the_maximum_rounded_down_to_the_step() -> None:
    assert sized(Params(), FREE._replace(volume_max_cu=260), 50 * PX) == (250, Reason.NONE)


def test_volume_is_capped_by_exposure() -> None:
    # a step is worth 1 000: half of equity is 50 steps, and one cent less is 49
    half = Params(risk_fraction=0.5, exposure_max=0.5)
    assert sized(half, FREE, 50 * PX) == (50 * 25, Reason.NONE)
    assert sized(half, FREE, 50 * PX, EQUITY_MINOR - 2) == (49 * 25, Reason.NONE)


def test_volume_is_capped_by_the_margin_share() -> None:
    # a fifth of equity at leverage 2 carries 40 steps of 1 000
    few = Params(risk_fraction=0.5, margin_share=0.2)
    assert sized(few, FREE._replace(leverage=2), 50 * PX) == (40 * 25, Reason.NONE)


def test_below_the_minimum_is_a_refusal() -> None:
    small = FREE._replace(volume_min_cu=100)
    # 500 / (500 x 0.25) = 4 steps of 25 make exactly the minimum
    assert sized(Params(), small, 500 * PX) == (100, Reason.NONE)
    assert sized(Params(), small, 501 * PX) == (0, Reason.VOLUME_BELOW_MINIMUM)


@pytest.mark.parametrize("equity_minor", [0, -5_000])
def test_no_equity_buys_nothing(equity_minor: int) -> None:
    nothing = FREE._replace(volume_min_cu=0)
    assert sized(Params(), nothing, 50 * PX, equity_minor) == (0, Reason.VOLUME_BELOW_MINIMUM)


def test_without_a_conversion_rate_there_is_no_entry() -> None:
    assert sizing.volume_cu(Params(), FREE, EQUITY_MINOR, 0.0, PRICE_PX, 0) == (0, Reason.NO_CONVERSION_RATE)


def test_the_conversion_rate_scales_what_a_step_loses() -> None:
    quarter = RATE_ONE_E8 // 4
    loss = sizing.loss_of_step(FREE, 50 * PX, 0, PRICE_PX, quarter)
    assert sizing.volume_cu(Params(), FREE, EQUITY_MINOR, loss, PRICE_PX, quarter) == (160 * 25, Reason.NONE)


@given(
    equity=st.integers(1_000, 10**12),
    risk=st.sampled_from([0.001, 0.005, 0.02, 0.3]),
    stop_points=st.integers(3, 900),
    lots=st.sampled_from([1, 25, 100, 2_500]),
    rate_e8=st.sampled_from([RATE_ONE_E8, 22_345_678, 447_120_000]),
    kind=st.integers(0, 2),
)
def test_volume_is_the_greatest_whole_number_of_steps_within_every_limit(
    equity: int, risk: float, stop_points: int, lots: int, rate_e8: int, kind: int
) -> None:
    """The same by exact fractions."""
    close = Close(0, PRICE_PX, 0, 50_000, rate_e8, 50.0, stop_points / 4)
    params = Params(risk_fraction=risk, stop_kind=ATR, sl_atr=4.0, tp_atr=8.0)
    instrument = Instrument(spread=0, volume_step_cu=lots, commission_kind=kind, commission_rate=80_000)
    wish = entry(params, instrument, close, 1, equity)
    distance = stop_points * PX
    loss = sizing.loss_of_step(instrument, distance, 50_000, PRICE_PX, rate_e8)
    volume, reason = sizing.volume_cu(params, instrument, equity, loss, PRICE_PX, rate_e8)
    assert volume == wish.volume_cu
    assert reason == (Reason.VOLUME_BELOW_MINIMUM if wish.volume_cu == 0 else Reason.NONE)
    if volume > 0:
        assert wish.sl_px == distance
        risked = Fraction(loss) * (volume // lots)
        assert risked <= Fraction(risk) * equity * (1 + Fraction(1, 10**6))
        assert math.isclose(float(risked), float(wish.risk), rel_tol=1e-12)
