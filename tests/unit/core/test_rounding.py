"""Integer rounding against exact fractions, also where a product does not fit 64 bits."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.oracle.money import nearest, stepped

from palmbot.core.rounding import half_away, mul_div_half_away, to_step_half_up

INT64_MAX = (1 << 63) - 1
wide = st.integers(-INT64_MAX, INT64_MAX)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(5, 10, 1), (-5, 10, -1), (4, 10, 0), (-4, 10, 0), (14, 10, 1), (15, 10, 2), (-15, 10, -2), (1, 3, 0), (2, 3, 1)],
)
def test_a_half_is_rounded_away_from_zero(numerator: int, denominator: int, rounded: int) -> None:
    assert half_away(numerator, denominator) == rounded


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**18))
def test_half_away_is_the_nearest_integer(numerator: int, denominator: int) -> None:
    assert half_away(numerator, denominator) == nearest(Fraction(numerator, denominator))


@given(wide, wide, st.integers(1, (1 << 61) - 1))
@example(INT64_MAX, INT64_MAX, (1 << 61) - 1)
@example(-INT64_MAX, 447_120_000, 10**13)
@example(10**18, 3, 2)
@example(4 * 10**9, 10**9, (1 << 61) - 1)  # at the limit of the short way
def test_a_product_wider_than_64_bits_is_divided_exactly(a: int, b: int, denominator: int) -> None:
    exact = nearest(Fraction(a * b, denominator))
    assume(abs(exact) <= INT64_MAX)
    assert mul_div_half_away(a, b, denominator) == exact


@given(st.integers(10**8, 10**9), st.integers(10**8, 10**9), st.integers(1, 10**9))
def test_a_wide_tie_is_rounded_away_from_zero(x: int, y: int, m: int) -> None:
    odd_x, odd_y = 2 * x + 1, 2 * y + 1
    a, denominator = odd_x * m, 2 * m  # the quotient is an odd number of halves
    assert mul_div_half_away(a, odd_y, denominator) == (odd_x * odd_y + 1) // 2
    assert mul_div_half_away(-a, odd_y, denominator) == -((odd_x * odd_y + 1) // 2)


@given(st.integers(0, 10**15), st.integers(1, 10**7), st.sampled_from([1, 10, 100, 1_000, 10_000, 100_000]))
@example(3, 2, 1)
@example(149_999, 1, 100_000)
@example(150_000, 1, 100_000)
def test_a_distance_is_rounded_half_up_to_the_step(numerator: int, denominator: int, step_px: int) -> None:
    assert to_step_half_up(numerator, denominator, step_px) == stepped(Fraction(numerator, denominator), step_px)
