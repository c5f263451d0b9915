"""Wires the parity report: a journal, read and closed again, and the comparison."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.core.types import Instrument, Params, Side
from palmbot.errors import UsageError
from palmbot.research.parity import Lived, Parity, compare
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
        for each in found.differences:
            money = "" if each.pnl_minor is None else f"  {self._money(each.pnl_minor)}"
            side = Side(each.side).name.lower()
            lines.append(f"  {each.kind:<11} {minute_text(each.bar_end_ms)}  {side:<5}  {each.detail}{money}")
        if not found.differences:
            lines.append("Nothing differs.")
        return "\n".join(lines)

    def _money(self, minor: int) -> str:
        return money_text(minor, self.money_digits)


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
    parity = compare(lived, replace(settings.instrument, core=lived.instrument), span_ms)
    progress("done", 1.0)
    return ParityReport(parity, lived.instrument.money_digits, lived.is_synthetic)


async def _lived(file: Path) -> Lived:
    journal = Journal.open(sqlite_url(file), inline=True)
    try:
        started = journal.events("run_started")
        bars = tuple(each.body for each in journal.events("bar_closed"))
        trades, refusals = journal.trades(), journal.refusals()
    finally:
        await journal.close()
    if not started or not any(body["live"] for body in bars):
        raise UsageError("NOTHING_LIVED", "Let the bot close a bar first: there is nothing to compare yet.", file=file)
    first, last = started[0].body, started[-1].body
    return Lived(
        bars=bars,
        trades=trades,
        refusals=refusals,
        profile=last["profile"],
        params=Params(**last["params"]),
        instrument=Instrument(**last["instrument"]),
        period_ms=last["period_ms"],
        balance_minor=first["start_balance_minor"],
        is_synthetic=last["synthetic"],
    )
