"""What faults make of messages and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final, TypeVar

from palmbot.protocol.messages import Message, pb

UNKNOWN_PAYLOAD_TYPE: Final = 9_999
NEWER_FIELDS: Final = b"\xc8\x3e\x07\xd2\x3e\x05newer"  # 1001: 7, 1002: "newer"
NEWER_TYPE: Final = b"\x18\x63"  # executionType: 99
PIECE_MAX_BYTES: Final = 7
M = TypeVar("M", bound=Message)


def overgrown(message: M) -> M:
    """Return ``message`` with fields that no schema knows, in all its parts too."""
    grown = type(message)()
    grown.CopyFrom(message)
    _grow(grown)
    return grown


def _grow(message: Any) -> None:  # noqa: ANN401 - of any type
    for field, content in message.ListFields():
        if field.message_type is not None:
            for part in content if field.is_repeated else (content,):
                _grow(part)
    message.MergeFromString(NEWER_FIELDS)


def unheard_of(event: pb.ExecutionEvent) -> bytes:
    """Return ``event`` serialised with a type that no schema knows."""
    changed = pb.ExecutionEvent()
    changed.CopyFrom(event)
    changed.ClearField("executionType")
    return changed.SerializePartialToString() + NEWER_TYPE


def sliced(data: bytes, rng: Random) -> Iterator[bytes]:
    """Yield ``data`` in small pieces."""
    at = 0
    while at < len(data):
        size = rng.randint(1, PIECE_MAX_BYTES)
        yield data[at : at + size]
        at += size
