"""Frames: a big-endian length of four bytes, which does not count itself, and one serialised envelope."""

from __future__ import annotations

from struct import Struct

from palmbot.errors import PalmbotError
from palmbot.protocol.messages import Message, payload_type, pb, serialise

FRAME_MAX_BYTES = 15_000_000

_LENGTH = Struct(">I")
_HEAD_BYTES = _LENGTH.size


class FrameTooLongError(PalmbotError):
    """A frame is longer than the cap: the connection cannot go on."""

    def __init__(self, length_bytes: int, max_bytes: int) -> None:
        super().__init__("FRAME_TOO_LONG", "end the connection", length_bytes=length_bytes, max_bytes=max_bytes)
        self.length_bytes = length_bytes


def encode(message: Message, client_msg_id: str = "") -> bytes:
    """Return ``message`` as one frame.

    Raises:
        InvariantError: a required field is not set, or the message never travels itself.
    """
    return encode_payload(payload_type(message), serialise(message), client_msg_id)


def encode_payload(payload_type: int, payload: bytes, client_msg_id: str = "") -> bytes:
    """Return a frame around a payload that is serialised already; an empty ``client_msg_id`` is left out."""
    if client_msg_id:
        envelope = pb.Envelope(payloadType=payload_type, payload=payload, clientMsgId=client_msg_id)
    else:
        envelope = pb.Envelope(payloadType=payload_type, payload=payload)
    body = envelope.SerializeToString()
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a byte stream into frames. Taken dry after each ``feed``, it holds at most one frame and one feed.

    Args:
        max_bytes: longest frame that is accepted, without its head.
    """

    def __init__(self, max_bytes: int = FRAME_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._at = 0  # start of the next frame: what lies before is spent

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream, in pieces of any size."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> bytes | None:
        """Return the next frame without its head, or None until more bytes come.

        Raises:
            FrameTooLongError: the head announces more than the cap; it is raised before the frame is read.
        """
        start = self._at + _HEAD_BYTES
        if len(self._buffer) < start:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, self._at)
        if length > self._max_bytes:
            raise FrameTooLongError(length, self._max_bytes)
        end = start + length
        if len(self._buffer) < end:
            return None
        self._at = end
        return bytes(self._buffer[start:end])

    @property
    def held_bytes(self) -> int:
        """Bytes that wait for the rest of their frame, or to be taken."""
        return len(self._buffer) - self._at
