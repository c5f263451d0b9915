"""The token endpoint over a real socket, and the stand-in for the page where a user says yes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from palmbot.exchange.faults import Fault, Faults
from palmbot.exchange.grants import Application, Grants, Scope
from palmbot.exchange.knobs import ACCESS_TOKEN_MS, Knobs
from palmbot.exchange.token_endpoint import CONSENT_PATH, HEAD_MAX_BYTES, TOKEN_PATH, TokenConnection, Tokens

NOW_MS = 1_700_000_000_000
HERE = "http://localhost:7777/back"
CLIENT = "client_id=cid&client_secret=sec%2F1"


class Endpoint:
    """The endpoint on a socket."""

    def __init__(self) -> None:
        made = iter(range(1_000))
        self.grants = Grants(lambda: f"text-{next(made)}", Knobs())
        self.grants.register(Application("cid", "sec/1", (HERE, f"{HERE}?install=1")))
        self.grants.add_user(7, (1, 2))
        self.faults = Faults(Random(1))
        self._tokens = Tokens(self.grants, lambda: NOW_MS, user_id=7)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: TokenConnection(self._tokens, self.faults), "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def raw(self, *parts: bytes) -> bytes:
        """Return the whole answer to bytes that are sent in parts."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def get(self, target: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        """Return status, headers and body."""
        answer = await self.raw(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = answer.decode().partition("\r\n\r\n")
        status, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert int(headers["content-length"]) == len(body.encode())
        return int(status.split()[1]), headers, body

    async def tokens(self, query: str) -> dict[str, Any]:
        """Return what the token endpoint says; it says everything with status 200."""
        status, headers, body = await self.get(f"{TOKEN_PATH}?{query}")
        assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/json", "no-store")
        return dict(json.loads(body))

    async def code(self, uri: str = HERE, scope: str = "trading", more: str = "") -> str:
        """Return a code as a browser is redirected with it."""
        query = f"client_id=cid&redirect_uri={quote(uri, safe='')}&scope={scope}&product=web{more}"
        status, headers, body = await self.get(f"{CONSENT_PATH}?{query}")
        assert (status, body) == (302, "")
        assert headers["location"].startswith(uri)
        (code,) = parse_qs(urlsplit(headers["location"]).query)["code"]
        return code


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


async def test_a_browser_login_ends_in_a_pair_of_tokens(endpoint: Endpoint) -> None:
    code = await endpoint.code()
    query = f"grant_type=authorization_code&code={code}&redirect_uri={quote(HERE, safe='')}&{CLIENT}"
    pair = await endpoint.tokens(query)
    assert {name: pair[name] for name in ("tokenType", "expiresIn", "errorCode", "description")} == {
        "tokenType": "bearer",
        "expiresIn": ACCESS_TOKEN_MS // 1_000,
        "errorCode": None,
        "description": None,
    }
    (grant,) = endpoint.grants.grants
    assert (pair["accessToken"], pair["refreshToken"]) == (grant.access_token, grant.refresh_token)
    assert grant.scope is Scope.TRADE
    again = await endpoint.tokens(query)
    assert again["errorCode"] == "ACCESS_DENIED"
    assert "accessToken" not in again


async def test_the_scope_accounts_may_only_look(endpoint: Endpoint) -> None:
    code = await endpoint.code(scope="accounts")
    await endpoint.tokens(f"grant_type=authorization_code&code={code}&redirect_uri={quote(HERE, safe='')}&{CLIENT}")
    assert endpoint.grants.grants[0].scope is Scope.VIEW


async def test_the_state_is_not_echoed_and_a_query_of_the_address_stays(endpoint: Endpoint) -> None:
    query = f"client_id=cid&redirect_uri={quote(f'{HERE}?install=1', safe='')}&scope=trading&state=mine"
    _, headers, _ = await endpoint.get(f"{CONSENT_PATH}?{query}")
    assert headers["location"].startswith(f"{HERE}?install=1&code=")
    assert "state" not in headers["location"]


@pytest.mark.parametrize(
    "query",
    [
        f"client_id=cid&redirect_uri={HERE}/&scope=trading",
        f"client_id=cid&redirect_uri={HERE}&scope=everything",
        f"client_id=nobody&redirect_uri={HERE}&scope=trading",
        "",
    ],
)
async def test_a_login_that_does_not_match_is_not_redirected_anywhere(endpoint: Endpoint, query: str) -> None:
    status, headers, _ = await endpoint.get(f"{CONSENT_PATH}?{query}")
    assert status == 400
    assert "location" not in headers


async def test_a_refresh_gives_a_new_pair_and_its_replay_an_error_with_status_200(endpoint: Endpoint) -> None:
    grant = endpoint.grants.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    query = f"grant_type=refresh_token&refresh_token={grant.refresh_token}&{CLIENT}"
    pair = await endpoint.tokens(query)
    assert pair["accessToken"] not in {None, grant.access_token}
    replay = await endpoint.tokens(query)
    assert replay == {"errorCode": "CH_ACCESS_TOKEN_INVALID", "description": "Access token is invalid"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("grant_type=refresh_token&refresh_token=x&client_id=cid&client_secret=sec", "CH_CLIENT_AUTH_FAILURE"),
        ("grant_type=refresh_token&refresh_token=x&client_id=nobody&client_secret=sec", "CH_OA_CLIENT_NOT_FOUND"),
        (f"grant_type=password&{CLIENT}", "INVALID_REQUEST"),
        (CLIENT, "INVALID_REQUEST"),
        ("", "CH_OA_CLIENT_NOT_FOUND"),
    ],
)
async def test_errors_are_named_and_repeat_no_secret(endpoint: Endpoint, query: str, code: str) -> None:
    answer = await endpoint.tokens(query)
    assert answer["errorCode"] == code
    assert "sec" not in answer["description"]


async def test_an_address_that_is_none_is_refused_like_any_other(endpoint: Endpoint) -> None:
    assert (await endpoint.get("//["))[0] == 400
    endpoint.grants.register(Application("local", "sec", redirect_uris=None))
    status, _, body = await endpoint.get(f"{CONSENT_PATH}?client_id=local&scope=trading&redirect_uri=http://[")
    assert (status, body.split(":")[0]) == (400, "INVALID_REQUEST")


async def test_only_get_and_only_known_pages(endpoint: Endpoint) -> None:
    assert (await endpoint.get(TOKEN_PATH, "POST"))[0] == 405
    assert (await endpoint.get("/apps/other"))[0] == 404


async def test_a_request_may_come_in_pieces(endpoint: Endpoint) -> None:
    answer = await endpoint.raw(b"GET /apps/to", b"ken HTTP/1.1\r\nHost: x\r\n", b"\r", b"\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("words", [b"\x16\x03\x01\x00\xff\r\n\r\n", b"GET /\r\n\r\n", b"x" * (HEAD_MAX_BYTES + 1)])
async def test_what_is_not_http_is_sent_away(endpoint: Endpoint, words: bytes) -> None:
    assert (await endpoint.raw(words)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_lost_reply_has_still_spent_the_token(endpoint: Endpoint) -> None:
    grant = endpoint.grants.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    query = f"grant_type=refresh_token&refresh_token={grant.refresh_token}&{CLIENT}"
    endpoint.faults.once(Fault.LOSE_TOKEN_REPLY)
    assert await endpoint.raw(f"GET {TOKEN_PATH}?{query} HTTP/1.1\r\n\r\n".encode()) == b""
    assert (await endpoint.tokens(query))["errorCode"] == "CH_ACCESS_TOKEN_INVALID"
