"""The numbers of one run: made here for ``backtest`` and for ``run`` alike, from the same input types.

Definitions (money is net of every cost, in minor units; ratios and percentages are floats):

- A trade wins when its net result is > 0 and loses when it is < 0; the win rate is wins / closed trades.
- Profit factor: sum of winning results / sum of losing results; none when no trade lost.
- R of a trade: net result / planned risk. Expectancy: mean result, in money and in R.
- Drawdown: from the highest equity at earlier bar closes (the starting balance before the first) down to the lowest
  equity at any mark of the bar, in percent of that high (the breaker's own rule, PARITY 52).
- Drawdown at 1 % risk: equity is replayed as the product of (1 + 0.01 R) over the closed trades in order; the largest
  fall from its running high, in percent. It makes runs with different sizing comparable.
- Sharpe and Sortino: from returns of equity between the ends of trading days, no risk-free rate, annualised by the
  square root of 252 days (fewer where a bar is longer than a day). Sharpe = mean / standard deviation (n - 1); its band
  is +-1.645 standard errors, sqrt((1 + S^2 / 2) / n) for daily S (Lo, "The Statistics of Sharpe Ratios", 2002).
  Sortino = mean / root mean square of the negative returns over all n days (target 0).
- Geometry win rate: stop / (stop + target), what a price without drift gives before costs (gambler's ruin). Only stated
  where nothing but the stop and the target ends a trade.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Params, Reason, Side, StopKind
from palmbot.model import Trade
from palmbot.research.bootstrap import RESAMPLES, Band, mean_block_length, trade_bands
from palmbot.research.result import Costs, DataSet, RunResult
from palmbot.units import DAY_MS, PX, price_of_px

TRADING_DAYS_A_YEAR = 252
Z_95 = 1.6449  # 95 % point of the normal distribution
Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one run. None means that the run cannot say; the module's docstring defines each.

    Attributes:
        closed: the closed trades, in order.
        days: trading days behind Sharpe and Sortino.
        stops: losing trades that ended at their stop, behind ``stop_loss_ratio_*`` (realised loss / planned risk).
        exits, refusals, breakers: (name, count), most frequent first.
        resamples, mean_block, seed: of the bootstrap.
    """

    closed: tuple[Trade, ...]
    money_digits: int
    trades: int
    wins: int
    losses: int
    win_rate: float | None
    win_rate_band: Band | None
    win_rate_geometry: float | None
    profit_factor: float | None
    profit_factor_band: Band | None
    expectancy_minor: int | None
    expectancy_r: float | None
    expectancy_r_band: Band | None
    max_drawdown_pct: float
    max_drawdown_at_1pct_risk_pct: float | None
    sharpe: float | None
    sharpe_band: Band | None
    sortino: float | None
    days: int
    exposure: float
    start_balance_minor: int
    balance_minor: int
    equity_minor: int
    net_minor: int
    return_pct: float
    costs: Costs
    exits: Counts
    refusals: Counts
    breakers: Counts
    stops: int
    stop_loss_ratio_mean: float | None
    stop_loss_ratio_worst: float | None
    resamples: int
    mean_block: float
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the ``--json`` object of ``backtest`` and ``run``: ``{"trades": [...], "summary": {...}}``."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "closed"}
        numbers["costs"] = asdict(self.costs)
        for name in ("exits", "refusals", "breakers"):
            numbers[name] = dict(numbers[name])
        for name, value in numbers.items():
            if isinstance(value, Band):
                numbers[name] = list(value)
        return {"trades": [trade_to_json(trade) for trade in self.closed], "summary": numbers}


def trade_to_json(trade: Trade) -> dict[str, Any]:
    """Return ``trade`` as the contract names its parts: net result, prices as decimal numbers."""
    return {
        "entry_ms": trade.entry_ms,
        "exit_ms": trade.exit_ms,
        "side": Side(trade.side).name.lower(),
        "volume_cu": trade.volume_cu,
        "entry_price": price_of_px(trade.entry_px),
        "exit_price": trade.exit_px / PX,
        "exit_reason": Reason(trade.exit_reason).name,
        "pnl_minor": trade.pnl_minor,
        "gross_minor": trade.gross_minor,
        "swap_minor": trade.swap_minor,
        "commission_minor": trade.commission_minor,
        "fee_minor": trade.fee_minor,
        "risk_minor": round(trade.risk_minor),
    }


