"""Walk-forward: choose on the past, trade what comes next, step by step, on one account.

Each step trains the search anew and trades its best combination in the test slice. The balance is carried from test to
test, so that all of them are one equity curve; the breakers start afresh with each step, as at a start of the bot. A
trade belongs to the test that it was entered in. What is still open at a test's end runs on under its own rules, and
the next test begins when it has ended: the bot holds one position at a time.

Source: Pardo, "The Evaluation and Optimization of Trading Strategies" (2008), chapter 11.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Params
from palmbot.model import Trade
from palmbot.research.backtest import halts_of, replayed, trades_of
from palmbot.research.bootstrap import trade_bands
from palmbot.research.evidence import Curve, Tally, WalkForward, Window
from palmbot.research.result import DataSet
from palmbot.research.search import Search, Searcher, profit_factor_of
from palmbot.research.statistics import drawdown_at_risk_pct, geometry_win_rate, max_drawdown_pct, r_multiple
from palmbot.research.sweep import Series
from palmbot.research.windows import Span, cut, train_bars
from palmbot.research.workers import IN_TURN, Workers

TAIL_BARS = 64  # how far a test's last trade is followed at first


@dataclass(frozen=True, slots=True)
class Choice:
    """What one training chose, for the test after it. ``params`` None: nothing had a score."""

    span: Span
    params: Params | None
    train: Tally | None


class Leg(NamedTuple):
    """A stretch traded with one set of parameters, until its last trade has ended.

    Attributes:
        end: the first bar after it.
        stopped_out_ms: 0, or when a broker would have closed; nothing after it is in the leg.
    """

    trades: tuple[Trade, ...]
    curve: Curve
    halts: tuple[tuple[int, int], ...]
    end: int
    balance_minor: int
    stopped_out_ms: int


def series_of(data: DataSet) -> Series:
    """Return ``data`` made ready for sweeps."""
    return Series(data.spec.core, data.bars, data.rolls, data.sentiment)


def choose(
    data: DataSet, searcher: Searcher, spans: Sequence[Span], warmup: int, workers: Workers = IN_TURN
) -> Generator[Choice]:
    """Search each training and yield what was best there, in order.

    Args:
        data: the whole series; a search sees its own training alone.
        searcher: the same search each time.
        spans: the steps.
        warmup: bars before the first decision.
        workers: who searches the trainings.
    """

    def chosen(step: int) -> Choice:
        span = spans[step]
        search = searcher(series_of(train_bars(data, span, warmup)))
        return Choice(span, search.best_params, tally_of_best(search))

    return workers(chosen, len(spans))


def walk_forward(data: DataSet, kind: str, choices: Sequence[Choice], balance_minor: int, seed: int) -> WalkForward:
    """Trade each of ``choices`` (at least one) in its test, one after the other, on one account.

    Args:
        data: the whole series.
        kind: what to call it.
        choices: in order of time.
        balance_minor: at the first test's first bar, > 0.
        seed: of the bootstrap behind the band.
    """
    windows, legs = _tested(data, choices, balance_minor)
    trades, curve, tally = _joined(windows, legs, balance_minor)
    return WalkForward(
        kind=kind,
        windows=tuple(windows),
        trades=trades,
        tally=tally,
        profit_factor_band=trade_bands(*_results(trades), seed).profit_factor,
        curve=curve,
        start_balance_minor=balance_minor,
        halts=tuple(halt for leg in legs for halt in leg.halts),
        stopped_out_ms=next((leg.stopped_out_ms for leg in legs if leg.stopped_out_ms), 0),
    )


def unseen(data: DataSet, choices: Sequence[Choice], balance_minor: int) -> Tally:
    """Return the numbers of `walk_forward` alone, without a band."""
    return _joined(*_tested(data, choices, balance_minor), balance_minor)[2]


def choices_of(walked: WalkForward) -> tuple[Choice, ...]:
    """Return the choices that ``walked`` traded."""
    return tuple(
        Choice(
            Span(each.train_from, each.train_to, each.test_from, each.test_to, each.embargoed), each.params, each.train
        )
        for each in walked.windows
    )


def whole(data: DataSet, params: Params, balance_minor: int) -> tuple[Leg, Tally]:
    """Return the whole of ``data`` traded with ``params`` in one leg, and its numbers."""
    leg = _leg(data, params, balance_minor, 0, data.bars.ts_ms.shape[0])
    return leg, tally_of(leg.trades, leg.curve, balance_minor, geometry_win_rate(params))


def tally_of(trades: Sequence[Trade], curve: Curve, balance_minor: int, geometry: float | None) -> Tally:
    """Return the numbers of ``trades``, which ``curve`` began with ``balance_minor``."""
    pnl, r = _results(trades)
    lost, wins, known = int(-pnl[pnl < 0].sum()), int((pnl > 0).sum()), r[np.isfinite(r)]
    return Tally(
        trades=len(trades),
        win_rate=wins / len(trades) if trades else None,
        profit_factor=int(pnl[pnl > 0].sum()) / lost if lost else None,
        max_drawdown_pct=max_drawdown_pct(balance_minor, curve.equity_minor, curve.low_minor),
        net_minor=int(pnl.sum()),
        drawdown_at_1pct_pct=drawdown_at_risk_pct(known, 0.01) if known.size else None,
        geometry_win_rate=geometry,
    )


def tally_of_best(search: Search) -> Tally | None:
    """Return the numbers of the best combination of ``search``; None where it has none."""
    if search.best is None or search.best_params is None:
        return None
    result = search.results[search.best]
    trades, factor = int(result["trades"]), float(profit_factor_of(search.results)[search.best])
    return Tally(
        trades=trades,
        win_rate=int(result["wins"]) / trades if trades else None,
        profit_factor=factor if np.isfinite(factor) else None,
        max_drawdown_pct=float(result["max_drawdown_pct"]),
        net_minor=int(result["profit_minor"] - result["loss_minor"]),
        geometry_win_rate=geometry_win_rate(search.best_params),
    )


def _tested(data: DataSet, choices: Sequence[Choice], balance_minor: int) -> tuple[list[Window], list[Leg]]:
    """Trade ``choices`` one after the other; nothing after a broker closed the account."""
    at, balance, is_closed = choices[0].span.test_from, balance_minor, False
    windows: list[Window] = []
    legs: list[Leg] = []
    for choice in choices:
        leg = _leg(data, None if is_closed else choice.params, balance, at, choice.span.test_to)
        windows.append(_window(data, choice, leg, balance))
        legs.append(leg)
        at, balance, is_closed = leg.end, leg.balance_minor, is_closed or leg.stopped_out_ms != 0
    return windows, legs


def _joined(
    windows: Sequence[Window], legs: Sequence[Leg], balance_minor: int
) -> tuple[tuple[Trade, ...], Curve, Tally]:
    """Return ``legs`` as one list of trades, one curve and their numbers."""
    trades = tuple(trade for leg in legs for trade in leg.trades)
    curve = Curve(*(np.concatenate(columns) for columns in zip(*(_columns(leg.curve) for leg in legs), strict=True)))
    return trades, curve, tally_of(trades, curve, balance_minor, _geometry(windows))


def _leg(data: DataSet, params: Params | None, balance_minor: int, begin: int, end: int) -> Leg:
    """Trade what can be entered in bars ``begin`` to ``end``; None: nobody trades. Empty where ``begin`` is past."""
    bars = data.bars
    if params is None or begin >= end:
        flat = np.full(max(end - begin, 0), balance_minor)
        return Leg((), Curve(bars.end_ms[begin:end], flat, flat), (), max(begin, end), balance_minor, 0)
    count, first, until, tail = bars.ts_ms.shape[0], max(begin - params.warmup_bars, 0), end, TAIL_BARS
    outcome, tape = replayed(cut(data, first, until), params, balance_minor)
    closed, is_open = outcome.trades, outcome.position.side != 0
    while is_open and outcome.trades == closed and until < count:
        until, tail = min(until + tail, count), 2 * tail
        outcome, tape = replayed(cut(data, first, until), params, balance_minor)
    trades = trades_of(tape)[: closed + is_open]
    if len(trades) > closed:
        until = max(end, int(np.searchsorted(bars.ts_ms, trades[-1].exit_ms, "right")))
    columns = (
        bars.end_ms[begin:until],
        *(each[begin - first : until - first] for each in (tape.equity, tape.equity_low)),
    )
    last_ms = int(bars.end_ms[until - 1])
    halts = tuple(halt for halt in halts_of(tape) if halt[0] <= last_ms)
    balance = balance_minor + sum(trade.pnl_minor for trade in trades)
    leg = Leg(trades, Curve(*columns), halts, until, balance, 0)
    return _stopped(leg, outcome.stopped_out_ms) if 0 < outcome.stopped_out_ms <= last_ms else leg


def _stopped(leg: Leg, stopped_out_ms: int) -> Leg:
    """Return ``leg`` as it was until a broker closed its position; then it stands still at the equity of that bar."""
    bar = int(np.searchsorted(leg.curve.ts_ms, stopped_out_ms, "left"))
    equity, low = leg.curve.equity_minor.copy(), leg.curve.low_minor.copy()
    equity[bar:] = equity[bar]
    low[bar + 1 :] = equity[bar]
    trades = tuple(trade for trade in leg.trades if trade.exit_ms <= stopped_out_ms)
    halts = tuple(halt for halt in leg.halts if halt[0] <= stopped_out_ms)
    return Leg(trades, Curve(leg.curve.ts_ms, equity, low), halts, leg.end, int(equity[bar]), stopped_out_ms)


def _window(data: DataSet, choice: Choice, leg: Leg, balance_minor: int) -> Window:
    span, bars = choice.span, data.bars
    geometry = None if choice.params is None else geometry_win_rate(choice.params)
    return Window(
        train_from=span.train_from,
        train_to=span.train_to,
        test_from=span.test_from,
        test_to=span.test_to,
        test_from_ms=int(bars.ts_ms[span.test_from]),
        test_to_ms=int(bars.end_ms[span.test_to - 1]),
        params=choice.params,
        train=choice.train,
        test=tally_of(leg.trades, leg.curve, balance_minor, geometry),
        embargoed=span.embargoed,
    )


def _geometry(windows: Sequence[Window]) -> float | None:
    """Return the mean of what stop and target alone would win, by trades; None where one of them cannot say it."""
    traded = [window.test for window in windows if window.test.trades]
    rates = [test.geometry_win_rate for test in traded if test.geometry_win_rate is not None]
    if not traded or len(rates) < len(traded):
        return None
    return float(np.average(rates, weights=[test.trades for test in traded]))


def _results(trades: Sequence[Trade]) -> tuple[Int64Array, Float64Array]:
    """Return net result and R of each of ``trades``, both of shape (n,)."""
    pnl = np.array([trade.pnl_minor for trade in trades], np.int64)
    return pnl, np.array([r_multiple(trade) for trade in trades], np.float64)


def _columns(curve: Curve) -> tuple[Int64Array, Int64Array, Int64Array]:
    return curve.ts_ms, curve.equity_minor, curve.low_minor
