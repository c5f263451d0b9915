"""The composition root: settings in, wired objects out. Nothing is built at import, nothing is built elsewhere."""

from __future__ import annotations

from palmbot import NUMBA_CACHE
from palmbot.bootstrap.bot import run_bot
from palmbot.bootstrap.market import no_rolls
from palmbot.bootstrap.outcome import Output
from palmbot.bootstrap.replay import run_backtest


def is_cold() -> bool:
    """Return whether the decision core has still to be compiled on this machine, which takes a while, once."""
    return next(NUMBA_CACHE.rglob("step.step-*.nbi"), None) is None


__all__ = ["Output", "is_cold", "no_rolls", "run_backtest", "run_bot"]
