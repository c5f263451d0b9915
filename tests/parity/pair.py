"""The two sides of parity: one series traded by the compiled replay, and tick by tick by bot and exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader
from palmbot.adapters.journal import Journal
from palmbot.bootstrap.counterparty import Terminal, over_the_wire
from palmbot.calendar import Session
from palmbot.core.types import Instrument, Params
from palmbot.exchange.books import Books
from palmbot.exchange.broker import ACCOUNT_ID, Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.engine import Engine
from palmbot.exchange.feed import FileFeed
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import LockStep
from palmbot.exchange.premises import Files
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.model import Refusal, Trade
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.research.result import DataSet, RunResult
from palmbot.sentiment.timeline import Timeline
from palmbot.units import step_px

RUN_ID = "parity"
RECENT = 8  # trades that the bot remembers for its view


@dataclass(frozen=True, slots=True)
class Told:
    """What one side says of a run; both sides must say the same with ``==``."""

    trades: tuple[Trade, ...]
    refusals: tuple[Refusal, ...]
    trips: tuple[tuple[int, int], ...]
    balance_minor: int
    equity_minor: int
    curve: tuple[tuple[int, int, int], ...]  # (bar end, equity, lowest equity)
    costs: tuple[int, int]  # spread and slippage
    newest: tuple[Trade, ...]  # the last few trades once more; on the bot's side by its own book, not the journal


def told_by_backtest(result: RunResult) -> Told:
    """Return what the replay says."""
    columns = (result.equity_ts_ms, result.equity_minor, result.equity_low_minor)
    return Told(
        result.trades,
        result.refusals,
        result.halts,
        result.balance_minor,
        result.equity_end_minor,
        tuple(zip(*(column.tolist() for column in columns), strict=True)),
        (result.costs.spread_minor, result.costs.slippage_minor),
        result.trades[-RECENT:],
    )


@dataclass(frozen=True, slots=True)
class Rig:
    """How bot and exchange are set up.

    ``exchange`` may differ from the bot's instrument, to see parity fail. ``wire`` is a folder for certificates: then
    the two meet over TLS and protobuf, else in memory.
    """

    params: Params
    balance_minor: int
    exchange: Instrument | None = None
    hours: tuple[Session, int] = (Session(), 0)  # session and roll day that the bot looks ahead by
    wire: Path | None = None


def told_by_bot(series: DataSet, rig: Rig) -> Told:
    """Trade ``series`` with the real runner and exchange in lock-step, and read the journal's projections."""
    return asyncio.run(_told_by_bot(series, rig))


async def _told_by_bot(series: DataSet, rig: Rig) -> Told:
    spec = series.spec
    theirs = spec if rig.exchange is None else replace(spec, core=rig.exchange)
    journal, books = Journal.open("sqlite://", inline=True), Books(":memory:")
    inbox, pacer = Inbox(period_ms=series.period_ms, day_start_ms=spec.core.day_start_ms), LockStep()
    feed = FileFeed(theirs.core, series.bars, series.rolls)
    catalogue = catalogue_of(theirs)
    opening = Opening(catalogue, (plain_account(ACCOUNT_ID, catalogue, rig.balance_minor),), LOCK_STEP)
    engine = opened(opening, feed, books, pacer)
    rows = zip(series.sentiment.known_ms.tolist(), series.sentiment.score.tolist(), strict=True)
    owner = Owner("test", "rsi_sentiment", spec.symbol, 1)
    rules = Rules(rig.params, spec.core, series.period_ms, rig.hours[0], roll_day=rig.hours[1])
    trader = Trader(rules, Book(owner, rig.balance_minor), Timeline(rows))
    async with AsyncExitStack() as met:
        broker = await met.enter_async_context(_met(engine, spec, rig, (pacer, inbox)))
        wires = Wires(broker, broker, journal, pacer, SystemClock())
        runner = Runner(trader, wires, inbox, about_run(rig, spec))
        beside = [asyncio.create_task(engine.run())]
        if isinstance(broker, Ctrader):
            beside.append(asyncio.create_task(broker.run()))
        for task in beside:
            task.add_done_callback(lambda ended: runner.stop("failed") if failed(ended) else None)
        try:
            await runner.run(engine.start)
            await beside[0]
        finally:
            for task in beside:
                task.cancel()
            outcomes = await asyncio.gather(*beside, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    stopped = journal.last("run_stopped")
    assert stopped is not None
    last = stopped.body
    curve = [(row.end_ms, row.equity_minor, row.equity_low_minor) for row in journal.equity(RUN_ID)]
    told = Told(
        journal.trades(RUN_ID),
        journal.refusals(RUN_ID),
        tuple((each.ts_ms, each.body["reason"]) for each in journal.events("breaker")),
        last["balance_minor"],
        last["equity_minor"],
        (*curve, (last["end_ms"], last["equity_minor"], last["equity_low_minor"])),
        books.costs(),
        tuple(reversed(trader.trades))[-RECENT:],
    )
    await journal.close()
    books.close()
    return told


def failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


@asynccontextmanager
async def _met(
    engine: Engine, spec: InstrumentSpec, rig: Rig, ends: tuple[LockStep, Inbox]
) -> AsyncIterator[Broker | Ctrader]:
    """Yield the exchange as the bot sees it: in memory, or as a client of its server."""
    pacer, inbox = ends
    if rig.wire is None:
        yield Broker(engine, inbox)
        return
    terminal = Terminal(Files.beside(rig.wire / "exchange"), inbox, SystemClock())
    async with over_the_wire(engine, spec, pacer, terminal) as client:
        yield client


def about_run(rig: Rig, spec: InstrumentSpec) -> dict[str, Any]:
    """Return the body of a run_started record."""
    return {
        "run_id": RUN_ID,
        "instance": "test",
        "epoch": 1,
        "mode": "paper",
        "symbol": spec.symbol,
        "profile": "rsi_sentiment",
        "version": "test",
        "core_hash": "",
        "params": rig.params._asdict(),
        "instrument": spec.core._asdict(),
        "start_balance_minor": rig.balance_minor,
        "synthetic": True,
        "data_fingerprint": "",
    }


def always_open(core: Instrument, money: InstrumentSpec = PALM_OIL) -> InstrumentSpec:
    """Return an instrument that trades at any time, in the currencies of ``money``."""
    digits = next(digits for digits in range(6) if step_px(digits) == core.step_px)
    return replace(money, core=core, session=Session(), day_start_ms=core.day_start_ms, digits=digits)


def differences(mine: Told, theirs: Told) -> list[str]:
    """Return the first difference of each field, in words; empty when all is equal."""
    found = []
    for name in Told.__dataclass_fields__:
        one, other = getattr(mine, name), getattr(theirs, name)
        if one == other:
            continue
        if isinstance(one, tuple) and name != "costs":
            pairs = [(a, b) for a, b in zip(one, other, strict=False) if a != b]
            first = pairs[0] if pairs else ("one is longer:", (one + other)[min(len(one), len(other))])
            found.append(f"{name} ({len(one)} and {len(other)}):\n  {first[0]}\n  {first[1]}")
        else:
            found.append(f"{name}: {one} and {other}")
    return found
