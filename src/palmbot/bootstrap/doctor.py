"""Wires the doctor: the ways to a server, and whom it looks at in each environment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

from palmbot.adapters.aside import aside
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_visit import Target, Visit
from palmbot.adapters.database import engine_of, explained, schema_of, sqlite_url
from palmbot.adapters.disk import try_folder
from palmbot.adapters.endpoints import TOKEN_URL, endpoints_of
from palmbot.adapters.http_date import read_date_ms
from palmbot.adapters.tables import SCHEMA
from palmbot.adapters.tls import HOSTS, PORT, client_context, verified_context
from palmbot.adapters.tls_probe import shake_hands
from palmbot.bootstrap.exchange import new_text
from palmbot.bootstrap.ready import read_ready
from palmbot.bootstrap.token_store import store_of
from palmbot.config import Sources, load_settings
from palmbot.config.credentials import load_credentials, load_token_settings
from palmbot.config.terms import differences
from palmbot.diagnose import Check, Examination, Found, Limits, Patient, examine
from palmbot.diagnose.home import look_at_tokens
from palmbot.diagnose.server import Server
from palmbot.errors import InvariantError, PalmbotError
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import GeneratedFeed
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.market_arrays import history
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning
from palmbot.exchange.premises import Files, Ready, Surroundings, open_to_clients, server_of
from palmbot.model import Handshake, Tokens
from palmbot.settings import CtraderCredentials, Environment, Settings
from palmbot.units import HOUR_MS

CONNECT_S: Final = 2.0  # to one address of perhaps several
ANSWER_MS: Final = 4_000
BUSY_MS: Final = 1_000
HTTPS_PORT: Final = 443
OnLook = Callable[[str], None]


def run_doctor(
    sources: Sources, environment: Environment, exchange_file: Path | None, on_look: OnLook
) -> tuple[Check, ...]:
    """Look at everything that ``environment`` needs.

    Args:
        sources: of the settings and secrets.
        environment: which one.
        exchange_file: ready line of an exchange in another process, for paper; None: the one that is built in.
        on_look: is told what is being looked at.
    """
    return asyncio.run(_examined(sources, environment, exchange_file, on_look))


async def _examined(
    sources: Sources, environment: Environment, exchange_file: Path | None, on_look: OnLook
) -> tuple[Check, ...]:
    clock = SystemClock()
    exam = Examination(clock, Limits(), on_look)
    async with AsyncExitStack() as stack:
        if environment is Environment.PAPER:
            whom: _Paper | _Account = _Paper(exchange_file, stack, clock)
        else:
            whom = _Account(sources, environment, clock)
        patient = Patient(
            settings=partial(load_settings, sources),
            server=whom.server,
            is_paper=environment is Environment.PAPER,
            is_built_in=environment is Environment.PAPER and exchange_file is None,
            other=whom.other(),
            credentials=whom.credentials,
            access_token=whom.access_token,
            try_folder=try_folder,
            read_schema=read_schema,
            compare=differences,
            network=Outside(clock),
            clock=clock,
        )
        await examine(patient, exam)
    return tuple(exam.checks)


@dataclass(frozen=True, slots=True)
class Outside:
    """The ``palmbot.diagnose.server.Network`` of this machine."""

    clock: SystemClock

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of a name, in the system's order."""
        rows = await aside(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
        return tuple(dict.fromkeys(str(row[4][0]) for row in rows))

    async def connect(self, address: str, port: int) -> int:
        """Open and close a connection; return how long it took, in ms."""
        begun_ms = self.clock.monotonic_ms()
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(address, port)
        took_ms = self.clock.monotonic_ms() - begun_ms
        writer.close()
        await writer.wait_closed()
        return took_ms

    async def shake_hands(self, server: Server, address: str) -> Handshake:
        """Begin TLS and hang up."""
        return await shake_hands(address, server.port, server.host, client_context(server.host, server.ca_file))

    def visit(self, server: Server, address: str) -> Visit:
        """Return a line that opens when it is entered."""
        context = client_context(server.host, server.ca_file)
        return Visit(Target(address, server.port, server.host, context), self.clock, ANSWER_MS)

    async def date_ms(self) -> tuple[str, int]:
        """Return the server of the tokens and its time."""
        host = str(urlsplit(TOKEN_URL).hostname)
        address = (await self.addresses(host, HTTPS_PORT))[0]
        return host, await read_date_ms(address, HTTPS_PORT, host, verified_context())


@dataclass(frozen=True, slots=True)
class _Account:
    """An account on demo or live."""

    sources: Sources
    environment: Environment
    clock: SystemClock

    def credentials(self) -> CtraderCredentials:
        return load_credentials(self.sources, self.environment)

    def _stand_in(self) -> Path | None:
        try:
            return self.credentials().exchange_file
        except PalmbotError:  # the line about credentials says so
            return None

    async def server(self) -> Found[Server]:
        stand_in = self._stand_in()
        endpoints = endpoints_of(self.environment, stand_in)
        server = Server(endpoints.host, endpoints.port, endpoints.ca_file)
        return Found(server, str(server) if stand_in is None else f"{server}, the exchange of {stand_in}")

    def other(self) -> Server | None:
        others = [host for environment, host in HOSTS.items() if environment != self.environment]
        return Server(others[0], PORT) if self._stand_in() is None else None

    async def access_token(self) -> Found[str]:
        return await look_at_tokens(self.environment, self._tokens, self.clock.utc_ms)

    async def _tokens(self) -> Tokens | None:
        settings = load_token_settings(self.sources, load_settings(self.sources).data_dir)
        return await aside(store_of(settings, self.environment).load)  # a keyring may ask somebody who is not there


class _Paper:
    """An exchange on this machine, in another process or built in."""

    def __init__(self, exchange_file: Path | None, stack: AsyncExitStack, clock: SystemClock) -> None:
        self._file = exchange_file
        self._stack = stack
        self._clock = clock
        self._ready: Ready | None = None

    async def server(self, settings: Settings | None = None) -> Found[Server]:
        if settings is not None:
            ready = await self._stack.enter_async_context(built_in(settings, self._clock))
            where = "the exchange that is built in (SYNTHETIC)"
        else:
            ready = self._read()
            where = f"the exchange of {self._file}"
        self._ready = ready
        server = Server(ready.host, ready.port, Path(ready.ca_file))
        return Found(server, f"{server}, {where}")

    def other(self) -> None:
        return None

    def credentials(self) -> CtraderCredentials:
        ready = self._ready or self._read()
        return CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, ready.account_id)

    async def access_token(self) -> Found[str]:
        return Found((self._ready or self._read()).access_token, "the exchange's own")

    def _read(self) -> Ready:
        if self._file is None:
            raise InvariantError("NO_EXCHANGE", "Report this: an exchange was used that is not there.")
        endpoints_of(Environment.PAPER, self._file)  # refuses any other machine
        return read_ready(self._file)


