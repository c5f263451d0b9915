"""Orders and their events as journal records, and back. Pure; the shapes are those of ``palmbot.model``.

A record's body is plain JSON: enums are their integers (``Execution``, ``OrderKind``) or texts (``IntentKind``), absent
parts are null.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from palmbot.model import (
    BrokerOrder,
    BrokerPosition,
    Close,
    Execution,
    Fill,
    IntentKind,
    JournalEvent,
    OrderEvent,
    OrderIntent,
    OrderKind,
)


def event_of_intent(intent: OrderIntent) -> JournalEvent:
    """Return the ``intent`` record that must be durable before ``intent`` is sent."""
    body = asdict(intent)
    body["kind"] = intent.kind.value
    return JournalEvent("intent", body.pop("ts_ms"), body)


def intent_of(event: JournalEvent) -> OrderIntent:
    """Return the intent that ``event_of_intent`` recorded."""
    return OrderIntent(**{**event.body, "kind": IntentKind(event.body["kind"]), "ts_ms": event.ts_ms})


def event_of_order_event(event: OrderEvent, exit_reason: int = 0) -> JournalEvent:
    """Return the ``order_event`` record of ``event``.

    Args:
        event: what the broker said.
        exit_reason: why its fill reduced the position (a ``Reason``), 0 when it did not.
    """
    body = asdict(event)
    body["execution"] = event.execution.value
    if event.order is not None:
        body["order"]["kind"] = event.order.kind.value
    body["exit_reason"] = int(exit_reason)
    return JournalEvent("order_event", event.ts_ms, body)


def order_event_of(event: JournalEvent) -> OrderEvent:
    """Return the broker's event that ``event_of_order_event`` recorded."""
    body = {key: value for key, value in event.body.items() if key != "exit_reason"}
    body["execution"] = Execution(body["execution"])
    body["order"] = _order(body["order"])
    body["position"] = None if body["position"] is None else BrokerPosition(**body["position"])
    body["fill"] = _fill(body["fill"])
    return OrderEvent(**body)


def exit_reason_of(event: JournalEvent) -> int:
    """Return the exit reason (a ``Reason``) that an ``order_event`` record carries, 0 for none."""
    return int(event.body["exit_reason"])


def _order(body: dict[str, Any] | None) -> BrokerOrder | None:
    return None if body is None else BrokerOrder(**{**body, "kind": OrderKind(body["kind"])})


def _fill(body: dict[str, Any] | None) -> Fill | None:
    if body is None:
        return None
    return Fill(**{**body, "close": None if body["close"] is None else Close(**body["close"])})
