"""Which combinations share what: a table of parameters becomes lanes for the kernel, and sets of bars for them all."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from palmbot.core.gaps import past_px
from palmbot.core.types import BarArrays, Float64Array, Int64Array, Params, Profile, SentimentArrays, StopKind
from palmbot.research import sweep_signals as signs
from palmbot.research.sweep_bits import words_of
from palmbot.research.sweep_lanes import Lanes, Signals
from palmbot.research.sweep_params import Table


class Compare(IntEnum):
    """How a set of bars compares RSI with its threshold."""

    NEVER = 0
    BELOW = 1
    ABOVE = 2
    AT_MOST = 3
    AT_LEAST = 4


class Veto(IntEnum):
    """For which side sentiment is asked."""

    NONE = 0
    SHORT = 1
    LONG = 2


_COMPARES: dict[int, Callable[[Float64Array, float], signs.Bools]] = {
    Compare.BELOW: lambda values, threshold: values < threshold,
    Compare.ABOVE: lambda values, threshold: values > threshold,
    Compare.AT_MOST: lambda values, threshold: values <= threshold,
    Compare.AT_LEAST: lambda values, threshold: values >= threshold,
}
_ASK = np.dtype([("compare", np.int64), ("period", np.int64), ("threshold", np.float64), ("pauses", np.int64)])
_LIMITS = ("spike_bp", "spike_bars", "pause_ms", "open_gap_max_bp", "decision_ttl_ms", "flat_before")
_PERMIT = np.dtype(
    [
        ("veto", np.int64),
        ("score", np.float64),
        ("age_ms", np.int64),
        *((name, np.int64) for name in _LIMITS),
    ]
)
_BRACKET = (
    *("stop_kind", "sl_ppm", "tp_ppm", "trail_ppm", "sl_atr", "tp_atr", "trail_atr", "atr_period"),
    *("max_bars", "rsi_exit", "rsi_period", "profile", "flat_before"),
    *("risk_fraction", "exposure_max", "margin_share", "gap_quantile"),
)
_OF_PERCENT = ("sl_ppm", "tp_ppm", "trail_ppm")
_OF_ATR = ("sl_atr", "tp_atr", "trail_atr", "atr_period")
_OF_RSI_EXIT = ("rsi_period", "profile")
_OF_GAPS = ("gap_quantile",)
_ASKING = ("profile", "rsi_period", "rsi_low", "rsi_high", "rsi_exit", "allow_short", "flat_before")
_PERMITTING = ("profile", "sentiment_long", "sentiment_short", "sentiment_max_age_ms", *_LIMITS)
_CODES_MAX = 1 << 60
_RSI_KEPT = 8  # series of RSI; they are as long as the bars


class Plan(NamedTuple):
    """A table made ready: ``order`` gives the row of the table for each lane."""

    order: Int64Array
    lanes: Lanes
    asks: Table  # (sets,): what each row of ``Signals.raw`` is
    permits: Table  # (sets,): the same of ``Signals.permits``
    atr_periods: Int64Array  # (periods,): of the rows of ``Signals.atr``
    quantiles: Float64Array  # (quantiles,): of the rows of ``Signals.gaps``


def plan_of(table: Table) -> Plan:
    """Return ``table`` (at least one row) ordered by what ends its trades, with all that it shares named once."""
    _, group = distinct(_brackets(table))
    order = np.argsort(group, kind="stable")
    table = table.take(order)
    asking, row = distinct(table[[*_ASKING]])
    asks, ask = distinct(np.concatenate(_asks(asking)))
    short, long, short_out, long_out = ask[1:].reshape(4, -1)[:, row]
    permitting, row = distinct(table[[*_PERMITTING]])
    permits, permit = distinct(np.concatenate(_permits(permitting)))
    atr_periods, atr = _used(table["atr_period"], table["stop_kind"] == StopKind.ATR)
    quantiles, gap = _used(table["gap_quantile"], table["gap_quantile"] > 0.0)
    sets = np.column_stack((short, long, *permit.reshape(2, -1)[:, row]))
    return Plan(
        order,
        Lanes(table, group[order], sets, np.column_stack((short_out, long_out)), atr, gap),
        asks,
        permits,
        atr_periods,
        quantiles,
    )


def _used(column: np.ndarray[tuple[int], np.dtype[Any]], is_used: signs.Bools) -> tuple[Any, Int64Array]:
    """Return the different values of ``column`` where it is used, and which of them each row has; -1 = unused."""
    row = np.full(column.shape[0], -1)
    values, row[is_used] = np.unique(column[is_used], return_inverse=True)
    return values, row


def distinct(rows: Table) -> tuple[Table, Int64Array]:
    """Return the different rows of ``rows``, ordered by their fields, and which of them each row is."""
    code, codes = np.zeros(rows.shape[0], np.int64), 1
    for name in rows.dtype.names or ():
        column = rows[name]
        if (column != column[0]).any():
            values, place = np.unique(column, return_inverse=True)
            if codes > _CODES_MAX // values.shape[0]:
                code = np.unique(code, return_inverse=True)[1]
                codes = rows.shape[0]
            code, codes = code * values.shape[0] + place, codes * values.shape[0]
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    return rows.take(first), code  # of whole rows, much faster than an index


def _brackets(table: Table) -> Table:
    """Return what ends the trades of each row and sizes them, with the fields that play no part at zero."""
    rows = table[[*_BRACKET]].copy()
    is_atr = rows["stop_kind"] == StopKind.ATR
    no_exit, no_gaps = rows["rsi_exit"] <= 0.0, rows["gap_quantile"] <= 0.0
    idle = ((_OF_PERCENT, is_atr), (_OF_ATR, ~is_atr), (_OF_RSI_EXIT, no_exit), (_OF_GAPS, no_gaps))
    for names, is_idle in idle:
        if is_idle.any():
            for name in names:
                rows[name][is_idle] = 0
    return rows


def _ask(compare: Int64Array, period: Int64Array, threshold: Float64Array, pauses: Int64Array | int = 0) -> Table:
    rows = np.zeros(period.shape[0], _ASK)
    rows["compare"] = compare
    rows["period"] = np.where(compare == Compare.NEVER, 0, period)
    rows["threshold"] = np.where(compare == Compare.NEVER, 0.0, threshold)
    rows["pauses"] = pauses
    return rows


def _asks(table: Table) -> list[Table]:
    """Return the sets of raw signals: the empty one, then entries and exits of shorts and longs, one a row each."""
    fades, period = table["profile"] == Profile.RSI_SENTIMENT, table["rsi_period"]
    low, high, back = table["rsi_low"], table["rsi_high"], table["rsi_exit"]
    leaves, pauses = back > 0.0, table["flat_before"]
    short = np.where(table["allow_short"] == 0, Compare.NEVER, np.where(fades, Compare.ABOVE, Compare.BELOW))
    short_out = np.where(leaves, np.where(fades, Compare.AT_MOST, Compare.AT_LEAST), Compare.NEVER)
    long_out = np.where(leaves, np.where(fades, Compare.AT_LEAST, Compare.AT_MOST), Compare.NEVER)
    return [
        np.zeros(1, _ASK),
        _ask(short, period, np.where(fades, high, low)),
        _ask(np.where(fades, Compare.BELOW, Compare.ABOVE), period, np.where(fades, low, high)),
        _ask(short_out, period, 100.0 - back, pauses),
        _ask(long_out, period, back, pauses),
    ]


def _permits(table: Table) -> list[Table]:
    """Return the sets of permitted bars of shorts and longs, one a row each."""
    found = []
    for veto, score in ((Veto.SHORT, "sentiment_short"), (Veto.LONG, "sentiment_long")):
        rows = np.zeros(table.shape[0], _PERMIT)
        asks = table["profile"] == Profile.RSI_SENTIMENT
        rows["veto"] = np.where(asks, veto, Veto.NONE)
        rows["score"] = np.where(asks, table[score], 0.0)
        rows["age_ms"] = np.where(asks, table["sentiment_max_age_ms"], 0)
        for name in _LIMITS:
            rows[name] = table[name]
        found.append(rows)
    return found


class Shared:
    """What the combinations of a series share, each worked out when it is first asked for."""

    def __init__(self, bars: BarArrays, rows: SentimentArrays) -> None:
        self._bars = bars
        self._score, self._age_ms = signs.sentiment_at_closes(bars, rows)
        self._rsi: dict[int, Float64Array] = {}

    def signals(self, plan: Plan) -> Signals:
        """Return the sets that ``plan`` asks for."""
        count = self._bars.ts_ms.shape[0]
        words = -(-count // 64)
        raw = np.zeros((plan.asks.shape[0], words), np.uint64)
        permits = np.zeros((plan.permits.shape[0], words), np.uint64)
        atr = np.zeros((max(plan.atr_periods.shape[0], 1), count if plan.atr_periods.shape[0] > 0 else 0))
        gaps = np.zeros((max(plan.quantiles.shape[0], 1), count if plan.quantiles.shape[0] > 0 else 0), np.int64)
        for row, (*ask, pauses) in enumerate(plan.asks.tolist()):
            if ask[0] != Compare.NEVER:
                raw[row] = words_of(self._asked(*ask))
            if pauses != 0:
                raw[row] |= words_of(self._bars.ahead & pauses != 0)
        unlimited = cache(self._unlimited)  # most permits differ in sentiment only
        for row, (veto, score, age_ms, *limits) in enumerate(plan.permits.tolist()):
            permits[row] = words_of(unlimited(*limits) & self._approved(veto, score, age_ms))
        for row, period in enumerate(plan.atr_periods.tolist()):
            atr[row] = signs.atr_of_bars(self._bars, period)
        for row, quantile in enumerate(plan.quantiles.tolist()):
            gaps[row] = past_px(self._bars, quantile)
        return Signals(raw, permits, atr, gaps)

    def bytes_of(self, plan: Plan) -> int:
        """Return how many bytes the sets that ``plan`` asks for take."""
        count = self._bars.ts_ms.shape[0]
        sets, series = plan.asks.shape[0] + plan.permits.shape[0], plan.atr_periods.shape[0] + plan.quantiles.shape[0]
        return int(sets * count // 8 + series * count * 8)

    def _asked(self, compare: int, period: int, threshold: float) -> signs.Bools:
        """Return the bars at whose close RSI compares so; the last bar is never closed."""
        if period not in self._rsi:
            while len(self._rsi) >= _RSI_KEPT:
                del self._rsi[next(iter(self._rsi))]
            self._rsi[period] = signs.rsi_of_closes(self._bars, period)
        members = _COMPARES[compare](self._rsi[period], threshold)
        members[-1] = False
        return members

    def _unlimited(self, *limits: int) -> signs.Bools:
        """Return the bars at whose close neither a spike, the next open nor a pause ahead forbids an entry."""
        params = Params()._replace(**dict(zip(_LIMITS, limits, strict=True)))
        members = np.ones(self._bars.ts_ms.shape[0], np.bool_)
        if params.open_gap_max_bp > 0 or params.decision_ttl_ms > 0:
            members = signs.sendable(self._bars, params)
        if params.spike_bp > 0:
            members &= signs.calm(self._bars, params)
        if params.flat_before != 0:
            members &= self._bars.ahead & params.flat_before == 0
        return members

    def _approved(self, veto: int, score: float, age_ms: int) -> signs.Bools | bool:
        """Return the bars at whose close sentiment approves of an entry; where none is known it is NaN."""
        if veto == Veto.NONE:
            return True
        return (self._score > score if veto == Veto.LONG else self._score < score) & (self._age_ms <= age_ms)
