"""A simulated process: what its code starts belongs to it, and dies with it.

Which process is running is a context variable. Callbacks, timers and tasks inherit it the way asyncio hands contexts
on, so nothing of the simulated program has to know.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

NODE: ContextVar[Node | None] = ContextVar("node", default=None)  # None is the world around the processes


class Node:
    """One process, alive until it crashes; a restart is another node.

    A crash falls between two callbacks of the loop, as ``kill -9`` falls between two system calls: no ``finally`` and
    no ``__exit__`` of the dead runs.

    Args:
        name: for traces.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.steps = 0  # callbacks begun
        self.crash_at_step: int | None = None  # the first callback that does not happen
        self._at_crash: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Node {self.name} {'alive' if self.is_alive else 'dead'} after {self.steps} steps>"

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` as this process; what it starts is this process's too."""
        context = copy_context()
        context.run(NODE.set, self)
        return context.run(function, *args, **kwargs)

    def begins_step(self) -> bool:
        """Return whether the next callback happens; this is where a planned crash does instead."""
        if self.is_alive:
            self.steps += 1
            if self.steps == self.crash_at_step:
                self.crash()
        return self.is_alive

    def at_crash(self, callback: Callable[[], None]) -> None:
        """Let the machine clean up after the process: close its sockets, roll back its transaction."""
        self._at_crash.append(callback)

    def crash(self) -> None:
        """Kill the process. The dead stay dead."""
        if not self.is_alive:
            return
        self.is_alive = False
        for callback in self._at_crash:
            callback()
