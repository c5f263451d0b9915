"""The built-in rule ``rsi_sentiment`` as a rule of one's own: buy weakness, sell strength, if sentiment agrees."""

from palmbot.core.indicators import rsi
from palmbot.core.signals import sentiment_veto

LONG, FLAT, SHORT = 1, 0, -1


def entry(params, indicators, sentiment, decision_ms):
    """Return the side, and 0 or why sentiment vetoes it: the refusal is counted, with its reason."""
    value = rsi(indicators)
    if value < params.rsi_low:
        side = LONG
    elif value > params.rsi_high:
        side = SHORT
    else:
        return FLAT, 0
    return side, sentiment_veto(params, side, sentiment, decision_ms)
