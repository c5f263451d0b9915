"""The money of a deal a second time: exact fractions, rounded once (PARITY 4, 7, 8, 46, 47; protocol sheet 5.4-5.7)."""

from __future__ import annotations

import math
from fractions import Fraction

from palmbot.core.types import CommissionKind, CostKind, Instrument, SwapKind

DAY_MS = 86_400_000
RATE_SCALE = 10**8


def nearest(value: Fraction | int) -> int:
    """Return the integer nearest to ``value``, ties away from zero."""
    top, bottom = value.numerator, value.denominator
    size = (2 * abs(top) + bottom) // (2 * bottom)
    return size if top >= 0 else -size


def stepped(value: Fraction, step_px: int) -> int:
    """Return ``value`` rounded half up to a multiple of ``step_px``."""
    return math.floor(value / step_px + Fraction(1, 2)) * step_px


def exact_money(px_cu: int, rate_e8: int, money_digits: int) -> Fraction:
    """Return ``px x cu`` of quote currency in minor units of the deposit currency."""
    return Fraction(px_cu * rate_e8 * 10**money_digits, 10**7 * RATE_SCALE)


def money(px_cu: int, rate_e8: int, money_digits: int) -> int:
    """Return ``px x cu`` of quote currency in whole minor units."""
    return nearest(exact_money(px_cu, rate_e8, money_digits))


def cost(kind: int, value: int, open_px: int, step_px: int) -> int:
    """Return a spread or slippage: points, or parts per million of the bar's open rounded to the step."""
    return value if kind == CostKind.POINTS else stepped(Fraction(open_px * value, 10**6), step_px)


def exact_commission(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> Fraction:
    """Return the charge of one side in minor units, >= 0, unrounded and without its minimum."""
    rate = Fraction(instrument.commission_rate)
    lots = Fraction(volume_cu, instrument.lot_cu)
    conversion = Fraction(rate_e8, RATE_SCALE)
    if instrument.commission_kind == CommissionKind.PER_LOT_DEPOSIT:
        charge = lots * rate / 10**8
    elif instrument.commission_kind == CommissionKind.PER_LOT_QUOTE:
        charge = lots * rate / 10**8 * conversion
    else:
        value = Fraction(price_px, 10**5) * Fraction(volume_cu, 100)
        charge = value * (rate / 10**5) / 100 * conversion
    return charge * int(10**instrument.money_digits)


def commission(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return what one side books, <= 0; an instrument without a rate charges nothing."""
    if instrument.commission_rate == 0:
        return 0
    return -max(nearest(exact_commission(instrument, price_px, volume_cu, rate_e8)), instrument.commission_min_minor)


def fee(instrument: Instrument, gross_minor: int) -> int:
    """Return the conversion fee of a closing deal, <= 0."""
    return -nearest(Fraction(abs(gross_minor) * instrument.conversion_fee_bp, 10_000))


def margin(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return what a position opened at ``price_px`` holds: its value in whole minor units, shared by the leverage."""
    return nearest(Fraction(money(price_px * volume_cu, rate_e8, instrument.money_digits), instrument.leverage))


def swap(instrument: Instrument, side: int, bid_px: int, volume_cu: int, rate_e8: int, instant_ms: int) -> int:
    """Return one charge in whole minor units."""
    return nearest(exact_swap(instrument, side, bid_px, volume_cu, rate_e8, instant_ms))


def exact_swap(
    instrument: Instrument, side: int, bid_px: int, volume_cu: int, rate_e8: int, instant_ms: int
) -> Fraction:
    """Return one charge in minor units: none on Saturday and Sunday, three-fold on the rollover day."""
    weekday = (instant_ms // DAY_MS + 3) % 7  # the epoch was a Thursday
    times = 0 if weekday in {5, 6} else 3 if weekday == instrument.swap_triple_weekday else 1
    rate = Fraction(times * (instrument.swap_long if side > 0 else instrument.swap_short))
    units = Fraction(volume_cu, 100)
    if instrument.swap_kind == SwapKind.PRICE:
        charge = rate / 10**10 * units
    else:
        charge = Fraction(bid_px, 10**5) * units * (rate / 10**5) / 100 / 360
    return charge * Fraction(rate_e8, RATE_SCALE) * int(10**instrument.money_digits)


def roll(instrument: Instrument, side: int, gap_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return what a roll adds to the swap."""
    return money(-side * gap_px * volume_cu, rate_e8, instrument.money_digits)
