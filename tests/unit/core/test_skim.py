"""Skipping dull rounds changes nothing but the time it takes."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from tests.oracle.comparison import replayed, seeded
from tests.oracle.worlds import World, int64

from palmbot.core.types import BarArrays, Instrument, Params, RollArrays, SentimentArrays, StopKind
from palmbot.core.world import Outcome, Run
from palmbot.units import HOUR_MS, PX

START_MS = 1_577_923_200_000


def assert_skimming_changes_nothing(world: World, name: object, capacity: int = 1_024) -> Outcome:
    """Hold the skimming replay against the one that plays every round; return its outcome."""
    in_full, tape = replayed(world, capacity=capacity)
    skimmed, short_tape = replayed(world, curve=False, capacity=capacity)
    assert skimmed == in_full, f"world {name}"
    assert np.array_equal(short_tape.events, tape.events), f"world {name}"
    return in_full


def test_skimming_changes_nothing_on_thousands_of_worlds() -> None:
    events = sum(assert_skimming_changes_nothing(world, seed).events for seed, world in seeded(0, 3_000))
    assert events > 10_000


def grainy(rng: Random, world: World) -> World:
    """Return ``world`` with little money and far levels: a minor unit is then worth many steps of price."""
    params = world.run.params._replace(
        daily_loss_bp=rng.choice((0, 300, 800)),
        drawdown_bp=rng.choice((300, 1_000)),
        sl_ppm=200_000,
        tp_ppm=200_000,
        sl_atr=50.0,
        tp_atr=50.0,
        trail_ppm=0,
        trail_atr=0.0,
        rsi_exit=0.0,
        max_bars=0,
        spike_bp=0,
        risk_fraction=10.0,
        sentiment_long=-100.0,
        sentiment_short=100.0,
    )
    step_cu = world.run.instrument.volume_step_cu
    small = {"volume_min_cu": step_cu, "volume_max_cu": 3 * step_cu, "commission_rate": 0}
    instrument = world.run.instrument._replace(**small)
    bars = world.bars._replace(rate_e8=int64([]))
    return world._replace(run=Run(params, instrument), bars=bars, balance_minor=rng.choice((20, 50, 200, 1_000)))


def test_skimming_knows_that_money_is_rounded_and_the_mark_is_not() -> None:
    """Equity meets a limit up to half a minor unit before the mark does, and that may be many steps."""
    trips = 0
    for seed, world in seeded(0, 3_000):
        trips += assert_skimming_changes_nothing(grainy(Random(seed), world), seed).trips
    assert trips > 300


def long_series(seed: int, volatility: float, count: int = 200_000) -> BarArrays:
    """Return hourly bars of a generated walk around 4 000, pulled back so that it stays there."""
    rng = np.random.default_rng(seed)
    noise, drift = rng.normal(0.0, volatility, count), 0.0
    log_price = np.empty(count)
    for index in range(count):
        drift = 0.9995 * drift + noise[index]
        log_price[index] = drift
    close = np.rint(4_000 * np.exp(log_price)).astype(np.int64)
    jumps = np.rint(rng.normal(0.0, 4_000 * volatility, count) * (rng.random(count) < 0.2)).astype(np.int64)
    opens = np.maximum(np.concatenate([close[:1], close[:-1]]) + jumps, 1)
    wings = rng.exponential(4_000 * volatility / 2, (2, count)).astype(np.int64)
    high = np.maximum(opens, close) + wings[0]
    low = np.maximum(np.minimum(opens, close) - wings[1], 1)
    ts_ms = START_MS + np.arange(count, dtype=np.int64) * HOUR_MS
    return BarArrays(ts_ms, ts_ms + HOUR_MS, opens * PX, high * PX, low * PX, close * PX, int64([]))


def scores_for(bars: BarArrays, seed: int) -> SentimentArrays:
    """Return a random score every seven hours."""
    known_ms = bars.end_ms[::7].copy()
    scores = np.array(np.random.default_rng(seed).uniform(-100, 100, known_ms.shape[0]), np.float64)
    return SentimentArrays(known_ms, scores)


PROFILES = {
    "a fade": Params(rsi_low=40.0, rsi_high=60.0, sentiment_long=0.0, sentiment_short=0.0, rearm_after_ms=48 * HOUR_MS),
    "a trend": Params(
        profile=1,
        rsi_low=40.0,
        rsi_high=60.0,
        stop_kind=int(StopKind.ATR),
        sl_atr=4.0,
        tp_atr=8.0,
        trail_atr=4.0,
        max_bars=60,
        daily_loss_bp=100,
        drawdown_bp=500,
        rearm_after_ms=200 * HOUR_MS,
    ),
    "a careless one": Params(profile=1, rsi_high=50.0, rsi_low=10.0, drawdown_bp=0, sl_ppm=60_000, tp_ppm=80_000),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("volatility", [0.001, 0.003, 0.01])
def test_skimming_changes_nothing_on_a_long_series(profile: str, volatility: float) -> None:
    bars = long_series(11, volatility)
    instrument = Instrument(spread=PX, slippage=PX // 2, swap_long=-(10**9), swap_short=-(10**9))
    none = int64([])
    world = World(Run(PROFILES[profile], instrument), 10_000_000, bars, RollArrays(none, none), scores_for(bars, 3))
    assert assert_skimming_changes_nothing(world, profile, capacity=100_000).trades > 20
