"""What the bot writes into its journal, kind by kind, and how its state comes back. Plain JSON only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from palmbot.core import indicators
from palmbot.core.types import Bar, Breakers, Decision, Indicators, Sentiment, State
from palmbot.model import JournalEvent, OrderEvent
from palmbot.orders.records import event_of_order_event


@dataclass(frozen=True, slots=True)
class BarClosed:
    """Everything that one closed bar leaves behind."""

    bar: Bar
    decision: Decision
    state: State
    closes: tuple[int, ...]
    sentiment: Sentiment
    balance_minor: int
    equity_minor: int
    equity_low_minor: int
    bars_held: int
    held: bool
    live: bool


def bar_closed(closing: BarClosed) -> JournalEvent:
    """Return the record of a closed bar: prices, decision, equity and the state after it."""
    bar, decision, sentiment = closing.bar, closing.decision, closing.sentiment
    body: dict[str, Any] = {
        **{name: int(value) for name, value in bar._asdict().items()},
        "action": int(decision.action),
        "reason": int(decision.reason),
        "side": int(decision.signal),
        "volume_cu": int(decision.volume_cu),
        "rsi": float(indicators.rsi(closing.state.indicators)),
        "sentiment": float(sentiment.score) if sentiment.known_ms >= 0 else None,
        "sentiment_known_ms": int(sentiment.known_ms),
        "balance_minor": int(closing.balance_minor),
        "equity_minor": int(closing.equity_minor),
        "equity_low_minor": int(closing.equity_low_minor),
        "position_side": int(closing.held),
        "live": closing.live,
        **_state_body(closing.state, closing.closes, closing.bars_held),
    }
    return JournalEvent("bar_closed", int(bar.end_ms), body)


def state(ts_ms: int, now: State, closes: tuple[int, ...], bars_held: int) -> JournalEvent:
    """Return the record of the state between bars."""
    return JournalEvent("state", ts_ms, _state_body(now, closes, bars_held))


def _state_body(now: State, closes: tuple[int, ...], bars_held: int) -> dict[str, Any]:
    return {
        "state": {
            "indicators": [int(now.indicators.bars), *(float(each) for each in now.indicators[1:])],
            "breakers": [int(each) for each in now.breakers],
        },
        "closes": list(closes),
        "bars_held": bars_held,
    }


def state_of(event: JournalEvent) -> tuple[State, tuple[int, ...], int]:
    """Return state, closes and bars held of a ``bar_closed`` or ``state`` record, bit for bit."""
    body = event.body
    kept = State(Indicators(*body["state"]["indicators"]), Breakers(*body["state"]["breakers"]))
    return kept, tuple(body["closes"]), int(body["bars_held"])


def order_event(event: OrderEvent, exit_reason: int) -> JournalEvent:
    """Return the record of what the broker did."""
    return event_of_order_event(event, exit_reason)


def refusal(ts_ms: int, bar_end_ms: int, side: int, reason: int) -> JournalEvent:
    """Return the record of a signal that did not become a position."""
    return JournalEvent("refusal", ts_ms, {"bar_end_ms": int(bar_end_ms), "side": int(side), "reason": int(reason)})


def breaker(ts_ms: int, reason: int, until_ms: int) -> JournalEvent:
    """Return the record of a tripped breaker; ``until_ms`` 0 = until a person re-arms it."""
    return JournalEvent("breaker", ts_ms, {"reason": int(reason), "until_ms": int(until_ms), "detail": ""})


def note(ts_ms: int, text: str) -> JournalEvent:
    """Return the record of anything worth remembering."""
    return JournalEvent("note", ts_ms, {"text": text})
