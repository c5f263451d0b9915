"""Past open gaps: which ones a decision knows, and their quantile (PARITY 39)."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.core import gaps
from palmbot.core.types import BarArrays, Int64Array


def column(*values: int) -> Int64Array:
    return np.array(values, np.int64)


def bars(opens: Int64Array, closes: Int64Array) -> BarArrays:
    stamps = np.arange(opens.shape[0], dtype=np.int64)
    return BarArrays(stamps, stamps + 1, opens, opens, opens, closes, column())


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.01, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 5), (0.76, 9), (1.0, 9)]
)
def test_the_quantile_is_the_smallest_gap_that_its_share_does_not_exceed(quantile: float, expected: int) -> None:
    for function in (gaps.quantile_px, getattr(gaps.quantile_px, "py_func", gaps.quantile_px)):
        assert function(column(9, 1, 5, 2), quantile) == expected


def test_no_gap_is_known_on_the_first_bar() -> None:
    assert gaps.past_px(bars(column(10, 13), column(11, 13)), 1.0)[0] == 0


def test_the_gap_of_the_bar_itself_is_the_newest_and_no_later_one_is_known() -> None:
    series = bars(column(10, 13, 900), column(11, 13, 900))
    assert gaps.past_px(series, 1.0)[1] == 2


def test_gaps_are_forgotten_after_the_window() -> None:
    closes = np.full(gaps.GAP_BARS + 3, 100, np.int64)
    opens = closes.copy()
    opens[1] = 170
    last_that_knows = gaps.GAP_BARS
    assert gaps.past_px(bars(opens, closes), 1.0)[last_that_knows:].tolist() == [70, 0, 0]


@pytest.mark.parametrize("reach", [3, 40])  # many gaps alike, and few
@pytest.mark.parametrize("quantile", [1e-9, 0.3, 0.5, 0.999, 1.0, 3.0])
def test_the_quantiles_of_a_series_are_those_of_each_bar_by_itself(reach: int, quantile: float) -> None:
    rng = np.random.default_rng(2)
    opens, closes = rng.integers(100 - reach, 100 + reach, 600), np.full(600, 100, np.int64)
    known = [np.abs(opens[max(bar - gaps.GAP_BARS, 0) + 1 : bar + 1] - 100) for bar in range(600)]
    for function in (gaps.past_px, getattr(gaps.past_px, "py_func", gaps.past_px)):
        found = function(bars(opens, closes), quantile)
        assert found.tolist() == [gaps.quantile_px(each, quantile) for each in known]
