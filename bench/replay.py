"""``replay`` with everything on against a bare compiled RSI + stop/target loop on the same SYNTHETIC bars.

Aim: at most 4 x. Both run in turn, the least of many rounds counts, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.bare import bare_loop
from palmbot.core.replay import replay
from palmbot.core.tape import new_tape
from palmbot.core.types import Instrument, Params, RollArrays
from palmbot.core.world import Run
from palmbot.exchange.market_arrays import synthetic_bars, synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.units import MINUTE_MS, PX

BARS = 1_000_000
ROUNDS = 30
ON = Params(
    sentiment_long=5.0,
    sentiment_short=-5.0,
    spike_bars=60,
    max_bars=5_000,
    daily_loss_bp=500,
    drawdown_bp=9_000,  # a halt for good would leave the rest of the series untraded, and fast
    rearm_after_ms=1,
)
SWAP = Instrument(swap_kind=1, swap_long=-300_000, swap_short=100_000)  # -3 % and +1 % a year


def least(function: Callable[[], Any], seconds: list[float]) -> Any:
    """Run ``function``, note how long it took, return what it returned."""
    begun = time.perf_counter()
    result = function()
    seconds.append(time.perf_counter() - begun)
    return result


def measure() -> dict[str, Any]:
    """Return nanoseconds a bar of both and their ratio."""
    bars = synthetic_bars(PALM_OIL, 1, BARS, MINUTE_MS)
    sentiment = synthetic_sentiment(bars, 1)
    none = np.zeros(0, np.int64)
    rolls = RollArrays(none, none)
    prices = tuple((column / PX) for column in (bars.open_px, bars.high_px, bars.low_px, bars.close_px))
    tape, run = new_tape(200_000, 0), Run(ON, SWAP)

    def bare() -> Any:
        return bare_loop(prices, 14, (30.0, 70.0), (0.02, 0.015), 2.5)

    def full() -> Any:
        return replay(run, 10_000_000, bars, rolls, sentiment, tape)

    bare(), full()
    bare_s: list[float] = []
    full_s: list[float] = []
    for _ in range(ROUNDS):
        trades, _profit = least(bare, bare_s)
        outcome = least(full, full_s)
    return {
        "bars": BARS,
        "bare_ns_a_bar": round(min(bare_s) / BARS * 1e9, 2),
        "replay_ns_a_bar": round(min(full_s) / BARS * 1e9, 2),
        "ratio": round(min(full_s) / min(bare_s), 2),
        "aim": "at most 4",
        "bare_trades": trades,
        "replay_trades": outcome.trades,
        "replay_refusals": outcome.refusals,
        "replay_trips": outcome.trips,
    }
