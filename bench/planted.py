"""SYNTHETIC series whose truth is known: random walks, and walks in which RSI truly tells what comes next.

A walk moves in steps, several a bar, so that its highs and lows are those of one path. In a planted series a close with
RSI beyond a threshold begins a spell: from the next open on the walk drifts against the stretch, until it has reached
the target or the stop of `BASE`. The drift is such that a trade of `BASE` wins as often as the wanted profit factor
needs, costs paid; nothing else of the walk can be foreseen. How much it varies may come in moods, as on real markets.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from palmbot.core.compiled import compiled
from palmbot.core.indicators import rsi, update
from palmbot.core.types import (
    BarArrays,
    Float64Array,
    Indicators,
    Instrument,
    Int64Array,
    Params,
    RollArrays,
    SentimentArrays,
)
from palmbot.instruments import PALM_OIL
from palmbot.research.result import DataSet
from palmbot.research.store import fingerprint
from palmbot.units import HOUR_MS, PX

STEPS = 16  # of a bar; the first is its gap
START_MS = 1_704_672_000_000  # Monday 2024-01-08 00:00 UTC
START_PRICE = 4_000.0
BALANCE_MINOR = 100_000_000
MEMORY = 0.97  # of moods, from bar to bar
OVERSHOOT = 0.5826  # how far a walk is beyond a level when it is first seen there, in standard deviations of a step

# Costs of the built-in instrument at its usual price, in percent: a long walk goes far from where it began.
COSTS = Instrument(spread_kind=1, spread=500, slippage_kind=1, slippage=125, commission_kind=2, commission_rate=2_500)
STEP_PX = COSTS.step_px
# The original profile with RSI alone: one old row of sentiment permits everything for ever.
BASE = Params(rsi_low=35.0, rsi_high=65.0, sentiment_long=-101.0, sentiment_short=101.0, sentiment_max_age_ms=1 << 60)
RSI_PERIOD, RSI_LOW, RSI_HIGH = BASE.rsi_period, BASE.rsi_low, BASE.rsi_high


class Spell(NamedTuple):
    """How a walk moves in a spell, in log price towards the target of a trade.

    Attributes:
        target, stop: how far it ends from its open, > 0.
        pull: drift of a step, in its variance; 0 plants nothing.
    """

    target: float
    stop: float
    pull: float


class Law(NamedTuple):
    """How a walk moves.

    Attributes:
        long, short: spells after RSI was low, and after it was high.
        drift: of a step at all times, in log price.
    """

    long: Spell
    short: Spell
    drift: float


def walk(
    count: int,
    seed: int,
    *,
    volatility: float = 0.006,
    moods: float = 0.0,
    drift: float = 0.0,
    period_ms: int = HOUR_MS,
) -> BarArrays:
    """Return ``count`` bars of a random walk.

    Args:
        count: of bars.
        seed: equal seeds give equal bars.
        volatility: standard deviation of a bar's log move.
        moods: standard deviation of the logarithm of that; moods last for a few dozen bars.
        drift: of a bar, in log price.
        period_ms: of a bar; there are no sessions.
    """
    law = Law(Spell(0.0, 0.0, 0.0), Spell(0.0, 0.0, 0.0), drift / STEPS)
    return _dated(_bars(count, seed, law, volatility, moods), period_ms)


def planted(
    count: int,
    seed: int,
    profit_factor: float = 1.6,
    *,
    volatility: float = 0.006,
    moods: float = 0.0,
    period_ms: int = HOUR_MS,
) -> BarArrays:
    """Return ``count`` bars in which trades of `BASE` under `COSTS` have about this profit factor; else as `walk`.

    There are some 44 trades in 1,000 bars, at this volatility.
    """
    overshoot = OVERSHOOT * volatility / math.sqrt(STEPS)
    law = Law(_spell(1, profit_factor, overshoot), _spell(-1, profit_factor, overshoot), 0.0)
    return _dated(_bars(count, seed, law, volatility, moods), period_ms)


def data_of(bars: BarArrays, name: str = "SYNTHETIC") -> DataSet:
    """Return ``bars`` as the loader would, with `COSTS` and the sentiment that `BASE` asks for."""
    none = np.zeros(0, np.int64)
    return DataSet(
        name=name,
        spec=replace(PALM_OIL, core=COSTS),
        period_ms=int(bars.end_ms[0] - bars.ts_ms[0]),
        adjustment="none",
        bars=bars,
        rolls=RollArrays(none, none),
        sentiment=SentimentArrays(bars.ts_ms[:1] - 1, np.zeros(1)),
        rows_read=bars.ts_ms.shape[0],
        rows_outside_session=0,
        notes=(),
        fingerprint=fingerprint(bars),
        synthetic=True,
    )


def pull_of(win_rate: float, up: float, down: float) -> float:
    """Return the drift, in variances, at which a walk reaches ``up`` before ``-down`` with ``win_rate``.

    With twice that drift t, the gambler's ruin of a walk with drift: (1 - exp(-t down)) / (1 - exp(-t (up + down))).
    """
    low, high = -100.0 / (up + down), 100.0 / (up + down)
    for _ in range(80):
        middle = (low + high) / 2.0
        reached = math.expm1(-middle * down) / math.expm1(-middle * (up + down)) if middle else down / (up + down)
        low, high = (middle, high) if reached < win_rate else (low, middle)
    return (low + high) / 4.0


def _spell(side: int, profit_factor: float, overshoot: float) -> Spell:
    """Return a spell in which trades of `BASE` on ``side`` have this profit factor under `COSTS`."""
    spread, slippage, commission = COSTS.spread / 1e6, COSTS.slippage / 1e6, COSTS.commission_rate / 1e7
    target, stop = BASE.tp_ppm / 1e6, BASE.sl_ppm / 1e6
    odds = profit_factor * (stop + slippage + 2.0 * commission) / (target - 2.0 * commission)
    # the bid has to go further to the target than the trade, and less far to the stop
    up = side * math.log1p(side * (target + spread + slippage))
    down = -side * math.log1p(-side * (stop - spread - slippage))
    return Spell(up, down, pull_of(odds / (1.0 + odds), up + overshoot, down + overshoot))


def _dated(prices: Int64Array, period_ms: int) -> BarArrays:
    ts_ms = START_MS + np.arange(prices.shape[1], dtype=np.int64) * period_ms
    opens, highs, lows, closes = prices
    return BarArrays(ts_ms, ts_ms + period_ms, opens, highs, lows, closes, np.zeros(0, np.int64))


def _bars(count: int, seed: int, law: Law, volatility: float, moods: float) -> Int64Array:
    """Return the prices of a walk by ``law``, shape (4, count): opens, highs, lows, closes."""
    rng = np.random.default_rng(seed)
    deviations = np.full(count, volatility / math.sqrt(STEPS))
    if moods > 0.0:
        deviations *= np.exp(moods * _moods(rng.standard_normal(count)))
    prices = np.empty((4, count), np.int64)
    _write(rng.standard_normal((count, STEPS)) * deviations[:, np.newaxis], np.square(deviations), law, prices)
    return prices


@compiled
def _moods(news: Float64Array) -> Float64Array:
    """Return an autoregression of order one with standard deviation 1, shape (n,)."""
    moods = news.copy()
    for bar in range(1, news.shape[0]):
        moods[bar] = MEMORY * moods[bar - 1] + math.sqrt(1.0 - MEMORY * MEMORY) * news[bar]
    return moods


@compiled
def _write(steps: Float64Array, variances: Float64Array, law: Law, prices: Int64Array) -> None:
    """Walk ``steps``, whose variances are given by bar, and fill ``prices`` (4, n): opens, highs, lows, closes."""
    running = Indicators(0, 0.0, 0.0, 0.0, 0.0)
    at, side, top, bottom, is_new = 0.0, 0, 0.0, 0.0, False
    for bar in range(steps.shape[0]):
        spell = law.long if side > 0 else law.short
        highest, lowest, opened = -1e9, 1e9, 0.0
        for step in range(STEPS):
            at += law.drift + steps[bar, step]
            if side != 0 and not is_new:
                at += side * spell.pull * variances[bar]
            highest, lowest = max(highest, at), min(lowest, at)
            if step == 0:
                opened = at
                if is_new:
                    top = at + (spell.target if side > 0 else spell.stop)
                    bottom = at - (spell.stop if side > 0 else spell.target)
                    is_new = False
            if side != 0 and (at >= top or at <= bottom):
                side = 0
        for row, value in enumerate((opened, highest, lowest, at)):
            prices[row, bar] = max(1, round(START_PRICE * math.exp(value) * PX / STEP_PX)) * STEP_PX
        running = update(running, prices[1, bar], prices[2, bar], prices[3, bar], (RSI_PERIOD, 0))
        if law.long.pull != 0.0 and side == 0 and running.bars > RSI_PERIOD:
            value = rsi(running)
            side = 1 if value < RSI_LOW else (-1 if value > RSI_HIGH else 0)
            is_new = side != 0
