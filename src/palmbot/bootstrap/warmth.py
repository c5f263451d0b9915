"""Whether the decision core is compiled already."""

from __future__ import annotations

from palmbot import NUMBA_CACHE


def is_cold() -> bool:
    """Return whether the decision core has still to be compiled on this machine, which takes a while, once."""
    return next(NUMBA_CACHE.rglob("step.step-*.nbi"), None) is None
