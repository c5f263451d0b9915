"""Commission, swap and fees of a listing: the wire's kinds (protocol sheet 5.5) as inputs of ``core/fills``.

Nothing here computes money. Every charge is <= 0 or, a swap, signed, so that it is only ever added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from palmbot.core import fills
from palmbot.core.rounding import half_away, mul_div_half_away
from palmbot.core.types import CommissionKind, Instrument, SwapKind
from palmbot.exchange.listing import CommissionType, Listing, SwapRounding, Weekday
from palmbot.exchange.rates import Rates
from palmbot.units import CU, DAY_MS, PX, RATE_ONE_E8

MILLION_UNITS_CU = 1_000_000 * CU
SINGLE_DAY_MS, TRIPLE_DAY_MS = 4 * DAY_MS, 5 * DAY_MS  # a Monday and a Tuesday of 1970
TRIPLE_WEEKDAY = 1  # a Tuesday
FINER_DIGITS, FINER = 4, 10_000  # more, of money that is not to be rounded to the nearest
_PER_LOT = int(CommissionKind.PER_LOT_QUOTE)


class Stake(NamedTuple):
    """An open position as overnight charges see it."""

    side: int
    volume_cu: int
    entry_ms: int


def base_e8(price_px: int, rates: Rates) -> int:
    """Return what one unit of the base is worth in deposit currency x 10^8 at a price: the wire's marginRate."""
    return mul_div_half_away(price_px, rates.quote_e8, PX)


_Terms = Callable[[Instrument, int, Rates], tuple[Instrument, int]]


def _as_core_says(core: Instrument, _price_px: int, rates: Rates) -> tuple[Instrument, int]:
    return core, rates.quote_e8


def _usd_per_lot(core: Instrument, _price_px: int, rates: Rates) -> tuple[Instrument, int]:
    return core._replace(commission_kind=_PER_LOT), rates.usd_e8


def _usd_per_million_usd(core: Instrument, price_px: int, rates: Rates) -> tuple[Instrument, int]:
    """A million units of the base are a lot, and each dollar of the rate is as many dollars as the base is worth."""
    return core._replace(commission_kind=_PER_LOT, lot_cu=MILLION_UNITS_CU), base_e8(price_px, rates)


_COMMISSION: Final[dict[CommissionType, _Terms]] = {
    CommissionType.USD_PER_MILLION_USD: _usd_per_million_usd,
    CommissionType.USD_PER_LOT: _usd_per_lot,
    CommissionType.PERCENTAGE_OF_VALUE: _as_core_says,
    CommissionType.QUOTE_CCY_PER_LOT: _as_core_says,
}


def commission_minor(listing: Listing, price_px: int, volume_cu: int, rates: Rates) -> int:
    """Return the commission of one side of a trade, <= 0, at least the minimum of the listing."""
    core, rate_e8 = _COMMISSION[listing.commission_type](listing.spec.core, price_px, rates)
    if listing.commission_min_e8 > 0:
        least = -_per_lot_minor(core, listing.commission_min_e8, core.lot_cu, rates.minimum_e8)
        core = core._replace(commission_min_minor=least)
    return fills.commission_minor(core, price_px, volume_cu, rate_e8)


def fee_minor(listing: Listing, gross_minor: int) -> int:
    """Return the conversion fee on the gross profit or loss of a closing deal, <= 0."""
    return fills.fee_minor(listing.spec.core, gross_minor)


def gsl_charge_minor(listing: Listing, volume_cu: int, rates: Rates) -> int:
    """Return what a guaranteed stop on ``volume_cu`` costs, <= 0: a cash flow of its own, not part of a deal."""
    core = listing.spec.core
    return -fills.money_minor(listing.gsl_charge * core.step_px * volume_cu, rates.quote_e8, core.money_digits)


def next_swap_ms(listing: Listing, after_ms: int) -> int:
    """Return the first instant later than ``after_ms`` at which a swap may fall due, or ``fills.NEVER_MS``."""
    return fills.first_swap_ms(listing.spec.core, after_ms)


