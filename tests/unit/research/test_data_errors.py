"""A bad file is one error: a code, the file, the line, and what was expected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.bar_files import HEADER, Row, daily_rows, hourly_rows, text_of, written

from palmbot.errors import DataError
from palmbot.instruments import PALM_OIL
from palmbot.research.data import load
from palmbot.settings import DataSettings
from palmbot.units import HOUR_MS, SECOND_MS

ROWS = hourly_rows(8)
FOUR = ("4000", "4001", "3999", "4000")


def refused(file: Path, **settings: object) -> DataError:
    """Return the error that loading ``file`` raises."""
    with pytest.raises(DataError) as raised:
        load(replace(DataSettings(file=file), **settings), PALM_OIL)  # type: ignore[arg-type]  # replace checks names
    assert raised.value.exit_code == 2
    assert raised.value.todo
    assert raised.value.todo in str(raised.value)
    return raised.value


def with_row(index: int, row: Row) -> str:
    """Return the rows with one replaced."""
    return text_of([*ROWS[:index], row, *ROWS[index + 1 :]])


def priced(index: int, *prices: str) -> str:
    """Return the rows with the prices of one replaced."""
    opens, high, low, close = prices
    return with_row(index, (ROWS[index][0], opens, high, low, close))


BROKEN = {
    "a price that is NaN": (priced(2, "4000", "NaN", "3999", "4000"), "DATA_NOT_A_PRICE", 4),
    "a price that is blank": (priced(2, "4000", "4001", "", "4000"), "DATA_NOT_A_PRICE", 4),
    "a price that is a word": (priced(7, "4000", "4001", "3999", "close"), "DATA_NOT_A_PRICE", 9),
    "a price of zero": (priced(0, "4000", "4001", "0", "4000"), "DATA_NOT_POSITIVE", 2),
    "a price that rounds to zero": (priced(0, "4000", "4001", "0.0004", "4000"), "DATA_NOT_POSITIVE", 2),
    "a negative price": (priced(3, "4000", "4001", "-37.63", "4000"), "DATA_NOT_POSITIVE", 5),
    "a high below the open": (priced(3, "4002", "4001", "3999", "4000"), "DATA_OHLC", 5),
    "a high below the close": (priced(3, "4000", "4001", "3999", "4002"), "DATA_OHLC", 5),
    "a low above the open": (priced(4, "3998", "4001", "3999", "4000"), "DATA_OHLC", 6),
    "a low above the close": (priced(4, "4000", "4001", "3999", "3998"), "DATA_OHLC", 6),
    "a time before the last": (with_row(4, ("2024-03-04T02:45:00Z", *FOUR)), "DATA_NOT_SORTED", 6),
    "newest first": (text_of(ROWS[::-1]), "DATA_NOT_SORTED", 3),
    "a time twice": (with_row(4, (ROWS[3][0], *FOUR)), "DATA_DUPLICATE", 6),
    "two rows in a bucket": (with_row(4, ("2024-03-04T06:45:00Z", *FOUR)), "DATA_TWO_ROWS_IN_BUCKET", 6),
    "a stamp at the end of the bar": (with_row(1, ("2024-03-04T03:59:30Z", *FOUR)), "DATA_TIME_TOO_LATE", 3),
    "a time that is none": (with_row(5, ("2024-03-04T99:00:00Z", *FOUR)), "DATA_BAD_TIME", 7),
    "a first time that is none": (with_row(0, ("Monday", *FOUR)), "DATA_BAD_TIME", 2),
    "a row that is too short": (text_of(ROWS) + "2024-03-06T02:30:00Z,4000,4001\n", "DATA_BAD_ROW", 10),
    "a row that is too long": (text_of(ROWS) + ",".join((ROWS[0][0], *FOUR, "1", "2")), "DATA_BAD_ROW", 10),
    "a quotation that does not end": (text_of(ROWS).replace("4000.25", '"4000.25'), "DATA_BAD_ROW", 9),
    "no column for the close": (text_of(ROWS, HEADER.replace("close", "last")), "DATA_NO_COLUMN", 1),
    "no column for the time": (text_of(ROWS, HEADER.replace("timestamp", "when")), "DATA_NO_COLUMN", 1),
    "two columns for the close": (text_of(ROWS, HEADER.replace("volume", "Close")), "DATA_COLUMN_TWICE", 1),
    "quotation marks and a price that is none": (
        priced(4, "4000", "NaN", "3999", "4000").replace("10\n", '"1,000"\n'),
        "DATA_NOT_A_PRICE",
        6,
    ),
    "one column": ("12345\n67890\n", "DATA_NO_COLUMN", 1),
    "no row": (HEADER + "\n", "DATA_EMPTY", 1),
    "nothing": ("", "DATA_EMPTY", 1),
    "blank lines only": ("\n\n \n", "DATA_EMPTY", 1),
    "nothing in the session": (
        text_of((f"2024-03-0{day}T20:00:00Z", *FOUR) for day in (4, 5)),
        "DATA_OUTSIDE_SESSION",
        2,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_error_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, code, line = BROKEN[case]
    file = written(tmp_path, text)
    # with a given period the single-row cases cannot hide behind a missing one
    error = refused(file, period_ms=None if "session" in case else HOUR_MS)
    assert (error.code, error.facts["file"], error.facts["line"]) == (code, file, line)


def test_lines_are_counted_as_an_editor_does_also_with_blank_lines(tmp_path: Path) -> None:
    text = "\n\n" + priced(2, "4000", "NaN", "3999", "4000")
    assert refused(written(tmp_path, text)).facts["line"] == 6


def test_the_error_shows_what_was_found(tmp_path: Path) -> None:
    error = refused(written(tmp_path, priced(3, "4002", "4001", "3999", "4000")))
    assert error.facts["ohlc"] == "4002/4001/3999/4000"
    assert str(error.facts["time"]).startswith("2024-03-04T06:30:00")


def test_a_broken_row_outside_the_session_is_an_error_too(tmp_path: Path) -> None:
    text = text_of([*ROWS[:7], ("2024-03-04T10:00:00Z", "4000", "3000", "4000", "4000")])
    assert refused(written(tmp_path, text)).code == "DATA_OHLC"


def test_two_rows_in_a_bucket_outside_the_session_are_left_out_together(tmp_path: Path) -> None:
    text = text_of([*ROWS[:7], ("2024-03-04T10:00:00Z", *FOUR), ("2024-03-04T10:30:00Z", *FOUR)])
    assert load(DataSettings(file=written(tmp_path, text), period_ms=HOUR_MS), PALM_OIL).rows_outside_session == 2


def test_one_row_has_no_period(tmp_path: Path) -> None:
    error = refused(written(tmp_path, text_of(ROWS[:1])))
    assert error.code == "DATA_NO_PERIOD"
    assert "data.period" in error.todo


def test_a_bar_is_at_least_as_long_as_its_four_ticks(tmp_path: Path) -> None:
    rows = [(f"2024-03-04T02:30:{second:02d}Z", *FOUR) for second in range(0, 60, 10)]
    assert refused(written(tmp_path, text_of(rows))).code == "DATA_PERIOD_TOO_SHORT"
    assert refused(written(tmp_path, text_of(ROWS)), period_ms=30 * SECOND_MS).code == "DATA_PERIOD_TOO_SHORT"


def test_daily_rows_read_as_weeks_share_buckets(tmp_path: Path) -> None:
    error = refused(written(tmp_path, text_of(daily_rows(9))), period_ms=7 * 24 * HOUR_MS)
    assert error.code == "DATA_TWO_ROWS_IN_BUCKET"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.csv", None),
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00"),
        ("zeros.csv", b"time,open\n\0\0\0\0"),
        ("bad.csv", b"a\nb\xff"),
    ],
)
def test_what_cannot_be_read_as_text_says_so(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    error = refused(file)
    assert (error.code, error.facts["file"]) == ("DATA_UNREADABLE", file)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "DATA_UNREADABLE"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("known_at,score\n2024-03-04T00:00:00Z,10\n2024-03-05T00:00:00Z,100.1\n", "SENTIMENT_BAD_SCORE", 3),
        ("known_at,score\n2024-03-04T00:00:00Z,nan\n", "SENTIMENT_BAD_SCORE", 2),
        ("known_at,score\n2024-03-04T00:00:00Z,\n", "SENTIMENT_BAD_SCORE", 2),
        ("known_at,score\nsoon,10\n", "DATA_BAD_TIME", 2),
        ("time,score\n2024-03-04T00:00:00Z,10\n", "DATA_NO_COLUMN", 1),
        ("known_at,value\n2024-03-04T00:00:00Z,10\n", "DATA_NO_COLUMN", 1),
        ("2024-03-04T00:00:00Z,10\n", "DATA_NO_COLUMN", 1),
        ("", "DATA_EMPTY", 1),
    ],
)
def test_a_bad_sentiment_file_is_one_error(tmp_path: Path, text: str, code: str, line: int) -> None:
    sentiment = written(tmp_path, text, "sentiment.csv")
    error = refused(written(tmp_path, text_of(ROWS)), sentiment_file=sentiment)
    assert (error.code, error.facts["file"], error.facts["line"]) == (code, sentiment, line)


@pytest.mark.parametrize("rate", ["0", "-4.2", "NaN", "", "0.000000001"])
def test_a_rate_is_above_zero(tmp_path: Path, rate: str) -> None:
    rates = written(tmp_path, f"known_at,rate\n2024-03-04T00:00:00Z,4.2\n2024-03-05T00:00:00Z,{rate}\n", "rates.csv")
    with pytest.raises(DataError, match="RATE_NOT_POSITIVE") as raised:
        load(
            DataSettings(file=written(tmp_path, text_of(ROWS)), rates_file=rates),
            replace(PALM_OIL, deposit_currency="USD"),
        )
    assert raised.value.facts["line"] == 3


def test_a_rate_that_no_price_of_five_decimals_can_say_is_refused(tmp_path: Path) -> None:
    rates = written(tmp_path, "known_at,rate\n2024-03-04T00:00:00Z,0.000005\n2024-03-05T00:00:00Z,0.0000049\n", "r.csv")
    with pytest.raises(DataError, match="RATE_NOT_SAYABLE") as raised:
        load(
            DataSettings(file=written(tmp_path, text_of(ROWS)), rates_file=rates),
            replace(PALM_OIL, quote_currency="IDR", deposit_currency="MYR"),
        )
    assert raised.value.facts["line"] == 3
