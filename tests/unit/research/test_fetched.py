"""From a broker's bars to a series of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palmbot.calendar import Session
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.research.archive import Archive
from palmbot.research.coverage import Span
from palmbot.research.data import load
from palmbot.research.fetched import BARS, TICKS, Label, series_of, write_bars, write_ticks
from palmbot.settings import DataSettings
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

MONDAY_MS = 1_704_672_000_000  # 8 January 2024, 00:00 UTC; Bursa opens at 02:30
ALL = Span(0, 10**14)
ALWAYS = replace(PALM_OIL, session=Session())


def archive_of(folder: Path, *bars: tuple[int, int]) -> Archive:
    """Return an archive of bars ``(ts_ms, close in steps)``."""
    archive = Archive(folder / "x.parts", BARS, DAY_MS)
    archive.folder.mkdir()
    ts_ms, close = np.array(bars, dtype=np.int64).T
    px = close * PALM_OIL.core.step_px
    one = np.ones(ts_ms.size, dtype=np.int64)
    archive.add(Span(0, int(ts_ms[-1]) + 1), [ts_ms, px, px + 300, px - 200, px, one])
    return archive


def label(spec: InstrumentSpec = ALWAYS, *, synthetic: bool = False) -> Label:
    return Label("x", spec, synthetic)


def test_bars_are_joined_on_the_instrument_s_grid(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, *((MONDAY_MS + hour * HOUR_MS, 100 + hour) for hour in range(8)))
    found = series_of(archive, ALL, label(), HOUR_MS, 4 * HOUR_MS)
    assert found is not None
    data, volume = found
    assert data.bars.ts_ms.tolist() == [MONDAY_MS, MONDAY_MS + 4 * HOUR_MS]
    assert data.bars.end_ms.tolist() == [MONDAY_MS + 4 * HOUR_MS, MONDAY_MS + 8 * HOUR_MS]
    step = PALM_OIL.core.step_px
    assert data.bars.open_px.tolist() == [100 * step, 104 * step]
    assert data.bars.high_px.tolist() == [103 * step + 300, 107 * step + 300]
    assert data.bars.low_px.tolist() == [100 * step - 200, 104 * step - 200]
    assert data.bars.close_px.tolist() == [103 * step, 107 * step]
    assert volume.tolist() == [4, 4]


def test_a_first_bar_that_may_lack_its_beginning_is_left_out(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, *((MONDAY_MS + hour * HOUR_MS, 100) for hour in range(1, 8)))
    found = series_of(archive, ALL, label(), HOUR_MS, 4 * HOUR_MS)
    assert found is not None
    assert found[0].bars.ts_ms.tolist() == [MONDAY_MS + 4 * HOUR_MS]
    whole = series_of(archive, ALL, label(), HOUR_MS, HOUR_MS)
    assert whole is not None
    assert whole[0].bars.ts_ms.size == 7


def test_a_bar_of_the_opening_begins_when_the_session_does(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, *((MONDAY_MS + hour * HOUR_MS, 100) for hour in range(12)))
    found = series_of(archive, ALL, label(PALM_OIL), HOUR_MS, 4 * HOUR_MS)
    assert found is not None
    opens_ms = MONDAY_MS + 2 * HOUR_MS + 30 * MINUTE_MS
    assert found[0].bars.ts_ms.tolist() == [opens_ms, MONDAY_MS + 4 * HOUR_MS, MONDAY_MS + 8 * HOUR_MS]
    assert (found[0].rows_read, found[0].rows_outside_session) == (12, 5)  # two before, one at noon, two after


def test_a_time_without_the_session_has_no_series(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, (MONDAY_MS, 100), (MONDAY_MS + HOUR_MS, 100))
    assert series_of(archive, ALL, label(PALM_OIL), HOUR_MS, HOUR_MS) is None


@pytest.mark.parametrize("synthetic", [True, False])
def test_what_was_written_is_what_the_loader_loads(tmp_path: Path, synthetic: bool) -> None:
    hours = (*range(24), 25, 26, 29)  # at one of these hours nothing is ever heard
    archive = archive_of(tmp_path, *((MONDAY_MS + hour * HOUR_MS, 100 + hour) for hour in hours if hour != 4))
    found = series_of(archive, ALL, label(synthetic=synthetic), HOUR_MS, HOUR_MS)
    assert found is not None
    written = write_bars(tmp_path / "x.parquet", archive, ALL, label(synthetic=synthetic), (HOUR_MS, HOUR_MS))
    assert written is not None
    assert (written.rows, written.complete.missing_bars, written.complete.unused_bars) == (26, 2, 2)
    loaded = load(DataSettings(file=tmp_path / "x.parquet"), ALWAYS)
    assert loaded.fingerprint == found[0].fingerprint
    assert loaded.synthetic is synthetic
    assert any("SYNTHETIC" in note for note in loaded.notes) is synthetic


def test_no_ticks_at_all_write_no_file(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "t.parts", TICKS, DAY_MS)
    archive.folder.mkdir()
    archive.add(Span(0, 100), [np.empty(0, np.int64)] * 3)
    assert write_ticks(tmp_path / "t.parquet", archive, Span(0, 100), label()) is None
    assert not (tmp_path / "t.parquet").exists()
