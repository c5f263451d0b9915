"""Every reason has its sentence, every number its form."""

from __future__ import annotations

import pytest
from tests.unit.cli.views import NOON_MS

from palmbot.cli.formats import lots, moment, money, price, side, span
from palmbot.cli.reasons import describe
from palmbot.core.types import Reason
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_in_plain_words(reason: Reason) -> None:
    sentence = describe(reason)
    assert len(sentence) > 5
    assert "_" not in sentence
    assert len(sentence) <= 48  # fits a line of decisions on 80 columns


def test_no_two_reasons_are_said_alike() -> None:
    assert len({describe(reason) for reason in Reason}) == len(Reason)


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (999, "0s"),
        (59 * SECOND_MS, "59s"),
        (61 * SECOND_MS, "1m 1s"),
        (HOUR_MS, "1h"),
        (HOUR_MS + SECOND_MS, "1h"),
        (2 * HOUR_MS + 10 * MINUTE_MS, "2h 10m"),
        (3 * DAY_MS + 5 * HOUR_MS, "3d 5h"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(length_ms: int, text: str) -> None:
    assert span(length_ms) == text


def test_prices_money_and_volumes_are_exact() -> None:
    assert price(399_950_000, 3) == "3999.500"
    assert price(399_950_000, 0) == "4000"
    assert money(10_014_645, 2) == "100,146.45"
    assert money(-84_100, 2, signed=True) == "-841.00"
    assert money(98_745, 2, signed=True) == "+987.45"
    assert money(5, 0) == "5"
    assert (lots(1_300, 2_500), side(-1)) == ("0.52 lot", "short")
    assert moment(NOON_MS) == "2026-01-05 12:00"
