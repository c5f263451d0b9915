from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.token_house import (
    ACCOUNTS,
    APPLICATIONS,
    DEMO_ACCOUNT,
    LIVE_ACCOUNT,
    TokenHouse,
    Visitor,
    credentials_of,
    token_house,
)

from palmbot.adapters.oauth_login import Login, account_lines, account_of
from palmbot.adapters.oauth_redirect import Redirect
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.errors import OutcomeUnknownError, RefusedError, RejectedError, RetryError
from palmbot.exchange.faults import Fault
from palmbot.model import Granted, GrantedAccount, Renewal, Scope
from palmbot.settings import Environment

DEMO, LIVE = Environment.DEMO, Environment.LIVE


@pytest.fixture
def redirect() -> Redirect:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return Redirect(f"http://127.0.0.1:{unused.getsockname()[1]}/palmbot/planted-path")


@pytest.fixture
async def house(redirect: Redirect) -> AsyncIterator[TokenHouse]:
    async with token_house() as running:
        running.register(redirect.uri)
        yield running


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenVault:
    monkeypatch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)  # its slowness is not what is tested here
    return TokenVault(tmp_path, "demo", TokenSeal("demo", GivenKey("key")))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def login(
    house: TokenHouse,
    vault: TokenVault,
    redirect: Redirect,
    account: int | None = DEMO_ACCOUNT.account_id,
    environment: Environment = DEMO,
) -> Login:
    return Login(
        credentials_of(environment, account), house.endpoints, redirect, vault, house.list_accounts, house.clock
    )


class Elsewhere(Visitor):
    """A person whose browser is on another machine."""

    def browse(self, address: str) -> bool:
        self.visited.append(address)
        return False


def redirected(house: TokenHouse, redirect: Redirect) -> str:
    code = house.grants.authorize(APPLICATIONS["demo"][0], redirect.uri, "trading", 7, house.clock.now_ms)
    assert isinstance(code, str)
    return f"{redirect.uri}?code={code}"


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named_by", [DEMO_ACCOUNT.account_id, DEMO_ACCOUNT.login])
@pytest.mark.parametrize("scope", list(Scope))
async def test_a_person_says_yes_in_a_browser_and_the_tokens_are_stored(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, named_by: int, scope: Scope
) -> None:
    visitor = Visitor()
    tokens = await login(house, vault, redirect, named_by).run(visitor, scope)
    assert vault.load() == tokens
    assert (tokens.account_id, tokens.granted) == (DEMO_ACCOUNT.account_id, Granted(scope, tuple(ACCOUNTS.values())))
    assert (tokens.granted_ms, tokens.expires_ms) == (house.clock.now_ms, house.clock.now_ms + 2_628_000_000)
    assert tokens.renewal is Renewal.NEVER
    assert house.grant_of(tokens.access_token) is not None
    query = parse_qs(urlsplit(visitor.visited[0]).query)
    assert (query["scope"], query["client_id"]) == ([str(scope)], ["demo-client"])
    assert visitor.pages[0].text.startswith("palmbot has what it needs.")
    shown = visitor.out.getvalue()
    assert "1000001  demo  login 5001  Demo House" in shown
    assert not [secret for secret in ("planted-token", "planted-demo-secret") if secret in shown]


async def test_a_browser_that_was_here_before_comes_back_at_once_and_finds_the_door_open(
    house: TokenHouse, vault: TokenVault, redirect: Redirect
) -> None:
    visitor = Visitor()  # it visits before anything waits for the code
    await login(house, vault, redirect).run(visitor, Scope.TRADING)
    assert visitor.pages[0].status_code == 200


# --- without one ------------------------------------------------------------------------------------------------------


