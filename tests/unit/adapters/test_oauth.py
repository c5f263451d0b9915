from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.token_house import APPLICATIONS, START_MS, TokenHouse, credentials_of, token_house

from palmbot.adapters.endpoints import ENDPOINTS, Endpoints, endpoints_of
from palmbot.adapters.oauth import Pair, TokenRefusal, TokenServer, authorize_url
from palmbot.adapters.tokens import to_the_end
from palmbot.errors import ConfigError, OutcomeUnknownError, PalmbotError, RefusedError, RetryError
from palmbot.exchange.ca import server_context
from palmbot.exchange.faults import Fault
from palmbot.exchange.grants import Scope as GrantScope
from palmbot.exchange.token_endpoint import Response
from palmbot.model import Scope
from palmbot.settings import Environment

REDIRECT = "http://127.0.0.1:25000/palmbot/planted-path"
TOKEN = "planted-token-0000"  # noqa: S105 - planted on purpose
SECRETS = (APPLICATIONS["demo"][1], TOKEN)


@pytest.fixture
async def house() -> AsyncIterator[TokenHouse]:
    async with token_house() as running:
        running.register(REDIRECT)
        yield running


def server(house: TokenHouse) -> TokenServer:
    return TokenServer(house.endpoints, credentials_of(Environment.DEMO))


def code(house: TokenHouse) -> str:
    given = house.grants.authorize("demo-client", REDIRECT, "trading", 7, house.clock.now_ms)
    assert isinstance(given, str)
    return given


async def redeemed(house: TokenHouse, code: str) -> Pair | TokenRefusal:
    return await to_the_end(lambda: server(house).redeem(code, REDIRECT))


async def failure(work: Callable[[], Any]) -> PalmbotError:
    """Return the error of ``work``, which shows no secret in any of its forms."""
    with pytest.raises(PalmbotError) as caught:
        await to_the_end(work)
    error = caught.value
    # a pickled, logged or printed error shows these
    forms = (str(error), repr(error), "".join(traceback.format_exception(error)), json.dumps(error.facts, default=str))
    assert not [secret for secret in SECRETS if any(secret in form for form in forms)]
    assert error.__context__ is None  # where the address would hang
    return error


def answering(house: TokenHouse, body: Any, status: int = 200) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    house.tokens.instead.append(Response(status, text, "application/json"))


# --- where it is ------------------------------------------------------------------------------------------------------


def test_the_address_of_consent_holds_the_question_and_no_secret() -> None:
    address = authorize_url(ENDPOINTS["live"], "live-client", REDIRECT, Scope.TRADING)
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
        "https://id.ctrader.com/my/settings/openapi/grantingaccess/"
    )
    assert parse_qs(parts.query) == {
        "client_id": ["live-client"],
        "redirect_uri": [REDIRECT],
        "scope": ["trading"],
        "product": ["web"],
    }
    assert APPLICATIONS["live"][1] not in address


def test_demo_and_live_differ_in_their_host_alone() -> None:
    demo, live = endpoints_of("demo"), endpoints_of("live")
    assert (demo.host, live.host) == ("demo.ctraderapi.com", "live.ctraderapi.com")
    assert {demo.token_url, live.token_url} == {"https://openapi.ctrader.com/apps/token"}


def ready_line(folder: Path, **changed: str) -> Path:
    file = folder / "ready.json"
    line = {"host": "127.0.0.1", "port": 5035, "token_url": "http://127.0.0.1:1/apps/token", "ca_file": "ca.pem"}
    file.write_text(json.dumps(line | changed))
    return file


def test_an_exchange_on_this_machine_may_stand_in(tmp_path: Path) -> None:
    found = endpoints_of("live", ready_line(tmp_path))
    assert (found.host, found.port, str(found.ca_file)) == ("127.0.0.1", 5035, "ca.pem")
    assert found.consent_url == "http://127.0.0.1:1/my/settings/openapi/grantingaccess/"


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "192.0.2.1"},
        {"token_url": "http://192.0.2.1/apps/token"},
        {"token_url": "https://localhost.example.org/apps/token"},
        {"token_url": "http://127.0.0.1@192.0.2.1/apps/token"},
        {"token_url": "/apps/token"},
    ],
)
def test_nobody_elsewhere_may_stand_in(tmp_path: Path, changed: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="EXCHANGE_NOT_LOOPBACK"):
        endpoints_of("demo", ready_line(tmp_path, **changed))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": "127.0.0.1", "port": "x"}'])
def test_a_file_that_is_no_ready_line_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ready.json").write_text(text)
    with pytest.raises(ConfigError, match="EXCHANGE_FILE_UNREADABLE"):
        endpoints_of("demo", tmp_path / "ready.json")


# --- what it answers --------------------------------------------------------------------------------------------------


async def test_a_code_becomes_a_pair_that_opens_the_account(house: TokenHouse) -> None:
    pair = await redeemed(house, code(house))
    assert isinstance(pair, Pair)
    grant = house.grant_of(pair.access_token)
    assert grant is not None
    assert (grant.refresh_token, grant.scope) == (pair.refresh_token, GrantScope.TRADE)
    assert pair.expires_in_s == 2_628_000
    assert "planted" not in repr(pair)


