"""The RSI study: what one set of rules did over one series, taken apart, and what may be learned from it.

Everything is computed here; ``analysis_files`` writes it, ``figures`` draws it, ``advice`` says what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from palmbot.core.types import Float64Array, Params, Profile, Reason
from palmbot.research import backtest
from palmbot.research.aftermath import Direction, Level, directions, levels
from palmbot.research.association import Association, associations
from palmbot.research.bootstrap import Band
from palmbot.research.breakdown import Breakdown, breakdowns
from palmbot.research.looks import Looks
from palmbot.research.moments import moments_of, related_changes
from palmbot.research.result import DataSet, RunResult
from palmbot.research.shadows import Refused, refused, shadows_of
from palmbot.research.statistics import Summary, summarize
from palmbot.research.sweep_ledger import Rows
from palmbot.research.thresholds import NoMap, Part, Thresholds, thresholds

Progress = Callable[[str, float], None]
_MAPS = (0.2, 0.7)  # where the thresholds begin and end, as shares of the whole


@dataclass(frozen=True)
class Analysis:
    """Everything that was found. ``moments`` are the trades (``moments.MOMENT``), ``shadows`` those refused.

    ``related`` are the changes of other markets known at each of the trades, by name.
    """

    data: DataSet
    result: RunResult
    summary: Summary
    moments: Rows
    related: Mapping[str, Float64Array]
    associations: tuple[Association, ...]
    breakdowns: tuple[Breakdown, ...]
    levels: tuple[Level, ...]
    directions: tuple[Direction, ...]
    thresholds: Thresholds | NoMap
    shadows: Rows
    refused: tuple[Refused, ...]

    @property
    def looks(self) -> Looks:
        """How many numbers were judged, by what was asked."""
        return Looks(
            {
                "correlations": sum(each.p is not None for each in self.associations),
                "thresholds": int(isinstance(self.thresholds, Thresholds) and self.thresholds.p is not None),
                "groups": sum(group.p is not None for each in self.breakdowns for group in each.groups),
                "directions": len(self.directions),
                "refusals": sum(each.p is not None for each in self.refused),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain values; the trades themselves are in their file."""
        looks = self.looks
        return {
            "looks": {"by_question": dict(looks.by_question), "total": looks.total, "level": looks.level},
            "trades": self.summary.trades,
            "profit_factor": self.summary.profit_factor,
            "related": [
                {
                    "name": each.name,
                    "file": str(each.file),
                    "rows": each.rows,
                    "trades": _known(self.related[each.name]),
                }
                for each in self.data.related
            ],
            "correlations": [_plain(each) for each in self.associations],
            "breakdowns": [_plain(each) for each in self.breakdowns],
            "after_rsi": [_plain(each) for each in self.levels],
            "directions": [_plain(each) for each in self.directions],
            "thresholds": _map_to_json(self.thresholds) if isinstance(self.thresholds, Thresholds) else None,
            "refusals": [_plain(each) | {"reason": each.reason.name} for each in self.refused],
        }


def analyse(
    data: DataSet, rules: tuple[str, Params], balance_minor: int, seed: int, threads: int, progress: Progress
) -> Analysis:
    """Trade ``data`` once by ``rules`` (profile and parameters) and take the outcome apart.

    Raises:
        RefusedError: the account would have been stopped out by its broker.
    """
    profile, params = rules
    progress("replay", 0.0)
    result = backtest.run(data, profile, params, balance_minor)
    progress("trades", 0.05)
    moments = moments_of(result, data)
    related = related_changes(data, np.ascontiguousarray(moments["entry_ms"]))
    beside = {name: moments["side"] * change for name, change in related.items()}  # more speaks for the trade
    together = associations(_causes(moments, params), np.ascontiguousarray(moments["r"]), seed, beside)
    groups = breakdowns(moments, seed)
    progress("what followed each RSI", 0.15)
    followed = (result.rsi, data.bars.close_px, params.rsi_period + 1, seed)
    after, ways = levels(*followed), directions(*followed)
    progress("thresholds", _MAPS[0])
    maps = thresholds(
        data, (params, balance_minor), seed, threads, lambda share: progress("thresholds", _within(share))
    )
    progress("refusals", _MAPS[1])
    shadows = shadows_of(result, data)
    return Analysis(
        data=data,
        result=result,
        summary=summarize(result, data, seed),
        moments=moments,
        related=related,
        associations=together,
        breakdowns=groups,
        levels=after,
        directions=ways,
        thresholds=maps,
        shadows=shadows,
        refused=refused(result, shadows, seed),
    )


def _within(share: float) -> float:
    return _MAPS[0] + share * (_MAPS[1] - _MAPS[0])


def _causes(moments: Rows, params: Params) -> dict[str, Float64Array]:
    """Return what may have caused the outcomes, each turned so that more speaks for the trade by its own rule.

    A long of a fading rule wants a low RSI, a short a high one; a rule that follows wants the opposite. So that longs
    and shorts can be looked at together, both are turned into one direction. Where sentiment has no part, it is left
    out.
    """
    fades = -1.0 if params.profile == Profile.RSI_SENTIMENT else 1.0
    rsi = np.asarray(fades * moments["side"] * (moments["rsi"] - 50.0), np.float64)
    sentiment = np.asarray(moments["side"] * moments["sentiment"], np.float64)
    causes = {"RSI": rsi}
    if np.isfinite(sentiment).any():
        causes["sentiment"] = sentiment
    return causes


def _known(changes: Float64Array) -> int:
    return int(np.count_nonzero(np.isfinite(changes)))


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the dataclasses above
    return {name: _plain_part(each) for name, each in asdict(value).items()}


def _plain_part(value: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, Band):
        return list(value)
    if isinstance(value, Reason):
        return value.name
    if isinstance(value, dict):
        return {name: _plain_part(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_part(each) for each in value]
    return value


def _map_to_json(maps: Thresholds) -> dict[str, Any]:
    return {
        "down": {"field": maps.down[0], "values": list(maps.down[1])},
        "across": {"field": maps.across[0], "values": list(maps.across[1])},
        "in_sample": _part_to_json(maps.in_sample),
        "out_of_sample": _part_to_json(maps.out_of_sample),
        "best": None if maps.best is None else list(maps.best),
        "likeness": maps.likeness,
        "cells": maps.cells,
        "p": maps.p,
    }


def _part_to_json(part: Part) -> dict[str, Any]:
    return {
        "from_ms": part.from_ms,
        "to_ms": part.to_ms,
        "profit_factor": [[float(each) if np.isfinite(each) else None for each in row] for row in part.profit_factor],
        "trades": part.trades.tolist(),
    }
