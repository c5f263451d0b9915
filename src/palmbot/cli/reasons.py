"""What every `Reason` means, in plain words: the one place."""

from __future__ import annotations

from types import MappingProxyType

from palmbot.core.types import Reason

_SENTENCES = MappingProxyType(
    {
        Reason.NONE: "nothing to report",
        Reason.HALT_DRAWDOWN: "halted: the drawdown limit was reached",
        Reason.HALT_MANUAL: "halted by hand",
        Reason.DAILY_LOSS: "the day's loss limit was reached",
        Reason.LOSS_STREAK: "too many losses in a row: cooling down",
        Reason.VOLATILITY_SPIKE: "the price moved too fast: pausing",
        Reason.OPEN_GAP: "the market opened too far from the decision",
        Reason.STALE_FEED: "no fresh prices arrive",
        Reason.WIDE_SPREAD: "the spread is too wide",
        Reason.REJECT_STREAK: "the broker rejected too many orders",
        Reason.LINK_LOST: "the link to the broker is lost",
        Reason.WARMING_UP: "the indicators are still warming up",
        Reason.NO_SIGNAL: "the RSI gives no signal",
        Reason.HOLDING: "holding the open position",
        Reason.SENTIMENT_ABSENT: "RSI signal, but no sentiment is known",
        Reason.SENTIMENT_STALE: "RSI signal, but the sentiment is too old",
        Reason.SENTIMENT_WEAK: "RSI signal, but sentiment does not agree",
        Reason.STOP_TOO_CLOSE: "the stop would be too close to the price",
        Reason.TARGET_TOO_CLOSE: "the target would be too close to the price",
        Reason.VOLUME_BELOW_MINIMUM: "the risk allows less than the smallest volume",
        Reason.NO_CONVERSION_RATE: "no rate to the account's currency is known",
        Reason.NOT_ENOUGH_MONEY: "the account lacks the margin",
        Reason.DECISION_EXPIRED: "the decision waited too long for a price",
        Reason.BROKER_REJECTED: "the broker rejected the order",
        Reason.MARKET_CLOSED: "the market is closed",
        Reason.OUTCOME_UNKNOWN: "an order's outcome is unknown: reconciling",
        Reason.PAUSE_AHEAD: "the market pauses too soon for this profile",
        Reason.ENTRY_LONG: "buying: the rules for a long are met",
        Reason.ENTRY_SHORT: "selling: the rules for a short are met",
        Reason.SL: "the stop loss was hit",
        Reason.TP: "the take profit was hit",
        Reason.TRAIL: "the stop that trails the price",
        Reason.TIME: "held for the longest time allowed",
        Reason.SIGNAL: "the exit rule was met",
        Reason.BREAKER_DAILY: "closed by the day's loss limit",
        Reason.BREAKER_DRAWDOWN: "closed by the drawdown limit",
        Reason.MANUAL: "closed by hand",
        Reason.STOP_OUT: "closed by the broker: margin too low",
        Reason.ROLL: "closed at the contract's roll",
        Reason.FLAT: "closed before the market pauses",
    },
)


def describe(reason: int) -> str:
    """Return in plain words what ``reason`` (a `Reason` or its number) means."""
    return _SENTENCES[Reason(reason)]
