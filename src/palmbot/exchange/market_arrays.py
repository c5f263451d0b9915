"""The generated market over arrays: history before the first tick, and long series for tests and benches. SYNTHETIC.

The law is that of ``swings``, walked in steps of one to thirty open minutes; only the mood, read every 45 minutes or
so, is a Python loop. Random numbers come from NumPy, so a series is the same for one NumPy version and one machine.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from palmbot.calendar import bucket_end, bucket_start, next_open, open_spans
from palmbot.core.types import BarArrays, Float64Array, Int64Array, SentimentArrays
from palmbot.errors import ConfigError
from palmbot.exchange.market import MarketState, SentimentRow, rounded_px, tick_size
from palmbot.exchange.swings import (
    QUIET_SHARE,
    Mood,
    Swing,
    after_move,
    after_reading,
    gap_scale,
    hint_log,
    late_news_ms,
    lean,
    liveliness,
    new_swing,
    reading_gap_ms,
    score_of,
    tempo_of,
)
from palmbot.instruments import InstrumentSpec
from palmbot.model import HistoryBar
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

START_MS = int(datetime(2024, 1, 8, tzinfo=UTC).timestamp()) * 1000  # a Monday
STEPS_A_BAR = 12  # at least, where a minute allows
STEP_MINUTES = (30, 15, 10, 5, 2, 1)
FLAT_SHARE = 0.003  # of the bars of a test series have no range at all
DRAWS_MAX = 48  # histories drawn until one ends stretched
RIPE_LEAN = 0.6  # RSI near 80 or 20


class _Grid(NamedTuple):
    """Steps of open time, arrays of shape ``(steps,)``; ``first`` and ``bar`` relate them to bars."""

    minutes: int  # of a step
    ts_ms: Int64Array
    opened_ms: Int64Array  # of the session the step is in
    noise: Float64Array  # standard deviation of its move, in a minute's volatility
    jump: Float64Array  # the same of the jump before it; 0 inside a session
    first: Int64Array  # shape (bars,): first step of each bar
    bar: Int64Array  # shape (steps,): index of its bar


class _Path(NamedTuple):
    """A walk over a grid: log prices of shape ``(steps,)`` and what the market is after it."""

    opens: Float64Array
    highs: Float64Array
    lows: Float64Array
    closes: Float64Array
    swing: Swing
    mood: Mood


def _spans(spec: InstrumentSpec, from_ms: int, to_ms: int, period_ms: int) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return start and end of the open spans, and how many bars have begun by each span's end."""
    spans = np.array(list(open_spans(from_ms, to_ms, spec.session)), dtype=np.int64).reshape(-1, 2)
    first = bucket_start(spans[:, 0], period_ms, spec.day_start_ms)
    last = bucket_start(spans[:, 1] - 1, period_ms, spec.day_start_ms)
    shared = np.zeros(len(spans), dtype=np.int64)
    shared[1:] = first[1:] == last[:-1]  # sessions that meet in one bar
    return spans[:, 0], spans[:, 1], np.cumsum((last - first) // period_ms + 1 - shared)


def _grid(spec: InstrumentSpec, starts_ms: Int64Array, ends_ms: Int64Array, period_ms: int) -> _Grid:
    minutes = next(size for size in STEP_MINUTES if size == 1 or size * STEPS_A_BAR * MINUTE_MS <= period_ms)
    step_ms = minutes * MINUTE_MS
    counts = -(-(ends_ms - starts_ms) // step_ms)
    begins = np.cumsum(counts) - counts  # index of each span's first step
    opened_ms = np.repeat(starts_ms, counts)
    ts_ms = opened_ms + (np.arange(counts.sum()) - np.repeat(begins, counts)) * step_ms
    # the U repeats from session to session: it is computed once for each length
    noise = np.empty(len(ts_ms))
    for length in np.unique(counts).tolist():
        at = np.arange(length) * minutes
        shape = [liveliness(since, length * minutes - since) * math.sqrt(minutes) for since in at.tolist()]
        rows = begins[counts == length]
        noise[rows[:, np.newaxis] + np.arange(length)] = shape
    jump = np.zeros(len(ts_ms))
    closed = (starts_ms[1:] - ends_ms[:-1]) / MINUTE_MS
    jump[begins[1:]] = [gap_scale(closed_minutes) for closed_minutes in closed.tolist()]
    bucket = bucket_start(ts_ms, period_ms, spec.day_start_ms)
    new = np.diff(bucket, prepend=bucket[:1] - period_ms) != 0
    return _Grid(minutes, ts_ms, opened_ms, noise, jump, np.flatnonzero(new), np.cumsum(new) - 1)


def _walk(spec: InstrumentSpec, label: str, grid: _Grid, tempo: float, flat_share: float) -> _Path:
    """Return a walk of the law over ``grid``, all randomness drawn from ``label``."""
    rng = random.Random(label)
    draws = np.random.default_rng(rng.getrandbits(64))
    steps = len(grid.ts_ms)
    active = draws.random(steps) >= QUIET_SHARE**grid.minutes
    active &= (draws.random(len(grid.first)) >= flat_share)[grid.bar]
    noise = draws.standard_normal(steps) * grid.noise * active
    jump = draws.standard_normal(steps) * grid.jump
    moved = [0.0, *np.cumsum(noise + jump).tolist()]  # lists: the loop below reads them one by one
    minutes = [0, *np.cumsum(active * grid.minutes).tolist()]
    ts_ms = grid.ts_ms.tolist()
    swing = new_swing(rng, rng.choice((-1, 1)), 0.0, tempo)
    mood, log_distance, at, due_ms = Mood(), 0.0, 0, ts_ms[0]
    lengths: list[int] = []
    swings: list[Swing] = []
    while at < steps:  # from reading to reading
        due_ms = max(due_ms, ts_ms[at]) + reading_gap_ms(rng, tempo)
        until = min(bisect_left(ts_ms, due_ms, at) + 1, steps)
        lengths.append(until - at)
        swings.append(swing)
        move = swing.drift * (minutes[until] - minutes[at]) + swing.volatility * (moved[until] - moved[at])
        log_distance += move
        mood = after_move(mood, move)
        swing = after_reading(rng, swing, mood, log_distance, tempo)
        at = until
    volatility = np.repeat([one.volatility for one in swings], lengths)
    drift = np.repeat([one.drift for one in swings], lengths)
    inside = volatility * noise + drift * active * grid.minutes
    closes = hint_log(spec) + np.cumsum(inside + volatility * jump)
    opens = closes - 0.75 * inside  # the first tick of a step comes some way into it
    reach = 0.5 * volatility * grid.noise * active
    highs = np.maximum(opens, closes) + reach * np.abs(draws.standard_normal(steps))
    lows = np.minimum(opens, closes) - reach * np.abs(draws.standard_normal(steps))
    return _Path(opens, highs, lows, closes, swing, mood)


def _bars(spec: InstrumentSpec, grid: _Grid, path: _Path, period_ms: int, tick_px: int) -> BarArrays:
    def to_px(log_prices: Float64Array) -> Int64Array:
        return np.maximum(np.rint(np.exp(log_prices) / tick_px), 1.0).astype(np.int64) * tick_px

    ts_ms = grid.ts_ms[grid.first]
    last = np.append(grid.first[1:], len(grid.ts_ms)) - 1
    return BarArrays(
        ts_ms=ts_ms,
        end_ms=bucket_end(ts_ms, period_ms, spec.day_start_ms),
        open_px=to_px(path.opens[grid.first]),
        high_px=to_px(np.maximum.reduceat(path.highs, grid.first)),
        low_px=to_px(np.minimum.reduceat(path.lows, grid.first)),
        close_px=to_px(path.closes[last]),
        rate_e8=np.empty(0, dtype=np.int64),
    )


def _stretch(path: _Path) -> float:
    return path.swing.side * lean(path.mood)


def _ripest(spec: InstrumentSpec, seed: int, grid: _Grid, tempo: float) -> _Path:
    """Return the first walk that ends with a stretched mood and a swing that has not turned, or the one nearest it."""
    ripest = _walk(spec, f"{seed}:history:0", grid, tempo, 0.0)
    for draw in range(1, DRAWS_MAX):
        if _stretch(ripest) > RIPE_LEAN:
            break
        ripest = max(ripest, _walk(spec, f"{seed}:history:{draw}", grid, tempo, 0.0), key=_stretch)
    return ripest


def _check_length(bars: int, period_ms: int) -> None:
    if bars <= 0 or period_ms < MINUTE_MS or period_ms % MINUTE_MS != 0:
        raise ConfigError(
            "GENERATED_BARS_WRONG",
            "Ask for at least one bar, of a period of whole minutes.",
            bars=bars,
            period_ms=period_ms,
        )


def history(
    spec: InstrumentSpec,
    seed: int,
    bars: int = 500,
    period_ms: int = HOUR_MS,
    start_ms: int | None = None,
    tick_px: int | None = None,
) -> tuple[tuple[HistoryBar, ...], MarketState]:
    """Return closed bars of generated history, and the market that goes on after them.

    So that a demonstration has something to show at once, histories are drawn until one ends with a stretched mood.

    Args:
        spec: the instrument.
        seed: any integer.
        bars: how many, the last being the newest that is closed at the start.
        period_ms: bar period, whole minutes.
        start_ms: where the ticks begin: at the first open instant from here. Default: a fixed Monday.
        tick_px: the price grid; see ``market.tick_size``.

    Returns:
        ``bars`` bars, oldest first; and the state whose first tick comes just after the open.

    Raises:
        ConfigError: ``bars``, ``period_ms`` or ``tick_px`` is impossible.
        ValueError: the instrument's session does not open within a year.
    """
    _check_length(bars, period_ms)
    grid_px, tempo = tick_size(spec, tick_px), tempo_of(period_ms)
    live_ms = next_open(START_MS if start_ms is None else -(-start_ms // MINUTE_MS) * MINUTE_MS, spec.session)
    reach_ms = max((bars + 2) * period_ms, 7 * DAY_MS)
    while True:
        starts_ms, ends_ms, begun = _spans(spec, live_ms - reach_ms, live_ms, period_ms)
        if len(begun) > 0 and begun[-1] > bars + 1:  # the oldest and the newest may be cut short
            break
        reach_ms *= 2
    keep = begun > begun[-1] - bars - 2
    grid = _grid(spec, starts_ms[keep], ends_ms[keep], period_ms)
    path = _ripest(spec, seed, grid, tempo)
    made = _bars(spec, grid, path, period_ms, grid_px)
    columns = (made.ts_ms, made.open_px, made.high_px, made.low_px, made.close_px)
    rows = zip(*(column[made.end_ms <= live_ms][-bars:].tolist() for column in columns), strict=True)
    log_price, end_ms = float(path.closes[-1]), int(ends_ms[-1])
    state = MarketState(
        seed=seed,
        counter=0,
        ts_ms=end_ms,
        opened_ms=int(grid.opened_ms[-1]),
        closes_ms=end_ms,
        tick_px=grid_px,
        tempo=tempo,
        log_price=log_price,
        bid_px=rounded_px(log_price, grid_px),
        swing=path.swing,
        mood=path.mood,
        read_log=log_price,
        read_ms=live_ms,  # so that the news comments on the open at once
        silent_ms=end_ms,
    )
    return tuple(HistoryBar(*row) for row in rows), state


def history_sentiment(
    bars: Sequence[HistoryBar],
    spec: InstrumentSpec,
    seed: int,
    period_ms: int = HOUR_MS,
) -> tuple[SentimentRow, ...]:
    """Return generated sentiment for the time of ``bars``, as ``synthetic_sentiment`` makes it."""
    ts_ms = np.array([bar.ts_ms for bar in bars], dtype=np.int64)
    close_px = np.array([bar.close_px for bar in bars], dtype=np.int64)
    rows = _sentiment(bucket_end(ts_ms, period_ms, spec.day_start_ms), close_px, seed, tempo_of(period_ms))
    return tuple(SentimentRow(known_ms, score) for known_ms, score in rows)


def synthetic_bars(
    spec: InstrumentSpec,
    seed: int,
    n: int,
    period_ms: int = HOUR_MS,
    start_ms: int = START_MS,
) -> BarArrays:
    """Return ``n`` bars of a generated market from ``start_ms`` on, for tests and benches.

    The bars keep to the instrument's sessions, jump over closed hours, and a few of them have no range at all.

    Returns:
        Arrays of int64 of shape ``(n,)``; ``rate_e8`` has shape ``(0,)``.

    Raises:
        ConfigError: ``n`` or ``period_ms`` is impossible.
        ValueError: the instrument's session does not open within a year.
    """
    _check_length(n, period_ms)
    start_ms = next_open(start_ms, spec.session)
    reach_ms = max(n * period_ms, 7 * DAY_MS)
    while True:
        starts_ms, ends_ms, begun = _spans(spec, start_ms, start_ms + reach_ms, period_ms)
        if len(begun) > 0 and begun[-1] > n:
            break
        reach_ms *= 2
    keep = slice(0, int(np.searchsorted(begun, n)) + 1)
    grid = _grid(spec, starts_ms[keep], ends_ms[keep], period_ms)
    path = _walk(spec, f"{seed}:bars", grid, tempo_of(period_ms), FLAT_SHARE)
    made = _bars(spec, grid, path, period_ms, tick_size(spec))
    return BarArrays(*(column[:n] for column in made))


def synthetic_sentiment(bars: BarArrays, seed: int) -> SentimentArrays:
    """Return generated sentiment for ``bars``: mildly against their recent moves, noisy, now and then silent.

    A row is known at the end of the bar it looks back from, about every 45 minutes or every bar, whichever is longer.

    Returns:
        Arrays of shape ``(rows,)``, ordered by time.
    """
    period_ms = int(np.min(np.diff(bars.end_ms))) if len(bars.end_ms) > 1 else HOUR_MS
    rows = _sentiment(bars.end_ms, bars.close_px, seed, tempo_of(period_ms))
    return SentimentArrays(
        known_ms=np.array([known_ms for known_ms, _ in rows], dtype=np.int64),
        score=np.array([score for _, score in rows], dtype=np.float64),
    )


def _sentiment(end_ms: Int64Array, close_px: Int64Array, seed: int, tempo: float) -> list[tuple[int, float]]:
    """Return ``(known_ms, score)`` rows for bars of shape ``(n,)``."""
    if len(end_ms) == 0:
        return []
    rng = random.Random(f"{seed}:sentiment")
    logs = np.log(close_px.astype(np.float64))
    rows: list[tuple[int, float]] = []
    mood, at = Mood(), 0
    due_ms = silent_ms = int(end_ms[0])
    read_log = float(logs[0])
    while at < len(end_ms):
        now_ms, log_price = int(end_ms[at]), float(logs[at])
        silent_ms = max(silent_ms, now_ms + late_news_ms(rng, now_ms - due_ms))
        mood = after_move(mood, log_price - read_log)
        read_log, due_ms = log_price, now_ms + reading_gap_ms(rng, tempo)
        if now_ms >= silent_ms:
            rows.append((now_ms, score_of(rng, mood)))
        at = max(at + 1, int(np.searchsorted(end_ms, due_ms)))
    return rows
