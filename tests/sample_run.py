"""A SYNTHETIC run for tests of what is made of a run: a random walk, traded at random, with a stop and a target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from palmbot.core.types import BarArrays, Int64Array, Params, Reason, RollArrays, SentimentArrays, Side
from palmbot.instruments import PALM_OIL
from palmbot.model import Refusal, Trade
from palmbot.research.result import Costs, DataSet, RunResult
from palmbot.units import DAY_MS, HOUR_MS, PX

START_MS = 1_262_313_000_000  # 2010-01-01 02:30 UTC
BALANCE_MINOR = 10_000_000
TICK_PX = PX  # prices move by whole points
CU_PER_MINOR: int = 10 ** (7 - PALM_OIL.core.money_digits)


def walk(bars: int, seed: int = 1, period_ms: int = DAY_MS) -> BarArrays:
    """Return ``bars`` bars of a random walk around 4 000 points, weekdays only when daily."""
    rng = np.random.default_rng(seed)
    place = np.arange(bars, dtype=np.int64)
    days = place + 2 * ((place + 4) // 5) if period_ms == DAY_MS else place
    ts_ms = START_MS + days * period_ms
    wildness = (period_ms / DAY_MS) ** 0.5
    close = 4_000 * np.exp(np.cumsum(rng.normal(0.0, 0.013 * wildness, bars)))
    opening = np.concatenate(([4_000.0], close[:-1])) * np.exp(rng.normal(0.0, 0.003 * wildness, bars))
    reach = np.abs(rng.normal(0.0, 0.007 * wildness, (2, bars)))
    high = np.maximum(opening, close) * (1 + reach[0])
    low = np.minimum(opening, close) * (1 - reach[1])
    prices = [np.asarray(np.rint(column), dtype=np.int64) * TICK_PX for column in (opening, high, low, close)]
    end_ms = (
        (ts_ms - 11 * HOUR_MS) // DAY_MS * DAY_MS + 11 * HOUR_MS + DAY_MS if period_ms == DAY_MS else ts_ms + period_ms
    )
    return BarArrays(ts_ms, end_ms, prices[0], prices[1], prices[2], prices[3], np.empty(0, dtype=np.int64))


def data_of(bars: BarArrays, period_ms: int = DAY_MS, **changes: Any) -> DataSet:
    """Return a data set of ``bars``, labelled synthetic."""
    none = np.empty(0, dtype=np.int64)
    data = DataSet(
        name="random walk (SYNTHETIC)",
        spec=PALM_OIL,
        period_ms=period_ms,
        adjustment="none",
        bars=bars,
        rolls=RollArrays(none, none),
        sentiment=SentimentArrays(none, np.empty(0)),
        rows_read=len(bars.ts_ms) + 2,
        rows_outside_session=2,
        notes=("2 rows lie outside the session and were dropped.",),
        fingerprint="0123456789abcdef" * 4,
        synthetic=True,
    )
    return replace(data, **changes)


def trade_of(pnl_minor: int, **changes: Any) -> Trade:
    """Return a closed trade with that net result and a planned risk of 100.00."""
    trade = Trade(
        entry_ms=START_MS + DAY_MS,
        exit_ms=START_MS + 2 * DAY_MS,
        side=int(Side.LONG),
        volume_cu=25,
        entry_px=4_000 * PX,
        exit_px=4_010 * PX,
        exit_reason=int(Reason.TP if pnl_minor > 0 else Reason.SL),
        pnl_minor=pnl_minor,
        gross_minor=pnl_minor,
        swap_minor=0,
        commission_minor=0,
        fee_minor=0,
        risk_minor=10_000.0,
    )
    return replace(trade, **changes)


def result_of(trades: tuple[Trade, ...], equity_minor: list[int], **changes: Any) -> RunResult:
    """Return a run with these trades over ``walk``-like daily bars with that equity at each close."""
    equity = np.array(equity_minor, dtype=np.int64)
    balance = BALANCE_MINOR + sum(trade.pnl_minor for trade in trades)
    result = RunResult(
        profile="rsi_sentiment",
        params=Params(),
        start_balance_minor=BALANCE_MINOR,
        balance_minor=balance,
        equity_end_minor=int(equity[-1]) if len(equity) else balance,
        trades=trades,
        refusals=(),
        costs=Costs(0, 0, 0, 0, 0),
        equity_ts_ms=walk(max(len(equity), 1)).end_ms[: len(equity)],
        equity_minor=equity,
        equity_low_minor=equity,
        exposure=0.25,
        rsi=np.full(len(equity), 50.0),
        halts=(),
    )
    return replace(result, **changes)


def sample_run(bars: int = 400, seed: int = 1, period_ms: int = DAY_MS) -> tuple[RunResult, DataSet]:
    """Return a run of random entries with a stop of 1.5 % and a target of 2 % over a random walk."""
    series = walk(bars, seed, period_ms)
    rng = np.random.default_rng(seed + 1)
    params = Params()
    balance, open_trade, trades = BALANCE_MINOR, None, []
    equity, low_equity, held = np.empty(bars, np.int64), np.empty(bars, np.int64), 0
    for i in range(bars):
        bar_open, high, low, close = (int(column[i]) for column in series[2:6])
        worst = balance
        if open_trade is None and i >= 20 and rng.random() < 0.07:
            open_trade = _enter(int(rng.choice([-1, 1])), int(series.ts_ms[i]), bar_open, params)
        if open_trade is not None:
            held += 1
            level, reason = _touched(open_trade, high, low)
            mark = close if level is None else level
            against = low if open_trade.side > 0 else high
            stop = open_trade.sl_px
            worst_px = max(against, stop) if open_trade.side > 0 else min(against, stop)
            worst += _gross(open_trade, worst_px)
            if level is None:
                equity[i] = balance + _gross(open_trade, mark)
            else:
                trades.append(_closed(open_trade, level, int(reason), int(series.ts_ms[i]) + 15_000))
                balance += trades[-1].pnl_minor
                open_trade = None
        if open_trade is None:
            equity[i] = balance
        low_equity[i] = min(worst, equity[i])
    commission = sum(trade.commission_minor for trade in trades)
    refused = ((Reason.SENTIMENT_ABSENT, 61), (Reason.LOSS_STREAK, 14), (Reason.STOP_TOO_CLOSE, 2))
    result = RunResult(
        profile="rsi_sentiment",
        params=params,
        start_balance_minor=BALANCE_MINOR,
        balance_minor=balance,
        equity_end_minor=int(equity[-1]),
        trades=tuple(trades),
        refusals=tuple(
            Refusal(int(series.end_ms[0]), 1, int(reason)) for reason, count in refused for _ in range(count)
        ),
        costs=Costs(commission * 2, commission // 2, commission, 0, 0),
        equity_ts_ms=series.end_ms,
        equity_minor=equity,
        equity_low_minor=low_equity,
        exposure=held / bars,
        rsi=_rsi(series.close_px),
        halts=tuple((int(series.end_ms[min(bars - 1, 30 * k)]), int(Reason.LOSS_STREAK)) for k in range(4)),
    )
    return result, data_of(series, period_ms)


def _enter(side: int, ts_ms: int, open_px: int, params: Params) -> Trade:
    stop = open_px * params.sl_ppm // 1_000_000 // TICK_PX * TICK_PX
    target = open_px * params.tp_ppm // 1_000_000 // TICK_PX * TICK_PX
    entry = open_px + side * 5 * PX // 2
    volume = 25 * max(1, 50_000 * CU_PER_MINOR // (stop * 25))
    return trade_of(
        0,
        entry_ms=ts_ms,
        side=side,
        volume_cu=volume,
        entry_px=entry,
        sl_px=entry - side * stop,
        tp_px=entry + side * target,
        risk_minor=stop * volume / CU_PER_MINOR + volume / 12.5,
    )


def _touched(trade: Trade, high: int, low: int) -> tuple[int | None, Reason]:
    if (low <= trade.sl_px) if trade.side > 0 else (high >= trade.sl_px):
        return trade.sl_px, Reason.SL
    if (high >= trade.tp_px) if trade.side > 0 else (low <= trade.tp_px):
        return trade.tp_px, Reason.TP
    return None, Reason.NONE


def _gross(trade: Trade, price_px: int) -> int:
    return trade.side * (price_px - trade.entry_px) * trade.volume_cu // CU_PER_MINOR


def _closed(trade: Trade, price_px: int, reason: int, ts_ms: int) -> Trade:
    commission = -2 * trade.volume_cu // 25
    gross = _gross(trade, price_px)
    return replace(
        trade,
        exit_ms=ts_ms,
        exit_px=float(price_px),
        exit_reason=reason,
        gross_minor=gross,
        commission_minor=commission,
        pnl_minor=gross + commission,
    )


def _rsi(close_px: Int64Array, period: int = 14) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = np.full(len(close_px), np.nan)
    gain = loss = 0.0
    for i in range(1, len(close_px)):
        change = float(close_px[i] - close_px[i - 1])
        weight = 1 / min(i, period)
        gain += weight * (max(change, 0.0) - gain)
        loss += weight * (max(-change, 0.0) - loss)
        if i >= period:
            values[i] = 100 * gain / (gain + loss)
    return values
