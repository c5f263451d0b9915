"""Bytes that a hostile peer of the protocol might send, drawn from a seeded source."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from palmbot.protocol.frames import encode_payload
from palmbot.protocol.messages import CLASSES, DESCRIPTORS, pb

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
NUMBERS = sorted(CLASSES)
IDS = [*(f"-{number}" for number in range(1, 9)), "", "", "", "somebody-1", "x" * 300, "\u0000", "\U0001f334"]
INTEGERS = [0, 1, 2, 3, 7, 11, 99, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1]
DOUBLES = [0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan")]
DEPTH_MAX = 4
KINDS_OF_VARINT = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_ENUM,
}


def varint(value: int) -> bytes:
    """Return ``value`` (0..2^64 - 1) in groups of seven bits."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def tagged(number: int, kind: int, content: bytes) -> bytes:
    """Return a field as it travels."""
    head = varint(number << 3 | kind)
    return head + varint(len(content)) + content if kind == LENGTH else head + content


def text(rng: Random) -> bytes:
    """Return a text: plain, a code that means something, long, or no UTF-8 at all."""
    choice = rng.randrange(6)
    if choice == 0:
        return rng.randbytes(rng.randrange(40))
    if choice == 1:
        return rng.choice([b"ALREADY_LOGGED_IN", b"CH_CLIENT_ALREADY_AUTHENTICATED", b"\xff", b"\xed\xa0\x80", b"\x00"])
    if choice == 2 and rng.randrange(20) == 0:
        return b"long" * rng.randrange(20_000)
    return b"label"


def field(rng: Random, descriptor: FieldDescriptor, depth: int) -> bytes:
    """Return a field of ``descriptor`` with a hostile value, now and then of the wrong kind."""
    if rng.randrange(30) == 0:
        return unknown(rng, descriptor.number)
    if descriptor.message_type is not None:
        content = body(rng, descriptor.message_type, depth + 1)
        return tagged(descriptor.number, LENGTH, content)
    if descriptor.type == FieldDescriptor.TYPE_DOUBLE:
        return tagged(descriptor.number, FIXED64, struct.pack("<d", rng.choice(DOUBLES)))
    if descriptor.type in KINDS_OF_VARINT:
        return tagged(descriptor.number, VARINT, varint(rng.choice(INTEGERS)))
    return tagged(descriptor.number, LENGTH, text(rng))


def unknown(rng: Random, number: int) -> bytes:
    """Return a field of any kind under ``number``: a value, or groups inside groups, perhaps never closed."""
    kind = rng.choice([VARINT, FIXED64, LENGTH, GROUP, FIXED32])
    if kind == VARINT:
        return tagged(number, kind, varint(rng.choice(INTEGERS)))
    if kind == GROUP:
        depth = rng.choice([1, 3, 50, 99, 101, 5_000])
        closed = depth if rng.randrange(4) else depth - 1
        return tagged(number, GROUP, b"") * depth + tagged(number, END_GROUP, b"") * closed
    size = {FIXED64: 8, FIXED32: 4}.get(kind, rng.randrange(30))
    return tagged(number, kind, rng.randbytes(size))


def body(rng: Random, descriptor: Descriptor, depth: int = 0) -> bytes:
    """Return a payload of ``descriptor``: some of its fields in any order, some often, some of nobody's."""
    if depth > DEPTH_MAX:
        return b""
    parts = [field(rng, each, depth) for each in descriptor.fields for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    if rng.randrange(8) == 0:
        parts.append(unknown(rng, rng.choice([15, 19, 23, 99, 2**29 - 1])))
    rng.shuffle(parts)
    return b"".join(parts)


def valid(rng: Random) -> bytes:
    """Return a frame that can be read, full of hostile values."""
    number = rng.choice(NUMBERS)
    return encode_payload(number, body(rng, DESCRIPTORS[CLASSES[number].__name__]), rng.choice(IDS))


def misnamed(rng: Random) -> bytes:
    """Return a frame whose payload belongs to another type, perhaps one that nobody knows."""
    kind = DESCRIPTORS[CLASSES[rng.choice(NUMBERS)].__name__]
    number = rng.choice([*NUMBERS, 0, 5, 2_098, 2_194, 2**32 - 1])
    return encode_payload(number, body(rng, kind), rng.choice(IDS))


def malformed(rng: Random) -> bytes:
    """Return a frame whose envelope is random bytes, or lacks its number, or has text that is none."""
    choice = rng.randrange(4)
    if choice == 0:
        content = rng.randbytes(rng.randrange(60))
    elif choice == 1:
        content = tagged(2, LENGTH, b"")
    elif choice == 2:
        content = tagged(1, VARINT, varint(rng.choice(INTEGERS))) + unknown(rng, 3)
    else:
        content = tagged(1, VARINT, varint(rng.choice(NUMBERS))) + tagged(3, LENGTH, b"\xff\xfe") + unknown(rng, 77)
    return struct.pack(">I", len(content)) + content


def oversized(rng: Random) -> bytes:
    """Return a head that promises more than any cap, and a little of it."""
    return struct.pack(">I", rng.choice([15_000_001, 2**31, 2**32 - 1])) + rng.randbytes(rng.randrange(50))


def truncated(rng: Random) -> bytes:
    """Return a frame without its end: what follows is read as the rest of it."""
    frame = valid(rng)
    return frame[: rng.randrange(len(frame))]


def flipped(rng: Random) -> bytes:
    """Return a frame with some bits turned over."""
    frame = bytearray(valid(rng))
    for _ in range(rng.randrange(1, 5)):
        frame[rng.randrange(4, len(frame))] ^= 1 << rng.randrange(8)
    return bytes(frame)


def bulky(rng: Random) -> bytes:
    """Return a frame of up to 400 kB that is all parts or all numbers."""
    if rng.randrange(2):
        return encode_payload(pb.SYMBOLS_LIST_RES, tagged(3, LENGTH, b"") * rng.randrange(200_000))
    return encode_payload(pb.SUBSCRIBE_SPOTS_REQ, tagged(3, VARINT, b"\x01") * rng.randrange(200_000))


def garbage(rng: Random) -> bytes:
    """Return random bytes."""
    return rng.randbytes(rng.randrange(200))


KINDS: dict[str, tuple[Callable[[Random], bytes], int]] = {  # and how often each is drawn
    "valid": (valid, 600),
    "misnamed": (misnamed, 100),
    "flipped": (flipped, 60),
    "malformed": (malformed, 20),
    "truncated": (truncated, 10),
    "oversized": (oversized, 5),
    "garbage": (garbage, 5),
    "bulky": (bulky, 2),
}


def hostile(rng: Random) -> tuple[str, bytes]:
    """Return one hostile act: its kind and its bytes."""
    (kind,) = rng.choices(list(KINDS), [weight for _, weight in KINDS.values()])
    return kind, KINDS[kind][0](rng)
