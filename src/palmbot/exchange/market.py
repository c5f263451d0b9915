"""The generated market, tick by tick: deterministic, resumable, SYNTHETIC.

``start`` (or ``market_arrays.history``) makes a state, ``advance`` turns it into the next state and one open market
minute of ticks. Every minute draws from a stream of its own, named by seed and minute counter: a market that resumes
from a stored state goes on exactly as if it had never stopped. The law that moves the price is in ``swings``.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from palmbot.calendar import next_open, session_end
from palmbot.core.fills import cost_px
from palmbot.errors import ConfigError
from palmbot.exchange.swings import (
    QUIET_SHARE,
    Mood,
    Swing,
    after_move,
    after_reading,
    gap_scale,
    hint_log,
    late_news_ms,
    liveliness,
    new_swing,
    reading_gap_ms,
    score_of,
)
from palmbot.instruments import InstrumentSpec
from palmbot.units import MINUTE_MS, PX

SOURCE = "SYNTHETIC"
TICKS_MAX = 4  # a minute
OPENING_MS = 5 * MINUTE_MS  # after an open the spread is often wider
FIRST_TICK_MS = 3_000  # the first tick of a session comes within this time


@dataclass(frozen=True, slots=True)
class Tick:
    """A quote of the generated market. ``opens_gap`` marks the first after closed hours: a jump (PARITY 16)."""

    ts_ms: int
    bid_px: int
    ask_px: int
    opens_gap: bool


@dataclass(frozen=True, slots=True)
class SentimentRow:
    """A generated sentiment, -100..100, as of ``known_ms``."""

    known_ms: int
    score: float
    source: str = SOURCE


@dataclass(frozen=True, slots=True)
class MarketState:
    """All that the market is: what comes next depends on this and the instrument alone."""

    seed: int
    counter: int  # minutes made so far
    ts_ms: int  # the next minute is the first open one from here
    opened_ms: int  # of the session that ``ts_ms`` is in or after
    closes_ms: int  # until when the market is known to be open
    tick_px: int
    tempo: float
    log_price: float  # log of the bid in px, before rounding to ticks
    bid_px: int  # the last bid
    swing: Swing
    mood: Mood
    read_log: float  # log price at the last reading of the mood
    read_ms: int  # when the next reading is due
    silent_ms: int  # no sentiment is published before

    def body(self) -> dict[str, Any]:
        """Return the state as plain JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_body(cls, body: dict[str, Any]) -> MarketState:
        """Return the state that ``body`` was made from."""
        return cls(**{**body, "swing": Swing(*body["swing"]), "mood": Mood(*body["mood"])})


def tick_size(spec: InstrumentSpec, tick_px: int | None = None) -> int:
    """Return the price grid of the generated market in px.

    ``tick_px`` where given; else the largest power of ten times the instrument's step that is at most 1/4000 of the
    price hint: 1 MYR for palm oil, as on Bursa, whatever finer step a broker quotes.

    Raises:
        ConfigError: ``tick_px`` is not a positive multiple of the step.
    """
    step_px = spec.core.step_px
    if tick_px is None:
        tick_px = step_px
        while tick_px * 10 * 4_000 <= spec.price_hint * PX:
            tick_px *= 10
    if tick_px <= 0 or tick_px % step_px != 0:
        raise ConfigError(
            "TICK_SIZE_WRONG",
            "Make the generated market's tick size a positive multiple of the instrument's price step.",
            tick_px=tick_px,
            step_px=step_px,
        )
    return tick_px


def rounded_px(log_price: float, tick_px: int) -> int:
    """Return the price of ``log_price`` on the tick grid, at least one tick."""
    return max(round(math.exp(log_price) / tick_px), 1) * tick_px


def start(
    spec: InstrumentSpec,
    seed: int,
    start_ms: int,
    tick_px: int | None = None,
    tempo: float = 1.0,
) -> MarketState:
    """Return a market that begins at the price hint, at the first whole minute from ``start_ms`` that is open.

    Args:
        spec: the instrument.
        seed: any integer; equal seeds make equal markets.
        start_ms: UTC.
        tick_px: the price grid; see ``tick_size``.
        tempo: 1 for hourly bars; see ``swings.tempo_of``.

    Raises:
        ConfigError: ``tick_px`` is not a positive multiple of the instrument's step.
    """
    rng = random.Random(f"{seed}:start")
    ts_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
    grid_px = tick_size(spec, tick_px)
    log_price = hint_log(spec)
    return MarketState(
        seed=seed,
        counter=0,
        ts_ms=ts_ms,
        opened_ms=ts_ms,
        closes_ms=ts_ms,
        tick_px=grid_px,
        tempo=tempo,
        log_price=log_price,
        bid_px=rounded_px(log_price, grid_px),
        swing=new_swing(rng, rng.choice((-1, 1)), 0.0, tempo),
        mood=Mood(),
        read_log=log_price,
        read_ms=ts_ms,
        silent_ms=ts_ms,
    )


