"""What chance has in store: the same trades drawn again and again, in blocks, and how far equity fell on the way."""

from __future__ import annotations

import numpy as np

from palmbot.core.types import Float64Array
from palmbot.research.bootstrap import RESAMPLES, mean_block_length, resample_indices
from palmbot.research.evidence import Fan

LEVELS = (0.05, 0.5, 0.95)
ONE_PERCENT = 0.01
CELLS_MAX = 4_000_000  # of all paths together: bounds the memory
PATHS_MIN = 200


def fan(
    r: Float64Array,
    risk_fraction: float,
    seed: int,
    levels: tuple[float, ...] = LEVELS,
    paths: int = RESAMPLES,
) -> Fan | None:
    """Return the fan of a trade list by the stationary bootstrap (Politis and Romano, 1994).

    Equity after a trade is that before it times max(0, 1 + risk x R). Fewer paths are drawn where the trades are so
    many that the paths would not fit into memory.

    Args:
        r: result / planned risk of each trade in order, shape (n,); NaN (risk unknown) is left out.
        risk_fraction: the user's own risk a trade, a share of equity.
        seed: equal input and seed give an equal fan.
        levels: the quantiles told.
        paths: drawn.

    Returns:
        None for less than two trades.
    """
    known = r[np.isfinite(r)]
    count = len(known)
    if count < 2:
        return None
    drawn = min(paths, max(PATHS_MIN, CELLS_MAX // count))
    indices = resample_indices(count, drawn, mean_block_length(count), np.random.default_rng(seed))
    equity, at_1pct = (_equity(known[indices], risk) for risk in (risk_fraction, ONE_PERCENT))
    return Fan(
        levels=levels,
        equity=np.quantile(equity, levels, axis=0),
        drawdown_pct=_drawdowns_pct(equity, levels),
        drawdown_at_1pct_pct=_drawdowns_pct(at_1pct, levels),
        risk_fraction=risk_fraction,
    )


def _equity(r: Float64Array, risk_fraction: float) -> Float64Array:
    """Return multiples of the start after each trade of each path, shape (paths, trades)."""
    return np.asarray(np.cumprod(np.maximum(0.0, 1.0 + risk_fraction * r), axis=1), dtype=np.float64)


def _drawdowns_pct(equity: Float64Array, levels: tuple[float, ...]) -> tuple[float, ...]:
    """Return the quantiles of the largest fall of each path from its highest equity before."""
    peaks = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    worst = 100.0 * (1.0 - (equity / peaks).min(axis=1))
    return tuple(np.quantile(worst, levels).tolist())
