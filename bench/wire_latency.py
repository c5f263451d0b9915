"""From the bytes of a spot to the bytes of an order, through the real client, runner and trader, over loopback TLS.

The exchange is in a process of its own, its market at 4,800 times its pace: eighty bars of a minute and some three
hundred spots a second, which wait for nobody. The bot's rules ask for an order at every bar: an entry, at the next bar
its exit by time, and so on. The clock starts when the deciphered bytes that hold the spot are handed to the client's
link and stops when the order's bytes are handed to the transport for enciphering. In between lie the session, the
decoder, the inbox, a turn of the loop, the bar's decision, the trader, the journal and the encoder. An order's spot is
found by its market time, which the order's record carries.

Two runs. In the first the journal is on disk, ``synchronous=FULL``, as a person's is: ``with_commit`` is all of the
time, ``without_commit`` the same orders less the time inside the journal's ``append`` and ``flush``. In the second the
journal is in memory and written by the loop itself. Beside each stand the same figures in processor time of the loop's
thread, ``cpu``: what is left of the time when no other program wants the machine. Percentiles in milliseconds, none
left out but those of the first orders, which load what is compiled. Aim: p99 under 1 ms without the commit.

``official`` is Spotware's own client on the same exchange after that, in its own process and environment, which
``make test`` installs: from the bytes of the spot, whose callback sends a market order, to the order's bytes. It keeps
no journal.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

from bench.exchange import BALANCE_MINOR, SPEC, Plan, opened_beside
from bench.figures import machine, percentiles_ms
from bench.visitor import UNLIMITED, credentials_of
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_keeper import Patience
from palmbot.adapters.ctrader_link import Dial, real_dial
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.adapters.tls import client_context
from palmbot.core.types import Params, Profile
from palmbot.exchange.pacer import FreeRunning
from palmbot.exchange.premises import Ready
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.model import AccountSnapshot, BrokerEvent, Fill, JournalEvent, OrderIntent, Quote
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.sentiment.timeline import Timeline
from palmbot.units import MINUTE_MS

ORDERS, WARM_UP = 2_000, 100
SPEED = 4_800
LIMIT_S = 90.0
OFFICIAL_ORDERS = 24
OFFICIAL_S = 90
SDK = Path(sys.executable).parents[1] / "sdk" / "bin" / "python"
# Always long, out again after one bar, and no breaker that could end that.
EVERY_BAR = Params(
    profile=int(Profile.RSI_TREND),
    rsi_high=-1.0,
    rsi_low=-2.0,
    max_bars=1,
    warmup_bars=20,
    sl_ppm=150_000,
    tp_ppm=200_000,
    open_gap_max_bp=0,
    daily_loss_bp=0,
    drawdown_bp=0,
    losses_max=0,
    spike_bp=0,
)


class Stamp(NamedTuple):
    """A moment, or a time between two."""

    wall_ns: int
    cpu_ns: int  # of the loop's thread

    def since(self, earlier: Stamp) -> Stamp:
        """Return the time from ``earlier`` to this."""
        return Stamp(self.wall_ns - earlier.wall_ns, self.cpu_ns - earlier.cpu_ns)

    def plus(self, more: Stamp) -> Stamp:
        """Return both times together."""
        return Stamp(self.wall_ns + more.wall_ns, self.cpu_ns + more.cpu_ns)


NOTHING = Stamp(0, 0)


def now() -> Stamp:
    """Return this moment."""
    return Stamp(time.perf_counter_ns(), time.thread_time_ns())


class Taken(NamedTuple):
    """How long an order took, and how much of that was inside the journal."""

    all: Stamp
    journal: Stamp


class Watch:
    """Sees a run's spots come and its orders leave."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.on_enough: Callable[[], None] = lambda: None
        self.batch = NOTHING  # when the present bytes came
        self._came: dict[int, tuple[Stamp, Stamp]] = {}  # market time of a spot -> when, and time in the journal so far
        self._inside = NOTHING  # all time in the journal so far
        self._entered: Stamp | None = None
        self._intent: OrderIntent | None = None

    def quote(self, quote: Quote) -> None:
        """A quote of the present bytes was decoded."""
        self._came.setdefault(quote.ts_ms, (self.batch, self._in_journal(self.batch)))

    def submits(self, intent: OrderIntent | None) -> None:
        """From now on what is written is this order."""
        self._intent = intent

    def writes(self) -> None:
        """Bytes are handed to the transport."""
        if self._intent is None:
            return
        left, (came, inside) = now(), self._came[self._intent.ts_ms]
        self.taken.append(Taken(left.since(came), self._in_journal(left).since(inside)))
        self._intent = None
        if len(self.taken) >= WARM_UP + ORDERS:
            self.on_enough()

    async def in_journal(self, work: Awaitable[int | None]) -> int:
        """Count the time of ``work``."""
        self._entered = entered = now()
        try:
            return await work or 0
        finally:
            self._inside, self._entered = self._inside.plus(now().since(entered)), None

    def _in_journal(self, moment: Stamp) -> Stamp:
        """Return all time in the journal up to ``moment``, also where it is in there."""
        return self._inside if self._entered is None else self._inside.plus(moment.since(self._entered))


