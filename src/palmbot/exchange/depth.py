"""A SYNTHETIC order book around a quote: a few levels a side, the deeper the bigger. A pure function of bid and ask."""

from __future__ import annotations

from typing import NamedTuple

from palmbot.exchange.listing import Listing


class Level(NamedTuple):
    """One level of the book."""

    size_cu: int
    bid_px: int | None
    ask_px: int | None


Book = dict[int, Level]
LOTS_A_LEVEL = 10


def book_of(listing: Listing, bid_px: int, ask_px: int, levels: int) -> Book:
    """Return the levels by id. An id belongs to a side and a price, so a level keeps it for as long as it stands."""
    core = listing.spec.core
    book: Book = {}
    for depth in range(levels):
        size_cu = core.lot_cu * LOTS_A_LEVEL * (depth + 1)
        bid, ask = bid_px - depth * core.step_px, ask_px + depth * core.step_px
        if bid > 0:
            book[2 * bid] = Level(size_cu, bid, None)
        book[2 * ask + 1] = Level(size_cu, None, ask)
    return book


def changes(before: Book, after: Book) -> tuple[Book, list[int]]:
    """Return the levels that are new or of another size, and the ids of those that are gone."""
    fresh = {level_id: level for level_id, level in after.items() if before.get(level_id) != level}
    return fresh, [level_id for level_id in before if level_id not in after]
