"""What happened in a story, a line each: virtual time, where, what. Two stories are one when their traces are."""

from __future__ import annotations

import json
from zlib import crc32

from palmbot.model import JournalEvent
from palmbot.protocol.frames import FrameReader
from palmbot.protocol.messages import name, pb
from palmbot.simulation.loop import VirtualLoop


class Trace:
    """Collects lines. Every byte that arrived and every record of a journal is in them, at least as a checksum.

    Args:
        loop: whose time stands before each line.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self.lines: list[str] = []
        self.frames = 0  # complete ones, heartbeats included
        self._loop = loop
        self._readers: dict[str, FrameReader] = {}

    def add(self, where: str, what: str) -> None:
        """Write a line."""
        self.lines.append(f"{self._loop.time():.6f} {where} {what}")

    def piece(self, way: str, data: bytes) -> None:
        """Write down what arrived on a connection: the piece of bytes, and each frame that it completes."""
        self.add(way, f"{len(data)} bytes {crc32(data):08x}")
        reader = self._readers.setdefault(way, FrameReader())
        reader.feed(data)
        while (frame := reader.next()) is not None:
            envelope = pb.Envelope.FromString(frame)
            self.frames += 1
            self.add(way, f"{name(envelope.payloadType)} {envelope.clientMsgId}".rstrip())

    def record(self, where: str, how: str, event: JournalEvent) -> None:
        """Write down that ``event`` was given to a journal."""
        body = json.dumps(event.body, separators=(",", ":"))
        self.add(where, f"{how} {event.kind} {event.ts_ms} {crc32(body.encode()):08x}")

    def text(self) -> str:
        """Return all lines."""
        return "".join(f"{line}\n" for line in self.lines)
