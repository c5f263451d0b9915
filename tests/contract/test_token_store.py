"""What both stores of tokens promise: the folder of one machine, and the PostgreSQL database of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres import postgres
from tests.token_house import TokenHouse, credentials_of, token_house

from palmbot.adapters.oauth import TokenServer
from palmbot.adapters.tokens import TokenKeeper
from palmbot.bootstrap.token_store import store_of
from palmbot.errors import ConfigError, OutcomeUnknownError, RejectedError, RetryError
from palmbot.exchange.faults import Fault
from palmbot.model import Renewal
from palmbot.ports import TokenStore
from palmbot.settings import Environment, TokenSettings
from palmbot.units import MINUTE_MS

KEY = "planted-key-of-many-letters"
DEMO, LIVE = Environment.DEMO, Environment.LIVE

Open = Callable[..., TokenStore]
"""Opens the store as a process of its own would."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["folder", "PostgreSQL"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)
    url = request.getfixturevalue("server") if request.param == "PostgreSQL" else None

    def opened(environment: Environment = DEMO, key: str = KEY) -> TokenStore:
        return store_of(TokenSettings(tmp_path, key, database_url=url), environment)

    for environment in (DEMO, LIVE):  # the database is the same for every test
        with (store := opened(environment)).locked():
            store.clear()
    return opened


@pytest.fixture
async def house() -> AsyncIterator[TokenHouse]:
    async with token_house() as running:
        running.register("http://127.0.0.1:25000/x")
        yield running


def keeper_of(house: TokenHouse, store: TokenStore) -> TokenKeeper:
    return TokenKeeper("demo", store, TokenServer(house.endpoints, credentials_of(DEMO)), house.clock)


async def test_tokens_are_kept_replaced_and_removed(opened: Open, house: TokenHouse) -> None:
    store, tokens = opened(), house.granted()
    assert store.load() is None
    with store.locked():
        assert not store.clear()
        store.save(tokens)
        assert store.load() == tokens
        store.save(replace(tokens, account_id=9))
    assert opened().load() == replace(tokens, account_id=9)
    assert opened(LIVE).load() is None
    with store.locked():
        assert store.clear()
        assert not store.clear()
    assert opened().load() is None


async def test_another_key_opens_nothing_and_a_login_may_replace_it(opened: Open, house: TokenHouse) -> None:
    tokens = house.granted()
    with (store := opened()).locked():
        store.save(tokens)
    with pytest.raises(ConfigError, match="TOKENS_UNREADABLE"):
        opened(key="another-key-of-many-letters").load()
    with (store := opened(key="another-key-of-many-letters")).locked():
        store.save(tokens)
    assert store.load() == tokens


async def test_one_process_at_a_time_changes_the_tokens_of_an_environment(opened: Open) -> None:
    with opened().locked():
        with pytest.raises(RetryError, match="TOKENS_BUSY"), opened().locked():
            pass
        with opened(LIVE).locked():
            pass
    with opened().locked():
        pass


async def test_a_renewal_goes_through_every_store(opened: Open, house: TokenHouse) -> None:
    first = house.granted()
    with (store := opened()).locked():
        store.save(first)
    second = await keeper_of(house, opened()).renew()
    assert opened().load() == second
    house.clock.now_ms += MINUTE_MS
    house.faults.once(Fault.LOSE_TOKEN_REPLY)
    with pytest.raises(OutcomeUnknownError, match="TOKEN_ANSWER_LOST"):
        await keeper_of(house, opened()).renew()
    assert opened().load() == replace(second, asked_ms=house.clock.now_ms, renewal=Renewal.ASKED)
    house.clock.now_ms += MINUTE_MS
    with pytest.raises(RejectedError, match="LOGIN_NEEDED"):
        await keeper_of(house, opened()).renew_if_due()
