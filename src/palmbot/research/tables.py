"""Text tables as people have them: any common separator, column order, time format and decimal mark, read exactly.

A table is read as text. Times become UTC milliseconds and decimal numbers scaled integers without passing through
floating point, column by column; whatever cannot be read is one `DataError` with file and line.
"""
# ruff: noqa: PLC0415 - polars takes 0.1 s and 40 MB to import: only those who read a table pay

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palmbot.core.types import Int64Array
from palmbot.errors import DataError
from palmbot.units import DAY_MS

if TYPE_CHECKING:
    import polars as pl

BoolArray = NDArray[np.bool_]

# Names of the column that holds the time, best first; a date column with a time column beside it comes before them.
TIME_NAMES = ("timestamp", "datetime", "time", "date", "opentime", "gmttime", "localtime", "unix")
BAR_NAMES = ("open", "high", "low", "close")
LATEST_MS = 47_482 * DAY_MS  # 2100-01-01: a later time is a wrong unit, not a bar

# [0-9] and not \d, which takes digits of every script
_TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_NUMBER = r"[+-]?([0-9]{1,9}(\.[0-9]*)?|\.[0-9]+)"
_PLAIN = rf"^{_NUMBER}$"
_SCIENTIFIC = rf"^{_NUMBER}[eE][+-]?[0-9]{{1,2}}$"
_DATES = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%d.%m.%Y",
)  # a date with slashes or dashes that does not begin with the year is a riddle
_CLOCKS = ("", " %H:%M:%S%.f", " %H:%M", " %H%M%S")


@dataclass(frozen=True, slots=True)
class TextTable:
    """Columns of stripped text, all of one length.

    Attributes:
        names: simplified column names (letters and digits, lower case).
        line: line in the file of each row, counted from 1, shape (n,).
        decimal_comma: whether a comma may be the decimal mark, since it does not separate columns.
    """

    file: Path
    names: tuple[str, ...]
    columns: tuple[pl.Series, ...]
    line: Int64Array
    decimal_comma: bool

    def error(self, code: str, todo: str, row: int, **facts: object) -> DataError:
        """Return the error of one row: ``code: file line facts`` and what was expected."""
        return DataError(code, todo, file=self.file, line=int(self.line[row]), **facts)

    def has(self, name: str) -> bool:
        """Return whether there is a column ``name``."""
        return _simple(name) in self.names

    def column(self, name: str) -> pl.Series:
        """Return the text of column ``name``.

        Raises:
            DataError: there is no such column, or there are several.
        """
        found = self.names.count(_simple(name))
        if found == 1:
            return self.columns[self.names.index(_simple(name))]
        code, what = ("DATA_NO_COLUMN", "has no") if found == 0 else ("DATA_COLUMN_TWICE", "has more than one")
        todo = f"Give the file a header line with one column named {name}; now it {what} such column."
        raise DataError(code, todo, file=self.file, line=1, column=name, columns="/".join(self.names))

    def scaled(self, name: str, digits: int) -> tuple[Int64Array, BoolArray]:
        """Return column ``name`` x 10^digits, and where it is a number; see the function `scaled`."""
        text = self.column(name)
        return scaled(text.str.replace_all(",", ".", literal=True) if self.decimal_comma else text, digits)

    def times_ms(self, names: tuple[str, ...], time_zone: str) -> Int64Array:
        """Return the UTC milliseconds of the first of the columns ``names`` that exists.

        A column ``date`` beside a column ``time`` is joined with it.

        Raises:
            DataError: no such column, or an entry is not a time of the format of the first entry.
        """
        if "date" in names and self.has("date") and self.has("time"):
            text = self.column("date") + " " + self.column("time")
        else:
            text = self.column(next((name for name in names if self.has(name)), names[0]))
        ts_ms, good = times_ms(text, time_zone)
        if not good.all():
            row = int(np.argmin(good))
            todo = (
                "Give every row a time in the format of the first: ISO such as 2024-03-01T02:30:00Z, 2024.03.01 02:30, "
                f"or epoch seconds or milliseconds; between 1970 and 2100, and where it has no offset a time that the "
                f"clock of {time_zone} (data.time_zone) shows exactly once."
            )
            raise self.error("DATA_BAD_TIME", todo, row, found=repr(text[row]))
        return ts_ms


