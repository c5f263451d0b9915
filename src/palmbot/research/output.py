"""What a run leaves on disk as tables: trades.csv and equity.csv. Every file appears whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from palmbot.core.types import Reason, Side
from palmbot.errors import UsageError
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import drawdown_curve_pct, r_multiple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TRADE_COLUMNS = (
    "number", "entry_time", "exit_time", "entry_ms", "exit_ms", "side", "volume_cu", "volume_lots", "entry_price",
    "exit_price", "stop_price", "target_price", "exit_reason", "pnl", "gross", "swap", "commission", "fee",
    "planned_risk", "r",
)  # fmt: skip
MONEY_OF_TRADE = ("pnl", "gross", "swap", "commission", "fee", "risk")
EQUITY_COLUMNS = ("time", "ts_ms", "equity", "equity_low", "drawdown_pct")


def write_trades(path: Path, result: RunResult, data: DataSet) -> None:
    """Write the closed trades of ``result`` to ``path`` as CSV: exact decimals, times in UTC.

    Raises:
        UsageError: the file cannot be written.
    """
    digits, core = data.spec.digits, data.spec.core
    rows = (
        (
            number,
            iso_time(trade.entry_ms),
            iso_time(trade.exit_ms),
            trade.entry_ms,
            trade.exit_ms,
            Side(trade.side).name.lower(),
            trade.volume_cu,
            format(Decimal(trade.volume_cu) / core.lot_cu, "f"),
            price_text(trade.entry_px, digits),
            price_text(trade.exit_px, digits),
            price_text(trade.sl_px, digits) if trade.sl_px else "",
            price_text(trade.tp_px, digits) if trade.tp_px else "",
            Reason(trade.exit_reason).name,
            *(decimal_text(getattr(trade, f"{name}_minor"), core.money_digits) for name in MONEY_OF_TRADE),
            f"{r_multiple(trade):.4f}" if trade.risk_minor > 0 else "",
        )
        for number, trade in enumerate(result.trades, start=1)
    )
    write_table(path, TRADE_COLUMNS, rows)


def write_equity(path: Path, result: RunResult, data: DataSet) -> None:
    """Write equity at each bar's close and its lowest mark to ``path`` as CSV.

    Raises:
        UsageError: the file cannot be written.
    """
    drawdown = drawdown_curve_pct(result.start_balance_minor, result.equity_minor, result.equity_low_minor)
    columns = (result.equity_ts_ms.tolist(), result.equity_minor.tolist(), result.equity_low_minor.tolist())
    money_digits = data.spec.core.money_digits
    rows = (
        (
            iso_time(ts_ms),
            ts_ms,
            decimal_text(close, money_digits),
            decimal_text(low, money_digits),
            f"{fall:.4f}",
        )
        for ts_ms, close, low, fall in zip(*columns, drawdown.tolist(), strict=True)
    )
    write_table(path, EQUITY_COLUMNS, rows)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as ``write_bytes`` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` by way of a neighbour file, so that a reader never sees half of it.

    Raises:
        UsageError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UsageError(
            "OUTPUT_NOT_WRITABLE",
            "Choose another folder with --out, or make room and give write permission.",
            file=path,
            cause=error.strerror,
        ) from error


def iso_time(ts_ms: int) -> str:
    """Return ``ts_ms`` as ISO 8601 in UTC, for instance ``2024-03-01T02:30:15.000Z``."""
    return (EPOCH + timedelta(milliseconds=ts_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def price_text(price_px: float, digits: int) -> str:
    """Return a price with ``digits`` decimals, or with all it has where that would round (a mean of several deals)."""
    exact = Decimal(str(price_px)).scaleb(-5)
    rounded = exact.quantize(Decimal(1).scaleb(-digits))
    return format(rounded if rounded == exact else exact.normalize(), "f")


def decimal_text(minor: float, money_digits: int) -> str:
    """Return ``minor`` units as plain decimal money, without rounding."""
    return format(Decimal(str(minor)).scaleb(-money_digits), "f")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write ``rows`` under ``columns`` as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