class WatchedInbox(Inbox):
    """The inbox, seen by a watch."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(period_ms=MINUTE_MS, day_start_ms=SPEC.core.day_start_ms)
        self._watch = watch

    def put(self, event: BrokerEvent) -> None:
        """Show quotes to the watch."""
        if isinstance(event, Quote):
            self._watch.quote(event)
        super().put(event)


class WatchedJournal:
    """The port of the journal, seen by a watch."""

    def __init__(self, journal: Journal, watch: Watch) -> None:
        self._journal, self._watch = journal, watch
        self.defer, self.last, self.events = journal.defer, journal.last, journal.events

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Write durably."""
        return await self._watch.in_journal(self._journal.append(events))

    async def flush(self) -> None:
        """Write what was deferred durably."""
        await self._watch.in_journal(self._journal.flush())

    async def close(self) -> None:
        """Release it."""
        await self._journal.close()


class WatchedTrading:
    """The port of trading, seen by a watch."""

    def __init__(self, client: Ctrader, watch: Watch) -> None:
        self._client, self._watch = client, watch

    async def account(self) -> AccountSnapshot:
        """Return the account."""
        return await self._client.account()

    async def deals(self, position_id: int) -> Sequence[Fill]:
        """Return a position's deals."""
        return await self._client.deals(position_id)

    async def submit(self, intent: OrderIntent) -> None:
        """Send an order."""
        self._watch.submits(intent)
        await self._client.submit(intent)
        self._watch.submits(None)


