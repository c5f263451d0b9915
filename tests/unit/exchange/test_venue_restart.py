"""A venue that is killed between any two moments goes on exactly there: fills, protections, expiries, locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.exchange.desk import OPEN, spec, tick
from tests.unit.exchange.house import FILL, LOT, PROTECT, brackets, good_till, limit, market, px, said, standing, stop

from palmbot.exchange.books import Books, Place
from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.conduct import Conduct, Delays, VenueKnobs
from palmbot.exchange.values import (
    AccountType,
    AmendPosition,
    Brackets,
    CashKind,
    ClosePosition,
    Report,
    TimeInForce,
    Told,
    Trigger,
)
from palmbot.exchange.venue import Venue
from palmbot.instruments import PALM_OIL
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

TRADED = spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * HOUR_MS)
CATALOGUE = catalogue_of(TRADED)
STANDINGS = (standing(CATALOGUE, 1), standing(CATALOGUE, 2, type=AccountType.NETTED), standing(CATALOGUE, 3, 600_000))
CONDUCT = Conduct(Delays(FILL, PROTECT), VenueKnobs(slice_cu=1_000, expiry_step_ms=10))
Step = Callable[[Venue], Any]


def ask(account_id: int, request: Any) -> Step:
    return lambda venue: venue.request(account_id, request, "")


def at(ms: int, bid: float) -> Step:
    return lambda venue: venue.tick(TRADED_ID, tick(OPEN + ms, bid))


def until(ms: int) -> Step:
    return lambda venue: venue.advance(OPEN + ms)


# A story in which something is always on its way.
STORY: list[Step] = [
    at(0, 4_000),
    ask(1, market(asked=brackets(50, 80, trailing=True), client_order_id="c1", label="L")),
    ask(2, market(asked=brackets(60))),
    ask(1, limit(1, 3_990, asked=brackets(30), **good_till(OPEN + 5_003))),
    until(FILL),
    until(FILL + PROTECT),
    ask(1, stop(1, 4_020, asked=Brackets(trigger=Trigger.DOUBLE_TRADE))),
    ask(3, market()),
    at(1_000, 4_010),
    ask(2, market(-1, 4_000, brackets(20, 20))),
    at(1_100, 4_019),  # the ask touches the stop for the first time
    until(1_300),
    at(1_400, 4_019),  # and for the second
    ask(1, ClosePosition(1, 1_000)),
    until(1_500),
    until(1_560),
    ask(1, AmendPosition(1, px(3_970), px(4_100), trailing=False)),
    until(6_000),
    lambda venue: venue.cash(2, CashKind.DEPOSIT, 777, "note"),
    ask(1, limit(-1, 4_030)),
    ask(1, market(time_in_force=TimeInForce.MARKET_ON_OPEN)),
    at(DAY_MS, 3_990),
    lambda venue: venue.set_terms(replace(venue.accounts[1].terms, leverage_in_cents=1_000)),
    lambda venue: venue.set_margin_call(3, 62, 70.0),
    at(DAY_MS + MINUTE_MS, 3_920),
    at(DAY_MS + 2 * MINUTE_MS, 3_861),  # the third account is stopped out
    until(DAY_MS + 3 * MINUTE_MS),
]


@pytest.fixture
def books() -> Iterator[Books]:
    with closing(Books(":memory:")) as opened:
        yield opened


def committed(books: Books, venue: Venue) -> None:
    last = venue.last(TRADED_ID)
    place = None if last is None else Place({TRADED_ID: last}, {}, {})
    books.save(venue.changes, venue.mark, place)
    venue.changes.clear()


def begun(books: Books) -> Venue:
    return Venue(CATALOGUE, books.kept(CATALOGUE, STANDINGS), CONDUCT)


def forgotten(told: list[Told]) -> list[Told]:
    return [replace(each, asked="") if isinstance(each, Report) else each for each in told]


def test_the_story_has_everything_on_its_way_at_some_time(books: Books) -> None:
    venue, works, lines = begun(books), set(), []
    for step in STORY:
        lines += said(step(venue))
        works |= {task.work.name for task in venue.kept().tasks}
    assert works == {"EXECUTE", "PROTECT", "EXPIRE"}
    words = {line.split()[0] for line in lines}
    assert words >= {"ACCEPTED", "PARTIAL_FILL", "FILLED", "REPLACED", "CANCELLED", "EXPIRED", "SWAP", "TrailMoved",
                     "DEPOSIT_WITHDRAW", "TraderChanged", "MarginMoved", "MarginCallSet", "MarginCalled"}  # fmt: skip


@pytest.mark.parametrize("killed", range(1, len(STORY)))
def test_killed_after_any_step_it_goes_on_as_if_nothing_had_happened(books: Books, killed: int) -> None:
    whole, broken = Venue(CATALOGUE, books.kept(CATALOGUE, STANDINGS), CONDUCT), begun(books)
    for step in STORY[:killed]:
        assert step(whole) == step(broken)
        committed(books, broken)
    again = begun(books)
    assert again.kept() == whole.kept()
    assert again.due_ms() == whole.due_ms()
    for step in STORY[killed:]:
        assert step(again) == forgotten(step(whole))
    assert again.kept() == whole.kept()


def test_who_asked_is_not_remembered_beyond_the_process(books: Books) -> None:
    venue = begun(books)
    venue.tick(TRADED_ID, tick(OPEN, 4_000))
    venue.request(1, market(volume_cu=1_000), "connection 7, message m1")
    committed(books, venue)
    (told,) = begun(books).advance(OPEN + FILL)
    assert isinstance(told, Report)
    assert told.asked == ""


def test_what_was_never_committed_never_happened(books: Books) -> None:
    venue = begun(books)
    venue.tick(TRADED_ID, tick(OPEN, 4_000))
    committed(books, venue)
    before = books.kept(CATALOGUE, ())
    venue.request(1, market(volume_cu=1_000))
    venue.advance(OPEN + FILL)
    assert books.kept(CATALOGUE, ()) == before
    assert begun(books).due_ms() is None


def test_a_swap_that_was_charged_between_two_ticks_is_not_charged_again(books: Books) -> None:
    venue = begun(books)
    venue.tick(TRADED_ID, tick(OPEN, 4_000))
    venue.request(1, market())
    night_ms = OPEN - 2 * HOUR_MS - HOUR_MS // 2 + 22 * HOUR_MS
    venue.advance(night_ms)
    committed(books, venue)
    again = begun(books)
    assert said(again.tick(TRADED_ID, tick(night_ms + 1, 4_000))) == []
    assert again.accounts[1].positions[1].swap_minor == -2_500


def test_a_market_on_open_order_is_still_waiting_after_the_night(books: Books) -> None:
    catalogue = catalogue_of(PALM_OIL)
    opened = (standing(catalogue, 1),)
    venue = Venue(catalogue, books.kept(catalogue, opened), CONDUCT)
    venue.tick(TRADED_ID, tick(OPEN, 4_000))
    venue.request(1, market(volume_cu=LOT, time_in_force=TimeInForce.MARKET_ON_OPEN))
    committed(books, venue)
    again = Venue(catalogue, books.kept(catalogue, ()), CONDUCT)
    assert again.tick(TRADED_ID, tick(OPEN + HOUR_MS, 4_000)) == []
    again.tick(TRADED_ID, tick(OPEN + 4 * HOUR_MS, 4_000))
    assert said(again.advance(OPEN + 4 * HOUR_MS + FILL))[-1] == "FILLED MARKET FILLED 2500/2500 OPEN 2500 unasked"
