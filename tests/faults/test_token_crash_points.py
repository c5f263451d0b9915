"""A crash at any instant of a renewal: it goes on without a person, or says plainly that a login is needed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.token_house import TokenHouse, credentials_of, token_house

from palmbot.adapters.oauth import TokenServer
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.adapters.tokens import TokenKeeper
from palmbot.errors import RejectedError
from palmbot.model import Renewal, Tokens
from palmbot.settings import Environment
from palmbot.units import MINUTE_MS

# what a renewal asks of the outside; a crash may come before each of them and after
CALLS: tuple[tuple[Any, str], ...] = (
    (os, "open"),
    (os, "fsync"),
    (os, "close"),
    (Path, "unlink"),
    (Path, "replace"),
    (TokenServer, "_get"),
)


class Crash(BaseException):
    """The process is gone; nothing may catch it."""


class Countdown:
    """Lets the n-th instant be the last: twice n before, twice n plus one after the n-th call."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int | None = None) -> None:
        self.instants = 0
        self.history: list[str] = []
        self._last = last
        for owner, name in CALLS:
            patch.setattr(owner, name, self._counted(getattr(owner, name), name))

    def _counted(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self._pass(f"before {name}")
            result = call(*given, **named)
            self._pass(f"after {name}")
            return result

        return counted

    def _pass(self, what: str) -> None:
        self.history.append(what)
        self.instants += 1
        if self._last is not None and self.instants > self._last:
            raise Crash(what)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)


@pytest.fixture
async def house() -> AsyncIterator[TokenHouse]:
    async with token_house() as running:
        running.register("http://127.0.0.1:25000/x")
        yield running


def keeper_of(house: TokenHouse, folder: Path) -> tuple[TokenKeeper, TokenVault]:
    """Return what a new process has."""
    vault = TokenVault(folder, "demo", TokenSeal("demo", GivenKey("key")))
    server = TokenServer(house.endpoints, credentials_of(Environment.DEMO))
    return TokenKeeper("demo", vault, server, house.clock), vault


async def begin(house: TokenHouse, folder: Path) -> Tokens:
    """Store tokens that are good for weeks: nothing but a note on disk tells the next process to look after them."""
    tokens = house.granted()
    keeper_of(house, folder)[1].save(tokens)
    return tokens


async def crash(house: TokenHouse, folder: Path, last: int | None) -> Countdown:
    """Renew until the instant ``last``."""
    with pytest.MonkeyPatch.context() as patch:
        countdown = Countdown(patch, last)
        keeper, _ = keeper_of(house, folder)
        try:
            await keeper.renew()
        except Crash:
            assert last is not None
    return countdown


async def test_a_crash_at_any_instant_leaves_a_way_back_or_says_that_a_login_is_needed(
    house: TokenHouse, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir(mode=0o700)
    await begin(house, tmp_path / "whole")
    whole = await crash(house, tmp_path / "whole", None)
    asked = whole.history.index("before _get")
    written = len(whole.history) - 1 - whole.history[::-1].index("after replace")
    assert 10 < asked < written < whole.instants

    for last in range(whole.instants + 1):
        folder = tmp_path / str(last)
        folder.mkdir(mode=0o700)
        first = await begin(house, folder)
        await crash(house, folder, last)
        house.clock.now_ms += MINUTE_MS
        keeper, vault = keeper_of(house, folder)
        is_gone = asked < last < written  # the server may have done it, and its answer is not in its place
        if house.grant_of(first.access_token) is None and is_gone:
            with pytest.raises(RejectedError, match="LOGIN_NEEDED"):
                await keeper.renew_if_due()
            stored = vault.load()
            assert stored is not None
            assert stored.renewal is Renewal.REFUSED
            continue
        tokens = await keeper.renew_if_due()
        assert house.grant_of(tokens.access_token) is not None, whole.history[last]
        assert vault.load() == tokens
        house.clock.now_ms = tokens.expires_ms
        assert (await keeper.renew_if_due()).renewal is Renewal.DONE  # what was left behind is in nobody's way


KILLED = """
import asyncio, json, sys
from pathlib import Path
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.endpoints import Endpoints
from palmbot.adapters.oauth import TokenServer
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.adapters.tokens import TokenKeeper
from palmbot.settings import CtraderCredentials, Environment

url, folder, client_id, client_secret = json.loads(sys.stdin.readline())
credentials = CtraderCredentials(Environment.DEMO, client_id, client_secret)
server = TokenServer(Endpoints("127.0.0.1", 0, "", url), credentials)
vault = TokenVault(Path(folder), "demo", TokenSeal("demo", GivenKey("key")))
asyncio.run(TokenKeeper("demo", vault, server, SystemClock()).renew())
print("renewed")
"""


@pytest.mark.parametrize(("number", "is_renewed"), [(signal.SIGKILL, False), (signal.SIGINT, True)])
async def test_a_process_that_waits_for_the_answer_may_be_killed_but_not_interrupted(
    house: TokenHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, *, is_renewed: bool
) -> None:
    monkeypatch.undo()  # the other process stretches its key as it should
    first = await begin(house, tmp_path)
    house.is_holding = True
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    credentials = credentials_of(Environment.DEMO)
    given = [house.token_url, str(tmp_path), credentials.client_id, credentials.client_secret]
    process.stdin.write(json.dumps(given).encode() + b"\n")
    await process.stdin.drain()
    await house.is_asked.wait()
    process.send_signal(number)
    if number is signal.SIGKILL:
        await process.communicate()
        house.held.clear()
    else:
        await asyncio.sleep(0.2)  # an interrupted process would be gone by then
        assert process.returncode is None
        house.let_go()
        _, said = await process.communicate()
        assert b"KeyboardInterrupt" in said
    house.is_holding = False
    _, vault = keeper_of(house, tmp_path)
    tokens = vault.load()
    assert tokens is not None
    assert (tokens.renewal is Renewal.DONE) == is_renewed
    assert house.grant_of(first.access_token) is None
    assert (house.grant_of(tokens.access_token) is not None) == is_renewed
    with vault.locked():  # death has let go of the lock
        pass