class Tap(asyncio.Protocol):
    """Stands between a TLS transport and a link: what comes is stamped before the link has it."""

    def __init__(self, link: asyncio.Protocol, watch: Watch) -> None:
        self._link, self._watch = link, watch
        self.pause_writing, self.resume_writing = link.pause_writing, link.resume_writing  # type: ignore[method-assign]
        self.connection_lost = link.connection_lost  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the link a way out that is watched."""
        self._link.connection_made(cast("asyncio.Transport", Outlet(cast("asyncio.Transport", transport), self._watch)))

    def data_received(self, data: bytes) -> None:
        """Note the moment."""
        self._watch.batch = now()
        self._link.data_received(data)


class Outlet:
    """A transport that tells a watch what is written, and when."""

    def __init__(self, transport: asyncio.Transport, watch: Watch) -> None:
        self._transport, self._watch = transport, watch

    def write(self, data: bytes) -> None:
        """Note the moment before it is enciphered."""
        self._watch.writes()
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)


def measure() -> dict[str, Any]:
    """Return percentiles of both runs and of the official client."""
    with TemporaryDirectory() as folder, opened_beside(Plan(accounts=3, speed=SPEED)) as exchange:
        exchange.go_on()
        on_disk = Path(folder) / "journal.sqlite"
        figures = {
            "journal_on_disk": asyncio.run(_run(exchange.ready, 1, sqlite_url(on_disk))),
            "journal_in_memory": asyncio.run(_run(exchange.ready, 2, "sqlite://")),
            "official": _official(exchange.ready, 3),
        }
    aim = "p99 of without_commit under 1 ms"
    return {"orders": ORDERS, "exchange": "own process", **figures, "aim": aim, "machine": machine()}


async def _run(ready: Ready, account: int, journal_url: str) -> dict[str, Any]:
    """Trade until there were enough orders; return what they took."""
    watch, clock = Watch(), SystemClock()
    inbox = WatchedInbox(watch)
    dial = _watched(real_dial(ready.host, ready.port, client_context(ready.host, Path(ready.ca_file))), watch)
    token = FixedToken(ready.access_token)
    wires = CtraderWires(dial, clock, random.Random(account), token, inbox, inbox.wake)
    patience = Patience(per_second=UNLIMITED, historical_per_second=UNLIMITED)
    client = Ctrader(
        CtraderConfig(credentials_of(ready, account), SPEC.symbol, SPEC.core.day_start_ms, patience), wires
    )
    journal = Journal.open(journal_url, inline=journal_url == "sqlite://")
    owner = Owner(f"run{account}", "rsi_trend", SPEC.symbol, 1)
    trader = Trader(Rules(EVERY_BAR, SPEC.core, MINUTE_MS), Book(owner, BALANCE_MINOR), Timeline(()))
    trading = WatchedTrading(client, watch)
    about: dict[str, object] = {**_ABOUT, "instance": owner.instance, "start_balance_minor": BALANCE_MINOR}
    runner = Runner(trader, Wires(client, trading, WatchedJournal(journal, watch), FreeRunning(), clock), inbox, about)
    watch.on_enough = lambda: runner.stop("enough")
    session = asyncio.create_task(client.run())
    limit = asyncio.get_running_loop().call_later(LIMIT_S, runner.stop, "too slow")
    try:
        await runner.run()
    finally:
        limit.cancel()
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
        await journal.close()
    return _figures(watch.taken[WARM_UP : WARM_UP + ORDERS])


_ABOUT: dict[str, object] = {
    **dict.fromkeys(("run_id", "symbol", "profile", "version", "core_hash", "data_fingerprint"), "bench"),
    "epoch": 1,
    "mode": "paper",
    "params": {},
    "instrument": {},
    "synthetic": True,
}


def _watched(dial: Dial, watch: Watch) -> Dial:
    async def watched(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        return await dial(lambda: Tap(factory(), watch))

    return watched


def _figures(taken: Sequence[Taken]) -> dict[str, Any]:
    without = [each.all.since(each.journal) for each in taken]
    return {
        "orders": len(taken),
        "with_commit": percentiles_ms([each.all.wall_ns for each in taken]),
        "without_commit": percentiles_ms([each.wall_ns for each in without]),
        "with_commit_cpu": percentiles_ms([each.all.cpu_ns for each in taken]),
        "without_commit_cpu": percentiles_ms([each.cpu_ns for each in without]),
    }


def _official(ready: Ready, account: int) -> dict[str, Any]:
    if not SDK.exists():
        return {"missing": "the official client is not installed; make test does it"}
    words = [str(SDK), str(Path(__file__).with_name("official.py")), json.dumps(ready.to_json()), str(account)]
    ran = subprocess.run([*words, str(OFFICIAL_ORDERS)], check=True, capture_output=True, text=True, timeout=OFFICIAL_S)
    taken_ns: list[int] = json.loads(ran.stdout)
    return {"orders": len(taken_ns), "all": percentiles_ms(taken_ns)}
