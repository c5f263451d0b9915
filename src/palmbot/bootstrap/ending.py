"""Ctrl-C and SIGTERM, heard at any moment: what only begins is given up, a bot that trades stops in order."""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType
from typing import Final, Self

from palmbot.live.runner import Runner

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)
START_S: Final = 2.0  # a start that is nearly done gets so long, and the run its summary


class Ending:
    """A context manager for the task that is cancelled when a signal comes too early for anything else.

    ``runner`` is to be set once there is one.
    """

    def __init__(self) -> None:
        self.runner: Runner | None = None
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        for number in NUMBERS:
            self._loop.add_signal_handler(number, self.hear, signal.Signals(number).name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in NUMBERS:
            self._loop.remove_signal_handler(number)

    def hear(self, name: str) -> None:
        """Take in that the signal ``name`` came."""
        if self.runner is None:
            self._give_up()
            return
        self.runner.stop(name)
        if not self.runner.is_started:
            self._loop.call_later(START_S, self._give_up)

    def _give_up(self) -> None:
        if self._task is not None and (self.runner is None or not self.runner.is_started):
            self._task.cancel()