@asynccontextmanager
async def built_in(settings: Settings, clock: SystemClock) -> AsyncIterator[Ready]:
    """Open the exchange that is built in, in memory, its market standing still."""
    spec, seed = settings.instrument, settings.run.seed
    with closing(Books(":memory:")) as books, TemporaryDirectory(prefix="palmbot-") as folder:
        catalogue, files = catalogue_of(spec), Files.beside(Path(folder) / "exchange")
        past, state = history(spec, seed, 1, HOUR_MS)
        account = plain_account(1, catalogue, settings.balance_minor)
        engine = opened(Opening(catalogue, (account,)), GeneratedFeed(spec, state, 0, past), books, FreeRunning())
        server = server_of(engine, files, Surroundings(clock, new_text), Knobs(starts_market=False), Faults(Random(1)))
        try:
            yield await open_to_clients(server, files)
        finally:
            await server.close()


def read_schema(journal: Path) -> tuple[str | None, str]:
    """Return the journal's schema (None: there is no journal yet) and the one of this version; change nothing.

    Raises:
        HaltError: it cannot be read.
    """
    if not journal.is_file():
        return None, SCHEMA
    engine = engine_of(sqlite_url(journal), busy_ms=BUSY_MS, read_only=True)
    try:
        with explained("JOURNAL_UNREADABLE", engine), engine.connect() as connection:
            return schema_of(connection), SCHEMA
    finally:
        engine.dispose()
