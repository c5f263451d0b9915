"""Whom the bot trades with: the exchange that is built in, or one in another process. Both over the same wire.

The exchange that is built in is met as any broker is, protobuf over verified TLS on loopback. Only two things pass
beside the wire, and neither is about trading: that the bot is idle (lock-step), and that the feed has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from palmbot.adapters.chance import secret_bytes
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_keeper import Patience
from palmbot.adapters.ctrader_link import real_dial
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.journal import Journal
from palmbot.adapters.tls import client_context
from palmbot.bootstrap.exchange import new_text
from palmbot.bootstrap.market import generated_series, market_of, pieces_ms, timeline_of
from palmbot.bootstrap.place import Place
from palmbot.bootstrap.ready import read_ready
from palmbot.bootstrap.told import Watch, noted, told
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import LOCK_STEP, Conduct
from palmbot.exchange.engine import Engine
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning, LockStep, Pace
from palmbot.exchange.premises import Files, Ready, Surroundings, open_to_clients, server_of
from palmbot.exchange.server import Server
from palmbot.exchange.values import Told
from palmbot.instruments import InstrumentSpec
from palmbot.live.inbox import Inbox
from palmbot.live.startup import patiently
from palmbot.model import Difference, LinkEvent, LinkState
from palmbot.ports import Clock, Pacer, Quotes, Trading
from palmbot.research.result import DataSet
from palmbot.sentiment.timeline import Timeline
from palmbot.settings import CtraderCredentials, Environment, Settings

ACCOUNT_ID: Final = 1  # of a bot that has the exchange to itself
UNLIMITED: Final = 1_000_000  # requests a second: in lock-step the machine's pace is nobody's harm

Beside = Callable[[], Coroutine[Any, Any, None]]
OnNote = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Home:
    """What the bot has whoever it trades with. ``in_memory``: nothing is kept, for measurements."""

    place: Place
    journal: Journal
    inbox: Inbox
    clock: SystemClock
    in_memory: bool


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the client of a built-in exchange sits: certificates and grants, its inbox, its clock."""

    files: Files
    inbox: Inbox
    clock: Clock


@dataclass(frozen=True, slots=True)
class Counterparty:
    """The other side of the wire, and what a run needs to know of it.

    ``settings`` hold the terms of the other side, ``differences`` say where it states them otherwise than they are
    configured; none where it was not asked, for it was made of the settings. ``beside`` must run beside the bot.
    ``on_started`` is to be called once the bot wants quotes. ``costs`` are the spread and slippage paid so far, in
    minor units <= 0; another process does not tell them. ``market_ms`` is the market clock where it is more than the
    newest quote's time. ``account_id`` is whose quotes a dry run has; its journal goes on at no other's.
    """

    settings: Settings
    quotes: Quotes
    trading: Trading
    pacer: Pacer
    timeline: Timeline
    series: DataSet
    beside: tuple[Beside, ...]
    on_started: Callable[[], None] = lambda: None
    costs: Callable[[], tuple[int, int]] = lambda: (0, 0)
    market_ms: Callable[[], int] | None = None
    differences: tuple[Difference, ...] = ()
    account_id: int = 0


@asynccontextmanager
async def built_in(settings: Settings, home: Home) -> AsyncIterator[Counterparty]:
    """Open the exchange that is built in, standing where its books left it.

    Raises:
        RefusedError: another process has the books, or they belong to another market.
        DataError: what lies beside the books cannot be read.
        HaltError: the disk refuses.
    """
    books_at = ":memory:" if home.in_memory else home.place.books
    with closing(Books(books_at)) as books, TemporaryDirectory(prefix="palmbot-") as passing:
        files = Files.beside(Path(passing) / "exchange" if home.in_memory else home.place.books)
        market = market_of(settings, books, home.journal)
        settings = replace(settings, instrument=market.series.spec)  # a series knows its own
        spec, speed = settings.instrument, settings.run.speed
        pacer = LockStep() if speed is None else FreeRunning()
        engine = opened(_opening(settings), market.feed, books, pacer)
        pace = None if speed is None else Pace(home.clock, speed, spec.session)
        async with over_the_wire(engine, spec, pacer, Terminal(files, home.inbox, home.clock)) as client:
            yield Counterparty(
                settings=settings,
                quotes=client,
                trading=client,
                pacer=pacer,
                timeline=market.timeline,
                series=market.series,
                beside=(client.run, lambda: engine.run(pace)),
                on_started=engine.start,
                costs=books.costs,
            )