async def test_a_refresh_kills_the_old_pair(house: TokenHouse) -> None:
    old = await redeemed(house, code(house))
    assert isinstance(old, Pair)
    new = await to_the_end(lambda: server(house).refresh(old.refresh_token))
    assert isinstance(new, Pair)
    assert house.grant_of(old.access_token) is None
    assert house.grant_of(new.access_token) is not None


async def test_an_error_that_comes_with_status_200_is_an_error(house: TokenHouse) -> None:
    given = code(house)
    assert isinstance(await redeemed(house, given), Pair)
    again = await redeemed(house, given)
    assert again == TokenRefusal("ACCESS_DENIED", "Access denied. Make sure the credentials are valid.")
    house.clock.now_ms += 61_000
    assert await to_the_end(lambda: server(house).refresh("never-given")) == TokenRefusal(
        "CH_ACCESS_TOKEN_INVALID", "Access token is invalid"
    )


async def test_a_refusal_that_repeats_our_secrets_is_shown_without_them(house: TokenHouse) -> None:
    secret = APPLICATIONS["demo"][1]
    answering(house, {"errorCode": "BAD", "description": f"no {secret}\x1b[2J for {TOKEN} " + "x" * 500})
    refusal = await to_the_end(lambda: server(house).refresh(TOKEN))
    assert isinstance(refusal, TokenRefusal)
    assert refusal.description.startswith("no [hidden] [2J for [hidden] x")
    assert len(refusal.description) == 200
    answering(house, {"errorCode": f"{secret} is wrong"})
    assert await to_the_end(lambda: server(house).refresh("t")) == TokenRefusal("UNLISTED", "")


WHOLE = {"accessToken": "a", "tokenType": "bearer", "expiresIn": 60, "refreshToken": "r", "errorCode": None}


async def test_an_answer_with_everything_in_it_is_a_pair(house: TokenHouse) -> None:
    answering(house, WHOLE | {"somethingNew": 1})
    assert await to_the_end(lambda: server(house).refresh("t")) == Pair("a", "r", 60)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 200),
        (f"<html>{TOKEN}</html>", 200),
        ("[]", 200),
        ("null", 200),
        ("[" * 60_000, 200),
        ({}, 200),
        (WHOLE | {"accessToken": ""}, 200),
        (WHOLE | {"refreshToken": None}, 200),
        (WHOLE | {"expiresIn": 0}, 200),
        (WHOLE | {"expiresIn": "soon"}, 200),
        ('{"accessToken": "a", "refreshToken": "r", "expiresIn": Infinity}', 200),
        (WHOLE, 302),
        (WHOLE, 404),
        (WHOLE | {"padding": "x" * 100_000}, 200),
    ],
)
async def test_anything_else_leaves_the_outcome_unknown(house: TokenHouse, body: Any, status: int) -> None:
    answering(house, body, status)
    error = await failure(lambda: server(house).refresh(TOKEN))
    assert isinstance(error, OutcomeUnknownError)
    assert error.code == "TOKEN_ANSWER_LOST"
    assert error.facts["status"] == status


async def test_nobody_is_followed_to_another_address(house: TokenHouse) -> None:
    house.tokens.instead.append(Response(302, location=f"{house.token_url}?grant_type=refresh_token"))
    assert (await failure(lambda: server(house).refresh(TOKEN))).facts["status"] == 302
    assert len(house.tokens.asked) == 1


async def test_a_lost_answer_is_unknown(house: TokenHouse) -> None:
    house.faults.once(Fault.LOSE_TOKEN_REPLY)
    error = await failure(lambda: server(house).refresh(TOKEN))
    assert isinstance(error, OutcomeUnknownError)
    assert error.facts["reason"] in ("RemoteProtocolError", "ReadError", "'Connection reset by peer'")


async def test_a_server_that_is_not_there_was_certainly_not_asked() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    gone = Endpoints("127.0.0.1", 0, "", f"http://127.0.0.1:{port}/apps/token")
    error = await failure(lambda: TokenServer(gone, credentials_of(Environment.DEMO)).refresh(TOKEN))
    assert isinstance(error, RetryError)
    assert error.facts == {"reason": "'Connection refused'"}


async def test_a_server_whose_certificate_nobody_signed_is_told_nothing(tmp_path: Path) -> None:
    context = server_context(tmp_path / "ca.pem", tmp_path / "server.pem", START_MS)
    heard = bytearray()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        strange = Endpoints("127.0.0.1", 0, "", f"https://127.0.0.1:{port}/apps/token")
        error = await failure(work=lambda: TokenServer(strange, credentials_of(Environment.DEMO)).refresh(TOKEN))
    assert isinstance(error, ConfigError)
    assert (error.code, error.facts["host"]) == ("CERTIFICATE_ISSUER_MISSING", "127.0.0.1")
    assert not heard


async def test_proxies_of_the_surroundings_are_not_asked(house: TokenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:1")
    assert isinstance(await redeemed(house, code(house)), Pair)


async def test_neither_library_logs_an_address_at_the_loudest_setting(
    house: TokenHouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "httpx")
    caplog.set_level(logging.DEBUG, "httpcore")
    await redeemed(house, code(house))
    await to_the_end(lambda: server(house).refresh(TOKEN))
    assert not [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]