class _Minute(NamedTuple):
    begins_ms: int
    opened_ms: int
    closes_ms: int
    closed_ms: int  # how long the market was closed just before; 0 inside a session


def _next_minute(state: MarketState, spec: InstrumentSpec) -> _Minute:
    if state.ts_ms < state.closes_ms:
        return _Minute(state.ts_ms, state.opened_ms, state.closes_ms, 0)
    begins_ms = next_open(state.ts_ms, spec.session)
    closed_ms = begins_ms - state.ts_ms
    opened_ms = begins_ms if closed_ms > 0 else state.opened_ms
    return _Minute(begins_ms, opened_ms, session_end(begins_ms, spec.session), closed_ms)


def _moves(rng: random.Random, swing: Swing, minute: _Minute) -> list[float]:
    """Return the log move before each tick of ``minute``."""
    jump: list[float] = []
    if minute.closed_ms > 0:
        jump = [swing.volatility * gap_scale(minute.closed_ms / MINUTE_MS) * rng.gauss(0.0, 1.0)]
    if rng.random() < QUIET_SHARE:
        return jump or [0.0]
    count = rng.randint(1, TICKS_MAX - len(jump))
    since, left = minute.begins_ms - minute.opened_ms, minute.closes_ms - minute.begins_ms
    deviation = swing.volatility * liveliness(since / MINUTE_MS, left / MINUTE_MS) / math.sqrt(count)
    return jump + [swing.drift / count + deviation * rng.gauss(0.0, 1.0) for _ in range(count)]


def _spread_px(rng: random.Random, spec: InstrumentSpec, bid_px: int, since_open_ms: int) -> int:
    """Return the instrument's spread, rounded up to its step, and at times two or three of it after an open."""
    core = spec.core
    steps = -(-cost_px(core.spread_kind, core.spread, bid_px, core.step_px) // core.step_px)
    wider = rng.choice((1, 1, 2, 3)) if since_open_ms < OPENING_MS else 1
    return max(steps, 1) * wider * core.step_px


def advance(
    state: MarketState,
    spec: InstrumentSpec,
) -> tuple[MarketState, tuple[Tick, ...], tuple[SentimentRow, ...]]:
    """Return the market one open minute later, and what was seen in that minute.

    Closed hours are skipped: the minute after a session's last is the next session's first, and its first tick is a
    jump.

    Returns:
        The next state; one to four ticks in order of time; at most one sentiment row, known with the last tick.

    Raises:
        ValueError: the instrument's session does not open within a year.
    """
    rng = random.Random(f"{state.seed}:{state.counter}")
    minute = _next_minute(state, spec)
    moves = _moves(rng, state.swing, minute)
    stamps_ms = sorted(rng.sample(range(MINUTE_MS), len(moves)))
    if minute.closed_ms > 0:
        stamps_ms[0] = min(stamps_ms[0], rng.randrange(FIRST_TICK_MS))
    ticks: list[Tick] = []
    log_price, bid_px = state.log_price, state.bid_px
    for move, stamp_ms in zip(moves, stamps_ms, strict=True):
        ts_ms = minute.begins_ms + stamp_ms
        log_price += move
        bid_px = rounded_px(log_price, state.tick_px)
        ask_px = bid_px + _spread_px(rng, spec, bid_px, ts_ms - minute.opened_ms)
        ticks.append(Tick(ts_ms, bid_px, ask_px, opens_gap=minute.closed_ms > 0 and not ticks))
    rows: tuple[SentimentRow, ...] = ()
    swing, mood = state.swing, state.mood
    read_log, read_ms, silent_ms = state.read_log, state.read_ms, state.silent_ms
    if minute.begins_ms >= read_ms:
        silent_ms = max(silent_ms, minute.begins_ms + late_news_ms(rng, minute.begins_ms - read_ms))
        mood = after_move(mood, log_price - read_log)
        swing = after_reading(rng, swing, mood, log_price - hint_log(spec), state.tempo)
        read_log, read_ms = log_price, minute.begins_ms + reading_gap_ms(rng, state.tempo)
        if minute.begins_ms >= silent_ms:
            rows = (SentimentRow(ticks[-1].ts_ms, score_of(rng, mood)),)
    after = replace(
        state,
        counter=state.counter + 1,
        ts_ms=minute.begins_ms + MINUTE_MS,
        opened_ms=minute.opened_ms,
        closes_ms=minute.closes_ms,
        log_price=log_price,
        bid_px=bid_px,
        swing=swing,
        mood=mood,
        read_log=read_log,
        read_ms=read_ms,
        silent_ms=silent_ms,
    )
    return after, tuple(ticks), rows
