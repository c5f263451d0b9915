"""How fast the embedded market runs: in lock-step with the bot, freely, or so many market seconds a wall second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from palmbot.calendar import Session, open_spans
from palmbot.errors import InvariantError
from palmbot.ports import Clock

IDLE_MAX_S = 30.0
LAG_MAX_MS = 1_000  # what was lost beyond this, to a sleep of the machine say, is not caught up


class LockStep:
    """The ``palmbot.ports.Pacer`` of ``--speed max``: no tick before the bot has done with the one before (PARITY 63).

    An ``idle`` counts only while the exchange waits for it, so one that comes early or twice releases nothing. Over a
    wire the bot may say it before it has received what was sent: then it counts only once nothing is on the way, and
    the bot says it again after each receipt.

    Args:
        awaited: names what the bot waits for, should it never become idle. The bot may set it later.
        limit_s: how long the exchange waits, on the machine clock.
    """

    def __init__(self, awaited: Callable[[], str] | None = None, limit_s: float = IDLE_MAX_S) -> None:
        self.awaited = awaited
        self.is_quiet: Callable[[], bool] = lambda: True  # whether nothing is on the way to the bot
        self._limit_s = limit_s
        self._waiter: asyncio.Future[None] | None = None

    def idle(self) -> None:
        """The bot has processed everything and awaits nothing."""
        if self._waiter is not None and not self._waiter.done() and self.is_quiet():
            self._waiter.set_result(None)

    async def wait_idle(self) -> None:
        """Wait until the bot has nothing left to do.

        Raises:
            InvariantError: ``PACER_STUCK``, it never said so; the facts name what is awaited.
        """
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(self._limit_s, self._give_up, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _give_up(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            awaited = "a first report that the bot is idle" if self.awaited is None else self.awaited()
            todo = "Report this with the log: the bot never finished what the last tick began."
            waiter.set_exception(InvariantError("PACER_STUCK", todo, awaited=awaited, waited_s=self._limit_s))


class FreeRunning:
    """The ``palmbot.ports.Pacer`` of a market that waits for nobody."""

    def idle(self) -> None:
        """Nobody waits for it."""

    async def wait_idle(self) -> None:
        """Return at once."""


class Pace:
    """Market time against the machine clock: ``speed`` market seconds a wall second, closed hours skipped.

    Due times are counted from the start, so that waits that are a little too long do not add up.
    """

    def __init__(self, clock: Clock, speed: float, session: Session) -> None:
        if not speed > 0:
            raise InvariantError("SPEED_NOT_POSITIVE", "Give a speed above 0.", speed=speed)
        self._clock = clock
        self._speed = speed
        self._session = session
        self._last_ms: int | None = None
        self._anchor_ms = 0.0  # machine time at which ``_open_ms`` was 0
        self._open_ms = 0  # open market time since then

    async def until(self, ts_ms: int) -> None:
        """Wait until it is time for the tick at ``ts_ms``; always lets others run."""
        now_ms = self._clock.monotonic_ms()
        if self._last_ms is None:
            self._anchor_ms = now_ms
        else:
            self._open_ms += sum(end - start for start, end in open_spans(self._last_ms, ts_ms, self._session))
        self._last_ms = ts_ms
        wait_ms = self._anchor_ms + self._open_ms / self._speed - now_ms
        if wait_ms < -LAG_MAX_MS:
            self._anchor_ms -= wait_ms
        await self._clock.sleep(max(wait_ms, 0.0) / 1_000)
