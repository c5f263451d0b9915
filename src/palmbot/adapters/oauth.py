"""cTrader's OAuth over HTTP: the address where a person says yes, and the server that gives tokens.

The server is asked with GET, so addresses hold secrets: they appear in no log, no error and no traceback. Errors come
with status 200; only the body tells.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from palmbot.adapters.endpoints import Endpoints
from palmbot.adapters.tls import verified_context
from palmbot.adapters.tls_reason import handshake_failure
from palmbot.errors import OutcomeUnknownError, PalmbotError, RetryError
from palmbot.model import Scope
from palmbot.settings import CtraderCredentials

CONNECT_S: Final = 10.0
ANSWER_S: Final = 120.0  # an answer that nobody waited for may cost a login
BODY_MAX_BYTES: Final = 65_536
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_DESCRIPTION_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """Two new tokens."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """The server said no. ``code`` is one of the wire's, or another word that the server used."""

    code: str
    description: str


def authorize_url(endpoints: Endpoints, client_id: str, redirect_uri: str, scope: Scope) -> str:
    """Return the address that a person opens to say yes. It holds no secret."""
    query = {"client_id": client_id, "redirect_uri": redirect_uri, "scope": str(scope), "product": "web"}
    return f"{endpoints.consent_url}?{urlencode(query)}"


class TokenServer:
    """The server that turns codes and refresh tokens into pairs of tokens. Plain calls that block.

    Each raises ``RetryError`` (``TOKEN_SERVER_UNREACHABLE``) or ``ConfigError`` (it is not the one that was meant, in
    the words of ``tls_reason``) where it certainly was not asked, and ``OutcomeUnknownError`` (``TOKEN_ANSWER_LOST``)
    where it may have done what it was asked and what it gave is gone.
    """

    def __init__(self, endpoints: Endpoints, credentials: CtraderCredentials) -> None:
        self._url = endpoints.token_url
        self._credentials = credentials
        for name in ("httpx", "httpcore"):  # they would log addresses
            logging.getLogger(name).setLevel(logging.WARNING)

    def redeem(self, code: str, redirect_uri: str) -> Pair | TokenRefusal:
        """Return tokens for a code that a person's browser brought; the code is spent whatever happens."""
        return self._asked(code, {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri})

    def refresh(self, refresh_token: str) -> Pair | TokenRefusal:
        """Return the next pair; with it the old pair is dead."""
        return self._asked(refresh_token, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def _asked(self, secret: str, question: dict[str, str]) -> Pair | TokenRefusal:
        import httpx  # noqa: PLC0415 - heavy: only who asks the server pays

        application = {"client_id": self._credentials.client_id, "client_secret": self._credentials.client_secret}
        failure: PalmbotError | None = None
        status, body = 0, b""
        try:
            status, body = self._get(question | application)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            failure = _failure(error, urlsplit(self._url).hostname or "")
        if failure is not None:
            # here and not in the handler: an exception chained to this one would carry the address
            raise failure from None
        return _read(status, body, (secret, self._credentials.client_secret))

    def _get(self, query: dict[str, str]) -> tuple[int, bytes]:
        import httpx  # noqa: PLC0415 - as above

        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        # trust_env would take proxies, certificates and .netrc from the surroundings
        with (
            httpx.Client(trust_env=False, verify=verified_context(), timeout=timeout, follow_redirects=False) as client,
            client.stream("GET", self._url, params=query, headers={"Accept": "application/json"}) as response,
        ):
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > BODY_MAX_BYTES:
                    break
            return response.status_code, body[:BODY_MAX_BYTES]


def _failure(error: Exception, host: str) -> PalmbotError:
    """Return ``error`` in our words, with nothing of its text: that may hold the address."""
    import httpx  # noqa: PLC0415 - as above

    never_sent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
    root: BaseException = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    reason = repr(root.strerror) if isinstance(root, OSError) and root.strerror else type(error).__name__
    if not isinstance(error, never_sent):
        todo = "The server may have done it and its answer is lost. Ask once more in a minute."
        return OutcomeUnknownError("TOKEN_ANSWER_LOST", todo, reason=reason)
    if isinstance(root, ssl.SSLError):
        return handshake_failure(root, host)
    todo = "Nothing has happened. Look at this machine's network, then try again."
    return RetryError("TOKEN_SERVER_UNREACHABLE", todo, reason=reason)


def _read(status: int, body: bytes, secrets: tuple[str, ...]) -> Pair | TokenRefusal:
    """Return what an answer says; ``secrets`` are kept out of it."""
    try:
        answer = json.loads(body)
        if answer.get("errorCode"):
            return _refusal(answer, secrets)
        pair = Pair(answer["accessToken"], answer["refreshToken"], int(answer["expiresIn"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        pair = None
    if pair is None or status != HTTPStatus.OK or not _is_whole(pair):
        todo = "This is no answer of a token server. Ask once more in a minute."
        raise OutcomeUnknownError("TOKEN_ANSWER_LOST", todo, reason="unreadable", status=status)
    return pair


def _is_whole(pair: Pair) -> bool:
    tokens = (pair.access_token, pair.refresh_token)
    return all(isinstance(each, str) and each.strip() for each in tokens) and pair.expires_in_s > 0


def _refusal(answer: dict[str, Any], secrets: tuple[str, ...]) -> TokenRefusal:
    code, description = str(answer["errorCode"]), str(answer.get("description") or "")
    for secret in secrets:
        description = description.replace(secret, "[hidden]")
    printable = "".join(letter if letter.isprintable() else " " for letter in description)
    return TokenRefusal(code if _CODE.fullmatch(code) else "UNLISTED", printable[:_DESCRIPTION_MAX])
