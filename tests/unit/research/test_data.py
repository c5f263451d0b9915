"""The loader: what a good file becomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.bar_files import HEADER, daily_rows, hourly_rows, ms, stamped, text_of, written

from palmbot.calendar import Session
from palmbot.core.types import CommissionKind, CostKind
from palmbot.errors import ConfigError
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.research.data import load
from palmbot.research.result import DataSet
from palmbot.settings import DataSettings
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, RATE_ONE_E8

IN_PERCENT = PALM_OIL.core._replace(
    spread_kind=int(CostKind.PPM),
    spread=500,
    slippage_kind=int(CostKind.PPM),
    slippage=100,
    commission_kind=int(CommissionKind.PERCENT_OF_VALUE),
    commission_rate=2_500,
)
DOLLARS = replace(PALM_OIL, deposit_currency="USD")


def loaded(file: Path, spec: InstrumentSpec = PALM_OIL, **settings: object) -> DataSet:
    """Return ``file`` as loaded with a few settings."""
    return load(replace(DataSettings(file=file), **settings), spec)  # type: ignore[arg-type]  # names are checked by replace


def test_prices_are_rounded_half_up_to_the_digits_from_their_text(tmp_path: Path) -> None:
    rows = [("2024-03-04T02:30:00Z", "4000.0005", "4001.0015", "3999.99949999", "4000.00049999999999999999")]
    spec = replace(PALM_OIL, digits=3)
    bars = loaded(written(tmp_path, text_of(rows)), spec, period_ms=HOUR_MS).bars
    assert (bars.open_px[0], bars.high_px[0], bars.low_px[0], bars.close_px[0]) == (
        400_000_100,
        400_100_200,
        399_999_900,
        400_000_000,
    )


def test_the_step_follows_the_digits_of_the_instrument(tmp_path: Path) -> None:
    rows = [("2024-03-04T02:30:00Z", "4000.5", "4001.4", "3999.5", "4000.49")]
    spec = replace(PALM_OIL, digits=0, core=PALM_OIL.core._replace(step_px=100_000))
    bars = loaded(written(tmp_path, text_of(rows)), spec, period_ms=HOUR_MS).bars
    assert [int(prices[0]) for prices in bars[2:6]] == [400_100_000, 400_100_000, 400_000_000, 400_000_000]


def test_a_bar_keeps_its_stamp_and_ends_with_its_bucket(tmp_path: Path) -> None:
    bars = loaded(written(tmp_path, text_of(hourly_rows(4))), period_ms=HOUR_MS).bars
    assert bars.ts_ms.tolist() == [ms(f"2024-03-04T{time}:00Z") for time in ("02:30", "03:00", "04:00", "06:30")]
    assert bars.end_ms.tolist() == [ms(f"2024-03-04T{hour}:00:00Z") for hour in ("03", "04", "05", "07")]


def test_the_period_is_the_most_frequent_difference_and_is_told(tmp_path: Path) -> None:
    data = loaded(written(tmp_path, text_of(hourly_rows(30))))
    assert data.period_ms == HOUR_MS
    assert any("1h bars" in note and "data.period" in note for note in data.notes)


def test_of_two_equally_frequent_differences_the_shorter_is_the_period(tmp_path: Path) -> None:
    stamps = ("2024-03-04T02:30:00Z", "2024-03-04T03:30:00Z", "2024-03-04T04:00:00Z")
    data = loaded(written(tmp_path, text_of((stamp, "4000", "4001", "3999", "4000") for stamp in stamps)))
    assert data.period_ms == 30 * MINUTE_MS


def test_a_given_period_is_taken_without_a_word(tmp_path: Path) -> None:
    data = loaded(written(tmp_path, text_of(daily_rows(3))), period_ms=DAY_MS)
    assert data.period_ms == DAY_MS
    assert data.notes == ()
    assert data.bars.end_ms[0] == ms("2024-03-04T11:00:00Z")


def test_the_closing_print_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = hourly_rows(7)  # ends with the bar of 09:00Z
    rows.append(("2024-03-04T10:00:00Z", "4000", "4000", "4000", "4000"))
    data = loaded(written(tmp_path, text_of(rows)))
    assert (data.rows_read, data.rows_outside_session, data.bars.ts_ms.size) == (8, 1, 7)
    assert data.bars.ts_ms[-1] == ms("2024-03-04T09:00:00Z")
    assert any("1 of 8 rows lie outside" in note for note in data.notes)


def test_a_daily_row_that_is_a_mere_date_starts_with_the_session(tmp_path: Path) -> None:
    rows = stamped(daily_rows(5), lambda time: time[:10])
    data = loaded(written(tmp_path, text_of(rows)))
    assert data.bars.ts_ms.tolist() == loaded(written(tmp_path, text_of(daily_rows(5)))).bars.ts_ms.tolist()
    assert any("5 rows are stamped before the session opens" in note for note in data.notes)


def test_a_date_in_the_time_zone_of_the_instrument_starts_with_the_session_too(tmp_path: Path) -> None:
    rows = stamped(daily_rows(5), lambda time: f"{time[:10]}T00:00:00+08:00")
    data = loaded(written(tmp_path, text_of(rows)))
    assert data.bars.ts_ms[0] == ms("2024-03-04T02:30:00Z")


def test_a_date_on_which_the_session_does_not_open_is_left_out(tmp_path: Path) -> None:
    rows = [(f"2024-03-{day:02d}", "4000", "4001", "3999", "4000") for day in range(4, 12)]
    data = loaded(written(tmp_path, text_of(rows)))
    assert data.rows_outside_session == 2  # Saturday and Sunday
    assert data.bars.ts_ms.size == 6


def test_a_row_that_is_stamped_with_the_start_of_its_bucket_starts_with_the_session(tmp_path: Path) -> None:
    rows = stamped(hourly_rows(20), lambda time: f"{time[:13]}:00:00Z")  # 02:00Z for the bar that opens at 02:30Z
    data = loaded(written(tmp_path, text_of(rows)))
    assert data.bars.ts_ms.tolist() == [ms(time) for time, *_ in hourly_rows(20)]
    assert data.rows_outside_session == 0


def test_a_row_inside_a_closed_bucket_or_in_the_middle_of_one_is_not_moved(tmp_path: Path) -> None:
    closed = ("2024-03-05T00:00:00Z", "2024-03-05T02:15:00Z", "2024-03-05T10:00:00Z")
    rows = [*hourly_rows(10), *((time, "4000", "4001", "3999", "4000") for time in closed)]
    data = loaded(written(tmp_path, text_of(rows)))
    assert data.rows_outside_session == 3
    assert not any("before the session opens" in note for note in data.notes)


def test_four_hour_bars_keep_the_bar_in_which_the_session_opens(tmp_path: Path) -> None:
    hours = ("00", "04", "08", "12", "16", "20")  # 16:00Z and 20:00Z hold no open minute
    rows = [(f"2024-03-0{day}T{hour}:00:00Z", "4000", "4001", "3999", "4000") for day in (4, 5) for hour in hours]
    data = loaded(written(tmp_path, text_of(rows)))
    opens = [f"2024-03-0{day}T{time}:00Z" for day in (4, 5) for time in ("02:30", "04:00", "08:00", "13:00")]
    assert data.bars.ts_ms.tolist() == [ms(time) for time in opens]


def test_the_arrays_are_int64_contiguous_and_writable_as_compiled_code_expects(tmp_path: Path) -> None:
    bars = loaded(written(tmp_path, text_of(hourly_rows(9)))).bars
    for values in bars:
        assert values.dtype == np.int64
        assert values.flags.c_contiguous
        assert values.flags.writeable


def test_equal_bars_have_an_equal_fingerprint_and_one_step_changes_it(tmp_path: Path) -> None:
    first = loaded(written(tmp_path, text_of(hourly_rows(9)), "a.csv"))
    same = loaded(written(tmp_path, text_of(hourly_rows(9)).replace(",", ";"), "b.csv"))
    other = loaded(written(tmp_path, text_of(hourly_rows(9)).replace("4000.25", "4000.251"), "c.csv"))
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert (first.name, same.name) == ("a", "b")


def test_no_file_at_all_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="DATA_NO_FILE"):
        load(DataSettings(), PALM_OIL)


def test_point_costs_of_a_proportionally_adjusted_series_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(daily_rows(3)))
    with pytest.raises(ConfigError, match="COSTS_IN_POINTS") as raised:
        loaded(file, adjustment="proportional")
    assert "spread, slippage, commission" in raised.value.todo
    assert loaded(file, replace(PALM_OIL, core=IN_PERCENT), adjustment="proportional").adjustment == "proportional"
    assert loaded(file, adjustment="additive").adjustment == "additive"


@pytest.mark.parametrize("field", ["spread", "slippage", "commission", "swap"])
def test_each_cost_in_points_is_found(tmp_path: Path, field: str) -> None:
    in_points = {
        "spread": {"spread_kind": int(CostKind.POINTS)},
        "slippage": {"slippage_kind": int(CostKind.POINTS)},
        "commission": {"commission_kind": int(CommissionKind.PER_LOT_QUOTE)},
        "swap": {"swap_short": -1},
    }
    spec = replace(PALM_OIL, core=IN_PERCENT._replace(**in_points[field]))
    with pytest.raises(ConfigError, match="COSTS_IN_POINTS") as raised:
        loaded(written(tmp_path, text_of(daily_rows(3))), spec, adjustment="proportional")
    assert raised.value.todo.startswith(f"Give {field} in percent")


def test_one_currency_has_no_rates(tmp_path: Path) -> None:
    assert loaded(written(tmp_path, text_of(daily_rows(3)))).bars.rate_e8.shape == (0,)


def test_a_rate_is_the_last_one_known_at_the_first_tick(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(daily_rows(4)))
    rates = "known_at,rate\n2024-03-06T02:30:00Z,0.25\n2024-03-05T02:30:00Z,0.2\n2024-03-07T02:30:01Z,0.3\n"
    data = loaded(file, DOLLARS, rates_file=written(tmp_path, rates, "rates.csv"))
    assert data.bars.rate_e8.tolist() == [0, RATE_ONE_E8 // 5, RATE_ONE_E8 // 4, RATE_ONE_E8 // 4]
    assert any("1 bars come before the first rate" in note for note in data.notes)
    assert data.fingerprint != loaded(file).fingerprint


def test_a_rate_is_rounded_to_what_a_price_of_the_listed_pair_can_say(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(daily_rows(2)))
    rates = written(tmp_path, "known_at,rate\n2024-03-04T00:00:00Z,0.22365\n2024-03-05T00:00:00Z,0.22365001\n", "r.csv")
    dollars = loaded(file, DOLLARS, rates_file=rates)  # USDMYR at 4.47127, both times
    assert dollars.bars.rate_e8.tolist() == [22_365_010, 22_365_010]
    francs = loaded(file, replace(PALM_OIL, quote_currency="USD", deposit_currency="CHF"), rates_file=rates)
    assert francs.bars.rate_e8.tolist() == [22_365_000, 22_365_000]  # USDCHF at 0.22365


def test_without_rates_two_currencies_never_convert_and_it_is_told(tmp_path: Path) -> None:
    data = loaded(written(tmp_path, text_of(daily_rows(3))), DOLLARS)
    assert data.bars.rate_e8.tolist() == [0, 0, 0]
    assert any("every entry will be refused" in note for note in data.notes)


def test_sentiment_is_ordered_by_when_it_was_known_and_the_later_row_of_a_tie_stays_later(tmp_path: Path) -> None:
    rows = "2024-03-05T00:00:00Z,10\n2024-03-04T00:00:00Z,-33.3\n2024-03-05T00:00:00Z,20\n1709510400000,5\n"
    header = "known_at,score,published_at,source\n"
    with_source = "".join(f"{row},2024-03-01T00:00:00Z,wire\n" for row in rows.splitlines()[:3])
    sentiment = loaded(
        written(tmp_path, text_of(daily_rows(3))),
        sentiment_file=written(tmp_path, header + with_source, "sentiment.csv"),
    ).sentiment
    assert sentiment.known_ms.tolist() == [ms(f"2024-03-0{day}T00:00:00Z") for day in (4, 5, 5)]
    assert sentiment.score.tolist() == [-33.3, 10.0, 20.0]


def test_no_sentiment_file_and_one_without_rows_are_no_sentiment(tmp_path: Path) -> None:
    file = written(tmp_path, text_of(daily_rows(3)))
    assert loaded(file).sentiment.known_ms.size == 0
    empty = written(tmp_path, "known_at,score\n", "sentiment.csv")
    assert loaded(file, sentiment_file=empty).sentiment.score.size == 0


def test_times_without_an_offset_are_those_of_the_given_zone(tmp_path: Path) -> None:
    rows = [("2024-03-04 10:30", "4000", "4001", "3999", "4000"), ("2024-03-04 11:00", "4000", "4001", "3999", "4000")]
    data = loaded(written(tmp_path, text_of(rows)), time_zone="Asia/Kuala_Lumpur", period_ms=HOUR_MS)
    assert data.bars.ts_ms.tolist() == [ms("2024-03-04T02:30:00Z"), ms("2024-03-04T03:00:00Z")]


def test_the_hourly_recording_loses_its_closing_prints_and_nothing_else(shared_data: Path) -> None:
    data = loaded(shared_data / "fcpo_hourly.csv", adjustment="additive")
    assert (data.rows_read, data.rows_outside_session, data.bars.ts_ms.size) == (7_064, 881, 6_183)
    assert data.period_ms == HOUR_MS
    stamps = [line.split(",")[0] for line in (shared_data / "fcpo_hourly.csv").read_text().splitlines()[1:]]
    kept = [ms(stamp) for stamp in stamps if not stamp.endswith("T10:00:00Z")]
    assert data.bars.ts_ms.tolist() == kept


@pytest.mark.parametrize(
    ("name", "rows", "period_ms"),
    [("fcpo_daily", 3_607, DAY_MS), ("fcpo_daily_rolladj", 3_178, DAY_MS), ("fcpo_m1", 28_246, MINUTE_MS)],
)
def test_the_other_recordings_lose_nothing(shared_data: Path, name: str, rows: int, period_ms: int) -> None:
    data = loaded(shared_data / f"{name}.csv")
    assert (data.rows_read, data.rows_outside_session, data.bars.ts_ms.size) == (rows, 0, rows)
    assert data.period_ms == period_ms


def test_a_session_that_is_always_open_keeps_every_row(tmp_path: Path) -> None:
    rows = [(f"2024-03-0{day}T00:00:00Z", "4000", "4001", "3999", "4000") for day in range(1, 9)]
    spec = replace(PALM_OIL, session=Session(), core=PALM_OIL.core._replace(day_start_ms=0))
    data = loaded(written(tmp_path, text_of(rows, HEADER)), spec)
    assert data.rows_outside_session == 0
    assert data.bars.ts_ms[0] == ms("2024-03-01T00:00:00Z")