def _simple(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_table(file: Path, columns_min: int) -> TextTable:
    """Read ``file`` as text columns.

    The separator is found from the first two lines; blank lines are passed over. A table whose first line begins with a
    digit has no header and is taken as time (or date, time), open, high, low, close.

    Raises:
        DataError: the file cannot be read, is empty, or a row has another number of fields than the first line.
    """
    import polars as pl

    lines = pl.DataFrame({"text": pl.Series(_text(file).split("\n"), dtype=pl.String).str.strip_chars(" \r")})
    lines = lines.with_row_index("line", offset=1).filter(pl.col("text").str.strip_chars() != "")
    if lines.height == 0:
        raise DataError("DATA_EMPTY", "Give a file with a header line and one row a bar or value.", file=file, line=1)
    separator = _separator(lines["text"].head(2).to_list(), columns_min)
    if separator == " ":
        lines = lines.with_columns(pl.col("text").str.replace_all(r"\s+", " "))
    frame, line = _fields(file, lines, separator)
    columns = [frame[name].str.strip_chars() for name in frame.columns]
    first = [str(column[0]) for column in columns]
    if first[0][:1].isdigit():
        has_time = len(first) > 1 and _TIME_OF_DAY.fullmatch(first[1]) is not None
        named = (*(("date", "time") if has_time else ("timestamp",)), *BAR_NAMES)
        names = tuple(named[index] if index < len(named) else f"field{index + 1}" for index in range(len(first)))
    else:
        names = tuple(_simple(name) for name in first)
        columns, line = [column[1:] for column in columns], line[1:]
    return TextTable(file, names, tuple(columns), line, separator != ",")


def _text(file: Path) -> str:
    todo = "Give the path of a text file (UTF-8, or UTF-16 with its mark) or of a file made by palmbot data import."
    try:
        data = file.read_bytes()
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except OSError as error:
        raise DataError("DATA_UNREADABLE", todo, file=file, reason=repr(error.strerror)) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError("DATA_UNREADABLE", todo, file=file, line=line, reason="'not a text file'") from error
    if "\0" in text:
        raise DataError("DATA_UNREADABLE", todo, file=file, reason="'not a text file'")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(first_lines: list[str], columns_min: int) -> str:
    """Return the separator that cuts the first lines into the same number, at least ``columns_min``, of fields.

    Spaces count only where no field then ends in a comma, and a comma comes last: it may be a decimal mark.
    """
    for separator in ("\t", ";", "|", " ", ","):
        fields = [line.split(None if separator == " " else separator) for line in first_lines]
        ends_in_comma = any(field.strip(",") != field for row in fields for field in row)
        if len({len(row) for row in fields}) == 1 and len(fields[0]) >= columns_min:
            if separator == " " and ends_in_comma:
                continue
            return separator
    return next((mark for mark in ("\t", ";", "|") if mark in first_lines[0]), ",")


def _fields(file: Path, lines: pl.DataFrame, separator: str) -> tuple[pl.DataFrame, Int64Array]:
    """Return the fields of each line, one column each, and their line numbers."""
    import polars as pl

    text, line = lines["text"], lines["line"].cast(pl.Int64).to_numpy()
    if text.str.contains('"', literal=True).any():
        reader = csv.reader(text.to_list(), delimiter=separator, strict=True)
        try:
            rows, last = zip(*[(row, reader.line_num) for row in reader], strict=True)
        except csv.Error as error:
            at = int(line[reader.line_num - 1])
            raise DataError(
                "DATA_BAD_ROW", "Close every quotation mark.", file=file, line=at, reason=repr(str(error))
            ) from error
        line = line[np.array(last) - 1]
        counts = np.array([len(row) for row in rows])
    else:
        rows = ()
        counts = text.str.count_matches(separator, literal=True).cast(pl.Int64).to_numpy() + 1
    width = int(counts[0])
    if (counts != width).any():
        row = int(np.argmax(counts != width))
        todo = f"Give every row the {width} fields of the first line, separated by {separator!r}."
        raise DataError("DATA_BAD_ROW", todo, file=file, line=int(line[row]), fields=int(counts[row]), expected=width)
    if rows:
        return pl.DataFrame(rows, schema=[f"field_{index}" for index in range(width)], orient="row"), line
    if width == 1:
        return lines.select(field_0="text"), line
    return lines.select(pl.col("text").str.split_exact(separator, width - 1)).unnest("text"), line


def scaled(text: pl.Series, digits: int) -> tuple[Int64Array, BoolArray]:
    """Return the decimal numbers ``text`` x 10^digits, exactly rounded half away from zero, shape (n,).

    The second array says which entries are numbers below 10^9; the others are 0. Equals `units.px_of_text` on every
    entry (a test compares them), without an object a row.
    """
    import polars as pl

    size = pl.col("text").str.strip_chars_start("+-").str.splitn(".", 2)
    whole, fraction = size.struct.field("field_0"), size.struct.field("field_1")
    # One digit more than is kept decides the rounding: those after it can only confirm it.
    kept = fraction.fill_null("").str.pad_end(digits + 1, "0").str.slice(0, digits + 1)
    magnitude = whole.cast(pl.Int64, strict=False).fill_null(0) * 10 ** (digits + 1) + kept.cast(pl.Int64, strict=False)
    frame = pl.DataFrame({"text": text}).select(
        good=pl.col("text").str.contains(_PLAIN).fill_null(value=False),
        odd=pl.col("text").str.contains(_SCIENTIFIC).fill_null(value=False),
        value=(magnitude + 5) // 10 * pl.when(pl.col("text").str.starts_with("-")).then(-1).otherwise(1),
    )
    good = frame["good"].to_numpy().copy()
    value = np.where(good, frame["value"].fill_null(0).to_numpy(), 0).astype(np.int64)
    for row in np.flatnonzero(frame["odd"].to_numpy()).tolist():
        number = Decimal(text[row])
        good[row] = abs(number) < 10**9
        value[row] = int(number.scaleb(digits).quantize(Decimal(1), ROUND_HALF_UP)) if good[row] else 0
    return value, good


def times_ms(text: pl.Series, time_zone: str) -> tuple[Int64Array, BoolArray]:
    """Return the times ``text`` as UTC milliseconds, and which entries are times between 1970 and 2100, shape (n,).

    The first entry tells the format of all: epoch seconds or milliseconds, or a date with or without a time of day and
    a UTC offset. Times without an offset are wall times of ``time_zone``; one that the clock skips or shows twice is
    not a time.
    """
    import polars as pl

    if len(text) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
    first = str(text[0])
    if re.fullmatch(r"[0-9]{9,13}", first):
        numbers = text.str.extract(r"^([0-9]{9,13})$").cast(pl.Int64)
        ms = numbers * (1000 if len(first) < 12 else 1)
    else:
        stamps = text.str.replace(r"^(\d{4})[./](\d{1,2})[./]", "${1}-${2}-").str.replace(r"(\d)T(\d)", "$1 $2")
        stamps = stamps.str.replace(r"\s*(Z|UTC|GMT)$", "+00:00").str.replace(r"\s+([+-]\d{2}:?\d{2})$", "$1")
        stamps = stamps.str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})$", "${1}:00")
        ms = _stamps_ms(stamps, time_zone)
    known = ms.is_not_null() & ms.is_between(0, LATEST_MS)
    return ms.fill_null(0).cast(pl.Int64).to_numpy(), known.fill_null(value=False).to_numpy()


def _stamps_ms(stamps: pl.Series, time_zone: str) -> pl.Series:
    import polars as pl

    for pattern in (
        day + clock + zone for day in _DATES for clock in _CLOCKS for zone in ("", "%z") if clock or not zone
    ):
        if stamps[:1].str.to_datetime(pattern, strict=False, time_unit="ms")[0] is None:
            continue
        times = stamps.str.to_datetime(pattern, strict=False, time_unit="ms")
        if not pattern.endswith("%z"):
            times = times.dt.replace_time_zone(time_zone, ambiguous="null", non_existent="null")
        return times.dt.epoch("ms")
    return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(stamps))
