"""A protocol that writes down what it is told, for a transport of either network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast


class Ear(asyncio.Protocol):
    """Hears, and answers where ``echoes``."""

    def __init__(self, *, echoes: bool = False) -> None:
        self.events: list[str] = []
        self.pieces: list[bytes] = []
        self.echoes = echoes
        self.transport: asyncio.Transport
        self._told = asyncio.Event()

    @property
    def heard(self) -> bytes:
        return b"".join(self.pieces)

    async def until_over(self) -> None:
        await self.until(lambda: self.events[-1] in {"lost", "ConnectionResetError"})

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until ``is_true``; it is asked whenever this ear was told something."""
        async with asyncio.timeout(20):
            while not is_true():
                self._told.clear()
                await self._told.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._tell("made")

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self._tell("data")
        if self.echoes:
            self.transport.write(data)

    def eof_received(self) -> None:
        self._tell("eof")

    def pause_writing(self) -> None:
        self._tell("pause")

    def resume_writing(self) -> None:
        self._tell("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell("lost" if exc is None else type(exc).__name__)

    def _tell(self, event: str) -> None:
        if event not in self.events:  # bytes come in any number of pieces
            self.events.append(event)
        self._told.set()
