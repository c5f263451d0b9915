"""The composition root: settings in, wired objects out. Nothing is built at import, nothing is built elsewhere."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from palmbot import CORE_HASH, NUMBA_CACHE, __version__
from palmbot.adapters.chance import name_part
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.adapters.lease import FileLease
from palmbot.core.types import BarArrays, Params, RollArrays, SentimentArrays
from palmbot.errors import ConfigError, RefusedError, UsageError
from palmbot.exchange.books import Books
from palmbot.exchange.broker import Broker
from palmbot.exchange.feed import Feed, FileFeed, GeneratedFeed
from palmbot.exchange.market_arrays import history, history_sentiment
from palmbot.exchange.pacer import FreeRunning, LockStep, Pace
from palmbot.live.inbox import Inbox
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Rules, Trader
from palmbot.live.view import Labels, view
from palmbot.model import BotView
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.research import backtest, data
from palmbot.research.journaled import Journaled, result_of, series_of
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Summary, summarize
from palmbot.sentiment.timeline import Timeline
from palmbot.settings import DataSettings, Settings

VIEW_EVERY_S = 0.2
HISTORY_BARS = 500
RUN_FILE = "run.json"

Progress = Callable[[str, float], None]
OnView = Callable[[BotView], None]


@dataclass(frozen=True, slots=True)
class Output:
    """What a command shows: one JSON object, or text."""

    result: RunResult
    series: DataSet
    summary: Summary
    folder: Path | None
    stopped: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object."""
        return self.summary.to_json()

    def text(self) -> str:
        """Return a summary for a person."""
        from palmbot.research.terminal import terminal  # noqa: PLC0415 - only where it is shown

        return terminal(self.summary, self.result, self.series, self.folder)


def run_backtest(settings: Settings, out: Path | None, progress: Progress) -> Output:
    """Replay the data once; with ``out`` write trades.csv, equity.csv and report.html there."""
    if settings.data.file is None:
        raise UsageError("DATA_MISSING", "Name the bars to trade: palmbot backtest --data FILE.")
    progress("load", 0.1)
    series = data.load(settings.data, settings.instrument)
    params = settings.params_for(series.period_ms)
    progress("replay", 0.3)
    result = backtest.run(series, settings.profile, params, settings.balance_minor)
    progress("statistics", 0.7)
    summary = summarize(result, series)
    if out is not None:
        _write_files(result, series, summary, out)
    progress("done", 1.0)
    return Output(result, series, summary, out)


def run_bot(settings: Settings, on_view: OnView | None, *, in_memory: bool = False) -> Output:
    """Trade on paper until the data ends, the time is over, or a signal comes; return what was done.

    With ``in_memory`` nothing is kept: for measurements.

    Raises:
        RefusedError: another bot has this journal, or the account cannot be traded.
        HaltError: the journal cannot be written any more.
    """
    return asyncio.run(_run_bot(settings, on_view, in_memory=in_memory))


def is_cold() -> bool:
    """Return whether the decision core has still to be compiled on this machine, which takes a while, once."""
    return next(NUMBA_CACHE.rglob("step.step-*.nbi"), None) is None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run keeps its journal and the exchange's books."""

    folder: Path
    run_id: str

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"

    @property
    def books(self) -> Path:
        return self.folder / "exchange.sqlite"


@dataclass(frozen=True, slots=True)
class _Market:
    """What is traded in one run: its feed, its sentiment, and its facts for the summary."""

    feed: Feed
    timeline: Timeline
    series: DataSet


async def _run_bot(settings: Settings, on_view: OnView | None, *, in_memory: bool) -> Output:
    clock = SystemClock()
    place, settings = _place(settings, clock)
    place.folder.mkdir(parents=True, exist_ok=True)
    lease = FileLease(place.journal)
    epoch = lease.acquire()
    try:
        with _opened(place, in_memory=in_memory) as (journal, books):
            try:
                return await _trade(settings, place, (journal, books, epoch, clock), on_view)
            finally:
                await journal.close()
    finally:
        lease.release()


@contextmanager
def _opened(place: _Place, *, in_memory: bool) -> Iterator[tuple[Journal, Books]]:
    journal = Journal.open("sqlite://" if in_memory else sqlite_url(place.journal), inline=in_memory)
    books = Books(":memory:" if in_memory else place.books)
    try:
        yield journal, books
    finally:
        books.close()


