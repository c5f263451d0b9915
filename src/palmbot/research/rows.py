"""The rows of a bar file as they stand, and every way in which one can be wrong.

The loader refuses the first flaw it meets; the quality report lists them all. Both ask here, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from palmbot import calendar
from palmbot.core.types import BarArrays, Int64Array
from palmbot.errors import ConfigError, DataError
from palmbot.instruments import InstrumentSpec
from palmbot.research.output import iso_time
from palmbot.research.tables import BAR_NAMES, TIME_NAMES, BoolArray, TextTable, read_table
from palmbot.settings import DataSettings
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, step_px


@dataclass(frozen=True, slots=True)
class Rows:
    """A bar file row by row, in the order of the file; arrays of shape (n,).

    Attributes:
        table: the text behind the numbers.
        readable: whether all four prices of a row are numbers; where not, they are 0.
    """

    table: TextTable
    ts_ms: Int64Array
    open_px: Int64Array
    high_px: Int64Array
    low_px: Int64Array
    close_px: Int64Array
    readable: BoolArray


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the rows of a series stand in time; arrays of shape (n,).

    Attributes:
        ts_ms: first tick of each bar: the file's stamp, but for the ``moved`` rows, which are stamped too early.
        end_ms: end of each bar's bucket.
        inside: whether the row belongs to the session.
    """

    period_ms: int
    ts_ms: Int64Array
    end_ms: Int64Array
    inside: BoolArray
    moved: int


@dataclass(frozen=True, slots=True)
class Flaw:
    """One way in which rows are wrong, what was expected, and the indexes of these rows, shape (k,), ascending."""

    code: str
    todo: str
    at: Int64Array


def read_rows(settings: DataSettings, spec: InstrumentSpec) -> Rows:
    """Read the text file ``settings.file``: prices quantised to the digits of ``spec``, half up, from their text.

    Raises:
        ConfigError: no file is given.
        DataError: it is not a table of bars, or a time in it is not one.
    """
    if settings.file is None:
        raise ConfigError("DATA_NO_FILE", "Give a file of bars with --data, or data.file in the configuration.")
    table = read_table(settings.file, columns_min=5)
    prices = [table.scaled(name, spec.digits) for name in BAR_NAMES]
    if table.line.size == 0:
        raise DataError(
            "DATA_EMPTY", "Give a file with at least two rows below its header.", file=settings.file, line=1
        )
    ts_ms = table.times_ms(TIME_NAMES, settings.time_zone)
    step = step_px(spec.digits)
    open_px, high_px, low_px, close_px = (value * step for value, _ in prices)
    readable = np.logical_and.reduce([good for _, good in prices])
    return Rows(table, ts_ms, open_px, high_px, low_px, close_px, readable)


def period_of(ts_ms: Int64Array, settings: DataSettings) -> int:
    """Return the bar period: the one given, or the most frequent difference of neighbouring stamps (ties: the shorter).

    Raises:
        DataError: there are not two different stamps, or the period is shorter than a minute.
    """
    period_ms = settings.period_ms
    if period_ms is None:
        steps = np.diff(np.sort(ts_ms))
        steps, counts = np.unique(steps[steps > 0], return_counts=True)
        if steps.size == 0:
            todo = "Say how long a bar is with data.period: two different times are needed to find it."
            raise DataError("DATA_NO_PERIOD", todo, file=settings.file)
        period_ms = int(steps[np.argmax(counts)])
    if period_ms < MINUTE_MS:
        todo = "Give bars of a minute or longer: the four ticks of a bar take 45 seconds."
        raise DataError("DATA_PERIOD_TOO_SHORT", todo, file=settings.file, period=period_text(period_ms))
    return period_ms


def place(ts_ms: Int64Array, period_ms: int, spec: InstrumentSpec) -> Placed:
    """Return the first tick, bucket end and session of each row (PARITY 26 and 27).

    A row belongs to the session when its stamp does. So does one that is stamped before the session opens in its bucket
    and merely names that bucket: with its start, as MetaTrader does, or, for a day and longer, with a date (midnight
    UTC or of the instrument's zone). Its first tick is then that opening, since the market trades no tick before.
    """
    day_start_ms = spec.core.day_start_ms
    end_ms = calendar.bucket_end(ts_ms, period_ms, day_start_ms)
    inside = calendar.open_mask(ts_ms, spec.session)
    names_bucket = ts_ms == end_ms - period_ms
    if period_ms >= DAY_MS:
        names_bucket |= (ts_ms % DAY_MS == 0) | (calendar.wall_ms(ts_ms, spec.time_zone) % DAY_MS == 0)
    early = np.flatnonzero(~inside & names_bucket)
    if early.size == 0:
        return Placed(period_ms, ts_ms, end_ms, inside, 0)
    spans = calendar.open_spans(int(ts_ms[early].min()), int(end_ms[early].max()), spec.session)
    never_ms = np.iinfo(np.int64).max
    opens_ms = np.array([*(start_ms for start_ms, _ in spans), never_ms], dtype=np.int64)
    first_ms = opens_ms[np.searchsorted(opens_ms, ts_ms[early])]
    early, first_ms = early[first_ms < end_ms[early]], first_ms[first_ms < end_ms[early]]
    ts_ms = ts_ms.copy()
    ts_ms[early], inside[early] = first_ms, True
    return Placed(period_ms, ts_ms, end_ms, inside, int(early.size))


