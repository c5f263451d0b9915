"""The quality report finds everything that the loader refuses, all of it, and what is merely odd."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from tests.bar_files import Row, daily_rows, hourly_rows, ms, text_of, written

from palmbot.calendar import Session
from palmbot.errors import DataError
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.research.data import import_file, load
from palmbot.research.quality import FLAWS, QualityReport, check
from palmbot.settings import DataSettings
from palmbot.units import HOUR_MS

ROWS = hourly_rows(40)
FOUR = ("4000", "4001", "3999", "4000")


def checked(folder: Path, rows: list[Row], spec: InstrumentSpec = PALM_OIL) -> QualityReport:
    """Return the report on ``rows``."""
    return check(DataSettings(file=written(folder, text_of(rows)), period_ms=HOUR_MS), spec)


def counts(report: QualityReport) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return count and lines of what was found."""
    return {finding.code: (finding.count, finding.lines) for finding in report.findings if finding.count}


def test_a_good_file_has_nothing_to_report(tmp_path: Path) -> None:
    report = checked(tmp_path, ROWS)
    assert report.ok
    assert counts(report) == {}
    assert (report.rows, report.bars, report.missing_bars, report.missing_days, report.gaps) == (40, 40, 0, 0, ())
    assert (report.first_ms, report.last_ms) == (ms(ROWS[0][0]), ms(ROWS[-1][0]))


def test_every_flaw_is_found_with_its_lines_and_the_file_is_not_ok(tmp_path: Path) -> None:
    rows = list(ROWS)
    rows[1] = (rows[1][0], "NaN", *FOUR[1:])
    rows[2] = (rows[2][0], "-1", *FOUR[1:])
    rows[3] = (rows[3][0], "4009", *FOUR[1:])
    rows[5], rows[6] = rows[6], rows[5]
    rows[9] = (rows[8][0], *FOUR)
    rows[12] = (rows[11][0].replace(":00:00Z", ":20:00Z"), *FOUR)
    rows[15] = (rows[15][0].replace(":00:00Z", ":59:30Z"), *FOUR)
    report = checked(tmp_path, rows)
    assert not report.ok
    assert counts(report) == {
        "DATA_NOT_A_PRICE": (1, (3,)),
        "DATA_NOT_POSITIVE": (1, (4,)),
        "DATA_OHLC": (1, (5,)),
        "DATA_NOT_SORTED": (1, (8,)),
        "DATA_DUPLICATE": (1, (11,)),
        "DATA_TWO_ROWS_IN_BUCKET": (1, (14,)),
        "DATA_TIME_TOO_LATE": (1, (17,)),
    }


def test_a_repeated_time_is_found_wherever_it_stands(tmp_path: Path) -> None:
    report = checked(tmp_path, [*ROWS, ROWS[3], ROWS[3]])
    assert counts(report) == {"DATA_NOT_SORTED": (1, (42,)), "DATA_DUPLICATE": (2, (42, 43))}
    assert (report.rows, report.bars) == (42, 40)


def test_the_report_knows_every_flaw_that_the_loader_refuses(tmp_path: Path) -> None:
    from_text = [finding.code for finding in checked(tmp_path, ROWS).findings if finding.refused]
    assert from_text == list(FLAWS)
    path = import_file(written(tmp_path, text_of(ROWS)), PALM_OIL, tmp_path)
    assert [
        finding.code for finding in check(DataSettings(file=path), PALM_OIL).findings if finding.refused
    ] == from_text


def test_only_the_first_few_lines_are_listed(tmp_path: Path) -> None:
    report = checked(tmp_path, [(row[0], "0", *FOUR[1:]) for row in ROWS[:20]] + ROWS[20:])
    assert counts(report)["DATA_NOT_POSITIVE"] == (20, (2, 3, 4, 5, 6))


def test_rows_outside_the_session_are_counted_and_no_reason_to_refuse(tmp_path: Path) -> None:
    report = checked(tmp_path, [*ROWS[:7], ("2024-03-04T10:00:00Z", *FOUR), *ROWS[7:]])
    assert report.ok
    assert counts(report) == {"OUTSIDE_SESSION": (1, (9,))}
    assert (report.rows, report.bars) == (41, 40)


def test_a_file_wholly_outside_the_session_is_not_ok(tmp_path: Path) -> None:
    report = checked(tmp_path, [(f"2024-03-04T{hour}:00:00Z", *FOUR) for hour in (17, 18, 19)])
    assert not report.ok
    assert (report.bars, report.missing_bars, report.gaps) == (0, 0, ())


def test_missing_bars_are_those_of_open_sessions_only(tmp_path: Path) -> None:
    rows = [
        row for row in ROWS if row[0] not in {"2024-03-05T03:00:00Z", "2024-03-05T04:00:00Z", "2024-03-05T08:00:00Z"}
    ]
    report = checked(tmp_path, rows)
    assert (report.missing_bars, report.missing_days) == (3, 0)
    assert [(gap.from_ms, gap.to_ms, gap.bars) for gap in report.gaps] == [
        (ms("2024-03-05T03:00:00Z"), ms("2024-03-05T05:00:00Z"), 2),
        (ms("2024-03-05T08:00:00Z"), ms("2024-03-05T09:00:00Z"), 1),
    ]


