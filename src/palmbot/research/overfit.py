"""How much of a Sharpe ratio is luck: of a short record, of many trials, of choosing by the past.

Sharpe ratios here are those of one observation (a day), without a risk-free rate; nothing is annualised. Sources:

- Bailey and Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012): probabilistic Sharpe
  ratio, minimum track record length.
- Bailey and Lopez de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting and
  Non-Normality", Journal of Portfolio Management 40 (2014): expected maximum, deflated Sharpe ratio.
- Bailey, Borwein, Lopez de Prado and Zhu, "The Probability of Backtest Overfitting", Journal of Computational Finance
  20 (2017): combinatorially symmetric cross-validation.
"""

from __future__ import annotations

import math
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from palmbot.core.compiled import compiled
from palmbot.core.types import Float64Array, Int64Array

NORMAL = NormalDist()
EULER_MASCHERONI = 0.5772156649015329
BLOCKS = 16
DAYS_A_BLOCK_MIN = 2
FLAT = 1e-12  # a variance below this share of the mean square is rounding


class Record(NamedTuple):
    """What a track record comes to. ``kurtosis`` is that of Pearson: 3 for a normal distribution."""

    sharpe: float
    days: int
    skew: float = 0.0
    kurtosis: float = 3.0


class Pbo(NamedTuple):
    """The probability of backtest overfitting.

    Attributes:
        value: share of the splits in which the best of one half was no better than the median in the other.
        logits: of the relative rank of that best in the other half, one for each split, shape (splits,).
    """

    value: float
    logits: Float64Array


def record_of(returns: Float64Array) -> Record | None:
    """Return what ``returns``, shape (n,), come to; None where their Sharpe ratio is undefined."""
    days = len(returns)
    if days < 2:
        return None
    mean = float(returns.mean())
    rest = returns - mean
    variance = float(np.mean(rest**2))
    if variance <= FLAT * float(np.mean(returns**2)):
        return None
    skew, kurtosis = float(np.mean(rest**3)) / variance**1.5, float(np.mean(rest**4)) / variance**2
    return Record(mean / math.sqrt(variance * days / (days - 1)), days, skew, kurtosis)


def sharpe(returns: Float64Array) -> float | None:
    """Return mean / standard deviation (n - 1) of ``returns``, shape (n,); None where undefined."""
    record = record_of(returns)
    return None if record is None else record.sharpe


def confidence_of(record: Record, benchmark: float = 0.0) -> float:
    """Return the probabilistic Sharpe ratio: how sure ``record`` makes that the true Sharpe is above ``benchmark``.

    PSR = Z((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)); Bailey and Lopez de Prado (2012).
    """
    return NORMAL.cdf((record.sharpe - benchmark) * math.sqrt((record.days - 1) / _spread_of(record)))


def probabilistic_sharpe(returns: Float64Array, benchmark: float = 0.0) -> float | None:
    """Return `confidence_of` the record of ``returns``, shape (n,); None where their Sharpe is undefined."""
    record = record_of(returns)
    return None if record is None else confidence_of(record, benchmark)


def expected_max_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of ``trials`` is expected to show where none has any edge.

    The False Strategy theorem: sqrt(V) ((1 - g) Z^-1(1 - 1/N) + g Z^-1(1 - 1/(N e))), with g of Euler and Mascheroni;
    Bailey and Lopez de Prado (2014). 0 for a single trial, which nobody chose.

    Args:
        trials: independent ones; more than there are make the answer too high, that is cautious.
        variance: of the Sharpe ratios of the trials.
    """
    if trials < 2:
        return 0.0
    first, second = NORMAL.inv_cdf(1.0 - 1.0 / trials), NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * first + EULER_MASCHERONI * second)


def max_sharpe_by_luck(trial_sharpes: Float64Array, trials: int | None = None) -> float:
    """Return `expected_max_sharpe` of ``trials``, with the variance (n - 1) of ``trial_sharpes``, shape (n,).

    A trial without a Sharpe ratio (NaN: it never traded) counts as a trial, not in the variance. Where the trials truly
    differ, some being good and others bad, their variance is more than luck, and the answer too high: cautious again.

    Args:
        trial_sharpes: of the trials, or of a sample of them.
        trials: how many there were; None: these are all.
    """
    defined = trial_sharpes[~np.isnan(trial_sharpes)]
    variance = float(defined.var(ddof=1)) if len(defined) > 1 else 0.0
    return expected_max_sharpe(len(trial_sharpes) if trials is None else trials, variance)


def deflated_sharpe(returns: Float64Array, trial_sharpes: Float64Array, trials: int | None = None) -> float | None:
    """Return the probabilistic Sharpe ratio against what the best of all trials shows by luck.

    DSR = PSR(SR*) with SR* = `max_sharpe_by_luck`; Bailey and Lopez de Prado (2014).

    Args:
        returns: of the trial that was chosen, shape (n,).
        trial_sharpes: of every trial, in the same unit, the chosen one too, or of a sample of them, shape (n,).
        trials: how many there were; None: these are all.
    """
    return probabilistic_sharpe(returns, max_sharpe_by_luck(trial_sharpes, trials))


def length_min(record: Record, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Return how many observations it takes to believe in a Sharpe above ``benchmark``; None where it is not above.

    MinTRL = 1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (Z^-1(confidence) / (SR - SR*))^2; Bailey and Lopez de Prado
    (2012).
    """
    if record.sharpe <= benchmark:
        return None
    return 1.0 + _spread_of(record) * (NORMAL.inv_cdf(confidence) / (record.sharpe - benchmark)) ** 2


