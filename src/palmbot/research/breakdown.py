"""Trades by the hour, weekday and session of their entry, the market's volatility and the time they were held.

A table of groups always holds a best one, by luck alone. So a group only stands out when its mean R differs from that
of all other trades beyond what shuffling R among the trades gives as the largest difference of any group of any table:
the p-value counts every group that was looked at (Westfall and Young, "Resampling-Based Multiple Testing", 1993, the
single-step maxT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.bootstrap import CHUNK_CELLS, Band, trade_bands
from palmbot.research.looks import corrected
from palmbot.research.sweep_ledger import Rows

SHUFFLES = 2_000
GROUP_MIN = 10  # a smaller group is shown and not judged
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
THIRDS = ("calm third", "middle third", "wild third")
NOT_KNOWN_BEFORE = "time held"  # an outcome, bound up with the result: shown, never judged


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the trades. ``p`` is None where they are too few to be judged."""

    label: str
    trades: int
    win_rate: float
    win_rate_band: Band | None
    profit_factor: float | None
    mean_r: float | None
    mean_r_band: Band | None
    net_minor: int
    p: float | None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All trades, each in one group."""

    name: str
    groups: tuple[Group, ...]


def breakdowns(moments: Rows, seed: int) -> tuple[Breakdown, ...]:
    """Return the trades of ``moments`` by everything there is; empty where there is no trade."""
    if len(moments) == 0:
        return ()
    parts = {
        "hour of entry": _labelled(moments["hour"], [f"{hour:02d}:00" for hour in range(24)]),
        "weekday of entry": _labelled(moments["weekday"], WEEKDAYS),
        "session of entry": _sessions(moments["opened_minute"]),
        "volatility at entry": _thirds(moments["volatility_pct"]),
        NOT_KNOWN_BEFORE: _held(moments["bars_held"]),
    }
    known_before = [members for name, groups in parts.items() if name != NOT_KNOWN_BEFORE for _, members in groups]
    judged = iter(_p_values(known_before, moments["r"], seed))
    return tuple(
        Breakdown(
            name,
            tuple(
                _group(label, moments[members], None if name == NOT_KNOWN_BEFORE else next(judged), seed)
                for label, members in groups
            ),
        )
        for name, groups in parts.items()
    )


_Members = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def _labelled(values: Int64Array, labels: Sequence[str]) -> list[tuple[str, _Members]]:
    return [(labels[value], values == value) for value in np.unique(values).tolist()]


def _sessions(opened_minute: Int64Array) -> list[tuple[str, _Members]]:
    names = {-1: "outside", **{each: f"from {each // 60:02d}:{each % 60:02d}" for each in range(1_440)}}
    return [(names[value], opened_minute == value) for value in np.unique(opened_minute).tolist()]


def _thirds(values: Float64Array) -> list[tuple[str, _Members]]:
    low, high = np.quantile(values, (1 / 3, 2 / 3))
    place = (values > low).astype(int) + (values > high)
    return [(label, place == index) for index, label in enumerate(THIRDS) if (place == index).any()]


def _held(bars: Int64Array) -> list[tuple[str, _Members]]:
    edges = (1, 2, 3, 6, 11, 21, 51, 1 << 60)
    groups = []
    for first, end in pairwise(edges):
        members = (bars >= first) & (bars < end)
        last = end - 1
        label = f"{first} bar{'s' if first > 1 else ''}" if first == last else f"{first} to {last} bars"
        if members.any():
            groups.append((f"over {first - 1} bars" if end == edges[-1] else label, members))
    return groups


def _p_values(groups: Sequence[_Members], r: Float64Array, seed: int) -> list[float | None]:
    """Return for each group how often chance alone makes some group stand out as much as it does."""
    known = np.isfinite(r)
    spread = float(np.std(r[known], ddof=1)) if known.sum() > 2 else 0.0
    members = np.array(groups)[:, known].astype(np.float64)
    inside, outside = members.sum(axis=1), (1 - members).sum(axis=1)
    is_judged = (inside >= GROUP_MIN) & (outside >= GROUP_MIN)
    if spread == 0.0 or not is_judged.any():
        return [None] * len(groups)
    members, inside, outside = members[is_judged], inside[is_judged], outside[is_judged]
    error = spread * np.sqrt(1 / inside + 1 / outside)

    def standing_out(values: Float64Array) -> Float64Array:  # (m, trades) to (m, groups)
        total = values @ members.T
        return np.asarray(np.abs(total / inside - (values.sum(axis=1, keepdims=True) - total) / outside) / error)

    rng = np.random.default_rng(seed)
    real = r[known][None]
    rows = max(1, CHUNK_CELLS // real.size)
    sizes = [min(rows, SHUFFLES - first) for first in range(0, SHUFFLES, rows)]
    shuffled = (rng.permuted(np.repeat(real, size, axis=0), axis=1) for size in sizes)
    p = iter(corrected(standing_out(real)[0], np.concatenate([standing_out(each) for each in shuffled])))
    return [next(p) if judged else None for judged in is_judged.tolist()]


def _group(label: str, rows: Rows, p: float | None, seed: int) -> Group:
    pnl, r = np.ascontiguousarray(rows["pnl_minor"]), np.ascontiguousarray(rows["r"])
    bands = trade_bands(pnl, r, seed)
    lost = int(-pnl[pnl < 0].sum())
    known = r[np.isfinite(r)]
    return Group(
        label=label,
        trades=len(rows),
        win_rate=float((pnl > 0).mean()),
        win_rate_band=bands.win_rate,
        profit_factor=float(pnl[pnl > 0].sum() / lost) if lost else None,
        mean_r=float(known.mean()) if known.size else None,
        mean_r_band=bands.expectancy_r,
        net_minor=int(pnl.sum()),
        p=p,
    )
