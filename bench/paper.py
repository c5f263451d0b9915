"""A paper run of 7,064 SYNTHETIC hourly bars at ``--speed max``, over the wire and without one, and where time goes.

``tls`` is ``palmbot run --data``: the built-in exchange behind protobuf and verified TLS on loopback, journal
(``synchronous=FULL``) and books on disk. ``ports`` is the same runner on the same exchange over the ports in memory, as
the parity tests wire it, journal and books on disk too. Both run in lock-step in one process, and must end with the
same trades and balance. ``wall_s`` is what a person waits, and what of it was spent until the journal's and the books'
commits returned; ``cpu_s`` is what the process used, which a busy machine disturbs less. They run twice in turn, and of
each the one counts that used less. ``wire_cpu_share`` is how much of the processor time of ``tls`` is not in ``ports``;
some two percent of that are no wire, but the summary that a run makes at its end. Aim: ``tls`` under 60 s.

``shares`` is where the processor time of ``tls`` goes, in percent: the process is stopped some 250 times a second of
it, and each stop counts for the innermost part of the house on the stack, with whatever that calls outside. It costs
nothing between two stops; cProfile would charge most to what makes many small calls. Journal and books are in memory
here, so that the journal is written in the same thread; the disk's own time is in none of the shares.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any
from unittest.mock import patch

from bench.figures import machine
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.bootstrap.bot import run_bot
from palmbot.bootstrap.market import no_rolls
from palmbot.exchange.books import Books, Place
from palmbot.exchange.broker import ACCOUNT_ID, Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.changes import Changes, Mark
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.feed import FileFeed
from palmbot.exchange.market_arrays import synthetic_bars, synthetic_sentiment
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import LockStep
from palmbot.instruments import PALM_OIL
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.model import JournalEvent
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.research import data
from palmbot.research.result import DataSet
from palmbot.research.store import fingerprint, write_series
from palmbot.sentiment.timeline import Timeline
from palmbot.settings import BUILT_IN_PROFILES, DataSettings, RunSettings, Settings
from palmbot.units import HOUR_MS

BARS, WARM_UP_BARS = 7_064, 300
ROUNDS = 2
BALANCE_MINOR = 10_000_000
STOPPED_EVERY_S = 0.001  # of processor time; the system stops it less often
PARTS = {  # what a file's path contains, the first that fits
    "palmbot/adapters/ctrader": "client",
    "palmbot/bootstrap/counterparty": "client",
    "palmbot/protocol/": "protobuf",
    "palmbot/exchange/wire": "protobuf",
    "palmbot/exchange/books": "books",
    "palmbot/exchange/tables": "books",
    "palmbot/exchange/rows": "books",
    "palmbot/exchange/fan": "server",
    "palmbot/exchange/server": "server",
    "palmbot/exchange/connection": "server",
    "palmbot/exchange/dispatch": "server",
    "palmbot/exchange/pacer": "asyncio",
    "palmbot/exchange/": "exchange",
    "palmbot/adapters/": "journal",
    "sqlalchemy/": "journal",
    "palmbot/": "bot",
    "asyncio/sslproto": "tls",
    "/ssl.py": "tls",
    "asyncio/": "asyncio",
    "selectors.py": "asyncio",
}


@dataclass
class Cost:
    """What a run cost, and what it came to."""

    wall_s: float = field(default_factory=time.perf_counter)
    cpu_s: float = field(default_factory=time.process_time)
    outcome: tuple[int, int] = (0, 0)  # trades and balance
    committing_s: dict[str, float] = field(default_factory=dict)

    def end(self, outcome: tuple[int, int]) -> None:
        """Stop both clocks."""
        self.wall_s, self.cpu_s = time.perf_counter() - self.wall_s, time.process_time() - self.cpu_s
        self.outcome = outcome

    def body(self) -> dict[str, Any]:
        """Return it for the report."""
        committing = {f"{name}_wall_s": round(seconds, 2) for name, seconds in self.committing_s.items()}
        return {
            "wall_s": round(self.wall_s, 2),
            **committing,
            "cpu_s": round(self.cpu_s, 2),
            "trades": self.outcome[0],
        }


def measure() -> dict[str, Any]:
    """Return what a paper run costs over the wire and over the ports, and the shares of its parts."""
    with TemporaryDirectory() as folder:
        warm_up, settings = (_settings(Path(folder) / str(bars), bars) for bars in (WARM_UP_BARS, BARS))
        _over_tls(warm_up, in_memory=False)
        rounds = [(_over_tls(settings, in_memory=False), _over_ports(settings)) for _ in range(ROUNDS)]
        shares: Counter[str] = Counter()
        with _sampled(lambda frame: shares.update([_part(frame)])):
            _over_tls(settings, in_memory=True)
    tls, ports = (min(costs, key=lambda cost: cost.cpu_s) for costs in zip(*rounds, strict=True))
    if tls.outcome != ports.outcome:
        raise RuntimeError(f"the wire changed what was traded: {tls.outcome}, over the ports {ports.outcome}")
    return {
        "bars": BARS,
        "tls": tls.body(),
        "ports": ports.body(),
        "wire_cpu_share": round(1 - ports.cpu_s / tls.cpu_s, 2),
        "shares": {part: round(100 * count / shares.total(), 1) for part, count in shares.most_common()},
        "aim": "tls under 60 s",
        "machine": machine(),
    }


def _over_tls(settings: Settings, *, in_memory: bool) -> Cost:
    cost = Cost()
    with _commits_timed(cost):
        output = run_bot(settings, None, in_memory=in_memory)
    cost.end((output.summary.trades, output.result.balance_minor))
    return cost


def _over_ports(settings: Settings) -> Cost:
    cost = Cost()
    series = data.load(settings.data, settings.instrument)
    with TemporaryDirectory(dir=settings.data_dir) as folder, _commits_timed(cost):
        with closing(Books(Path(folder) / "exchange.sqlite")) as books:
            trader = asyncio.run(_traded(settings, series, books, sqlite_url(Path(folder) / "journal.sqlite")))
        cost.end((trader.trades_count, trader.book.balance_minor))
    return cost


async def _traded(settings: Settings, series: DataSet, books: Books, journal_url: str) -> Trader:
    spec, params = series.spec, settings.params_for(series.period_ms)
    catalogue, pacer = catalogue_of(spec), LockStep()
    inbox = Inbox(period_ms=series.period_ms, day_start_ms=spec.core.day_start_ms)
    opening = Opening(catalogue, (plain_account(ACCOUNT_ID, catalogue, settings.balance_minor),), LOCK_STEP)
    broker = Broker(opened(opening, FileFeed(spec.core, series.bars, series.rolls), books, pacer), inbox)
    rows = zip(series.sentiment.known_ms.tolist(), series.sentiment.score.tolist(), strict=True)
    book = Book(Owner("port", settings.profile, spec.symbol, 1), settings.balance_minor)
    trader = Trader(Rules(params, spec.core, series.period_ms, spec.session), book, Timeline(rows))
    journal = Journal.open(journal_url)
    about = {
        **dict.fromkeys(("run_id", "symbol", "profile", "version", "core_hash", "data_fingerprint"), "bench"),
        "params": {},
        "instrument": {},
        "instance": "port",
        "epoch": 1,
        "mode": "paper",
        "synthetic": True,
        "start_balance_minor": settings.balance_minor,
    }
    runner = Runner(trader, Wires(broker, broker, journal, pacer, SystemClock()), inbox, about)
    market = asyncio.create_task(broker.run())
    market.add_done_callback(lambda task: runner.stop("failed") if task.exception() is not None else None)
    await runner.run()
    await market
    await journal.close()
    return trader


@contextmanager
def _commits_timed(cost: Cost) -> Iterator[None]:
    """Add up the seconds that are spent waiting for the journal and for the books; in lock-step all else waits too."""
    spent_s = cost.committing_s = {"journal": 0.0, "books": 0.0}
    append, save = Journal.append, Books.save

    async def timed_append(journal: Journal, events: Sequence[JournalEvent]) -> int:
        begun = time.perf_counter()
        try:
            return await append(journal, events)
        finally:
            spent_s["journal"] += time.perf_counter() - begun

    def timed_save(books: Books, changes: Changes, mark: Mark, place: Place | None) -> None:
        begun = time.perf_counter()
        save(books, changes, mark, place)
        spent_s["books"] += time.perf_counter() - begun

    with patch.object(Journal, "append", timed_append), patch.object(Books, "save", timed_save):
        yield


@contextmanager
def _sampled(take: Callable[[FrameType], None]) -> Iterator[None]:
    """Call ``take`` with the running frame again and again while the process uses the processor."""

    def stopped(_number: int, frame: FrameType | None) -> None:
        if frame is not None:
            take(frame)

    before = signal.signal(signal.SIGPROF, stopped)
    signal.setitimer(signal.ITIMER_PROF, STOPPED_EVERY_S, STOPPED_EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _part(frame: FrameType | None) -> str:
    """Return the innermost part of the house that is on the stack."""
    while frame is not None:
        path = frame.f_code.co_filename
        for piece, part in PARTS.items():
            if piece in path:
                return part
        frame = frame.f_back
    return "other"


def _settings(folder: Path, count: int) -> Settings:
    """Write a market of ``count`` bars and its sentiment into ``folder``; return how it is traded."""
    folder.mkdir()
    bars = synthetic_bars(PALM_OIL, 1, count, HOUR_MS)
    rows = synthetic_sentiment(bars, 1)
    path, sentiment = folder / "bars.parquet", folder / "sentiment.csv"
    lines = (f"{known},{score}\n" for known, score in zip(rows.known_ms, rows.score, strict=True))
    sentiment.write_text("known_at,score\n" + "".join(lines), "utf-8")
    series = DataSet(
        name="synthetic",
        spec=PALM_OIL,
        period_ms=HOUR_MS,
        adjustment="none",
        bars=bars,
        rolls=no_rolls(),
        sentiment=rows,
        rows_read=count,
        rows_outside_session=0,
        notes=(),
        fingerprint=fingerprint(bars),
        synthetic=True,
    )
    write_series(path, series)
    return Settings(
        data_dir=folder,
        profile="rsi_sentiment",
        params=BUILT_IN_PROFILES["rsi_sentiment"],
        instrument=PALM_OIL,
        balance_minor=BALANCE_MINOR,
        data=DataSettings(file=path, sentiment_file=sentiment),
        run=RunSettings(speed=None),
    )
