"""The fastest honest search: any set of ``Params`` over one series, each result equal to ``core.replay``'s.

Everything is on: breakers, sizing, sentiment, costs, swaps and rolls. What makes it fast is what combinations share:
indicators by period, thresholds as sets of bars, and how a trade ends, which is a matter of prices alone until a
breaker ends it. Between its trades a combination jumps from signal to signal. Money is integers, worked out for each
combination by the functions of the core, since its volume follows its own equity.

A trade is booked from its extremes where they prove that it reached no limit; else it is played tick by tick. What the
sweep does not know (a field that is newer than it) is replayed as a whole, and the share of the others is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from palmbot.core import step as core
from palmbot.core.replay import replay
from palmbot.core.tape import TRADE_COLUMNS, Entry, new_tape
from palmbot.core.types import BarArrays, Instrument, Int64Array, Params, Profile, RollArrays, SentimentArrays
from palmbot.core.world import Run
from palmbot.errors import ConfigError, DataError
from palmbot.research.statistics import max_drawdown_pct
from palmbot.research.sweep_lanes import Lanes, Signals, new_memory, run
from palmbot.research.sweep_ledger import LEDGER, RESULT, Rows, results_of
from palmbot.research.sweep_market import Market, market_of
from palmbot.research.sweep_params import Table, params_at, unknown_fields
from palmbot.research.sweep_plan import Plan, Shared, plan_of

SETS_BYTES_MAX = 128 << 20  # of sets of bars at one time
SPAN_LANES_MAX = 1_024
FIRST_CAPACITY = 4_096  # events of a replay
TASKS_A_THREAD = 4


class Series:
    """One series made ready for sweeps, any number of them.

    Args:
        instrument: whose costs and limits hold.
        bars: at least two, in order of time.
        rolls: of a raw series.
        sentiment: rows in order of ``known_ms``.

    Raises:
        DataError: the bars are too few, uneven, not whole, not in order or not above zero, or other rows not in order.
    """

    def __init__(self, instrument: Instrument, bars: BarArrays, rolls: RollArrays, sentiment: SentimentArrays) -> None:
        _check(bars, rolls, sentiment)
        self.instrument = instrument
        self.bars = bars
        self.rolls = rolls
        self.sentiment = sentiment
        self.market: Market = market_of(instrument, bars, rolls)
        self.shared = Shared(bars, sentiment)

    def __reduce__(self) -> tuple[type[Series], tuple[Instrument, BarArrays, RollArrays, SentimentArrays]]:
        """Travel as what it was made of."""
        return Series, (self.instrument, self.bars, self.rolls, self.sentiment)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found.

    Attributes:
        results: an array of ``sweep_ledger.RESULT``, a row for each combination, in the order of the table.
        fast_share: share of the combinations that were finished without ``core.replay``, 0..1.
    """

    results: Rows
    fast_share: float


def sweep(series: Series, table: Table, balance_minor: int, *, threads: int = 1) -> Sweep:
    """Trade every combination of ``table`` over ``series`` from ``balance_minor``.

    Memory is bounded whatever the number of combinations, beside the table and the results themselves.

    Args:
        series: made ready.
        table: from ``table_of`` or ``grid_of``.
        balance_minor: starting balance, > 0.
        threads: of this process; results do not depend on it.

    Raises:
        ConfigError: the table is empty, or an argument or a period is not positive.
        DataError: a combination stays out of pauses, and the bars do not carry them.
    """
    _check_request(series, table, balance_minor, threads)
    results = np.zeros(table.shape[0], RESULT)
    is_foreign = _foreign(table)
    with ThreadPoolExecutor(threads) as pool:
        for rows, plan in _plans(series, table, np.flatnonzero(~is_foreign)):
            signals, ledgers = series.shared.signals(plan), _accounts(series, plan, balance_minor)
            spans = _spans(plan.lanes.group, threads)
            run_span = partial(_run, series.market, signals, plan.lanes, ledgers)
            list(map(run_span, spans) if threads == 1 else pool.map(run_span, spans))
            results[rows] = results_of(ledgers, balance_minor)
        foreign = np.flatnonzero(is_foreign)
        for row, result in zip(
            foreign, pool.map(partial(_replayed, series, table, balance_minor), foreign), strict=True
        ):
            results[row] = result
    return Sweep(results, 1.0 - float(is_foreign.mean()))


def _run(market: Market, signals: Signals, lanes: Lanes, ledgers: Rows, span: tuple[int, int]) -> None:
    run(market, signals, lanes, ledgers, new_memory(), span)


def _plans(series: Series, table: Table, rows: Int64Array) -> Iterator[tuple[Int64Array, Plan]]:
    """Yield ``rows`` of ``table``, ordered, in parts whose sets of bars fit into memory, with their plans."""
    if rows.size == 0:
        return
    plan = plan_of(table.take(rows))
    rows = rows[plan.order]
    if rows.size > 1 and series.shared.bytes_of(plan) > SETS_BYTES_MAX:
        for part in np.array_split(rows, 2):
            yield from _plans(series, table, part)
    else:
        yield rows, plan


def _accounts(series: Series, plan: Plan, balance_minor: int) -> Rows:
    """Return a fresh account for each lane, at the first bar that it may decide by."""
    ledgers = np.zeros(plan.order.shape[0], LEDGER)
    ledgers["at"] = np.maximum(plan.lanes.params["warmup_bars"] - 1, 0)
    for name in ("balance_minor", "equity_minor", "peak_minor", "low_minor", "guarded_peak_minor", "day_open_minor"):
        ledgers[name] = balance_minor
    ledgers["day_start_ms"] = core.day_start(series.instrument, int(series.bars.ts_ms[0]))
    return ledgers


