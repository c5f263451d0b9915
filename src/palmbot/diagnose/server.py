"""Looks at who answers: name, connection, TLS, time, and the other environment's server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from palmbot.diagnose.check import NETWORK_TODO, Found, wrong
from palmbot.errors import PalmbotError
from palmbot.model import Handshake
from palmbot.ports import Clock
from palmbot.protocol.messages import Message
from palmbot.settings import CtraderCredentials
from palmbot.units import DAY_MS, SECOND_MS

EXPIRY_SOON_MS = 14 * DAY_MS
STAND_IN_TODO = "If the exchange runs in another process, start it, and name the line that it prints then."
SKEW_MAX_MS = 2_000  # beside what the answer's own way and whole seconds leave open


@dataclass(frozen=True, slots=True)
class Server:
    """Where an Open API is. One with a ``ca_file`` is an exchange on this machine that stands in for cTrader's."""

    host: str
    port: int
    ca_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Line(Protocol):
    """A connection on which questions are asked, as the bot asks them. Each raises why there is no answer."""

    async def greet(self) -> None:
        """Have any question answered."""

    async def application(self, credentials: CtraderCredentials) -> None:
        """Log the application in."""

    async def choose_account(self, credentials: CtraderCredentials, access_token: str) -> int:
        """Return the account that the bot would trade."""

    async def open_account(self, account_id: int, access_token: str) -> None:
        """Log the account in."""

    async def need(self, request: Message) -> Message:
        """Return the answer to ``request``."""


class Network(Protocol):
    """The ways to a server. Each raises ``OSError`` or a `PalmbotError` where it does not lead there."""

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of a name, at least one."""

    async def connect(self, address: str, port: int) -> int:
        """Open and close a connection; return how long it took, in ms."""

    async def shake_hands(self, server: Server, address: str) -> Handshake:
        """Begin TLS and hang up."""

    def visit(self, server: Server, address: str) -> AbstractAsyncContextManager[Line]:
        """Open a line over verified TLS."""

    async def date_ms(self) -> tuple[str, int]:
        """Return a server of cTrader's and its time: a whole second of UTC that has begun."""


@dataclass(frozen=True, slots=True)
class Way:
    """A server that accepts connections."""

    server: Server
    address: str
    connect_ms: int


async def look_up(network: Network, server: Server) -> Found[tuple[str, ...]]:
    """Turn the server's name into addresses."""
    try:
        addresses = await network.addresses(server.host, server.port)
    except OSError as error:
        raise wrong(
            "NAME_NOT_FOUND", NETWORK_TODO, host=server.host, reason=repr(error.strerror or str(error))
        ) from error
    return Found(addresses, f"{server.host} is {', '.join(addresses)}")


async def look_at_connection(network: Network, server: Server, addresses: tuple[str, ...]) -> Found[Way]:
    """Connect to the first address that answers."""
    failure: OSError | None = None
    for address in addresses:
        try:
            took_ms = await network.connect(address, server.port)
        except OSError as error:
            failure = failure or error
        else:
            return Found(Way(server, address, took_ms), f"{address} port {server.port} answers")
    reason = repr(failure.strerror or type(failure).__name__) if failure is not None else "no address"
    todo = STAND_IN_TODO if server.ca_file is not None else NETWORK_TODO
    raise wrong("NOT_REACHABLE", todo, server=server, reason=reason)


async def look_at_handshake(network: Network, way: Way) -> Found[Handshake]:
    """Begin TLS as the bot does; what it died of is said with what the server showed."""
    hands = await network.shake_hands(way.server, way.address)
    if hands.failure is not None:
        failure = hands.failure
        showed = f"'{hands.chain[0].subject}' of '{hands.chain[0].issuer}'" if hands.chain else "no certificate"
        raise type(failure)(failure.code, failure.todo, **failure.facts, shown=showed)
    return Found(hands, "certificate and name are right")


async def look_at_version(hands: Handshake) -> Found[str]:
    """Say which version of TLS is spoken."""
    return Found(hands.version, hands.version)


async def look_at_cipher(hands: Handshake) -> Found[str]:
    """Say how the connection is encrypted."""
    return Found(hands.cipher, hands.cipher)


async def look_at_chain(hands: Handshake) -> Found[int]:
    """Say who vouches for whom."""
    subjects = [f"'{each.subject}'" for each in hands.chain]
    last = [f"'{hands.chain[-1].issuer}'"] if hands.chain and hands.chain[-1].issuer != hands.chain[-1].subject else []
    return Found(len(hands.chain), " by ".join([*subjects, *last]))


async def look_at_expiry(now_ms: Callable[[], int], hands: Handshake) -> Found[int]:
    """Say when the first certificate of the chain expires."""
    first = min(hands.chain, key=lambda each: each.until_ms)
    left_ms = first.until_ms - now_ms()
    when = datetime.fromtimestamp(first.until_ms / SECOND_MS, UTC).strftime("%Y-%m-%d")
    todo = (
        "" if left_ms > EXPIRY_SOON_MS else "Expect the server's operator to renew it; after that day nobody connects."
    )
    return Found(left_ms, f"{left_ms // DAY_MS} days, until {when}", todo)


async def look_at_round_trip(
    network: Network, stack: AsyncExitStack, clock: Clock, way: Way, _: Handshake
) -> Found[Line]:
    """Have one question answered; the line stays open until ``stack`` ends."""
    line = await stack.enter_async_context(network.visit(way.server, way.address))
    asked_ms = clock.monotonic_ms()
    await line.greet()
    took_ms = clock.monotonic_ms() - asked_ms
    return Found(line, f"{took_ms} ms for a question, {way.connect_ms} ms for a connection")


async def look_at_clock(network: Network, clock: Clock) -> Found[int]:
    """Compare this machine's clock with a web server's."""
    begun_ms = clock.utc_ms()
    host, told_ms = await network.date_ms()
    ended_ms = clock.utc_ms()
    # what was read at any moment between may have been told at any moment of its second
    ahead_ms = max(begun_ms - (told_ms + SECOND_MS), 0)
    behind_ms = max(told_ms - ended_ms, 0)
    skew_ms = ahead_ms - behind_ms
    if abs(skew_ms) > SKEW_MAX_MS:
        todo = "Set this machine's clock and let it be kept (NTP): bars, days and tokens go by it."
        raise wrong("CLOCK_WRONG", todo, ahead_s=skew_ms / SECOND_MS, compared_with=host)
    return Found(skew_ms, f"agrees with {host} within {(SKEW_MAX_MS + SECOND_MS) // SECOND_MS} s")


async def look_at_other(network: Network, other: Server, credentials: CtraderCredentials | None) -> Found[str]:
    """Have the other environment's server answer too: each knows the same applications, but its own accounts only."""
    addresses = await network.addresses(other.host, other.port)
    try:
        async with network.visit(other, addresses[0]) as line:
            await (line.greet() if credentials is None else line.application(credentials))
    except PalmbotError as error:
        raise type(error)(error.code, error.todo, server=other, **error.facts) from error
    return Found(other.host, f"{other.host} {'answers' if credentials is None else 'knows this application'} too")
