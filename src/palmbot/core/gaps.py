"""Open gaps: how far a bar opens from the close before it, and how wide they have been (PARITY 39).

The gaps of a decision are those of the bar that it is made on and of the bars before it, ``GAP_BARS`` at most. Their
quantile is one of them: the smallest that at least this share of them do not exceed.
"""

from __future__ import annotations

import math

import numpy as np

from palmbot.core.compiled import compiled
from palmbot.core.types import BarArrays, Int64Array

GAP_BARS = 250


@compiled
def quantile_px(gaps_px: Int64Array, quantile: float) -> int:
    """Return the ``quantile`` (0 < quantile <= 1) of ``gaps_px``, shape ``(n,)``; 0 when there are none."""
    count = gaps_px.shape[0]
    if count == 0:
        return 0
    return int(np.sort(gaps_px)[min(max(math.ceil(quantile * count), 1), count) - 1])


@compiled
def past_px(bars: BarArrays, index: int, quantile: float) -> int:
    """Return the ``quantile`` of the open gaps that a decision on bar ``index`` knows, in px."""
    first = max(1, index - GAP_BARS + 1)
    return quantile_px(np.abs(bars.open_px[first : index + 1] - bars.close_px[max(first - 1, 0) : index]), quantile)
