"""The yardstick of replay and sweep: RSI, a market entry, a stop and a target over floats, and nothing else."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Prices = NDArray[np.float64]


@njit(cache=False)
def bare_loop(  # noqa: C901 - one loop on purpose: it is the yardstick
    prices: tuple[Prices, Prices, Prices, Prices],
    period: int,
    thresholds: tuple[float, float],
    levels: tuple[float, float],
    cost: float,
) -> tuple[int, float]:
    """Return trades and profit in points of one pass over ``prices`` = (open, high, low, close).

    A signal at a close enters at the next open, its levels as far away as shares of that close (PARITY 36); stop before
    target; a level passed at the open fills there.
    """
    opens, highs, lows, closes = prices
    low, high = thresholds
    target, stop = levels
    weight, keep = 1.0 / period, 1.0 - 1.0 / period
    gain = loss = profit = entry = upper = lower = 0.0
    side = pending = trades = 0
    for i in range(len(closes)):
        if pending != 0:
            side, pending, entry = pending, 0, opens[i]
            upper = entry + closes[i - 1] * (target if side > 0 else stop)
            lower = entry - closes[i - 1] * (stop if side > 0 else target)
        if side != 0:
            left = 0.0
            first_up = side < 0
            if first_up and highs[i] >= upper:
                left = max(opens[i], upper)
            elif lows[i] <= lower:
                left = min(opens[i], lower)
            elif highs[i] >= upper:
                left = max(opens[i], upper)
            if left != 0.0:
                profit += side * (left - entry) - 2.0 * cost
                trades += 1
                side = 0
        if i > 0:
            change = closes[i] - closes[i - 1]
            up, down = max(change, 0.0), max(-change, 0.0)
            if i <= period:
                gain += up * weight
                loss += down * weight
            else:
                gain = gain * keep + up * weight
                loss = loss * keep + down * weight
            if side == 0 and i >= period and gain + loss > 0.0:
                rsi = 100.0 * gain / (gain + loss)
                if rsi < low:
                    pending = 1
                elif rsi > high:
                    pending = -1
    return trades, profit
