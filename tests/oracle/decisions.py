"""What a closed bar asks for, a second time (PARITY 24, 36, 38-40, 42, 44, 59). RSI and ATR come as floats."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.money import exact_commission, exact_money, stepped

from palmbot.core.types import Instrument, Params, Profile, Reason, SentimentArrays, StopKind


class Wish(NamedTuple):
    """What is pending for the next open. An entry's ``sl_px`` and ``tp_px`` are distances, an amend's are levels."""

    kind: str
    reason: int
    side: int
    end_ms: int
    close_px: int
    volume_cu: int = 0
    sl_px: int = 0
    tp_px: int = 0
    risk: Fraction = Fraction(0)  # planned loss at the stop in minor units, unrounded


class Close(NamedTuple):
    """A bar's close as a decision sees it."""

    end_ms: int
    close_px: int
    spread_px: int
    slippage_px: int
    rate_e8: int
    rsi: float
    atr: float
    gap_px: int = 0  # to size by where it is wider than the stop


def known_sentiment(rows: SentimentArrays, instant_ms: int) -> tuple[int, float] | None:
    """Return ``(known_ms, score)`` of the newest row known at ``instant_ms``; of equal times the later row."""
    newest = None
    for known_ms, score in zip(rows.known_ms.tolist(), rows.score.tolist(), strict=True):
        if known_ms <= instant_ms:
            newest = (known_ms, score)
    return newest


def signal(params: Params, rsi: float, rows: SentimentArrays, end_ms: int) -> tuple[int, int]:
    """Return the side that the profile asks for (0 for none) and why sentiment forbids it (0 when it does not)."""
    fades = params.profile == Profile.RSI_SENTIMENT
    if rsi < params.rsi_low:
        side = 1 if fades else -1
    elif rsi > params.rsi_high:
        side = -1 if fades else 1
    else:
        return 0, 0
    if side < 0 and not params.allow_short:
        return 0, 0
    if not fades:
        return side, 0
    newest = known_sentiment(rows, end_ms)
    if newest is None:
        return side, Reason.SENTIMENT_ABSENT
    if end_ms - newest[0] > params.sentiment_max_age_ms:
        return side, Reason.SENTIMENT_STALE
    strong = newest[1] > params.sentiment_long if side > 0 else newest[1] < params.sentiment_short
    return side, 0 if strong else Reason.SENTIMENT_WEAK


def distance(params: Params, step_px: int, close: Close, ppm: int, multiple: float) -> int:
    """Return a distance in px: half up to the step, at least one step. Multiples of the ATR are float arithmetic."""
    if params.stop_kind == StopKind.PERCENT:
        return max(stepped(Fraction(close.close_px * ppm, 10**6), step_px), step_px)
    return max(math.floor(close.atr * multiple * 1e5 / step_px + 0.5) * step_px, step_px)


def entry(params: Params, instrument: Instrument, close: Close, side: int, equity: int) -> Wish:
    """Return the entry with its distances and volume, or its refusal."""
    sl_px = distance(params, instrument.step_px, close, params.sl_ppm, params.sl_atr)
    tp_px = distance(params, instrument.step_px, close, params.tp_ppm, params.tp_atr)
    crossing = close.spread_px + close.slippage_px

    def refused(reason: int) -> Wish:
        return Wish("refuse", reason, side, close.end_ms, close.close_px)

    if sl_px <= crossing + instrument.sl_min_px:
        return refused(Reason.STOP_TOO_CLOSE)
    if tp_px <= crossing + instrument.tp_min_px:
        return refused(Reason.TARGET_TOO_CLOSE)
    if close.rate_e8 <= 0:
        return refused(Reason.NO_CONVERSION_RATE)
    step_cu = instrument.volume_step_cu
    at_stop = exact_money(
        (max(sl_px, close.gap_px) + close.slippage_px) * step_cu, close.rate_e8, instrument.money_digits
    )
    loss = at_stop + 2 * exact_commission(instrument, close.close_px, step_cu, close.rate_e8)
    value = exact_money(close.close_px * step_cu, close.rate_e8, instrument.money_digits)
    slack = Fraction(1, 10**9)
    steps = min(
        math.floor(equity * Fraction(params.risk_fraction) / loss + slack),
        math.floor(equity * Fraction(params.exposure_max) / value + slack),
        math.floor(equity * Fraction(params.margin_share) * instrument.leverage / value + slack),
        instrument.volume_max_cu // step_cu,
    )
    if steps <= 0 or steps * step_cu < instrument.volume_min_cu:
        return refused(Reason.VOLUME_BELOW_MINIMUM)
    reason = Reason.ENTRY_LONG if side > 0 else Reason.ENTRY_SHORT
    return Wish("enter", reason, side, close.end_ms, close.close_px, steps * step_cu, sl_px, tp_px, loss * steps)


def wants_out(params: Params, rsi: float, side: int, bars_held: int) -> int:
    """Return why a position should be left at the next open, or 0."""
    if params.max_bars and bars_held >= params.max_bars:
        return Reason.TIME
    if not params.rsi_exit:
        return 0
    level = params.rsi_exit if side > 0 else 100.0 - params.rsi_exit
    fades = params.profile == Profile.RSI_SENTIMENT
    # a fade is done when the RSI has come back, a trend when it has fallen back; a short reads it upside down
    through = rsi >= level if fades == (side > 0) else rsi <= level
    return Reason.SIGNAL if through else 0


def trail_px(params: Params, step_px: int, close: Close, side: int) -> int | None:
    """Return the stop that trailing asks for; None where the profile does not trail."""
    trails = params.trail_ppm if params.stop_kind == StopKind.PERCENT else params.trail_atr
    if not trails:
        return None
    mark = close.close_px if side > 0 else close.close_px + close.spread_px
    return mark - side * distance(params, step_px, close, params.trail_ppm, params.trail_atr)