def track_record_min(returns: Float64Array, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Return `length_min` of the record of ``returns``, shape (n,); None also where their Sharpe is undefined."""
    record = record_of(returns)
    return None if record is None else length_min(record, benchmark, confidence)


def sharpes_of(returns: Float64Array) -> Float64Array:
    """Return `sharpe` of each column of ``returns`` (days, n), shape (n,); NaN where undefined."""
    days, count = returns.shape
    if days < 2:
        return np.full(count, np.nan)
    mean, variance = returns.mean(axis=0), returns.var(axis=0, ddof=1)
    is_flat = variance <= FLAT * np.mean(returns**2, axis=0)
    return np.where(is_flat, np.nan, mean / np.sqrt(np.where(is_flat, 1.0, variance)))


def pbo(returns: Float64Array, blocks: int = BLOCKS) -> Pbo | None:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    The days are cut into ``blocks`` of even length. For every choice of half of them, the column with the highest
    Sharpe ratio in that half is looked up in the other half: its relative rank there is w = rank / (n + 1), its logit
    ln(w / (1 - w)); PBO is the share of logits <= 0. Bailey, Borwein, Lopez de Prado and Zhu (2017).

    A column that does not vary in a half has Sharpe 0 there: it earned nothing and risked nothing. Of equals the first
    is chosen, as a search does; where the chosen one ties with others, it has the mean of their ranks.

    Args:
        returns: of every trial on the same days, shape (days, n).
        blocks: an even number.

    Returns:
        None for less than two columns, or less than two days a block: the data cannot say it.
    """
    days, count = returns.shape
    if count < 2 or days < blocks * DAYS_A_BLOCK_MIN:
        return None
    edges = np.linspace(0, days, blocks + 1).astype(np.int64)
    sums, squares = (np.add.reduceat(each, edges[:-1], axis=0) for each in (returns, returns**2))
    # each split and its mirror image are met together: those with the first block stand for all
    firsts = np.array([(0, *others) for others in combinations(range(1, blocks), blocks // 2 - 1)], np.int64)
    logits = np.empty(2 * firsts.shape[0])
    _write_logits(firsts, sums, squares, np.diff(edges), logits)
    return Pbo(float(np.mean(logits <= 0.0)), logits)


def _spread_of(record: Record) -> float:
    """Return the variance of an estimated Sharpe ratio times (n - 1): Mertens (2002), as both papers have it."""
    spread = 1.0 - record.skew * record.sharpe + (record.kurtosis - 1.0) / 4.0 * record.sharpe**2
    return max(spread, FLAT)  # > 0 by Pearson's inequality, but for rounding


@compiled
def _write_logits(
    firsts: Int64Array, sums: Float64Array, squares: Float64Array, days: Int64Array, logits: Float64Array
) -> None:
    """Fill ``logits`` (2 x splits): of each split, and of its mirror image."""
    blocks, count = sums.shape
    halves, shape = np.zeros((2, count)), (2, 2, count)
    totals = np.zeros(shape)
    for split in range(firsts.shape[0]):
        in_first = np.zeros(blocks, np.int64)
        for block in firsts[split]:
            in_first[block] = 1
        lengths = np.zeros(2)
        totals[:] = 0.0
        for block in range(blocks):
            half = 1 - in_first[block]
            lengths[half] += days[block]
            for column in range(count):
                totals[half, 0, column] += sums[block, column]
                totals[half, 1, column] += squares[block, column]
        for half in range(2):
            length = lengths[half]
            for column in range(count):
                mean, square = totals[half, 0, column] / length, totals[half, 1, column] / length
                variance = square - mean * mean
                halves[half, column] = mean / math.sqrt(variance) if variance > FLAT * square else 0.0
        for half in range(2):
            chosen, other = np.argmax(halves[half]), halves[1 - half]
            below, equal = 0, 0
            for column in range(count):
                below += other[column] < other[chosen]
                equal += other[column] == other[chosen]
            rank = below + (equal + 1) / 2.0
            logits[2 * split + half] = math.log(rank / (count + 1 - rank))
