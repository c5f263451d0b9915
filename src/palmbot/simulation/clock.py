"""The clock of a simulated process, on the loop's virtual time."""

from __future__ import annotations

import asyncio
from typing import Final

from palmbot.simulation.loop import VirtualLoop

_US_PER_S: Final = 1_000_000
_US_PER_MS: Final = 1_000


class NodeClock:
    """The ``palmbot.ports.Clock`` of one process.

    Args:
        loop: the story's.
        epoch_ms: UTC at the loop's start.
        skew_ms: how far this process's machine is ahead of UTC.
        start_ms: what its monotonic clock showed at the loop's start; each machine has its own.
    """

    def __init__(self, loop: VirtualLoop, epoch_ms: int, skew_ms: int = 0, start_ms: int = 0) -> None:
        self._loop = loop
        self._epoch_ms = epoch_ms + skew_ms
        self._start_ms = start_ms

    def monotonic_ms(self) -> int:
        """Return milliseconds of this machine's steady clock."""
        return self._start_ms + self._elapsed_ms()

    def utc_ms(self) -> int:
        """Return what this machine takes for UTC."""
        return self._epoch_ms + self._elapsed_ms()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of virtual time."""
        await asyncio.sleep(seconds)

    def _elapsed_ms(self) -> int:
        """Return whole milliseconds; via microseconds, or a timer of 1.001 s would ring in millisecond 1,000."""
        return round(self._loop.time() * _US_PER_S) // _US_PER_MS
