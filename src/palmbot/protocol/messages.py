"""The messages of the wire and their numbers; ``pb`` is the generated module.

The proto file is the only table: every message that travels names its own number as the default of its first field.
Reading is tolerant. Unknown fields stay with the message, text that is not UTF-8 is read with replacement characters,
and a required field may be absent: proto2 moves an enum value that it does not know to the unknown fields, after which
the field reads as its first value. Ask ``missing`` before believing a required enum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from palmbot.errors import InvariantError
from palmbot.protocol._pb import palmbot_openapi_pb2 as pb

__all__ = [
    "CLASSES",
    "REQUESTS",
    "DecodeError",
    "Message",
    "message_class",
    "missing",
    "name",
    "parse",
    "payload_type",
    "pb",
    "serialise",
    "unread",
]


class Text(NamedTuple):
    """Where a message holds text: its own fields, and its parts that hold some: (field, is repeated, text)."""

    fields: tuple[str, ...]
    parts: tuple[tuple[str, bool, Text], ...]


def text_of(descriptor: Descriptor) -> Text:
    """Return where messages of ``descriptor`` hold text."""
    strings = (field for field in descriptor.fields if field.type == FieldDescriptor.TYPE_STRING)
    parts = (
        (field.name, field.is_repeated, text_of(field.message_type))
        for field in descriptor.fields
        if field.message_type is not None
    )
    return Text(tuple(field.name for field in strings), tuple(part for part in parts if any(part[2])))


def travelling() -> dict[int, type[Message]]:
    """Return the class of every message that travels in an envelope, by its number."""
    return {
        descriptor.fields_by_name["payloadType"].default_value: getattr(pb, name)
        for name, descriptor in DESCRIPTORS.items()
        if "payloadType" in descriptor.fields_by_name and name != "Envelope"
    }


DESCRIPTORS: Mapping[str, Descriptor] = pb.DESCRIPTOR.message_types_by_name
CLASSES: Mapping[int, type[Message]] = travelling()
REQUESTS = frozenset(number for number, kind in CLASSES.items() if kind.__name__.endswith("Req"))
_NUMBERS = {kind: number for number, kind in CLASSES.items()}
_TEXTS = {number: text for number, kind in CLASSES.items() if any(text := text_of(DESCRIPTORS[kind.__name__]))}


def message_class(payload_type: int) -> type[Message] | None:
    """Return the class of messages numbered ``payload_type``, or None for a number that we do not know."""
    return CLASSES.get(payload_type)


def payload_type(message: Message) -> int:
    """Return the number under which ``message`` travels.

    Raises:
        InvariantError: it is a part of messages and never travels itself.
    """
    try:
        return _NUMBERS[type(message)]
    except KeyError:
        kind = type(message).__name__
        raise InvariantError("MESSAGE_UNNUMBERED", "send a message that has a payload type", kind=kind) from None


def name(payload_type: int) -> str:
    """Return the message's name for a log; the number itself when we do not know it."""
    kind = CLASSES.get(payload_type)
    return str(payload_type) if kind is None else kind.__name__


def serialise(message: Message) -> bytes:
    """Return ``message`` as it travels.

    Raises:
        InvariantError: a required field is not set.
    """
    try:
        return message.SerializeToString()
    except EncodeError:
        fields = ",".join(missing(message))
        kind = type(message).__name__
        raise InvariantError("MESSAGE_INCOMPLETE", "set every required field", kind=kind, missing=fields) from None


def parse(payload_type: int, payload: bytes) -> Message | None:
    """Return the message in ``payload``, or None for a number that we do not know.

    Raises:
        DecodeError: the bytes are no message.
    """
    kind = CLASSES.get(payload_type)
    if kind is None:
        return None
    message = kind.FromString(payload)
    text = _TEXTS.get(payload_type)
    if text is not None:
        _mend(message, text)
    return message


def missing(message: Message) -> tuple[str, ...]:
    """Return the paths of required fields that are absent, or whose value we do not know: ``order.orderType``."""
    generated: Any = message  # the method is not in the base's type
    return () if message.IsInitialized() else tuple(generated.FindInitializationErrors())


def unread(message: Message) -> tuple[str, ...]:
    """Return the fields of ``message`` that say something newer than we are: enums, which now read as their default."""
    known = message.DESCRIPTOR.fields_by_number
    fields: Any = UnknownFieldSet(message)  # its iterator is not in the stubs
    numbers = dict.fromkeys(field.field_number for field in fields)
    return tuple(known[number].name for number in numbers if number in known)


def _mend(message: Message, text: Text) -> None:
    """Replace what is not UTF-8: proto2 does not check it, and such a field would read as bytes."""
    for field in text.fields:
        value = getattr(message, field)
        if isinstance(value, bytes):
            setattr(message, field, value.decode("utf-8", "replace"))
    for field, is_repeated, part in text.parts:
        if is_repeated:
            for item in getattr(message, field):
                _mend(item, part)
        elif message.HasField(field):
            _mend(getattr(message, field), part)
