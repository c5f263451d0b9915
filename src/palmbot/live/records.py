"""What the bot writes into its journal, kind by kind, and how its state comes back. Plain JSON only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from palmbot.core import indicators
from palmbot.core.live_breakers import Watch
from palmbot.core.types import Bar, Breakers, Decision, Indicators, Sentiment, State
from palmbot.live.feed import Mark
from palmbot.model import BrokerPosition, JournalEvent, OrderEvent
from palmbot.orders.book import Holding
from palmbot.orders.records import event_of_order_event

_CASH = "cash "
_HOLDING = tuple(field.name for field in fields(Holding))
_MARK = tuple(field.name for field in fields(Mark))
_POSITION = tuple(field.name for field in fields(BrokerPosition))


@dataclass(frozen=True, slots=True)
class Kept:
    """What the next start needs: everything the bot carries from event to event, but for the bar that is forming."""

    serial: int  # of all records that keep a state, the newest has the highest
    balance_minor: int
    state: State
    closes: tuple[int, ...]
    closed_ms: int  # end of the last bar that was closed
    bars_held: int
    holding: Holding | None
    watch: Watch
    pending: Decision | None
    mark: Mark | None
    gaps: tuple[int, ...] = ()  # open gaps, where the profile sizes by them


@dataclass(frozen=True, slots=True)
class BarClosed:
    """Everything that one closed bar leaves behind."""

    bar: Bar
    decision: Decision
    sentiment: Sentiment
    equity_minor: int
    equity_low_minor: int
    kept: Kept
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
        "rsi": float(indicators.rsi(closing.kept.state.indicators)),
        "sentiment": float(sentiment.score) if sentiment.known_ms >= 0 else None,
        "sentiment_known_ms": int(sentiment.known_ms),
        "equity_minor": int(closing.equity_minor),
        "equity_low_minor": int(closing.equity_low_minor),
        "held": closing.held,
        "live": closing.live,
        **_body(closing.kept),
    }
    return JournalEvent("bar_closed", int(bar.end_ms), body)


def state(ts_ms: int, kept: Kept) -> JournalEvent:
    """Return the record of what is kept between bars."""
    return JournalEvent("state", ts_ms, _body(kept))


def _body(kept: Kept) -> dict[str, Any]:
    return {
        "serial": kept.serial,
        "balance_minor": kept.balance_minor,
        "state": {
            "indicators": [int(kept.state.indicators.bars), *(float(each) for each in kept.state.indicators[1:])],
            "breakers": [int(each) for each in kept.state.breakers],
        },
        "closes": list(kept.closes),
        "gaps": list(kept.gaps),
        "closed_ms": kept.closed_ms,
        "bars_held": kept.bars_held,
        "holding": None if kept.holding is None else _holding_body(kept.holding),
        "watch": [int(each) for each in kept.watch],
        "pending": None if kept.pending is None else [int(each) for each in kept.pending],
        "mark": None if kept.mark is None else _plain(kept.mark, _MARK),
    }


def _holding_body(holding: Holding) -> dict[str, Any]:
    body = _plain(holding, _HOLDING)
    body["position"] = _plain(holding.position, _POSITION)
    return body


def _plain(value: object, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of ``value``: ``asdict`` at a fraction of its time, for it is written on every bar."""
    return {name: getattr(value, name) for name in names}


def kept_of(event: JournalEvent) -> Kept:
    """Return what a ``bar_closed`` or ``state`` record kept, bit for bit."""
    body = event.body
    held, pending, mark = body["holding"], body["pending"], body["mark"]
    return Kept(
        serial=body["serial"],
        balance_minor=body["balance_minor"],
        state=State(Indicators(*body["state"]["indicators"]), Breakers(*body["state"]["breakers"])),
        closes=tuple(body["closes"]),
        closed_ms=body["closed_ms"],
        bars_held=body["bars_held"],
        holding=None if held is None else Holding(**{**held, "position": BrokerPosition(**held["position"])}),
        watch=Watch(*body["watch"]),
        pending=None if pending is None else Decision(*pending),
        mark=None if mark is None else Mark(**mark),
        gaps=tuple(body.get("gaps", ())),  # absent from journals that are older than the rule
    )


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


def cash(ts_ms: int, delta_minor: int) -> JournalEvent:
    """Return the record of a deposit (positive) or withdrawal (negative)."""
    return note(ts_ms, f"{_CASH}{delta_minor}")


def cash_of(event: JournalEvent) -> int | None:
    """Return what a record of ``cash`` moved the balance by; None of any other."""
    text = str(event.body.get("text", "")) if event.kind == "note" else ""
    return int(text.removeprefix(_CASH)) if text.startswith(_CASH) else None
