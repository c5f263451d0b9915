"""What is wrong with a file of bars and what is merely odd: all that the loader would refuse, and what it would not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palmbot import calendar
from palmbot.core.types import BarArrays, Int64Array
from palmbot.instruments import InstrumentSpec
from palmbot.research import store
from palmbot.research.companions import Companion, companions
from palmbot.research.output import iso_time
from palmbot.research.roll_check import RollCheck, roll_check
from palmbot.research.rolls import NORMAL_MAD, suspected_rolls
from palmbot.research.rows import Placed, bucket_flaws, period_of, place, read_rows, row_flaws
from palmbot.research.tables import BoolArray, TextTable
from palmbot.settings import DataSettings
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, price_of_px

LINES_SHOWN = 5
GAPS_SHOWN = 10
OUTLIER_DEVIATIONS, OUTLIER_MIN = 10.0, 0.02  # a move that is both is news, a roll or a slip of the pen
SHIFTS_H = range(-12, 15)
SHIFT_ROWS = 10_000  # looked at: the clock of a file is soon plain
SHIFT_GAIN = 0.2  # so much more of the rows must lie in the session for a shift of the clock to be suspected
STALE_BARS = 5  # neighbouring bars with the same four prices: a feed that stood still

FLAWS = (
    "DATA_NOT_A_PRICE",
    "DATA_NOT_POSITIVE",
    "DATA_OHLC",
    "DATA_NOT_SORTED",
    "DATA_DUPLICATE",
    "DATA_TWO_ROWS_IN_BUCKET",
    "DATA_TIME_TOO_LATE",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing found: how often, and the first few lines of the file (rows, in Parquet) that show it.

    ``refused`` findings make the loader refuse the file; they have the code of its error.
    """

    code: str
    count: int
    lines: tuple[int, ...]
    refused: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Neighbouring bars that the session has and the file has not: ``[from_ms, to_ms)``, ``bars`` of them."""

    from_ms: int
    to_ms: int
    bars: int


@dataclass(frozen=True, slots=True)
class Completeness:
    """What a series lacks of the session between its first bar and its last; the fields are those of the report."""

    missing_bars: int
    missing_days: int
    unused_bars: int
    gaps: tuple[Gap, ...]
    missing_dates_ms: tuple[int, ...] = ()  # the first few of the missing days


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What ``palmbot data check`` says.

    Attributes:
        findings: every kind that is looked for, found or not.
        missing_bars: bars of open sessions without a row, on trade dates that have rows.
        missing_days: trade dates of the session without any row; holidays are among them unless the calendar has them.
        unused_bars: bars of the session at times of day at which the file has no row in that whole year. They are not
            called missing: session hours change over the years, and the session is the union of them.
        gaps: the biggest runs of missing bars, whole days included, biggest first.
        suspected_rolls: (time in ms, overnight gap in px) of each.
        missing_dates_ms: the first few of the missing days.
        outside_ms: the first few stamps outside the session.
        dated: rows that carry a date, or the start of their bar's time, and no opening: they count as of the opening.
        shift_h: hours by which stamps would have to be moved to lie in the session; 0: nothing speaks for that.
        rolls: how the file of rolls agrees with the bars; None without one, or where the series is adjusted.
        adjust: ``proportional`` where the rolls are to be adjusted away.
        companions: what is joined to the bars.
    """

    file: Path
    instrument: str
    rows: int
    bars: int
    first_ms: int
    last_ms: int
    period_ms: int
    adjustment: str
    findings: tuple[Finding, ...]
    missing_bars: int
    missing_days: int
    unused_bars: int
    gaps: tuple[Gap, ...]
    suspected_rolls: tuple[tuple[int, int], ...]
    missing_dates_ms: tuple[int, ...]
    outside_ms: tuple[int, ...]
    dated: int
    shift_h: int
    rolls: RollCheck | None
    adjust: str
    companions: tuple[Companion, ...]

    @property
    def ok(self) -> bool:
        """Whether the loader takes the rows of the file."""
        return self.bars > 0 and not any(finding.refused and finding.count for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: times in ISO, roll gaps as decimal numbers."""
        return asdict(self) | {
            "file": str(self.file),
            "ok": self.ok,
            "first": iso_time(self.first_ms),
            "last": iso_time(self.last_ms),
            "gaps": [{"from": iso_time(gap.from_ms), "to": iso_time(gap.to_ms), "bars": gap.bars} for gap in self.gaps],
            "suspected_rolls": [_jump_to_json(ts_ms, gap_px) for ts_ms, gap_px in self.suspected_rolls],
            "rolls": None if self.rolls is None else _rolls_to_json(self.rolls),
            "companions": [
                asdict(each)
                | {"file": str(each.file), "first": iso_time(each.first_ms), "last": iso_time(each.last_ms)}
                for each in self.companions
            ],
        }


def _jump_to_json(ts_ms: int, gap_px: int) -> dict[str, Any]:
    return {"time": iso_time(ts_ms), "gap": price_of_px(gap_px)}


def _rolls_to_json(rolls: RollCheck) -> dict[str, Any]:
    jumps = {"contradicted": rolls.contradicted, "unexplained": rolls.unexplained}
    return asdict(rolls) | {
        name: [_jump_to_json(each.ts_ms, each.gap_px) for each in found] for name, found in jumps.items()
    }


@dataclass(frozen=True, slots=True)
class _Series:
    """The rows of a file with their lines, whatever kind of file it is."""

    file: Path
    spec: InstrumentSpec
    adjustment: str
    rows: BarArrays
    line: Int64Array
    usable: BoolArray  # four positive prices
    without_volume: BoolArray  # where others have some
    placed: Placed
    refused: tuple[Finding, ...]


def check(settings: DataSettings, spec: InstrumentSpec) -> QualityReport:
    """Return the quality of the file ``settings.file``.

    Raises:
        DataError: it is no table of bars at all: unreadable, empty, without the columns, or with times that are none.
        ConfigError: no file is given.
    """
    file = settings.file
    series = _of_parquet(file) if file is not None and store.is_parquet(file) else _of_text(settings, spec)
    bars, line = _usable_bars(series)
    suspects = (
        () if settings.rolls_file is not None or series.adjustment != "none" else suspected_rolls(bars, series.spec)
    )
    period_ms = series.placed.period_ms
    complete = completeness(bars.end_ms - period_ms, period_ms, series.spec)
    odd = (
        _found("OUTSIDE_SESSION", series.line[~series.placed.inside]),
        _found("ZERO_VOLUME", series.line[series.without_volume & series.placed.inside]),
        _found("OUTLIER", line[_outliers(bars, period_ms)]),
        _found("ZERO_RANGE", line[bars.high_px == bars.low_px]),
        _found("STALE_RUN", line[_stale_runs(bars)]),
        _found("SUSPECTED_ROLL", line[np.isin(bars.ts_ms, [roll.ts_ms for roll in suspects])]),
    )
    return QualityReport(
        file=series.file,
        instrument=series.spec.name,
        rows=int(series.line.size),
        bars=int(bars.ts_ms.size),
        first_ms=int(series.rows.ts_ms.min()),
        last_ms=int(series.rows.ts_ms.max()),
        period_ms=period_ms,
        adjustment=series.adjustment,
        findings=series.refused + odd,
        missing_bars=complete.missing_bars,
        missing_days=complete.missing_days,
        unused_bars=complete.unused_bars,
        gaps=complete.gaps,
        suspected_rolls=tuple((roll.ts_ms, roll.gap_px) for roll in suspects),
        missing_dates_ms=complete.missing_dates_ms,
        outside_ms=tuple(series.rows.ts_ms[~series.placed.inside][:LINES_SHOWN].tolist()),
        dated=series.placed.moved,
        shift_h=_shift_h(series.rows.ts_ms, period_ms, series.spec),
        rolls=roll_check(settings, series.spec, bars) if series.adjustment == "none" else None,
        adjust=settings.adjust,
        companions=companions(settings, bars),
    )


def _found(code: str, lines: Int64Array, *, refused: bool = False) -> Finding:
    return Finding(code, int(lines.size), tuple(lines[:LINES_SHOWN].tolist()), refused)


def _of_text(settings: DataSettings, spec: InstrumentSpec) -> _Series:
    rows = read_rows(settings, spec)
    placed = place(rows.ts_ms, period_of(rows.ts_ms, settings), spec)
    line = rows.table.line
    flaws = (*row_flaws(rows), *bucket_flaws(rows.ts_ms, placed))
    prices = (rows.open_px, rows.high_px, rows.low_px, rows.close_px)
    bars = BarArrays(placed.ts_ms, placed.end_ms, *prices, store.NO_RATES)
    usable = rows.readable & (np.minimum.reduce(prices) > 0)
    refused = tuple(_found(flaw.code, line[flaw.at], refused=True) for flaw in flaws)
    return _Series(
        rows.table.file, spec, settings.adjustment, bars, line, usable, _without_volume(rows.table), placed, refused
    )


def _without_volume(table: TextTable) -> BoolArray:
    """Return which rows have a volume of zero, none where all have: then the file merely does not know it."""
    if table.names.count("volume") != 1:
        return np.zeros(table.line.size, dtype=np.bool_)
    volume, is_number = table.scaled("volume", 0)
    is_zero = is_number & (volume == 0)
    return np.zeros_like(is_zero) if is_zero.all() else is_zero


def _of_parquet(file: Path) -> _Series:
    """Return an imported series: its rows are without flaw, the import refuses any other."""
    data = store.read_series(file)
    bars, all_of_them = data.bars, np.ones(data.bars.ts_ms.size, dtype=np.bool_)
    line = np.arange(1, bars.ts_ms.size + 1, dtype=np.int64)
    placed = Placed(data.period_ms, bars.ts_ms, bars.end_ms, all_of_them, moved=0)
    refused = tuple(Finding(code, 0, (), refused=True) for code in FLAWS)
    return _Series(file, data.spec, data.adjustment, bars, line, all_of_them, ~all_of_them, placed, refused)


def _usable_bars(series: _Series) -> tuple[BarArrays, Int64Array]:
    """Return the usable bars of the session in order, one a bucket, and their lines."""
    rows = series.rows
    order = np.argsort(rows.ts_ms, kind="stable")
    order = order[series.placed.inside[order] & series.usable[order]]
    order = order[np.unique(rows.end_ms[order], return_index=True)[1]]
    bars = rows._replace(**{name: getattr(rows, name)[order] for name in store.COLUMNS})
    return bars, series.line[order]


def _outliers(bars: BarArrays, period_ms: int) -> Int64Array:
    """Return the bars whose close is unusually far from the one before, judged apart where the market had paused."""
    if bars.ts_ms.size < 2:
        return np.empty(0, dtype=np.int64)
    move = np.diff(np.log(bars.close_px))
    paused = np.diff(bars.end_ms) > period_ms
    far = np.abs(move) > OUTLIER_MIN
    for kind in (paused, ~paused):
        distance = np.abs(move[kind] - np.median(move[kind])) if kind.any() else move[kind]
        usual = NORMAL_MAD * float(np.median(distance)) if kind.any() else 0.0
        far[kind] &= distance > OUTLIER_DEVIATIONS * usual
    return np.flatnonzero(far) + 1


def _shift_h(ts_ms: Int64Array, period_ms: int, spec: InstrumentSpec) -> int:
    """Return by how many hours stamps seem to be off: moved so, far more of them lie in the session. 0: not at all."""
    if period_ms >= DAY_MS:
        return 0
    ts_ms = ts_ms[:: ts_ms.size // SHIFT_ROWS + 1]
    shares = {shift: float(calendar.open_mask(ts_ms + shift * HOUR_MS, spec.session).mean()) for shift in SHIFTS_H}
    best = max(shares, key=lambda shift: (shares[shift], -abs(shift)))
    return best if shares[best] > shares[0] + SHIFT_GAIN else 0


def _stale_runs(bars: BarArrays) -> Int64Array:
    """Return the indexes at which runs of at least `STALE_BARS` equal bars begin."""
    prices = np.stack([bars.open_px, bars.high_px, bars.low_px, bars.close_px])
    starts = (
        np.flatnonzero(np.append(True, (np.diff(prices) != 0).any(axis=0))) if prices.size else np.empty(0, np.int64)
    )
    lengths = np.diff(np.append(starts, bars.ts_ms.size))
    return starts[lengths >= STALE_BARS]


def completeness(present: Int64Array, period_ms: int, spec: InstrumentSpec) -> Completeness:
    """Return what a series with bars in the buckets that begin at ``present``, in order, lacks of the session."""
    expected, missing, unused = _missing(present, period_ms, spec)
    day = calendar.trade_day(expected, spec.core.day_start_ms)
    on_seen_day = np.isin(day, day[~missing])
    return Completeness(
        missing_bars=int(np.count_nonzero(missing & on_seen_day)),
        missing_days=int(np.unique(day[~on_seen_day]).size),
        unused_bars=unused,
        gaps=_biggest_gaps(expected, missing, period_ms),
        missing_dates_ms=tuple((np.unique(day[~on_seen_day])[:LINES_SHOWN] * DAY_MS).tolist()),
    )


def _missing(present: Int64Array, period_ms: int, spec: InstrumentSpec) -> tuple[Int64Array, BoolArray, int]:
    """Return the buckets in which the session opens, which of them have no bar, and how many more there are.

    The latter lie at a time of day at which the file has no row in that year.
    """
    if present.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_), 0
    day_start_ms = spec.core.day_start_ms
    spans = calendar.open_spans(int(present[0]), int(present[-1]) + period_ms, spec.session)
    buckets = [
        np.arange(calendar.bucket_start(start_ms, period_ms, day_start_ms), end_ms, period_ms, dtype=np.int64)
        for start_ms, end_ms in spans
    ]
    expected = np.unique(np.concatenate(buckets))
    missing = ~np.isin(expected, present)
    local_ms = calendar.wall_ms(expected, spec.session.time_zone)
    year = local_ms.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64)
    slot = year * calendar.WEEK_MINUTES + local_ms // MINUTE_MS % (24 * 60)
    used = np.isin(slot, slot[~missing])
    return expected[used], missing[used], int(np.count_nonzero(~used))


def _biggest_gaps(expected: Int64Array, missing: BoolArray, period_ms: int) -> tuple[Gap, ...]:
    edges = np.diff(np.concatenate(([False], missing, [False])).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    biggest = np.argsort(starts - stops, kind="stable")[:GAPS_SHOWN]
    return tuple(
        Gap(int(expected[start]), int(expected[stop - 1]) + period_ms, int(stop - start))
        for start, stop in zip(starts[biggest], stops[biggest], strict=True)
    )