def summarize(result: RunResult, data: DataSet, seed: int = 1) -> Summary:
    """Return the numbers of ``result``, a run over ``data``; ``seed`` is that of the bootstrap."""
    trades = result.trades
    count = len(trades)
    pnl = np.array([trade.pnl_minor for trade in trades], dtype=np.int64)
    r = np.array([r_multiple(trade) for trade in trades], dtype=np.float64)
    known_r = r[np.isfinite(r)]
    lost = int(-pnl[pnl < 0].sum())
    wins = int((pnl > 0).sum())
    bands = trade_bands(pnl, r, seed)
    returns = daily_returns(result, data.spec.core.day_start_ms)
    sharpe, sharpe_band, sortino = risk_adjusted(returns, observations_a_year(data.period_ms))
    ratios = [-value for trade, value in zip(trades, r, strict=True) if trade.exit_reason == Reason.SL and value < 0]
    net = result.equity_end_minor - result.start_balance_minor
    return Summary(
        closed=trades,
        money_digits=data.spec.core.money_digits,
        trades=count,
        wins=wins,
        losses=int((pnl < 0).sum()),
        win_rate=wins / count if count else None,
        win_rate_band=bands.win_rate,
        win_rate_geometry=geometry_win_rate(result.params),
        profit_factor=int(pnl[pnl > 0].sum()) / lost if lost else None,
        profit_factor_band=bands.profit_factor,
        expectancy_minor=round(int(pnl.sum()) / count) if count else None,
        expectancy_r=float(known_r.mean()) if len(known_r) else None,
        expectancy_r_band=bands.expectancy_r,
        max_drawdown_pct=max_drawdown_pct(result.start_balance_minor, result.equity_minor, result.equity_low_minor),
        max_drawdown_at_1pct_risk_pct=drawdown_at_risk_pct(known_r, 0.01) if len(known_r) else None,
        sharpe=sharpe,
        sharpe_band=sharpe_band,
        sortino=sortino,
        days=len(returns),
        exposure=result.exposure,
        start_balance_minor=result.start_balance_minor,
        balance_minor=result.balance_minor,
        equity_minor=result.equity_end_minor,
        net_minor=net,
        return_pct=100.0 * net / result.start_balance_minor,
        costs=result.costs,
        exits=_counts(trade.exit_reason for trade in trades),
        refusals=_counts(refusal.reason for refusal in result.refusals),
        breakers=_counts(reason for _ts_ms, reason in result.halts),
        stops=len(ratios),
        stop_loss_ratio_mean=float(np.mean(ratios)) if ratios else None,
        stop_loss_ratio_worst=float(max(ratios)) if ratios else None,
        resamples=RESAMPLES,
        mean_block=mean_block_length(count),
        seed=seed,
    )


def r_multiple(trade: Trade) -> float:
    """Return the net result of ``trade`` in multiples of its planned risk; NaN where that is unknown."""
    return trade.pnl_minor / trade.risk_minor if trade.risk_minor > 0 else float("nan")


def drawdown_curve_pct(start_minor: int, equity_minor: Int64Array, low_minor: Int64Array) -> Float64Array:
    """Return how far each bar's lowest equity lay below the highest earlier close, in percent, >= 0.

    Args:
        start_minor: equity before the first bar, > 0.
        equity_minor, low_minor: equity at the close, and the lowest at any mark, of each bar, shape (n,).
    """
    closes = np.concatenate(([start_minor], equity_minor[:-1])) if len(equity_minor) else equity_minor
    peak = np.maximum.accumulate(closes)
    return np.asarray(np.maximum(peak - low_minor, 0) * 100.0 / peak, dtype=np.float64)


def max_drawdown_pct(start_minor: int, equity_minor: Int64Array, low_minor: Int64Array) -> float:
    """Return the deepest point of `drawdown_curve_pct`; 0 for no bars."""
    return float(drawdown_curve_pct(start_minor, equity_minor, low_minor).max(initial=0.0))


def drawdown_at_risk_pct(r: Float64Array, risk_fraction: float) -> float:
    """Return the largest fall, in percent, of equity that risks ``risk_fraction`` of itself on each trade.

    ``equity_k = equity_(k-1) x max(0, 1 + risk_fraction x r_k)``; closed trades only, so a loss that a trade recovered
    from before it closed does not show.
    """
    equity = np.concatenate(([1.0], np.cumprod(np.maximum(0.0, 1.0 + risk_fraction * r))))
    return float(100.0 * (1.0 - equity / np.maximum.accumulate(equity)).max())


def daily_returns(result: RunResult, day_start_ms: int) -> Float64Array:
    """Return the return of equity over each trading day that has a bar, shape (days,).

    The first day starts from the starting balance. A bar that closes exactly on the boundary still belongs to the day
    that ends there. Days after equity reached zero have no return and are left out.
    """
    if len(result.equity_ts_ms) == 0:
        return np.empty(0)
    days = (result.equity_ts_ms - 1 - day_start_ms) // DAY_MS
    is_last = np.append(days[1:] != days[:-1], True)
    equity = np.concatenate(([result.start_balance_minor], result.equity_minor[is_last])).astype(np.float64)
    before = equity[:-1]
    alive = np.minimum.accumulate(before) > 0
    return np.asarray(equity[1:][alive] / before[alive] - 1.0, dtype=np.float64)


def observations_a_year(period_ms: int) -> float:
    """Return how many daily returns a year has: 252, or one for each bar where bars are longer than a day."""
    return min(TRADING_DAYS_A_YEAR, 365.25 * DAY_MS / period_ms)


def risk_adjusted(returns: Float64Array, a_year: float) -> tuple[float | None, Band | None, float | None]:
    """Return annualised Sharpe, its 5-95 % band, and Sortino of daily ``returns``; None where undefined."""
    count = len(returns)
    if count < 2:
        return None, None, None
    mean = float(returns.mean())
    deviation = float(returns.std(ddof=1))
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    scale = a_year**0.5
    sortino = mean / downside * scale if downside > 0 else None
    if deviation == 0:
        return None, None, sortino
    daily = mean / deviation
    error = Z_95 * ((1 + daily * daily / 2) / count) ** 0.5
    return daily * scale, Band((daily - error) * scale, (daily + error) * scale), sortino


def geometry_win_rate(params: Params) -> float | None:
    """Return stop / (stop + target), or None where a trail, a time, an RSI or a pause may end a trade first."""
    percent = params.stop_kind == StopKind.PERCENT
    stop, target, trail = (
        (params.sl_ppm, params.tp_ppm, params.trail_ppm)
        if percent
        else (params.sl_atr, params.tp_atr, params.trail_atr)
    )
    ends_otherwise = trail > 0 or params.max_bars > 0 or params.rsi_exit > 0 or params.flat_before != 0
    if ends_otherwise or stop <= 0 or target <= 0:
        return None
    return stop / (stop + target)


def _counts(reasons: Iterable[int]) -> Counts:
    return tuple((Reason(reason).name, count) for reason, count in Counter(reasons).most_common())
