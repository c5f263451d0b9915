"""What an instrument is, and the palm-oil CFD that is built in. Defines; reads nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from palmbot.calendar import Session
from palmbot.core.types import Instrument
from palmbot.units import HOUR_MS

_DAY = 24 * 60
# The order in which the market names the currencies of a pair; all others come after these, by name among themselves.
_FIRST_NAMED = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY")


def weekly(*spans: tuple[range, int, int]) -> tuple[tuple[int, int], ...]:
    """Return weekly intervals from ``(weekdays, first minute, last minute)`` spans of a day."""
    return tuple(
        sorted((day * _DAY + start, day * _DAY + end) for weekdays, start, end in spans for day in weekdays),
    )


# Bursa Malaysia in its own time. The afternoon opens at 14:30 since 2017 and opened at 15:00 before; the union is kept.
# A bucket belongs to the session when its first tick does. The night session (since 6 December 2021) runs Monday to
# Thursday and belongs to the next trade date.
BURSA = Session(
    time_zone="Asia/Kuala_Lumpur",
    intervals=weekly(
        (range(5), 10 * 60 + 30, 12 * 60 + 30),
        (range(5), 14 * 60 + 30, 18 * 60),
        (range(4), 21 * 60, 23 * 60 + 30),
    ),
)


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """One instrument: how it is named and quoted, when it trades, and what the core must know of it."""

    name: str = "palm_oil"
    symbol: str = "PALMOIL"
    digits: int = 3
    time_zone: str = "Asia/Kuala_Lumpur"
    quote_currency: str = "MYR"
    deposit_currency: str = "MYR"
    unit: str = "t"
    balance: int = 100_000
    session: Session = BURSA
    core: Instrument = field(default_factory=Instrument)
    price_hint: int = 4_000  # where the generated market starts
    day_start_ms: int = 11 * HOUR_MS
    roll_day: int = 16  # the contract rolls on the first trade date from this day of a month on; 0 = it never rolls


PALM_OIL = InstrumentSpec()
BUILT_IN_INSTRUMENTS = MappingProxyType({PALM_OIL.name: PALM_OIL})


def pair_convention(one: str, other: str) -> tuple[str, str]:
    """Return two currencies as base and quote of the pair that the market lists: MYR and USD are USDMYR."""
    rank = {name: place for place, name in enumerate(_FIRST_NAMED)}
    base, quote = sorted((one, other), key=lambda name: (rank.get(name, len(rank)), name))
    return base, quote