def row_flaws(rows: Rows) -> Iterator[Flaw]:
    """Yield what is wrong with rows whatever their period: unreadable prices, impossible bars, wrong order."""
    open_px, high_px, low_px, close_px = rows.open_px, rows.high_px, rows.low_px, rows.close_px
    lowest = np.minimum.reduce([open_px, high_px, low_px, close_px])
    broken = (high_px < np.maximum(open_px, close_px)) | (low_px > np.minimum(open_px, close_px))
    yield Flaw(
        "DATA_NOT_A_PRICE",
        "Give four prices in every row: plain decimal numbers below 1000000000, without thousands separators.",
        np.flatnonzero(~rows.readable),
    )
    yield Flaw(
        "DATA_NOT_POSITIVE",
        "Give prices of at least one step of the instrument; check its digits.",
        np.flatnonzero(rows.readable & (lowest <= 0)),
    )
    yield Flaw(
        "DATA_OHLC",
        "Give a high that is the highest and a low that is the lowest of the four prices of the row.",
        np.flatnonzero(rows.readable & (lowest > 0) & broken),
    )
    yield Flaw(
        "DATA_NOT_SORTED",
        "Sort the rows by time, oldest first.",
        np.flatnonzero(np.diff(rows.ts_ms) < 0) + 1,
    )
    yield Flaw("DATA_DUPLICATE", "Keep one row for each time.", _repeated(rows.ts_ms))


def bucket_flaws(ts_ms: Int64Array, placed: Placed) -> Iterator[Flaw]:
    """Yield what is wrong with rows of the session for their period; ``ts_ms`` are the file's stamps."""
    inside = np.flatnonzero(placed.inside)
    shared = inside[_repeated(placed.end_ms[inside])]
    yield Flaw(
        "DATA_TWO_ROWS_IN_BUCKET",
        f"Give one row for each {period_text(placed.period_ms)} bar, or set data.period to the length of a bar.",
        shared[~np.isin(shared, _repeated(ts_ms))],  # a repeated time is a duplicate
    )
    yield Flaw(
        "DATA_TIME_TOO_LATE",
        "Stamp bars with their opening time: the four ticks of a bar need the minute that follows it.",
        inside[placed.end_ms[inside] - placed.ts_ms[inside] < MINUTE_MS],
    )


def _repeated(values: Int64Array) -> Int64Array:
    """Return the indexes of values that stand earlier in the array already, ascending."""
    order = np.argsort(values, kind="stable")
    return np.sort(order[1:][np.diff(values[order]) == 0])


def refuse(rows: Rows, flaws: Iterator[Flaw]) -> None:
    """Raise the first flaw that any row has, with the first line that has it.

    Raises:
        DataError: there is a flaw.
    """
    for flaw in flaws:
        if flaw.at.size:
            row = int(flaw.at[0])
            bar = "/".join(str(rows.table.column(name)[row]) for name in BAR_NAMES)
            raise rows.table.error(flaw.code, flaw.todo, row, time=iso_time(int(rows.ts_ms[row])), ohlc=bar)


def bars_of(rows: Rows, placed: Placed) -> BarArrays:
    """Return the rows of the session as bars with rate 1."""
    inside = placed.inside
    return BarArrays(
        placed.ts_ms[inside],
        placed.end_ms[inside],
        rows.open_px[inside],
        rows.high_px[inside],
        rows.low_px[inside],
        rows.close_px[inside],
        np.empty(0, dtype=np.int64),
    )


def period_text(period_ms: int) -> str:
    """Return a period as ``data.period`` takes it: ``1m``, ``4h``, ``1d``."""
    units = {"d": DAY_MS, "h": HOUR_MS, "m": MINUTE_MS, "s": SECOND_MS}
    return next((f"{period_ms // ms}{unit}" for unit, ms in units.items() if period_ms % ms == 0), f"{period_ms}ms")
