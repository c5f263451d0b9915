"""An asyncio loop in virtual time: when nothing is ready the clock jumps to the next timer. No threads, no sockets.

Callbacks run in the order in which asyncio would run them, timers of one instant in the order in which they were set:
protocols rely on that. Disorder comes from seeded delays at the ports, never from the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context
from heapq import heappush
from math import ulp
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

from palmbot.errors import InvariantError
from palmbot.simulation.node import NODE, Node

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

STEPS_MAX: Final = 2_000_000
_LAST_WORDS_MAX: Final = 100  # awaits in the finally blocks of one coroutine


class ViolationError(InvariantError):
    """The simulated programs did what they never may. Ends the story, whoever catches it on the way."""


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of one story. ``close`` it: that buries what is left of the processes.

    Args:
        steps_max: so many callbacks are taken for a livelock.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, steps_max: int = STEPS_MAX) -> None:
        super().__init__()
        self.steps = 0  # callbacks so far, also those that a dead process did not run
        self.violation: ViolationError | None = None  # the first
        self.last_words: list[BaseException] = []  # what finally blocks raised when they were let run at the end
        self._steps_max = steps_max
        self._now_s = 0.0
        self._timers = 0
        self._tasks: list[tuple[Node | None, asyncio.Task[Any]]] = []  # the graveyard keeps the dead ones too
        self._selector = _Selector(self)  # what BaseEventLoop waits in

    # -- time

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._now_s

    def jump(self) -> None:
        """Let time pass until the next timer.

        Raises:
            ViolationError: ``DEADLOCK``, there is none.
        """
        if not self._scheduled:
            waiting = ",".join(task.get_name() for _, task in self.undone())
            self._violate("DEADLOCK", "Nothing can happen any more.", waiting=waiting)
        self._now_s = max(self._now_s, self._scheduled[0].when())
        self._clock_resolution = ulp(self._now_s)  # no timer rings early

    def _process_events(self, events: tuple[()]) -> None:
        """There is never input."""

    # -- callbacks

    def _call_soon(
        self, callback: Callable[[*Ts], object], args: tuple[*Ts], context: Context | None
    ) -> asyncio.Handle:
        handle = _Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call ``callback`` at ``when`` on this loop's clock, after what was asked for earlier for the same instant."""
        self._timers += 1
        timer = _Timer((when, self._timers), callback, args, self, context)
        heappush(self._scheduled, timer)
        return timer

    def step(self, context: Context, run: Callable[[], None]) -> None:
        """Run one callback, unless its process is dead.

        Raises:
            ViolationError: one happened, whether or not the callback let it through.
        """
        self.steps += 1
        if self.steps > self._steps_max:
            self._violate("LIVELOCK", "The processes keep each other busy for ever.", steps=self.steps)
        node = context.get(NODE)
        if node is None or node.begins_step():
            run()
        if self.violation is not None:
            raise self.violation

    # -- tasks

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Start a task of the process that is running, or of the one of ``context``."""
        task = super().create_task(coro, name=name, context=context)
        self._tasks.append((NODE.get() if context is None else context.get(NODE), task))
        return task

    def undone(self) -> list[tuple[Node | None, asyncio.Task[Any]]]:
        """Return the tasks of the world and of living processes that have not ended, oldest first."""
        return [each for each in self._tasks if not each[1].done() and (each[0] is None or each[0].is_alive)]

    def unheard(self) -> list[tuple[Node | None, asyncio.Task[Any]]]:
        """Return the tasks whose failure nobody took notice of, oldest first; a process may die before it could."""
        done = [each for each in self._tasks if each[1].done() and (each[0] is None or each[0].is_alive)]
        return [each for each in done if each[1]._log_traceback]  # noqa: SLF001 - asyncio's own mark for it

    # -- what virtual time has not

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *_args: *Ts, context: Context | None = None
    ) -> NoReturn:
        """Refuse: there is no other thread.

        Raises:
            ViolationError: ``THREAD``.
        """
        del context
        self._violate("THREAD", "A thread called into the virtual loop.", callback=callback)

    def run_in_executor(self, executor: object, func: Callable[..., object], *_args: object) -> NoReturn:
        """Refuse: there is no other thread.

        Raises:
            ViolationError: ``THREAD``.
        """
        del executor
        self._violate("THREAD", "A thread was asked for in virtual time.", function=func)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Take what asyncio would only log for a violation; it ends the story after the current callback."""
        error = context.get("exception")
        facts = {"said": context.get("message"), "error": repr(error), "at_s": self._now_s}
        if self.violation is None:
            self.violation = ViolationError("UNHANDLED", "A callback or a task failed and nobody took notice.", **facts)
            self.violation.__cause__ = error

    def _violate(self, code: str, todo: str, **facts: object) -> NoReturn:
        violation = ViolationError(code, todo, at_s=self._now_s, **facts)
        self.violation = self.violation or violation
        raise violation

    # -- the end

    def close(self) -> None:
        """End the story: what never ended runs its ``finally`` blocks now, where nothing can hear them."""
        for _, task in self._tasks:  # grows when a finally block starts one
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as run_until_complete does
            if not task.done():
                self._bury(task.get_coro())
        self._tasks.clear()
        super().close()

    def _bury(self, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any]) -> None:
        """Close ``coroutine``, however often it awaits on its way out."""
        for _ in range(_LAST_WORDS_MAX):
            try:
                coroutine.close()
            except (Exception, asyncio.CancelledError) as said:  # noqa: BLE001 - the dead may say what they like
                self.last_words.append(said)
            else:
                return


class _Selector:
    """Stands where a real loop waits for input: there is none, so time passes."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout_s: float | None) -> tuple[()]:
        """Return no input, at the time of the next timer unless something is ready; None is without a timer."""
        if timeout_s is None or timeout_s > 0:
            self._loop.jump()
        return ()


class _Soon(asyncio.Handle):
    """A callback that goes through ``VirtualLoop.step``."""

    __slots__ = ()
    _loop: VirtualLoop
    _context: Context

    def _run(self) -> None:
        self._loop.step(self._context, super()._run)


class _Timer(asyncio.TimerHandle):
    """A timer that goes through ``VirtualLoop.step``, in its turn among those of the same instant."""

    __slots__ = ("turn",)
    _loop: VirtualLoop
    _context: Context
    _scheduled: bool

    def __init__(
        self,
        turn: tuple[float, int],
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        super().__init__(turn[0], callback, args, loop, context)
        self.turn = turn  # due time and number
        self._scheduled = True

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        return isinstance(other, _Timer) and self.turn < other.turn

    def _run(self) -> None:
        self._loop.step(self._context, super()._run)
