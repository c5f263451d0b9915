"""The bare job in vectorbt: every combination a column of one call, orders at the open after the signal.

Its stops are not looked at in the bar of the entry: there a trade may end later than elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import vectorbt


def run(prices: Any, rsi: Any, combinations: Sequence[Sequence[float]]) -> list[int]:  # noqa: ANN401 - NumPy's, untyped
    """Return how many trades each combination closes."""
    opens, highs, lows, closes = (row[:, None] for row in prices)
    table = np.array(combinations)
    long, short = (np.zeros((len(closes), len(table)), bool) for _ in range(2))
    long[1:], short[1:] = rsi[:-1, None] < table[:, 0], rsi[:-1, None] > table[:, 1]
    found = vectorbt.Portfolio.from_signals(
        closes,
        entries=long,
        short_entries=short,
        exits=False,
        short_exits=False,
        size=1.0,
        price=opens,
        open=opens,
        high=highs,
        low=lows,
        sl_stop=table[:, 3][None, :],
        tp_stop=table[:, 2][None, :],
        stop_entry_price="fillprice",
        upon_opposite_entry="ignore",
        init_cash=1e9,
        freq="1min",
    )
    return [int(count) for count in np.atleast_1d(found.trades.closed.count())]
