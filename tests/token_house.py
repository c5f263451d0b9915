"""A cTrader for logins on loopback: the exchange's own registry of grants behind its own token endpoint."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from urllib.parse import parse_qs, urlsplit

import httpx

from palmbot.adapters.endpoints import CONSENT_URL, Endpoints
from palmbot.adapters.terminal import Terminal
from palmbot.errors import RejectedError
from palmbot.exchange.faults import Faults
from palmbot.exchange.grants import Application, Grant, Grants
from palmbot.exchange.grants import Scope as GrantScope
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.token_endpoint import Response, TokenConnection
from palmbot.exchange.token_endpoint import Tokens as TokenAnswers
from palmbot.exchange.values import Refused
from palmbot.model import Granted, GrantedAccount, Scope, Tokens
from palmbot.settings import CtraderCredentials, Environment

DEMO_ACCOUNT = GrantedAccount(1_000_001, is_live=False, login=5_001, broker="Demo House")
LIVE_ACCOUNT = GrantedAccount(2_000_001, is_live=True, login=6_001, broker="Live House")
ACCOUNTS = {each.account_id: each for each in (DEMO_ACCOUNT, LIVE_ACCOUNT)}
APPLICATIONS = {"demo": ("demo-client", "planted-demo-secret"), "live": ("live-client", "planted-live-secret")}
USER_ID = 7
START_MS = 1_790_000_000_000


class HouseClock:
    """Stands until it is moved. Not that of ``tests.fakes``, which would bring the whole bot along."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)


class RecordingTokens(TokenAnswers):
    """The endpoint's answers, with a list of what was asked and a way to answer otherwise."""

    def __init__(self, grants: Grants, utc_ms: Callable[[], int], user_id: int) -> None:
        super().__init__(grants, utc_ms, user_id)
        self.asked: list[dict[str, str]] = []
        self.instead: list[Response] = []  # for the next requests, which are not carried out
        self.before: Callable[[], None] = lambda: None  # called when a request has come

    def answer(self, method: str, target: str) -> Response:
        """Remember the request, then answer it."""
        self.before()
        query = parse_qs(urlsplit(target).query)
        self.asked.append({name: values[0] for name, values in query.items()})
        return self.instead.pop(0) if self.instead else super().answer(method, target)


class HeldConnection(TokenConnection):
    """A connection whose answers wait while the house holds them back."""

    def __init__(self, tokens: TokenAnswers, faults: Faults, house: TokenHouse) -> None:
        super().__init__(tokens, faults)
        self._house = house

    def _finish(self, response: Response) -> None:
        finish = partial(super()._finish, response)
        if self._house.is_holding:
            self._house.held.append(finish)
            self._house.is_asked.set()
        else:
            finish()


@dataclass
class TokenHouse:
    """The registry, its clock, its faults, and what it was asked."""

    clock: HouseClock
    grants: Grants
    tokens: RecordingTokens
    faults: Faults
    token_url: str = ""
    is_holding: bool = False  # answers wait in `held` until `let_go`
    held: list[Callable[[], None]] = field(default_factory=list)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)  # an answer waits

    @property
    def endpoints(self) -> Endpoints:
        consent = urlsplit(self.token_url)._replace(path=urlsplit(CONSENT_URL).path).geturl()
        return Endpoints("127.0.0.1", 0, consent, self.token_url)

    @property
    def refreshes(self) -> int:
        """How often a refresh was asked for."""
        return sum(query.get("grant_type") == "refresh_token" for query in self.tokens.asked)

    def let_go(self) -> None:
        """Send what was held back."""
        self.is_holding = False
        for finish in self.held:
            finish()
        self.held.clear()

    def register(self, redirect_uri: str, *, is_active: bool = True) -> None:
        """Register both applications with this redirect address."""
        for client_id, secret in APPLICATIONS.values():
            self.grants.register(Application(client_id, secret, (redirect_uri,), is_active))

    def grant_of(self, access_token: str) -> Grant | None:
        """Return the grant that a token opens now."""
        grant = self.grants.by_access(access_token, self.clock.now_ms)
        return None if isinstance(grant, Refused) else grant

    def granted(self, environment: Environment = Environment.DEMO) -> Tokens:
        """Return living tokens as a login would store them."""
        now_ms = self.clock.now_ms
        grant = self.grants.new_grant(APPLICATIONS[environment][0], USER_ID, GrantScope.TRADE, now_ms)
        number = LIVE_ACCOUNT.account_id if environment is Environment.LIVE else DEMO_ACCOUNT.account_id
        return Tokens(
            grant.access_token,
            grant.refresh_token,
            now_ms,
            grant.expires_ms,
            Granted(Scope.TRADING, tuple(ACCOUNTS.values())),
            number,
        )

    async def list_accounts(self, access_token: str) -> Granted:
        """Return what a token opens, as the Open API would."""
        grant = self.grant_of(access_token)
        if grant is None:
            raise RejectedError("TOKEN_REFUSED", "Log in once more.")
        scope = Scope.TRADING if grant.scope else Scope.ACCOUNTS
        return Granted(scope, tuple(ACCOUNTS[number] for number in grant.account_ids))


@asynccontextmanager
async def token_house(knobs: Knobs | None = None) -> AsyncIterator[TokenHouse]:
    """Run a house whose one user owns both accounts."""
    clock = HouseClock(START_MS)
    counter = itertools.count(1)
    # long enough for a scan to be sure of what it found
    grants = Grants(lambda: f"planted-token-{next(counter):04d}-0123456789abcdef", knobs or Knobs())
    grants.add_user(USER_ID, ACCOUNTS)
    tokens = RecordingTokens(grants, clock.utc_ms, USER_ID)
    house = TokenHouse(clock, grants, tokens, Faults(Random(1)))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HeldConnection(tokens, house.faults, house), "127.0.0.1", 0)
    house.token_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/apps/token"
    try:
        yield house
    finally:
        server.close()


def credentials_of(environment: Environment, account: int | None = None) -> CtraderCredentials:
    """Return the registered application of ``environment``."""
    return CtraderCredentials(environment, *APPLICATIONS[environment], account)


class Visitor(Terminal):
    """A terminal whose browser belongs to a person who always says yes."""

    def __init__(self, source: int | None = None) -> None:
        self.out = io.StringIO()
        super().__init__(self.out, source, has_browser=True)
        self.visited: list[str] = []
        self.pages: list[httpx.Response] = []

    def browse(self, address: str) -> bool:
        """Open the address and follow where it leads."""
        self.visited.append(address)
        self.pages.append(httpx.get(address, follow_redirects=True, trust_env=False))
        return True
