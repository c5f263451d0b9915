"""Windows of a walk-forward: they tile the bars, keep their distance and hold nothing of the future."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from bench.planted import BASE, data_of, walk
from hypothesis import given
from hypothesis import strategies as st

from palmbot.core.types import RollArrays, SentimentArrays
from palmbot.errors import ConfigError, DataError
from palmbot.model import Trade
from palmbot.research.sweep_params import table_of
from palmbot.research.windows import ANCHORED, ROLLING, Span, cut, purge_of, spans_of, train_bars

KINDS = (ROLLING, ANCHORED)


def spans(bars: int, warmup: int, windows: int, kind: str, purge: int) -> tuple[Span, ...] | None:
    """Return the spans, or None where the bars are too few."""
    try:
        return spans_of(bars, warmup, windows, kind, purge)
    except DataError:
        return None


@given(st.integers(2, 20_000), st.integers(0, 500), st.integers(1, 20), st.sampled_from(KINDS), st.integers(0, 300))
def test_tests_tile_the_rest_of_the_bars_and_no_training_comes_near_its_test(
    bars: int, warmup: int, windows: int, kind: str, purge: int
) -> None:
    found = spans(bars, warmup, windows, kind, purge)
    if found is None:
        return
    assert len(found) == windows
    assert found[-1].test_to == bars
    assert all(one.test_to == other.test_from for one, other in pairwise(found))
    for span in found:
        assert span.test_to - span.test_from >= 20
        assert span.embargoed >= bars / 100
        assert span.train_to + purge + span.embargoed == span.test_from
        assert warmup <= span.train_from < span.train_to
    lengths = {span.train_to - span.train_from for span in found}
    assert found[0].train_from == warmup
    assert len(lengths) == 1 if kind == ROLLING else all(span.train_from == warmup for span in found)


def test_one_small_walk_by_hand() -> None:
    # 1,000 bars, 100 of warm-up, purge 10, embargo 10: half of the other 880 train first, four tests share the rest
    rolling, anchored = (spans_of(1_000, 100, 4, kind, 10) for kind in KINDS)
    assert rolling[0] == anchored[0] == Span(100, 540, 560, 670, 10)
    assert rolling[3] == Span(430, 870, 890, 1_000, 10)
    assert anchored[3] == Span(100, 870, 890, 1_000, 10)


@given(st.integers(2, 400), st.integers(0, 500), st.integers(1, 20), st.integers(0, 300))
def test_too_few_bars_are_told_how_many_are_needed(bars: int, warmup: int, windows: int, purge: int) -> None:
    if spans(bars, warmup, windows, ROLLING, purge) is not None:
        return
    with pytest.raises(DataError, match="WALK_FORWARD_TOO_FEW_BARS") as caught:
        spans_of(bars, warmup, windows, ROLLING, purge)
    needed = int(str(caught.value.facts["needed"]))
    assert spans(needed, warmup, windows, ROLLING, purge) is not None
    assert spans(needed - 1, warmup, windows, ROLLING, purge) is None


def test_no_window_is_no_walk_forward() -> None:
    with pytest.raises(ConfigError, match="WALK_FORWARD_NO_WINDOWS"):
        spans_of(10_000, 250, 0, ROLLING, 20)


def test_a_cut_knows_nothing_that_was_not_known_at_its_end() -> None:
    data = data_of(walk(50, 1))
    bars = data.bars
    known_ms = np.array([bars.end_ms[9], bars.end_ms[9] + 1], np.int64)
    data = replace(
        data,
        sentiment=SentimentArrays(known_ms, np.zeros(2)),
        rolls=RollArrays(bars.ts_ms[[2, 5, 12]].copy(), np.ones(3, np.int64)),
    )
    part = cut(data, 4, 10)
    assert part.bars.ts_ms.tolist() == bars.ts_ms[4:10].tolist()
    assert part.sentiment.known_ms.tolist() == known_ms[:1].tolist()
    assert part.rolls.ts_ms.tolist() == [bars.ts_ms[5]]


def test_a_training_begins_with_its_warm_up() -> None:
    data = data_of(walk(100, 1))
    assert train_bars(data, Span(30, 50, 60, 80, 2), 20).bars.ts_ms.tolist() == data.bars.ts_ms[10:50].tolist()


def trade(entry_ms: int, exit_ms: int) -> Trade:
    """Return a trade of which only the times matter."""
    return Trade(entry_ms, exit_ms, 1, 25, 1, 1.0, 60, 0, 0, 0, 0, 0, 0.0, 0, 0)


def test_the_purge_is_the_longest_that_a_trade_can_be_open() -> None:
    bars = walk(1_000, 1)
    timed, endless = table_of([BASE._replace(max_bars=20), BASE._replace(max_bars=30)]), table_of([BASE])
    trades = (trade(int(bars.ts_ms[5]), int(bars.ts_ms[5]) + 15_000), trade(int(bars.ts_ms[9]), int(bars.ts_ms[29])))
    assert purge_of(timed, trades, bars) == 31
    assert purge_of(endless, trades, bars) == 21
    assert purge_of(endless, (), bars) == 20
    assert purge_of(table_of([BASE._replace(max_bars=900)]), (), bars) == 50
