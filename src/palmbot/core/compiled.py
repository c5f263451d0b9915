"""The one way to compile a core function: typed, cached, GIL-free, never fastmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")
_INTERNAL = ("cache", "nogil", "forceinline", "no_cpython_wrapper", "no_cfunc_wrapper")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function``; its plain Python form stays reachable as ``.py_func``."""
    return cast("Callable[P, R]", njit(cache=True, nogil=True)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` into each of its callers: for what is small, or called in one place only."""
    return cast("Callable[P, R]", njit(cache=True, nogil=True, forceinline=True)(function))


def internal(function: Callable[P, R]) -> Callable[P, R]:
    """Like ``inlined``, for compiled callers only: without the wrapper for Python it compiles much faster."""
    options: dict[str, Any] = dict.fromkeys(_INTERNAL, True)
    return cast("Callable[P, R]", njit(**options)(function))
