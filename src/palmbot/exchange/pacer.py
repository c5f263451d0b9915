"""How fast the embedded market runs: in lock-step with the bot, freely, or so many market seconds a wall second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from palmbot.calendar import Session, open_spans
from palmbot.errors import InvariantError
from palmbot.ports import Clock
from palmbot.units import DAY_MS

IDLE_MAX_S = 30.0
AHEAD_MAX_MS = 7 * DAY_MS  # further than a tick ever is
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
        self._waits_count = 0
        self._watchdog: asyncio.TimerHandle | None = None  # one for many waits

    def idle(self) -> None:
        """The bot has processed everything and awaits nothing."""
        if self._waiter is not None and not self._waiter.done() and self.is_quiet():
            self._waiter.set_result(None)

    async def wait_idle(self) -> None:
        """Wait until the bot has nothing left to do.

        Raises:
            InvariantError: ``PACER_STUCK``, it did not say so for the limit or, at most, twice as long; the facts name
                what is awaited.
        """
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self._waits_count += 1
        if self._watchdog is None:
            self._watch(loop)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watchdog = loop.call_later(self._limit_s, self._look, loop, self._waits_count)

    def _look(self, loop: asyncio.AbstractEventLoop, waits_count: int) -> None:
        """Give up a wait that began before the watch; watch a later one anew."""
        self._watchdog = None
        if self._waiter is None or self._waiter.done():
            return
        if self._waits_count != waits_count:
            self._watch(loop)
            return
        awaited = "a first report that the bot is idle" if self.awaited is None else self.awaited()
        todo = "Report this with the log: the bot never finished what the last tick began."
        self._waiter.set_exception(InvariantError("PACER_STUCK", todo, awaited=awaited, waited_s=self._limit_s))


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
        self._last_ms: int | None = None  # market time that was reached
        self._anchor_ms = 0.0  # machine time at which ``_open_ms`` was 0
        self._open_ms = 0  # open market time up to ``_last_ms`` since then
        self._sleeping: asyncio.Future[None] | None = None
        self._is_woken = False

    async def until(self, ts_ms: int) -> bool:
        """Wait until it is time for ``ts_ms``, or until ``wake``; always lets others run. Return whether it is time."""
        now_ms = self._clock.monotonic_ms()
        open_ms = self._open_ms
        if self._last_ms is None:
            self._anchor_ms = now_ms
        else:
            open_ms += sum(end - start for start, end in open_spans(self._last_ms, ts_ms, self._session))
        wait_ms = self._anchor_ms + open_ms / self._speed - now_ms
        if wait_ms < -LAG_MAX_MS:
            self._anchor_ms -= wait_ms
        if not await self._slept(max(wait_ms, 0.0) / 1_000):
            return False
        self._last_ms, self._open_ms = ts_ms, open_ms
        return True

    def wake(self) -> None:
        """End the wait: something may be due before what is waited for."""
        if self._sleeping is not None and not self._sleeping.done():
            self._is_woken = True
            self._sleeping.cancel()

    def now_ms(self) -> int | None:
        """Return the market time of this moment, a little more or less; None before the first wait."""
        if self._last_ms is None:
            return None
        passed_ms = (self._clock.monotonic_ms() - self._anchor_ms) * self._speed - self._open_ms
        if passed_ms <= 0:
            return self._last_ms
        at_ms = self._last_ms
        for start_ms, end_ms in open_spans(self._last_ms, self._last_ms + AHEAD_MAX_MS, self._session):
            at_ms = min(start_ms + int(passed_ms), end_ms)
            passed_ms -= end_ms - start_ms
            if passed_ms <= 0:
                break
        return at_ms

    async def _slept(self, seconds: float) -> bool:
        """Sleep; return False where it was woken."""
        self._is_woken = False
        self._sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await self._sleeping
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_woken or (task is not None and task.cancelling() > 0):
                self._sleeping.cancel()
                raise
            return False
        finally:
            self._sleeping = None
        return True
