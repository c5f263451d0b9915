"""Rolls of raw series: known ones from a file, unknown ones refused, suspected ones told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.bar_files import Row, daily_rows, hourly_rows, ms, text_of, written

from palmbot import calendar
from palmbot.errors import DataError, PalmbotError
from palmbot.instruments import PALM_OIL
from palmbot.research.data import load
from palmbot.research.result import DataSet
from palmbot.settings import DataSettings
from palmbot.units import HOUR_MS, PX

DAYS = daily_rows(60)  # 4 March to 24 May 2024
GAPS = "roll_date,from_contract,gap_points\n"
FREE = replace(PALM_OIL, core=PALM_OIL.core._replace(spread=0, slippage=0, commission_rate=0))


def loaded(folder: Path, rolls: str | None, rows: list[Row] = DAYS, **settings: object) -> DataSet:
    """Return the rows as loaded with a rolls file."""
    rolls_file = None if rolls is None else written(folder, rolls, "rolls.csv")
    chosen = replace(DataSettings(file=written(folder, text_of(rows))), rolls_file=rolls_file, **settings)  # type: ignore[arg-type]  # replace checks names
    return load(chosen, PALM_OIL if chosen.adjust == "none" else FREE)  # points cannot be scaled with the prices


def shifted(rows: list[Row], index: int, points: int) -> list[Row]:
    """Return ``rows`` with all prices from ``index`` on moved, as a roll would."""
    moved = [(row[0], *(str(int(price) + points) for price in row[1:])) for row in rows[index:]]
    return [*rows[:index], *((time, opens, high, low, close) for time, opens, high, low, close in moved)]


def test_a_roll_happens_at_the_first_bar_of_its_trade_date(tmp_path: Path) -> None:
    rolls = loaded(tmp_path, f"{GAPS}2024-03-18,a,-32.5\n2024-04-16,b,7\n").rolls
    assert rolls.ts_ms.tolist() == [ms("2024-03-18T02:30:00Z"), ms("2024-04-16T02:30:00Z")]
    assert rolls.gap_px.tolist() == [-3_250_000, 7 * PX]


def test_the_night_session_before_is_part_of_the_roll_date(tmp_path: Path) -> None:
    rolls = loaded(tmp_path, f"{GAPS}2024-03-05,a,5\n", hourly_rows(40)).rolls
    assert rolls.ts_ms.tolist() == [ms("2024-03-04T13:00:00Z")]


def test_a_roll_on_a_closed_date_waits_for_the_next_bar(tmp_path: Path) -> None:
    assert loaded(tmp_path, f"{GAPS}2024-03-16,a,5\n").rolls.ts_ms.tolist() == [ms("2024-03-18T02:30:00Z")]


def test_rolls_that_fall_on_one_bar_add_up(tmp_path: Path) -> None:
    rolls = loaded(tmp_path, f"{GAPS}2024-03-17,b,5\n2024-03-16,a,-3\n2024-05-16,c,1\n").rolls
    assert rolls.ts_ms.tolist() == [ms("2024-03-18T02:30:00Z"), ms("2024-05-16T02:30:00Z")]
    assert rolls.gap_px.tolist() == [2 * PX, PX]


def test_rolls_outside_the_bars_concern_nobody_even_with_an_unknown_gap(tmp_path: Path) -> None:
    text = f"{GAPS}2024-01-16,a,\n2024-03-04,b,\n2024-03-18,c,4\n2024-09-17,d,\n"
    assert loaded(tmp_path, text).rolls.gap_px.tolist() == [4 * PX]


def test_a_roll_without_a_known_gap_refuses_the_series(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ROLL_GAP_UNKNOWN") as raised:
        loaded(tmp_path, f"{GAPS}2024-03-18,a,4\n2024-04-16,b,\n")
    assert raised.value.facts["line"] == 3
    assert raised.value.facts["roll_date"] == "2024-04-16"
    assert "data.unknown_rolls=ignore" in raised.value.todo


def test_an_unknown_roll_may_be_ignored_and_that_is_told(tmp_path: Path) -> None:
    data = loaded(tmp_path, f"{GAPS}2024-03-18,a,4\n2024-04-16,b,\n", unknown_rolls="ignore")
    assert data.rolls.gap_px.tolist() == [4 * PX]
    assert any("1 rolls with an unknown gap are ignored" in note for note in data.notes)


def test_an_adjusted_series_has_no_rolls_and_says_that_the_file_is_not_used(tmp_path: Path) -> None:
    data = loaded(tmp_path, f"{GAPS}2024-04-16,b,\n", adjustment="additive")
    assert data.rolls.ts_ms.size == 0
    assert any("rolls.csv are not used" in note for note in data.notes)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (f"{GAPS}2024-03-18,a,much\n", "ROLL_BAD_GAP", 2),
        (f"{GAPS}mid-March,a,4\n", "DATA_BAD_TIME", 2),
        ("contract,offset_points\n2024-05,4\n", "DATA_NO_COLUMN", 1),
        ("roll_date,contract\n2024-03-18,a\n", "DATA_NO_COLUMN", 1),
    ],
)
def test_a_bad_rolls_file_is_one_error(tmp_path: Path, text: str, code: str, line: int) -> None:
    with pytest.raises(DataError, match=code) as raised:
        loaded(tmp_path, text)
    assert raised.value.facts["line"] == line


def test_an_unusual_gap_on_a_roll_date_is_suspected_and_no_more(tmp_path: Path) -> None:
    at = next(index for index, row in enumerate(DAYS) if row[0] >= "2024-04-16")
    data = loaded(tmp_path, None, shifted(DAYS, at, 150))
    suspicion = next(note for note in data.notes if "suspected" in note)
    assert "1 suspected rolls (2024-04-16 +150)" in suspicion
    assert "data.rolls" in suspicion
    assert data.rolls.ts_ms.size == 0


def test_a_continuous_series_raises_no_suspicion(tmp_path: Path) -> None:
    assert not any("suspected" in note for note in loaded(tmp_path, None).notes)


def test_an_unusual_gap_on_another_date_is_not_taken_for_a_roll(tmp_path: Path) -> None:
    at = next(index for index, row in enumerate(DAYS) if row[0] >= "2024-04-09")
    assert not any("suspected" in note for note in loaded(tmp_path, None, shifted(DAYS, at, 150)).notes)


def test_nothing_is_suspected_where_it_would_not_matter(tmp_path: Path) -> None:
    rows = shifted(DAYS, next(index for index, row in enumerate(DAYS) if row[0] >= "2024-04-16"), 150)
    for data in (
        loaded(tmp_path, None, rows, adjustment="additive"),
        loaded(tmp_path, f"{GAPS}2024-04-16,a,150\n", rows),
        load(DataSettings(file=written(tmp_path, text_of(rows))), replace(PALM_OIL, roll_day=0)),
        loaded(tmp_path, None, rows[25:35]),  # too few nights to know what is usual
    ):
        assert not any("suspected" in note for note in data.notes)


def test_the_calendar_knows_every_roll_date_of_the_daily_recording(shared_data: Path) -> None:
    data = load(DataSettings(file=shared_data / "fcpo_daily.csv", period_ms=24 * HOUR_MS), PALM_OIL)
    traded = {calendar.trade_date(ts_ms, PALM_OIL.day_start_ms) for ts_ms in data.bars.ts_ms.tolist()}
    lines = (shared_data / "fcpo_daily_rolls.csv").read_text().splitlines()[1:]
    for rolled in (date.fromisoformat(line.split(",")[0]) for line in lines):
        expected = calendar.roll_date(rolled.year, rolled.month, PALM_OIL.roll_day, PALM_OIL.session)
        assert rolled == min(day for day in traded if day >= expected)


def test_the_recordings_roll_as_their_files_say(shared_data: Path) -> None:
    daily = DataSettings(file=shared_data / "fcpo_daily.csv", rolls_file=shared_data / "fcpo_daily_rolls.csv")
    with pytest.raises(DataError, match="ROLL_GAP_UNKNOWN"):
        load(daily, PALM_OIL)
    assert load(replace(daily, unknown_rolls="ignore"), PALM_OIL).rolls.ts_ms.size == 176 - 21
    minutes = DataSettings(file=shared_data / "fcpo_m1.csv", rolls_file=shared_data / "fcpo_m1_rolls.csv")
    rolls = load(minutes, PALM_OIL).rolls
    assert rolls.gap_px.tolist() == [-32 * PX, -89 * PX]
    assert rolls.ts_ms.tolist() == [ms("2024-11-18T02:30:00Z"), ms("2024-12-16T02:30:00Z")]


def test_suspicion_on_the_raw_recording_falls_on_roll_dates_and_on_few_of_them(shared_data: Path) -> None:
    data = load(DataSettings(file=shared_data / "fcpo_daily.csv"), PALM_OIL)
    suspicion = next(note for note in data.notes if "suspected" in note)
    assert 10 <= int(suspicion.split()[0]) <= 60


# -- adjusting a raw series


def test_an_adjusted_series_has_the_returns_of_whoever_held_through_the_roll(tmp_path: Path) -> None:
    at = 10
    raw = loaded(tmp_path, None, shifted(DAYS, at, 60))
    day = DAYS[at][0][:10]
    data = loaded(tmp_path, f"{GAPS}{day},a,60\n", shifted(DAYS, at, 60), adjust="proportional")
    assert data.adjustment == "proportional"
    assert data.rolls.ts_ms.size == 0
    assert data.fingerprint != raw.fingerprint
    assert data.bars.close_px[at:].tolist() == raw.bars.close_px[at:].tolist()  # the last contract as it is
    factor = (raw.bars.close_px[at - 1] + 60 * PX) / raw.bars.close_px[at - 1]
    step = PALM_OIL.core.step_px
    for name in ("open_px", "high_px", "low_px", "close_px"):
        before = getattr(raw.bars, name)[:at]
        assert abs(getattr(data.bars, name)[:at] - before * factor).max() <= step / 2
    assert (data.bars.high_px >= data.bars.low_px).all()


def test_several_rolls_multiply(tmp_path: Path) -> None:
    rolls = f"{GAPS}{DAYS[10][0][:10]},a,40\n{DAYS[20][0][:10]},b,-20\n"
    raw, data = loaded(tmp_path, None), loaded(tmp_path, rolls, adjust="proportional")
    close = raw.bars.close_px
    factor = (close[9] + 40 * PX) / close[9] * (close[19] - 20 * PX) / close[19]
    assert data.bars.close_px[0] == pytest.approx(close[0] * factor, abs=PALM_OIL.core.step_px)


@pytest.mark.parametrize(
    ("rolls", "adjustment", "code"),
    [
        (None, "none", "ROLLS_MISSING"),
        (f"{GAPS}{DAYS[10][0][:10]},a,\n", "none", "ROLL_GAP_UNKNOWN"),
        (f"{GAPS}{DAYS[10][0][:10]},a,5\n", "additive", "DATA_ADJUSTED_ALREADY"),
        (f"{GAPS}{DAYS[10][0][:10]},a,-99999\n", "none", "ROLL_GAP_TOO_LARGE"),
    ],
)
def test_what_cannot_be_adjusted_is_refused(tmp_path: Path, rolls: str | None, adjustment: str, code: str) -> None:
    with pytest.raises(PalmbotError, match=code):
        loaded(tmp_path, rolls, adjust="proportional", adjustment=adjustment)


def test_the_recording_adjusted_here_moves_as_the_adjusted_recording(shared_data: Path) -> None:
    raw = DataSettings(
        file=shared_data / "fcpo_daily.csv",
        rolls_file=shared_data / "fcpo_daily_rolls.csv",
        unknown_rolls="ignore",
        adjust="proportional",
    )
    ours = load(raw, FREE).bars
    theirs = load(DataSettings(file=shared_data / "fcpo_daily_rolladj.csv", adjustment="proportional"), FREE).bars
    common, here, there = np.intersect1d(ours.ts_ms, theirs.ts_ms, return_indices=True)
    assert common.size == theirs.ts_ms.size
    ratio = ours.close_px[here] / theirs.close_px[there]
    assert ratio.max() / ratio.min() - 1 < 1e-4  # another anchor, the same returns
