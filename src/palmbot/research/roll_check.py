"""A file of rolls held against the bars: what it gives, what the bars show, and what neither explains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palmbot import calendar
from palmbot.core.types import BarArrays
from palmbot.instruments import InstrumentSpec
from palmbot.research.rolls import SuspectedRoll, adjusted, read_rolls, suspected_rolls
from palmbot.settings import DataSettings

NEAR_DAYS = 3  # a roll so close by explains a jump


@dataclass(frozen=True, slots=True)
class RollCheck:
    """What came of it.

    Attributes:
        given: rolls of the file inside the bars whose gap is known, and ``unknown``, those whose gap is not.
        found: jumps on roll dates that a given roll explains, of the same direction.
        contradicted: jumps on roll dates at which the given gap points the other way.
        unexplained: unusual jumps on roll dates without a given roll nearby.
        factor: what the oldest price is multiplied by where the rolls are adjusted away proportionally.
    """

    given: int
    unknown: int
    found: int
    contradicted: tuple[SuspectedRoll, ...]
    unexplained: tuple[SuspectedRoll, ...]
    factor: float


def roll_check(settings: DataSettings, spec: InstrumentSpec, bars: BarArrays) -> RollCheck | None:
    """Return how the rolls of ``settings`` agree with raw ``bars``; None where no file of rolls is named.

    Raises:
        DataError: the file of rolls is wrong. Rolls with an unknown gap are counted here, whatever the settings say.
    """
    if settings.rolls_file is None or bars.ts_ms.size == 0:
        return None
    rolls, unknown = read_rolls(replace(settings, unknown_rolls="ignore"), spec, bars)
    jumps = suspected_rolls(bars, spec)
    roll_days = calendar.trade_day(rolls.ts_ms, spec.core.day_start_ms)
    found, contradicted, unexplained = 0, [], []
    jump_ms = np.array([jump.ts_ms for jump in jumps], np.int64)
    for jump, day in zip(jumps, calendar.trade_day(jump_ms, spec.core.day_start_ms).tolist(), strict=True):
        near = np.abs(roll_days - day) <= NEAR_DAYS
        if not near.any():
            unexplained.append(jump)
        elif (rolls.gap_px[near] * jump.gap_px > 0).any():
            found += 1
        else:
            contradicted.append(jump)
    scaled = adjusted(bars, rolls, 1) if rolls.ts_ms.size else bars
    return RollCheck(
        given=int(rolls.ts_ms.size),
        unknown=unknown,
        found=found,
        contradicted=tuple(contradicted),
        unexplained=tuple(unexplained),
        factor=float(scaled.close_px[0] / bars.close_px[0]),
    )
