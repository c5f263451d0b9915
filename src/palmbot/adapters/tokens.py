"""The keeper of one environment's tokens: what is valid now, and how the next pair is come by.

A refresh token is good for one use, and that use kills the pair it came with; so the only safe order is

    lock -> note on disk that the next pair is asked for -> ask -> new pair on disk -> use it

A crash before the asking costs nothing. After it, the note says that nobody knows: then the old refresh token is shown
once more. If the server never used it, it answers with a new pair. If it did, it refuses, harming nothing, and a person
has to log in, which every later call says. Event 2147 ("tokens were invalidated") is one of the consequences of a
refresh and so never a reason for one: the account is authorised again with ``current``, and what the server says to
that decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

from palmbot.adapters.oauth import Pair, TokenRefusal, TokenServer
from palmbot.errors import ConfigError, OutcomeUnknownError, PalmbotError, RejectedError, RetryError
from palmbot.model import Renewal, Tokens
from palmbot.ports import Clock, TokenStore
from palmbot.protocol.codes import Reaction, reaction_of
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

AHEAD_MS: Final = 5 * DAY_MS  # the pair is renewed so long before it expires
APART_MS: Final = MINUTE_MS  # between two requests for a pair
LOOK_EVERY_MS: Final = HOUR_MS
_DENIED: Final = "ACCESS_DENIED"  # a word of the token server alone: the token is not one of its own
_LOGIN: Final = "palmbot auth login"

ResultT = TypeVar("ResultT")
Wanted = Callable[[Tokens, int], bool]
"""Whether these tokens are to be renewed at this time."""


class Standing(StrEnum):
    """How it stands with tokens."""

    ABSENT = "no tokens"
    VALID = "valid"
    DUE = "due for renewal"
    EXPIRED = "expired"
    DOUBTFUL = "in doubt: a new pair was asked for and no answer came"
    DEAD = "dead: log in again"


def standing(tokens: Tokens | None, now_ms: int) -> Standing:
    """Return how it stands with ``tokens`` at ``now_ms`` (UTC)."""
    if tokens is None:
        return Standing.ABSENT
    if tokens.renewal is Renewal.REFUSED:
        return Standing.DEAD
    if tokens.renewal is Renewal.ASKED:
        return Standing.DOUBTFUL
    if now_ms >= tokens.expires_ms:
        return Standing.EXPIRED
    return Standing.DUE if is_due(tokens, now_ms) else Standing.VALID


def is_due(tokens: Tokens, now_ms: int) -> bool:
    """Return whether the next pair should be asked for: days ahead, and when it is not known who has the last one."""
    return tokens.renewal is Renewal.ASKED or now_ms >= tokens.expires_ms - AHEAD_MS


class TokenKeeper:
    """Keeps the tokens of one environment fresh.

    Every renewal raises what it ended in:
        ``RejectedError``: ``LOGIN_NEEDED``, or ``APPLICATION_REFUSED`` where client id or secret are wrong.
        ``RetryError``: ``TOKENS_BUSY``, ``REFRESH_TOO_SOON``, ``TOKEN_SERVER_UNREACHABLE``, ``TOKEN_SERVER_BUSY``.
        ``ConfigError``: whoever answers is not the token server, in the words of ``tls_reason``.
        ``OutcomeUnknownError``: ``TOKEN_ANSWER_LOST``; asking again after a minute clears it up.
        ``HaltError``: the tokens cannot be written.

    Args:
        environment: whose tokens, for messages.
        store: where they are.
        server: gives the next pair.
        clock: tells the time.
    """

    def __init__(self, environment: str, store: TokenStore, server: TokenServer, clock: Clock) -> None:
        self._environment = environment
        self._store = store
        self._server = server
        self._clock = clock

    def current(self) -> Tokens:
        """Return the newest tokens on disk, whoever put them there. They may be due, doubtful or dead.

        Raises:
            RejectedError: ``LOGIN_NEEDED``, there are none.
        """
        tokens = self._store.load()
        if tokens is None:
            raise self._login_needed("there are no tokens")
        return tokens

    async def renew(self) -> Tokens:
        """Return a new pair, because a person asked for one."""
        return await to_the_end(lambda: self._renewed(lambda _tokens, _now_ms: True))

    async def renew_if_due(self) -> Tokens:
        """Return tokens that are good for days: the present ones, or a new pair."""
        return await to_the_end(lambda: self._renewed(_is_due_and_alive))

    async def renew_refused(self, refused: Tokens, code: str) -> Tokens:
        """Return the tokens to go on with after an account could not be authorised with ``refused``.

        They are the same where ``code`` is not about tokens, those on disk where they are newer, else a new pair.
        """
        if reaction_of(code) is not Reaction.TOKEN:
            return refused

        def is_wanted(tokens: Tokens, _now_ms: int) -> bool:
            return tokens.renewal is not Renewal.REFUSED and tokens.access_token == refused.access_token

        return await to_the_end(lambda: self._renewed(is_wanted))

    async def keep(self, tell: Callable[[PalmbotError], None]) -> None:
        """Renew days ahead, for as long as this runs; ``tell`` is given what will be tried again.

        Raises:
            PalmbotError: what no trying mends (``LOGIN_NEEDED``, ``APPLICATION_REFUSED``, a wrong certificate): a
                person is needed before the tokens expire.
        """
        while True:
            pause_ms = LOOK_EVERY_MS
            try:
                await self.renew_if_due()
            except (RetryError, OutcomeUnknownError) as failure:
                tell(failure)
                pause_ms = APART_MS + SECOND_MS
            await self._clock.sleep(pause_ms / 1_000)

    def _renewed(self, is_wanted: Wanted) -> Tokens:
        with self._store.locked():
            # read under the lock: another process may have renewed them since
            tokens, now_ms = self.current(), self._clock.utc_ms()
            if not is_wanted(tokens, now_ms):
                return self._alive(tokens)
            self._refuse_too_soon(tokens, now_ms)
            tokens = replace(tokens, asked_ms=now_ms, renewal=Renewal.ASKED)
            self._store.save(tokens)
            pair = self._asked(tokens)
            tokens = replace(
                tokens,
                access_token=pair.access_token,
                refresh_token=pair.refresh_token,
                granted_ms=now_ms,
                expires_ms=now_ms + pair.expires_in_s * SECOND_MS,
                renewal=Renewal.DONE,
            )
            self._store.save(tokens)
            return tokens

    def _asked(self, tokens: Tokens) -> Pair:
        """Return the next pair; note on disk what else is certain."""
        try:
            answer = self._server.refresh(tokens.refresh_token)
        except (RetryError, ConfigError):
            self._store.save(replace(tokens, renewal=Renewal.FAILED))
            raise
        if isinstance(answer, Pair):
            return answer
        renewal, failure = self._refusal(answer)
        if renewal is not Renewal.ASKED:
            self._store.save(replace(tokens, renewal=renewal))
        raise failure

    def _refusal(self, answer: TokenRefusal) -> tuple[Renewal, PalmbotError]:
        """Return what a refusal says about the tokens, and the error to raise."""
        facts = {"environment": self._environment, "server_code": answer.code, "description": repr(answer.description)}
        reaction = Reaction.TOKEN if answer.code == _DENIED else reaction_of(answer.code)
        match reaction:
            case Reaction.TOKEN:
                return Renewal.REFUSED, self._login_needed(answer.code)
            case Reaction.FATAL | Reaction.REAUTHORISE:
                todo = "Look at the client id and secret, and whether the application is active at cTrader."
                return Renewal.FAILED, RejectedError("APPLICATION_REFUSED", todo, **facts)
            case Reaction.WAIT:
                return Renewal.FAILED, RetryError("TOKEN_SERVER_BUSY", "Try again in a few minutes.", **facts)
        todo = "Nobody knows whether the server did it. Ask once more in a minute."
        return Renewal.ASKED, OutcomeUnknownError("TOKEN_ANSWER_LOST", todo, **facts)

    def _alive(self, tokens: Tokens) -> Tokens:
        if tokens.renewal is Renewal.REFUSED:
            raise self._login_needed(str(Renewal.REFUSED))
        return tokens

    def _refuse_too_soon(self, tokens: Tokens, now_ms: int) -> None:
        # a clock that was set back would otherwise forbid it for as long as it was set back by
        if tokens.asked_ms is not None and 0 <= now_ms - tokens.asked_ms < APART_MS:
            wait_s = (tokens.asked_ms + APART_MS - now_ms + 999) // 1_000
            todo = "Tokens are renewed once a minute at most: wait that long, then ask again."
            raise RetryError("REFRESH_TOO_SOON", todo, environment=self._environment, wait_s=wait_s)

    def _login_needed(self, reason: str) -> RejectedError:
        todo = f"A person has to log in: {_LOGIN} --env {self._environment}."
        return RejectedError("LOGIN_NEEDED", todo, environment=self._environment, reason=repr(reason))


def _is_due_and_alive(tokens: Tokens, now_ms: int) -> bool:
    return tokens.renewal is not Renewal.REFUSED and is_due(tokens, now_ms)


async def to_the_end(work: Callable[[], ResultT]) -> ResultT:
    """Run ``work`` in a thread and return its result; who cancels this waits until it is done.

    A thread, because a cancelled loop would take the answer to a request with it: the loop's end waits for threads.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 - it is the task's, and raised below
            break
    if cancelled is not None:
        raise cancelled  # what failed is noted on disk, and who cancelled does not want to know
    return task.result()
