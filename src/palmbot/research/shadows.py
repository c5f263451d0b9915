"""What each refusal saved or cost: the trade that was refused, traded after all.

Each refused signal is replayed by the core from its own bar on, with every gate open that can be: sentiment, breakers
and the gap at the open do not count, stop, target, trail, time exit and all costs do. A signal that no order could
follow (a stop too close, a volume below the minimum) has no shadow. Shadows do not overlap one another: whoever had
taken the first would have held it when the second came.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palmbot.core.replay import replay
from palmbot.core.tape import TRADE_COLUMNS, Entry, new_tape
from palmbot.core.types import BarArrays, Params, Reason, RollArrays, SentimentArrays, Side
from palmbot.core.world import Run
from palmbot.model import Refusal
from palmbot.research.bootstrap import Band, trade_bands
from palmbot.research.result import DataSet, RunResult
from palmbot.research.sweep_ledger import Rows

SHADOW = np.dtype(
    [
        ("bar_end_ms", "i8"),
        ("reason", "i8"),  # of the refusal
        ("side", "i8"),
        ("entry_ms", "i8"),
        ("exit_ms", "i8"),
        ("exit_reason", "i8"),
        ("pnl_minor", "i8"),
        ("r", "f8"),
    ]
)
_PAST_BARS = 5_000  # after which nothing of an older price is left in Wilder's averages of usual periods
_AHEAD_BARS = 256  # of the first look; four times as many each time the trade is still open
_EVENTS = 64


@dataclass(frozen=True, slots=True)
class Refused:
    """All refusals for one reason. ``mean_r`` is what their shadows came to: below zero, refusing saved that."""

    reason: Reason
    refusals: int
    shadows: int
    sum_r: float
    mean_r: float | None
    mean_r_band: Band | None


def shadows_of(result: RunResult, data: DataSet) -> Rows:
    """Return a row of ``SHADOW`` for each refusal that has a shadow of its own, in order of time."""
    found = []
    busy_until_ms = 0
    for refusal in result.refusals:
        if refusal.bar_end_ms < busy_until_ms:
            continue
        shadow = _shadow(refusal, result, data)
        if shadow is not None:
            found.append(shadow)
            busy_until_ms = int(shadow[4])
    return np.array(found, SHADOW)


def refused(result: RunResult, shadows: Rows, seed: int) -> tuple[Refused, ...]:
    """Return the refusals of ``result`` by reason, the most frequent first."""
    counts: dict[int, int] = {}
    for refusal in result.refusals:
        counts[refusal.reason] = counts.get(refusal.reason, 0) + 1
    return tuple(
        _of_reason(reason, count, shadows[shadows["reason"] == reason], seed)
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _of_reason(reason: int, count: int, rows: Rows, seed: int) -> Refused:
    r = np.ascontiguousarray(rows["r"])
    band = trade_bands(np.ascontiguousarray(rows["pnl_minor"]), r, seed).expectancy_r
    mean = float(r.mean()) if r.size else None
    return Refused(Reason(reason), count, len(rows), float(r.sum()), mean, band)


def _shadow(refusal: Refusal, result: RunResult, data: DataSet) -> tuple[float, ...] | None:
    """Return the row of a refusal's trade; None where it has none that ends within the data."""
    decided = int(np.searchsorted(data.bars.end_ms, refusal.bar_end_ms))
    first = max(0, decided + 1 - _PAST_BARS)
    params = _open_gates(result.params, refusal, decided - first + 1)
    row, end, ahead = None, 0, _AHEAD_BARS
    while row is None and end < data.bars.ts_ms.shape[0]:
        end = min(decided + 1 + ahead, data.bars.ts_ms.shape[0])
        row = _first_trade(params, result, data, (first, end))
        ahead *= 4
    if row is None or row["risk_minor"] <= 0:
        return None
    if int(np.searchsorted(data.bars.ts_ms, row["entry_ms"], side="right")) != decided + 2:
        return None  # a later signal's
    told = (refusal.bar_end_ms, refusal.reason, row["side"], row["entry_ms"], row["exit_ms"], row["reason"])
    return (*told, row["pnl_minor"], row["pnl_minor"] / row["risk_minor"])


def _open_gates(params: Params, refusal: Refusal, warmup_bars: int) -> Params:
    """Return ``params`` that refuse nothing that an order could follow, and decide first at the refused bar."""
    return params._replace(
        warmup_bars=warmup_bars,
        sentiment_long=-101.0,
        sentiment_short=101.0,
        sentiment_max_age_ms=1 << 60,
        allow_short=1 if refusal.side == Side.SHORT else params.allow_short,
        decision_ttl_ms=0,
        open_gap_max_bp=0,
        daily_loss_bp=0,
        drawdown_bp=0,
        losses_max=0,
        spike_bp=0,
    )


def _first_trade(params: Params, result: RunResult, data: DataSet, span: tuple[int, int]) -> dict[str, int] | None:
    bars = BarArrays(*(column[span[0] : span[1]] if column.size else column for column in data.bars))
    inside = (data.rolls.ts_ms >= bars.ts_ms[0]) & (data.rolls.ts_ms <= bars.ts_ms[-1])
    rolls = RollArrays(*(column[inside] for column in data.rolls))
    always = SentimentArrays(bars.ts_ms[:1] - 1, np.zeros(1))
    tape = new_tape(_EVENTS, 0)
    replay(Run(params, data.spec.core), result.start_balance_minor, bars, rolls, always, tape)
    trades = tape.events[tape.events[:, 0] == Entry.TRADE]
    return dict(zip(TRADE_COLUMNS, trades[0].tolist(), strict=True)) if len(trades) else None
