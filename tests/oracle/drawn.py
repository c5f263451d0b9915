"""Random arguments for the functions of the core, by the type of a parameter and the unit in its name."""

from __future__ import annotations

import typing
from random import Random
from typing import Any

import numpy as np
from tests.oracle.worlds import HOUR_MS, START_MS, instrument_of, int64, params_of

from palmbot.core.types import Decision, Instrument, Int64Array, Params, Position, RollArrays, SentimentArrays

STEP_PX, PRICE_PX, BALANCE = 1_000, 4_000_000, 1_000_000
ROWS = 4
FLAGS = ("day_tripped", "halted", "daily", "drawdown")
# Where the unit in a name does not say enough
BY_NAME: dict[str, tuple[float, ...]] = {
    "a": (0, 7, -12_345, 3 * 10**12),
    "b": (1, 22_345_678, 447_120_000, 10**8),
    "d": (10**5, 10**13, 10**16),
    "denominator": (1, 2, 10**5, 10**13),
    "numerator": (0, 1, 5, 250_000, 10**12 + 5),
    "px_cu": (0, 50_000, -50_000, 123_456_789_012, -(10**15) - 1),
    "side": (1, -1),
    "kind": (0, 1),
    "stop_kind": (0, 1),
    "value": (0, 300, 2_500, 200_000),
    "ppm": (0, 1, 15_000, 20_000),
    "count": (1, 2, 5, 6, 100),
    "period": (1, 2, 5, 14),
    "period_ms": (60_000, HOUR_MS, 24 * HOUR_MS),
    "money_digits": (0, 2, 3, 8),
    "reason": (1, 5, 32),
    "row": (0, 1, 2, 3),
    "roll_index": (0, 1, 2, 3),
    "held": (1, 2, 6),
    "bars_held": (1, 2, 6),
    "bars": (0, 1, 2, 5, 300),
    "losses": (0, 1, 2),
    "spread": (0, 1_000, 5_000),
    "slippage": (0, 500, 1_000),
    "gross": (0, 5, -5, 12_345, -99_999),
    "newest": (-1, 0, 2),  # of ROWS
    "index": (0, 1, 3),  # of ROWS
}
FLOATS: dict[str, tuple[float, ...]] = {
    "gain": (0.0, 0.25, 1.75),
    "loss": (0.25, 1.5, 154.3),
    "atr": (0.0, 0.333, 12.5),
    "multiple": (0.5, 2.0, 4.0),
    "score": (-80.0, -30.0, 0.0, 30.0, 80.0),
}


def number(rng: Random, name: str) -> int:
    """Return an integer that suits ``name``."""
    if name in BY_NAME:
        return int(rng.choice(BY_NAME[name]))
    if name in FLAGS:
        return rng.randrange(2)
    if name.endswith("_ms"):  # few values, so that instants meet
        return START_MS + rng.randrange(-3, 30) * HOUR_MS
    if name.endswith("_minor"):
        return rng.choice((BALANCE, BALANCE * 95 // 100, BALANCE * 3 // 4, rng.randrange(BALANCE * 2), -5_000, 0))
    if name.endswith("_px"):
        return max(1, PRICE_PX // STEP_PX + rng.randrange(-150, 150)) * STEP_PX
    if name.endswith("_cu"):
        return rng.choice((1, 25, 2_500, 123_456))
    if name == "rate_e8":
        return rng.choice((10**8, 10**8, 22_345_678, 447_120_000))
    return rng.choice((0, 1, 2, 5))


def drawn(rng: Random, name: str, kind: Any) -> Any:  # noqa: PLR0911 - one answer a type
    """Return a random value of type ``kind`` for a parameter called ``name``."""
    if kind is int:
        return number(rng, name)
    if kind is bool:
        return rng.random() < 0.5
    if kind is float:
        return rng.choice(FLOATS[name]) if name in FLOATS else rng.uniform(0.0, 100.0)
    if kind is Params:
        return params_of(rng, HOUR_MS)
    if kind is Instrument:
        return instrument_of(rng, STEP_PX, PRICE_PX, START_MS)
    if kind is SentimentArrays:
        stamps = drawn(rng, "known_ms", Int64Array)
        return SentimentArrays(stamps, np.array([drawn(rng, "score", float) for _ in stamps], np.float64))
    if kind is RollArrays:
        return RollArrays(int64(sorted(number(rng, "ts_ms") for _ in range(2))), int64([STEP_PX, -STEP_PX]))
    if hasattr(kind, "_fields"):  # any other NamedTuple
        hints = typing.get_type_hints(kind)
        fields = {field: drawn(rng, FIELD_NAMES.get((kind, field), field), hint) for field, hint in hints.items()}
        return kind(**fields)
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if parts[-1] is Ellipsis:
            return tuple(range(1, 18))
        return tuple(drawn(rng, f"{name}_px" if name == "close" else "period", part) for part in parts)
    if name.endswith(("_ms", "_px")):
        return int64(sorted(number(rng, name) for _ in range(ROWS)))
    return np.zeros((2, 20), np.int64)  # the events of a tape


# A few fields mean something else than a parameter of their name does.
FIELD_NAMES = {
    (Decision, "action"): "kind",
    (Decision, "signal"): "side",
    (Position, "commission_minor"): "gross",
    (Position, "swap_minor"): "gross",
}
