"""How the sweep's kernels are compiled: as the core is, but without counting references.

They read a few dozen arrays through nested tuples, make none and keep none, so there is nothing to count; counting took
twenty times longer than the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function``, which makes no array; its plain Python form stays reachable as ``.py_func``."""
    make = cast("Callable[..., Callable[[Callable[P, R]], Callable[P, R]]]", njit)  # its stubs lack the last option
    return make(cache=True, nogil=True, _nrt=False)(function)
