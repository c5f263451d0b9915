"""One backtest: the compiled replay over a loaded series, its tape read back as trades, refusals and a curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palmbot.calendar import pauses_ahead
from palmbot.core.replay import replay
from palmbot.core.tape import REFUSAL_COLUMNS, TRADE_COLUMNS, TRIP_COLUMNS, Entry, Tape, new_tape
from palmbot.core.types import Int64Array, Params
from palmbot.core.world import Outcome, Run
from palmbot.errors import RefusedError
from palmbot.model import Refusal, Trade
from palmbot.research.result import Costs, DataSet, RunResult

_FIRST_CAPACITY = 4_096


def run(data: DataSet, profile: str, params: Params, start_balance_minor: int) -> RunResult:
    """Trade ``data`` once from ``start_balance_minor`` with everything on.

    Raises:
        RefusedError: the account would have been stopped out by its broker; what follows would be fiction.
    """
    outcome, tape = replayed(data, params, start_balance_minor)
    if outcome.stopped_out_ms != 0:
        raise RefusedError(
            "STOPPED_OUT",
            "Lower risk_fraction, exposure_max or margin_share: a broker would have closed the position here.",
            ts_ms=outcome.stopped_out_ms,
        )
    trades = _of_kind(tape.events, Entry.TRADE, len(TRADE_COLUMNS))
    totals = dict(zip(TRADE_COLUMNS, trades.sum(axis=0).tolist(), strict=True))
    costs = Costs(*(totals[f"{kind}_minor"] for kind in ("spread", "slippage", "commission", "swap", "fee")))
    return RunResult(
        profile=profile,
        params=params,
        start_balance_minor=start_balance_minor,
        balance_minor=outcome.balance_minor,
        equity_end_minor=outcome.equity_minor,
        trades=trades_of(tape),
        refusals=refusals_of(tape),
        costs=costs,
        equity_ts_ms=data.bars.end_ms,
        equity_minor=tape.equity,
        equity_low_minor=tape.equity_low,
        exposure=float(np.mean(tape.held)),
        rsi=tape.rsi,
        halts=halts_of(tape),
    )


def replayed(data: DataSet, params: Params, balance_minor: int) -> tuple[Outcome, Tape]:
    """Replay ``data`` with a tape that is long enough; return how it ended, and the tape cut to what was written.

    What follows ``Outcome.stopped_out_ms``, where that is not 0, is fiction.
    """
    data, capacity = foreseen(data, params.flat_before), _FIRST_CAPACITY
    while True:
        tape = new_tape(capacity, data.bars.ts_ms.shape[0])
        constants = Run(params, data.spec.core)
        outcome = replay(constants, balance_minor, data.bars, data.rolls, data.sentiment, tape)
        if outcome.events <= capacity:
            return outcome, tape._replace(events=tape.events[: outcome.events])
        capacity = outcome.events


def foreseen(data: DataSet, flat_before: int) -> DataSet:
    """Return ``data`` with the pauses that its calendar has ahead of each bar, where ``flat_before`` names any."""
    if flat_before == 0 or data.bars.ahead.size > 0:
        return data
    spec, bars = data.spec, data.bars
    ahead = pauses_ahead(bars.end_ms, data.period_ms, spec.core.day_start_ms, spec.session, spec.roll_day)
    return replace(data, bars=bars._replace(ahead=ahead))


def trades_of(tape: Tape) -> tuple[Trade, ...]:
    """Return the closed trades on ``tape``, in order."""
    return tuple(_trade(row) for row in _of_kind(tape.events, Entry.TRADE, len(TRADE_COLUMNS)).tolist())


def refusals_of(tape: Tape) -> tuple[Refusal, ...]:
    """Return the signals on ``tape`` that came to nothing, in order."""
    return tuple(Refusal(*row[1:]) for row in _of_kind(tape.events, Entry.REFUSAL, len(REFUSAL_COLUMNS)).tolist())


def halts_of(tape: Tape) -> tuple[tuple[int, int], ...]:
    """Return (time in ms, reason) of every breaker trip on ``tape``, in order."""
    return tuple((row[1], row[2]) for row in _of_kind(tape.events, Entry.TRIP, len(TRIP_COLUMNS)).tolist())


def _of_kind(events: Int64Array, kind: Entry, columns: int) -> Int64Array:
    return events[events[:, 0] == kind, :columns]


def _trade(row: list[int]) -> Trade:
    value = dict(zip(TRADE_COLUMNS, row, strict=True))
    return Trade(
        entry_ms=value["entry_ms"],
        exit_ms=value["exit_ms"],
        side=value["side"],
        volume_cu=value["volume_cu"],
        entry_px=value["entry_px"],
        exit_px=float(value["exit_px"]),
        exit_reason=value["reason"],
        pnl_minor=value["pnl_minor"],
        gross_minor=value["gross_minor"],
        swap_minor=value["swap_minor"],
        commission_minor=value["commission_minor"],
        fee_minor=value["fee_minor"],
        risk_minor=float(value["risk_minor"]),
        sl_px=value["sl_px"],
        tp_px=value["tp_px"],
    )
