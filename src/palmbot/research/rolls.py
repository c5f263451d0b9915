"""Rolls of a raw series: read from a file where they are known, suspected where they are not (PARITY 3 and 47)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palmbot import calendar
from palmbot.core.types import BarArrays, RollArrays
from palmbot.errors import DataError
from palmbot.instruments import InstrumentSpec
from palmbot.research.tables import read_table
from palmbot.settings import DataSettings
from palmbot.units import DAY_MS, step_px

NO_ROLLS = RollArrays(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

ROBUST_DEVIATIONS = 3.0
NORMAL_MAD = 1.4826  # median absolute deviation of a normal distribution x this = its standard deviation
DAYS_MIN = 20  # fewer overnight gaps say nothing about what is usual
DAYS_LATE_MAX = 7  # a day that comes later after the roll date is a hole in the data, not a roll


@dataclass(frozen=True, slots=True)
class SuspectedRoll:
    """An unusual overnight gap on a date on which the contract rolls. ``gap_px`` may be a roll, news, or both."""

    ts_ms: int
    gap_px: int


def read_rolls(settings: DataSettings, spec: InstrumentSpec, bars: BarArrays) -> tuple[RollArrays, int]:
    """Return the rolls of ``settings.rolls_file`` inside ``bars``, and how many were ignored for want of a gap.

    A roll happens at the first bar whose trade date is its ``roll_date`` or later; one on the first bar or after the
    last concerns no position. ``gap_points`` is the new contract's price minus the old one's; blank is unknown. Gaps of
    rolls that fall on one bar add up.

    Raises:
        DataError: the file is wrong, or a roll inside the bars has no known gap (unless ``unknown_rolls`` is
            ``ignore``).
    """
    if settings.rolls_file is None:
        return NO_ROLLS, 0
    table = read_table(settings.rolls_file, columns_min=2)
    roll_day = table.times_ms(("roll_date",), "UTC") // DAY_MS
    gap, known = table.scaled("gap_points", spec.digits)
    blank = (table.column("gap_points") == "").to_numpy()
    if (~known & ~blank).any():
        row = int(np.argmax(~known & ~blank))
        todo = "Give a roll its gap in points (new price minus old price), or leave it blank where it is unknown."
        raise table.error("ROLL_BAD_GAP", todo, row, found=repr(table.column("gap_points")[row]))
    at = np.searchsorted(calendar.trade_day(bars.ts_ms, spec.core.day_start_ms), roll_day)
    inside = (at > 0) & (at < bars.ts_ms.size)
    unknown = inside & blank
    if unknown.any() and settings.unknown_rolls != "ignore":
        row = int(np.argmax(unknown))
        todo = (
            "Fill in the gap of this roll, start the bars after it, use an adjusted series, or set "
            "data.unknown_rolls=ignore and take the jump as if it were profit or loss."
        )
        date = table.column("roll_date")[row]
        raise table.error("ROLL_GAP_UNKNOWN", todo, row, roll_date=date, unknown=int(unknown.sum()))
    used, which = np.unique(at[inside & known], return_inverse=True)
    gap_px = np.zeros(used.size, dtype=np.int64)
    np.add.at(gap_px, which, gap[inside & known] * step_px(spec.digits))
    return RollArrays(bars.ts_ms[used], gap_px), int(unknown.sum())


def adjusted(bars: BarArrays, rolls: RollArrays, step: int) -> BarArrays:
    """Return ``bars`` with the prices before each roll scaled by new / old price, the last contract's as they are.

    The old price is the close before the roll's bar, the new one is that plus the gap; so returns are those of whoever
    held through the roll. Prices are rounded to ``step`` px.

    Raises:
        DataError: a gap as large as the price itself.
    """
    at = np.searchsorted(bars.ts_ms, rolls.ts_ms)
    old_px = bars.close_px[at - 1]
    new_px = old_px + rolls.gap_px
    if (new_px <= 0).any():
        row = int(np.argmin(new_px))
        raise DataError(
            "ROLL_GAP_TOO_LARGE",
            "Check the gap of this roll: it is as large as the price.",
            ts_ms=int(rolls.ts_ms[row]),
            gap_px=int(rolls.gap_px[row]),
        )
    factors = np.ones(bars.ts_ms.size)
    np.multiply.at(factors, at - 1, new_px / old_px)
    scale = np.cumprod(factors[::-1])[::-1]
    prices = {
        name: np.maximum(np.rint(getattr(bars, name) * scale / step), 1).astype(np.int64) * step
        for name in ("open_px", "high_px", "low_px", "close_px")
    }
    return bars._replace(**prices)


def suspected_rolls(bars: BarArrays, spec: InstrumentSpec) -> tuple[SuspectedRoll, ...]:
    """Return the roll dates of the instrument's calendar whose overnight gap is unusual for this series.

    Unusual is further than three robust deviations (median and MAD of all overnight gaps, in percent of the last close)
    from the median. A heuristic: it misses small rolls, and news on a roll date looks the same.
    """
    if spec.roll_day == 0 or bars.ts_ms.size == 0:
        return ()
    day = calendar.trade_day(bars.ts_ms, spec.core.day_start_ms)
    first = np.flatnonzero(np.diff(day) > 0) + 1
    if first.size < DAYS_MIN:
        return ()
    gap_px = bars.open_px[first] - bars.close_px[first - 1]
    gap = gap_px / bars.close_px[first - 1]
    distance = np.abs(gap - np.median(gap))
    unusual = distance > ROBUST_DEVIATIONS * NORMAL_MAD * float(np.median(distance))
    rolls = calendar.roll_days(int(day[0]), int(day[-1]), spec.roll_day, spec.session)
    at = np.searchsorted(day[first], rolls)
    rolls, at = rolls[at < first.size], at[at < first.size]
    at = at[(day[first[at]] - rolls <= DAYS_LATE_MAX) & unusual[at]]
    return tuple(SuspectedRoll(int(bars.ts_ms[first[index]]), int(gap_px[index])) for index in at.tolist())