def swap_minor(listing: Listing, stake: Stake, bid_px: int, rates: Rates, instant_ms: int) -> int:
    """Return the swap of a position at one of its instants, on the last bid, signed.

    The first ``swap_skip_periods`` instants after the entry are free, and count also where they lie in a weekend.
    """
    core = listing.spec.core
    if _instants(core, stake.entry_ms, instant_ms) <= listing.swap_skip_periods:
        return 0
    if core.swap_kind == SwapKind.PERCENT_PER_YEAR and listing.swap_year_days != 360:
        core = _priced(core, bid_px, listing.swap_year_days)
    if listing.swap_at_weekends:
        core, instant_ms = _any_day(core, instant_ms)
    if listing.swap_rounding is SwapRounding.NEAREST:
        return fills.swap_minor(core, stake.side, bid_px, stake.volume_cu, rates.quote_e8, instant_ms)
    finer = core._replace(money_digits=core.money_digits + FINER_DIGITS)
    exact = int(fills.swap_minor(finer, stake.side, bid_px, stake.volume_cu, rates.quote_e8, instant_ms))
    if listing.swap_rounding is SwapRounding.TOWARDS_ZERO and exact < 0:
        return -(-exact // FINER)
    return exact // FINER


def next_rollover_ms(listing: Listing, after_ms: int) -> int:
    """Return the first instant later than ``after_ms`` of the daily fee of accounts without swaps, or NEVER_MS."""
    if listing.rollover_commission == 0:
        return fills.NEVER_MS
    return fills.first_swap_ms(_daily(listing), after_ms)


def rollover_minor(listing: Listing, stake: Stake, rates: Rates, instant_ms: int) -> int:
    """Return the fee, <= 0, that replaces the swap at an instant on an account without swaps.

    The first ``rollover_skip_days`` instants after the entry are free. Weekends are as for the swap.
    """
    core = _daily(listing)
    if _instants(core, stake.entry_ms, instant_ms) <= listing.rollover_skip_days:
        return 0
    if listing.swap_at_weekends:
        core, instant_ms = _any_day(core, instant_ms)
    rate_e8 = listing.rollover_commission * fills.swap_multiple(core, instant_ms) * RATE_ONE_E8
    return _per_lot_minor(core, rate_e8, stake.volume_cu, rates.usd_e8)


def _per_lot_minor(core: Instrument, amount_e8: int, volume_cu: int, rate_e8: int) -> int:
    """Return the charge, <= 0, of ``amount_e8`` of some currency a lot."""
    charged = core._replace(commission_kind=_PER_LOT, commission_rate=amount_e8, commission_min_minor=0)
    return fills.commission_minor(charged, 0, volume_cu, rate_e8)


def _priced(core: Instrument, bid_px: int, days: int) -> Instrument:
    """Return an instrument with its yearly rates as price distances a day: for years that the core cannot count."""
    long, short = (half_away(bid_px * rate, 100 * days) for rate in (core.swap_long, core.swap_short))
    return core._replace(swap_kind=int(SwapKind.PRICE), swap_long=long, swap_short=short)


def _daily(listing: Listing) -> Instrument:
    """Return an instrument whose swap instants are those of the rollover fee: daily, at the swap's time."""
    core = listing.spec.core
    triple = listing.rollover_triple_day - Weekday.MONDAY
    time_ms = core.swap_time_ms % DAY_MS
    return core._replace(swap_long=1, swap_time_ms=time_ms, swap_period_ms=DAY_MS, swap_triple_weekday=triple)


def _instants(core: Instrument, entry_ms: int, instant_ms: int) -> int:
    """Return which instant after the entry this is, from 1."""
    return (instant_ms - fills.first_swap_ms(core, entry_ms)) // core.swap_period_ms + 1


def _any_day(core: Instrument, instant_ms: int) -> tuple[Instrument, int]:
    """Return a working day that is charged like the weekday of ``instant_ms`` if weekends were not free."""
    weekday = (instant_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    is_triple = weekday == core.swap_triple_weekday
    return core._replace(swap_triple_weekday=TRIPLE_WEEKDAY), TRIPLE_DAY_MS if is_triple else SINGLE_DAY_MS
