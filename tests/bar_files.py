"""SYNTHETIC bar files for tests of what reads them: a short generated walk inside Bursa's sessions, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from palmbot.calendar import next_open
from palmbot.instruments import BURSA
from palmbot.units import HOUR_MS

HEADER = "timestamp,open,high,low,close,volume"

Row = tuple[str, str, str, str, str]  # time, open, high, low, close


def iso(ts_ms: int) -> str:
    """Return ``ts_ms`` as ``2024-03-01T02:30:00Z``."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ts_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ms(text: str) -> int:
    """Return the milliseconds of ``2024-03-01T02:30:00Z``."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def hourly_rows(count: int) -> list[Row]:
    """Return ``count`` hourly rows from Monday 4 March 2024 on: every bucket in which Bursa opens, none else."""
    rows: list[Row] = []
    ts_ms = ms("2024-03-04T02:30:00Z")
    for index in range(count):
        price = 4_000 + index * 7 % 50
        rows.append((iso(ts_ms), f"{price}.25", f"{price + 9}", f"{price - 4}.5", f"{price + 2}"))
        ts_ms = next_open(ts_ms // HOUR_MS * HOUR_MS + HOUR_MS, BURSA)
    return rows


def daily_rows(count: int, first: str = "2024-03-04T02:30:00Z") -> list[Row]:
    """Return ``count`` daily rows from ``first`` on, weekdays only, each opening where the day before closed."""
    rows: list[Row] = []
    ts_ms = ms(first)
    for index in range(count):
        price, after = 4_000 + index * 7 % 50, 4_000 + (index + 1) * 7 % 50
        rows.append((iso(ts_ms), f"{price}", f"{max(price, after) + 9}", f"{min(price, after) - 9}", f"{after}"))
        ts_ms = next_open(ts_ms // (24 * HOUR_MS) * 24 * HOUR_MS + 26 * HOUR_MS, BURSA)
    return rows


def stamped(rows: Iterable[Row], form: Callable[[str], str]) -> list[Row]:
    """Return ``rows`` with their times written by ``form``."""
    return [(form(time), opens, high, low, close) for time, opens, high, low, close in rows]


def text_of(rows: Iterable[Row], header: str = HEADER) -> str:
    """Return ``rows`` as CSV with a volume of 10."""
    return "\n".join([header, *(",".join((*row, "10")) for row in rows)]) + "\n"


def written(folder: Path, text: str, name: str = "bars.csv") -> Path:
    """Return the path of a new file ``name`` in ``folder`` that holds ``text``."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
