"""What an instrument charges a unit, so that two ways to charge can be compared: in points, percent, or by the lot."""

from __future__ import annotations

from collections.abc import Mapping

from palmbot.core.types import CommissionKind, CostKind, Instrument, SwapKind
from palmbot.settings import Charged
from palmbot.units import CU, DAY_MS, PX, RATE_ONE_E8

_PPM = 1_000_000
_PERCENT = 10**7  # of a rate on the wire in one
_RATE = 10**8
_SWAP_PRICE = 10**10
_YEAR_DAYS = 360


def charged(core: Instrument, price_px: int, rate_e8: int, written: Mapping[str, str]) -> Charged:
    """Return what ``core`` charges a unit of a position of one lot.

    A round trip is the spread, and a slippage and a commission a side; a night is one charge of swap, scaled to a day.

    Args:
        core: the instrument.
        price_px: at which percentages are taken.
        rate_e8: quote-to-deposit, by which a commission in the deposit currency is brought to the price's.
        written: the same as settings, for people.
    """
    trip = _cost(core.spread_kind, core.spread, price_px)
    trip += 2 * _cost(core.slippage_kind, core.slippage, price_px)
    trip += 2 * _commission(core, price_px, rate_e8 / RATE_ONE_E8)
    return Charged(
        written=written,
        price_px=price_px,
        rate_e8=rate_e8,
        round_trip_px=round(trip),
        night_long_px=-_night(core, core.swap_long, price_px),
        night_short_px=-_night(core, core.swap_short, price_px),
        conversion_fee_bp=core.conversion_fee_bp,
    )


def _cost(kind: int, cost: int, price_px: int) -> float:
    return cost if kind == CostKind.POINTS else price_px * cost / _PPM


def _commission(core: Instrument, price_px: int, rate: float) -> float:
    """Return the commission of one side in px of the quote currency a unit, not less than its minimum on a lot."""
    if core.commission_rate == 0:
        return 0.0
    units = core.lot_cu / CU
    least = core.commission_min_minor / 10.0**core.money_digits / units / rate * PX
    if core.commission_kind == CommissionKind.PERCENT_OF_VALUE:
        return max(price_px * core.commission_rate / _PERCENT, least)
    charge = core.commission_rate / _RATE / units * PX
    return max(charge / rate if core.commission_kind == CommissionKind.PER_LOT_DEPOSIT else charge, least)


def _night(core: Instrument, swap: int, price_px: int) -> int:
    """Return the swap of a day in px a unit, signed as it is booked."""
    one = PX / _SWAP_PRICE if core.swap_kind == SwapKind.PRICE else price_px / _PERCENT / _YEAR_DAYS
    return round(swap * one * DAY_MS / core.swap_period_ms)
