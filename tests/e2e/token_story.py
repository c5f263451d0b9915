"""What tokens have to go through: renewals at a real token endpoint over HTTP, restarts, a full disk, strangers.

``python -m tests.e2e.token_story refresh|persistence FOLDER`` tells one story alone: so it is told to wrong programs
too.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.token_house import TokenHouse, credentials_of, token_house

from palmbot.adapters.oauth import TokenServer
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.adapters.tokens import TokenKeeper
from palmbot.errors import ConfigError, HaltError, OutcomeUnknownError, RefusedError, RejectedError, RetryError
from palmbot.exchange.faults import Fault
from palmbot.model import Renewal, Tokens
from palmbot.settings import Environment
from palmbot.units import DAY_MS, MINUTE_MS

KEY = "planted-key-of-many-letters"


def vault_in(folder: Path, key: str = KEY, environment: str = "demo") -> TokenVault:
    """Return the vault as a process of its own would open it."""
    return TokenVault(folder / "tokens", environment, TokenSeal(environment, GivenKey(key)))


def on_disk(folder: Path) -> Tokens:
    """Return the demo tokens of ``folder``."""
    tokens = vault_in(folder).load()
    assert tokens is not None
    return tokens


def keeper_of(house: TokenHouse, folder: Path) -> TokenKeeper:
    """Return a keeper as a process of its own would have it."""
    server = TokenServer(house.endpoints, credentials_of(Environment.DEMO))
    return TokenKeeper("demo", vault_in(folder), server, house.clock)


@asynccontextmanager
async def open_house() -> AsyncIterator[TokenHouse]:
    """Run a house whose applications are registered. Keys are stretched fast: their slowness is no part of a story."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)
        async with token_house() as house:
            house.register("http://127.0.0.1:25000/x")
            yield house


async def refresh(folder: Path) -> None:
    """Renew days ahead, once a minute at most, by one process; survive what can be, and say the rest plainly."""
    async with open_house() as house:
        first = house.granted()
        vault_in(folder).save(first)

        house.clock.now_ms = first.expires_ms - 6 * DAY_MS
        assert await keeper_of(house, folder).renew_if_due() == first
        # what follows from a refresh is no reason for one
        assert await keeper_of(house, folder).renew_refused(first, "ACCOUNT_NOT_AUTHORIZED") == first
        assert house.refreshes == 0

        house.clock.now_ms = first.expires_ms - 5 * DAY_MS
        noted: list[Renewal] = []
        house.tokens.before = lambda: noted.append(on_disk(folder).renewal)
        second = await keeper_of(house, folder).renew_if_due()
        assert noted == [Renewal.ASKED]
        assert on_disk(folder) == second
        assert house.grant_of(second.access_token) is not None
        assert house.grant_of(first.access_token) is None
        with pytest.raises(RetryError, match="REFRESH_TOO_SOON"):
            await keeper_of(house, folder).renew()

        house.clock.now_ms += MINUTE_MS
        third = await keeper_of(house, folder).renew_refused(second, "CH_ACCESS_TOKEN_INVALID")
        assert await keeper_of(house, folder).renew_refused(second, "OA_AUTH_TOKEN_EXPIRED") == third == on_disk(folder)
        assert house.refreshes == 2

        house.clock.now_ms += MINUTE_MS
        house.faults.once(Fault.LOSE_TOKEN_REPLY)
        with pytest.raises(OutcomeUnknownError, match="TOKEN_ANSWER_LOST"):
            await keeper_of(house, folder).renew()
        assert on_disk(folder) == replace(third, asked_ms=house.clock.now_ms, renewal=Renewal.ASKED)
        house.clock.now_ms += MINUTE_MS
        with pytest.raises(RejectedError, match="LOGIN_NEEDED"):
            await keeper_of(house, folder).renew_if_due()
        assert on_disk(folder).renewal is Renewal.REFUSED
        assert house.refreshes == 4


async def persistence(folder: Path) -> None:
    """Keep tokens over restarts, for one pair of eyes; whatever fails, the old ones are still there."""
    async with open_house() as house:
        first = house.granted()
        vault_in(folder).save(first)
        house.clock.now_ms = first.expires_ms
        renewed = await keeper_of(house, folder).renew_if_due()
        file = folder / "tokens" / "demo.tokens"
        assert on_disk(folder) == renewed
        assert renewed.access_token.encode() not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with pytest.raises(ConfigError, match="TOKENS_UNREADABLE"):
            vault_in(folder, key=f"{KEY}!").load()

        with pytest.MonkeyPatch.context() as disk:
            disk.setattr(os, "fsync", no_space)
            with pytest.raises(HaltError, match="FILE_UNWRITABLE"):
                vault_in(folder).save(first)
        assert on_disk(folder) == renewed

        with vault_in(folder).locked(), pytest.raises(RetryError, match="TOKENS_BUSY"), vault_in(folder).locked():
            pass

        live = folder / "tokens" / "live.tokens"
        live.write_bytes(file.read_bytes())
        live.chmod(0o600)
        with pytest.raises(ConfigError, match="TOKENS_UNREADABLE"):
            vault_in(folder, environment="live").load()

        file.chmod(0o640)
        with pytest.raises(RefusedError, match="FILE_EXPOSED"):
            vault_in(folder).load()


def no_space(_handle: int) -> None:
    """Be a full disk."""
    raise OSError(28, "No space left on device")


if __name__ == "__main__":
    asyncio.run({"refresh": refresh, "persistence": persistence}[sys.argv[1]](Path(sys.argv[2])))
