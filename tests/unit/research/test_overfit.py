"""Sharpe ratios and their luck: the papers' own numbers, then simulation, then the corners."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from palmbot.core.types import Float64Array
from palmbot.research import overfit
from palmbot.research.overfit import Record

MONTHS, WEEKS, DAYS = 12, 52, 252


def noise(seed: int, shape: tuple[int, int] = (320, 40)) -> Float64Array:
    return np.random.default_rng(seed).normal(0.0, 0.01, shape)


def test_the_best_of_100_trials_without_an_edge_is_expected_where_the_paper_says() -> None:
    """'The Deflated Sharpe Ratio', its numerical example: 100 trials, variance 1/2 a year, 250 days a year."""
    assert round(overfit.expected_max_sharpe(100, 0.5 / 250), 4) == 0.1132


def test_the_papers_strategy_is_deflated_to_the_papers_number() -> None:
    """The same example: an annual Sharpe of 2.5 over 1,250 days, skew -3, kurtosis 10."""
    strategy = Record(2.5 / math.sqrt(250), 1_250, -3.0, 10.0)
    assert round(overfit.confidence_of(strategy, overfit.expected_max_sharpe(100, 0.5 / 250)), 4) == 0.9004


@pytest.mark.parametrize(("skew", "kurtosis", "published"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)])
def test_two_years_of_a_hedge_fund_convince_as_much_as_the_paper_says(
    skew: float, kurtosis: float, published: float
) -> None:
    """'The Sharpe Ratio Efficient Frontier': a monthly Sharpe of 0.458 over 24 months, taken as normal and as it is."""
    assert round(overfit.confidence_of(Record(0.458, 24, skew, kurtosis)), 3) == published


@pytest.mark.parametrize(("a_year", "published_years"), [(DAYS, 2.73), (WEEKS, 2.83), (MONTHS, 3.24)])
def test_an_annual_sharpe_of_2_takes_as_many_years_to_beat_1_as_the_paper_says(
    a_year: int, published_years: float
) -> None:
    """The same paper, on the minimum track record length of normal returns at 95 %."""
    length = overfit.length_min(Record(2.0 / math.sqrt(a_year), 0), 1.0 / math.sqrt(a_year))
    assert length is not None
    assert round(length / a_year, 2) == published_years


def test_a_record_has_the_moments_of_its_returns() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.0, 0.05])
    record = overfit.record_of(returns)
    assert record is not None
    assert record.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert record.days == 5
    rest = (returns - returns.mean()) / returns.std()
    assert (record.skew, record.kurtosis) == pytest.approx((np.mean(rest**3), np.mean(rest**4)))


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.01, 0.01, 0.01]])
def test_what_never_varied_has_no_sharpe_ratio(returns: list[float]) -> None:
    flat = np.array(returns)
    assert overfit.sharpe(flat) is None
    assert overfit.probabilistic_sharpe(flat) is None
    assert overfit.deflated_sharpe(flat, np.array([0.1, 0.2])) is None
    assert overfit.track_record_min(flat) is None


def test_columns_have_the_sharpe_ratios_that_each_has_alone() -> None:
    returns = noise(1)
    returns[:, 3] = 0.0
    found = overfit.sharpes_of(returns)
    assert np.isnan(found[3])
    for column in (0, 1, 39):
        assert found[column] == pytest.approx(overfit.sharpe(returns[:, column]))
    assert np.isnan(overfit.sharpes_of(returns[:1])).all()


def test_a_record_just_as_long_as_the_minimum_convinces_just_as_much_as_asked() -> None:
    record = Record(0.08, 1, -0.7, 6.0)
    length = overfit.length_min(record, 0.02, 0.9)
    assert length is not None
    continuous = (record.sharpe - 0.02) * math.sqrt((length - 1) / (1 + 0.7 * 0.08 + 5.0 / 4.0 * 0.08**2))
    assert overfit.NORMAL.cdf(continuous) == pytest.approx(0.9)
    assert overfit.confidence_of(record._replace(days=math.ceil(length)), 0.02) >= 0.9
    assert overfit.confidence_of(record._replace(days=math.floor(length)), 0.02) <= 0.9


def test_no_record_is_long_enough_for_what_it_does_not_show() -> None:
    assert overfit.length_min(Record(0.05, 100), 0.05) is None
    assert overfit.track_record_min(-np.abs(noise(1)[:, 0])) is None


def test_a_single_trial_is_not_deflated() -> None:
    returns = noise(2)[:, 0] + 0.001
    assert overfit.expected_max_sharpe(1, 1.0) == 0.0
    assert overfit.deflated_sharpe(returns, np.array([0.1])) == overfit.probabilistic_sharpe(returns)


def test_more_trials_deflate_more_even_those_that_never_traded() -> None:
    returns, sharpes = noise(3)[:, 0] + 0.001, overfit.sharpes_of(noise(4))
    few = overfit.deflated_sharpe(returns, sharpes)
    many = overfit.deflated_sharpe(returns, np.concatenate((sharpes, np.full(1_000, np.nan))))
    assert few is not None
    assert many is not None
    assert many < few
    assert many == overfit.deflated_sharpe(returns, sharpes, trials=1_040)
    assert overfit.max_sharpe_by_luck(sharpes) == overfit.expected_max_sharpe(40, float(np.var(sharpes, ddof=1)))


def test_the_expected_maximum_is_that_of_drawn_trials() -> None:
    """The False Strategy theorem against a simulation of it."""
    drawn = np.random.default_rng(5).normal(0.0, 0.3, (20_000, 50)).max(axis=1).mean()
    assert overfit.expected_max_sharpe(50, 0.09) == pytest.approx(drawn, rel=0.02)


def test_half_of_the_choices_on_noise_are_overfitted() -> None:
    values = [found.value for seed in range(40) if (found := overfit.pbo(noise(seed))) is not None]
    assert len(values) == 40
    assert np.mean(values) == pytest.approx(0.5, abs=0.08)


def test_a_choice_among_trials_of_which_one_is_truly_better_is_not_overfitted() -> None:
    returns = noise(1)
    returns[:, 7] += 0.004
    found = overfit.pbo(returns)
    assert found is not None
    assert found.value < 0.01


def test_a_choice_that_reverses_is_always_overfitted() -> None:
    """Each trial is the only good one in its own block, and the worst everywhere else."""
    returns = noise(1, (320, 16)) - 0.01
    for block in range(16):
        returns[20 * block : 20 * block + 20, block] += 0.05
    found = overfit.pbo(returns)
    assert found is not None
    assert found.value > 0.5
    assert found.logits.max() < 0.0


def brute_force(returns: Float64Array, blocks: int) -> Float64Array:
    """Cross-validation as the paper words it, with nothing shared between splits."""
    edges = np.linspace(0, len(returns), blocks + 1).astype(int)
    parts = [returns[first:last] for first, last in pairwise(edges)]
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[block] for block in chosen])
        outside = np.concatenate([parts[block] for block in range(blocks) if block not in chosen])
        performance, later = (
            np.nan_to_num(each.mean(axis=0) / np.where(each.std(axis=0) > 1e-12, each.std(axis=0), np.nan))
            for each in (inside, outside)
        )
        best = int(np.argmax(performance))
        rank = np.sum(later < later[best]) + (np.sum(later == later[best]) + 1) / 2
        relative = rank / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
    return np.array(logits)


@pytest.mark.parametrize("days", [80, 85])
def test_cross_validation_is_that_of_the_paper(days: int) -> None:
    returns = noise(3, (days, 9))
    returns[:, 4] = 0.0
    found = overfit.pbo(returns, blocks=8)
    assert found is not None
    assert found.logits.shape == (70,)
    assert np.sort(found.logits) == pytest.approx(np.sort(brute_force(returns, 8)))


def test_sixteen_blocks_have_12870_splits() -> None:
    found = overfit.pbo(noise(1, (64, 3)))
    assert found is not None
    assert found.logits.shape == (12_870,)
    assert np.isfinite(found.logits).all()


def test_trials_that_are_all_the_same_are_neither_better_nor_worse() -> None:
    found = overfit.pbo(np.repeat(noise(1)[:, :1], 5, axis=1))
    assert found is not None
    assert (found.logits == 0.0).all()
    assert found.value == 1.0


@pytest.mark.parametrize("shape", [(320, 1), (31, 5), (0, 5)])
def test_too_little_data_say_nothing_about_overfitting(shape: tuple[int, int]) -> None:
    assert overfit.pbo(noise(1, shape)) is None
