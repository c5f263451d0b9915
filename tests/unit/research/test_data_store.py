"""Imported series: what goes in comes out, with its instrument; anything else says what it is."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bar_files import HEADER, Row, daily_rows, hourly_rows, iso, ms, text_of, written

from palmbot.calendar import Session
from palmbot.core.types import CostKind
from palmbot.errors import DataError, PalmbotError
from palmbot.instruments import PALM_OIL
from palmbot.research import store
from palmbot.research.data import import_file, list_imported, load
from palmbot.research.result import DataSet
from palmbot.settings import DataSettings
from palmbot.units import DAY_MS, HOUR_MS

PRINT = ("2024-03-04T10:00:00Z", "4000", "4000", "4000", "4000")


def plain(data: DataSet) -> dict[str, Any]:
    """Return ``data`` with lists for arrays, so that two can be compared."""
    shown = {each.name: getattr(data, each.name) for each in fields(data)}
    return shown | {name: [values.tolist() for values in shown[name]] for name in ("bars", "rolls", "sentiment")}


def test_an_import_loads_as_the_file_it_came_from(tmp_path: Path) -> None:
    file = written(tmp_path, text_of([*hourly_rows(7), PRINT, *hourly_rows(20)[7:]]))
    path = import_file(file, PALM_OIL, tmp_path / "data" / "bars")
    assert path == tmp_path / "data" / "bars" / "bars.parquet"
    assert plain(load(DataSettings(file=path), PALM_OIL)) == plain(load(DataSettings(file=file), PALM_OIL))
    assert all(values.flags.writeable for values in load(DataSettings(file=path), PALM_OIL).bars)


prices = st.lists(st.integers(1, 10**9), min_size=4, max_size=4).map(sorted)  # low, open, close, high in 1/1000


@given(st.lists(prices, min_size=2, max_size=30))
def test_every_price_survives_the_import(tmp_path_factory: pytest.TempPathFactory, bars: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("import")
    rows: list[Row] = []
    for index, steps in enumerate(bars):
        low, opens, close, high = (f"{step // 1000}.{step % 1000:03d}" for step in steps)
        rows.append((iso(ms("2024-03-04T00:00:00Z") + HOUR_MS * index), opens, high, low, close))
    spec = replace(PALM_OIL, session=Session())
    settings = DataSettings(file=written(folder, text_of(rows)), adjustment="additive")
    from_text = load(settings, spec)
    from_import = load(DataSettings(file=import_file(folder / "bars.csv", spec, folder, settings)), spec)
    assert plain(from_import) == plain(from_text)
    columns = [[step * 100 for step in column] for column in zip(*bars, strict=True)]
    assert [values.tolist() for values in from_text.bars[2:6]] == [columns[1], columns[3], columns[0], columns[2]]


def test_an_import_carries_its_instrument_and_costs_and_the_account_stays_the_callers(tmp_path: Path) -> None:
    session = Session("Asia/Kuala_Lumpur", ((0, 7 * 1440),), frozenset({date(2024, 12, 25), date(2024, 1, 1)}))
    costs = PALM_OIL.core._replace(spread_kind=int(CostKind.PPM), spread=700, swap_long=-3, leverage=5)
    spec = replace(PALM_OIL, name="mine", symbol="FCPO", session=session, core=costs, roll_day=0)
    path = import_file(written(tmp_path, text_of(hourly_rows(9))), spec, tmp_path)
    ours = replace(
        PALM_OIL, balance=7, deposit_currency="USD", core=PALM_OIL.core._replace(leverage=30, money_digits=3)
    )
    data = load(DataSettings(file=path), ours)
    account = {"leverage": 30, "money_digits": 3}
    assert data.spec == replace(spec, balance=7, deposit_currency="USD", core=costs._replace(**account))
    assert any("those of the file (mine)" in note for note in data.notes)


def test_settings_that_an_import_contradicts_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path, text_of(daily_rows(9)))
    path = import_file(source, PALM_OIL, tmp_path, DataSettings(adjustment="additive"))
    assert load(DataSettings(file=path), PALM_OIL).adjustment == "additive"
    assert load(DataSettings(file=path, adjustment="additive", period_ms=DAY_MS), PALM_OIL).period_ms == DAY_MS
    for settings in (DataSettings(file=path, period_ms=HOUR_MS), DataSettings(file=path, adjustment="proportional")):
        with pytest.raises(DataError, match="DATA_CONTRADICTS"):
            load(settings, PALM_OIL)


def test_an_imported_file_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    path = import_file(written(tmp_path, text_of(daily_rows(9))), PALM_OIL, tmp_path)
    renamed = path.rename(tmp_path / "daily.csv")
    assert load(DataSettings(file=renamed), PALM_OIL).bars.ts_ms.size == 9
    with pytest.raises(DataError, match="DATA_IMPORTED"):
        import_file(renamed, PALM_OIL, tmp_path)


def test_an_import_replaces_the_one_before_and_leaves_no_part_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_file(written(tmp_path, text_of(daily_rows(9))), PALM_OIL, out)
    path = import_file(written(tmp_path, text_of(daily_rows(5))), PALM_OIL, out)
    assert load(DataSettings(file=path), PALM_OIL).bars.ts_ms.size == 5
    assert [each.name for each in out.iterdir()] == ["bars.parquet"]


def test_a_bad_file_is_not_imported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="DATA_EMPTY"):
        import_file(written(tmp_path, HEADER), PALM_OIL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(daily_rows(9)))
    with pytest.raises(PalmbotError, match="DATA_NOT_WRITTEN"):
        import_file(file, PALM_OIL, file / "out")


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = import_file(written(tmp_path, text_of(daily_rows(9))), PALM_OIL, tmp_path)
    before = path.read_bytes()
    (tmp_path / f".{path.name}.part").mkdir()
    with pytest.raises(PalmbotError, match="DATA_NOT_WRITTEN"):
        import_file(written(tmp_path, text_of(daily_rows(5))), PALM_OIL, tmp_path)
    assert path.read_bytes() == before


def test_odd_names_become_plain_file_names(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(daily_rows(9)), "MYX_DLY FCPO1!, 1D.csv")
    path = import_file(file, PALM_OIL, tmp_path)
    assert path.name == "MYX_DLY_FCPO1___1D.parquet"
    assert load(DataSettings(file=path), PALM_OIL).name == "MYX_DLY FCPO1!, 1D"


def test_somebody_elses_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "foreign.parquet"
    pl.DataFrame({"ts_ms": [1], "close": [2.0]}).write_parquet(file)
    with pytest.raises(DataError, match="DATA_FOREIGN_PARQUET"):
        load(DataSettings(file=file), PALM_OIL)


def test_a_torn_file_is_unreadable(tmp_path: Path) -> None:
    path = import_file(written(tmp_path, text_of(daily_rows(9))), PALM_OIL, tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="DATA_UNREADABLE"):
        load(DataSettings(file=path), PALM_OIL)


def test_bars_that_are_not_those_that_were_written_are_refused(tmp_path: Path) -> None:
    path = import_file(written(tmp_path, text_of(daily_rows(9))), PALM_OIL, tmp_path)
    frame = pl.read_parquet(path).with_columns(pl.col("close_px") + 100)
    frame.write_parquet(path, metadata={store.KEY: pl.read_parquet_metadata(path)[store.KEY]})
    with pytest.raises(DataError, match="DATA_CHANGED"):
        load(DataSettings(file=path), PALM_OIL)


def test_an_instrument_that_is_incomplete_is_unreadable(tmp_path: Path) -> None:
    path = import_file(written(tmp_path, text_of(daily_rows(9))), PALM_OIL, tmp_path)
    about = pl.read_parquet_metadata(path)[store.KEY].replace('"leverage"', '"lever"')
    pl.read_parquet(path).write_parquet(path, metadata={store.KEY: about})
    with pytest.raises(DataError, match="DATA_UNREADABLE"):
        load(DataSettings(file=path), PALM_OIL)


def test_the_list_says_what_each_import_is_and_what_is_none(tmp_path: Path) -> None:
    assert list_imported(tmp_path / "nowhere") == ()
    import_file(written(tmp_path, text_of(daily_rows(9)), "daily.csv"), PALM_OIL, tmp_path)
    pl.DataFrame({"ts_ms": [1]}).write_parquet(tmp_path / "foreign.parquet")
    daily, foreign = list_imported(tmp_path)
    shown = daily.to_json()
    assert (daily.symbol, daily.bars, daily.period_ms, daily.adjustment) == ("PALMOIL", 9, DAY_MS, "none")
    assert (shown["first"], shown["problem"]) == ("2024-03-04T02:30:00.000Z", "")
    assert shown["fingerprint"] == load(DataSettings(file=daily.path), PALM_OIL).fingerprint
    assert "DATA_FOREIGN_PARQUET" in foreign.to_json()["problem"]


def test_a_fingerprint_is_the_same_on_every_machine(tmp_path: Path) -> None:
    rows = [("2024-03-04T02:30:00Z", "4000", "4001", "3999", "4000.5")]
    bars = load(DataSettings(file=written(tmp_path, text_of(rows)), period_ms=HOUR_MS), PALM_OIL).bars
    recorded = "0a0a2fca0ac7907e23c1825f7d81255831539bdaf95a7a0dc71d56ae4dec2a46"
    assert store.fingerprint(bars) == recorded
    assert store.fingerprint(bars._replace(rate_e8=np.ones(1, dtype=np.int64))) != recorded


@pytest.mark.parametrize(("name", "adjustment"), [("fcpo_hourly", "additive"), ("fcpo_m1", "none")])
def test_the_recordings_survive_the_import(shared_data: Path, tmp_path: Path, name: str, adjustment: str) -> None:
    settings = DataSettings(file=shared_data / f"{name}.csv", adjustment=adjustment)
    path = import_file(shared_data / f"{name}.csv", PALM_OIL, tmp_path, settings)
    assert plain(load(DataSettings(file=path), PALM_OIL)) == plain(load(settings, PALM_OIL))
