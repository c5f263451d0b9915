"""Says when this machine's clock and the broker's quotes disagree, and ends a start that would close bars early.

On a broker's own servers a bar ends by this machine's clock (PARITY 30): 1.5 s after its end, whether a quote comes or
not. A machine whose clock is further ahead than that ends bars before their last ticks have come, and decides on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from palmbot.errors import RefusedError
from palmbot.live.runner import LATE_TICKS_MS
from palmbot.units import SECOND_MS

NOTICE_MS = 1_000  # beyond this, either way, a person is told
REFUSE_MS = 5_000  # no start further ahead
REMEDY = "Set this machine's clock and let it be kept (NTP); palmbot doctor compares it with a web server's."


class Lagging(Protocol):
    """A client that says how late quotes come by this machine's clock."""

    on_lag: Callable[[int], None]


class Punctual:
    """What hears those figures; from when it is made on, none is missed.

    Args:
        client: whose figures.
        on_note: is told what a person should know.
    """

    def __init__(self, client: Lagging, on_note: Callable[[str], None]) -> None:
        self._on_note = on_note
        self._is_first = True
        self._is_told = False
        self._wrong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.on_lag = self.heard

    def heard(self, lag_ms: int) -> None:
        """Take in a figure: the first may end the start, a change is told once."""
        is_first, self._is_first = self._is_first, False
        if is_first and lag_ms > REFUSE_MS and not self._wrong.done():
            self._wrong.set_exception(RefusedError("CLOCK_AHEAD", REMEDY, ahead_s=round(lag_ms / SECOND_MS, 1)))
            return
        is_wrong = abs(lag_ms) > NOTICE_MS
        if is_wrong and not self._is_told:
            self._on_note(f"{_words(lag_ms)} {REMEDY}")
        self._is_told = is_wrong

    async def run(self) -> None:
        """Run beside the bot, until cancelled.

        Raises:
            RefusedError: at its start the clock was so far ahead that bars would end without their last ticks.
        """
        await self._wrong


def _words(lag_ms: int) -> str:
    off = f"This machine's clock is {abs(lag_ms) / SECOND_MS:.1f} s"
    if lag_ms < 0:
        return f"{off} behind the broker's quotes."
    ends = " Bars end before their last ticks." if lag_ms > LATE_TICKS_MS else ""
    return f"{off} ahead of the broker's quotes, or they come as late.{ends}"
