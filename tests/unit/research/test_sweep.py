"""What the sweep refuses, what it answers where there is nothing to find, and what it leaves to the replay."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from threading import Event

import numpy as np
import pytest
from tests.unit.research.sweep_series import FREE, NO_ROLLS, NO_SENTIMENT, bars_of, series_of, walk

from palmbot.core.types import BarArrays, Params, Profile, RollArrays
from palmbot.errors import ConfigError, DataError
from palmbot.research import sweep as sweeping
from palmbot.research.sweep import SPAN_LANES_MAX, Series, _spans, sweep
from palmbot.research.sweep_params import TABLE, grid_of, table_of
from palmbot.units import DAY_MS, HOUR_MS

pytestmark = pytest.mark.timeout(600)  # the first test may have to compile the kernels

TREND = Params(profile=int(Profile.RSI_TREND), rsi_low=45.0, rsi_high=55.0, warmup_bars=15)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("SWEEP_TOO_FEW_BARS", lambda bars: BarArrays(*(column[:1] for column in bars))),
        ("SWEEP_TOO_FEW_BARS", lambda bars: BarArrays(*(column[:0] for column in bars))),
        ("SWEEP_BARS_UNEVEN", lambda bars: bars._replace(low_px=bars.low_px[:-1])),
        ("SWEEP_BARS_UNEVEN", lambda bars: bars._replace(rate_e8=np.ones(3, np.int64))),
        ("SWEEP_BARS_UNEVEN", lambda bars: bars._replace(ahead=np.zeros(3, np.int64))),
        ("SWEEP_BARS_NOT_SORTED", lambda bars: BarArrays(*(column[::-1] for column in bars))),
        ("SWEEP_BARS_NOT_SORTED", lambda bars: bars._replace(ts_ms=bars.ts_ms * 0 + bars.ts_ms[0])),
        ("SWEEP_BARS_NOT_SORTED", lambda bars: bars._replace(end_ms=bars.end_ms + 1)),
        ("SWEEP_BARS_NOT_SORTED", lambda bars: bars._replace(end_ms=bars.ts_ms)),
        ("SWEEP_BARS_NOT_POSITIVE", lambda bars: bars._replace(low_px=bars.low_px * 0)),
        ("SWEEP_BARS_NOT_WHOLE", lambda bars: bars._replace(open_px=bars.open_px / 3)),
    ],
)
def test_bars_that_cannot_be_traded_are_refused(code: str, change: Callable[[BarArrays], BarArrays]) -> None:
    with pytest.raises(DataError, match=code):
        series_of(change(walk(20)))


def test_rolls_and_sentiment_out_of_order_are_refused() -> None:
    late_first = RollArrays(np.array([2, 1]), np.array([0, 0]))
    with pytest.raises(DataError, match="SWEEP_ROLLS_NOT_SORTED"):
        Series(FREE, walk(20), late_first, NO_SENTIMENT)
    rows = NO_SENTIMENT._replace(known_ms=np.array([2, 1]), score=np.zeros(2))
    with pytest.raises(DataError, match="SWEEP_SENTIMENT_NOT_SORTED"):
        Series(FREE, walk(20), NO_ROLLS, rows)


def test_a_request_for_nothing_or_nonsense_is_refused() -> None:
    series = series_of(walk(20))
    with pytest.raises(ConfigError, match="SWEEP_NO_COMBINATIONS"):
        sweep(series, np.zeros(0, TABLE), 1_000)
    for balance, threads in ((0, 1), (-5, 1), (1_000, 0)):
        with pytest.raises(ConfigError, match="SWEEP_NOT_POSITIVE"):
            sweep(series, table_of([Params()]), balance, threads=threads)
    for field in ("rsi_period", "atr_period"):
        with pytest.raises(ConfigError, match=f"SWEEP_BAD_PERIOD.*{field}"):
            sweep(series, table_of([Params()._replace(**{field: 0})]), 1_000)


def test_one_combination_is_answered_with_one_row() -> None:
    found = sweep(series_of(walk(400)), table_of([TREND]), 10_000_000)
    assert found.results.shape == (1,)
    assert found.results["trades"][0] > 0


@pytest.mark.parametrize(
    ("params", "refusals"),
    [
        (TREND._replace(warmup_bars=1_000), 0),  # longer than the series
        (TREND._replace(rsi_low=-1.0, rsi_high=101.0), 0),  # never asks
        (Params(warmup_bars=15), "some"),  # asks, and has no sentiment
    ],
)
def test_no_trade_at_all_is_an_answer(params: Params, refusals: int | str) -> None:
    (row,) = sweep(series_of(walk(400)), table_of([params]), 10_000_000).results
    assert (row["trades"], row["wins"], row["losses"], row["profit_minor"], row["loss_minor"]) == (0, 0, 0, 0, 0)
    assert (row["balance_minor"], row["equity_minor"], row["max_drawdown_pct"]) == (10_000_000, 10_000_000, 0.0)
    assert row["refusals"] > 0 if refusals == "some" else row["refusals"] == refusals


def test_two_bars_are_enough_for_an_answer_and_never_for_a_closed_trade() -> None:
    bars = bars_of([(4_000, 4_000, 4_000, 4_000), (4_000, 4_100, 3_900, 4_000)])
    (row,) = sweep(
        series_of(bars), table_of([TREND._replace(warmup_bars=1, rsi_high=40.0, sl_ppm=900_000, tp_ppm=900_000)]), 10**9
    ).results
    assert row["trades"] == 0
    assert row["max_drawdown_pct"] > 0.0  # the position stands open, and its low was seen


def test_a_trade_won_is_counted_in_money() -> None:
    """Bought one lot at 4 000 when RSI was 50 > 40, sold at the target two per cent higher."""
    rows = [(4_000, 4_000, 4_000, 4_000)] * 3 + [(4_000, 4_090, 3_990, 4_080)] + [(4_080, 4_081, 4_079, 4_080)]
    instrument = FREE._replace(volume_step_cu=2_500, volume_min_cu=2_500, volume_max_cu=2_500)
    params = TREND._replace(warmup_bars=3, rsi_high=40.0, rsi_low=0.0, risk_fraction=1.0, losses_max=0)
    (row,) = sweep(series_of(bars_of(rows), instrument), table_of([params]), 100_000_000).results
    assert (row["trades"], row["wins"], row["losses"]) == (1, 1, 0)
    assert row["profit_minor"] == 80 * 25 * 100  # 80 points of a lot of 25 t, in cents
    assert row["balance_minor"] == 100_000_000 + 200_000
    assert row["max_drawdown_pct"] == 10 * 25 * 100 / 100_000_000 * 100.0  # the low of the bar of entry


def test_what_the_sweep_does_not_know_is_replayed_and_the_share_told(monkeypatch: pytest.MonkeyPatch) -> None:
    series = series_of(walk(400))
    table = table_of([TREND, TREND._replace(profile=7), TREND._replace(drawdown_bp=20_000), TREND])
    found = sweep(series, table, 10_000_000)
    assert found.fast_share == 0.5
    assert found.results["replayed"].tolist() == [0, 1, 1, 0]
    monkeypatch.setattr(sweeping, "unknown_fields", lambda: ("max_bars",))
    newer = sweep(series, table_of([TREND, TREND._replace(max_bars=5)]), 10_000_000)
    assert newer.results["replayed"].tolist() == [0, 1]
    monkeypatch.undo()
    known = sweep(series, table_of([TREND, TREND._replace(max_bars=5)]), 10_000_000)
    for name in (name for name in found.results.dtype.names or () if name not in {"played", "replayed"}):
        assert np.array_equal(newer.results[name], known.results[name]), name


def test_pauses_that_the_bars_do_not_carry_are_asked_for() -> None:
    table = table_of([TREND, TREND._replace(flat_before=4)])
    with pytest.raises(DataError, match="SWEEP_PAUSES_UNKNOWN"):
        sweep(series_of(walk(20)), table, 10_000_000)
    bars = walk(20)
    foreseen = bars._replace(ahead=np.zeros_like(bars.ts_ms))
    assert sweep(series_of(foreseen), table, 10_000_000).fast_share == 1.0


def test_a_position_is_left_at_the_open_before_a_pause_and_none_is_opened() -> None:
    """Bought at the open of bar 3; the pause is ahead of bars 4 and 5, so it is left at the open of bar 5, 4 up."""
    rows = [(4_000, 4_001, 3_999, 4_000)] * 3 + [
        (price, price + 1, price - 1, price) for price in range(4_000, 4_012, 2)
    ]
    bars = bars_of(rows)
    bars = bars._replace(ahead=np.array([0, 0, 0, 0, 4, 4, 0, 0, 0], np.int64))
    instrument = FREE._replace(volume_step_cu=2_500, volume_min_cu=2_500, volume_max_cu=2_500)
    params = TREND._replace(warmup_bars=3, rsi_high=40.0, rsi_low=0.0, risk_fraction=1.0, open_gap_max_bp=0)
    table = table_of([params, params._replace(flat_before=4), params._replace(flat_before=2)])
    held, left, other = sweep(series_of(bars, instrument), table, 100_000_000).results
    assert (held["trades"], other["trades"], left["trades"]) == (0, 0, 1)
    assert left["profit_minor"] == 4 * 25 * 100
    assert left["refusals"] == 1  # at the close of bar 5; bar 6 may buy again
    assert held["equity_minor"] == other["equity_minor"] > left["balance_minor"]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_is_heard_at_the_end_of_a_span(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    never = Event()

    def interrupted(*asked: object) -> None:
        begun.append(asked[-1])
        if len(begun) == 2:
            raise KeyboardInterrupt
        never.wait(0.02)  # a span takes its time

    monkeypatch.setattr(sweeping, "_run", interrupted)
    monkeypatch.setattr(sweeping, "SPAN_LANES_MAX", 1)
    table = table_of([TREND] * 100)
    with pytest.raises(KeyboardInterrupt):
        sweep(series_of(walk(400)), table, 10_000_000, threads=threads)
    assert len(begun) < 50


def test_a_replay_with_more_events_than_its_tape_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    series, table = series_of(walk(400)), table_of([TREND._replace(profile=7)])
    whole = sweep(series, table, 10_000_000).results
    monkeypatch.setattr(sweeping, "FIRST_CAPACITY", 1)
    assert np.array_equal(sweep(series, table, 10_000_000).results, whole)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", [[1], [100] * 10, [5_000], [1] * 3_000, [3, 2_000, 1, 40]])
def test_spans_cover_every_lane_once_and_are_never_long(threads: int, sizes: list[int]) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    spans = _spans(group, threads)
    assert spans[0][0] == 0
    assert spans[-1][1] == group.shape[0]
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(0 < last - first <= 1.6 * SPAN_LANES_MAX for first, last in spans)


def test_ten_groups_are_shared_evenly_between_two_threads() -> None:
    assert _spans(np.repeat(np.arange(10), 100), 2) == [(place, place + 100) for place in range(0, 1_000, 100)]


def test_a_grid_over_days_pays_swap_and_tests_every_day() -> None:
    """A charge that eats a position is seen in balance, drawdown and the day's limit."""
    bars = walk(600, period_ms=DAY_MS)
    costly = FREE._replace(swap_kind=1, swap_long=-30_000_000, swap_short=-30_000_000, swap_time_ms=5 * HOUR_MS)
    table = grid_of(TREND._replace(losses_max=0, drawdown_bp=0), {"daily_loss_bp": [0, 5], "sl_ppm": [20_000, 40_000]})
    paid = sweep(series_of(bars, costly), table, 10_000_000).results
    spared = sweep(series_of(bars), table, 10_000_000).results
    assert (paid["balance_minor"][:2] < spared["balance_minor"][:2]).all()
    assert paid["trips"][:2].tolist() == [0, 0]
    assert (paid["trips"][2:] > 0).all()


def test_prices_of_any_size_are_gauged_exactly() -> None:
    bars = walk(300)
    large = bars._replace(
        **{name: getattr(bars, name) * 1_000 for name in ("open_px", "high_px", "low_px", "close_px")}
    )
    assert large.close_px.max() > 2**31 * 10
    found = sweep(series_of(large, FREE._replace(volume_step_cu=1, volume_min_cu=1)), table_of([TREND]), 10**12).results
    assert found["trades"][0] > 0
