"""Who may use which account: applications, users, and the tokens between them (sheet 2).

A grant is what a user allowed an application: accounts, a scope, and one living pair of tokens. A refresh kills the old
pair at once. Every change is kept before it is answered, so that no pair is told that a restart would not know.
Nothing here prints, logs or raises a token, a code or a secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final
from urllib.parse import urlsplit

from palmbot.errors import DataError
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.values import Refused, Via

HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_TYPE: Final = "bearer"  # noqa: S105 - a kind, no token
DEAD_TOKEN: Final = Refused("CH_ACCESS_TOKEN_INVALID", "Access token is invalid", Via.ERROR_RES)
OLD_TOKEN: Final = Refused("OA_AUTH_TOKEN_EXPIRED", "Access token has expired", Via.ERROR_RES)
NO_CLIENT: Final = Refused("CH_OA_CLIENT_NOT_FOUND", "Open API client is not found", Via.ERROR_RES)
BAD_SECRET: Final = Refused("CH_CLIENT_AUTH_FAILURE", "Open API client credentials are wrong", Via.ERROR_RES)
NOT_ACTIVE: Final = Refused("CH_CLIENT_AUTH_FAILURE", "Open API application is not in active state", Via.ERROR_RES)
BAD_CODE: Final = Refused("ACCESS_DENIED", "Access denied. Make sure the credentials are valid.", Via.ERROR_RES)


class Scope(IntEnum):
    """What a grant permits, numbered as on the wire."""

    VIEW = 0
    TRADE = 1


SCOPES: Final = {"accounts": Scope.VIEW, "trading": Scope.TRADE}


@dataclass(frozen=True, slots=True)
class Application:
    """A registered application. ``redirect_uris`` match exactly or not at all; None is any address on this machine."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...] | None = ()
    is_active: bool = True

    def may_redirect_to(self, uri: str) -> bool:
        """Return whether a user's browser may be sent to ``uri``."""
        if self.redirect_uris is not None:
            return uri in self.redirect_uris
        try:
            parts = urlsplit(uri)
        except ValueError:
            return False
        is_here = parts.scheme == "http" and parts.hostname in HERE and parts.username is None
        return is_here and uri.isascii() and uri.isprintable() and " " not in uri  # it goes into a header


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user allowed an application, and the pair of tokens that lives now."""

    grant_id: int
    client_id: str
    user_id: int
    account_ids: tuple[int, ...]
    scope: Scope
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_ms: int

    def expires_in_s(self, now_ms: int) -> int:
        """Return the rest of the access token's life in seconds, a begun one counted: whole when it was just given."""
        return -(-max(self.expires_ms - now_ms, 0) // 1_000)


@dataclass(frozen=True, slots=True)
class Code:
    """A single-use authorization code that was just given to a user's browser."""

    text: str = field(repr=False)
    client_id: str
    redirect_uri: str
    user_id: int
    scope: Scope
    expires_ms: int


class Grants:
    """The registry of applications and grants. Times are UTC.

    Args:
        new_text: makes a token, a code or a secret that nobody can guess.
        knobs: life of tokens and codes.
        keep: told the whole state as plain JSON before a change of it is answered.
        ended: told each grant whose tokens died, after that was kept.
    """

    def __init__(
        self,
        new_text: Callable[[], str],
        knobs: Knobs,
        keep: Callable[[dict[str, Any]], None] = lambda _: None,
        ended: Callable[[Grant, str], None] = lambda _grant, _reason: None,
    ) -> None:
        self.ended = ended
        self._new_text = new_text
        self._knobs = knobs
        self._keep = keep
        self._applications: dict[str, Application] = {}
        self._accounts: dict[int, tuple[int, ...]] = {}  # of each user
        self._grants: dict[int, Grant] = {}
        self._codes: dict[str, Code] = {}
        self._last_id = 0

    # -- set-up

    def register(self, application: Application) -> None:
        """Add ``application``, or change it."""
        self._applications[application.client_id] = application
        self._keep(self.body())

    def add_user(self, user_id: int, account_ids: Iterable[int]) -> None:
        """Add a user who owns ``account_ids``, or give the user these instead."""
        self._accounts[user_id] = tuple(account_ids)
        self._keep(self.body())

    def new_grant(self, client_id: str, user_id: int, scope: Scope, now_ms: int) -> Grant:
        """Return a new grant of all accounts of a user; by a knob it ends the older ones of the same application."""
        self._last_id += 1
        accounts = self._accounts[user_id]
        grant = self._paired(Grant(self._last_id, client_id, user_id, accounts, scope, "", "", 0), now_ms)
        older = [each for each in self._grants.values() if (each.client_id, each.user_id) == (client_id, user_id)]
        if self._knobs.one_grant_per_user:
            for each in older:
                del self._grants[each.grant_id]
        self._grants[grant.grant_id] = grant
        self._keep(self.body())
        if self._knobs.one_grant_per_user:
            for each in older:
                self.ended(each, "Application was authorized again")
        return grant

    # -- questions

    @property
    def grants(self) -> tuple[Grant, ...]:
        """All living grants, oldest first."""
        return tuple(self._grants.values())

    def secret_of(self, client_id: str) -> str:
        """Return the secret of an application, for its owner's eyes."""
        return self._applications[client_id].client_secret

    def application(self, client_id: str, client_secret: str) -> Application | Refused:
        """Return the application with these credentials."""
        application = self._applications.get(client_id)
        if application is None:
            return NO_CLIENT
        if not _same(application.client_secret, client_secret):
            return BAD_SECRET
        return application if application.is_active else NOT_ACTIVE

    def by_access(self, access_token: str, now_ms: int) -> Grant | Refused:
        """Return the grant that ``access_token`` opens."""
        for grant in self._grants.values():
            if _same(grant.access_token, access_token):
                return grant if now_ms < grant.expires_ms else OLD_TOKEN
        return DEAD_TOKEN

    # -- what clients do

    def authorize(self, client_id: str, redirect_uri: str, scope: str, user_id: int, now_ms: int) -> str | Refused:
        """Return a code for the redirect of a user who said yes (the browser's part)."""
        application = self._applications.get(client_id)
        if application is None:
            return NO_CLIENT
        if not application.may_redirect_to(redirect_uri):
            return Refused("INVALID_REQUEST", "redirect_uri is not registered", Via.ERROR_RES)
        if scope not in SCOPES:
            return Refused("INVALID_REQUEST", "scope is accounts or trading", Via.ERROR_RES)
        self._codes = {text: each for text, each in self._codes.items() if now_ms < each.expires_ms}
        text = self._new_text()
        expires_ms = now_ms + self._knobs.code_ms
        self._codes[text] = Code(text, client_id, redirect_uri, user_id, SCOPES[scope], expires_ms)
        return text

    def redeem(self, code: str, redirect_uri: str, client_id: str, now_ms: int) -> Grant | Refused:
        """Return a new grant for a code; the code is gone whatever happens."""
        given = self._codes.pop(code, None)
        if (
            given is None
            or now_ms >= given.expires_ms
            or (given.client_id, given.redirect_uri)
            != (
                client_id,
                redirect_uri,
            )
        ):
            return BAD_CODE
        return self.new_grant(client_id, given.user_id, given.scope, now_ms)

    def refresh(self, refresh_token: str, client_id: str, now_ms: int) -> Grant | Refused:
        """Return the grant with a new pair of tokens; the old pair is dead from here on."""
        for grant in self._grants.values():
            if grant.client_id == client_id and _same(grant.refresh_token, refresh_token):
                fresh = self._paired(grant, now_ms)
                self._grants[grant.grant_id] = fresh
                self._keep(self.body())
                self.ended(grant, "Access token was refreshed")
                return fresh
        return DEAD_TOKEN

    def revoke(self, grant_id: int, reason: str = "Access was revoked by the user") -> None:
        """End a grant, as a user does in the settings of the account."""
        grant = self._grants.pop(grant_id)
        self._keep(self.body())
        self.ended(grant, reason)

    def _paired(self, grant: Grant, now_ms: int) -> Grant:
        return replace(
            grant,
            access_token=self._new_text(),
            refresh_token=self._new_text(),
            expires_ms=now_ms + self._knobs.access_token_ms,
        )

    # -- across restarts

    def body(self) -> dict[str, Any]:
        """Return everything but the codes as plain JSON. It holds secrets: it belongs into a private file alone."""
        return {
            "last_id": self._last_id,
            "applications": [_body(each) for each in self._applications.values()],
            "users": [{"user_id": user_id, "account_ids": ids} for user_id, ids in self._accounts.items()],
            "grants": [_body(each) for each in self._grants.values()],
        }

    def restore(self, body: Any) -> None:  # noqa: ANN401 - whatever the file held
        """Take over what ``body`` returned once.

        Raises:
            DataError: ``GRANTS_UNREADABLE``, it is something else.
        """
        try:
            last_id = int(body["last_id"])
            applications = [Application(**_tuples(each)) for each in body["applications"]]
            users = {int(each["user_id"]): tuple(each["account_ids"]) for each in body["users"]}
            grants = [Grant(**(_tuples(each) | {"scope": Scope(each["scope"])})) for each in body["grants"]]
        except (KeyError, TypeError, ValueError) as error:
            todo = "Remove the exchange's grants file beside its state; every client logs in again."
            raise DataError("GRANTS_UNREADABLE", todo, error=type(error).__name__) from None
        self._last_id, self._accounts = last_id, users
        self._applications = {each.client_id: each for each in applications}
        self._grants = {each.grant_id: each for each in grants}


def _same(one: str, other: str) -> bool:
    """Return whether two secrets are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode())


def _body(value: Application | Grant) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _tuples(body: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}
