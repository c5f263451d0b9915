"""A client of an exchange that asks through the bot's own link, without its limits, and may only listen."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Self

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_link import Link
from palmbot.adapters.ctrader_login import authorise_account, authorise_app
from palmbot.adapters.tls import client_context
from palmbot.errors import PalmbotError
from palmbot.exchange.premises import Ready
from palmbot.protocol.codec_errors import Declined
from palmbot.protocol.events import Received
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import pb
from palmbot.protocol.session import SessionConfig
from palmbot.settings import CtraderCredentials, Environment

UNLIMITED = 1_000_000
DEADLINE_MS = 60_000


class _Deaf:
    """The audience of a link on which nothing is waited for but answers."""

    def on_spot(self, spot: pb.SpotEvent) -> None:
        """Nothing."""

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Nothing."""

    def on_batch(self) -> None:
        """Nothing."""

    def on_lost(self, reason: str, failure: PalmbotError | None) -> None:
        """Nothing: whoever waits for an answer is told."""

    def without_secrets(self, text: str) -> str:
        """Return ``text``."""
        return text


class Visitor(asyncio.Protocol):
    """Stands between a transport and a link. While ``kept`` is a list, bytes are stamped and read by nobody."""

    def __init__(self, ready: Ready) -> None:
        self.ready = ready
        self.kept: list[tuple[int, bytes]] | None = None
        self.link = Link(
            _Deaf(), SystemClock(), SessionConfig(id_prefix="v", deadline_ms=DEADLINE_MS), Limiter(UNLIMITED, UNLIMITED)
        )

    @classmethod
    async def dial(cls, ready: Ready) -> Self:
        """Connect and log the application in."""
        context = client_context(ready.host, Path(ready.ca_file))
        loop = asyncio.get_running_loop()
        _, visitor = await loop.create_connection(lambda: cls(ready), ready.host, ready.port, ssl=context)
        await authorise_app(visitor.link, credentials_of(ready, None))
        return visitor

    async def open_account(self, account_id: int) -> None:
        """Log an account in."""
        await authorise_account(self.link, account_id, self.ready.access_token)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand it on."""
        self.link.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand them on, or keep them with their time."""
        if self.kept is None:
            self.link.data_received(data)
        else:
            self.kept.append((time.monotonic_ns(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand it on."""
        self.link.connection_lost(exc)


def credentials_of(ready: Ready, account: int | None) -> CtraderCredentials:
    """Return what a client logs in with."""
    return CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, account)
