"""Which way round the market lists a pair."""

from __future__ import annotations

from itertools import permutations

import pytest

from palmbot.instruments import pair_convention


@pytest.mark.parametrize(
    ("one", "other", "pair"),
    [
        ("USD", "EUR", "EURUSD"),
        ("USD", "JPY", "USDJPY"),
        ("MYR", "USD", "USDMYR"),
        ("JPY", "MYR", "JPYMYR"),
        ("GBP", "EUR", "EURGBP"),
        ("CHF", "CAD", "CADCHF"),
        ("MYR", "IDR", "IDRMYR"),
    ],
)
def test_a_pair_is_listed_as_the_market_does(one: str, other: str, pair: str) -> None:
    assert "".join(pair_convention(one, other)) == pair


def test_it_does_not_matter_which_currency_is_named_first() -> None:
    names = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY", "MYR", "IDR", "SGD")
    assert all(pair_convention(one, other) == pair_convention(other, one) for one, other in permutations(names, 2))
