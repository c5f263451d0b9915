"""The exchange's books: what a killed broker still knows, and how they refuse."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.exchange.desk import BALANCE, OPEN, amend, enter, leave, spec, tick

from palmbot.core.bars import Forming, begun
from palmbot.errors import DataError, HaltError, RefusedError
from palmbot.exchange.account import Account, Booking
from palmbot.exchange.books import CANDLES_KEPT_MS, STATUS, Books, Place
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.matching import Matching
from palmbot.model import Execution
from palmbot.units import DAY_MS, MINUTE_MS, PX

SPEC = spec(always_open=True, swap_long=-(10**10), swap_time_ms=22 * 3_600_000, conversion_fee_bp=10)
STANDS = {"bar": 3, "tick": 1, "nested": [1, 2.5]}


def place(last: FeedTick) -> Place:
    """A place whose candle is the last tick alone."""
    return Place(last, STANDS, begun(last.ts_ms, 0, last.bid_px))


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


def trade(books: Books) -> Matching:
    """Open two positions, keep one over a night, close the other: after each step the books are written."""
    matching = Matching(books.account(SPEC, BALANCE))
    last = tick(OPEN, 4_000)
    steps: list[Callable[[], Booking]] = [
        lambda: matching.tick(last),
        lambda: matching.request(enter(name="first")),
        lambda: matching.request(enter(-1, sl=40, name="second")),
        lambda: matching.request(amend(1, 3_960, 4_090.5)),
        lambda: matching.request(leave(2, 1_000)),
        lambda: matching.tick(tick(OPEN + DAY_MS, 4_045, rate_e8=25_000_000)),
        lambda: matching.request(enter(volume_cu=25, name="third")),
    ]
    for step in steps:
        booked = step()
        assert matching.last is not None
        books.save(matching.account, booked, place(matching.last))
    return matching


def survivor(path: Path, tmp_path: Path) -> Path:
    """A copy of the files as a killed process would leave them."""
    copy = tmp_path / "survivor"
    copy.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, copy)
    return copy / path.name


def test_a_killed_broker_comes_back_with_the_same_account_ids_market_and_costs(path: Path, tmp_path: Path) -> None:
    with opened(path) as books:
        matching = trade(books)
        deals, costs = books.deals(2), books.costs()
        left = survivor(path, tmp_path)
    assert (tmp_path / "survivor" / f"{path.name}-wal").stat().st_size > 0  # nothing was tidied up
    with opened(left) as books:
        account = books.account(SPEC, 1)
        assert account.snapshot() == matching.account.snapshot()
        assert account.positions == matching.account.positions
        assert list(account.positions) == [1, 3]
        assert (account.counters, account.balance_minor) == (matching.account.counters, matching.account.balance_minor)
        assert (books.last_tick(), books.feed_state()) == (matching.last, STANDS)
        assert (books.deals(2), books.costs()) == (deals, costs)
        assert [deal.volume_cu for deal in deals] == [2_500, 1_000, 1_500]
        assert min(costs) < 0
        again = Matching(account, (), books.last_tick())
        assert again.request(enter(name="next")) == matching.request(enter(name="next"))


def test_the_same_holds_for_a_process_that_was_really_killed(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    with opened(path) as books, opened(":memory:") as scratch:
        assert books.account(SPEC, 1).snapshot() == trade(scratch).account.snapshot()


def test_new_books_begin_with_the_balance_that_is_asked_for_and_keep_it(path: Path) -> None:
    with opened(path) as books:
        assert books.account(SPEC, 123_456).balance_minor == 123_456
        assert (books.last_tick(), books.feed_state(), books.deals(1), books.costs()) == (None, None, (), (0, 0))
    with opened(path) as books:
        assert books.account(SPEC, BALANCE).balance_minor == 123_456


def test_the_market_can_be_saved_alone(path: Path) -> None:
    with opened(path) as books:
        books.account(SPEC, BALANCE)
        for last in (tick(OPEN, 4_000, jump=True), tick(OPEN + MINUTE_MS, 4_001)):
            books.save_place(place(last)._replace(feed_state={"at": last.ts_ms}))
            assert (books.last_tick(), books.feed_state()) == (last, {"at": last.ts_ms})
            assert isinstance(getattr(books.last_tick(), "is_jump", None), bool)


def test_prices_are_kept_piece_by_piece_for_some_months() -> None:
    with opened(":memory:") as books:
        grown = Forming(OPEN, 0, 5, 9, 4, 7)
        books.save_place(place(tick(OPEN, 4_000)))
        books.save_place(place(tick(OPEN, 4_000))._replace(candle=grown))
        later = place(tick(OPEN + CANDLES_KEPT_MS, 4_001))
        books.save_place(later)
        assert books.candles() == (grown, later.candle)
        last = place(tick(OPEN + CANDLES_KEPT_MS + 1, 4_002))
        books.save_place(last)
        assert books.candles() == (later.candle, last.candle)


def test_a_change_before_the_first_tick_leaves_the_market_as_it_was() -> None:
    with opened(":memory:") as books:
        account = books.account(SPEC, BALANCE)
        books.save_place(place(tick(OPEN, 4_000)))
        books.save(account, Booking(), None)
        assert books.last_tick() == tick(OPEN, 4_000)


def test_orders_keep_their_last_state() -> None:
    with opened(":memory:") as books:
        trade(books)
        rows = books._database.execute(
            "SELECT order_id, kind, executed_cu, status, sl_px FROM orders ORDER BY order_id"
        )
        filled, accepted = STATUS[Execution.FILLED], STATUS[Execution.ACCEPTED]
        assert rows.fetchall() == [
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
        matching = trade(books)
        kept = Account(SPEC, 1, (), matching.account.counters)
        deal = matching.request(leave(1)).deals[0]
        twice = Booking((), (deal, deal))
        with pytest.raises(sqlite3.IntegrityError):
            books.save(kept, twice, None)
        again = books.account(SPEC, BALANCE)
        assert list(again.positions) == [1, 3]
        assert again.balance_minor != 1
        assert len(books.deals(1)) == 1
        books.save(matching.account, Booking((), (deal,)), None)  # and the next change can be
        assert len(books.deals(1)) == 2


def test_a_full_disk_is_a_halt_that_loses_nothing_and_passes() -> None:
    with opened(":memory:") as books:
        matching = trade(books)
        pages = books._database.execute("PRAGMA page_count").fetchone()[0]
        books._database.execute(f"PRAGMA max_page_count = {pages}")

        def grow() -> None:
            for _ in range(1_000):
                books.save(matching.account, matching.request(enter(volume_cu=25)), None)

        with pytest.raises(HaltError, match=r"BOOKS_UNWRITABLE.*SQLITE_FULL"):
            grow()
        assert list(books.account(SPEC, 0).positions)[:2] == [1, 3]
        books._database.execute("PRAGMA max_page_count = 100000")
        books.save(matching.account, Booking(), None)
        assert books.account(SPEC, 0).positions == matching.account.positions


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
def test_books_of_another_account_are_refused(path: Path, other: object) -> None:
    with opened(path) as books:
        books.account(SPEC, BALANCE)
        with pytest.raises(RefusedError, match="BOOKS_OF_ANOTHER_ACCOUNT"):
            books.account(other, BALANCE)  # type: ignore[arg-type]  # a specification


def test_one_process_at_a_time(path: Path) -> None:
    with opened(path) as books:
        books.account(SPEC, BALANCE)
        with pytest.raises(RefusedError, match="BOOKS_IN_USE"):
            Books(path)
    with opened(path) as books:
        assert books.account(SPEC, 1).balance_minor == BALANCE


def test_a_file_that_is_no_database_and_a_folder_that_is_not_there_have_an_error_each(path: Path) -> None:
    path.write_text("timestamp,open,high,low,close\n" * 100)
    with pytest.raises(DataError, match="BOOKS_UNREADABLE"):
        Books(path)
    with pytest.raises(HaltError, match=r"BOOKS_UNWRITABLE.*CANTOPEN"):
        Books(path.parent / "missing" / "exchange.sqlite")
