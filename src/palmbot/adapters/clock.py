"""The machine's clock: the only file that reads one."""

from __future__ import annotations

import asyncio
import time

# CLOCK_BOOTTIME goes on while the machine sleeps, so that a lease or a deadline that passed in the night has passed.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_NS_PER_MS = 1_000_000


class SystemClock:
    """The ``palmbot.ports.Clock`` of production."""

    def monotonic_ms(self) -> int:
        """Return milliseconds since an arbitrary start; never goes back, also counts sleep where the system can."""
        return time.clock_gettime_ns(_MONOTONIC) // _NS_PER_MS

    def utc_ms(self) -> int:
        """Return wall time in milliseconds since 1970; may jump when the machine's clock is set."""
        return time.time_ns() // _NS_PER_MS

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of the running loop's time; a sleep of the machine may lengthen it."""
        await asyncio.sleep(seconds)
