"""What the price did after each level of RSI, whether anything was traded or not: the bare fact behind any RSI rule.

For every closed bar: its RSI, and the move from its close over the next 1, 5 and 20 bars, less the mean move of all
bars over as many (the drift of the market is no merit of RSI). Moves overlap and the market has moods, so nothing is
resampled bar by bar but in blocks of bars, four times as long as the move or more. What a block holds is summed up
once, which makes a million bars as quick as their blocks.

Levels are a picture: their bands come from a bootstrap of the blocks (Carlstein, "The Use of Subseries Values for
Estimating the Variance", 1986), each for itself. What is judged is the direction, one slope of the move on RSI for each
distance: all moves of a block change their sign by the toss of a coin, which keeps how much the price moved after each
RSI and not where to (the randomisation test of symmetry, Fisher 1935; by blocks as in the wild bootstrap, Wu 1986).
Each slope is held against the largest of all (``looks``), as if distances had nothing in common; that they have makes
p too large, if anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.bootstrap import CHUNK_CELLS, Band, band_of
from palmbot.research.looks import corrected

EDGES = (0, 20, 30, 40, 50, 60, 70, 80, 100)
LEVELS = tuple(pairwise(EDGES))
AHEAD_BARS = (1, 5, 20)
BLOCK_MOVES_MIN = 4  # a block is at least so many times as long as a move: few reach into the next one
BLOCKS_MIN = 12  # fewer coins do not say what is rare
LEVEL_BARS_MIN = 30
STEP_RSI = 20  # from neither strong nor weak to a usual threshold
RESAMPLES = 400
COINS = 2_000


@dataclass(frozen=True, slots=True)
class Level:
    """Bars whose RSI lay in ``[low, high)``: how the price moved ``ahead`` bars on, in percent beyond the drift."""

    low: int
    high: int
    ahead: int
    bars: int
    mean_pct: float | None
    band: Band | None


@dataclass(frozen=True, slots=True)
class Direction:
    """Whether strength was followed by strength, ``ahead`` bars on.

    Attributes:
        step_pct: how much more the price moved after an RSI that was 20 points higher; least squares.
        p: that chance makes any of the distances show as clear a direction.
    """

    ahead: int
    bars: int
    step_pct: float
    p: float


def levels(rsi: Float64Array, close_px: Int64Array, warmup_bars: int, seed: int) -> tuple[Level, ...]:
    """Return what followed each level of RSI, level by level within each distance ahead.

    Args:
        rsi: at the close of each bar, NaN while unknown, shape (n,).
        close_px: bid closes, shape (n,).
        warmup_bars: bars at the start that do not count.
        seed: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    found: list[Level] = []
    for ahead in AHEAD_BARS:
        found += _levels(_moves(rsi, close_px, warmup_bars, ahead), ahead, rng)
    return tuple(found)


def directions(rsi: Float64Array, close_px: Int64Array, warmup_bars: int, seed: int) -> tuple[Direction, ...]:
    """Return the direction over each distance ahead; none where the bars are too few. Arguments as of ``levels``."""
    rng = np.random.default_rng(seed)
    told, real, null = [], [], []
    for ahead in AHEAD_BARS:
        moves = _moves(rsi, close_px, warmup_bars, ahead)
        strength = moves.rsi - moves.rsi.mean() if moves.rsi.size else moves.rsi
        sums = np.bincount(moves.block, strength * moves.beyond)
        error = float(np.sqrt((sums**2).sum()))  # of their sum, by the fall of the coins
        if np.count_nonzero(sums) < BLOCKS_MIN or error == 0.0:
            continue
        told.append((ahead, moves.rsi.size, STEP_RSI * float(sums.sum() / (strength**2).sum())))
        real.append(abs(sums.sum()) / error)
        coins = (2.0 * rng.integers(0, 2, (rows, sums.size)) - 1.0 for rows in _parts(COINS, sums.size))
        null.append(np.concatenate([np.abs(each @ sums) / error for each in coins]))
    p = corrected(np.array(real), np.stack(null, axis=1)) if told else []
    return tuple(Direction(*each, chance) for each, chance in zip(told, p, strict=True))


class _Moves(NamedTuple):
    """The moves over one distance, arrays of shape (m,)."""

    rsi: Float64Array
    beyond: Float64Array  # in percent, less their mean
    block: Int64Array  # to which each belongs


def _moves(rsi: Float64Array, close_px: Int64Array, warmup_bars: int, ahead: int) -> _Moves:
    first = max(warmup_bars - 1, 0)
    at = first + np.flatnonzero(np.isfinite(rsi[first : max(len(rsi) - ahead, 0)]))
    moves = 100.0 * (close_px[at + ahead] / close_px[at] - 1.0)
    block_bars = max(BLOCK_MOVES_MIN * ahead, round(len(rsi) ** (1 / 3)))
    return _Moves(rsi[at], moves - (moves.mean() if moves.size else 0.0), (at - first) // block_bars)


def _levels(moves: _Moves, ahead: int, rng: np.random.Generator) -> list[Level]:
    count, place = len(LEVELS), np.searchsorted(EDGES[1:-1], moves.rsi, side="right")
    bars = np.bincount(place, minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (np.bincount(place, moves.beyond, count) / bars).tolist()
    bands = _bands(moves, place, rng)
    return [
        Level(*level, ahead, here, mean, band) if here >= LEVEL_BARS_MIN else Level(*level, ahead, here, None, None)
        for level, here, mean, band in zip(LEVELS, bars.tolist(), means, bands, strict=True)
    ]


def _bands(moves: _Moves, place: Int64Array, rng: np.random.Generator) -> list[Band | None]:
    """Return the band of the mean of each level, from blocks drawn with replacement."""
    levels, blocks = len(LEVELS), int(moves.block.max(initial=0)) + 1
    cell = moves.block * levels + place
    sums = np.bincount(cell, moves.beyond, blocks * levels).reshape(blocks, levels)
    counts = np.bincount(cell, minlength=blocks * levels).reshape(blocks, levels).astype(np.float64)
    again = []
    for rows in _parts(RESAMPLES, blocks):
        times = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), rows).astype(np.float64)
        drawn, weights = times @ sums, times @ counts
        with np.errstate(divide="ignore", invalid="ignore"):
            again.append(drawn / weights - (drawn.sum(axis=1) / weights.sum(axis=1))[:, None])
    return [band_of(each) for each in np.concatenate(again).T]


def _parts(rows: int, cells: int) -> list[int]:
    """Return ``rows`` of ``cells`` in parts of bounded memory."""
    most = max(1, CHUNK_CELLS // cells)
    return [min(most, rows - first) for first in range(0, rows, most)]
