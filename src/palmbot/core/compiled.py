"""The one way to compile a core function: typed, cached, GIL-free, never fastmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function``; its plain Python form stays reachable as ``.py_func``."""
    return cast("Callable[P, R]", njit(cache=True, nogil=True)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` into each of its callers: for what is small, or called in one place only.

    Called from Python it is compiled on its own.
    """
    return cast("Callable[P, R]", njit(cache=True, nogil=True, inline="always")(function))
