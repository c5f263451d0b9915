"""A signal at each moment of a run: before there is a bot, while it starts, while it trades."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any, cast

import pytest

from palmbot.bootstrap import ending
from palmbot.bootstrap.ending import Ending
from palmbot.live.runner import Runner

pytestmark = pytest.mark.timeout(20)


class Starting:
    """A runner that was told to stop, or not yet."""

    def __init__(self, *, is_started: bool) -> None:
        self.is_started = is_started
        self.told: list[str] = []

    def stop(self, reason: str) -> None:
        self.told.append(reason)


async def lived(number: int, runner: Starting | None, seconds: float) -> None:
    """Live for so long, with a signal at the beginning."""
    with Ending() as ended:
        ended.runner = cast("Runner | None", cast("Any", runner))
        os.kill(os.getpid(), number)
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_there_is_a_bot_gives_up_at_once(number: int) -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(lived(number, None, 60))


def test_a_bot_that_trades_is_told_to_stop_and_not_cancelled() -> None:
    runner = Starting(is_started=True)
    asyncio.run(lived(signal.SIGTERM, runner, 0.05))
    assert runner.told == ["SIGTERM"]


def test_a_start_that_is_nearly_done_gets_a_moment_and_one_that_is_not_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "START_S", 0.2)
    runner = Starting(is_started=False)

    async def nearly() -> None:
        asyncio.get_running_loop().call_later(0.1, vars(runner).update, {"is_started": True})
        await lived(signal.SIGTERM, runner, 0.4)

    asyncio.run(nearly())
    runner.is_started = False
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(lived(signal.SIGTERM, runner, 60))
    assert runner.told == ["SIGTERM", "SIGTERM"]


def test_afterwards_signals_are_whose_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(lived(signal.SIGTERM, Starting(is_started=True), 0.01))
    assert signal.getsignal(signal.SIGTERM) == before
