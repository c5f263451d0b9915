"""trades.csv and equity.csv: exact decimals, and whole or not at all."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from tests.sample_run import BALANCE_MINOR, data_of, result_of, sample_run, trade_of, walk

from palmbot.core.types import Reason, Side
from palmbot.errors import UsageError
from palmbot.research.output import decimal_text, iso_time, price_text, write_equity, write_text, write_trades
from palmbot.units import PX


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_trade_is_written_in_exact_decimals(tmp_path: Path) -> None:
    trade = trade_of(
        -12_345,
        entry_ms=1_700_000_015_000,
        exit_ms=1_700_003_600_001,
        side=int(Side.SHORT),
        volume_cu=75,
        entry_px=4_001 * PX + 50_000,
        exit_px=4_010.3333333 * PX,
        sl_px=4_061 * PX,
        exit_reason=int(Reason.TIME),
        gross_minor=-12_295,
        swap_minor=-20,
        commission_minor=-30,
        risk_minor=10_000.25,
    )
    write_trades(tmp_path / "trades.csv", result_of((trade,), [BALANCE_MINOR]), data_of(walk(1)))
    assert rows_of(tmp_path / "trades.csv") == [
        {
            "number": "1",
            "entry_time": "2023-11-14T22:13:35.000Z",
            "exit_time": "2023-11-14T23:13:20.001Z",
            "entry_ms": "1700000015000",
            "exit_ms": "1700003600001",
            "side": "short",
            "volume_cu": "75",
            "volume_lots": "0.03",
            "entry_price": "4001.500",
            "exit_price": "4010.3333333",
            "stop_price": "4061.000",
            "target_price": "",
            "exit_reason": "TIME",
            "pnl": "-123.45",
            "gross": "-122.95",
            "swap": "-0.20",
            "commission": "-0.30",
            "fee": "0.00",
            "planned_risk": "100.0025",
            "r": "-1.2345",
        },
    ]


def test_equity_is_written_with_its_lowest_mark_and_drawdown(tmp_path: Path) -> None:
    equity = [10_000_000, 10_100_000]
    low = np.array([9_900_000, 9_750_001])
    write_equity(tmp_path / "equity.csv", result_of((), equity, equity_low_minor=low), data_of(walk(2)))
    first, second = rows_of(tmp_path / "equity.csv")
    assert first["time"] == iso_time(int(first["ts_ms"])) == "2010-01-01T11:00:00.000Z"
    assert (first["equity"], first["equity_low"], first["drawdown_pct"]) == ("100000.00", "99000.00", "1.0000")
    assert (second["equity"], second["equity_low"], second["drawdown_pct"]) == ("101000.00", "97500.01", "2.5000")


def test_the_written_money_adds_up_to_the_balance(tmp_path: Path) -> None:
    result, data = sample_run(300)
    write_trades(tmp_path / "trades.csv", result, data)
    rows = rows_of(tmp_path / "trades.csv")
    assert len(rows) == len(result.trades) > 5
    assert sum(Decimal(row["pnl"]) for row in rows) * 100 == result.balance_minor - BALANCE_MINOR
    for row in rows:
        parts = sum(Decimal(row[name]) for name in ("gross", "swap", "commission", "fee"))
        assert parts == Decimal(row["pnl"])


@pytest.mark.parametrize(
    ("minor", "digits", "text"),
    [(0, 2, "0.00"), (-5, 2, "-0.05"), (1, 8, "0.00000001"), (123, 0, "123"), (10.5, 2, "0.105")],
)
def test_money_is_plain_decimal(minor: float, digits: int, text: str) -> None:
    assert decimal_text(minor, digits) == text


def test_a_price_is_never_rounded_to_fit_its_digits() -> None:
    assert price_text(4_000 * PX, 0) == "4000"
    assert price_text(4_000 * PX + 12_500, 1) == "4000.125"
    assert price_text(4_000 * PX + 50_000, 3) == "4000.500"


def test_folders_are_made_and_no_part_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "one\n")
    write_text(path, "two\n")
    assert path.read_text(encoding="utf-8") == "two\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_keeps_what_it_had(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    write_text(path, "before")
    (tmp_path / ".trades.csv.part").mkdir()  # the neighbour cannot be opened for writing
    with pytest.raises(UsageError, match="OUTPUT_NOT_WRITABLE") as caught:
        write_text(path, "after")
    assert path.read_text(encoding="utf-8") == "before"
    assert caught.value.exit_code == 2


def test_a_reader_that_has_the_file_open_still_reads_the_whole_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    write_text(path, "before, and rather long")
    with path.open(encoding="utf-8") as reader:
        write_text(path, "after")
        assert reader.read() == "before, and rather long"
    assert path.read_text(encoding="utf-8") == "after"


def test_an_output_below_a_file_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="plain"):
        write_text(tmp_path / "plain" / "trades.csv", "x")