async def _trade(
    settings: Settings, place: _Place, kept: tuple[Journal, Books, int, SystemClock], on_view: OnView | None
) -> Output:
    journal, books, epoch, clock = kept
    market = _market(settings, books, journal)
    spec, speed = settings.instrument, settings.run.speed
    params = settings.params_for(market.series.period_ms)
    inbox, pacer = Inbox(), LockStep() if speed is None else FreeRunning()
    broker = Broker(books.account(spec, settings.balance_minor), market.feed, books, inbox, pacer)
    owner = Owner(_instance(journal), settings.profile, spec.symbol, epoch)
    rules = Rules(params, spec.core, market.series.period_ms, spec.session)
    trader = Trader(rules, Book(owner, settings.balance_minor), market.timeline)
    about = _about(settings, place, params, market.series, owner)
    _refuse_changed(journal, about)
    runner = Runner(trader, Wires(broker, broker, journal, pacer, clock), inbox, about)
    if isinstance(pacer, LockStep):
        pacer.awaited = lambda: repr([each.client_order_id for each in trader.book.in_flight])
    before = broker.costs()
    pace = None if speed is None else Pace(clock, speed, spec.session)
    labels = Labels("paper", market.series.synthetic, settings.profile, spec.digits)
    await _together(runner, broker.run(pace), (settings.run.for_ms, clock), on_view, labels)
    costs = tuple(now - then for now, then in zip(broker.costs(), before, strict=True))
    result, series = _result(settings, params, journal, runner, (place.run_id, costs, market.series))
    return Output(result, series, summarize(result, series), place.folder, runner.stop_reason)


async def _together(
    runner: Runner,
    exchange: Coroutine[Any, Any, None],
    limit: tuple[int | None, SystemClock],
    on_view: OnView | None,
    labels: Labels,
) -> None:
    """Run the bot beside its exchange; the first failure of either ends both, in order."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, runner.stop, signal.Signals(number).name)
    market = asyncio.create_task(exchange, name="exchange")
    market.add_done_callback(lambda task: runner.stop("the exchange failed") if _failed(task) else None)
    for_ms, clock = limit
    others = [market]
    if for_ms is not None:
        others.append(asyncio.create_task(_stop_after(for_ms, clock, runner), name="for"))
    if on_view is not None:
        others.append(asyncio.create_task(_show(runner, labels, on_view, clock), name="view"))
    try:
        await runner.run()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in others:
            task.cancel()
        outcomes = await asyncio.gather(*others, return_exceptions=True)
    if on_view is not None:
        _show_now(runner, labels, on_view)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def _failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


async def _stop_after(for_ms: int, clock: SystemClock, runner: Runner) -> None:
    await clock.sleep(for_ms / 1_000)
    runner.stop("the time is over")


async def _show(runner: Runner, labels: Labels, on_view: OnView, clock: SystemClock) -> None:
    while True:
        _show_now(runner, labels, on_view)
        await clock.sleep(VIEW_EVERY_S)


def _show_now(runner: Runner, labels: Labels, on_view: OnView) -> None:
    picture = view(runner.trader, labels)
    if picture is not None:
        on_view(picture)


# -- where, what, who


def _place(settings: Settings, clock: SystemClock) -> tuple[_Place, Settings]:
    """Return where the run is kept: a folder of its own for a file, the resumed one, or the default journal."""
    stamp = datetime.fromtimestamp(clock.utc_ms() / 1_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    run_id = f"{stamp}-{name_part()}"
    resumed = settings.run.resume_dir
    if resumed is not None:
        return _Place(resumed, run_id), _resumed(settings, resumed)
    if settings.data.file is None:
        return _Place(settings.data_dir, run_id), settings
    folder = settings.data_dir / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    data_settings = replace(settings.data, file=settings.data.file.resolve())
    if data_settings.sentiment_file is not None:
        data_settings = replace(data_settings, sentiment_file=data_settings.sentiment_file.resolve())
    body = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(data_settings).items()}
    (folder / RUN_FILE).write_text(json.dumps({"data": body}, indent=2), "utf-8")
    return _Place(folder, run_id), settings


def _resumed(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the data that the run in ``folder`` began with."""
    try:
        body = json.loads((folder / RUN_FILE).read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            "NOT_A_RUN", "Name a folder under runs/ that an earlier `palmbot run --data` made.", folder=folder
        ) from error
    paths = {name: Path(body[name]) for name in ("file", "sentiment_file", "rolls_file", "rates_file") if body[name]}
    return replace(settings, data=DataSettings(**{**body, **paths}))


