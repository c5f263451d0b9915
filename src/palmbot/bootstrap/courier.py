"""Carries questions to a broker over one visit after another, however long that takes. Nothing here can trade."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from palmbot.adapters.aside import aside
from palmbot.adapters.ctrader_history import Reader
from palmbot.adapters.ctrader_login import DeadTokenError, FixedToken, KeptToken, TokenSource
from palmbot.adapters.ctrader_terms import read_statement
from palmbot.adapters.ctrader_visit import Target, Visit
from palmbot.adapters.endpoints import Endpoints, endpoints_of
from palmbot.adapters.tls import client_context
from palmbot.bootstrap.access import access_of
from palmbot.bootstrap.ready import read_ready
from palmbot.config import Sources
from palmbot.config.credentials import load_token_settings
from palmbot.errors import InvariantError, OutcomeUnknownError, RetryError
from palmbot.model import Tokens
from palmbot.ports import Clock
from palmbot.protocol.codec_errors import Declined
from palmbot.protocol.codes import Reaction
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import Message
from palmbot.protocol.statement import Statement
from palmbot.settings import CtraderCredentials, Environment, Settings

ANSWER_MS: Final = 30_000
OPEN_S: Final = 30.0
PER_SECOND: Final = 4  # questions about history: 5 are allowed, and on their way they may bunch up
FINAL: Final = ("HISTORY_QUOTA", "HISTORY_UNFIT", "HISTORY_ENDLESS")  # another visit would not change these

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Way:
    """How an account is reached. ``renew`` sees to it that its tokens are good for days."""

    credentials: CtraderCredentials
    endpoints: Endpoints
    tokens: TokenSource
    renew: Callable[[], Awaitable[Tokens]] | None
    is_simulated: bool


def way_of(sources: Sources, settings: Settings, exchange_file: Path | None) -> Way:
    """Return the way to the account of the settings' environment; on paper, to that of an exchange.

    Raises:
        UsageError: credentials are missing or wrong, or the file is no ready line.
        RefusedError: what stands in for cTrader is on another machine.
    """
    environment = settings.run.environment
    if environment is Environment.PAPER:
        if exchange_file is None:
            raise InvariantError("NO_EXCHANGE", "Report this: an exchange was used that is not there.")
        endpoints = endpoints_of(environment, exchange_file)
        ready = read_ready(exchange_file)
        whom = CtraderCredentials(environment, ready.client_id, ready.client_secret, ready.account_id)
        return Way(whom, endpoints, FixedToken(ready.access_token), None, is_simulated=True)
    access = access_of(sources, environment, load_token_settings(sources, settings.data_dir))
    is_simulated = access.credentials.exchange_file is not None
    renew = access.keeper.renew_if_due
    return Way(access.credentials, access.endpoints, KeptToken(access.keeper), renew, is_simulated)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often in a row a visit may fail, and how long to wait after the first time; every wait doubles."""

    tries: int = 6
    pause_s: float = 1.0
    pause_max_s: float = 60.0


