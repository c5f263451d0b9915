"""A visit to the Open API: one connection for questions, asked one after the other.

Nothing here can trade: a visit refuses to make the bytes of anything but ``ASKING``.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from palmbot.adapters.ctrader_link import Link
from palmbot.adapters.ctrader_login import authorise_account, authorise_app, choose_account
from palmbot.adapters.tls_reason import handshake_failure
from palmbot.errors import PalmbotError
from palmbot.ports import Clock
from palmbot.protocol.codec_errors import Declined
from palmbot.protocol.events import Received
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import Message, pb
from palmbot.protocol.session import SessionConfig
from palmbot.settings import CtraderCredentials

ASKING = frozenset(
    {
        *(pb.HEARTBEAT_EVENT, pb.VERSION_REQ),
        *(pb.APPLICATION_AUTH_REQ, pb.GET_ACCOUNT_LIST_BY_ACCESS_TOKEN_REQ, pb.ACCOUNT_AUTH_REQ),
        *(pb.TRADER_REQ, pb.ASSET_LIST_REQ, pb.SYMBOLS_LIST_REQ, pb.SYMBOL_BY_ID_REQ, pb.SYMBOLS_FOR_CONVERSION_REQ),
        *(pb.GET_DYNAMIC_LEVERAGE_BY_ID_REQ, pb.GET_TRENDBARS_REQ, pb.GET_TICK_DATA_REQ),
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is, and how it is made sure that it is the one that was meant."""

    address: str
    port: int
    host: str  # the name that its certificate must bear
    context: ssl.SSLContext


class Visit:
    """See above. Leaving it hangs up.

    Every question raises ``RetryError`` where no answer came in time, and what the broker's refusal means otherwise.

    Args:
        target: the server.
        clock: the machine's.
        answer_ms: how long an answer may take.
        hidden: texts that are left out of the broker's words.
        limiter: what the broker allows; None: the published figures.
    """

    def __init__(
        self,
        target: Target,
        clock: Clock,
        answer_ms: int,
        hidden: tuple[str, ...] = (),
        limiter: Limiter | None = None,
    ) -> None:
        self._target = target
        config = SessionConfig(deadline_ms=answer_ms, id_prefix="visit", may_send=ASKING)
        self._link = Link(_Deaf(hidden), clock, config, limiter)

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            OSError: nobody answers.
            ConfigError, RetryError: no secure connection came about.
        """
        target = self._target
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self._link, target.address, target.port, ssl=target.context, server_hostname=target.host
            )
        except ssl.SSLError as failure:
            raise handshake_failure(failure, target.host) from failure
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Hang up at once: nothing that was asked is worth a wait."""
        self._link.abort("the visit is over")

    async def greet(self) -> None:
        """Ask what everybody may ask; that there is an answer, a refusal too, is all."""
        await self._link.ask(pb.VersionReq())

    async def application(self, credentials: CtraderCredentials) -> None:
        """Log the application in, as the bot does."""
        await authorise_app(self._link, credentials)

    async def choose_account(self, credentials: CtraderCredentials, access_token: str) -> int:
        """Return the account that the bot would trade."""
        return await choose_account(self._link, credentials, access_token)

    async def open_account(self, account_id: int, access_token: str) -> None:
        """Log the account in, as the bot does."""
        await authorise_account(self._link, account_id, access_token)

    async def ask(self, request: Message, deadline_ms: int | None = None) -> Message | Declined:
        """Return the answer to ``request``, a refusal too."""
        return await self._link.ask(request, deadline_ms)

    async def need(self, request: Message) -> Message:
        """Return the answer to ``request``."""
        return await self._link.need(request)


class _Deaf:
    """The audience of a link on which nothing is waited for but answers."""

    def __init__(self, hidden: tuple[str, ...]) -> None:
        self._hidden = hidden

    def on_spot(self, _spot: pb.SpotEvent) -> None:
        """Nothing."""

    def on_message(self, _event: Received, _declined: Declined | None) -> None:
        """Nothing."""

    def on_batch(self) -> None:
        """Nothing."""

    def on_lost(self, _reason: str, _failure: PalmbotError | None) -> None:
        """Nothing: whoever waits for an answer is told."""

    def without_secrets(self, text: str) -> str:
        """Return the broker's words without what was told to it in confidence."""
        for secret in self._hidden:
            text = text.replace(secret, "[hidden]")
        return text