def test_a_day_without_rows_is_a_missing_day_unless_the_calendar_calls_it_a_holiday(tmp_path: Path) -> None:
    night_and_day = [row for row in ROWS if not "2024-03-04T11" < row[0] < "2024-03-05T11"]
    report = checked(tmp_path, night_and_day)
    assert (report.missing_bars, report.missing_days) == (0, 1)
    assert report.gaps[0].bars == 10
    closed = Session(PALM_OIL.session.time_zone, PALM_OIL.session.intervals, frozenset({date(2024, 3, 5)}))
    report = checked(tmp_path, [row for row in ROWS if "2024-03-05" not in row[0]], replace(PALM_OIL, session=closed))
    assert (report.missing_bars, report.missing_days, report.gaps) == (0, 0, ())


def test_hours_that_the_file_never_has_in_a_year_are_not_called_missing(tmp_path: Path) -> None:
    nights = [row for row in ROWS if row[0][11:13] in {"13", "14", "15"}]
    without_nights = [row for row in ROWS if row not in nights]
    report = checked(tmp_path, without_nights)
    assert (report.missing_bars, report.missing_days) == (0, 0)
    assert report.unused_bars == sum(night[0] < without_nights[-1][0] for night in nights) > 0


def test_zero_range_bars_and_stale_runs_are_counted(tmp_path: Path) -> None:
    flat = ("4000", "4000", "4000", "4000")
    rows = list(ROWS)
    rows[3] = (rows[3][0], *flat)
    for index in range(10, 15):
        rows[index] = (rows[index][0], *FOUR)
    for index in range(20, 24):  # four alike are no run
        rows[index] = (rows[index][0], *FOUR)
    assert counts(checked(tmp_path, rows)) == {"ZERO_RANGE": (1, (5,)), "STALE_RUN": (1, (12,))}


def test_suspected_rolls_are_listed_with_their_gap(tmp_path: Path) -> None:
    rows = daily_rows(60)
    moved = [(t, *(str(int(price) + 150 * (t >= "2024-04-16")) for price in prices)) for t, *prices in rows]
    file = written(tmp_path, text_of(moved))  # type: ignore[arg-type]  # five strings each
    report = check(DataSettings(file=file), PALM_OIL)
    assert report.suspected_rolls == ((ms("2024-04-16T02:30:00Z"), 15_000_000),)
    assert counts(report)["SUSPECTED_ROLL"] == (1, (33,))
    assert check(DataSettings(file=file, adjustment="additive"), PALM_OIL).suspected_rolls == ()


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    shown = json.loads(json.dumps(checked(tmp_path, ROWS[:3] + ROWS[4:]).to_json()))
    assert shown["ok"] is True
    assert shown["first"] == "2024-03-04T02:30:00.000Z"
    assert shown["gaps"] == [{"from": "2024-03-04T06:00:00.000Z", "to": "2024-03-04T07:00:00.000Z", "bars": 1}]


def test_an_import_has_the_report_of_its_bars(tmp_path: Path) -> None:
    rows = ROWS[:5] + ROWS[7:]
    file = written(tmp_path, text_of(rows))
    of_text = check(DataSettings(file=file), PALM_OIL)
    of_import = check(DataSettings(file=import_file(file, PALM_OIL, tmp_path)), PALM_OIL)
    assert replace(of_import, file=file) == of_text


@pytest.mark.parametrize(("text", "code"), [("", "DATA_EMPTY"), ("a,b\n1,2\n", "DATA_NO_COLUMN")])
def test_what_is_no_table_of_bars_has_no_report(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(DataError, match=code):
        check(DataSettings(file=written(tmp_path, text)), PALM_OIL)


def test_the_report_and_the_loader_agree_on_the_recordings(shared_data: Path) -> None:
    expected = {
        "fcpo_hourly": (881, 15, 65),
        "fcpo_daily": (0, 0, 223),
        "fcpo_daily_rolladj": (0, 0, 202),
        "fcpo_m1": (0, 854, 3),
    }
    for name, (outside, missing_bars, missing_days) in expected.items():
        settings = DataSettings(file=shared_data / f"{name}.csv", adjustment="additive")
        report, data = check(settings, PALM_OIL), load(settings, PALM_OIL)
        assert report.ok
        assert (report.rows, report.bars) == (data.rows_read, data.bars.ts_ms.size)
        assert counts(report).get("OUTSIDE_SESSION", (0, ()))[0] == outside == data.rows_outside_session
        assert (report.missing_bars, report.missing_days) == (missing_bars, missing_days)
        assert report.period_ms == data.period_ms
