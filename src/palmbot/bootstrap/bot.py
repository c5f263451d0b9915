"""Wires the bot: journal, the other side of the wire, trader and runner, and what runs beside them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from palmbot import CORE_HASH, __version__
from palmbot.adapters.chance import name_part
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.adapters.lease import FileLease
from palmbot.bootstrap.counterparty import Counterparty, Home, built_in, elsewhere
from palmbot.bootstrap.outcome import Output, result_from
from palmbot.bootstrap.place import Place, place_of
from palmbot.core.types import Params
from palmbot.errors import RefusedError
from palmbot.exchange.pacer import LockStep
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.live.view import Labels, view
from palmbot.model import BotView
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.research.result import DataSet
from palmbot.research.statistics import summarize
from palmbot.settings import Settings

VIEW_EVERY_S = 0.2

OnView = Callable[[BotView], None]


def run_bot(settings: Settings, on_view: OnView | None, *, in_memory: bool = False) -> Output:
    """Trade on paper until the data ends, the time is over, or a signal comes; return what was done.

    With ``in_memory`` nothing is kept: for measurements.

    Raises:
        RefusedError: another bot has this journal, or the account cannot be traded.
        HaltError: the journal cannot be written any more.
    """
    return asyncio.run(_run_bot(settings, on_view, in_memory=in_memory))


async def _run_bot(settings: Settings, on_view: OnView | None, *, in_memory: bool) -> Output:
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
            async with _counterparty(settings, home) as counterparty:
                return await _trade(settings, home, (counterparty, epoch), on_view)
        finally:
            await journal.close()
    finally:
        lease.release()


def _counterparty(settings: Settings, home: Home) -> AbstractAsyncContextManager[Counterparty]:
    file = settings.run.exchange_file
    return built_in(settings, home) if file is None else elsewhere(settings, home, file)


async def _trade(settings: Settings, home: Home, meets: tuple[Counterparty, int], on_view: OnView | None) -> Output:
    (other, epoch), journal, place = meets, home.journal, home.place
    spec, series = settings.instrument, other.series
    params = settings.params_for(series.period_ms)
    owner = Owner(_instance(journal), settings.profile, spec.symbol, epoch)
    trader = Trader(
        Rules(params, spec.core, series.period_ms, spec.session), Book(owner, settings.balance_minor), other.timeline
    )
    about = _about(settings, place, params, series, owner)
    _refuse_changed(journal, about)
    wires = Wires(other.client, other.client, journal, other.pacer, home.clock)
    runner = Runner(trader, wires, home.inbox, about)
    if isinstance(other.pacer, LockStep):
        other.pacer.awaited = lambda: repr([each.client_order_id for each in trader.book.in_flight])
    before = other.costs()
    labels = Labels("paper", series.synthetic, settings.profile, spec.digits)
    await _together(runner, other, (settings.run.for_ms, home.clock), on_view, labels)
    costs = tuple(now - then for now, then in zip(other.costs(), before, strict=True))
    result, series = result_from(settings, params, journal, runner, (place.run_id, costs, series))
    return Output(result, series, summarize(result, series), place.folder, runner.stop_reason)


async def _together(
    runner: Runner,
    other: Counterparty,
    limit: tuple[int | None, SystemClock],
    on_view: OnView | None,
    labels: Labels,
) -> None:
    """Run the bot and what must run beside it; the first failure of any ends all, in order."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, runner.stop, signal.Signals(number).name)
    others = [asyncio.create_task(each()) for each in other.beside]
    for task in others:
        task.add_done_callback(lambda ended: runner.stop("the other side failed") if _failed(ended) else None)
    for_ms, clock = limit
    if for_ms is not None:
        others.append(asyncio.create_task(_stop_after(for_ms, clock, runner), name="for"))
    if on_view is not None:
        others.append(asyncio.create_task(_show(runner, labels, on_view, clock), name="view"))
    try:
        await runner.run(other.on_started)
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
