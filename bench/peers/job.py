"""``python job.py PEER BARS.npy COMBINATIONS``: run the bare job in one peer, in an environment of the peer's own.

Prints the seconds and how many trades each combination closed. RSI is worked out here and is not in the time.
"""

from __future__ import annotations

import importlib
import json
import sys
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

WARM_BARS = 2_000
WARM_COMBINATIONS = 2


def rsi(closes: NDArray[np.float64], period: int = 14) -> NDArray[np.float64]:
    """Return Wilder's RSI from sums that begin at nought, shape (n,); NaN where it is not known yet."""
    values, gain, loss = np.full(len(closes), np.nan), 0.0, 0.0
    for index, change in enumerate(np.diff(closes).tolist(), 1):
        keep = 1.0 if index <= period else 1.0 - 1.0 / period
        gain, loss = gain * keep + max(change, 0.0) / period, loss * keep + max(-change, 0.0) / period
        if index >= period and gain + loss > 0.0:
            values[index] = 100.0 * gain / (gain + loss)
    return values


def main(peer: str, file: str, combinations: str) -> None:
    """Run the job and print ``{"seconds": ..., "trades": [...]}``."""
    run, wanted = importlib.import_module(f"{peer}_peer").run, json.loads(combinations)
    prices = np.load(file)
    values = rsi(prices[3])
    run(prices[:, :WARM_BARS].copy(), values[:WARM_BARS], wanted[:WARM_COMBINATIONS])  # compile and import
    begun = perf_counter()
    trades = run(prices, values, wanted)
    print(json.dumps({"seconds": perf_counter() - begun, "trades": trades}))


if __name__ == "__main__":
    main(*sys.argv[1:])
