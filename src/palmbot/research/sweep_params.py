"""Many ``Params`` as one table: what a sweep takes. A row is a combination, a column a field."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from palmbot.core.compiled import inlined
from palmbot.core.types import Params
from palmbot.errors import ConfigError

Table = NDArray[np.void]
TABLE = np.dtype([(name, {int: "i8", float: "f8"}[kind]) for name, kind in typing.get_type_hints(Params).items()])


def table_of(combinations: Sequence[Params]) -> Table:
    """Return ``combinations`` as a table, in their order."""
    return np.array([tuple(each) for each in combinations], TABLE)


def grid_of(base: Params, axes: Mapping[str, Sequence[float]]) -> Table:
    """Return every combination of ``axes`` (field to values), the last axis running fastest; ``base`` gives the rest.

    Raises:
        ConfigError: an axis is no field of ``Params``, has no values, or a fraction where the field is whole.
    """
    values = {name: np.asarray(axis) for name, axis in axes.items()}
    for name, axis in values.items():
        if name not in Params._fields:
            raise ConfigError("SWEEP_NO_SUCH_FIELD", "Name fields of a profile.", field=name)
        if axis.ndim != 1 or axis.size == 0:
            raise ConfigError("SWEEP_EMPTY_AXIS", "Give each axis of the grid at least one value.", field=name)
        if not np.array_equal(axis.astype(TABLE[name]), axis):
            raise ConfigError("SWEEP_NOT_WHOLE", "Give whole numbers for this field.", field=name)
    shape = tuple(axis.size for axis in values.values())
    table = np.empty(shape, TABLE)
    table[...] = tuple(base)
    for place, (name, axis) in enumerate(values.items()):
        table[name] = axis.reshape([-1 if other == place else 1 for other in range(len(shape))])
    return table.reshape(-1)


def params_at(table: Table, row: int) -> Params:
    """Return row ``row`` of ``table``."""
    return Params(*table[row].item())


@inlined
def params_of(table: Table, row: int) -> Params:
    """Return row ``row`` of ``table``, in compiled code."""
    each = table[row]
    return Params(
        profile=each["profile"],
        rsi_period=each["rsi_period"],
        rsi_low=each["rsi_low"],
        rsi_high=each["rsi_high"],
        rsi_exit=each["rsi_exit"],
        sentiment_long=each["sentiment_long"],
        sentiment_short=each["sentiment_short"],
        sentiment_max_age_ms=each["sentiment_max_age_ms"],
        allow_short=each["allow_short"],
        warmup_bars=each["warmup_bars"],
        atr_period=each["atr_period"],
        stop_kind=each["stop_kind"],
        sl_ppm=each["sl_ppm"],
        tp_ppm=each["tp_ppm"],
        trail_ppm=each["trail_ppm"],
        sl_atr=each["sl_atr"],
        tp_atr=each["tp_atr"],
        trail_atr=each["trail_atr"],
        max_bars=each["max_bars"],
        decision_ttl_ms=each["decision_ttl_ms"],
        open_gap_max_bp=each["open_gap_max_bp"],
        flat_before=each["flat_before"],
        risk_fraction=each["risk_fraction"],
        exposure_max=each["exposure_max"],
        margin_share=each["margin_share"],
        gap_quantile=each["gap_quantile"],
        daily_loss_bp=each["daily_loss_bp"],
        drawdown_bp=each["drawdown_bp"],
        rearm_after_ms=each["rearm_after_ms"],
        losses_max=each["losses_max"],
        cooldown_ms=each["cooldown_ms"],
        spike_bp=each["spike_bp"],
        spike_bars=each["spike_bars"],
        pause_ms=each["pause_ms"],
    )


@cache
def unknown_fields() -> tuple[str, ...]:
    """Return the fields that ``params_of`` does not carry: those of ``Params`` that are newer than the sweep."""
    probe = np.zeros(1, TABLE)
    for name, default in Params._field_defaults.items():
        probe[name] = default + 1
    carried = getattr(params_of, "py_func", params_of)(probe, 0)  # plainly: it is one row
    return tuple(name for name in Params._fields if getattr(carried, name) == Params._field_defaults[name])