def _market(settings: Settings, books: Books, journal: Journal) -> _Market:
    spec = settings.instrument
    if settings.data.file is not None:
        series = data.load(settings.data, spec)
        rows = zip(series.sentiment.known_ms.tolist(), series.sentiment.score.tolist(), strict=True)
        return _Market(FileFeed(spec.core, series.bars, series.rolls, books.feed_state()), Timeline(rows), series)
    period_ms, seed = settings.run.period_ms, settings.run.seed
    past, state = history(spec, seed, HISTORY_BARS, period_ms)
    timeline = Timeline((row.known_ms, row.score) for row in history_sentiment(past, spec, seed, period_ms))
    stands, sent = books.feed_state(), 0
    if stands is not None:
        state, sent = GeneratedFeed.state_of(stands)
    newest = journal.last("bar_closed")
    if newest is not None and newest.body["sentiment"] is not None:
        timeline.add(newest.body["sentiment_known_ms"], newest.body["sentiment"])
    feed = GeneratedFeed(spec, state, sent, past, lambda row: timeline.add(row.known_ms, row.score))
    empty = np.zeros(0, np.int64)
    series = DataSet(
        name="generated market (SYNTHETIC)",
        spec=spec,
        period_ms=period_ms,
        adjustment="none",
        bars=BarArrays(*(empty for _ in BarArrays._fields)),
        rolls=no_rolls(),
        sentiment=SentimentArrays(empty, np.zeros(0)),
        rows_read=0,
        rows_outside_session=0,
        notes=("SYNTHETIC: prices and sentiment are generated; nothing here says anything about a real market.",),
        fingerprint="",
        synthetic=True,
    )
    return _Market(feed, timeline, series)


def no_rolls() -> RollArrays:
    """Return the rolls of a series that has none."""
    empty = np.zeros(0, np.int64)
    return RollArrays(empty, empty)


def _instance(journal: Journal) -> str:
    """Return this journal's four letters in every client order id, made once."""
    started = journal.last("run_started")
    return name_part() if started is None else str(started.body["instance"])


def _about(settings: Settings, place: _Place, params: Params, series: DataSet, owner: Owner) -> dict[str, Any]:
    return {
        "run_id": place.run_id,
        "instance": owner.instance,
        "epoch": owner.epoch,
        "mode": str(settings.run.environment),
        "symbol": owner.symbol,
        "profile": settings.profile,
        "version": __version__,
        "period_ms": series.period_ms,
        "core_hash": CORE_HASH,
        "params": params._asdict(),
        "instrument": settings.instrument.core._asdict(),
        "start_balance_minor": settings.balance_minor,
        "synthetic": series.synthetic,
        "data_fingerprint": series.fingerprint,
    }


def _refuse_changed(journal: Journal, about: dict[str, Any]) -> None:
    """Refuse to go on from running values that were computed by other settings or on other data."""
    before = journal.last("run_started")
    if before is None:
        return
    now, then = _meaning(about), _meaning(before.body)
    changed = [name for name in now if now[name] != then.get(name)]
    if changed:
        raise RefusedError(
            "SETTINGS_CHANGED",
            "Go on with the settings this journal began with, or give the new ones a data_dir of their own.",
            changed=",".join(changed),
        )


def _meaning(about: dict[str, Any]) -> dict[str, Any]:
    """Return what the journaled state depends on."""
    values = {name: about.get(name) for name in ("symbol", "period_ms", "data_fingerprint", "instrument")}
    return values | {
        name: about["params"].get(name) for name in ("rsi_period", "atr_period", "stop_kind", "spike_bars")
    }


# -- the run's result, from its journal alone


def _result(
    settings: Settings, params: Params, journal: Journal, runner: Runner, facts: tuple[str, tuple[int, ...], DataSet]
) -> tuple[RunResult, DataSet]:
    run_id, costs, series = facts
    kept = Journaled(
        bars=tuple(each.body for each in journal.events("bar_closed", runner.started_seq) if each.body["live"]),
        stopped=journal.events("run_stopped", runner.started_seq)[-1].body,
        trades=journal.trades(run_id),
        refusals=journal.refusals(run_id),
        halts=tuple((each.ts_ms, each.body["reason"]) for each in journal.events("breaker", runner.started_seq)),
        start_balance_minor=runner.start_balance_minor,
        spread_minor=costs[0],
        slippage_minor=costs[1],
    )
    return result_of(kept, settings.profile, params), series_of(kept, series) if series.synthetic else series


def _write_files(result: RunResult, series: DataSet, summary: Summary, folder: Path) -> None:
    from palmbot.research import output, report  # noqa: PLC0415 - only where files are asked for

    folder.mkdir(parents=True, exist_ok=True)
    output.write_trades(folder / "trades.csv", result, series)
    output.write_equity(folder / "equity.csv", result, series)
    report.write_report(result, series, summary, folder / "report.html", report.read_chart_script())
