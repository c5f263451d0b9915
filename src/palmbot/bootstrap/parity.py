"""Wires the parity report: a journal, read and closed again, and the comparison."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.core.types import Instrument, Params, Side
from palmbot.errors import UsageError
from palmbot.live.records import cash_of, kept_of
from palmbot.model import JournalEvent
from palmbot.orders.records import intent_of, order_event_of
from palmbot.research.lived import Change, Lived, decided_by, held_trade, touched_by_hand
from palmbot.research.parity import Parity, compare
from palmbot.research.wording import minute_text, money_text
from palmbot.settings import Settings

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What the command shows: one JSON object, or text."""

    parity: Parity
    money_digits: int
    is_synthetic: bool

    def to_json(self) -> dict[str, Any]:
        """Return the comparison."""
        return self.parity.to_json() | {"synthetic": self.is_synthetic}

    def text(self) -> str:
        """Return the comparison for a person: what agrees in one line, what differs in a line each."""
        found = self.parity
        ours, theirs = (sum(each.pnl_minor for each in trades) for trades in (found.lived, found.tested))
        span = f"{minute_text(found.from_ms)} to {minute_text(found.to_ms)} UTC"
        backtest = f"{len(found.tested)} in the backtest ({self._money(theirs)})"
        label = "SYNTHETIC. " if self.is_synthetic else ""
        lines = [
            f"{label}{span}: {found.bars} bars, {found.missed_bars} without the bot.",
            f"Trades: {len(found.lived)} ({self._money(ours)}), {backtest}, {found.equal} equal.",
        ]
        if found.held is not None or found.tested_held is not None:
            lines.append(f"Still open: {_open_text(found)}.")
        for each in found.differences:
            money = "" if each.pnl_minor is None else f"  {self._money(each.pnl_minor)}"
            side = Side(each.side).name.lower() if each.side else ""
            lines.append(f"  {each.kind:<15} {minute_text(each.bar_end_ms)}  {side:<5}  {each.detail}{money}")
        if not found.differences:
            lines.append("Nothing differs.")
        return "\n".join(lines)

    def _money(self, minor: int) -> str:
        return money_text(minor, self.money_digits)


def _open_text(found: Parity) -> str:
    """Return who still holds a trade."""
    if found.held is None:
        return "one in the backtest"
    return "one here" if found.tested_held is None else "one here and in the backtest"


def run_parity(settings: Settings, folder: Path | None, span_ms: tuple[int, int], progress: Progress) -> ParityReport:
    """Compare what the journal in ``folder`` (default: that of the data folder) tells with a backtest of its bars."""
    place = settings.data_dir if folder is None else folder
    progress("journal", 0.1)
    file = place / "journal.sqlite"
    if not file.exists():
        todo = "Run the bot first, or name the folder of a run: palmbot parity --run DIR."
        raise UsageError("NO_JOURNAL", todo, file=file)
    lived = asyncio.run(_lived(file))
    progress("backtest", 0.5)
    instrument = lived.changes[-1].instrument
    parity = compare(lived, replace(settings.instrument, core=instrument), span_ms)
    progress("done", 1.0)
    return ParityReport(parity, instrument.money_digits, lived.is_synthetic)


async def _lived(file: Path) -> Lived:
    journal = Journal.open(sqlite_url(file), inline=True)
    try:
        started, bars = journal.events("run_started"), journal.events("bar_closed")
        states, notes = journal.events("state"), journal.events("note")
        events = [order_event_of(each) for each in journal.events("order_event")]
        intents = [intent_of(each) for each in journal.events("intent")]
        trades, refusals = journal.trades(), journal.refusals()
    finally:
        await journal.close()
    if not started or not any(each.body["live"] for each in bars):
        raise UsageError("NOTHING_LIVED", "Let the bot close a bar first: there is nothing to compare yet.", file=file)
    holding = kept_of(max((*states, *bars), key=lambda each: int(each.body["serial"]))).holding
    return Lived(
        bars=tuple(each.body for each in bars),
        trades=trades,
        refusals=refusals,
        changes=_changes(started, notes, int(bars[0].body["balance_minor"])),
        period_ms=started[-1].body["period_ms"],
        is_synthetic=started[-1].body["synthetic"],
        held=None if holding is None else held_trade(holding.position),
        decided=decided_by(events, intents),
        touched=touched_by_hand(events, intents),
    )


def _changes(started: Sequence[JournalEvent], notes: Sequence[JournalEvent], balance_minor: int) -> tuple[Change, ...]:
    """Return how the bot began, and every deposit, withdrawal and start by other rules since, in order of time."""
    found = [_began(started[0], balance_minor)]
    for event in sorted((*started[1:], *notes), key=lambda each: each.ts_ms):
        delta_minor = cash_of(event)
        if delta_minor is not None:
            found.append(replace(found[-1], ts_ms=event.ts_ms, cash_minor=delta_minor))
        elif event.kind == "run_started":
            new = _began(event, 0)
            if replace(found[-1], ts_ms=new.ts_ms, cash_minor=0) != new:
                found.append(new)
    return tuple(found)


def _began(started: JournalEvent, balance_minor: int) -> Change:
    body = started.body
    rules = (body["profile"], Params(**body["params"]), Instrument(**body["instrument"]))
    return Change(started.ts_ms, balance_minor, *rules)
