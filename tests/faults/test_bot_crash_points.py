"""The whole bot and its exchange on real files, in this process, cut off at one point after another.

A SYNTHETIC market of a hundred bars is traded once through. Then it is traded again and again, each time cut somewhere:
told to stop, or dead between two operations, with everything that was not yet written lost. A second bot goes on from
the files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.fakes import FakeClock
from tests.unit.orders.ledger import run_started

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal, verify
from palmbot.core.types import BarArrays, Params, RollArrays, State, StopKind
from palmbot.exchange.books import Books
from palmbot.exchange.broker import ACCOUNT_ID, Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.feed import FileFeed
from palmbot.exchange.market_arrays import synthetic_bars
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import LockStep
from palmbot.instruments import PALM_OIL
from palmbot.live import records
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.model import BrokerEvent, IntentKind, JournalEvent, OrderIntent, Trade
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.sentiment.timeline import Timeline
from palmbot.units import DAY_MS, HOUR_MS

BALANCE = 10_000_000
BARS = 100
# Trades often, and ends its trades in every way; swaps and percentages, so that little is a round number.
PARAMS = Params(
    profile=1, rsi_period=3, rsi_low=45.0, rsi_high=55.0, warmup_bars=8, stop_kind=int(StopKind.ATR), atr_period=5,
    sl_atr=1.5, tp_atr=3.0, trail_atr=1.2, max_bars=4, risk_fraction=0.02, daily_loss_bp=250, losses_max=3,
    cooldown_ms=3 * HOUR_MS, pause_ms=HOUR_MS, spike_bp=150,
)  # fmt: skip
CORE = PALM_OIL.core._replace(swap_kind=1, swap_long=-300_000, swap_short=100_000, spread_kind=1, spread=500)
SPEC = replace(PALM_OIL, core=CORE)
CATALOGUE = catalogue_of(SPEC)
OPENING = Opening(CATALOGUE, (plain_account(ACCOUNT_ID, CATALOGUE, BALANCE),), LOCK_STEP)


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Counts the operations of a bot, and lets it die, or be told to stop, at one of them."""

    at: int = -1
    stops: bool = False
    count: int = 0
    names: list[str] = field(default_factory=list)
    runner: Runner | None = None

    def step(self, name: str) -> None:
        self.names.append(name)
        self.count += 1
        if self.count != self.at:
            return
        if not self.stops:
            raise KilledError
        if self.runner is not None:
            self.runner.stop("the test says so")


class Cuttable:
    """The wires of a bot with a fuse in each."""

    def __init__(self, fuse: Fuse, broker: Broker, journal: Journal, pacer: LockStep) -> None:
        self._fuse, self._broker, self._journal, self._pacer = fuse, broker, journal, pacer
        self.account, self.deals = broker.account, broker.deals
        self.defer, self.last, self.events = journal.defer, journal.last, journal.events

    async def submit(self, intent: OrderIntent) -> None:
        self._fuse.step(f"before {intent.kind} is sent")
        await self._broker.submit(intent)
        self._fuse.step(f"after {intent.kind} was sent")

    async def append(self, events: Sequence[JournalEvent]) -> int:
        what = events[0].kind if events else "flush"
        self._fuse.step(f"before {what} is written")
        seq = await self._journal.append(events)
        self._fuse.step(f"after {what} was written")
        return seq

    async def flush(self) -> None:
        await self.append(())

    async def close(self) -> None:
        await self._journal.close()

    def idle(self) -> None:
        self._fuse.step("idle")
        self._pacer.idle()

    async def wait_idle(self) -> None:
        raise AssertionError


class CuttableInbox(Inbox):
    """An inbox that burns the fuse before each event is heard."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    async def get(self, timeout_s: float | None = None) -> BrokerEvent | None:
        if not self.is_empty:
            self._fuse.step(f"before a {type(self._events[0]).__name__} is heard")
        return await super().get(timeout_s)


@cache
def market() -> BarArrays:
    return synthetic_bars(SPEC, 11, BARS, HOUR_MS)


@dataclass(frozen=True)
class Told:
    """What the files of a run say."""

    trades: tuple[Trade, ...]
    balance_minor: int
    bars: tuple[tuple[int, ...], ...]
    last_state: State
    entries: tuple[int, ...]  # bar of every intended entry
    books: tuple[dict[int, int], int]  # net result of closed positions, balance

    @property
    def money(self) -> list[int]:
        return sorted(trade.pnl_minor for trade in self.trades)


async def trade(folder: Path, fuse: Fuse, epoch: int) -> None:
    """Trade the market from where ``folder`` stands to its end, or until the fuse burns."""
    journal = Journal.open(sqlite_url(folder / "journal.sqlite"), inline=True)
    books = Books(folder / "exchange.sqlite")
    inbox, pacer = CuttableInbox(fuse), LockStep()
    empty = RollArrays(market().ts_ms[:0], market().ts_ms[:0])
    feed = FileFeed(CORE, market(), empty, books.feed_state())
    broker = Broker(opened(OPENING, feed, books, pacer), inbox)
    owner = Owner("ab12", "rsi_trend", SPEC.symbol, epoch)
    trader = Trader(Rules(PARAMS, CORE, HOUR_MS, SPEC.session), Book(owner, BALANCE), Timeline())
    wires: Any = Cuttable(fuse, broker, journal, pacer)
    about = dict(run_started(f"run {epoch}").body)
    runner = fuse.runner = Runner(trader, Wires(broker, wires, wires, wires, FakeClock()), inbox, about)
    exchange = asyncio.create_task(broker.run())
    try:
        await runner.run()
    finally:
        exchange.cancel()
        with suppress(asyncio.CancelledError):
            await exchange
        journal._writer.stop()  # what waits is lost, as in a dead process
        journal._connection.close()
        journal._engine.dispose()
        books.close()


def played(folder: Path, *fuses: Fuse) -> Told:
    """Trade the market with one process after another, the last to the end; return what is in the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for epoch, fuse in enumerate((*fuses, Fuse()), 1):
        with suppress(KilledError):
            asyncio.run(trade(folder, fuse, epoch))
    return asyncio.run(told(folder))


