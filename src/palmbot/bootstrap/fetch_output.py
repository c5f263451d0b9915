"""What a fetch has to say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmbot.instruments import InstrumentSpec
from palmbot.research.coverage import Span
from palmbot.research.fetched import Written
from palmbot.research.output import iso_time
from palmbot.research.rows import period_text

TICKS = "ticks"
GAPS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Output:
    """What a fetch did: the file, what was asked for, how often the broker was asked, rows that were not there yet."""

    path: Path
    spec: InstrumentSpec
    period_ms: int | None
    asked: Span
    written: Written
    requests: int
    new_rows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: times in ISO."""
        written, complete = self.written, self.written.complete
        return {
            "path": str(self.path),
            "symbol": self.spec.symbol,
            "period": self._period(),
            "rows": written.rows,
            "first": iso_time(written.first_ms),
            "last": iso_time(written.last_ms),
            "asked_from": iso_time(self.asked.from_ms),
            "asked_to": iso_time(self.asked.to_ms),
            "requests": self.requests,
            "new_rows": self.new_rows,
            "rows_outside_session": written.outside_session,
            "missing_bars": complete.missing_bars,
            "missing_days": complete.missing_days,
            "unused_bars": complete.unused_bars,
            "gaps": [{"from": iso_time(g.from_ms), "to": iso_time(g.to_ms), "bars": g.bars} for g in complete.gaps],
        }

    def text(self) -> str:
        """Return it for a person."""
        written, complete = self.written, self.written.complete
        what = TICKS if self.period_ms is None else f"bars of {self._period()}"
        unit = "hours" if self.period_ms is None else "bars"
        when = f"{iso_time(written.first_ms)} to {iso_time(written.last_ms)}"
        lacks = f"{complete.missing_bars} {unit} and {complete.missing_days} whole days of open sessions have nothing"
        cost = f"{self.new_rows} rows are new, {self.requests} requests"
        lines = [
            f"Wrote {self.path}",
            f"{written.rows} {what} of {self.spec.symbol}, {when}; {cost}",
            f"  {lacks} (holidays among them)",
        ]
        lines += [
            f"  gap      {iso_time(g.from_ms)} to {iso_time(g.to_ms)} ({g.bars} {unit})"
            for g in complete.gaps[:GAPS_SHOWN]
        ]
        if complete.unused_bars:
            lines.append(f"  {complete.unused_bars} more lie at times of day at which nothing is there in a whole year")
        if written.outside_session:
            lines.append(f"  {written.outside_session} rows outside the session are left out")
        if self.period_ms is not None:
            lines.append(f"Use it with: palmbot backtest --data {self.path}")
        return "\n".join(lines)

    def _period(self) -> str:
        return period_name(self.period_ms)


def period_name(period_ms: int | None) -> str:
    """Return a period as ``--period`` takes it; None is ticks."""
    return TICKS if period_ms is None else period_text(period_ms)
