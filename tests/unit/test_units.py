"""Rates of pairs: one arithmetic for both ends of the wire."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palmbot.units import PX, RATE_ONE_E8, px_of_rate, rate_of_chain, rate_of_px

PRICES = st.integers(1, 10**13)
LINKS = st.lists(st.tuples(st.integers(1, 10**9), st.booleans()), max_size=4)


def half_up(value: Fraction) -> int:
    return int((2 * value + 1) // 2)


@pytest.mark.parametrize(
    ("price", "is_inverse", "rate"),
    [
        pytest.param(111_984, False, 111_984_000, id="EURUSD converts euros at its price"),
        pytest.param(111_984, True, 89_298_471, id="and dollars at one divided by it"),
        pytest.param(15_712_300, True, 636_444, id="USDJPY converts yen"),
        pytest.param(447_120, True, 22_365_361, id="USDMYR converts ringgit"),
        pytest.param(2 * 10**13, True, 1, id="half a unit is rounded up"),
        pytest.param(2 * 10**13 + 1, True, 0, id="less than half is nothing"),
    ],
)
def test_a_price_says_a_rate(price: int, is_inverse: bool, rate: int) -> None:
    assert rate_of_px(price, is_inverse) == rate


@given(PRICES, st.booleans())
def test_a_rate_is_the_exact_one_rounded_half_up(price: int, is_inverse: bool) -> None:
    exact = Fraction(PX, price) if is_inverse else Fraction(price, PX)
    assert rate_of_px(price, is_inverse) == half_up(exact * RATE_ONE_E8)


@given(price=st.integers(1, 10**12), is_inverse=st.booleans())
@example(price=3_162_277, is_inverse=True)  # about where neighbouring prices begin to share a rate
@example(price=3_162_278, is_inverse=True)
def test_what_one_end_says_as_a_price_the_other_reads_as_the_very_same_rate(price: int, is_inverse: bool) -> None:
    rate = rate_of_px(price, is_inverse)
    assert rate == 0 or rate_of_px(px_of_rate(rate, is_inverse), is_inverse) == rate


@given(st.integers(1, 10**13), st.booleans())
def test_the_price_that_says_a_rate_is_the_nearest_one(rate: int, is_inverse: bool) -> None:
    exact = Fraction(RATE_ONE_E8 * PX, rate) if is_inverse else Fraction(rate * PX, RATE_ONE_E8)
    assert px_of_rate(rate, is_inverse) == half_up(exact)


def test_a_rate_below_the_smallest_price_cannot_be_said() -> None:
    assert px_of_rate(499, is_inverse=False) == 0
    assert px_of_rate(500, is_inverse=False) == 1


@given(LINKS)
def test_a_chain_is_exact_and_rounded_once(links: list[tuple[int, bool]]) -> None:
    exact = Fraction(RATE_ONE_E8)
    for price, is_inverse in links:
        exact *= Fraction(PX, price) if is_inverse else Fraction(price, PX)
    assert rate_of_chain(links) == half_up(exact)


@given(PRICES, st.booleans())
def test_a_chain_of_one_is_the_pair(price: int, is_inverse: bool) -> None:
    assert rate_of_chain([(price, is_inverse)]) == rate_of_px(price, is_inverse)


def test_no_links_convert_a_currency_into_itself_and_an_unknown_price_into_nothing() -> None:
    assert rate_of_chain([]) == RATE_ONE_E8
    assert rate_of_chain([(111_984, False), (0, True)]) == 0
    assert rate_of_chain([(0, False), (111_984, True)]) == 0
