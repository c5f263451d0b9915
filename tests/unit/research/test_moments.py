"""What each trade knew, and how far the price went while it was open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palmbot.calendar import Session
from palmbot.core.fills import spread_px
from palmbot.core.types import BarArrays, Params, Reason, RollArrays, SentimentArrays
from palmbot.instruments import PALM_OIL
from palmbot.model import Trade
from palmbot.research import backtest
from palmbot.research.moments import moments_of, spreads, volatility_pct
from palmbot.research.result import DataSet, RunResult
from palmbot.units import HOUR_MS

FIRST_MS = 1_700_015_400_000  # Wednesday, 2023-11-15, 10:30 in Kuala Lumpur
SPREAD = 200_000
DISTANCE = 1_000_000


def series(*rows: tuple[int, int, int, int], scores: tuple[tuple[int, float], ...] = ()) -> DataSet:
    """Return hourly bars of (open, high, low, close) in whole points from 10:30 in Kuala Lumpur."""
    prices = np.array(rows, np.int64) * 100_000
    ts_ms = FIRST_MS + np.arange(len(rows), dtype=np.int64) * HOUR_MS
    none = np.zeros(0, np.int64)
    opened, high, low, close = prices.T.copy()
    bars = BarArrays(ts_ms, ts_ms + HOUR_MS, opened, high, low, close, none)
    known = np.array([each[0] for each in scores], np.int64)
    sentiment = SentimentArrays(known, np.array([each[1] for each in scores], np.float64))
    return DataSet("made", PALM_OIL, HOUR_MS, "none", bars, RollArrays(none, none), sentiment, len(rows), 0, (), "")


def run_of(data: DataSet, *trades: Trade) -> RunResult:
    """Return a run over ``data`` that closed ``trades``; its RSI is the bar's number."""
    empty = backtest.run(data, "rsi_trend", Params(warmup_bars=1_000), 10_000_000)
    rsi = np.arange(data.bars.ts_ms.shape[0], dtype=np.float64)
    return RunResult(**{name: getattr(empty, name) for name in empty.__slots__} | {"trades": trades, "rsi": rsi})


def trade(
    side: int, entry_px: int, exit_px: int, entry: int, exit_at: tuple[int, int], reason: Reason = Reason.SL
) -> Trade:
    """Return a trade from the open of bar ``entry`` to ``exit_at`` = (bar, ms into it)."""
    return Trade(
        entry_ms=FIRST_MS + entry * HOUR_MS,
        exit_ms=FIRST_MS + exit_at[0] * HOUR_MS + exit_at[1],
        side=side,
        volume_cu=2_500,
        entry_px=entry_px,
        exit_px=float(exit_px),
        exit_reason=int(reason),
        pnl_minor=-100,
        gross_minor=-100,
        swap_minor=0,
        commission_minor=0,
        fee_minor=0,
        risk_minor=200.0,
        sl_px=entry_px - side * DISTANCE,
        tp_px=entry_px + side * 2 * DISTANCE,
    )


FLAT = (4_000, 4_000, 4_000, 4_000)


def test_a_trade_knows_the_rsi_and_sentiment_of_the_bar_before_its_entry() -> None:
    later_ms = FIRST_MS + 2 * HOUR_MS + 1
    data = series(FLAT, FLAT, FLAT, FLAT, scores=((FIRST_MS, 40.0), (later_ms, -70.0)))
    rows = moments_of(run_of(data, trade(1, 400_200_000, 399_200_000, 2, (3, 15_000))), data)
    assert rows["rsi"].tolist() == [1.0]
    assert rows["sentiment"].tolist() == [40.0]


def test_without_sentiment_it_is_not_known() -> None:
    data = series(FLAT, FLAT, FLAT)
    rows = moments_of(run_of(data, trade(1, 400_200_000, 399_200_000, 1, (2, 0))), data)
    assert np.isnan(rows["sentiment"]).all()


def test_hour_weekday_and_session_are_those_of_the_instrument() -> None:
    data = series(FLAT, FLAT, FLAT, FLAT, FLAT, FLAT)
    rows = moments_of(run_of(data, trade(1, 400_200_000, 399_200_000, 4, (5, 0))), data)
    assert (rows["hour"][0], rows["weekday"][0], rows["opened_minute"][0]) == (14, 2, 14 * 60 + 30)


def test_a_session_that_runs_past_the_end_of_the_week_is_one() -> None:
    data = series(*([FLAT] * 6))
    minute = 2 * 1_440 + 10 * 60 + 30  # of the week: that of the first bar
    wrapped = ((minute + 120, minute + 60 + 7 * 1_440),)  # from two hours after it round to an hour after it
    spec = replace(PALM_OIL, session=Session("Asia/Kuala_Lumpur", wrapped))
    trades = [trade(1, 400_200_000, 399_200_000, entry, (5, 0)) for entry in (0, 1, 2)]
    rows = moments_of(run_of(data, *trades), replace(data, spec=spec))
    assert rows["opened_minute"].tolist() == [12 * 60 + 30, -1, 12 * 60 + 30]


@pytest.mark.parametrize(
    ("into_ms", "worst", "best"),
    [
        (0, 4.0, 6.0),  # the open tick: nothing of the last bar was lived through
        (15_000, 4.0, 6.0),  # stopped on the way to the adverse extreme
        (30_000, 9.0, 6.0),  # after the adverse extreme, on the way to the other
        (45_000, 9.0, 8.0),  # at the close: all of it
    ],
)
def test_excursions_follow_the_ticks_of_the_last_bar(into_ms: int, worst: float, best: float) -> None:
    data = series(FLAT, (4_000, 4_006, 3_996, 4_000), (4_000, 4_008, 3_991, 4_000))
    rows = moments_of(run_of(data, trade(1, 400_000_000, 400_000_000, 1, (2, into_ms))), data)
    assert (rows["mae_r"][0], rows["mfe_r"][0]) == (worst / 10, best / 10)


def test_a_short_is_marked_at_the_ask() -> None:
    data = series(FLAT, (4_000, 4_006, 3_996, 4_000), FLAT)
    rows = moments_of(run_of(data, trade(-1, 400_000_000, 400_200_000, 1, (2, 0))), data)
    spread = SPREAD / 100_000
    assert (rows["mae_r"][0], rows["mfe_r"][0]) == pytest.approx(((6 + spread) / 10, (4 - spread) / 10))


def test_the_exit_itself_is_an_excursion() -> None:
    data = series(FLAT, FLAT, (3_950, 3_950, 3_950, 3_950))
    rows = moments_of(run_of(data, trade(1, 400_000_000, 395_000_000, 1, (2, 0))), data)
    assert rows["mae_r"][0] == 5.0


def test_volatility_is_the_mean_true_range_of_the_last_bars() -> None:
    data = series((4_000, 4_010, 4_000, 4_000), (4_020, 4_030, 4_020, 4_020))
    assert volatility_pct(data.bars).tolist() == pytest.approx([100 * 10 / 4_000, 100 * 20 / 4_020])


def test_spreads_are_those_of_the_core() -> None:
    bars = series(FLAT, (4_123, 4_123, 4_123, 4_123)).bars
    assert spreads(PALM_OIL.core, bars).tolist() == [SPREAD, SPREAD]
    percent = PALM_OIL.core._replace(spread_kind=1, spread=777)
    assert spreads(percent, bars).tolist() == [spread_px(percent, each) for each in bars.open_px.tolist()]


def test_no_trades_give_no_rows() -> None:
    data = series(FLAT, FLAT)
    assert len(moments_of(run_of(data), data)) == 0
