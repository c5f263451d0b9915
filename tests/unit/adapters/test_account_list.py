from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.exchange_house import House, Plan

from palmbot.adapters.account_list import AccountList
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.endpoints import Endpoints
from palmbot.errors import ConfigError, RetryError
from palmbot.exchange.faults import Fault, Maintenance
from palmbot.exchange.grants import Scope as GrantScope
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.premises import CLIENT_ID, USER_ID
from palmbot.model import Granted, Scope
from palmbot.settings import CtraderCredentials, Environment


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    running = await House.open(tmp_path)
    yield running
    await running.close()


def accounts_at(house: House, secret: str | None = None, ca_file: Path | None = None) -> AccountList:
    ready = house.ready
    endpoints = Endpoints(ready.host, ready.port, "", ready.token_url, ca_file or Path(ready.ca_file))
    credentials = CtraderCredentials(Environment.DEMO, ready.client_id, secret or ready.client_secret)
    return AccountList(endpoints, credentials, SystemClock())


async def test_a_token_opens_its_accounts(house: House) -> None:
    granted = await accounts_at(house)(house.ready.access_token)
    assert granted.scope is Scope.TRADING
    assert [each.account_id for each in granted.accounts] == [1, 2]
    assert not any(each.is_live for each in granted.accounts)


async def test_a_token_that_only_reads_says_so(house: House) -> None:
    reading = house.grants.new_grant(CLIENT_ID, USER_ID, GrantScope.VIEW, house.clock.utc_ms())
    assert (await accounts_at(house)(reading.access_token)).scope is Scope.ACCOUNTS


async def test_a_dead_token_is_refused(house: House) -> None:
    with pytest.raises(RetryError, match="CH_ACCESS_TOKEN_INVALID") as refused:
        await accounts_at(house)("planted-token")
    assert "planted" not in str(refused.value)


async def test_some_servers_answer_a_dead_token_with_nothing(tmp_path: Path) -> None:
    house = await House.open(tmp_path, Plan(knobs=Knobs(dead_token_lists_nothing=True)))
    assert await accounts_at(house)("planted-token") == Granted(Scope.ACCOUNTS, ())
    await house.close()


async def test_a_wrong_secret_is_refused_and_not_shown(house: House) -> None:
    with pytest.raises(ConfigError, match="CH_CLIENT_AUTH_FAILURE") as refused:
        await accounts_at(house, "planted-secret")(house.ready.access_token)
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize("by_common_error", [False, True])
async def test_maintenance_is_named(house: House, *, by_common_error: bool) -> None:
    house.faults.maintenance = Maintenance(house.clock.utc_ms() + 60_000, by_common_error)
    with pytest.raises(RetryError, match="SERVER_IS_UNDER_MAINTENANCE"):
        await accounts_at(house)(house.ready.access_token)


async def test_a_link_that_ends_is_no_answer(house: House) -> None:
    house.faults.once(Fault.REFUSE_CONNECTION)
    with pytest.raises(RetryError):
        await accounts_at(house)(house.ready.access_token)


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmbot.adapters.account_list.VISIT_S", 0.2)
    house.faults.once(Fault.SWALLOW_RESPONSE)
    with pytest.raises(RetryError, match=r"API_UNREACHABLE.*TimeoutError"):
        await accounts_at(house)(house.ready.access_token)


async def test_a_certificate_of_somebody_else_is_refused_before_anything_is_said(house: House, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = await House.open(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"CERTIFICATE_\w+: host=127\.0\.0\.1"):
        await accounts_at(house, ca_file=Path(other.ready.ca_file))(house.ready.access_token)
    await other.close()
    assert not house.server.clients


async def test_a_port_where_nobody_is_says_so(house: House) -> None:
    accounts = accounts_at(house)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = replace(accounts, endpoints=replace(accounts.endpoints, port=unused.getsockname()[1]))
    with pytest.raises(RetryError, match=r"Connect call failed|refused"):
        await gone(house.ready.access_token)
