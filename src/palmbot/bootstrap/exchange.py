"""Wires the exchange that stands alone: books, market, server, and what it leaves on disk."""

from __future__ import annotations

import asyncio
import base64
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from palmbot.adapters.chance import secret_bytes
from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.market import HISTORY_BARS
from palmbot.errors import HaltError, UsageError
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.engine import Engine
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import Feed, FileFeed, GeneratedFeed
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.market_arrays import history
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning, Pace
from palmbot.exchange.premises import Files, Surroundings, open_to_clients, server_of
from palmbot.exchange.private_files import make_private
from palmbot.exchange.server import Server
from palmbot.research import data
from palmbot.settings import Settings
from palmbot.units import HOUR_MS

ACCOUNT_ID: Final = 1_000_001
LOGIN: Final = 5_000_001
TOKEN_BYTES: Final = 32

OnReady = Callable[[Mapping[str, Any]], None]
OnFarewell = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where the exchange is kept: for a restart, or for as long as it runs."""

    books: Path | str
    files: Files


def serve_exchange(
    settings: Settings, state: Path | None, on_ready: OnReady, on_farewell: OnFarewell = lambda _number, _why: None
) -> None:
    """Serve clients until a signal comes; ``on_ready`` is given the line that says where and how.

    Args:
        settings: instrument, balance, data, and of the run its seed, speed and port.
        state: the books, with certificates and grants beside them; None keeps nothing.
        on_ready: called once clients can connect.
        on_farewell: told the number of each connection that ended, and why.

    Raises:
        UsageError: the port is taken, or a file is not what it should be.
        RefusedError: another process has the books, or they belong to another market.
        HaltError: the books cannot be written any more.
    """
    _allow_many_clients()
    with _kept(settings, state) as kept, closing(Books(kept.books)) as books:
        asyncio.run(_serve(settings, (books, kept.files), on_ready, on_farewell))


@contextmanager
def _kept(settings: Settings, state: Path | None) -> Iterator[_Kept]:
    if state is not None:
        if not state.parent.is_dir():
            raise UsageError("NO_SUCH_FOLDER", "Name a state file in a folder that exists.", state=state)
        make_private(state)
        yield _Kept(state, Files.beside(state))
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="exchange-", dir=settings.data_dir) as folder:
        yield _Kept(":memory:", Files.beside(Path(folder) / "exchange"))


async def _serve(settings: Settings, kept: tuple[Books, Files], on_ready: OnReady, on_farewell: OnFarewell) -> None:
    books, files = kept
    clock, spec, speed = SystemClock(), settings.instrument, settings.run.speed
    catalogue = catalogue_of(spec)
    plain = plain_account(ACCOUNT_ID, catalogue, settings.balance_minor)
    account = replace(plain, terms=replace(plain.terms, login=LOGIN))
    opening = Opening(catalogue, (account,))
    engine = opened(opening, _feed(settings, books), books, FreeRunning())
    surroundings = Surroundings(clock, new_text)
    server = server_of(engine, files, surroundings, Knobs(), Faults(Random(settings.run.seed)))
    server.on_farewell = on_farewell
    try:
        ready = await open_to_clients(server, files, settings.run.port)
        pace = None if speed is None else Pace(clock, speed, spec.session)
        await _until_stopped(engine, server, pace, lambda: on_ready(ready.to_json()))
    finally:
        await server.close()


async def _until_stopped(engine: Engine, server: Server, pace: Pace | None, on_open: Callable[[], None]) -> None:
    """Run the market until a signal comes, or it fails; after its end clients are served all the same."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop(error: BaseException | None = None) -> None:
        if stopped.done():
            return
        if error is None:
            stopped.set_result(None)
        else:
            stopped.set_exception(error)

    def market_ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            stop(task.exception())

    def failed(error: HaltError) -> None:
        stop(error)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    server.on_failure = failed
    market = loop.create_task(engine.run(pace), name="market")
    market.add_done_callback(market_ended)
    try:
        engine.start()
        on_open()
        await stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)


def _feed(settings: Settings, books: Books) -> Feed:
    """Return the market, standing where ``books`` left it."""
    spec, stands = settings.instrument, books.feed_state()
    if settings.data.file is not None:
        series = data.load(settings.data, spec)
        return FileFeed(spec.core, series.bars, series.rolls, stands)
    past, state = history(spec, settings.run.seed, HISTORY_BARS, HOUR_MS)
    sent = 0
    if stands is not None:
        state, sent = GeneratedFeed.state_of(stands)
    return GeneratedFeed(spec, state, sent, past)


def new_text() -> str:
    """Return a token or secret that nobody can guess."""
    return base64.urlsafe_b64encode(secret_bytes(TOKEN_BYTES)).decode().rstrip("=")


def _allow_many_clients() -> None:
    """Let this process have as many connections as the system allows it at most."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