@asynccontextmanager
async def over_the_wire(
    engine: Engine, spec: InstrumentSpec, pacer: Pacer, terminal: Terminal
) -> AsyncIterator[Ctrader]:
    """Serve ``engine`` on loopback and return its one client, which is not running yet.

    Raises:
        DataError: what lies in the files cannot be read.
        HaltError: the disk refuses.
    """
    knobs = Knobs(starts_market=False, per_second=None, historical_per_second=None)
    server = server_of(engine, terminal.files, Surroundings(terminal.clock, new_text), knobs, Faults(Random(0)))
    try:
        ready = await open_to_clients(server, terminal.files)
        end = _End(server, terminal.inbox)
        wires = _wires(ready, terminal.clock, terminal.inbox, end.received)
        client = end.client = Ctrader(
            _config(spec, ready, Patience(per_second=UNLIMITED, historical_per_second=UNLIMITED)), wires
        )
        engine.add_listener(end)
        if isinstance(pacer, LockStep):
            pacer.is_quiet = end.is_quiet
        yield client
    finally:
        await server.close()


@asynccontextmanager
async def elsewhere(settings: Settings, home: Home, file: Path, on_note: OnNote) -> AsyncIterator[Counterparty]:
    """Reach an exchange in another process by its ready line in ``file``. What it simulates counts as SYNTHETIC.

    Raises:
        ConfigError: it has no such symbol.
        DataError: the file is no such line, or the sentiment cannot be read.
        RefusedError: its account or symbol cannot be traded.
        RetryError: it does not answer.
    """
    ready = read_ready(file)
    client = Ctrader(
        _config(settings.instrument, ready, Patience()), _wires(ready, home.clock, home.inbox, home.inbox.wake)
    )
    configured, session = settings, asyncio.create_task(client.run(), name="session")
    try:
        terms = await patiently(home.clock, partial(told, client, settings))
        for line in noted(terms.differences):
            on_note(line)
        settings = terms.settings
        yield Counterparty(
            settings=settings,
            quotes=client,
            trading=client,
            pacer=FreeRunning(),
            timeline=timeline_of(settings),
            series=replace(generated_series(settings), name=f"exchange at {ready.host}:{ready.port} (SYNTHETIC)"),
            beside=(
                partial(following, session),
                Watch(client, configured, terms, home.inbox, home.clock, on_note).run,
            ),
            differences=terms.differences,
        )
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)


async def following(session: asyncio.Task[None]) -> None:
    """Run beside the bot in the place of ``session``, which ran before it: end with it, and it with this."""
    await session


class _End:
    """Listens for the end of the feed, and tells it to the bot once everything before it has arrived."""

    def __init__(self, server: Server, inbox: Inbox) -> None:
        self.client: Ctrader | None = None
        self._server = server
        self._inbox = inbox
        self._ended_ms: int | None = None

    def is_quiet(self) -> bool:
        """Return whether nothing is on the way to the bot."""
        sent = sum(each.session.frames_sent for each in self._server.connections.values())
        return self.client is not None and sent == self.client.frames_received

    def received(self) -> None:
        """Wake the bot: it may be idle now that this has come."""
        self._tell_end()
        self._inbox.wake()

    def told(self, account_id: int, told: Told) -> None:
        """Nothing: the bot hears it over the wire."""

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Nothing: the bot hears it over the wire."""

    def ended(self) -> None:
        """Take in that there are no more ticks."""
        self._ended_ms = self._server.desk.engine.venue.now_ms
        self._tell_end()

    def _tell_end(self) -> None:
        if self._ended_ms is not None and self.is_quiet():
            self._inbox.put(LinkEvent(self._ended_ms, LinkState.READY, "the feed ended", ended=True))
            self._ended_ms = None


def _opening(settings: Settings) -> Opening:
    """Return an exchange for one bot: in lock-step nothing takes time."""
    catalogue = catalogue_of(settings.instrument)
    account = plain_account(ACCOUNT_ID, catalogue, settings.balance_minor)
    conduct = LOCK_STEP if settings.run.speed is None else Conduct()
    return Opening(catalogue, (account,), conduct, pieces_ms(settings))


def _config(spec: InstrumentSpec, ready: Ready, patience: Patience) -> CtraderConfig:
    credentials = CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, ready.account_id)
    return CtraderConfig(credentials, spec.symbol, spec.core.day_start_ms, patience)


def _wires(ready: Ready, clock: Clock, inbox: Inbox, on_received: Callable[[], None]) -> CtraderWires:
    dial = real_dial(ready.host, ready.port, client_context(ready.host, Path(ready.ca_file)))
    rng = Random(int.from_bytes(secret_bytes(8)))
    return CtraderWires(dial, clock, rng, FixedToken(ready.access_token), inbox, on_received)
