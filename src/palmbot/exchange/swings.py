"""The law of the generated market: swings, volatility, gaps, and the mood that comments on them. SYNTHETIC throughout.

The logarithm of the price moves in swings of alternating direction. Every reading of the mood, some 45 market minutes
apart, the swing gathers pace; once the mood is stretched in its direction it may turn, the sooner the further it has
left the price hint (the price stays near it for years). Each swing has a drift and a volatility of its own; volatility
is remembered from swing to swing (clusters). Trading is livelier next to a session's open and close, and closed hours
end in a jump. So RSI(14) of hourly bars leaves 30..70 about every day: a market to show and to test a bot
with. It is no model of palm oil, and no evidence that any rule earns money.

``market`` walks this law minute by minute, ``market_arrays`` over arrays. Moves are natural logarithms of price ratios,
volatility is their standard deviation over one minute. ``tempo`` stretches the swings for other bar periods than an
hour: their time by ``tempo``, their moves by its square root.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from palmbot.instruments import InstrumentSpec
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX

# Chosen by measuring how often rsi_sentiment trades (tests/unit/exchange/test_market.py).
DRIFT = 8e-5  # of a new swing, a minute: 0.4 % in the 48 open minutes of an average hourly bar
DRIFT_SD = 0.08  # of the logarithm of a swing's drift
DRIFT_HEAT = 0.9  # how much of the volatility's logarithm goes into the drift's
DRIFT_GROWTH = 1.04  # at each reading: a swing that lasts gathers pace
STRETCHED = 0.55  # lean at which a swing may turn; RSI is 50 + 50 x lean, so about 78 or 22
TURN_SHARE = 0.4  # of the stretched readings at which it does, near the price hint
PULL = 2.0  # log of that share, per unit of log distance from the price hint
VOLATILITY = 4.7e-4  # a minute: 0.36 % an hour
HEAT_MEMORY = 0.85  # of log volatility, from swing to swing
HEAT_SD = 0.30
HEAT_MAX = 0.6
LIVELINESS_MINUTES = 20.0  # how fast the edge of a session fades
QUIET_SHARE = 0.04  # of the minutes: no move at all
GAP_SHARE = 0.04  # a closed minute moves the price like this share of an open one
GAP_MINUTES_MAX = 6_000.0  # a long holiday is no wilder than a long week-end
MOOD_MEMORY = 13 / 14  # Wilder's smoothing over 14 readings
MOOD_GAIN = 150.0
MOOD_NOISE = 15.0
SCORE_MAX = 100.0
READING_MINUTES = (30, 60)
LATE_NEWS_SHARE = 1 / 3  # of the openings after a day and more without a reading
LATE_NEWS_HOURS = (1, 3)
TEMPO_MAX = 24.0


class Swing(NamedTuple):
    """One swing: where it goes and how it moves."""

    side: int  # +1 or -1
    drift: float  # log move a minute
    volatility: float  # standard deviation of the log move of a minute
    heat: float  # log of volatility over its usual value


class Mood(NamedTuple):
    """Running means of the rises and of the falls (log) between readings."""

    rise: float = 0.0
    fall: float = 0.0


def hint_log(spec: InstrumentSpec) -> float:
    """Return the log of the price hint in px, which the price stays near."""
    return math.log(spec.price_hint * PX)


def tempo_of(period_ms: int) -> float:
    """Return the tempo at which bars of ``period_ms`` swing as hourly bars do at 1."""
    return min(max(period_ms / HOUR_MS, 1.0), TEMPO_MAX)


def new_swing(rng: random.Random, side: int, heat: float, tempo: float) -> Swing:
    """Return a swing towards ``side`` after one of ``heat``."""
    heat = HEAT_MEMORY * heat + HEAT_SD * math.sqrt(1.0 - HEAT_MEMORY**2) * rng.gauss(0.0, 1.0)
    heat = min(max(heat, -HEAT_MAX), HEAT_MAX)
    log_drift = DRIFT_SD * rng.gauss(0.0, 1.0) + DRIFT_HEAT * heat
    return Swing(side, side * DRIFT / math.sqrt(tempo) * math.exp(log_drift), VOLATILITY * math.exp(heat), heat)


def liveliness(since_open_minutes: float, to_close_minutes: float) -> float:
    """Return the factor on volatility next to a session's open and close: the intraday U."""
    edges = math.exp(-since_open_minutes / LIVELINESS_MINUTES) + math.exp(-to_close_minutes / LIVELINESS_MINUTES)
    return 0.85 + 0.8 * edges


def gap_scale(closed_minutes: float) -> float:
    """Return the standard deviation of the jump after ``closed_minutes``, in units of a minute's volatility."""
    return math.sqrt(GAP_SHARE * min(closed_minutes, GAP_MINUTES_MAX))


def lean(mood: Mood) -> float:
    """Return how far rises outweigh falls, -1..1: what RSI / 50 - 1 says of bars."""
    total = mood.rise + mood.fall
    return (mood.rise - mood.fall) / total if total > 0.0 else 0.0


def after_move(mood: Mood, move: float) -> Mood:
    """Return ``mood`` after the price moved by ``move`` (log) since the last reading."""
    fresh = 1.0 - MOOD_MEMORY
    return Mood(
        MOOD_MEMORY * mood.rise + fresh * max(move, 0.0),
        MOOD_MEMORY * mood.fall + fresh * max(-move, 0.0),
    )


def after_reading(rng: random.Random, swing: Swing, mood: Mood, log_distance: float, tempo: float) -> Swing:
    """Return the swing that follows a reading of ``mood``: the same with more pace, or its successor."""
    turn_share = TURN_SHARE * math.exp(PULL * swing.side * log_distance)
    if swing.side * lean(mood) > STRETCHED and rng.random() < turn_share:
        return new_swing(rng, -swing.side, swing.heat, tempo)
    return swing._replace(drift=swing.drift * DRIFT_GROWTH)


def reading_gap_ms(rng: random.Random, tempo: float) -> int:
    """Return how long after a reading the next is due; one due in closed hours is made at the next open."""
    return int(rng.uniform(*READING_MINUTES) * tempo * MINUTE_MS)


def late_news_ms(rng: random.Random, overdue_ms: int) -> int:
    """Return for how long after a reading ``overdue_ms`` late nothing is published: sentiment is stale meanwhile."""
    if overdue_ms < DAY_MS or rng.random() >= LATE_NEWS_SHARE:
        return 0
    return int(rng.uniform(*LATE_NEWS_HOURS) * HOUR_MS)


def score_of(rng: random.Random, mood: Mood) -> float:
    """Return a sentiment for ``mood``, a whole number in -100..100: against the recent move, and blurred."""
    score = -MOOD_GAIN * lean(mood) + MOOD_NOISE * rng.gauss(0.0, 1.0)
    return float(round(min(max(score, -SCORE_MAX), SCORE_MAX)))
