"""The synthetic book: deeper is bigger, a level keeps its id, and changes say what is new and what is gone."""

from __future__ import annotations

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.depth import Level, book_of, changes
from palmbot.instruments import PALM_OIL

LISTING = catalogue_of(PALM_OIL).traded
STEP_PX = PALM_OIL.core.step_px


def test_a_book_has_levels_on_both_sides_of_the_quote_that_grow_with_their_depth() -> None:
    book = book_of(LISTING, 400_000_000, 400_200_000, 3)
    bids = [level for level in book.values() if level.bid_px is not None]
    asks = [level for level in book.values() if level.ask_px is not None]
    assert [level.bid_px for level in bids] == [400_000_000, 400_000_000 - STEP_PX, 400_000_000 - 2 * STEP_PX]
    assert [level.ask_px for level in asks] == [400_200_000, 400_200_000 + STEP_PX, 400_200_000 + 2 * STEP_PX]
    assert [level.size_cu for level in bids] == [level.size_cu for level in asks] == [25_000, 50_000, 75_000]


def test_no_level_lies_at_or_below_zero() -> None:
    book = book_of(LISTING, STEP_PX, 5 * STEP_PX, 3)
    assert [level.bid_px for level in book.values() if level.bid_px is not None] == [STEP_PX]


def test_the_changes_turn_one_book_into_the_other() -> None:
    before = book_of(LISTING, 400_000_000, 400_200_000, 5)
    after = book_of(LISTING, 400_000_000 + STEP_PX, 400_200_000, 5)
    fresh, gone = changes(before, after)
    shown = {**before, **fresh}
    for level_id in gone:
        del shown[level_id]
    assert shown == after
    assert changes(after, after) == ({}, [])
    assert all(level == Level(level.size_cu, level.bid_px, None) for level in fresh.values()), "the asks stand"