class Courier:
    """See above; it is the ``palmbot.adapters.ctrader_history.Line`` of its readers.

    Args:
        way: to the account.
        symbol: as the broker spells it.
        clock: the machine's.
        tell: is told of every wait, in a sentence.
        patience: with visits that fail.
    """

    def __init__(
        self, way: Way, symbol: str, clock: Clock, tell: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        self.questions = 0  # about history
        self._way = way
        self._symbol = symbol
        self._clock = clock
        self._tell = tell
        self._patience = patience or Patience()
        self._stack = AsyncExitStack()
        self._visit: Visit | None = None
        self._account_id = 0
        self._statement: Statement | None = None

    async def __aenter__(self) -> Courier:
        """Begin; nobody is asked yet."""
        return self

    async def __aexit__(self, *_failure: object) -> None:
        """Hang up."""
        await self._hang_up()

    @property
    def account_id(self) -> int:
        """The account, once something was carried."""
        return self._account_id

    @property
    def statement(self) -> Statement:
        """What the broker says of the symbol, once something was carried."""
        if self._statement is None:
            raise InvariantError("NOTHING_CARRIED", "Report this: nothing was asked of the broker yet.")
        return self._statement

    async def carry(self, errand: Callable[[Reader], Awaitable[ResultT]]) -> ResultT:
        """Return what ``errand`` does; it is begun again on a new visit where one fails.

        Raises:
            RetryError: the broker does not answer, again and again.
            PalmbotError: what no trying mends.
        """
        for attempt in range(1, self._patience.tries + 1):
            try:
                return await errand(await self._reader())
            except (RetryError, OutcomeUnknownError, OSError) as failure:
                await self._hang_up()
                reason = _reason(failure)
                if attempt == self._patience.tries or _is_final(failure):
                    raise _given_up(failure, attempt) from failure
                wait_s = min(self._patience.pause_s * 2 ** (attempt - 1), self._patience.pause_max_s)
                self._tell(f"No answer ({reason}); asking again in {wait_s:g} s.")
                await self._clock.sleep(wait_s)
        raise InvariantError("NO_TRIES", "Report this: a courier that may not try.")

    async def ask(self, request: Message, deadline_ms: int | None = None) -> Message | Declined:
        """Return the answer to a question about history. Raises ``RetryError``: there is none."""
        if self._visit is None:
            raise RetryError("LINK_DOWN", "Ask again.")
        self.questions += 1
        return await self._visit.ask(request, deadline_ms)

    def _on_wait(self, wait_s: int) -> None:
        self._tell(f"The broker's quota of history is used up; asking again in {wait_s} s.")

    async def _reader(self) -> Reader:
        if self._visit is None:
            async with asyncio.timeout(OPEN_S):
                self._visit = await self._opened()
        return Reader(self, self._clock, self._account_id, self.statement.light.symbolId, self._on_wait)

    async def _opened(self) -> Visit:
        """Return a visit on which the account is logged in."""
        way, ends = self._way, self._way.endpoints
        account = self._account_id or way.credentials.account
        if way.renew is not None:
            tokens = await way.renew()
            account = account or tokens.account_id
        token = way.tokens.current()
        look_up = partial(socket.getaddrinfo, ends.host, ends.port, type=socket.SOCK_STREAM)
        address = str((await aside(look_up))[0][4][0])
        target = Target(address, ends.port, ends.host, client_context(ends.host, ends.ca_file))
        hidden = (way.credentials.client_secret, token)
        visit = Visit(target, self._clock, ANSWER_MS, hidden, Limiter(historical_per_second=PER_SECOND))
        await self._stack.enter_async_context(visit)
        await visit.application(way.credentials)
        try:
            self._account_id = await visit.choose_account(replace(way.credentials, account=account), token)
            await visit.open_account(self._account_id, token)
        except DeadTokenError as refused:
            await way.tokens.refresh(token, refused.code)
            raise
        if self._statement is None:
            self._statement = await read_statement(visit.need, self._account_id, self._symbol)
        return visit

    async def _hang_up(self) -> None:
        self._visit = None
        await self._stack.aclose()


def _is_final(failure: Exception) -> bool:
    if not isinstance(failure, RetryError):
        return False
    return failure.code in FINAL or failure.facts.get("reaction") == Reaction.BUG.value


def _reason(failure: Exception) -> str:
    if isinstance(failure, RetryError | OutcomeUnknownError):
        return str(failure.facts.get("reason") or failure.code)
    return getattr(failure, "strerror", None) or type(failure).__name__


def _given_up(failure: Exception, tries: int) -> RetryError:
    """Return a failure with what matters to whoever fetches."""
    todo = "What was fetched is kept: run the same command again to go on."
    if isinstance(failure, RetryError | OutcomeUnknownError):
        return RetryError(failure.code, f"{failure.todo} {todo}", **failure.facts, tries=tries)
    return RetryError("API_UNREACHABLE", f"Look at the network. {todo}", reason=repr(_reason(failure)), tries=tries)
