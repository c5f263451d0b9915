"""What a winner must bear: dearer trading, its neighbours in the grid, and data that end earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from palmbot.core.tape import TRADE_COLUMNS, Entry, Tape
from palmbot.core.types import Instrument, Int64Array, Params
from palmbot.research.backtest import replayed
from palmbot.research.evidence import COST_FACTORS, CostStress, Plateau
from palmbot.research.result import DataSet
from palmbot.research.search import Search, profit_factor_of
from palmbot.research.walkforward import Choice, unseen, whole
from palmbot.research.windows import cut

CHARGES = ("spread", "slippage", "commission_rate", "commission_min_minor", "conversion_fee_bp")
CUTS = 8  # places at which the data end early


def cost_stress(data: DataSet, params: Params, choices: Sequence[Choice], balance_minor: int) -> tuple[CostStress, ...]:
    """Return the winner, and the tests of ``choices`` (at least one), with every cost times 0.5, 1, 2 and 4.

    Nothing is chosen anew: the same parameters trade at other costs.
    """
    found = []
    for factor in COST_FACTORS:
        dear = with_costs(data, factor)
        found.append(CostStress(factor, whole(dear, params, balance_minor)[1], unseen(dear, choices, balance_minor)))
    return tuple(found)


def with_costs(data: DataSet, factor: float) -> DataSet:
    """Return ``data`` whose trades cost ``factor`` times as much; a swap that pays stays as it is."""
    core = data.spec.core
    changed = {name: round(getattr(core, name) * factor) for name in CHARGES}
    changed |= {
        name: round(value * factor) for name in ("swap_long", "swap_short") if (value := getattr(core, name)) < 0
    }
    return replace(data, spec=replace(data.spec, core=Instrument(**{**core._asdict(), **changed})))


def plateau(search: Search) -> Plateau | None:
    """Return the best combination beside its neighbours; None where there is no best.

    Neighbours are the tried combinations that differ from it by at most one step in each axis, a step being the next
    value that was tried. One that has no score counts as 0, and so does its profit factor: the edge ends there.
    """
    if search.best is None:
        return None
    near = np.ones(search.trials, bool)
    for name in search.table.dtype.names or ():
        values, places = np.unique(search.table[name], return_inverse=True)
        if values.size > 1:
            near &= np.abs(places - places[search.best]) <= 1
    near[search.best] = False
    score, count = float(search.scores[search.best]), int(near.sum())
    if count == 0:
        return Plateau(score, 0, None, None)
    scores = search.scores[near]
    factors = np.where(np.isnan(scores), 0.0, profit_factor_of(search.results[near]))
    factor = float(np.median(factors))
    return Plateau(score, count, float(np.median(np.nan_to_num(scores))), factor if np.isfinite(factor) else None)


def sees_ahead(data: DataSet, params: Params, balance_minor: int) -> bool:
    """Return whether ``params`` decided otherwise where data that had not come yet are missing.

    The series is cut at several bars, sentiment and rolls with it. Everything that was known by the last close before
    must be equal: equity and RSI bar by bar, every trade that had ended, every refusal and every trip of a breaker.
    """
    count = data.bars.ts_ms.shape[0]
    full = replayed(data, params, balance_minor)[1]
    for end in np.unique(np.linspace(2, count, CUTS + 1).astype(np.int64)[:-1]).tolist():
        early = replayed(cut(data, 0, end), params, balance_minor)[1]
        before_ms = int(data.bars.end_ms[end - 1])
        if not np.array_equal(_events(early, before_ms), _events(full, before_ms)):
            return True
        for name, bars in (("equity", end), ("equity_low", end), ("rsi", end - 1)):  # the last bar is not closed yet
            if not np.array_equal(getattr(early, name)[:bars], getattr(full, name)[:bars], equal_nan=True):
                return True
    return False


def _events(tape: Tape, before_ms: int) -> Int64Array:
    """Return the rows of ``tape`` that had happened before ``before_ms``."""
    events = tape.events
    happened_ms = np.where(events[:, 0] == Entry.TRADE, events[:, TRADE_COLUMNS.index("exit_ms")], events[:, 1])
    return events[happened_ms < before_ms]
