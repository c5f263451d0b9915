"""What was joined to the bars was known by then: later rows of other markets, rates and rolls may say what they like.

The clock stands still at an instant; everything known after it is changed at will or taken away, and nothing that was
decided or booked by then may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, data_of, walk
from tests.bar_files import iso
from tests.property.test_clock import PROFILES, past

from palmbot.core.types import Float64Array, Int64Array, Params
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.research import backtest
from palmbot.research.data import load
from palmbot.research.known import read_related
from palmbot.research.moments import bar_of, related_changes
from palmbot.research.result import DataSet, RunResult
from palmbot.research.store import write_series
from palmbot.settings import DataSettings, RelatedSettings
from palmbot.units import DAY_MS, HOUR_MS

BARS, INSTANTS = 3_000, 12
DELAY_MS = 20 * HOUR_MS


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of SYNTHETIC hourly bars."""
    file = tmp_path_factory.mktemp("bars") / "bars.parquet"
    write_series(file, data_of(walk(BARS, 5)))
    return file


def table(file: Path, header: str, ts_ms: Int64Array, values: Float64Array) -> Path:
    """Write rows of time and value."""
    rows = (f"{iso(at)},{value:.3f}" for at, value in zip(ts_ms.tolist(), values.tolist(), strict=True))
    file.write_text("\n".join([header, *rows]), "utf-8")
    return file


def days_of(data: DataSet) -> Int64Array:
    """Return the dates of the bars, at midnight UTC."""
    return np.unique(data.bars.ts_ms // DAY_MS) * DAY_MS


def so_far(result: RunResult, until_ms: int) -> tuple[object, ...]:
    """Return what ended, what was refused and what the account was worth by ``until_ms``."""
    return *past(result, until_ms), result.equity_minor[result.equity_ts_ms <= until_ms].tolist()


def others(
    known_ms: Int64Array, values: Float64Array, until_ms: int, draw: Callable[[int], Float64Array]
) -> Iterator[tuple[slice, Float64Array]]:
    """Yield other worlds: which rows there are, and values that are other where they are known after ``until_ms``."""
    later = known_ms > until_ms
    yield slice(None), np.where(later, draw(len(values)), values)
    yield slice(int(np.count_nonzero(~later))), values


def test_the_change_of_a_related_market_at_a_trade_was_known_by_then(bars: Path, tmp_path: Path) -> None:
    data, rng = load(DataSettings(file=bars), PALM_OIL), np.random.default_rng(2)
    result = backtest.run(data, "rsi_sentiment", PROFILES[0], BALANCE_MINOR)
    trades = backtest.run(data, "rsi_trend", PROFILES[0]._replace(profile=1, rsi_high=55.0), BALANCE_MINOR).trades
    entries_ms = np.array([each.entry_ms for each in (*result.trades, *trades)], np.int64)
    decided_ms = data.bars.end_ms[bar_of(data.bars, entries_ms) - 1]
    assert len(entries_ms) > 50
    days = days_of(data)
    values = 50.0 + rng.normal(0.0, 1.0, len(days)).cumsum() % 40.0
    known_ms = days + DELAY_MS

    def changes(which: slice, of: Float64Array) -> Float64Array:
        file = table(tmp_path / "other.csv", "date,close", days[which], of[which])
        series = read_related(RelatedSettings("other", file, DELAY_MS, rows=2), "UTC")
        return related_changes(replace(data, related=(series,)), entries_ms)["other"]

    whole = changes(slice(None), values)
    assert np.isfinite(whole).mean() > 0.9
    # at a row that is news to a trade a moment after it, where one step to the side would show, and anywhere
    for until_ms in (*rng.choice(decided_ms, INSTANTS), *(rng.choice(known_ms[3:], INSTANTS) - 1)):
        seen = decided_ms <= until_ms
        for which, of in others(known_ms, values, int(until_ms), lambda count: rng.uniform(1.0, 99.0, count)):
            np.testing.assert_array_equal(changes(which, of)[seen], whole[seen])


@pytest.mark.parametrize("params", PROFILES)
def test_a_trade_is_booked_by_rates_known_by_then(bars: Path, tmp_path: Path, params: Params) -> None:
    account: InstrumentSpec = replace(PALM_OIL, deposit_currency="USD")
    rng = np.random.default_rng(3)
    days = days_of(load(DataSettings(file=bars), PALM_OIL))
    known_ms = days + DELAY_MS
    rates = rng.uniform(0.20, 0.26, len(days))

    def played(which: slice, of: Float64Array) -> RunResult:
        file = table(tmp_path / "rates.csv", "known_at,rate", known_ms[which], of[which])
        data = load(DataSettings(file=bars, rates_file=file), account)
        return backtest.run(data, "rsi_trend", params._replace(profile=1, rsi_high=55.0), BALANCE_MINOR)

    whole = played(slice(None), rates)
    assert len(whole.trades) > 20
    for until_ms in rng.choice(known_ms[20:], INSTANTS // 2).tolist():
        for which, of in others(known_ms, rates, until_ms - 1, lambda count: rng.uniform(0.5, 0.9, count)):
            assert so_far(played(which, of), until_ms) == so_far(whole, until_ms)


@pytest.mark.parametrize("params", PROFILES)
def test_the_gap_of_a_roll_changes_nothing_before_it(bars: Path, tmp_path: Path, params: Params) -> None:
    rng = np.random.default_rng(4)
    days = days_of(load(DataSettings(file=bars), PALM_OIL))[7::9]
    gaps = rng.uniform(-40.0, 40.0, len(days))

    def played(which: slice, of: Float64Array) -> RunResult:
        file = table(tmp_path / "rolls.csv", "roll_date,gap_points", days[which], of[which])
        data = load(DataSettings(file=bars, rolls_file=file), PALM_OIL)
        return backtest.run(data, "rsi_trend", params._replace(profile=1, rsi_high=55.0, flat_before=0), BALANCE_MINOR)

    whole = played(slice(None), gaps)
    assert len(whole.trades) > 20
    assert past(played(slice(0), gaps), BARS * DAY_MS * 99) != past(whole, BARS * DAY_MS * 99)  # rolls do cost
    for roll_ms in rng.choice(days[3:], INSTANTS // 2).tolist():
        for which, of in others(days, gaps, roll_ms - 1, lambda count: rng.uniform(-90.0, 90.0, count)):
            began_ms = roll_ms - DAY_MS + PALM_OIL.core.day_start_ms  # a trade date begins on the evening before
            assert so_far(played(which, of), began_ms) == so_far(whole, began_ms)
