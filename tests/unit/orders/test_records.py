from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

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
from palmbot.orders.records import event_of_intent, event_of_order_event, exit_reason_of, intent_of, order_event_of

INTENTS = st.builds(OrderIntent, risk_minor=st.floats(allow_nan=False, allow_infinity=False))
EVENTS = st.builds(
    OrderEvent,
    order=st.none() | st.builds(BrokerOrder),
    position=st.none() | st.builds(BrokerPosition),
    fill=st.none() | st.builds(Fill, close=st.none() | st.builds(Close)),
)


def through_text(event: JournalEvent) -> JournalEvent:
    return JournalEvent(event.kind, event.ts_ms, json.loads(json.dumps(event.body)))


@given(INTENTS)
def test_an_intent_comes_back_from_its_record_as_it_was(intent: OrderIntent) -> None:
    again = intent_of(through_text(event_of_intent(intent)))
    assert again == intent
    assert isinstance(again.kind, IntentKind)


@given(EVENTS, st.integers(0, 69))
def test_a_broker_event_comes_back_from_its_record_as_it_was(event: OrderEvent, exit_reason: int) -> None:
    record = through_text(event_of_order_event(event, exit_reason))
    again = order_event_of(record)
    assert again == event
    assert isinstance(again.execution, Execution)
    assert again.order is None or isinstance(again.order.kind, OrderKind)
    assert exit_reason_of(record) == exit_reason


@given(EVENTS)
def test_a_record_is_plain_json_before_it_is_written(event: OrderEvent) -> None:
    record = event_of_order_event(event)
    assert type(record.body["execution"]) is int
    assert through_text(record) == record


def test_the_record_of_an_intent_has_the_fields_that_the_journal_projects() -> None:
    intent = OrderIntent(IntentKind.CLOSE, "c1", "PALMOIL", -1, 25, 63, 7, position_id=3, bar_end_ms=5)
    assert event_of_intent(intent) == JournalEvent(
        "intent",
        7,
        {
            "kind": "close", "client_order_id": "c1", "symbol": "PALMOIL", "side": -1, "volume_cu": 25, "reason": 63,
            "sl_px": 0, "tp_px": 0, "position_id": 3, "bar_end_ms": 5, "risk_minor": 0.0,
        },
    )  # fmt: skip