async def test_the_address_that_a_browser_elsewhere_ended_at_is_pasted(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    visitor = Elsewhere(reading)
    os.write(writing, b"\nwhat?\nhttp://127.0.0.1:1/other?code=bad\n")
    os.write(writing, f"  {redirected(house, redirect)}  \n".encode())
    tokens = await login(house, vault, redirect).run(visitor, Scope.TRADING)
    assert vault.load() == tokens
    assert parse_qs(urlsplit(visitor.visited[0]).query)["redirect_uri"] == [redirect.uri]
    shown = visitor.out.getvalue()
    assert shown.count("That is not the address.") == 2
    assert "paste it here" in shown


async def test_a_redirect_to_elsewhere_works_by_hand_alone(
    house: TokenHouse, vault: TokenVault, pipe: tuple[int, int]
) -> None:
    away = Redirect("https://example.org/back")
    house.register(away.uri)
    reading, writing = pipe
    os.write(writing, f"{redirected(house, away)}\n".encode())
    tokens = await login(house, vault, away).run(Elsewhere(reading), Scope.TRADING)
    assert vault.load() == tokens


async def test_where_the_port_is_taken_the_hand_still_works(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    with socket.create_server(("127.0.0.1", redirect.parts.port or 0)):
        os.write(writing, f"{redirected(house, redirect)}\n".encode())
        visitor = Elsewhere(reading)
        await login(house, vault, redirect).run(visitor, Scope.TRADING)
        assert "REDIRECT_PORT_BUSY" in visitor.out.getvalue()
        with pytest.raises(RetryError, match="NO_CODE"):
            await login(house, vault, redirect).run(Elsewhere(None), Scope.TRADING)


async def test_nobody_is_waited_for_for_ever(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmbot.adapters.oauth_login.LOGIN_S", 0.01)
    with pytest.raises(RetryError, match="NOBODY_CAME"):
        await login(house, vault, redirect).run(Elsewhere(None), Scope.TRADING)
    assert vault.load() is None


# --- what can go wrong ------------------------------------------------------------------------------------------------


async def test_a_code_that_is_too_old_is_refused_with_the_servers_word(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    address = redirected(house, redirect)
    house.clock.now_ms += 60_000
    os.write(writing, f"{address}\n".encode())
    with pytest.raises(RejectedError, match="CODE_REFUSED") as refused:
        await login(house, vault, redirect).run(Elsewhere(reading), Scope.TRADING)
    assert refused.value.facts["server_code"] == "ACCESS_DENIED"
    assert address.partition("code=")[2] not in str(refused.value)
    assert vault.load() is None


async def test_an_address_that_is_not_registered_never_comes_back(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.register(f"{redirect.uri}x")
    monkeypatch.setattr("palmbot.adapters.oauth_login.LOGIN_S", 0.01)
    visitor = Visitor()
    with pytest.raises(RetryError, match="NOBODY_CAME"):
        await login(house, vault, redirect).run(visitor, Scope.TRADING)
    assert visitor.pages[0].status_code == 400


async def test_a_lost_answer_stores_nothing_and_leaves_old_tokens_alone(
    house: TokenHouse, vault: TokenVault, redirect: Redirect
) -> None:
    old = house.granted()
    vault.save(old)

    def lose_the_second() -> None:  # the first request is for the page where the person says yes
        if len(house.tokens.asked) == 1:
            house.faults.once(Fault.LOSE_TOKEN_REPLY)

    house.tokens.before = lose_the_second
    with pytest.raises(OutcomeUnknownError, match="TOKEN_ANSWER_LOST"):
        await login(house, vault, redirect).run(Visitor(), Scope.TRADING)
    assert vault.load() == old


async def test_a_login_meets_a_renewal_at_the_lock(house: TokenHouse, vault: TokenVault, redirect: Redirect) -> None:
    with vault.locked(), pytest.raises(RetryError, match="TOKENS_BUSY"):
        await login(house, vault, redirect).run(Visitor(), Scope.TRADING)


# --- which account ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "environment", "code"),
    [
        (3_000_000, DEMO, "ACCOUNT_NOT_GRANTED"),
        (LIVE_ACCOUNT.account_id, DEMO, "ACCOUNT_OF_OTHER_ENVIRONMENT"),
        (LIVE_ACCOUNT.login, DEMO, "ACCOUNT_OF_OTHER_ENVIRONMENT"),
        (DEMO_ACCOUNT.account_id, LIVE, "ACCOUNT_OF_OTHER_ENVIRONMENT"),
    ],
)
async def test_tokens_for_another_account_are_shown_and_not_stored(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, account: int, environment: Environment, code: str
) -> None:
    old = house.granted()
    vault.save(old)
    visitor = Visitor()
    with pytest.raises(RefusedError, match=code) as refused:
        await login(house, vault, redirect, account, environment).run(visitor, Scope.TRADING)
    assert refused.value.exit_code == 3
    assert "Nothing was stored." in refused.value.todo
    assert "Demo House" in visitor.out.getvalue()
    assert vault.load() == old


async def test_where_no_account_is_configured_the_person_is_asked(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe

    class Answering(Visitor):
        def show(self, text: str) -> None:
            super().show(text)
            if text.startswith("No account is configured."):
                os.write(writing, b"1000001\n")

    tokens = await login(house, vault, redirect, None).run(Answering(reading), Scope.TRADING)
    assert tokens.account_id == 1_000_001
    assert vault.load() == tokens


@pytest.mark.parametrize("typed", [b"\n", b"no\n", b"", b"-1\n", b"\xb2\n"])
async def test_who_names_no_account_stores_nothing(
    house: TokenHouse, vault: TokenVault, redirect: Redirect, tmp_path: Path, typed: bytes
) -> None:
    (tmp_path / "typed").write_bytes(typed)
    source = os.open(tmp_path / "typed", os.O_RDONLY)
    chosen = login(house, vault, redirect, None)
    with pytest.raises(RefusedError, match="ACCOUNT_NOT_CHOSEN") as refused:
        await chosen._account(Elsewhere(source), await house.list_accounts(house.granted().access_token))
    os.close(source)
    assert "CTRADER_ACCOUNT_ID_DEMO" in refused.value.todo
    assert vault.load() is None


def test_a_number_of_the_wire_wins_over_a_login_and_logins_of_two_brokers_are_told_apart() -> None:
    twin = replace(DEMO_ACCOUNT, account_id=DEMO_ACCOUNT.login, login=9)
    assert account_of(Granted(Scope.TRADING, (DEMO_ACCOUNT, twin)), DEMO_ACCOUNT.login, DEMO) == twin
    other = replace(DEMO_ACCOUNT, account_id=77, broker="Other House")
    with pytest.raises(RefusedError, match="ACCOUNT_AMBIGUOUS"):
        account_of(Granted(Scope.TRADING, (DEMO_ACCOUNT, other)), DEMO_ACCOUNT.login, DEMO)
    with pytest.raises(RefusedError, match="accounts=none"):
        account_of(Granted(Scope.TRADING, ()), 1, DEMO)


def test_a_brokers_name_moves_no_cursor() -> None:
    assert (
        account_lines([GrantedAccount(1, is_live=True, login=2, broker="a\x1b[2Jb\n")]) == "  1  live  login 2  a[2Jb"
    )
    assert account_lines([]) == "  no account at all"
