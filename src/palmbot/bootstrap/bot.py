"""Wires the bot: journal, the other side of the wire, trader and runner, and what runs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any

from palmbot import CORE_HASH, __version__
from palmbot.adapters.chance import name_part
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.adapters.lease import FileLease
from palmbot.bootstrap.access import Access
from palmbot.bootstrap.counterparty import Counterparty, Home, OnNote, built_in, elsewhere
from palmbot.bootstrap.dry_run import dry_run
from palmbot.bootstrap.ending import Ending
from palmbot.bootstrap.outcome import Output, mode_of, result_from
from palmbot.bootstrap.place import Place, place_of
from palmbot.bootstrap.provenance import noted
from palmbot.bootstrap.told import LASTING
from palmbot.calendar import Session, is_open, next_open
from palmbot.core.types import Params
from palmbot.errors import RefusedError
from palmbot.exchange.pacer import LockStep
from palmbot.live import records
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.live.view import Labels, view
from palmbot.model import BotView, JournalEvent
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.research.result import DataSet
from palmbot.research.statistics import summarize
from palmbot.settings import Environment, Settings

VIEW_EVERY_S = 0.2

OnView = Callable[[BotView], None]


def run_bot(
    settings: Settings,
    on_view: OnView | None,
    access: Access | None = None,
    on_note: OnNote = lambda _note: None,
    *,
    in_memory: bool = False,
) -> Output:
    """Trade until the data ends, the time is over, or a signal comes; return what was done.

    Args:
        settings: what is traded, and how.
        on_view: is shown the bot now and then.
        access: to the account of demo or live, for a dry run.
        on_note: is told what a person should know.
        in_memory: nothing is kept: for measurements.

    Raises:
        RefusedError: another bot has this journal, or the account cannot be traded.
        HaltError: the journal cannot be written any more.
        KeyboardInterrupt: a signal came before anything was traded.
    """
    try:
        return asyncio.run(_run_bot(settings, on_view, (access, on_note), in_memory=in_memory))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run_bot(
    settings: Settings, on_view: OnView | None, dry: tuple[Access | None, OnNote], *, in_memory: bool
) -> Output:
    clock = SystemClock()
    place, settings = place_of(settings, clock)
    place.folder.mkdir(parents=True, exist_ok=True)
    lease = FileLease(place.journal)
    epoch = lease.acquire()
    try:
        journal = Journal.open("sqlite://" if in_memory else sqlite_url(place.journal), inline=in_memory)
        try:
            core = settings.instrument.core
            inbox = Inbox(period_ms=settings.run.period_ms, day_start_ms=core.day_start_ms)
            home = Home(place, journal, inbox, clock, in_memory)
            with Ending() as ending:
                async with _counterparty(settings, home, dry) as counterparty:
                    return await _trade(home, (counterparty, epoch), ending, on_view)
        finally:
            await journal.close()
    finally:
        lease.release()


def _counterparty(
    settings: Settings, home: Home, dry: tuple[Access | None, OnNote]
) -> AbstractAsyncContextManager[Counterparty]:
    if settings.run.dry_run:
        return dry_run(settings, home, *dry)
    if settings.run.environment is not Environment.PAPER:
        todo = "Say --dry-run: this version sends no orders to a broker."
        raise RefusedError("ORDERS_NOT_ALLOWED", todo, env=settings.run.environment)
    file = settings.run.exchange_file
    return built_in(settings, home) if file is None else elsewhere(settings, home, file, dry[1])


async def _trade(home: Home, meets: tuple[Counterparty, int], ending: Ending, on_view: OnView | None) -> Output:
    (other, epoch), journal, place = meets, home.journal, home.place
    settings = other.settings
    spec, series = settings.instrument, noted(settings.found, other.series)
    params = settings.params_for(series.period_ms)
    owner = Owner(_instance(journal), settings.profile, spec.symbol, epoch)
    trader = Trader(
        Rules(params, spec.core, series.period_ms, spec.session, roll_day=spec.roll_day),
        Book(owner, settings.balance_minor),
        other.timeline,
    )
    about = _about(settings, place, params, series, owner)
    about["account_id"] = other.account_id
    about["instrument_differences"] = [asdict(each) for each in other.differences]
    trader.outbox += _since_last(journal, about)
    wires = Wires(other.quotes, other.trading, journal, other.pacer, home.clock, other.market_ms)
    runner = Runner(trader, wires, home.inbox, about)
    if isinstance(other.pacer, LockStep):
        other.pacer.awaited = lambda: repr([each.client_order_id for each in trader.book.in_flight])
    before = other.costs()
    ending.runner = runner
    labels = Labels(
        mode_of(settings.run), series.synthetic, settings.profile, spec.digits, spec.deposit_currency, other.differences
    )

    def show() -> None:
        picture = view(trader, labels, _opens_ms(other.market_ms, spec.session))
        if on_view is not None and picture is not None:
            on_view(picture)

    await _together(runner, other, (settings.run.for_ms, home.clock), show)
    costs = tuple(now - then for now, then in zip(other.costs(), before, strict=True))
    result, series = result_from(settings, params, journal, runner, (place.run_id, costs, series))
    return Output(
        result, series, summarize(result, series), place.folder, runner.stop_reason, 0, settings.run, other.differences
    )


async def _together(
    runner: Runner, other: Counterparty, limit: tuple[int | None, SystemClock], show: Callable[[], None]
) -> None:
    """Run the bot and what must run beside it; the first failure of any ends all, in order."""
    others = [asyncio.create_task(each()) for each in other.beside]
    for task in others:
        task.add_done_callback(lambda ended: runner.stop("the other side failed") if _failed(ended) else None)
    for_ms, clock = limit
    if for_ms is not None:
        others.append(asyncio.create_task(_stop_after(for_ms, clock, runner), name="for"))
    others.append(asyncio.create_task(_show(show, clock), name="view"))
    try:
        await runner.run(other.on_started)
    finally:
        for task in others:
            task.cancel()
        outcomes = await asyncio.gather(*others, return_exceptions=True)
    show()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def _failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


async def _stop_after(for_ms: int, clock: SystemClock, runner: Runner) -> None:
    await clock.sleep(for_ms / 1_000)
    runner.stop("the time is over")


async def _show(show: Callable[[], None], clock: SystemClock) -> None:
    while True:
        show()
        await clock.sleep(VIEW_EVERY_S)


def _opens_ms(market_ms: Callable[[], int] | None, session: Session) -> int:
    """Return when the market opens; 0 where it is open, or its clock stands still until then."""
    now_ms = 0 if market_ms is None else market_ms()
    return 0 if market_ms is None or is_open(now_ms, session) else next_open(now_ms, session)


def _instance(journal: Journal) -> str:
    """Return this journal's four letters in every client order id, made once."""
    started = journal.last("run_started")
    return name_part() if started is None else str(started.body["instance"])


