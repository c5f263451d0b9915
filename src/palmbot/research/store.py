"""Imported series: Parquet files that carry their instrument, prices as exact integers, written whole or not at all."""
# ruff: noqa: PLC0415 - polars takes 0.1 s and 40 MB to import: only those who read or write a file pay

from __future__ import annotations

import hashlib
import io
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from palmbot.calendar import Session
from palmbot.core.types import BarArrays, Instrument, Int64Array, SentimentArrays
from palmbot.errors import DataError, PalmbotError
from palmbot.instruments import InstrumentSpec
from palmbot.research.output import iso_time
from palmbot.research.result import DataSet
from palmbot.research.rolls import NO_ROLLS
from palmbot.units import step_px

SUFFIX = ".parquet"
MAGIC = b"PAR1"
KEY = "palmbot"
VERSION = 1
COLUMNS = ("ts_ms", "end_ms", "open_px", "high_px", "low_px", "close_px")
NO_SENTIMENT = SentimentArrays(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))
NO_RATES = np.empty(0, dtype=np.int64)

_IMPORT_AGAIN = "Import the original file again with palmbot data import."


@dataclass(frozen=True, slots=True)
class ImportedSeries:
    """What ``palmbot data list`` shows of one file: bars, or ``ticks``.

    ``problem`` says why it cannot be used; the rest is then empty.
    """

    path: Path
    name: str = ""
    symbol: str = ""
    period_ms: int = 0
    adjustment: str = ""
    bars: int = 0
    ticks: int = 0
    first_ms: int = 0
    last_ms: int = 0
    fingerprint: str = ""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; times in ISO."""
        shown = asdict(self) | {
            "path": str(self.path),
            "first": iso_time(self.first_ms),
            "last": iso_time(self.last_ms),
        }
        return {"path": shown["path"], "problem": self.problem} if self.problem else shown


def fingerprint(bars: BarArrays) -> str:
    """Return the sha256 of the arrays of ``bars``, hex; the same on every machine."""
    digest = hashlib.sha256()
    for values in bars:
        digest.update(np.ascontiguousarray(values, "<i8").data)
    return digest.hexdigest()


def is_parquet(file: Path) -> bool:
    """Return whether ``file`` is a Parquet file, whatever its name; False where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def write_series(path: Path, data: DataSet, volume: Int64Array | None = None) -> None:
    """Write the bars and the instrument of ``data`` to ``path`` by way of a neighbour file.

    ``volume`` is a column for other readers: nothing here decides by it, and no fingerprint holds it.

    Raises:
        PalmbotError: it cannot be written; what stood at ``path`` is untouched.
    """
    import polars as pl

    about = {
        "version": VERSION,
        "name": data.name,
        "period_ms": data.period_ms,
        "adjustment": data.adjustment,
        "rows_read": data.rows_read,
        "rows_outside_session": data.rows_outside_session,
        "notes": data.notes,
        "synthetic": data.synthetic,
        "bars": int(data.bars.ts_ms.size),
        "first_ms": int(data.bars.ts_ms[0]),
        "last_ms": int(data.bars.ts_ms[-1]),
        "fingerprint": fingerprint(data.bars._replace(rate_e8=NO_RATES)),
        "instrument": plain_spec(data.spec),
    }
    columns = {name: getattr(data.bars, name) for name in COLUMNS}
    frame = pl.DataFrame(columns if volume is None else columns | {"volume": volume})
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd", metadata={KEY: json.dumps(about)})
    write_whole(path, content.getbuffer())


