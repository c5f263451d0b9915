"""SYNTHETIC worlds for holding two replays against each other: a few dozen bars with everything that is awkward.

Prices are coarse (few steps) on purpose, so that a level is often touched, or missed by one step, exactly.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np

from palmbot.core.types import BarArrays, Instrument, Params, RollArrays, SentimentArrays
from palmbot.core.world import Run

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START_MS = 1_577_923_200_000  # Thursday 2020-01-02: a weekend is never far
PERIODS_MS = (MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS)
LOT_MAX_CU = 10**10  # a hundred million units
WITHIN_A_BAR_MS = (0, 0, 7_000, 15_000, 20_000, 40_000, 45_000, 50_000)


class World(NamedTuple):
    """The arguments of one replay, but for the tape."""

    run: Run
    balance_minor: int
    bars: BarArrays
    rolls: RollArrays
    rows: SentimentArrays


def int64(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return ``values`` as the core takes them."""
    return np.array(values, np.int64)


def chance(rng: Random, percent: int) -> bool:
    """Return True in ``percent`` of a hundred draws."""
    return rng.randrange(100) < percent


def stamps(rng: Random, period_ms: int, count: int) -> list[tuple[int, int]]:
    """Return ``(first tick, end of bucket)`` of bars with holes between them; some open late in their bucket."""
    offset_ms = rng.choice((0, 0, 0, period_ms // 2 // MINUTE_MS * MINUTE_MS))
    start_ms = START_MS + rng.randrange(7) * DAY_MS
    holes = rng.choice((0, 10, 30))
    found, bucket = [], 0
    for _ in range(count):
        bucket += rng.choice((2, 3, 10, 40)) if chance(rng, holes) else 1
        begin_ms = start_ms + bucket * period_ms
        found.append((begin_ms + offset_ms, begin_ms + period_ms))
    return found


def prices(rng: Random, count: int) -> list[tuple[int, int, int, int]]:
    """Return open, high, low and close in steps."""
    last = rng.choice((120, 400, 400, 4_000, 40_000))
    per_mille = rng.choice((2, 5, 10, 20))
    gaps = rng.choice((0, 20, 60))
    found = []
    for _ in range(count):
        reach = max(1, last * per_mille // 1_000)
        opened = last
        if chance(rng, gaps):
            opened += rng.randint(-3 * reach, 3 * reach) * (rng.choice((2, 5)) if chance(rng, 20) else 1)
        opened = max(opened, 20)
        if chance(rng, 10):
            found.append((opened, opened, opened, opened))
            last = opened
            continue
        close = max(opened + rng.randint(-reach, reach), 20)
        high = max(opened, close) + rng.randint(0, reach)
        low = max(min(opened, close) - rng.randint(0, reach), 10)
        found.append((opened, high, low, close))
        last = close
    return found


def instrument_of(rng: Random, step_px: int, price_px: int, at_ms: int) -> Instrument:
    """Return an instrument whose costs are of the order of the steps and whose boundaries fall on or into bars."""
    tenth = max(1, price_px // step_px // 1_000)
    spread_kind, slippage_kind = rng.randrange(2), rng.randrange(2)
    money_digits = rng.choice((0, 2, 2, 2, 2, 3, 5))
    worth_minor = rng.choice((20, 1_000, 1_000, 30_000))  # of one volume step at the first price
    volume_step = max(1, worth_minor * 10**7 // (price_px * 10**money_digits))
    lot_cu = max(volume_step, min(volume_step * rng.choice((1, 10, 100)), LOT_MAX_CU))
    commission_kind = rng.randrange(3)
    lot_value = price_px * lot_cu * 10  # a lot's worth in 1e-8 of the quote currency
    percent_rate = rng.choice((3_250, 10_000, 80_000, 200_000, 1))  # percent x 10^5
    commission_rate = percent_rate if commission_kind == 2 else lot_value * percent_rate // 10_000_000 // 100 * 100
    swap_kind = rng.randrange(2)
    swap_scale = price_px * 100 if swap_kind == 0 else 10_000_000  # price x 10^10 x 0.1 %; percent x 10^5 x 100
    swaps = chance(rng, 50)
    charged = chance(rng, 70)
    return Instrument(
        step_px=step_px,
        money_digits=money_digits,
        lot_cu=lot_cu,
        volume_step_cu=volume_step,
        volume_min_cu=volume_step * rng.choice((1, 1, 3)),
        volume_max_cu=volume_step * rng.choice((5, 1_000, 10**6)),
        leverage=rng.choice((1, 3, 20, 100)),
        spread_kind=spread_kind,
        spread=rng.choice((0, 0, 1, 2, 8)) * tenth * step_px if spread_kind == 0 else rng.choice((0, 300, 3_000)),
        slippage_kind=slippage_kind,
        slippage=rng.choice((0, 1, 2)) * tenth * step_px // 2 if slippage_kind == 0 else rng.choice((0, 100, 2_500)),
        commission_kind=commission_kind,
        commission_rate=commission_rate if charged else 0,
        commission_min_minor=rng.choice((0, 0, 0, 3)),
        conversion_fee_bp=rng.choice((0, 0, 50, 1_000)),
        sl_min_px=rng.choice((0, 0, 0, 3)) * tenth * step_px,
        tp_min_px=rng.choice((0, 0, 0, 5)) * tenth * step_px,
        swap_kind=swap_kind,
        swap_long=rng.choice((-3, -1, 1)) * swap_scale // 10 if swaps else 0,
        swap_short=rng.choice((-3, -1, 2)) * swap_scale // 10 if swaps else 0,
        swap_time_ms=(at_ms + rng.choice(WITHIN_A_BAR_MS)) % DAY_MS,
        swap_period_ms=rng.choice((HOUR_MS, 8 * HOUR_MS, DAY_MS, DAY_MS)),
        swap_triple_weekday=rng.randrange(5),
        day_start_ms=(at_ms + rng.choice(WITHIN_A_BAR_MS)) % DAY_MS,
    )


def params_of(rng: Random, period_ms: int) -> Params:
    """Return a profile that trades often and breakers that trip often."""
    stop_kind = rng.randrange(2)
    trails = chance(rng, 50)
    fades, sentimental = chance(rng, 60), chance(rng, 50)
    return Params(
        profile=0 if fades else 1,
        rsi_period=rng.choice((2, 3, 5)),
        rsi_low=rng.choice((30.0, 45.0, 50.0)),
        rsi_high=rng.choice((50.0, 55.0, 70.0)),
        rsi_exit=rng.choice((0.0, 0.0, 60.0, 50.0)) if fades else rng.choice((0.0, 0.0, 40.0, 50.0)),
        sentiment_long=30.0 if sentimental else -100.0,
        sentiment_short=-30.0 if sentimental else 100.0,
        sentiment_max_age_ms=rng.choice((1, 3, 10)) * period_ms,
        allow_short=rng.choice((1, 1, 1, 0)),
        warmup_bars=rng.choice((2, 4, 8)),
        atr_period=rng.choice((1, 2, 5)),
        stop_kind=stop_kind,
        sl_ppm=rng.choice((1_000, 5_000, 15_000, 30_000, 60_000)),
        tp_ppm=rng.choice((2_500, 5_000, 20_000, 60_000)),
        trail_ppm=rng.choice((3_000, 10_000)) if trails and stop_kind == 0 else 0,
        sl_atr=rng.choice((0.5, 1.0, 3.0, 6.0)),
        tp_atr=rng.choice((0.5, 1.5, 6.0)),
        trail_atr=rng.choice((0.7, 2.0)) if trails and stop_kind == 1 else 0.0,
        max_bars=rng.choice((0, 0, 1, 2, 6)),
        decision_ttl_ms=rng.choice((0, 0, 0, 1, 2 * period_ms)),
        open_gap_max_bp=rng.choice((0, 0, 20, 300)),
        risk_fraction=rng.choice((0.005, 0.02, 0.1, 0.3, 2.0, 5.0)),
        exposure_max=rng.choice((0.5, 3.0, 50.0)),
        margin_share=rng.choice((0.5, 1.0, 2.0)),
        daily_loss_bp=rng.choice((0, 30, 30, 150, 500)),
        drawdown_bp=rng.choice((0, 0, 100, 500, 2_500)),
        rearm_after_ms=rng.choice((0, 1, 5 * period_ms)),
        losses_max=rng.choice((0, 1, 2, 3)),
        cooldown_ms=rng.choice((1, 3)) * period_ms,
        spike_bp=rng.choice((0, 0, 100, 300)),
        spike_bars=rng.choice((1, 1, 3)),
        pause_ms=rng.choice((1, 4)) * period_ms,
    )


def sentiment_of(rng: Random, bars: list[tuple[int, int]]) -> SentimentArrays:
    """Return rows on, just after and around the ends of bars, with ties; none before the first few bars."""
    rows: list[tuple[int, float]] = []
    for _, end_ms in bars[rng.randrange(8) :]:
        if chance(rng, 60):
            known_ms = end_ms + rng.choice((-1_000, 0, 0, 1, 30_000))
            rows.append((known_ms, float(rng.choice((-80, -80, -30, 30, 31, 80, 80)))))
            if chance(rng, 20):
                rows.append((known_ms, float(rng.choice((-80, 80)))))
    rows.sort(key=lambda row: row[0])
    return SentimentArrays(int64([known for known, _ in rows]), np.array([score for _, score in rows], np.float64))


def rates_of(rng: Random, count: int) -> list[int]:
    """Return quote-to-deposit rates a bar: none known at first in some worlds."""
    rate = rng.choice((22_345_678, 100_000_000, 447_120_000, 15_600_000_000))
    unknown = rng.choice((0, 0, 12))
    found = []
    for index in range(count):
        rate += rate * rng.randint(-3, 3) // 1_000
        found.append(0 if index < unknown else rate)
    return found


def world_of(rng: Random, bars_max: int = 60) -> World:
    """Return one world; the same state of ``rng`` gives the same world."""
    count = rng.randint(12, bars_max)
    period_ms = rng.choice(PERIODS_MS)
    step_px = 10 ** rng.randrange(6)
    times = stamps(rng, period_ms, count)
    path = prices(rng, count)
    boundary_ms = rng.choice(rng.choice(times))
    instrument = instrument_of(rng, step_px, path[0][0] * step_px, boundary_ms)
    params = params_of(rng, period_ms)
    rates = rates_of(rng, count) if chance(rng, 30) else []
    opens, highs, lows, closes = (int64([bar[column] * step_px for bar in path]) for column in range(4))
    stamped = (int64([ts for ts, _ in times]), int64([end for _, end in times]))
    bars = BarArrays(stamped[0], stamped[1], opens, highs, lows, closes, int64(rates))
    rolls: list[tuple[int, int]] = []
    if chance(rng, 40):
        at_ms = sorted(rng.choice(times)[0] + rng.choice(WITHIN_A_BAR_MS) for _ in range(2))
        rolls = [(ts, rng.randint(-20, 20) * step_px) for ts in at_ms]
    # enough money for some steps of volume at the stop, or just not enough
    step_worth = path[0][0] * step_px * instrument.volume_step_cu * 10**instrument.money_digits // 10**7
    step_worth = step_worth * (rates[-1] if rates else 10**8) // 10**8
    balance = max(50, step_worth * rng.choice((1, 10, 10, 50, 300)) // rng.choice((1, 1, 10)))
    return World(
        Run(params, instrument),
        balance,
        bars,
        RollArrays(int64([ts for ts, _ in rolls]), int64([gap for _, gap in rolls])),
        sentiment_of(rng, times),
    )
