"""The quality report on the clock of a file, its rolls, and what is joined to its bars; and how all of it reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.bar_files import Row, daily_rows, hourly_rows, ms, stamped, text_of, written

from palmbot.cli.quality import report_text
from palmbot.errors import ConfigError
from palmbot.instruments import PALM_OIL
from palmbot.research.quality import QualityReport, check
from palmbot.settings import DataSettings, RelatedSettings
from palmbot.units import HOUR_MS

HOURS = hourly_rows(60)
ROLL_DATES = ("2024-03-18", "2024-04-16")


def jumping(first: int = 150, second: int = 150) -> list[Row]:
    """Return daily bars that jump on two roll dates."""
    rows = []
    for time, *prices in daily_rows(60):
        more = first * (time[:10] >= ROLL_DATES[0]) + second * (time[:10] >= ROLL_DATES[1])
        open_, high, low, close = (str(int(price) + more) for price in prices)
        rows.append((time, open_, high, low, close))
    return rows


def on_rolls(folder: Path, *gaps: str, adjust: str = "none") -> QualityReport:
    """Return the report on those bars with a file of rolls, one a gap."""
    file = folder / "rolls.csv"
    rows = [f"{date},{gap}" for date, gap in zip(ROLL_DATES, gaps, strict=False)]
    file.write_text("\n".join(["roll_date,gap_points", *rows]), "utf-8")
    bars = written(folder, text_of(jumping()))
    return check(DataSettings(file=bars, rolls_file=file, adjust=adjust), PALM_OIL)


def by_clock(time: str, hours: int) -> str:
    """Return ``time`` moved by so many hours."""
    return (datetime.fromisoformat(time) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_given_rolls_explain_the_jumps_of_the_bars(tmp_path: Path) -> None:
    rolls = on_rolls(tmp_path, "150", "150").rolls
    assert rolls is not None
    assert (rolls.given, rolls.unknown, rolls.found, rolls.contradicted, rolls.unexplained) == (2, 0, 2, (), ())
    assert 1.07 < rolls.factor < 1.08


def test_a_roll_that_is_missing_has_no_gap_or_points_the_other_way_is_told(tmp_path: Path) -> None:
    jump_ms = [ms(f"{date}T02:30:00Z") for date in ROLL_DATES]
    for gaps, given, unknown, found in ((("150",), 1, 0, 1), (("150", ""), 1, 1, 1)):
        rolls = on_rolls(tmp_path, *gaps).rolls
        assert rolls is not None
        assert (rolls.given, rolls.unknown, rolls.found) == (given, unknown, found)
        assert [each.ts_ms for each in rolls.unexplained] == jump_ms[1:]
    rolls = on_rolls(tmp_path, "-150", "150").rolls
    assert rolls is not None
    assert ([each.ts_ms for each in rolls.contradicted], rolls.found) == (jump_ms[:1], 1)


def test_what_the_rolls_do_is_said(tmp_path: Path) -> None:
    assert "2 with a known gap: each is charged" in report_text(on_rolls(tmp_path, "150", "150"))
    assert "the oldest by 1.07" in report_text(on_rolls(tmp_path, "150", "150", adjust="proportional"))
    adjusted = check(DataSettings(file=written(tmp_path, text_of(jumping())), adjustment="additive"), PALM_OIL)
    assert "adjusted away (additive)" in report_text(adjusted)
    assert adjusted.rolls is None


@pytest.mark.parametrize("hours", [8, -3])
def test_stamps_by_another_clock_are_suspected(tmp_path: Path, hours: int) -> None:
    file = written(tmp_path, text_of(stamped(HOURS, lambda time: by_clock(time, hours))))
    report = check(DataSettings(file=file), PALM_OIL)
    assert report.shift_h == -hours
    assert f"stamps moved by {-hours:+} h" in report_text(report)
    assert check(DataSettings(file=written(tmp_path, text_of(HOURS))), PALM_OIL).shift_h == 0


def test_a_date_alone_is_told_to_be_taken_as_the_opening(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(stamped(daily_rows(30), lambda time: time[:10])))
    report = check(DataSettings(file=file), PALM_OIL)
    assert report.dated == 30
    assert "30 stamps name a day" in report_text(report)


def test_days_without_bars_and_stamps_outside_have_their_dates(tmp_path: Path) -> None:
    rows = [row for row in HOURS if not "2024-03-04T11" < row[0] < "2024-03-05T11"]
    report = check(DataSettings(file=written(tmp_path, text_of([*rows[:7], ("2024-03-04T10:00:00Z", *rows[6][1:]),
                                                                *rows[7:]]))), PALM_OIL)  # fmt: skip
    assert report.missing_dates_ms == (ms("2024-03-05T00:00:00Z"),)
    assert report.outside_ms == (ms("2024-03-04T10:00:00Z"),)
    assert "first days: 2024-03-05" in report_text(report)


def test_a_volume_of_zero_is_odd_where_others_have_some(tmp_path: Path) -> None:
    text = text_of(HOURS)
    for quiet, count in ((3, 3), (60, 0)):
        few = text.replace(",10\n", ",0\n", quiet)
        report = check(DataSettings(file=written(tmp_path, few)), PALM_OIL)
        assert {each.code: each.count for each in report.findings}["ZERO_VOLUME"] == count


def test_a_slip_of_the_pen_is_an_outlier_there_and_back(tmp_path: Path) -> None:
    rows = list(HOURS)
    rows[15] = (rows[15][0], "4000", "4700", "3999", "4700")
    report = check(DataSettings(file=written(tmp_path, text_of(rows))), PALM_OIL)
    assert {each.code: each.lines for each in report.findings}["OUTLIER"] == (17, 18)


def test_what_is_joined_has_its_span_its_share_and_what_cannot_be(tmp_path: Path) -> None:
    sentiment, soy = tmp_path / "mood.csv", tmp_path / "soy.csv"
    sentiment.write_text(
        "known_at,score,published_at\n2024-03-05T12:00:00Z,5,2024-03-05T12:00:00Z\n"
        "2024-03-06T12:00:00Z,5,2024-03-06T13:00:00Z\n2024-03-06T12:00:00Z,6,\n",
        "utf-8",
    )
    soy.write_text("date,close\n2024-03-04,30\n", "utf-8")
    related = RelatedSettings("soy", soy, 20 * HOUR_MS, stale_after_ms=24 * HOUR_MS)
    told = DataSettings(file=written(tmp_path, text_of(HOURS)), sentiment_file=sentiment, related=(related,))
    report = check(told, PALM_OIL)
    mood, oil = report.companions
    assert (mood.rows, mood.superseded, mood.too_early) == (3, 1, 1)
    ends = [ms(row[0]) // HOUR_MS * HOUR_MS + HOUR_MS for row in HOURS]
    assert mood.covered == sum(end >= ms("2024-03-05T12:00:00Z") for end in ends) / 60
    fresh = [ms("2024-03-04T20:00:00Z") <= end <= ms("2024-03-05T20:00:00Z") for end in ends]
    assert oil.covered == sum(fresh) / 60 > 0
    assert "known before they were published" in report_text(report)
    assert json.loads(json.dumps(report.to_json()))["companions"][1]["name"] == "soy"
    with pytest.raises(ConfigError, match="RELATED_DELAY_MISSING"):
        check(replace(told, related=(replace(related, known_after_ms=None),)), PALM_OIL)


def test_the_report_on_a_bad_file_fits_on_a_screen(tmp_path: Path) -> None:
    rows = [row for index, row in enumerate(hourly_rows(600)) if index % 7]
    text = report_text(check(DataSettings(file=written(tmp_path, text_of(rows))), PALM_OIL))
    assert len(text.splitlines()) < 30
    assert max(map(len, text.splitlines()[1:])) <= 140