def _spans(group: Int64Array, threads: int) -> list[tuple[int, int]]:
    """Return the lanes in spans, several for each of ``threads``: whole groups where they are small enough, else parts.

    A span is short enough for an interrupt to be heard soon, and its ledgers stay in the cache of a processor.
    """
    lanes = group.shape[0]
    size = max(1, min(lanes // (threads * TASKS_A_THREAD) if threads > 1 else lanes, SPAN_LANES_MAX))
    enough = size // 2 if threads > 1 else size  # threads are kept busy better by many small spans
    cuts = [0]
    for end in [*(np.flatnonzero(np.diff(group)) + 1).tolist(), lanes]:
        if end - cuts[-1] >= enough or end == lanes:
            pieces = max(1, round((end - cuts[-1]) / size))
            cuts += np.linspace(cuts[-1], end, pieces + 1).astype(int).tolist()[1:]
    return list(pairwise(cuts))


def _foreign(table: Table) -> NDArray[np.bool_]:
    """Return which rows the sweep cannot take itself: a rule, a field or a limit that it does not know."""
    is_foreign: NDArray[np.bool_] = np.ones(table.shape[0], np.bool_)
    for profile in (Profile.RSI_SENTIMENT, Profile.RSI_TREND):
        is_foreign &= table["profile"] != profile
    for name in unknown_fields():
        is_foreign |= table[name] != Params._field_defaults[name]
    for name in ("daily_loss_bp", "drawdown_bp"):
        is_foreign |= table[name] > 10_000
    return is_foreign


def _replayed(series: Series, table: Table, balance_minor: int, row: int) -> tuple[float, ...]:
    """Return the result of one row of ``table`` by ``core.replay``, in the order of ``RESULT``."""
    constants, capacity = Run(params_at(table, row), series.instrument), FIRST_CAPACITY
    while True:
        tape = new_tape(capacity, series.bars.ts_ms.shape[0])
        outcome = replay(constants, balance_minor, series.bars, series.rolls, series.sentiment, tape)
        if outcome.events <= capacity:
            break
        capacity = outcome.events
    trades = tape.events[: outcome.events]
    net = trades[trades[:, 0] == Entry.TRADE, TRADE_COLUMNS.index("pnl_minor")]
    counts = (net.size, int((net > 0).sum()), int((net < 0).sum()))
    money = (int(net[net > 0].sum()), -int(net[net < 0].sum()), outcome.balance_minor, outcome.equity_minor)
    drawdown = max_drawdown_pct(balance_minor, tape.equity, tape.equity_low)
    return (*counts, *money, drawdown, outcome.refusals, outcome.trips, outcome.stopped_out_ms, 0, 1)


def _check(bars: BarArrays, rolls: RollArrays, sentiment: SentimentArrays) -> None:
    """Refuse bars that cannot be traded, and what is not in order of time."""
    count = bars.ts_ms.shape[0]
    if count < 2:
        raise DataError(
            "SWEEP_TOO_FEW_BARS", "Give at least two bars: one to decide by and one to trade on.", bars=count
        )
    optional = {bars.rate_e8.shape[0], bars.ahead.shape[0]}
    if {each.shape[0] for each in bars[:6]} != {count} or not optional <= {0, count}:
        raise DataError("SWEEP_BARS_UNEVEN", "Give the same number of values in every column of the bars.", bars=count)
    if any(each.dtype != np.int64 for each in bars):
        raise DataError("SWEEP_BARS_NOT_WHOLE", "Give bars as the loader makes them: times and prices of int64.")
    unsorted = (bars.ts_ms[1:] <= bars.ts_ms[:-1]) | (bars.end_ms[:-1] > bars.ts_ms[1:])
    if unsorted.any() or (bars.end_ms <= bars.ts_ms).any():
        todo = "Sort the bars by time; each has to end before the next begins."
        raise DataError("SWEEP_BARS_NOT_SORTED", todo, bars=count)
    if bars.low_px.min() <= 0:
        raise DataError("SWEEP_BARS_NOT_POSITIVE", "Give prices above zero.", lowest_px=int(bars.low_px.min()))
    for name, stamps in (("ROLLS", rolls.ts_ms), ("SENTIMENT", sentiment.known_ms)):
        if (stamps[1:] < stamps[:-1]).any():
            raise DataError(f"SWEEP_{name}_NOT_SORTED", "Sort the rows by time, oldest first.", rows=stamps.shape[0])


def _check_request(series: Series, table: Table, balance_minor: int, threads: int) -> None:
    """Refuse a request that asks for nothing or for nonsense."""
    if table.shape[0] == 0:
        raise ConfigError("SWEEP_NO_COMBINATIONS", "Give at least one combination of parameters.")
    if balance_minor <= 0 or threads < 1:
        raise ConfigError(
            "SWEEP_NOT_POSITIVE", "Start from money, on a thread.", balance=balance_minor, threads=threads
        )
    for name in ("rsi_period", "atr_period"):
        if (table[name] < 1).any():
            raise ConfigError("SWEEP_BAD_PERIOD", "Give indicators a period of at least one bar.", field=name)
    if (table["flat_before"] != 0).any() and series.bars.ahead.size == 0:
        raise DataError("SWEEP_PAUSES_UNKNOWN", "Give bars that carry the pauses ahead of them.", field="flat_before")
