"""The newest value known at an instant, of any series: not before the first, not later than known, not stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bar_files import ms

from palmbot.errors import ConfigError, DataError
from palmbot.research.known import newest, read_related
from palmbot.settings import RelatedSettings
from palmbot.units import DAY_MS, HOUR_MS

DAYS = ("2024-03-04,1,100", "2024-03-05,1,110", "2024-03-06,1,99")
TIMES = st.lists(st.integers(0, 30), max_size=12).map(sorted)


def series(folder: Path, text: str, **changed: int) -> RelatedSettings:
    """Return the settings of a related series with ``text`` as its file."""
    (folder / "soy.csv").write_text(text, "utf-8")
    return RelatedSettings("soy", folder / "soy.csv", **changed)


def daily(folder: Path, **changed: int) -> RelatedSettings:
    """Return three daily bars, known 20 hours after their date."""
    text = "\n".join(["date,open,close", *DAYS])
    return series(folder, text, **{"known_after_ms": 20 * HOUR_MS, **changed})


def at(*times: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return instants."""
    return np.array([ms(each) for each in times], np.int64)


@given(TIMES, st.integers(-1, 31))
def test_the_newest_known_is_the_last_one_known_by_then(known: list[int], instant: int) -> None:
    by_hand = max((index for index, since in enumerate(known) if since <= instant), default=-1)
    assert newest(np.array(known, np.int64), np.array([instant])).tolist() == [by_hand]


def test_a_close_is_known_when_its_delay_is_over_and_not_before(tmp_path: Path) -> None:
    found = read_related(daily(tmp_path), "UTC")
    instants = at("2024-03-05T19:59:59Z", "2024-03-05T20:00:00Z", "2024-03-06T19:59:59Z", "2024-03-06T20:00:00Z")
    fall, rise = np.log(99 / 110), np.log(110 / 100)
    np.testing.assert_allclose(found.changes(instants), [np.nan, rise, rise, fall], rtol=1e-12)


def test_a_change_is_over_so_many_rows_and_goes_stale(tmp_path: Path) -> None:
    assert read_related(daily(tmp_path, rows=2), "UTC").changes(at("2024-03-06T20:00:00Z"))[0] == pytest.approx(
        np.log(0.99), rel=1e-12
    )
    assert np.isnan(read_related(daily(tmp_path, rows=3), "UTC").changes(at("2024-03-06T20:00:00Z"))).all()
    week = read_related(daily(tmp_path, stale_after_ms=DAY_MS), "UTC")
    assert np.isnan(week.changes(at("2024-03-07T20:00:00Z", "2024-03-07T20:00:01Z"))).tolist() == [False, True]


def test_rows_may_say_themselves_since_when_they_are_known_and_the_later_row_wins(tmp_path: Path) -> None:
    text = "known_at,value\n2024-03-05T01:00:00Z,4\n2024-03-04T01:00:00Z,1\n2024-03-05T01:00:00Z,2\n"
    found = read_related(series(tmp_path, text), "UTC")
    assert (found.value.tolist(), found.superseded) == ([1.0, 2.0], 1)
    assert found.changes(at("2024-03-05T01:00:00Z"))[0] == pytest.approx(np.log(2))


def test_a_price_below_zero_has_no_change_and_those_around_it_none_from_it(tmp_path: Path) -> None:
    text = "known_at,value\n" + "".join(f"2024-03-0{day},{value}\n" for day, value in ((1, 9), (2, -3), (3, 9), (4, 9)))
    found = read_related(series(tmp_path, text), "UTC")
    assert np.isnan(found.changes(at(*(f"2024-03-0{day}T00:00:00Z" for day in (1, 2, 3, 4))))).tolist() == [
        True, True, True, False,
    ]  # fmt: skip


def test_an_empty_table_knows_nothing(tmp_path: Path) -> None:
    found = read_related(series(tmp_path, "known_at,value\n"), "UTC")
    assert np.isnan(found.changes(at("2024-03-05T01:00:00Z"))).all()


@pytest.mark.parametrize(
    ("text", "delay_ms", "code"),
    [
        ("date,close\n2024-03-04,1\n", None, "RELATED_DELAY_MISSING"),
        ("known_at,value\n2024-03-04,1\n", HOUR_MS, "RELATED_KNOWN_TWICE"),
        ("time,close\n2024-03-04 01:00,1\n2024-03-04 02:00,1\n", HOUR_MS - 1, "RELATED_DELAY_TOO_SHORT"),
    ],
)
def test_a_bar_without_a_right_delay_is_refused(tmp_path: Path, text: str, delay_ms: int | None, code: str) -> None:
    told = RelatedSettings("soy", series(tmp_path, text).file, delay_ms)
    with pytest.raises(ConfigError, match=code) as refused:
        read_related(told, "UTC")
    assert refused.value.facts["setting"] == "data.related.soy.known_after"


def test_what_is_no_number_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RELATED_NOT_A_NUMBER") as refused:
        read_related(series(tmp_path, "known_at,value\n2024-03-04,1\n2024-03-05,n/a\n"), "UTC")
    assert refused.value.facts["line"] == 3
