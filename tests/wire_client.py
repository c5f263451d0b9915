"""A client that speaks the protocol and nothing more: it keeps every message it hears, in order.

Built on the client role of ``protocol.session``. Nothing is answered, repeated or hidden; a test says what it sends
and reads what came.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from palmbot.protocol.events import Broken, Received, Unknown
from palmbot.protocol.messages import Message, payload_type, pb
from palmbot.protocol.session import Role, Session, SessionConfig

PATIENCE_S = 20.0
M = TypeVar("M", bound=Message)


class Heard(NamedTuple):
    """A message and the id that it carried."""

    message: Any
    client_msg_id: str


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Return a context that trusts one CA alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context


class WireClient(asyncio.Protocol):
    """One connection. Its clock stands still, so it sends no heartbeat by itself."""

    def __init__(self, prefix: str = "t") -> None:
        self.session = Session(Role.CLIENT, 0, SessionConfig(id_prefix=prefix))
        self.heard: list[Heard] = []
        self.unknown: list[Unknown] = []
        self.data = b""  # every byte that came
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._read = 0  # of ``heard``, by ``take``
        self._news = asyncio.Event()

    @classmethod
    async def dial(cls, port: int, ca_file: Path, prefix: str = "t") -> WireClient:
        """Connect over verified TLS."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: cls(prefix), "127.0.0.1", port, ssl=trusting(ca_file), server_hostname="localhost"
        )
        return client

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.session.receive_data(data, 0)
        while (event := self.session.next_event()) is not None:
            match event:
                case Received(message, _, client_msg_id):
                    self.heard.append(Heard(message, client_msg_id))
                case Unknown():
                    self.unknown.append(event)
                case Broken(code, text):
                    raise AssertionError(f"the exchange sent what cannot be read: {code} {text}")
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
        self._news.set()

    # -- out

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def send(self, message: Message, client_msg_id: str = "") -> None:
        """Send a message as it is; required fields may be missing."""
        self.session.send_payload(payload_type(message), message.SerializePartialToString(), 0, client_msg_id)
        self.transport.write(self.session.data_to_send())

    def stop_reading(self) -> None:
        """Take nothing from the system any more, ciphered or not."""
        self._socket_transport().pause_reading()

    def read_again(self) -> None:
        """Go on where ``stop_reading`` stopped."""
        self._socket_transport().resume_reading()

    def _socket_transport(self) -> Any:
        tls = getattr(self.transport, "_ssl_protocol", None)
        return self.transport if tls is None else tls._transport

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    async def ask(self, message: Message) -> Any:
        """Send a request; return the first answer to it."""
        return (await self.asked(message, 1))[0]

    async def asked(self, message: Message, count: int) -> list[Any]:
        """Send a request; return the first ``count`` messages that carry its id."""
        client_msg_id = f"{payload_type(message)}-{len(self.heard)}"
        self.send(message, client_msg_id)

        def answers() -> list[Any]:
            return [each.message for each in self.heard if each.client_msg_id == client_msg_id]

        await self.until(lambda: len(answers()) >= count, f"{count} answers to {type(message).__name__}")
        return answers()

    # -- in

    async def until(self, is_so: Callable[[], bool], what: str = "news") -> None:
        """Wait until ``is_so``; every message that comes is a reason to look again.

        Raises:
            AssertionError: it never is, or the connection was lost before.
        """
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                assert not self.lost.done(), f"the connection was lost before {what} came"
                self._news.clear()
                await self._news.wait()

    async def take(self, kind: type[M], where: Callable[[M], bool] = lambda _: True) -> M:
        """Return the next message of a kind among those not taken yet; what lies before it is passed over."""
        found: list[M] = []

        def looked() -> bool:
            while not found and self._read < len(self.heard):
                message = self.heard[self._read].message
                self._read += 1
                if isinstance(message, kind) and where(message):
                    found.append(message)
            return bool(found)

        await self.until(looked, kind.__name__)
        return found[0]

    def all(self, kind: type[M]) -> list[M]:
        """Return every message of a kind that was heard."""
        return [each.message for each in self.heard if isinstance(each.message, kind)]

    def mark(self) -> None:
        """Let ``take`` begin with what comes from now on."""
        self._read = len(self.heard)

    async def close(self) -> None:
        """Hang up."""
        self.transport.abort()
        await self.lost

    # -- the usual beginning

    async def log_in(self, client_id: str, client_secret: str) -> None:
        """Authorise the application."""
        answer = await self.ask(pb.ApplicationAuthReq(clientId=client_id, clientSecret=client_secret))
        assert isinstance(answer, pb.ApplicationAuthRes), answer

    async def open_account(self, account_id: int, access_token: str) -> None:
        """Authorise an account."""
        answer = await self.ask(pb.AccountAuthReq(ctidTraderAccountId=account_id, accessToken=access_token))
        assert isinstance(answer, pb.AccountAuthRes), answer
