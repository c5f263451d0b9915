"""From settings to a search: what it varies, how many combinations that is, and the search itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from palmbot.config.keys import PARAMS
from palmbot.core.types import Params
from palmbot.errors import DataError
from palmbot.research.evaluate import Evaluate, Steps, to_the_end
from palmbot.research.grid import Axes, Grid, axes_of, in_order
from palmbot.research.result import DataSet
from palmbot.research.search import Searcher
from palmbot.settings import OptimizeSettings, Settings, resolve_params

PAUSES = ("cooldown_ms", "pause_ms")  # may not be shorter than a bar


@dataclass(frozen=True, slots=True)
class Plan:
    """A search before it is carried out.

    Attributes:
        how: method, trials, seed, least number of trades.
        base: gives every field that is not varied.
        axes: fields to the values that they may take.
        fixed: fields that would be varied, had the command not said their value.
        grid: the points of ``axes``.
    """

    how: OptimizeSettings
    profile: str
    base: Params
    axes: Axes
    fixed: tuple[str, ...]
    grid: Grid

    @property
    def trials(self) -> int:
        """The most combinations that are tried."""
        return min(self.grid.count - (self.grid.impossible() or 0), self.how.trials)

    @property
    def flat_before(self) -> int:
        """The ``Pause`` bits that any combination stays out of."""
        bits = self.base.flat_before
        for value in self.axes.get("flat_before", ()):
            bits |= int(value)
        return bits

    def steps(self, evaluate: Evaluate) -> Steps:
        """Return the search as it goes, combinations traded by ``evaluate``.

        Raises:
            ConfigError: every combination contradicts itself.
        """
        if self.how.method == "genetic":
            from palmbot.research import genetic  # noqa: PLC0415 - imports pymoo

            return genetic.steps(self.grid, self.how.trials, self.how.seed, evaluate, self.how.trades_min)
        return in_order(self.grid.sample(self.how.trials, self.how.seed), evaluate, self.how.trades_min)

    def searcher(self, evaluate: Evaluate) -> Searcher:
        """Return the whole search, for any series."""
        return to_the_end(self.steps(evaluate))

    def lines(self) -> Iterator[str]:
        """Yield what a person should know before it begins."""
        of = "" if self.trials == self.grid.count else f" of {self.grid.count:,}"
        axes = ", ".join(_axis_text(name, axis) for name, axis in self.axes.items())
        yield f"Searching {self.trials:,}{of} combinations of {self.profile}: {axes or 'nothing is varied'}."
        if self.fixed:
            yield f"Not searched, because you said their value: {', '.join(map(_name, self.fixed))}."
        impossible = self.grid.impossible()
        if impossible:
            yield f"{impossible:,} combinations contradict themselves (such as rsi_low >= rsi_high) and are left out."


def threads_of(how: OptimizeSettings) -> int:
    """Return on how many threads to work: as told, else one for each processor that this process may use."""
    return len(os.sched_getaffinity(0)) if how.workers is None else how.workers


def plan_of(settings: Settings, data: DataSet) -> Plan:
    """Return the search that ``settings`` ask for, over bars like those of ``data``.

    The axes are those of ``[optimize.grid]``, else those of the profile's rule and its kind of stop; what the command
    or the environment said in so many words is no axis.

    Raises:
        ConfigError: an axis cannot be searched, or its pauses are shorter than a bar.
        DataError: there are no bars after the warm-up.
    """
    how, base = settings.optimize, settings.params_for(data.period_ms)
    asked = how.axes or _usual_axes(how.method, base)
    axes = {name: axis for name, axis in asked.items() if name not in how.fixed}
    for name in PAUSES:
        shortest = min(axes.get(name, ()), default=None)
        if shortest is not None:
            resolve_params(base._replace(**{name: int(shortest)}), data.period_ms, {name})
    refuse_short(data, min((base.warmup_bars, *axes.get("warmup_bars", ()))))
    fixed = tuple(name for name in asked if name in how.fixed)
    return Plan(how, settings.profile, base, axes, fixed, Grid(base, axes))


def refuse_short(data: DataSet, warmup_bars: float) -> None:
    """Refuse ``data`` that end before anything could be traded.

    Raises:
        DataError: ``TOO_FEW_BARS``.
    """
    bars = data.bars.ts_ms.shape[0]
    if bars <= warmup_bars:
        todo = "Give more bars, or lower profile.warmup_bars: nothing is traded while the indicators warm up."
        raise DataError("TOO_FEW_BARS", todo, bars=bars, warmup_bars=warmup_bars)


def _usual_axes(method: str, base: Params) -> Axes:
    if method == "genetic":
        from palmbot.research.genetic import fine_axes_of  # noqa: PLC0415 - imports pymoo

        return fine_axes_of(base)
    return axes_of(base)


_KEYS = {key.field: key for key in PARAMS}


def _name(field: str) -> str:
    return _KEYS[field].leaf


def _axis_text(field: str, axis: Sequence[float]) -> str:
    shown = [_KEYS[field].kind.show(value) for value in axis]
    return (
        f"{_name(field)} {', '.join(shown)}"
        if len(shown) <= 3
        else f"{_name(field)} {shown[0]} to {shown[-1]} ({len(shown)})"
    )
