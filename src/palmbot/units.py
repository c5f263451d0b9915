"""Units of the house and the exact conversions between them. Nothing else.

==============  ==========================================================================
``ms``          milliseconds since 1970-01-01 UTC, or a duration in milliseconds
``px``          price x 100 000 as an integer, whatever the symbol's digits (``price_x1e5``)
``cu``          volume in 1/100 of a unit, as on the wire (one palm-oil lot of 25 t is 2 500)
``minor``       money in the smallest unit of its currency (cents for two money digits)
``bp``, ``ppm`` 1/10 000 and 1/1 000 000
``rate_e8``     quote-to-deposit conversion rate x 10^8 (0 = no rate is known)
==============  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import NewType

Ms = NewType("Ms", int)
PriceX1e5 = NewType("PriceX1e5", int)
VolumeCu = NewType("VolumeCu", int)
Minor = NewType("Minor", int)

PX = 100_000  # px of one unit of price
CU = 100  # cu of one unit of volume
RATE_ONE_E8 = 100_000_000
_E8_OF_PX = RATE_ONE_E8 // PX
_E8_BY_PX = RATE_ONE_E8 * PX

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


def step_px(digits: int) -> int:
    """Return the smallest price step in px of a symbol with ``digits`` (0..5) decimals."""
    if not 0 <= digits <= 5:
        raise ValueError(f"digits must be 0..5, not {digits}")
    return int(10 ** (5 - digits))


def px_of_text(text: str, digits: int) -> int:
    """Return the price ``text`` (a decimal number) in px, rounded half up to ``digits`` decimals.

    Raises:
        decimal.InvalidOperation: ``text`` is not a number.
    """
    value = Decimal(text).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return int(value.scaleb(5))


def price_of_px(price_px: int) -> float:
    """Return the price of ``price_px`` as a decimal number."""
    return price_px / PX


def minor_of_money(money: float | str | Decimal, money_digits: int) -> int:
    """Return ``money`` in minor units, rounded half up (away from zero)."""
    value = Decimal(str(money)).scaleb(money_digits)
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def money_of_minor(minor: int, money_digits: int) -> Decimal:
    """Return ``minor`` units as exact money."""
    return Decimal(minor).scaleb(-money_digits)


def lots_of_cu(volume_cu: int, lot_cu: int) -> float:
    """Return ``volume_cu`` in lots."""
    return volume_cu / lot_cu


def rate_of_px(pair_px: int, is_inverse: bool) -> int:
    """Return the conversion rate that a pair's price says, x 10^8, rounded half up; both ends of the wire use it.

    Args:
        pair_px: price of the pair, above 0.
        is_inverse: the pair is listed the other way round: what is converted is its quote, not its base.
    """
    return (2 * _E8_BY_PX + pair_px) // (2 * pair_px) if is_inverse else pair_px * _E8_OF_PX


def px_of_rate(rate_e8: int, is_inverse: bool) -> int:
    """Return the price of a pair that says ``rate_e8`` (above 0), rounded half up; 0 where it cannot be said."""
    unit, value = (rate_e8, _E8_BY_PX) if is_inverse else (_E8_OF_PX, rate_e8)
    return (2 * value + unit) // (2 * unit)


def rate_of_chain(links: Iterable[tuple[int, bool]]) -> int:
    """Return the rate of a chain of pairs, each as ``rate_of_px`` takes it: exact, rounded half up once.

    No links at all convert a currency into itself. A price of 0 is one that is not known, and so is then the rate.
    """
    above, below = RATE_ONE_E8, 1
    for pair_px, is_inverse in links:
        above *= PX if is_inverse else pair_px
        below *= pair_px if is_inverse else PX
    return (2 * above + below) // (2 * below) if below else 0