async def told(folder: Path) -> Told:
    url = sqlite_url(folder / "journal.sqlite")
    assert verify(url) == ()
    journal, books = Journal.open(url, inline=True), Books(folder / "exchange.sqlite")
    closed = [event.body for event in journal.events("bar_closed")]
    names = ("ts_ms", "end_ms", "open_px", "high_px", "low_px", "close_px")
    kept = books.kept(OPENING.catalogue, OPENING.accounts)
    held = {each.position_id for each in kept.positions}
    results = {}
    for position_id in range(1, kept.counters.position + 1):
        deals = books.history.deals_of_position(ACCOUNT_ID, position_id)
        closes = [deal.close for deal in deals if deal.close is not None]
        if position_id not in held and closes:
            parts = ("gross_minor", "swap_minor", "commission_minor", "fee_minor")
            results[position_id] = sum(getattr(close, part) for close in closes for part in parts)
    newest = max((*journal.events("state"), *journal.events("bar_closed")), key=lambda event: event.body["serial"])
    entries = [event.body["bar_end_ms"] for event in journal.events("intent") if event.body["kind"] == "enter"]
    made = Told(
        journal.trades(),
        journal.events("run_stopped")[-1].body["balance_minor"],
        tuple(tuple(body[name] for name in names) for body in closed),
        records.kept_of(newest).state,
        tuple(entries),
        (results, kept.standings[0].balance_minor),
    )
    await journal.close()
    books.close()
    return made


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, list[str]]:
    """The market traded through in one go, and the names of all operations."""
    fuse = Fuse()
    folder = tmp_path_factory.mktemp("unbroken")
    asyncio.run(trade(folder, fuse, 1))
    return asyncio.run(told(folder)), fuse.names


def assert_whole(made: Told, whole: Told) -> None:
    """Assert what holds however often the process died."""
    results, balance_minor = made.books
    assert sorted(results.values()) == made.money  # one trade for each position that closed, to the cent
    assert balance_minor == BALANCE + sum(made.money) == made.balance_minor
    assert made.bars == whole.bars  # each once, in order, with its prices
    assert made.last_state.indicators == whole.last_state.indicators
    assert len(set(made.entries)) == len(made.entries)  # no bar was entered twice


def test_the_unbroken_run_has_everything_that_a_cut_may_fall_into(unbroken: tuple[Told, list[str]]) -> None:
    whole, names = unbroken
    assert len(whole.trades) >= 12
    assert len({trade.exit_reason for trade in whole.trades}) >= 4
    assert {trade.side for trade in whole.trades} == {1, -1}
    assert any(trade.swap_minor for trade in whole.trades)
    assert len(market().ts_ms) * HOUR_MS > 4 * DAY_MS
    for kind in IntentKind:
        assert f"after {kind} was sent" in names
    assert_whole(whole, whole)


def places(names: list[str], wanted: Callable[[str], bool], count: int, seed: str) -> list[int]:
    """Return seeded places of operations that are ``wanted``, all of them where there are few."""
    found = [place for place, name in enumerate(names, 1) if wanted(name)]
    return sorted(Random(seed).sample(found, min(count, len(found))))


def test_a_run_that_is_stopped_anywhere_and_goes_on_makes_the_same_trades(
    unbroken: tuple[Told, list[str]], tmp_path: Path
) -> None:
    whole, names = unbroken
    for place in places(names, lambda _: True, 20, "stops"):
        made = played(tmp_path / f"stop {place}", Fuse(place, stops=True))
        assert made.trades == whole.trades, f"stopped {names[place - 1]} ({place})"
        assert_whole(made, whole)
        assert made.last_state == whole.last_state


def test_a_run_that_is_stopped_again_and_again_makes_the_same_trades(
    unbroken: tuple[Told, list[str]], tmp_path: Path
) -> None:
    whole, _ = unbroken
    rng = Random("again")
    fuses = [Fuse(rng.randint(2, 60), stops=True) for _ in range(25)]
    made = played(tmp_path / "often", *fuses)
    assert made.trades == whole.trades
    assert_whole(made, whole)


@pytest.mark.parametrize("operation", ["enter is sent", "enter was sent", "close is sent", "close was sent",
                                       "amend is sent", "amend was sent", "OrderEvent is heard", "Quote is heard",
                                       "intent is written", "intent was written", "flush", "idle"])  # fmt: skip
def test_a_process_that_dies_loses_no_trade_no_bar_and_no_money(
    operation: str, unbroken: tuple[Told, list[str]], tmp_path: Path
) -> None:
    whole, names = unbroken
    for place in places(names, lambda name: operation in name, 3, operation):
        made = played(tmp_path / f"kill {place}", Fuse(place))
        assert_whole(made, whole)
        if names[place - 1] not in {"before enter is sent", "after intent was written"}:
            # else the entry is in the journal and nobody knows whether it was sent: it never is again
            assert made.trades == whole.trades, f"killed {names[place - 1]} ({place})"


def test_a_process_that_dies_again_and_again_loses_nothing(unbroken: tuple[Told, list[str]], tmp_path: Path) -> None:
    whole, _ = unbroken
    for seed in range(2):
        rng = Random(f"again:{seed}")
        made = played(tmp_path / f"often {seed}", *(Fuse(rng.randint(2, 90)) for _ in range(25)))
        assert_whole(made, whole)
