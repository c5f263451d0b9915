"""What a story is about: one seed, a market, and how everything around it behaves."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from palmbot.core.types import BarArrays, Params, RollArrays, StopKind
from palmbot.exchange.market_arrays import START_MS, synthetic_bars, synthetic_sentiment
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.sentiment.timeline import Timeline
from palmbot.simulation.pipe import Conditions
from palmbot.units import MINUTE_MS

# Enters every few bars and leaves in every way: what matters happens often. No way to trade.
LIVELY = Params(
    rsi_period=3,
    rsi_low=40.0,
    rsi_high=60.0,
    sentiment_long=-10.0,
    sentiment_short=10.0,
    warmup_bars=8,
    stop_kind=int(StopKind.ATR),
    atr_period=5,
    sl_atr=1.5,
    tp_atr=2.5,
    trail_atr=1.2,
    max_bars=5,
    risk_fraction=0.003,
    losses_max=4,
    cooldown_ms=10 * MINUTE_MS,
    pause_ms=10 * MINUTE_MS,
    spike_bars=10,
)


class Concern(Enum):
    """What is drawn by chance; each draws from a stream of its own, so that more of one shifts none of the others."""

    MARKET = "market"
    NETWORK = "network"
    FAULTS = "faults"
    CRASH = "crash"
    IDS = "ids"


@dataclass(frozen=True, slots=True)
class Script:
    """A story before it is told.

    ``speed`` is market seconds a second. ``quiet_s`` goes by after the last tick.
    """

    seed: int
    bars: int = 240
    period_ms: int = MINUTE_MS
    speed: float = 10.0
    quiet_s: float = 600.0
    balance_minor: int = 10_000_000
    epoch_ms: int = START_MS  # UTC at the beginning
    spec: InstrumentSpec = PALM_OIL
    params: Params = LIVELY
    conditions: Conditions = field(default_factory=Conditions)

    def rng(self, concern: Concern) -> random.Random:
        """Return the stream of ``concern``, from its beginning."""
        return random.Random(f"{self.seed}:{concern.value}")

    def market(self) -> BarArrays:
        """Return the bars that are traded, SYNTHETIC."""
        return synthetic_bars(self.spec, self._market_seed(), self.bars, self.period_ms)

    def timeline(self) -> Timeline:
        """Return what the news felt like, SYNTHETIC."""
        rows = synthetic_sentiment(self.market(), self._market_seed())
        return Timeline(zip(rows.known_ms.tolist(), rows.score.tolist(), strict=True))

    def _market_seed(self) -> int:
        return self.rng(Concern.MARKET).getrandbits(32)


def no_rolls() -> RollArrays:
    """Return the rolls of a market without any."""
    nothing = np.zeros(0, np.int64)
    return RollArrays(nothing, nothing)
