"""Entry and exit rules of each profile, and the sentiment they may know.

A rule answers ``(side, reason)``: the side it wants, FLAT when it wants nothing, and why. A signal that sentiment
vetoes keeps its side, so that a refusal can be counted.
"""

from __future__ import annotations

import numpy as np

from palmbot.core import custom
from palmbot.core.compiled import compiled, inlined
from palmbot.core.indicators import rsi
from palmbot.core.types import Indicators, Params, Profile, Reason, Sentiment, SentimentArrays, Side

_RSI_SENTIMENT = int(Profile.RSI_SENTIMENT)
_CUSTOM = int(Profile.CUSTOM)
_LONG = int(Side.LONG)
_SHORT = int(Side.SHORT)
_FLAT = int(Side.FLAT)
_NO_SIGNAL = int(Reason.NO_SIGNAL)
_ABSENT = int(Reason.SENTIMENT_ABSENT)
_STALE = int(Reason.SENTIMENT_STALE)
_WEAK = int(Reason.SENTIMENT_WEAK)
_ENTRY_LONG = int(Reason.ENTRY_LONG)
_ENTRY_SHORT = int(Reason.ENTRY_SHORT)


@compiled
def sentiment_at(rows: SentimentArrays, instant_ms: int) -> Sentiment:
    """Return the newest row known at ``instant_ms`` (ties: the later row); ``known_ms`` -1 when there is none."""
    index = np.searchsorted(rows.known_ms, instant_ms, side="right") - 1
    if index < 0:
        return Sentiment(0.0, -1)
    return Sentiment(rows.score[index], rows.known_ms[index])


@inlined
def rsi_side(params: Params, indicators: Indicators) -> int:
    """Return the side that RSI alone asks for."""
    value = rsi(indicators)
    if params.profile == _RSI_SENTIMENT:  # fade: buy weakness, sell strength
        side = _LONG if value < params.rsi_low else (_SHORT if value > params.rsi_high else _FLAT)
    else:  # follow: buy strength, sell weakness
        side = _LONG if value > params.rsi_high else (_SHORT if value < params.rsi_low else _FLAT)
    if side == _SHORT and params.allow_short == 0:
        return _FLAT
    return side


@inlined
def sentiment_veto(params: Params, side: int, sentiment: Sentiment, decision_ms: int) -> int:
    """Return why sentiment does not support ``side`` at ``decision_ms``, or 0 when it does."""
    if sentiment.known_ms < 0:
        return _ABSENT
    if decision_ms - sentiment.known_ms > params.sentiment_max_age_ms:
        return _STALE
    if side == _LONG:
        return 0 if sentiment.score > params.sentiment_long else _WEAK
    return 0 if sentiment.score < params.sentiment_short else _WEAK


@inlined
def entry(params: Params, indicators: Indicators, sentiment: Sentiment, decision_ms: int) -> tuple[int, int]:
    """Return ``(side, reason)``: ENTRY_LONG or ENTRY_SHORT, NO_SIGNAL, or the sentiment's veto."""
    if params.profile == _CUSTOM:
        return custom.entry(params, indicators, sentiment, decision_ms)
    side = rsi_side(params, indicators)
    if side == _FLAT:
        return _FLAT, _NO_SIGNAL
    if params.profile == _RSI_SENTIMENT:
        veto = sentiment_veto(params, side, sentiment, decision_ms)
        if veto != 0:
            return side, veto
    return side, _ENTRY_LONG if side == _LONG else _ENTRY_SHORT


@inlined
def may_enter(params: Params, indicators: Indicators) -> bool:
    """Return whether ``entry`` may ask for a side; cheap, and True where only the rule itself can tell."""
    if custom.is_there and params.profile == _CUSTOM:
        return True
    return rsi_side(params, indicators) != _FLAT


@inlined
def wants_exit(params: Params, indicators: Indicators, side: int) -> bool:
    """Return whether RSI is back through ``rsi_exit``: up through it for a fade, down through it for a trend."""
    if params.rsi_exit <= 0.0:
        return False
    value = rsi(indicators)
    if (side == _LONG) == (params.profile == _RSI_SENTIMENT):
        return value >= params.rsi_exit if side == _LONG else value >= 100.0 - params.rsi_exit
    return value <= params.rsi_exit if side == _LONG else value <= 100.0 - params.rsi_exit
