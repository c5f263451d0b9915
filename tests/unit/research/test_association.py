"""Correlations with their bands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from palmbot.research.association import TRADES_MIN, Association, associations, ranks
from palmbot.research.bootstrap import Band

RNG = np.random.default_rng(5)
X, NOISE = RNG.standard_normal((2, 400))


def named(found: tuple[Association, ...], kind: str, cause: str = "RSI") -> Association:
    return next(each for each in found if each.kind == kind and each.cause == cause)


def test_values_are_those_of_scipy() -> None:
    y = 0.3 * X + NOISE
    found = associations({"RSI": X}, y, 1)
    assert named(found, "Pearson").value == pytest.approx(stats.pearsonr(X, y).statistic)
    assert named(found, "Spearman").value == pytest.approx(stats.spearmanr(X, y).statistic)


def test_equal_values_share_their_mean_rank() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == stats.rankdata([3.0, 1.0, 3.0, 2.0]).tolist()


def test_a_real_connection_is_told_apart_and_none_is_not() -> None:
    real, none = associations({"RSI": X}, X + NOISE, 1), associations({"RSI": X}, NOISE, 1)
    assert all((each.p or 1) < 0.01 for each in real)
    assert all((each.p or 0) > 0.05 for each in none)


def test_both_causes_together_have_the_correlation_of_their_fit() -> None:
    other = RNG.standard_normal(400)
    y = X - other + NOISE
    both = named(associations({"RSI": X, "sentiment": other}, y, 1), "multiple R", "RSI and sentiment")
    design = np.column_stack((np.ones(400), X, other))
    fit = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert both.value == pytest.approx(np.corrcoef(fit, y)[0, 1])
    assert (both.p or 1) < 0.01


def test_chance_alone_gives_some_multiple_correlation_and_it_is_told() -> None:
    other = RNG.standard_normal(400)
    both = named(associations({"RSI": X, "sentiment": other}, NOISE, 1), "multiple R", "RSI and sentiment")
    assert both.by_chance is not None
    assert 0 < both.by_chance < 0.3
    assert (both.p or 0) > 0.05


def test_what_is_not_known_is_left_out_of_its_own_correlation() -> None:
    holed = np.where(np.arange(400) < 100, np.nan, X)
    found = associations({"RSI": X, "sentiment": holed}, X + NOISE, 1)
    assert [each.trades for each in found] == [400, 400, 300, 300, 300]
    assert named(found, "Pearson", "sentiment").value == pytest.approx(np.corrcoef(X[100:], (X + NOISE)[100:])[0, 1])


@pytest.mark.parametrize("count", [0, 1, TRADES_MIN - 1])
def test_too_few_trades_say_nothing(count: int) -> None:
    found = associations({"RSI": X[:count], "sentiment": NOISE[:count]}, NOISE[:count], 1)
    assert [(each.value, each.band) for each in found] == [(None, None)] * 5


def test_where_nothing_varies_there_is_no_correlation() -> None:
    found = associations({"RSI": np.ones(50), "sentiment": np.ones(50)}, NOISE[:50], 1)
    assert [each.value for each in found] == [None] * 5


def test_the_more_is_looked_at_the_more_it_takes() -> None:
    """A correlation that is remarkable alone is less so as the best of ten."""
    y = 0.16 * X + NOISE
    others = {f"other {number}": RNG.standard_normal(400) for number in range(9)}
    alone, among = associations({"RSI": X}, y, 1), associations({"RSI": X} | others, y, 1)
    assert (named(alone, "Pearson").p or 1) < 0.05 < (named(among, "Pearson").p or 0)


def test_moods_that_cause_and_outcome_have_each_for_itself_are_no_connection() -> None:
    """Drawn one by one, outcomes would lose their moods, and two slow series always seem to go together."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(20):
        slow, moody = (np.repeat(rng.standard_normal(40), 4) + 0.1 * rng.standard_normal(160) for _ in range(2))
        alarms += any((each.p or 1) < 0.05 for each in associations({"cause": slow}, moody, 1))
    assert alarms <= 5


def test_one_seed_gives_one_band() -> None:
    assert associations({"RSI": X}, NOISE, 3) == associations({"RSI": X}, NOISE, 3)
    assert isinstance(associations({"RSI": X}, NOISE, 3)[0].band, Band)
