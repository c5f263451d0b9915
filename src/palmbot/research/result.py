"""What one backtest or paper run produced: the input of statistics and reports."""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.core.types import BarArrays, Float64Array, Int64Array, Params, RollArrays, SentimentArrays
from palmbot.instruments import InstrumentSpec
from palmbot.model import Refusal, Trade
from palmbot.research.known import RelatedSeries


@dataclass(frozen=True, slots=True)
class DataSet:
    """One loaded series with everything both commands need; made by ``research.data.load`` alone.

    Attributes:
        spec: the instrument as resolved for this series (digits, session, costs).
        period_ms: bar period.
        adjustment: ``none``, ``additive`` or ``proportional``.
        notes: one sentence for each thing the loader did or doubts (rows outside the session, suspected rolls).
        fingerprint: sha256 of the bars, hex.
        related: series of other markets; only the analysis joins them.
    """

    name: str
    spec: InstrumentSpec
    period_ms: int
    adjustment: str
    bars: BarArrays
    rolls: RollArrays
    sentiment: SentimentArrays
    rows_read: int
    rows_outside_session: int
    notes: tuple[str, ...]
    fingerprint: str
    synthetic: bool = False
    related: tuple[RelatedSeries, ...] = ()


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading cost, by kind, in minor units, <= 0 for charges; the fills already hold spread and slippage."""

    spread_minor: int
    slippage_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of one run over one series.

    Attributes:
        equity_ts_ms: bucket end of each bar, shape (n,).
        equity_minor: equity at the close of each bar, shape (n,).
        equity_low_minor: lowest equity at any mark of each bar, shape (n,).
        exposure: share of bars with a position, 0..1.
        rsi: RSI at the close of each bar (NaN while it warms up), shape (n,).
        halts: (time in ms, reason) of every breaker trip.
    """

    profile: str
    params: Params
    start_balance_minor: int
    balance_minor: int
    equity_end_minor: int
    trades: tuple[Trade, ...]
    refusals: tuple[Refusal, ...]
    costs: Costs
    equity_ts_ms: Int64Array
    equity_minor: Int64Array
    equity_low_minor: Int64Array
    exposure: float
    rsi: Float64Array
    halts: tuple[tuple[int, int], ...]
