"""Where a walk-forward trains and where it tests.

The first half of the bars is the first training; the rest is cut into test slices that lie side by side. A rolling
walk-forward trains on as many bars before each test as in the first, an anchored one on all from the beginning.

Between training and test two gaps lie: the purge, in which a training trade could still be open, and the embargo, in
which what is alike from bar to bar fades: one bar in a hundred of the series. Source: Lopez de Prado, "Advances in
Financial Machine Learning" (2018), chapter 7. Here a training ends at its last bar and sees no trade's end after it,
so both only add distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from palmbot.core.types import BarArrays, RollArrays, SentimentArrays
from palmbot.errors import ConfigError, DataError
from palmbot.model import Trade
from palmbot.research.result import DataSet
from palmbot.research.sweep_params import Table

ROLLING, ANCHORED = "rolling", "anchored"
TEST_BARS_MIN = 20
EMBARGO_BARS = 100  # one bar in so many of the series
PURGE_DEFAULT = 20  # bars, where no trade is known
PURGE_BARS = 20  # one bar in so many of the series at most


@dataclass(frozen=True, slots=True)
class Span:
    """Bars of one step, ends excluded: those that training and test may decide in."""

    train_from: int
    train_to: int
    test_from: int
    test_to: int
    embargoed: int


def spans_of(bars: int, warmup: int, windows: int, kind: str, purge: int) -> tuple[Span, ...]:
    """Return the steps of a walk-forward over ``bars`` bars.

    Args:
        bars: of the series.
        warmup: bars before the first decision.
        windows: how many steps.
        kind: ``ROLLING`` or ``ANCHORED``.
        purge: bars between training and test, beside the embargo.

    Raises:
        ConfigError: there is no window.
        DataError: the bars are too few; the facts say how many are needed.
    """
    if windows < 1:
        raise ConfigError("WALK_FORWARD_NO_WINDOWS", "Ask for at least one window.", windows=windows)
    if not _is_enough(bars, warmup, windows, purge):
        needed = next(n for n in range(bars, 10**12) if _is_enough(n, warmup, windows, purge))
        todo = f"Give at least {needed} bars, or ask for fewer windows, or shorten warmup_bars."
        raise DataError("WALK_FORWARD_TOO_FEW_BARS", todo, bars=bars, needed=needed, windows=windows, warmup=warmup)
    embargo = _embargo(bars)
    length = (bars - warmup - purge - embargo) // 2
    cuts = np.linspace(warmup + length + purge + embargo, bars, windows + 1).astype(np.int64).tolist()
    return tuple(
        Span(
            train_from=warmup if kind == ANCHORED else test_from - embargo - purge - length,
            train_to=test_from - embargo - purge,
            test_from=test_from,
            test_to=test_to,
            embargoed=embargo,
        )
        for test_from, test_to in pairwise(cuts)
    )


def purge_of(table: Table, trades: tuple[Trade, ...], bars: BarArrays) -> int:
    """Return for how many bars a trade of a training could still be open.

    That is the time exit where every combination of ``table`` has one, else the longest of ``trades``, else 20. It is
    never more than one bar in twenty of the series, so that one endless trade does not eat the data.
    """
    count = bars.ts_ms.shape[0]
    longest = PURGE_DEFAULT
    if (table["max_bars"] > 0).all():
        longest = int(table["max_bars"].max()) + 1  # it leaves at the open after its last bar
    elif trades:
        entries, exits = (
            np.searchsorted(bars.ts_ms, [getattr(trade, name) for trade in trades], "right")
            for name in ("entry_ms", "exit_ms")
        )
        longest = int((exits - entries).max()) + 1
    return min(longest, purge_max(count))


def purge_max(bars: int) -> int:
    """Return the longest purge in a series of ``bars`` bars."""
    return max(PURGE_DEFAULT, bars // PURGE_BARS)


def cut(data: DataSet, begin: int, end: int) -> DataSet:
    """Return bars ``begin`` to ``end`` (excluded) of ``data`` with what was known by the end of the last of them.

    Nothing later is in it: no bar, no roll, no sentiment.
    """
    bars = BarArrays(*(column[begin:end] for column in data.bars))
    last_ms = int(bars.end_ms[-1])
    known = int(np.searchsorted(data.sentiment.known_ms, last_ms, "right"))
    rolls = slice(*np.searchsorted(data.rolls.ts_ms, (int(bars.ts_ms[0]), last_ms), "right"))
    return replace(
        data,
        bars=bars,
        rolls=RollArrays(*(column[rolls] for column in data.rolls)),
        sentiment=SentimentArrays(data.sentiment.known_ms[:known], data.sentiment.score[:known]),
    )


def train_bars(data: DataSet, span: Span, warmup: int) -> DataSet:
    """Return what the training of ``span`` may see: its bars, and ``warmup`` before them in which nothing is decided.

    The close of the last warm-up bar is the first that may be decided by, and the first bar of the training the first
    that may be entered in (PARITY 33).
    """
    return cut(data, span.train_from - warmup, span.train_to)


def _embargo(bars: int) -> int:
    return -(-bars // EMBARGO_BARS)


def _is_enough(bars: int, warmup: int, windows: int, purge: int) -> bool:
    return bars - warmup - purge - _embargo(bars) >= 2 * windows * TEST_BARS_MIN
