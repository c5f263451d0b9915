"""Every form in which people have bars reads as the same bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bar_files import Row, hourly_rows, ms, stamped, text_of, written

from palmbot.core.types import BarArrays
from palmbot.errors import DataError
from palmbot.instruments import PALM_OIL
from palmbot.research.data import load
from palmbot.research.tables import LATEST_MS, scaled, times_ms
from palmbot.settings import DataSettings
from palmbot.units import px_of_text, step_px

ROWS = hourly_rows(12)
DATED = [((row[0][:10].replace("-", "."), row[0][11:16]), row) for row in ROWS]


def lines_of(rows: Iterable[Sequence[str]], separator: str) -> str:
    """Return ``rows`` of fields as text."""
    return "".join(separator.join(fields) + "\n" for fields in rows)


def epoch(row: Row, unit_ms: int) -> str:
    """Return the epoch of a row in units of ``unit_ms``."""
    return str(ms(row[0]) // unit_ms)


def comma(row: Row) -> list[str]:
    """Return the prices of a row with a decimal comma."""
    return [f"{float(price):.2f}".replace(".", ",") for price in row[1:]]


PLAIN_HEADER = ["timestamp", "open", "high", "low", "close", "volume"]
OHLC = ["Open", "High", "Low", "Close"]
METATRADER = ["<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<VOL>", "<SPREAD>"]

FORMS: dict[str, str] = {
    "TradingView, epoch seconds": lines_of(
        [["time", "open", "high", "low", "close", "Volume"], *([epoch(row, 1000), *row[1:], "10"] for row in ROWS)], ","
    ),
    "TradingView, ISO, with indicators": lines_of(
        [["time", "open", "high", "low", "close", "Plot", "Plot"], *([*row, "1", "NaN"] for row in ROWS)], ","
    ),
    "epoch milliseconds": lines_of([["unix", *OHLC], *([epoch(row, 1), *row[1:]] for row in ROWS)], ","),
    "MetaTrader 5": lines_of([METATRADER, *([*at, *row[1:], "1", "0", "5"] for at, row in DATED)], "\t"),
    "MetaTrader 5 with seconds": lines_of(
        [METATRADER, *([at[0], f"{at[1]}:00", *row[1:], "1", "0", "5"] for at, row in DATED)], "\t"
    ),
    "MetaTrader 4, no header": lines_of([[*at, *row[1:], "7"] for at, row in DATED], ","),
    "no header, ISO": lines_of([[*row, "7"] for row in ROWS], ","),
    "no header, no volume, epoch": lines_of([[epoch(row, 1000), *row[1:]] for row in ROWS], ";"),
    "compact date and time in one field": lines_of(
        [[row[0][:19].replace("-", "").replace(":", "").replace("T", " "), *row[1:]] for row in ROWS], ";"
    ),
    "semicolons and decimal commas": lines_of([PLAIN_HEADER, *([row[0], *comma(row), "1"] for row in ROWS)], ";"),
    "tabs and decimal commas": lines_of([PLAIN_HEADER, *([row[0], *comma(row), "1"] for row in ROWS)], "\t"),
    "bars": lines_of([PLAIN_HEADER, *([*row, "1"] for row in ROWS)], "|"),
    "spaces": lines_of([PLAIN_HEADER, *([*row, "1"] for row in ROWS)], "   "),
    "spaces and decimal commas, no header": lines_of([[*at, *comma(row)] for at, row in DATED], " "),
    "comma and space": lines_of([PLAIN_HEADER, *([*row, "1"] for row in ROWS)], ", "),
    "another column order": lines_of(
        [
            ["Volume", "Close", "Low", "Date Time", "High", "Open"],
            *(["1", close, low, time, high, opens] for time, opens, high, low, close in ROWS),
        ],
        ",",
    ),
    "offset of Malaysia": text_of(
        stamped(ROWS, lambda time: f"{time[:11]}{(int(time[11:13]) + 8) % 24:02d}{time[13:19]}+08:00")
    ),
    "milliseconds and Z": text_of(stamped(ROWS, lambda time: f"{time[:19]}.000Z")),
    "space for T, UTC": text_of(stamped(ROWS, lambda time: f"{time[:10]} {time[11:19]} UTC")),
    "day first with dots": text_of(stamped(ROWS, lambda time: f"{time[8:10]}.{time[5:7]}.{time[:4]} {time[11:19]}")),
    "quotation marks": lines_of([[f'"{field}"' for field in row] for row in [PLAIN_HEADER[:5], *ROWS]], ","),
    "thousands in a volume that is quoted": lines_of([PLAIN_HEADER, *([*row, '"1,234"'] for row in ROWS)], ","),
    "blank lines": "\n \n\t\n" + text_of(ROWS).replace("\n", "\n\n"),
    "a header that begins with a mark": "#" + text_of(ROWS),
    "signs, exponents and zeros": text_of(
        [(r[0], f"+{r[1]}00", f"{r[2]}.", f"{float(r[3]) / 1000!r}e3", r[4]) for r in ROWS]
    ),
}


def bars_of(file: Path) -> BarArrays:
    """Return the bars of ``file``."""
    return load(DataSettings(file=file), PALM_OIL).bars


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_as_the_same_bars(tmp_path: Path, form: str) -> None:
    plain = bars_of(written(tmp_path, text_of(ROWS), "plain.csv"))
    assert plain.ts_ms.size == len(ROWS)
    read = bars_of(written(tmp_path, FORMS[form]))
    assert [values.tolist() for values in read] == [values.tolist() for values in plain]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_encodings_and_line_ends_of_other_systems_are_read(tmp_path: Path, encoding: str, line_end: str) -> None:
    file = tmp_path / "bars.txt"
    file.write_bytes(text_of(ROWS).replace("\n", line_end).encode(encoding))
    assert bars_of(file).ts_ms.size == len(ROWS)


def test_a_wall_time_that_the_clock_skips_or_shows_twice_is_no_time() -> None:
    stamps = pl.Series(["2024-03-10 01:59", "2024-03-10 02:30", "2024-11-03 01:30", "2024-11-03 02:00"])
    assert times_ms(stamps, "America/New_York")[1].tolist() == [True, False, False, True]
    assert times_ms(stamps, "UTC")[1].all()


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "03/04/2024",
        "04-03-2024",
        "yesterday",
        "",
        "2024-03-04T25:00:00Z",
        "2101-01-01",
        "1969-12-31",
        "12345",
    ],
)
def test_what_could_be_two_times_or_none_is_no_time(text: str) -> None:
    assert not times_ms(pl.Series([text]), "UTC")[1].any()


def test_a_time_of_another_format_than_the_first_is_no_time() -> None:
    stamps = pl.Series(["2024-03-04 02:30", "2024-03-04", "1709519400", "2024-03-04 03:30"])
    assert times_ms(stamps, "UTC")[1].tolist() == [True, False, False, True]


@given(st.integers(0, LATEST_MS // 1000 - 1), st.sampled_from([-720, -210, 0, 345, 480, 840]))
def test_a_time_with_an_offset_is_the_instant_it_names(second: int, offset_min: int) -> None:
    moment = datetime.fromtimestamp(second, UTC).astimezone(timezone(timedelta(minutes=offset_min)))
    value, good = times_ms(pl.Series([moment.isoformat()]), "Europe/Berlin")
    assert good.all()
    assert value.tolist() == [second * 1000]


numbers = st.one_of(
    st.decimals(-999_999_999, 999_999_999, places=9, allow_nan=False).map(lambda number: format(number, "f")),
    st.from_regex(r"[+-]?(\d{1,9}(\.\d{0,12})?|\.\d{1,12})", fullmatch=True).filter(str.isascii),
    st.from_regex(r"[+-]?\d{1,3}(\.\d{0,6})?[eE][+-]?[0-4]", fullmatch=True).filter(str.isascii),
)


@given(st.lists(numbers, min_size=1, max_size=30), st.integers(0, 5))
def test_decimal_text_becomes_the_integer_that_exact_arithmetic_gives(texts: list[str], digits: int) -> None:
    value, good = scaled(pl.Series(texts), digits)
    assert good.all()
    assert [number * step_px(digits) for number in value.tolist()] == [px_of_text(text, digits) for text in texts]


def test_a_tie_is_rounded_away_from_zero_in_every_notation() -> None:
    value, good = scaled(pl.Series(["4000.5", "4.0005e3", "4001.5", "-0.5", "-5e-1", "4000.49999999999999999999"]), 0)
    assert good.all()
    assert value.tolist() == [4001, 4001, 4002, -1, -1, 4000]


@pytest.mark.parametrize(
    "text", ["", " ", "NaN", "inf", "-inf", "1,5", "1.2.3", "0x10", "1_000", "1000000000", "1e10", "٣", "--1"]
)
def test_what_is_no_plain_decimal_number_below_a_thousand_million_is_no_number(text: str) -> None:
    value, good = scaled(pl.Series([text, "1"]), 3)
    assert good.tolist() == [False, True]
    assert value.tolist() == [0, 1_000]


def test_a_decimal_comma_is_none_where_commas_separate(tmp_path: Path) -> None:
    rows = lines_of([PLAIN_HEADER, *([row[0], *(f'"{price}"' for price in comma(row)), "1"] for row in ROWS)], ",")
    with pytest.raises(DataError, match="DATA_NOT_A_PRICE"):
        load(DataSettings(file=written(tmp_path, rows)), PALM_OIL)
