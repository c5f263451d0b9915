"""The built-in rule ``rsi_trend`` as a rule of one's own: buy strength, sell weakness."""

from palmbot.core.indicators import rsi

LONG, FLAT, SHORT = 1, 0, -1


def entry(params, indicators, sentiment, decision_ms):
    """Return the side that the RSI asks for; asked once a closed bar while there is no position."""
    value = rsi(indicators)
    if value > params.rsi_high:
        return LONG
    if value < params.rsi_low:
        return SHORT
    return FLAT
