"""What each refusal saved or cost: the trade that was refused, traded after all.

Each refused signal is replayed by the core from its own bar on, with every gate open that can be: sentiment, breakers
and the gap at the open do not count, stop, target, trail, time exit and all costs do. A signal that no order could
follow (a stop too close, a volume below the minimum) has no shadow. Shadows do not overlap one another: whoever had
taken the first would have held it when the second came.

Whether a reason's shadows came to more or less than nothing is said by ``p``: their mean R is held against resampled
ones about their own mean, and against those of every other reason (``looks``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from palmbot.core.compiled import compiled
from palmbot.core.replay import replay
from palmbot.core.tape import TRADE_COLUMNS, Entry, Tape
from palmbot.core.types import BarArrays, Float64Array, Int64Array, Params, Reason, RollArrays, SentimentArrays, Side
from palmbot.core.world import Run
from palmbot.research.bootstrap import CHUNK_CELLS, RESAMPLES, Band, band_of, mean_block_length, resample_indices
from palmbot.research.looks import corrected
from palmbot.research.result import DataSet, RunResult
from palmbot.research.sweep_ledger import Rows
from palmbot.research.wording import FEW_TRADES

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
_PAST_BARS_MIN = 1_000
_PAST_PERIODS = 40  # after which nothing of an older price is left in Wilder's averages: e^-40
_AHEAD_BARS = 256  # of the first look; four times as many each time the trade is still open
_EVENTS = 64
_TRADE = int(Entry.TRADE)
_SHORT = int(Side.SHORT)
_ENTRY_MS, _EXIT_MS = TRADE_COLUMNS.index("entry_ms"), TRADE_COLUMNS.index("exit_ms")
_RISK = TRADE_COLUMNS.index("risk_minor")


@dataclass(frozen=True, slots=True)
class Refused:
    """All refusals for one reason.

    Attributes:
        mean_r: what their shadows came to: below zero, refusing saved that.
        mean_r_band: of this mean alone.
        p: that chance makes the mean of any reason differ as much from nothing; None where shadows are few.
    """

    reason: Reason
    refusals: int
    shadows: int
    sum_r: float
    mean_r: float | None
    mean_r_band: Band | None
    p: float | None = None


class _Scene(NamedTuple):
    """Where shadows are traded: long and short with every gate open, on which bars, by which account."""

    long: Run
    short: Run
    balance_minor: int
    bars: BarArrays
    rolls: RollArrays
    sentiment: SentimentArrays


def shadows_of(result: RunResult, data: DataSet) -> Rows:
    """Return a row of ``SHADOW`` for each refusal that has a shadow of its own, in order of time."""
    asked = np.array([(each.bar_end_ms, each.reason, each.side) for each in result.refusals], np.int64).reshape(-1, 3)
    decided = np.searchsorted(data.bars.end_ms, asked[:, 0])
    params = result.params
    past = np.minimum(decided + 1, max(_PAST_BARS_MIN, _PAST_PERIODS * max(params.rsi_period, params.atr_period)))
    always = SentimentArrays(data.bars.ts_ms[:1] - 1, np.zeros(1))
    found = np.zeros((len(asked), len(TRADE_COLUMNS)), np.int64)
    busy_until_ms = 0
    for rows in np.split(np.arange(len(asked)), np.flatnonzero(np.diff(past)) + 1):
        if rows.size == 0:
            continue
        long, short = (
            Run(_open_gates(params, side, int(past[rows[0]])), data.spec.core) for side in (Side.LONG, Side.SHORT)
        )
        scene = _Scene(long, short, result.start_balance_minor, data.bars, data.rolls, always)
        span = slice(rows[0], rows[-1] + 1)
        busy_until_ms = _play(scene, asked[span], decided[span], found[span], busy_until_ms)
    return _shadows(asked, found)


def _shadows(asked: Int64Array, found: Int64Array) -> Rows:
    """Return those of ``found`` that hold a trade as rows of ``SHADOW``."""
    is_there = found[:, 0] == _TRADE
    trade = dict(zip(TRADE_COLUMNS, found[is_there].T, strict=True))
    shadows = np.zeros(int(is_there.sum()), SHADOW)
    shadows["bar_end_ms"], shadows["reason"] = asked[is_there, 0], asked[is_there, 1]
    for name in ("side", "entry_ms", "exit_ms", "pnl_minor"):
        shadows[name] = trade[name]
    shadows["exit_reason"], shadows["r"] = trade["reason"], trade["pnl_minor"] / trade["risk_minor"]
    return shadows


def refused(result: RunResult, shadows: Rows, seed: int) -> tuple[Refused, ...]:
    """Return the refusals of ``result`` by reason, the most frequent first."""
    counts: dict[int, int] = {}
    for refusal in result.refusals:
        counts[refusal.reason] = counts.get(refusal.reason, 0) + 1
    results = {
        reason: np.ascontiguousarray(shadows["r"][shadows["reason"] == reason])
        for reason in sorted(counts, key=lambda each: (-counts[each], each))
    }
    means = {reason: _resampled_means(r, seed + place) for place, (reason, r) in enumerate(results.items())}
    judged = [reason for reason, r in results.items() if r.size >= FEW_TRADES]
    p = dict(zip(judged, _p_values([(results[each].mean(), means[each]) for each in judged]), strict=True))
    return tuple(
        Refused(
            reason=Reason(reason),
            refusals=counts[reason],
            shadows=r.size,
            sum_r=float(r.sum()),
            mean_r=float(r.mean()) if r.size else None,
            mean_r_band=band_of(means[reason]),
            p=p.get(reason),
        )
        for reason, r in results.items()
    )


def _resampled_means(r: Float64Array, seed: int) -> Float64Array:
    """Return the mean of ``r`` in each of its stationary-bootstrap samples; of less than two trades there is none."""
    if r.size < 2:
        return np.empty(0)
    rng, block = np.random.default_rng(seed), mean_block_length(r.size)
    rows = max(1, CHUNK_CELLS // r.size)
    sizes = [min(rows, RESAMPLES - first) for first in range(0, RESAMPLES, rows)]
    return np.concatenate([r[resample_indices(r.size, size, block, rng)].sum(axis=1) / r.size for size in sizes])


def _p_values(judged: list[tuple[float, Float64Array]]) -> list[float]:
    """Return p that each mean is not nothing, given the resampled ones beside it, corrected for all of them."""
    if not judged:
        return []
    middle, again = np.array([mean for mean, _ in judged]), np.stack([means for _, means in judged], axis=1)
    error = np.maximum(again.std(axis=0), np.finfo(float).tiny)
    return corrected(np.abs(middle) / error, np.abs(again - middle) / error)


def _open_gates(params: Params, side: int, warmup_bars: int) -> Params:
    """Return ``params`` that refuse nothing on ``side`` that an order could follow, and decide first after the past."""
    return params._replace(
        warmup_bars=warmup_bars,
        sentiment_long=-101.0,
        sentiment_short=101.0,
        sentiment_max_age_ms=1 << 60,
        allow_short=1 if side == Side.SHORT else params.allow_short,
        decision_ttl_ms=0,
        open_gap_max_bp=0,
        daily_loss_bp=0,
        drawdown_bp=0,
        losses_max=0,
        spike_bp=0,
    )


@compiled
def _play(scene: _Scene, asked: Int64Array, decided: Int64Array, found: Int64Array, busy_until_ms: int) -> int:
    """Write the trade of each refusal that has one to its row of ``found``; return until when the last was held."""
    none = np.zeros(0, np.int64)
    tape = Tape(np.zeros((_EVENTS, found.shape[1]), np.int64), none, none, np.zeros(0), none)
    for row in range(asked.shape[0]):
        if asked[row, 0] < busy_until_ms:
            continue
        run = scene.short if asked[row, 2] == _SHORT else scene.long
        at = _first_trade(scene, run, decided[row], tape)
        if at >= 0 and tape.events[at, _RISK] > 0:
            found[row] = tape.events[at]
            busy_until_ms = found[row, _EXIT_MS]
    return busy_until_ms


@compiled
def _first_trade(scene: _Scene, run: Run, decided: int, tape: Tape) -> int:
    """Return the row of ``tape`` that holds the trade of a signal of bar ``decided``; -1: it has none that ended."""
    bars, rolls = scene.bars, scene.rolls
    count, ahead = bars.ts_ms.shape[0], _AHEAD_BARS
    first, end = decided + 1 - run.params.warmup_bars, decided + 1
    if end == count:
        return -1
    since_ms, until_ms = bars.ts_ms[end], bars.end_ms[end]
    while end < count:
        end = min(decided + 1 + ahead, count)
        some = _cut(bars, first, end)
        low = np.searchsorted(rolls.ts_ms, some.ts_ms[0], side="left")
        high = np.searchsorted(rolls.ts_ms, some.ts_ms[-1], side="right")
        rolled = RollArrays(rolls.ts_ms[low:high], rolls.gap_px[low:high])
        outcome = replay(run, scene.balance_minor, some, rolled, scene.sentiment, tape)
        for row in range(min(outcome.events, tape.events.shape[0])):
            if tape.events[row, 0] == _TRADE:
                return row if since_ms <= tape.events[row, _ENTRY_MS] < until_ms else -1
        if not since_ms <= outcome.position.entry_ms < until_ms:
            return -1  # no order could follow; what was entered, if anything, is a later signal's
        ahead *= 4
    return -1


@compiled
def _cut(bars: BarArrays, first: int, end: int) -> BarArrays:
    return BarArrays(
        bars.ts_ms[first:end],
        bars.end_ms[first:end],
        bars.open_px[first:end],
        bars.high_px[first:end],
        bars.low_px[first:end],
        bars.close_px[first:end],
        bars.rate_e8[first:end],
        bars.ahead[first:end],
    )
