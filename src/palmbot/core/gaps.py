"""Open gaps: how far a bar opens from the close before it, and how wide they have been (PARITY 39).

The gaps of a decision are those of the bar that it is made on and of the bars before it, ``GAP_BARS`` at most. Their
quantile is one of them: the smallest that at least this share of them do not exceed.
"""

from __future__ import annotations

import math

import numpy as np

from palmbot.core.compiled import compiled, inlined
from palmbot.core.types import BarArrays, Int64Array

GAP_BARS = 250


@inlined
def _rank(count: int, quantile: float) -> int:
    """Return which of ``count`` sorted gaps (at least one) is their ``quantile``."""
    return min(max(math.ceil(quantile * count), 1), count) - 1


@compiled
def quantile_px(gaps_px: Int64Array, quantile: float) -> int:
    """Return the ``quantile`` (0 < quantile <= 1) of ``gaps_px``, shape ``(n,)``; 0 when there are none."""
    count = gaps_px.shape[0]
    if count == 0:
        return 0
    return int(np.sort(gaps_px)[_rank(count, quantile)])


@compiled
def past_px(bars: BarArrays, quantile: float) -> Int64Array:
    """Return the ``quantile`` of the open gaps that a decision on each bar knows, in px, shape ``(n,)``; first 0.

    The gaps are kept sorted: the newest takes the place of the oldest and moves to its own.
    """
    found = np.zeros(bars.ts_ms.shape[0], np.int64)
    gaps, known = np.zeros(GAP_BARS, np.int64), 0
    for bar in range(1, found.shape[0]):
        newest, place = abs(bars.open_px[bar] - bars.close_px[bar - 1]), known
        if known < GAP_BARS:
            known += 1
        else:
            place = np.searchsorted(gaps, abs(bars.open_px[bar - GAP_BARS] - bars.close_px[bar - GAP_BARS - 1]))
        while place > 0 and gaps[place - 1] > newest:
            gaps[place] = gaps[place - 1]
            place -= 1
        while place + 1 < known and gaps[place + 1] < newest:
            gaps[place] = gaps[place + 1]
            place += 1
        gaps[place] = newest
        found[bar] = gaps[_rank(known, quantile)]
    return found
