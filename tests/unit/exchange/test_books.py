"""The exchange's books: what a killed broker still knows, and how they refuse."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, amend, enter, facts, leave, spec, tick
from tests.unit.exchange.single import ACCOUNT_ID, Single

from palmbot.errors import DataError, HaltError, RefusedError
from palmbot.exchange.books import CANDLES_KEPT_MS, Books, Place
from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.changes import Changes, Counters, Mark, Standing
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.history import Window
from palmbot.exchange.opening import plain_account
from palmbot.exchange.prices import Candle
from palmbot.exchange.values import ClosePosition, OrderStatus
from palmbot.instruments import InstrumentSpec
from palmbot.units import DAY_MS, MINUTE_MS, PX

SPEC = spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * 3_600_000, conversion_fee_bp=10)
CATALOGUE = catalogue_of(SPEC)
STANDS = {"bar": 3, "tick": 1, "nested": [1, 2.5]}


def account(balance_minor: int = BALANCE) -> tuple[Standing, ...]:
    return (plain_account(ACCOUNT_ID, CATALOGUE, balance_minor),)


def place(last: FeedTick) -> Place:
    """A place whose candle is the last tick alone."""
    candle = Candle(last.ts_ms, last.bid_px, last.bid_px, last.bid_px, last.bid_px, 1)
    return Place({TRADED_ID: last}, STANDS, {(TRADED_ID, last.ts_ms): candle})


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.exchange import test_books
test_books.trade(test_books.Books(Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exchange.sqlite"


@contextmanager
def opened(path: Path | str) -> Iterator[Books]:
    with closing(Books(path)) as books:
        yield books


def trade(books: Books) -> Single:
    """Open two positions, keep one over a night, close the other: after each step the books are written."""
    single = Single(SPEC, BALANCE, kept=books.kept(CATALOGUE, account()))

    def commit() -> None:
        assert single.last is not None
        books.save(single.venue.changes, single.venue.mark, place(single.last))

    single.commit = commit
    single.tick(tick(OPEN, 4_000))
    single.request(enter(name="first"))
    single.request(enter(-1, sl=40, name="second"))
    single.request(amend(1, 3_960, 4_090.5))
    single.request(leave(2, 1_000))
    single.tick(tick(OPEN + DAY_MS, 4_045, rate_e8=25_000_000))
    single.request(enter(volume_cu=25, name="third"))
    return single


def survivor(path: Path, tmp_path: Path) -> Path:
    """A copy of the files as a killed process would leave them."""
    copy = tmp_path / "survivor"
    copy.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, copy)
    return copy / path.name


def test_a_killed_broker_comes_back_with_the_same_account_ids_market_and_costs(path: Path, tmp_path: Path) -> None:
    with opened(path) as books:
        single = trade(books)
        deals, costs = books.history.deals_of_position(ACCOUNT_ID, 2), books.costs()
        left = survivor(path, tmp_path)
    assert (tmp_path / "survivor" / f"{path.name}-wal").stat().st_size > 0  # nothing was tidied up
    with opened(left) as books:
        kept = books.kept(CATALOGUE, account(1))
        assert kept == single.venue.kept()
        assert [held.position_id for held in kept.positions] == [1, 3]
        assert (books.tick(TRADED_ID), books.feed_state()) == (single.last, STANDS)
        assert (books.history.deals_of_position(ACCOUNT_ID, 2), books.costs()) == (deals, costs)
        assert [deal.filled_cu for deal in deals] == [1_500, 1_000, 2_500]  # newest first
        assert min(costs) < 0
        again = Single(SPEC, BALANCE, kept=kept)
        assert again.snapshot() == single.snapshot()
        single.commit = lambda: None
        assert again.request(enter(name="next")) == single.request(enter(name="next"))


def test_the_same_holds_for_a_process_that_was_really_killed(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    with opened(path) as books, opened(":memory:") as scratch:
        assert books.kept(CATALOGUE, account(1)) == trade(scratch).venue.kept()


def test_new_books_begin_with_the_balance_that_is_asked_for_and_keep_it(path: Path) -> None:
    with opened(path) as books:
        assert books.kept(CATALOGUE, account(123_456)).standings[0].balance_minor == 123_456
        assert (books.tick(TRADED_ID), books.feed_state(), books.costs()) == (None, None, (0, 0))
        assert books.history.deals(ACCOUNT_ID, Window()) == []
    with opened(path) as books:
        assert books.kept(CATALOGUE, account()).standings[0].balance_minor == 123_456


def test_an_account_that_is_new_is_opened_beside_those_that_are_kept() -> None:
    with opened(":memory:") as books:
        trade(books)
        both = (*account(1), plain_account(7, CATALOGUE, 700))
        kept = books.kept(CATALOGUE, both)
        assert [each.terms.account_id for each in kept.standings] == [1, 7]
        assert kept.standings[1].balance_minor == 700
        assert kept.standings[0].balance_minor not in {1, BALANCE}


def test_the_market_can_be_saved_alone(path: Path) -> None:
    with opened(path) as books:
        books.kept(CATALOGUE, account())
        for last in (tick(OPEN, 4_000, jump=True), tick(OPEN + MINUTE_MS, 4_001)):
            books.save(Changes(), Mark(last.ts_ms, Counters()), place(last)._replace(feed_state={"at": last.ts_ms}))
            assert (books.tick(TRADED_ID), books.feed_state()) == (last, {"at": last.ts_ms})
            assert isinstance(getattr(books.tick(TRADED_ID), "is_jump", None), bool)
            assert books.kept(CATALOGUE, ()).now_ms == last.ts_ms


def saved(books: Books, at: Place) -> None:
    books.save(Changes(), Mark(0, Counters()), at)


def test_candles_are_kept_for_some_months() -> None:
    with opened(":memory:") as books:
        grown = Candle(OPEN, 5, 9, 4, 7, 3)
        saved(books, place(tick(OPEN, 4_000)))
        saved(books, place(tick(OPEN, 4_000))._replace(candles={(TRADED_ID, OPEN): grown}))
        later = place(tick(OPEN + CANDLES_KEPT_MS, 4_001))
        saved(books, later)
        assert books.candles(TRADED_ID) == [grown, *later.candles.values()]
        last = place(tick(OPEN + CANDLES_KEPT_MS + 1, 4_002))
        saved(books, last)
        assert books.candles(TRADED_ID) == [*later.candles.values(), *last.candles.values()]
        assert books.candles(2) == []


def test_a_change_before_the_first_tick_leaves_the_market_as_it_was() -> None:
    with opened(":memory:") as books:
        books.kept(CATALOGUE, account())
        saved(books, place(tick(OPEN, 4_000)))
        books.save(Changes(), Mark(OPEN, Counters()), None)
        assert books.tick(TRADED_ID) == tick(OPEN, 4_000)


def test_orders_keep_their_last_state() -> None:
    with opened(":memory:") as books:
        trade(books)
        rows = books.history.orders(ACCOUNT_ID, Window())
        filled, accepted = OrderStatus.FILLED, OrderStatus.ACCEPTED
        names = ("order_id", "kind", "executed_cu", "status", "stop_px")
        assert sorted(facts(row, *names) for row in rows) == [
            (1, 1, 2_500, filled, None),
            (2, 4, 0, accepted, 3_960 * PX),
            (3, 1, 2_500, filled, None),
            (4, 4, 1_500, filled, 4_039 * PX + PX // 2),
            (5, 1, 1_000, filled, None),
            (6, 1, 25, filled, None),
            (7, 4, 0, accepted, 3_997 * PX + PX // 2),
        ]


def test_a_change_that_cannot_be_written_whole_is_not_written_at_all() -> None:
    with opened(":memory:") as books:
        single = trade(books)
        single.commit = lambda: None
        before = books.kept(CATALOGUE, ())
        single.venue.request(ACCOUNT_ID, ClosePosition(1, 2_500))
        changes, mark = single.venue.changes, single.venue.mark
        deal = changes.deals[0]
        changes.deals.append(deal)
        with pytest.raises(sqlite3.IntegrityError):
            books.save(changes, mark, None)
        assert books.kept(CATALOGUE, ()) == before
        assert len(books.history.deals_of_position(ACCOUNT_ID, 1)) == 1
        changes.deals.pop()
        books.save(changes, mark, None)  # and the next change can be
        assert len(books.history.deals_of_position(ACCOUNT_ID, 1)) == 2
        assert books.kept(CATALOGUE, ()) == single.venue.kept()


def test_a_full_disk_is_a_halt_that_loses_nothing_and_passes() -> None:
    with opened(":memory:") as books:
        single = trade(books)
        pages = books._database.execute("PRAGMA page_count").fetchone()[0]
        books._database.execute(f"PRAGMA max_page_count = {pages}")

        def grow() -> None:
            for _ in range(1_000):
                single.request(enter(volume_cu=25))

        with pytest.raises(HaltError, match=r"BOOKS_UNWRITABLE.*SQLITE_FULL"):
            grow()
        assert [held.position_id for held in books.kept(CATALOGUE, ()).positions][:2] == [1, 3]
        books._database.execute("PRAGMA max_page_count = 100000")
        single.commit()  # what could not be written is still known
        assert books.kept(CATALOGUE, ()) == single.venue.kept()


def test_books_of_an_older_palmbot_are_refused_and_left_alone(path: Path) -> None:
    with opened(path) as books:
        trade(books)
        books._database.execute("PRAGMA user_version = 1")
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"BOOKS_TOO_OLD.*schema=1"):
        Books(path)
    assert path.read_bytes() == before


def test_books_of_a_newer_palmbot_are_refused_and_left_alone(path: Path) -> None:
    with opened(path) as books:
        trade(books)
        books._database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"BOOKS_TOO_NEW.*schema=99"):
        Books(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, symbol="RUBBER"),
        replace(SPEC, deposit_currency="USD"),
        replace(SPEC, core=SPEC.core._replace(money_digits=3)),
    ],
)
def test_books_of_another_account_are_refused(path: Path, other: InstrumentSpec) -> None:
    with opened(path) as books:
        books.kept(CATALOGUE, account())
        with pytest.raises(RefusedError, match="BOOKS_OF_ANOTHER_ACCOUNT"):
            books.kept(catalogue_of(other), account())


def test_one_process_at_a_time(path: Path) -> None:
    with opened(path) as books:
        books.kept(CATALOGUE, account())
        with pytest.raises(RefusedError, match="BOOKS_IN_USE"):
            Books(path)
    with opened(path) as books:
        assert books.kept(CATALOGUE, account(1)).standings[0].balance_minor == BALANCE


def test_a_file_that_is_no_database_and_a_folder_that_is_not_there_have_an_error_each(path: Path) -> None:
    path.write_text("timestamp,open,high,low,close\n" * 100)
    with pytest.raises(DataError, match="BOOKS_UNREADABLE"):
        Books(path)
    with pytest.raises(HaltError, match=r"BOOKS_UNWRITABLE.*CANTOPEN"):
        Books(path.parent / "missing" / "exchange.sqlite")