def _about(settings: Settings, place: Place, params: Params, series: DataSet, owner: Owner) -> dict[str, Any]:
    return {
        "run_id": place.run_id,
        "instance": owner.instance,
        "epoch": owner.epoch,
        "mode": str(settings.run.environment),
        "dry_run": settings.run.dry_run,
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


def _since_last(journal: Journal, about: dict[str, Any]) -> list[JournalEvent]:
    """Return what is to be journaled of terms that changed since the last run.

    Raises:
        RefusedError: the running values were computed by other settings or on other data.
    """
    before = journal.last("run_started")
    if before is None:
        return []
    is_told = bool(about["instrument_differences"])
    now, then = _meaning(about, is_told=is_told), _meaning(before.body, is_told=is_told)
    changed = [name for name in now if now[name] != then.get(name)]
    if changed:
        raise RefusedError(
            "SETTINGS_CHANGED",
            "Go on with the settings this journal began with, or give the new ones a data_dir of their own.",
            changed=",".join(changed),
        )
    was = before.body["instrument"]
    return [
        records.note(before.ts_ms, f"{name} of the instrument was {was.get(name)} in the last run and is now {value}")
        for name, value in about["instrument"].items()
        if was.get(name) != value
    ]


def _meaning(about: dict[str, Any], *, is_told: bool) -> dict[str, Any]:
    """Return what the journaled state depends on: not on a broker's charges and limits, which may change any day."""
    values = {name: about.get(name) for name in ("symbol", "period_ms", "data_fingerprint", "instrument", "synthetic")}
    if is_told:
        values["instrument"] = {name: about["instrument"].get(name) for name in LASTING}
    values["account_id"] = about.get("account_id", 0)
    return values | {
        name: about["params"].get(name, Params._field_defaults[name])
        for name in ("rsi_period", "atr_period", "stop_kind", "spike_bars", "gap_quantile")
    }
