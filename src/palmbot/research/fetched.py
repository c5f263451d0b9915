"""From the archive of what a broker told to a file: bars of one's own period, ready for ``--data``, or ticks."""
# ruff: noqa: PLC0415 - polars takes 0.1 s and 40 MB to import: only those who read or write a file pay

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palmbot.calendar import bucket_end, next_open
from palmbot.core.types import BarArrays, Int64Array
from palmbot.instruments import InstrumentSpec
from palmbot.research import store
from palmbot.research.archive import TIME, Archive
from palmbot.research.coverage import Span
from palmbot.research.quality import Completeness, completeness
from palmbot.research.result import DataSet
from palmbot.research.rolls import NO_ROLLS
from palmbot.research.rows import place
from palmbot.units import HOUR_MS

BARS = (TIME, "open_px", "high_px", "low_px", "close_px", "volume")
TICKS = (TIME, "bid_px", "ask_px")
SYNTHETIC_NOTE = "SYNTHETIC: told by a simulated exchange; nothing here says anything about a real market."


@dataclass(frozen=True, slots=True)
class Label:
    """Whose history it is."""

    name: str
    spec: InstrumentSpec
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What a file of history holds: so many bars or ticks, and what the session has beside them.

    The completeness of ticks is that of the hours in which there are any.
    """

    rows: int
    outside_session: int
    first_ms: int
    last_ms: int
    complete: Completeness


def series_of(
    archive: Archive, span: Span, label: Label, piece_ms: int, period_ms: int
) -> tuple[DataSet, Int64Array] | None:
    """Return the bars of ``period_ms`` in ``span`` and their volumes in ticks, shape ``(n,)``; None: there are none.

    A bar is made of the pieces of its bucket that lie in the session (PARITY 26 and 27); its time is its first piece's.
    The first bar is left out where the broker's history may begin in the middle of it.

    Args:
        archive: of bars of ``piece_ms``, none of which lies in two buckets.
        span: whole buckets.
        label: whose bars these are.
        piece_ms: period of the archive's bars.
        period_ms: period of the bars that are wanted.
    """
    ts_ms, *columns = archive.rows(span)
    placed = place(ts_ms, piece_ms, label.spec)
    ts_ms = placed.ts_ms[placed.inside]
    if ts_ms.size == 0:
        return None
    open_px, high_px, low_px, close_px, volume = (column[placed.inside] for column in columns)
    end_ms = bucket_end(ts_ms, period_ms, label.spec.core.day_start_ms)
    first = np.flatnonzero(np.diff(end_ms, prepend=-1))
    opens_ms = next_open(int(end_ms[0]) - period_ms, label.spec.session)
    if piece_ms < period_ms and ts_ms[0] > opens_ms:
        first = first[1:]
    if first.size == 0:
        return None
    last = np.append(first[1:], ts_ms.size) - 1
    bars = BarArrays(
        ts_ms=ts_ms[first],
        end_ms=end_ms[first],
        open_px=open_px[first],
        high_px=np.maximum.reduceat(high_px, first),
        low_px=np.minimum.reduceat(low_px, first),
        close_px=close_px[last],
        rate_e8=store.NO_RATES,
    )
    data = DataSet(
        name=label.name,
        spec=label.spec,
        period_ms=period_ms,
        adjustment="none",
        bars=bars,
        rolls=NO_ROLLS,
        sentiment=store.NO_SENTIMENT,
        rows_read=placed.inside.size,
        rows_outside_session=int(np.count_nonzero(~placed.inside)),
        notes=(SYNTHETIC_NOTE,) if label.synthetic else (),
        fingerprint=store.fingerprint(bars),
        synthetic=label.synthetic,
    )
    return data, np.add.reduceat(volume, first)


def write_bars(path: Path, archive: Archive, span: Span, label: Label, periods_ms: tuple[int, int]) -> Written | None:
    """Write the series that ``series_of`` makes of these to ``path``; None: there is none.

    Raises:
        PalmbotError: ``DATA_NOT_WRITTEN``; what stood at ``path`` is untouched.
    """
    found = series_of(archive, span, label, *periods_ms)
    if found is None:
        return None
    data, volume = found
    store.write_series(path, data, volume)
    bars = data.bars
    return Written(
        rows=bars.ts_ms.size,
        outside_session=data.rows_outside_session,
        first_ms=int(bars.ts_ms[0]),
        last_ms=int(bars.ts_ms[-1]),
        complete=completeness(bars.end_ms - data.period_ms, data.period_ms, data.spec),
    )


def write_ticks(path: Path, archive: Archive, span: Span, label: Label) -> Written | None:
    """Write the ticks of ``span`` to ``path``, never all of them in memory; None: there are none.

    A row is a tick; null says that this side of the market did not tick then.

    Raises:
        PalmbotError: ``DATA_NOT_WRITTEN``; what stood at ``path`` is untouched.
    """
    import polars as pl

    within = [
        archive.lazy(part).filter(pl.col(TIME).is_between(*counted, closed="left"))
        for part, counted in archive.counted(span)
    ]
    rows = pl.concat(within).with_columns(pl.col(name).replace(0, None) for name in TICKS[1:])
    facts = rows.select(pl.len(), pl.col(TIME).min().alias("first"), pl.col(TIME).max().alias("last")).collect()
    count, first_ms, last_ms = facts.row(0)
    if count == 0:
        return None
    hours = rows.select((pl.col(TIME) // HOUR_MS * HOUR_MS).unique().sort()).collect()[TIME].to_numpy()
    about = {
        "version": store.VERSION,
        "name": label.name,
        "instrument": store.plain_spec(label.spec),
        "synthetic": label.synthetic,
        "ticks": count,
        "first_ms": first_ms,
        "last_ms": last_ms,
    }
    part = store.part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.sink_parquet(part, metadata={store.KEY: json.dumps(about)})
        store.put_in_place(part, path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise store.not_written(path, error) from error
    return Written(count, 0, first_ms, last_ms, completeness(hours.copy(), HOUR_MS, label.spec))
