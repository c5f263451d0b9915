"""The lists of the books: newest first, windows with both ends, one account at a time, and which deals closed which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.unit.exchange.desk import OPEN
from tests.unit.exchange.house import LOT, TRADED, House, brackets, limit, market, netted, standing

from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import Delays
from palmbot.exchange.history import History, Window
from palmbot.exchange.offsets import Offset
from palmbot.exchange.values import CancelOrder, CashKind, ClosePosition, DealStatus, OrderStatus

AT_ONCE = Delays(0, 0)
CATALOGUE = catalogue_of(TRADED)


def written(house: House, books: Books) -> History:
    books.kept(house.catalogue, ())
    books.save(house.venue.changes, house.venue.mark, None)
    house.venue.changes.clear()
    return books.history


@pytest.fixture
def books() -> Iterator[Books]:
    with closing(Books(":memory:")) as opened:
        yield opened


@pytest.fixture
def house() -> House:
    """Two accounts; the first bought at 0, 1 and 2 seconds, the second in between."""
    made = House(delays=AT_ONCE, accounts=(standing(CATALOGUE, 1), standing(CATALOGUE, 2)))
    for account_id in (1, 2, 1, 1):
        made.ask(market(asked=brackets(50)), account_id)
        made.quote(4_000)
    return made


def test_deals_come_newest_first_within_their_window_and_no_more_than_asked(house: House, books: Books) -> None:
    history = written(house, books)
    times = [OPEN, OPEN + 2_000, OPEN + 3_000]
    assert [deal.ts_ms for deal in history.deals(1, Window())] == times[::-1]
    assert [deal.ts_ms for deal in history.deals(1, Window(OPEN, OPEN + 2_000))] == times[1::-1]
    assert [deal.ts_ms for deal in history.deals(1, Window(limit=1))] == times[2:]
    assert [deal.account_id for deal in history.deals(2, Window())] == [2]
    assert history.deals(3, Window()) == []


def test_orders_come_by_their_last_change_protective_ones_too(house: House, books: Books) -> None:
    house.ask(limit(1, 3_900))
    house.quote(4_000)
    house.ask(CancelOrder(9))
    history = written(house, books)
    orders = history.orders(1, Window())
    assert [order.updated_ms for order in orders] == sorted((order.updated_ms for order in orders), reverse=True)
    assert (orders[0].order_id, orders[0].status) == (9, OrderStatus.CANCELLED)
    assert len(history.orders(1, Window(limit=3))) == 3
    assert history.orders(1, Window(house.venue.now_ms, house.venue.now_ms)) == orders[:1]
    assert history.order(1, 9) == orders[0]
    assert history.order(2, 9) is None  # another's
    assert history.order(1, 99) is None


def test_lists_of_a_position_and_of_an_order(house: House, books: Books) -> None:
    house.ask(ClosePosition(1, 1_000))
    history = written(house, books)
    assert [deal.filled_cu for deal in history.deals_of_position(1, 1)] == [1_000, LOT]
    assert [deal.filled_cu for deal in history.deals_of_position(1, 1, Window(to_ms=OPEN))] == [LOT]
    assert history.deals_of_position(2, 1) == []
    assert [order.order_id for order in history.orders_of_position(1, 1)] == [9, 2, 1]
    assert [order.order_id for order in history.orders_of_position(1, 1, Window(limit=1))] == [9]
    assert [deal.order_id for deal in history.deals_of_order(1, 9)] == [9]


def test_a_deal_that_moved_nothing_is_listed_with_its_status(house: House, books: Books) -> None:
    house.knobs(liquidity_cu=0)
    house.ask(market())
    (newest, *_) = written(house, books).deals(1, Window())
    assert (newest.status, newest.filled_cu) == (DealStatus.MISSED, 0)


def test_cash_comes_newest_first(house: House, books: Books) -> None:
    for delta in (5, 6):
        house.venue.cash(1, CashKind.DEPOSIT, delta)
        house.quote(4_000)
    history = written(house, books)
    assert [each.delta_minor for each in history.cash(1, Window())] == [6, 5]
    assert [each.delta_minor for each in history.cash(1, Window(to_ms=house.venue.now_ms - 2_000))] == [5]
    assert history.cash(2, Window()) == []


def test_deals_are_offset_first_in_first_out(books: Books) -> None:
    house = netted(delays=AT_ONCE)
    for side, volume_cu in ((1, 100), (1, 200), (-1, 50), (1, 50), (-1, 100), (-1, 200)):
        house.ask(market(side, volume_cu))
        house.quote(4_000)
    history = written(house, books)

    def offsets(deal_id: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        found = history.offsets(1, deal_id)
        assert found is not None
        by, of = ([(each.deal_id, each.volume_cu) for each in part] for part in found)
        return by, of

    assert offsets(1) == ([(3, 50), (5, 50)], [])
    assert offsets(2) == ([(5, 50), (6, 150)], [])
    assert offsets(3) == ([], [(1, 50)])
    assert offsets(4) == ([(6, 50)], [])
    assert offsets(5) == ([], [(1, 50), (2, 50)])
    assert offsets(6) == ([], [(2, 150), (4, 50)])
    first = history.offsets(1, 3)
    assert first is not None
    assert first[1][0] == Offset(1, 50, OPEN, 400_250_000)
    assert history.offsets(1, 99) is None
    assert history.offsets(2, 1) is None
