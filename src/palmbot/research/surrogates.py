"""The same search over prices that hold no edge: how often does luck alone find as much?

A bar is its gap from the close before, and its high, low and close from its open, all in log price. Two nulls:

- *shuffled*: the bars' moves are drawn anew without replacement, gaps and insides each on their own, among bars that
  follow a pause of the same kind: none, a break, a night, a weekend, and whether a new trading day begins. Every bar
  keeps its time, every move stays in the series: its distribution and the market's whole drift remain, so that a
  search that merely rides the drift is not credited with an edge, and stops meet gaps when they do on the real
  market. All other order is destroyed, and with it what sentiment could know. Moods of volatility are order, too.
- *sign-flipped*: every bar keeps its moves, up and down exchanged by the toss of a coin. Moods of volatility remain,
  the market's drift goes: on a market that rose, being long counts as an edge here.

What is put together again lies on the instrument's price step. A roll's jump stays at its bar and its charge follows
the price, so that it is as little profit or loss as it was. Sentiment and conversion rates stay as they are.

The p-value is that of a permutation test, (1 + surrogates at least as good) / (1 + surrogates): never 0, and with ties
against us. A p below 0.01 takes 100 surrogates. Sources: Phipson and Smyth, "Permutation P-values Should Never Be
Zero" (2010); Masters, "Permutation and Randomization Tests for Trading System Development" (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palmbot.calendar import trade_day
from palmbot.core.types import BarArrays, Float64Array, Int64Array, RollArrays
from palmbot.research.evidence import Surrogates
from palmbot.research.search import Search, Searcher, profit_factor_of
from palmbot.research.sweep import Series
from palmbot.research.workers import IN_TURN, Workers
from palmbot.units import HOUR_MS

PAUSES_MS: Final = (HOUR_MS // 2, 6 * HOUR_MS, 36 * HOUR_MS)
"""From where on a pause is a break in the day, a night, a weekend or holiday; less is bars that are missing."""


@dataclass(frozen=True, slots=True)
class Null:
    """What is asked for.

    Attributes:
        kind: one of `KINDS`.
        count: of surrogates.
        seed: surrogate number k is the same for one seed, however many there are.
    """

    kind: str
    count: int
    seed: int


class Moves(NamedTuple):
    """Bars in log price, arrays of shape (n,): the gap from the close before, the rest from the open."""

    gap: Float64Array  # without the jump of a roll; the first bar has none
    high: Float64Array
    low: Float64Array
    close: Float64Array


def moves_of(series: Series) -> Moves:
    """Return the moves of the bars of ``series``."""
    bars = series.bars
    opened, high, low, close = (np.log(each) for each in (bars.open_px, bars.high_px, bars.low_px, bars.close_px))
    gap = np.zeros(opened.shape[0])
    gap[1:] = opened[1:] - close[:-1]
    return Moves(gap - _jumps(series), high - opened, low - opened, close - opened)


def rebuilt(series: Series, moves: Moves) -> Series:
    """Return ``series`` with other moves, from the same first open; its own moves give itself."""
    bars, step_px = series.bars, series.instrument.step_px
    gaps = moves.gap + _jumps(series)
    gaps[1:] += moves.close[:-1]
    opened = np.log(bars.open_px[0]) + np.cumsum(gaps)

    def priced(log_px: Float64Array) -> Int64Array:
        return np.maximum(np.rint(np.exp(log_px) / step_px), 1).astype(np.int64) * step_px

    open_px, close_px = priced(opened), priced(opened + moves.close)
    high_px = np.maximum(priced(opened + moves.high), np.maximum(open_px, close_px))
    low_px = np.minimum(priced(opened + moves.low), np.minimum(open_px, close_px))
    at = _bars_of(series.rolls, bars)
    gap_px = np.rint(series.rolls.gap_px * (open_px[at] / bars.open_px[at]) / step_px).astype(np.int64) * step_px
    return Series(
        series.instrument,
        BarArrays(bars.ts_ms, bars.end_ms, open_px, high_px, low_px, close_px, bars.rate_e8, bars.ahead),
        RollArrays(series.rolls.ts_ms, gap_px),
        series.sentiment,
    )


def shuffled(series: Series, rng: np.random.Generator) -> Series:
    """Return ``series`` with its moves in another order; see above."""
    moves, kinds = moves_of(series), _kinds_of(series)
    gaps, insides = (np.arange(kinds.shape[0]) for _ in range(2))
    for kind in np.unique(kinds):
        places = np.flatnonzero(kinds == kind)
        gaps[places], insides[places] = rng.permutation(places), rng.permutation(places)
    return rebuilt(series, Moves(moves.gap[gaps], moves.high[insides], moves.low[insides], moves.close[insides]))


def _kinds_of(series: Series) -> Int64Array:
    """Return what each bar follows: a pause of what length, and if a new trading day begins. The first is alone."""
    bars = series.bars
    day = trade_day(bars.ts_ms, series.instrument.day_start_ms)
    pauses = np.searchsorted(PAUSES_MS, bars.ts_ms[1:] - bars.end_ms[:-1], side="right")
    return np.concatenate(([-1], 2 * pauses + (np.diff(day) != 0))).astype(np.int64)


def sign_flipped(series: Series, rng: np.random.Generator) -> Series:
    """Return ``series`` with up and down exchanged in about half of its bars, gap and inside together; see above."""
    moves = moves_of(series)
    is_kept = rng.random(moves.gap.shape[0]) < 0.5
    return rebuilt(
        series,
        Moves(
            np.where(is_kept, moves.gap, -moves.gap),
            np.where(is_kept, moves.high, -moves.low),
            np.where(is_kept, moves.low, -moves.high),
            np.where(is_kept, moves.close, -moves.close),
        ),
    )


KINDS: Final = MappingProxyType({"shuffled": shuffled, "sign-flipped": sign_flipped})


def surrogates(
    series: Series,
    searcher: Searcher,
    null: Null,
    on_each: Callable[[int], None] = lambda _done: None,
    workers: Workers = IN_TURN,
) -> Surrogates | None:
    """Return how well the best of ``searcher`` on ``series`` stands against its best on data without an edge.

    Args:
        series: the real one.
        searcher: the whole search, carried out anew on each surrogate.
        null: how many surrogates of which kind.
        on_each: told how many are done, in the calling thread.
        workers: who searches them. Where they are several, let the searcher use one thread only.

    Returns:
        None where nothing on the real series has a score.
    """
    real, _factor = _best_of(searcher(series))
    if np.isnan(real):
        return None
    make, place = KINDS[null.kind], tuple(KINDS).index(null.kind)

    def searched(number: int) -> tuple[float, float]:
        return _best_of(searcher(make(series, np.random.default_rng((null.seed, place, number)))))

    found = np.empty((null.count, 2))
    with closing(workers(searched, null.count)) as each:
        for number, best in enumerate(each):
            found[number] = best
            on_each(number + 1)
    at_least = int(np.count_nonzero(found[:, 0] >= real))  # NaN, no score at all, is less than any
    return Surrogates(null.kind, null.count, (1 + at_least) / (1 + null.count), found[:, 0], found[:, 1])


def _best_of(search: Search) -> tuple[float, float]:
    """Return score and profit factor of the best of ``search``; NaN where nothing has a score."""
    if search.best is None:
        return np.nan, np.nan
    factors = profit_factor_of(search.results[search.best : search.best + 1])
    return float(search.scores[search.best]), float(factors[0])


def _bars_of(rolls: RollArrays, bars: BarArrays) -> NDArray[np.intp]:
    """Return the bar at whose open each roll shows, or the last."""
    return np.asarray(np.minimum(np.searchsorted(bars.ts_ms, rolls.ts_ms), bars.ts_ms.shape[0] - 1), dtype=np.intp)


def _jumps(series: Series) -> Float64Array:
    """Return what rolls alone move each open, in log price, shape (n,)."""
    bars, rolls = series.bars, series.rolls
    is_inside = (rolls.ts_ms > bars.ts_ms[0]) & (rolls.ts_ms <= bars.ts_ms[-1])
    jump_px = np.zeros(bars.ts_ms.shape[0], np.int64)
    np.add.at(jump_px, _bars_of(rolls, bars)[is_inside], rolls.gap_px[is_inside])
    return np.asarray(-np.log1p(-jump_px / bars.open_px), dtype=np.float64)
