"""The bare job in backtesting.py: market orders at the next open, stop and target measured from that open."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

warnings.simplefilter("ignore")


class Bare(Strategy):  # type: ignore[misc] # the peer has no types
    """One position at a time; the next open is told beforehand, so that levels can be set from it."""

    low, high, target, stop = 30.0, 70.0, 0.02, 0.015

    def init(self) -> None:
        """Keep what all combinations share."""
        self.rsi = self.data.df["Rsi"].to_numpy()
        self.entry = self.data.df["Next"].to_numpy()

    def next(self) -> None:
        """Enter by the close of a bar."""
        bar = len(self.data) - 1
        entry = self.entry[bar]
        if self.position or np.isnan(entry):
            return
        if self.rsi[bar] < self.low:
            self.buy(size=1, sl=entry * (1 - self.stop), tp=entry * (1 + self.target))
        elif self.rsi[bar] > self.high:
            self.sell(size=1, sl=entry * (1 + self.stop), tp=entry * (1 - self.target))


def run(prices: Any, rsi: Any, combinations: Sequence[Sequence[float]]) -> list[int]:  # noqa: ANN401 - NumPy's, untyped
    """Return how many trades each combination closes."""
    frame = pd.DataFrame(prices.T, columns=["Open", "High", "Low", "Close"])
    frame.index = pd.date_range("2024-01-01", periods=len(frame), freq="min")
    frame["Rsi"], frame["Next"] = rsi, frame["Open"].shift(-1)
    test, names = Backtest(frame, Bare, cash=1e9), ("low", "high", "target", "stop")
    return [int(test.run(**dict(zip(names, each, strict=True)))["# Trades"]) for each in combinations]
