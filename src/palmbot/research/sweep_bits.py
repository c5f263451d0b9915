"""Sets of bars as bits: bar ``64 k + b`` is bit ``b`` of word ``k``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from palmbot.core.compiled import inlined
from palmbot.research.sweep_compiled import kernel

if TYPE_CHECKING:
    from numba.core.typing.context import BaseContext as TypingContext
    from numba.core.typing.templates import Signature

Words = NDArray[np.uint64]
EVERY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
NONE = np.uint64(0)
ONE = np.uint64(1)
_PLACE = np.uint64(63)


def words_of(members: NDArray[np.bool_]) -> Words:
    """Return the set of the bars where ``members``, shape (n,), holds; shape (whole words,)."""
    packed = np.packbits(members, bitorder="little")
    words = np.zeros(-(-members.shape[0] // 64), np.uint64)
    words.view(np.uint8)[: packed.shape[0]] = packed
    return words


def count_of(word: np.uint64) -> int:
    """Return how many bits of ``word`` are set."""
    return int(word).bit_count()


@intrinsic
def _population(_context: TypingContext, word: types.Type) -> object:
    """Give compiled code the machine's own count: numba has none."""

    def generate(_context: object, builder: ir.IRBuilder, _signature: Signature, words: list[ir.Value]) -> ir.Value:
        return builder.ctpop(words[0])

    return types.int64(word), generate


@overload(count_of)
def _count_of(word: types.Type) -> object:  # noqa: ARG001 - overloads are chosen by the names of their arguments
    def counted(word: types.Type) -> object:
        return _population(word)  # type: ignore[call-arg, arg-type] # the context is numba's to give

    return counted


@inlined
def lowest_of(word: np.uint64) -> int:
    """Return the place of the lowest bit of ``word``, which is not empty."""
    return count_of(~word & (word - ONE))


@inlined
def from_place(bar: int) -> np.uint64:
    """Return a word of the bits of ``bar`` and all after it."""
    return EVERY << (np.uint64(bar) & _PLACE)


@kernel
def first_in(words: Words, bar: int, until: int) -> int:
    """Return the first member in ``[bar, until)``, or ``until`` when there is none."""
    if bar >= until:
        return until
    word = bar >> 6
    bits = words[word] & from_place(bar)
    while bits == NONE:
        word += 1
        if word << 6 >= until:
            return until
        bits = words[word]
    return min((word << 6) + lowest_of(bits), until)
