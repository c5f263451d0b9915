"""Sets of bars as bits: what is put in is found again, compiled and not."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from numba import njit

from palmbot.research import sweep_bits as bits

WORDS = [
    1,
    2,
    3,
    1 << 63,
    (1 << 64) - 1,
    0x00F0_0000_0000_1000,
    *(Random(3).getrandbits(64) | 1 << 5 for _ in range(50)),
]


def count(word: np.uint64) -> int:
    """Return how many bits ``word`` has; compiled code has its own way to count."""
    return bits.count_of(word)


COUNTED: Any = njit(count)


def plain(function: Any) -> Any:
    """Return the plain form of a compiled function."""
    return function.py_func


@pytest.mark.parametrize("word", WORDS)
def test_bits_are_counted_and_found_alike(word: int) -> None:
    lowest, bits_set = (word & -word).bit_length() - 1, word.bit_count()
    assert COUNTED(np.uint64(word)) == bits.count_of(np.uint64(word)) == bits_set
    assert bits.lowest_of(np.uint64(word)) == plain(bits.lowest_of)(np.uint64(word)) == lowest


@pytest.mark.parametrize("count", [1, 63, 64, 65, 500])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_the_next_member_is_found(count: int, share: float) -> None:
    members = np.random.default_rng(count).random(count) < share
    words = bits.words_of(members)
    assert sum(int(word).bit_count() for word in words) == members.sum()
    for bar in range(0, count, 7):
        for until in (bar, min(bar + 1, count), count // 2, count):
            expected = next((each for each in range(bar, until) if members[each]), until)
            assert bits.first_in(words, bar, until) == plain(bits.first_in)(words, bar, until) == expected


@pytest.mark.parametrize("bar", [0, 1, 63, 64, 130])
def test_a_mask_begins_at_its_bar(bar: int) -> None:
    assert int(bits.from_place(bar)) == int(plain(bits.from_place)(bar)) == (1 << 64) - (1 << (bar % 64))
