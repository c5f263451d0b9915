"""``replay`` with everything on against a bare compiled RSI + stop/target loop on the same SYNTHETIC bars.

Aim: at most 4 x. Both run in turn, the least of many rounds counts, so that a busy machine disturbs both alike. Two
series: a plain random walk, and the generated market, which is built to give signals and trades three times as often.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.bare import bare_loop
from palmbot.core.replay import replay
from palmbot.core.tape import new_tape
from palmbot.core.types import BarArrays, Instrument, Params, RollArrays
from palmbot.core.world import Outcome, Run
from palmbot.exchange.market_arrays import START_MS, synthetic_bars, synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.units import MINUTE_MS, PX

BARS = 1_000_000
ROUNDS = 30
# Small risk and no halt for good: a ruined or halted account would leave the rest untraded, and fast.
ON = Params(risk_fraction=0.0005, spike_bars=60, max_bars=5_000, drawdown_bp=9_000)
COSTS = Instrument(swap_kind=1, swap_long=-300_000, swap_short=100_000, volume_step_cu=1, volume_min_cu=1)


def timed(function: Callable[[], object]) -> float:
    """Return how many seconds ``function`` took."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def walk() -> BarArrays:
    """Return a random walk of minutes without gaps or sessions."""
    rng = np.random.default_rng(1)
    close_px = np.round(4_000 * np.exp(np.cumsum(rng.normal(0.0, 0.0007, BARS)))).astype(np.int64) * PX
    open_px = np.concatenate((close_px[:1], close_px[:-1]))
    high_px = np.maximum(open_px, close_px) + rng.integers(0, 3, BARS) * PX
    low_px = np.minimum(open_px, close_px) - rng.integers(0, 3, BARS) * PX
    ts_ms = START_MS + np.arange(BARS) * MINUTE_MS
    return BarArrays(ts_ms, ts_ms + MINUTE_MS, open_px, high_px, low_px, close_px, np.zeros(0, np.int64))


def measure() -> dict[str, Any]:
    """Return nanoseconds a bar of both loops, and their ratio, on both series."""
    market = synthetic_bars(PALM_OIL, 1, BARS, MINUTE_MS)
    return {"bars": BARS, "aim": "ratio at most 4", "walk": _compared(walk()), "market": _compared(market)}


def _compared(bars: BarArrays) -> dict[str, float]:
    sentiment = synthetic_sentiment(bars, 1)
    none = np.zeros(0, np.int64)
    rolls = RollArrays(none, none)
    prices = (bars.open_px / PX, bars.high_px / PX, bars.low_px / PX, bars.close_px / PX)
    tape, run = new_tape(1_000_000, 0), Run(ON, COSTS)

    def bare() -> tuple[int, float]:
        return bare_loop(prices, 14, (30.0, 70.0), (0.02, 0.015), 2.5)

    def full() -> Outcome:
        return replay(run, 10_000_000, bars, rolls, sentiment, tape)

    (trades, _profit), outcome = bare(), full()
    rounds = [(timed(bare), timed(full)) for _ in range(ROUNDS)]
    bare_s, full_s = min(each[0] for each in rounds), min(each[1] for each in rounds)
    return {
        "bare_ns_a_bar": round(bare_s / BARS * 1e9, 2),
        "replay_ns_a_bar": round(full_s / BARS * 1e9, 2),
        "ratio": round(full_s / bare_s, 2),
        "bare_trades": trades,
        "replay_trades": outcome.trades,
        "replay_refusals": outcome.refusals,
        "replay_trips": outcome.trips,
    }
