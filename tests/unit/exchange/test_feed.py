"""Ticks from a file and from the generated market: paths, order, and going on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from tests.unit.exchange.desk import NO_ROLLS, OPEN, bars, rolls, spec

from palmbot.core.types import BarArrays, CostKind, Instrument
from palmbot.errors import RefusedError
from palmbot.exchange.feed import Feed, FeedTick, FileFeed, GeneratedFeed
from palmbot.exchange.market import SentimentRow, advance, start
from palmbot.exchange.market_arrays import history
from palmbot.instruments import PALM_OIL
from palmbot.units import HOUR_MS, PX, RATE_ONE_E8

BARS = bars(
    (OPEN, 4_000, 4_020, 3_990, 4_010),
    (OPEN + HOUR_MS, 4_015, 4_015, 4_015, 4_015),
    (OPEN + 2 * HOUR_MS, 4_030, 4_040, 4_000, 4_005),
)


def ticks(feed: Feed, side: int = 0) -> list[FeedTick]:
    found = []
    while (tick := feed.next_tick(side)) is not None:
        found.append(tick)
    return found


def file_feed(series: BarArrays = BARS, stands: dict[str, Any] | None = None) -> FileFeed:
    return FileFeed(Instrument(), series, NO_ROLLS, stands)


def stored(feed: Feed) -> dict[str, Any]:
    """Where ``feed`` stands, after a trip through a file."""
    return dict(json.loads(json.dumps(feed.position_state())))


def test_every_bar_is_four_ticks_fifteen_seconds_apart_also_one_without_a_range() -> None:
    found = ticks(file_feed())
    stamps = [OPEN + hour * HOUR_MS + second * 1_000 for hour in range(3) for second in (0, 15, 30, 45)]
    assert [tick.ts_ms for tick in found] == stamps
    bids = [4_000, 3_990, 4_020, 4_010, 4_015, 4_015, 4_015, 4_015, 4_030, 4_000, 4_040, 4_005]
    assert [tick.bid_px for tick in found] == [bid * PX for bid in bids]
    assert [tick.is_jump for tick in found] == [True, False, False, False] * 3
    assert [tick.bar_open_px for tick in found] == [px for px in (4_000, 4_015, 4_030) for px in [px * PX] * 4]
    assert {tick.ask_px - tick.bid_px for tick in found} == {2 * PX}


@pytest.mark.parametrize(("side", "path"), [(1, (3_990, 4_020)), (0, (3_990, 4_020)), (-1, (4_020, 3_990))])
def test_the_extreme_that_hurts_comes_first(side: int, path: tuple[int, int]) -> None:
    assert [tick.bid_px for tick in ticks(file_feed(), side)[1:3]] == [px * PX for px in path]


def test_only_the_side_after_the_open_tick_decides_which_extreme_that_is() -> None:
    feed = file_feed()
    path = [feed.next_tick(side) for side in (1, -1, 1, 1)]  # short on the open tick, closed on the high
    assert [tick.bid_px for tick in path if tick is not None] == [px * PX for px in (4_000, 4_020, 3_990, 4_010)]


def test_a_spread_in_ppm_is_that_of_the_bars_open_for_all_four_ticks() -> None:
    instrument = Instrument(spread_kind=int(CostKind.PPM), spread=1_000, step_px=PX)
    series = bars((OPEN, 4_000, 9_000, 1_000, 4_000), (OPEN + HOUR_MS, 6_000, 6_000, 6_000, 6_000))
    found = ticks(FileFeed(instrument, series, NO_ROLLS))
    assert [tick.ask_px - tick.bid_px for tick in found] == [4 * PX] * 4 + [6 * PX] * 4


def test_rates_and_rolls_are_those_of_the_series() -> None:
    series = bars(*[(OPEN + hour * HOUR_MS, 1, 1, 1, 1) for hour in range(2)], rate_e8=(20_000_000, 21_000_000))
    feed = FileFeed(Instrument(), series, rolls((OPEN + HOUR_MS, 12)))
    assert [tick.rate_e8 for tick in ticks(feed)] == [20_000_000] * 4 + [21_000_000] * 4
    assert {tick.rate_e8 for tick in ticks(file_feed())} == {RATE_ONE_E8}
    assert feed.rolls == ((OPEN + HOUR_MS, 12 * PX),)
    assert feed.history == ()


@pytest.mark.parametrize("sent", range(13))
def test_a_file_feed_goes_on_from_any_tick_as_if_it_had_never_stopped(sent: int) -> None:
    feed = file_feed()
    for _ in range(sent):
        feed.next_tick(-1)
    resumed = file_feed(stands=stored(feed))
    assert resumed.at_boundary == feed.at_boundary == (sent % 4 == 0)
    assert ticks(resumed, 1) == ticks(feed, 1)


def test_a_file_that_has_grown_goes_on_after_its_old_end() -> None:
    feed = file_feed()
    ticks(feed)
    longer = bars(*zip(*(column.tolist() for column in BARS[:1]), *[[1] * 3] * 4, strict=True), (OPEN * 2, 7, 8, 6, 7))
    assert [tick.bid_px for tick in ticks(file_feed(longer, stored(feed)))] == [px * PX for px in (7, 6, 8, 7)]


@pytest.mark.parametrize("series", [bars((OPEN + 1, 1, 1, 1, 1), (OPEN + 2, 1, 1, 1, 1)), bars()])
def test_other_bars_than_those_it_began_with_are_refused(series: BarArrays) -> None:
    feed = file_feed()
    ticks(feed)
    with pytest.raises(RefusedError, match="FEED_CHANGED"):
        file_feed(series, stored(feed))
    with pytest.raises(RefusedError, match="FEED_CHANGED"):
        file_feed(stands={"market": {}, "sent": 0})


def test_an_empty_file_ends_at_once() -> None:
    assert ticks(file_feed(bars())) == []


# -- the generated market


def generated(publish: Callable[[SentimentRow], None] | None = None) -> GeneratedFeed:
    return GeneratedFeed(PALM_OIL, start(PALM_OIL, 7, OPEN), publish=publish)


def test_the_generated_feed_hands_out_the_markets_ticks_one_by_one() -> None:
    state, expected = start(PALM_OIL, 7, OPEN), []
    for _ in range(400):  # past the lunch break
        state, made, _ = advance(state, PALM_OIL)
        expected += [
            FeedTick(tick.ts_ms, tick.bid_px, tick.ask_px, tick.opens_gap, tick.bid_px, RATE_ONE_E8) for tick in made
        ]
    feed = generated()
    assert [feed.next_tick(0) for _ in expected] == expected
    assert sum(tick.is_jump for tick in expected) > 0


@pytest.mark.parametrize("sent", range(12))
def test_the_generated_feed_goes_on_from_any_tick_as_if_it_had_never_stopped(sent: int) -> None:
    feed = generated()
    for _ in range(sent):
        feed.next_tick(0)
    resumed = GeneratedFeed(PALM_OIL, *GeneratedFeed.state_of(stored(feed)))
    assert resumed.at_boundary == feed.at_boundary
    assert [resumed.next_tick(0) for _ in range(50)] == [feed.next_tick(0) for _ in range(50)]


def test_the_end_of_a_generated_minute_is_a_boundary() -> None:
    feed = generated()
    minutes = [tick.ts_ms // 60_000 for tick in islice(iter(lambda: feed.next_tick(0), None), 200)]
    feed, ends = generated(), []
    for _ in minutes:
        feed.next_tick(0)
        ends.append(feed.at_boundary)
    assert [index for index, end in enumerate(ends[:-1]) if end] == [
        index for index, minute in enumerate(minutes[:-1]) if minutes[index + 1] != minute
    ]


def test_a_generated_sentiment_is_published_before_the_tick_with_which_it_is_known() -> None:
    rows: list[SentimentRow] = []
    feed, last_ms = generated(rows.append), OPEN - 1
    for _ in range(2_000):
        known = len(rows)
        tick = feed.next_tick(0)
        assert all(row.known_ms == tick.ts_ms for row in rows[known:])
        assert tick.ts_ms > last_ms
        last_ms = tick.ts_ms
    assert len(rows) > 3


def test_a_generated_feed_carries_the_history_that_its_market_was_made_with() -> None:
    made, state = history(spec(), 3, 40)
    feed: Feed = GeneratedFeed(spec(), state, history=made)
    assert feed.history == made
    assert feed.rolls == ()
