"""Tokens are renewed beside a dry run: days ahead, and what only a person can mend ends nothing that lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from tests.token_house import HouseClock

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.tokens import LOOK_EVERY_MS, TokenKeeper
from palmbot.bootstrap.dry_run import keep_tokens
from palmbot.errors import PalmbotError, RejectedError, RetryError


class Keeper:
    """A keeper that fails as it is told to, then goes on for ever."""

    def __init__(self, *failures: PalmbotError) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def keep(self, tell: Callable[[PalmbotError], None]) -> None:
        self.calls += 1
        tell(RetryError("TOKEN_SERVER_BUSY", "Try again in a few minutes."))
        if self.failures:
            raise self.failures.pop(0)
        raise asyncio.CancelledError


async def test_a_login_that_is_needed_is_said_and_the_keeper_looks_again_in_an_hour() -> None:
    notes: list[str] = []
    clock = HouseClock(0)
    keeper = Keeper(RejectedError("LOGIN_NEEDED", "A person has to log in: palmbot auth login --env demo."))
    with pytest.raises(asyncio.CancelledError):
        await keep_tokens(cast("TokenKeeper", keeper), cast("SystemClock", cast("Any", clock)), notes.append)
    assert keeper.calls == 2
    assert clock.now_ms == LOOK_EVERY_MS
    codes = [note.removeprefix("The tokens could not be renewed. ").partition(":")[0] for note in notes]
    assert codes == ["TOKEN_SERVER_BUSY", "LOGIN_NEEDED", "TOKEN_SERVER_BUSY"]
    assert all("Log" in note or "log in" in note or "Try again" in note for note in notes)