def write_whole(path: Path, content: memoryview) -> None:
    """Replace ``path`` by ``content``; when this returns, content and name are on the disk.

    Raises:
        PalmbotError: ``DATA_NOT_WRITTEN``; what stood at ``path`` is untouched.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        put_in_place(part, path)
    except OSError as error:
        raise not_written(path, error) from error


def part_of(path: Path) -> Path:
    """Return the neighbour that is written before it takes the place of ``path``."""
    return path.with_name(f".{path.name}.part")


def put_in_place(part: Path, path: Path) -> None:
    """Let ``part`` take the place of ``path`` durably. Raises ``OSError``."""
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def not_written(path: Path, error: Exception) -> PalmbotError:
    """Return the failure to write ``path``, whose part is removed."""
    with suppress(OSError):
        part_of(path).unlink()
    todo = "Make room, give write permission, or choose another data_dir."
    reason = getattr(error, "strerror", None) or str(error)[:200]
    return PalmbotError("DATA_NOT_WRITTEN", todo, file=path, reason=repr(reason))


def read_series(path: Path) -> DataSet:
    """Return the series that `write_series` wrote, equal in every field but for rolls, rates and sentiment.

    Raises:
        DataError: the file is not one of ours, or its bars are not those that were written.
    """
    import polars as pl

    about = _about(path)
    if about.get("ticks"):
        raise DataError("DATA_IS_TICKS", "Give bars: palmbot data fetch --period 1m gets them.", file=path)
    try:
        frame = pl.read_parquet(path, columns=list(COLUMNS))
        # copied: compiled code takes arrays that it may not write for another type and would compile again
        columns = {name: frame[name].cast(pl.Int64).to_numpy().copy() for name in COLUMNS}
        bars = BarArrays(**columns, rate_e8=NO_RATES)
        print_of_bars = fingerprint(bars)
        data = DataSet(
            name=about["name"],
            spec=_spec_of(about["instrument"]),
            period_ms=about["period_ms"],
            adjustment=about["adjustment"],
            bars=bars,
            rolls=NO_ROLLS,
            sentiment=NO_SENTIMENT,
            rows_read=about["rows_read"],
            rows_outside_session=about["rows_outside_session"],
            notes=tuple(about["notes"]),
            fingerprint=print_of_bars,
            synthetic=about["synthetic"],
        )
    except (OSError, pl.exceptions.PolarsError, KeyError, TypeError, ValueError) as error:
        raise DataError("DATA_UNREADABLE", _IMPORT_AGAIN, file=path, reason=repr(str(error)[:200])) from error
    if print_of_bars != about["fingerprint"]:
        raise DataError("DATA_CHANGED", _IMPORT_AGAIN, file=path, written=about["fingerprint"][:12])
    return data


def list_series(folder: Path) -> tuple[ImportedSeries, ...]:
    """Return what the Parquet files in ``folder`` are, by name; nothing where there is no such folder."""
    return tuple(_listed(path) for path in sorted(folder.glob(f"*{SUFFIX}")))


def _listed(path: Path) -> ImportedSeries:
    shown = ("name", "period_ms", "adjustment", "bars", "ticks", "first_ms", "last_ms", "fingerprint")
    try:
        about = _about(path)
        return ImportedSeries(
            path, symbol=about["instrument"]["symbol"], **{name: about[name] for name in shown if name in about}
        )
    except DataError as error:
        return ImportedSeries(path, problem=str(error))


def _about(path: Path) -> dict[str, Any]:
    import polars as pl

    try:
        text = pl.read_parquet_metadata(path).get(KEY, "null")
        about = json.loads(text)
    except (OSError, pl.exceptions.PolarsError, ValueError) as error:
        raise DataError("DATA_UNREADABLE", _IMPORT_AGAIN, file=path, reason=repr(str(error)[:200])) from error
    if not isinstance(about, dict) or about.get("version") != VERSION:
        todo = "Give a text file (CSV), or a Parquet file that this version of palmbot data import wrote."
        raise DataError("DATA_FOREIGN_PARQUET", todo, file=path)
    return about


def plain_spec(spec: InstrumentSpec) -> dict[str, Any]:
    """Return ``spec`` as plain JSON."""
    plain = {each.name: getattr(spec, each.name) for each in fields(spec)}
    holidays = sorted(day.isoformat() for day in spec.session.holidays)
    session = {"time_zone": spec.session.time_zone, "intervals": spec.session.intervals, "holidays": holidays}
    return plain | {"session": session, "core": spec.core._asdict()}


def _spec_of(plain: dict[str, Any]) -> InstrumentSpec:
    """Return the instrument of `plain_spec`.

    Raises:
        TypeError: a field is missing or unknown.
        ValueError: a value is impossible.
    """
    session = Session(
        plain["session"]["time_zone"],
        tuple((int(start), int(end)) for start, end in plain["session"]["intervals"]),
        frozenset(date.fromisoformat(day) for day in plain["session"]["holidays"]),
    )
    spec = InstrumentSpec(**plain | {"session": session, "core": Instrument(**plain["core"])})
    if spec.core.step_px != step_px(spec.digits):
        raise ValueError("digits and step_px differ")
    return spec
