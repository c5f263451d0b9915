"""The token endpoint and a stand-in for the page where a user says yes, over plain HTTP on loopback (sheet 2).

As on the real endpoint everything is a GET with a query, errors come with status 200, and names are in camel case.
The page asks nobody: it redirects at once with a code, and forgets the ``state`` it was given.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from palmbot.exchange.faults import Fault, Faults
from palmbot.exchange.grants import TOKEN_TYPE, Grant, Grants
from palmbot.exchange.values import Refused, Via

TOKEN_PATH: Final = "/apps/token"  # noqa: S105 - a path, no token
CONSENT_PATH: Final = "/my/settings/openapi/grantingaccess/"
HEAD_MAX_BYTES: Final = 16_384
PATIENCE_S: Final = 10.0
_REASONS: Final = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_GRANT_TYPES: Final = "grant_type is authorization_code or refresh_token"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    body: str = ""
    kind: str = "text/plain; charset=utf-8"
    location: str = ""

    def encoded(self) -> bytes:
        """Return the bytes of the response; the connection ends with them."""
        body = self.body.encode()
        lines = [f"HTTP/1.1 {self.status} {_REASONS[self.status]}", f"Content-Type: {self.kind}"]
        if self.location:
            lines.append(f"Location: {self.location}")
        lines += [f"Content-Length: {len(body)}", "Cache-Control: no-store", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + body


class Tokens:
    """Answers requests; knows nothing of sockets.

    Args:
        grants: the registry.
        utc_ms: tells the time.
        user_id: who says yes on the page.
    """

    def __init__(self, grants: Grants, utc_ms: Callable[[], int], user_id: int) -> None:
        self._grants = grants
        self._utc_ms = utc_ms
        self._user_id = user_id

    def answer(self, method: str, target: str) -> Response:
        """Return the response to one request."""
        try:
            url = urlsplit(target)
        except ValueError:
            return Response(400, "This is no address.\n")
        routes = {TOKEN_PATH: self._token, CONSENT_PATH: self._consent, CONSENT_PATH.rstrip("/"): self._consent}
        route = routes.get(url.path)
        if route is None:
            return Response(404, "There is no such page.\n")
        if method != "GET":
            return Response(405, "This is asked with GET.\n")
        return route({name: values[-1] for name, values in parse_qs(url.query, errors="replace").items()})

    def _token(self, query: dict[str, str]) -> Response:
        outcome = self._granted(query)
        if isinstance(outcome, Refused):
            body: dict[str, str | int | None] = {"errorCode": outcome.code, "description": outcome.text}
        else:
            body = {
                "accessToken": outcome.access_token,
                "tokenType": TOKEN_TYPE,
                "expiresIn": outcome.expires_in_s(self._utc_ms()),
                "refreshToken": outcome.refresh_token,
                "errorCode": None,
                "description": None,
            }
        return Response(200, json.dumps(body), "application/json")

    def _granted(self, query: dict[str, str]) -> Grant | Refused:
        client_id, now_ms = query.get("client_id", ""), self._utc_ms()
        application = self._grants.application(client_id, query.get("client_secret", ""))
        if isinstance(application, Refused):
            return application
        match query.get("grant_type"):
            case "authorization_code":
                return self._grants.redeem(query.get("code", ""), query.get("redirect_uri", ""), client_id, now_ms)
            case "refresh_token":
                return self._grants.refresh(query.get("refresh_token", ""), client_id, now_ms)
        return Refused("INVALID_REQUEST", _GRANT_TYPES, Via.ERROR_RES)

    def _consent(self, query: dict[str, str]) -> Response:
        redirect_uri = query.get("redirect_uri", "")
        code = self._grants.authorize(
            query.get("client_id", ""), redirect_uri, query.get("scope", ""), self._user_id, self._utc_ms()
        )
        if isinstance(code, Refused):
            return Response(400, f"{code.code}: {code.text}\n")
        joint = "&" if urlsplit(redirect_uri).query else "?"
        return Response(302, location=f"{redirect_uri}{joint}{urlencode({'code': code})}")


class TokenConnection(asyncio.Protocol):
    """One request, one response, on a connection of its own."""

    def __init__(self, tokens: Tokens, faults: Faults) -> None:
        self._tokens = tokens
        self._faults = faults
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request, but not for ever."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Answer once the head is complete."""
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._respond(self._head.split(b"\r\n", 1)[0])
        elif len(self._head) > HEAD_MAX_BYTES:
            self._finish(Response(400, "The request is too long.\n"))

    def connection_lost(self, _error: Exception | None) -> None:
        """Stop waiting."""
        self._timer.cancel()

    def _respond(self, line: bytes) -> None:
        words = line.decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            self._finish(Response(400, "This is not HTTP.\n"))
            return
        response = self._tokens.answer(words[0], words[1])
        if self._faults.take(Fault.LOSE_TOKEN_REPLY):
            self._transport.abort()
        else:
            self._finish(response)

    def _finish(self, response: Response) -> None:
        if not self._transport.is_closing():
            self._transport.write(response.encoded())
            self._transport.close()
