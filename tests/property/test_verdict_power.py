"""The verdict on worlds whose truth is known: an edge is seen, noise is called noise. SYNTHETIC bars.

Small, for each change of the code; ``make calibrate`` asks at length.
"""

from __future__ import annotations

from functools import partial

import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, planted, walk
from tests.sample_study import AXES

from palmbot.core.types import BarArrays
from palmbot.research.evidence import Verdict
from palmbot.research.search import Search
from palmbot.research.study import StudySettings, study
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_params import Table, grid_of

EDGE_BARS = 23_000  # about 1,000 trades
NOISE_BARS = 4_000
WORLDS = 20
SURROGATES = 119  # p below 0.01 takes 100
PASSES_MAX = 3  # of 20 worlds of noise at 5 %: more than 3 pass in fewer than 2 of 100 such tests


def searched(table: Table, series: Series) -> Search:
    """Search ``table`` on one thread."""
    return Search(table, sweep(series, table, BALANCE_MINOR).results)


def verdict_on(bars: BarArrays) -> Verdict:
    """Return what a whole study of a small grid says of ``bars``."""
    settings = StudySettings("rsi_sentiment", BALANCE_MINOR, clock=lambda: 0.0, surrogates=SURROGATES)
    search = partial(searched, grid_of(BASE, AXES))
    return study(data_of(bars), search, BASE, settings, lambda _stage, _share: None).verdict


@pytest.mark.timeout(600)
def test_an_edge_of_profit_factor_1_6_over_a_thousand_trades_is_robust_in_eight_of_ten_worlds() -> None:
    words = [verdict_on(planted(EDGE_BARS, seed, 1.6)).word for seed in range(10)]
    assert words.count("ROBUST") >= 8
    assert "NOISE" not in words


@pytest.mark.timeout(600)
def test_noise_is_called_noise() -> None:
    verdicts = [verdict_on(walk(NOISE_BARS, seed, moods=0.5 * (seed % 2))) for seed in range(WORLDS)]
    passed = [verdict for verdict in verdicts if verdict.word != "NOISE"]
    assert len(passed) <= PASSES_MAX
    assert "ROBUST" not in {verdict.word for verdict in passed}
