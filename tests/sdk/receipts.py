"""Every message that the official client received, read and judged under its own classes.

Runs inside the client's environment: nothing of the exchange or of the tests' environment is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ctrader_open_api import Protobuf


class Receipt(NamedTuple):
    """One message: what it says, and what is wrong with it."""

    asked: str  # the id of the request that it answers; empty: the exchange spoke by itself
    type: int
    name: str
    body: dict[str, Any]  # the fields that are present, enumerations by name
    newer: list[str]  # fields that the client's schema is too old to know
    faults: list[str]


def read(envelope: Any) -> Receipt:
    """Return the receipt of ``envelope``, a ``ProtoMessage``; whatever cannot be read is a fault, never an error."""
    head = (str(envelope.clientMsgId), int(envelope.payloadType))
    try:
        message = Protobuf.extract(envelope)
    except Exception as error:  # noqa: BLE001 - whatever the client trips over is what this is here to find
        return Receipt(*head, "", {}, [], [f"the client cannot read it: {error!r}"])
    newer: list[str] = []
    lost: list[str] = []
    for kind, number in unknown_fields(message):
        (lost if number in kind.fields_by_number else newer).append(f"{kind.name}.{number}")
    faults = [f"{name} is required and missing" for name in message.FindInitializationErrors()]
    faults += [f"{name} has a value or a wire type that the client does not know" for name in lost]
    if message.payloadType != envelope.payloadType:
        faults.append(f"it calls itself {message.payloadType} and travels as {envelope.payloadType}")
    if message.ByteSize() != len(envelope.payload):
        faults.append(f"the client would write it in {message.ByteSize()} bytes, not in {len(envelope.payload)}")
    return Receipt(*head, message.DESCRIPTOR.name, plain(message), sorted(set(newer)), faults)


def unknown_fields(message: Any) -> Iterator[tuple[Any, int]]:
    """Yield kind of message and number of every field that its schema did not take, at any depth."""
    for field in message.UnknownFields():
        yield message.DESCRIPTOR, field.field_number
    for field, content in message.ListFields():
        if field.message_type is not None:
            for part in content if field.label == field.LABEL_REPEATED else [content]:
                yield from unknown_fields(part)


def plain(message: Any) -> dict[str, Any]:
    """Return the present fields of ``message`` by name."""
    return {
        field.name: [value(field, one) for one in content]
        if field.label == field.LABEL_REPEATED
        else value(field, content)
        for field, content in message.ListFields()
    }


def value(field: Any, content: Any) -> Any:
    """Return ``content`` of ``field`` as JSON can hold it."""
    if field.message_type is not None:
        return plain(content)
    return field.enum_type.values_by_number[content].name if field.enum_type is not None else content
