"""A login: a person says yes in a browser, and tokens are stored if they open the account that was meant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from palmbot.adapters.endpoints import Endpoints
from palmbot.adapters.oauth import Pair, TokenRefusal, TokenServer, authorize_url
from palmbot.adapters.oauth_listener import Door
from palmbot.adapters.oauth_redirect import Redirect
from palmbot.adapters.terminal import Terminal
from palmbot.adapters.tokens import to_the_end
from palmbot.errors import RefusedError, RejectedError, RetryError
from palmbot.model import Granted, GrantedAccount, Scope, Tokens
from palmbot.ports import Clock, TokenStore
from palmbot.settings import CtraderCredentials, Environment
from palmbot.units import SECOND_MS

LOGIN_S: Final = 600.0
_BY_HAND: Final = (
    "Without a browser here: open it anywhere, allow the access, then copy the address that the browser\n"
    "ends at (it need not load) and paste it here."
)

Way = Callable[[], Coroutine[None, None, str | None]]
"""Waits for a code; gives None when none can come this way any more."""
ListAccounts = Callable[[str], Awaitable[Granted]]
"""Returns what an access token opens."""


@dataclass(frozen=True, slots=True)
class Login:
    """Everything that a login needs of the outside."""

    credentials: CtraderCredentials
    endpoints: Endpoints
    redirect: Redirect
    store: TokenStore
    list_accounts: ListAccounts
    clock: Clock

    async def run(self, terminal: Terminal, scope: Scope) -> Tokens:
        """Log a person in and return the tokens, which are on disk.

        Raises:
            RejectedError: ``CONSENT_REFUSED``, ``CODE_REFUSED``, or as the account list does.
            RefusedError: ``ACCOUNT_NOT_GRANTED``, ``ACCOUNT_OF_OTHER_ENVIRONMENT``, ``ACCOUNT_AMBIGUOUS`` or
                ``ACCOUNT_NOT_CHOSEN``; nothing was stored.
            RetryError: nobody came in time, or the servers cannot be reached.
            OutcomeUnknownError: the answer with the tokens was lost.
        """
        address = authorize_url(self.endpoints, self.credentials.client_id, self.redirect.uri, scope)
        code = await self._code(terminal, address)
        server = TokenServer(self.endpoints, self.credentials)
        # before the request: what is granted now and gone by a clock that runs late would be a lie
        asked_ms = self.clock.utc_ms()
        answer = await to_the_end(lambda: server.redeem(code, self.redirect.uri))
        if isinstance(answer, TokenRefusal):
            todo = (
                "Log in once more and allow the access within a minute; look at client id, secret and redirect address."
            )
            raise RejectedError("CODE_REFUSED", todo, server_code=answer.code, description=repr(answer.description))
        granted = await self.list_accounts(answer.access_token)
        account = await self._account(terminal, granted)
        tokens = _tokens(answer, asked_ms, granted, account)
        await to_the_end(lambda: self._stored(tokens))
        return tokens

    async def _code(self, terminal: Terminal, address: str) -> str:
        async with AsyncExitStack() as stack:
            ways: list[Way] = [partial(_pasted_code, self.redirect, terminal)]
            if self.redirect.listens:
                try:
                    ways.append((await stack.enter_async_context(Door(self.redirect))).code)
                except RetryError as busy:
                    terminal.show(str(busy))
            terminal.show(f"Allow the access at this address:\n\n  {address}\n")
            # only now that the door is open: a browser that was here before comes back at once
            if await asyncio.to_thread(terminal.browse, address):
                terminal.show("A browser has been asked to open it.")
            terminal.show(_BY_HAND)
            try:
                async with asyncio.timeout(LOGIN_S):
                    return await _first_code(ways)
            except TimeoutError:
                raise RetryError("NOBODY_CAME", "Log in once more.", waited_s=int(LOGIN_S)) from None

    async def _account(self, terminal: Terminal, granted: Granted) -> GrantedAccount:
        """Return the account to trade: the configured one, or the one that the person names."""
        environment = self.credentials.environment
        terminal.show(f"These tokens permit {granted.scope} on:\n{account_lines(granted.accounts)}")
        wanted = self.credentials.account
        if wanted is not None:
            return account_of(granted, wanted, environment)
        terminal.show("No account is configured. Which one shall be traded? Its number; an empty line stores nothing:")
        typed = await terminal.line()
        if not typed or not typed.isdecimal():
            todo = f"Set CTRADER_ACCOUNT_ID_{environment.upper()} to one of them and log in once more."
            raise RefusedError("ACCOUNT_NOT_CHOSEN", todo, accounts=_numbers(granted))
        return account_of(granted, int(typed), environment)

    def _stored(self, tokens: Tokens) -> None:
        with self.store.locked():
            self.store.save(tokens)


def account_of(granted: Granted, wanted: int, environment: Environment) -> GrantedAccount:
    """Return the account that ``wanted`` names: by its number on the wire, or by its login.

    Raises:
        RefusedError: it is not there, is not the only one, or belongs to the other environment.
    """
    by_number = [each for each in granted.accounts if each.account_id == wanted]
    found = by_number or [each for each in granted.accounts if each.login == wanted]  # logins repeat among brokers
    if not found:
        todo = "Nothing was stored. Log in as the user who owns the account, and tick it; or configure another one."
        raise RefusedError("ACCOUNT_NOT_GRANTED", todo, wanted=wanted, accounts=_numbers(granted))
    if len(found) > 1:
        todo = "Nothing was stored. Configure the account's number instead of its login."
        raise RefusedError("ACCOUNT_AMBIGUOUS", todo, wanted=wanted, accounts=_numbers(granted))
    if found[0].is_live != (environment is Environment.LIVE):
        todo = "Nothing was stored. Configure this account for the other environment and log in there."
        facts = {"account": found[0].account_id, "is_live": found[0].is_live, "environment": environment}
        raise RefusedError("ACCOUNT_OF_OTHER_ENVIRONMENT", todo, **facts)
    return found[0]


def account_lines(accounts: Sequence[GrantedAccount]) -> str:
    """Return ``accounts`` as lines for a person."""
    rows = (f"  {each.account_id}  {_kind(each)}  login {each.login}  {_printable(each.broker)}" for each in accounts)
    return "\n".join(rows) or "  no account at all"


def _kind(account: GrantedAccount) -> str:
    return "live" if account.is_live else "demo"


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _numbers(granted: Granted) -> str:
    return ",".join(str(each.account_id) for each in granted.accounts) or "none"


def _tokens(pair: Pair, asked_ms: int, granted: Granted, account: GrantedAccount) -> Tokens:
    return Tokens(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        granted_ms=asked_ms,
        expires_ms=asked_ms + pair.expires_in_s * SECOND_MS,
        granted=granted,
        account_id=account.account_id,
    )


async def _first_code(ways: Sequence[Way]) -> str:
    """Return the code that comes first, by the browser or by hand; a way that ends without one leaves the other."""
    waiting = {asyncio.ensure_future(way()) for way in ways}
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for code in (way.result() for way in done):
                if code is not None:
                    return code
    finally:
        for way in waiting:
            way.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    raise RetryError("NO_CODE", "Log in once more, and paste the address that the browser ends at.")


async def _pasted_code(redirect: Redirect, terminal: Terminal) -> str | None:
    """Return the code in an address that a person pastes, None when no more lines can come."""
    while (line := await terminal.line()) is not None:
        code = redirect.code_of(line)
        if code is not None:
            return code
        if line:
            terminal.show(f"That is not the address. It begins with {redirect.uri}?code=")
    return None
