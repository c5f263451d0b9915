"""The exchange's own books in SQLite: what a broker still knows after the whole process was killed.

What was committed survives the death of the process; the death of the machine may cost the newest commits, but never
half of one (WAL, ``synchronous=NORMAL``). One process at a time: SQLite's own lock, which death releases.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final, NamedTuple

from palmbot.core.bars import Forming
from palmbot.core.types import Position
from palmbot.errors import DataError, HaltError, PalmbotError, RefusedError
from palmbot.exchange.account import ACCOUNT_ID, Account, Booking, Counters, Deal, Held
from palmbot.exchange.feed import FeedTick
from palmbot.instruments import InstrumentSpec
from palmbot.model import Close, Execution, Fill
from palmbot.units import DAY_MS

SCHEMA: Final = 1
CANDLES_KEPT_MS: Final = 120 * DAY_MS  # of the price history
# Order status as on the wire, by the event that brought it.
STATUS: Final = {
    Execution.ACCEPTED: 1,
    Execution.REPLACED: 1,
    Execution.FILLED: 2,
    Execution.REJECTED: 3,
    Execution.CANCELLED: 5,
}
_TABLES: Final = """
CREATE TABLE account (
    account_id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, currency TEXT NOT NULL, money_digits INTEGER NOT NULL,
    balance_minor INTEGER NOT NULL,
    last_order INTEGER NOT NULL, last_position INTEGER NOT NULL, last_deal INTEGER NOT NULL
) STRICT;
CREATE TABLE positions (
    position_id INTEGER PRIMARY KEY, protection_id INTEGER NOT NULL, label TEXT NOT NULL, side INTEGER NOT NULL,
    volume_cu INTEGER NOT NULL, entry_px INTEGER NOT NULL, sl_px INTEGER NOT NULL, tp_px INTEGER NOT NULL,
    entry_ms INTEGER NOT NULL, swap_minor INTEGER NOT NULL, commission_minor INTEGER NOT NULL,
    margin_minor INTEGER NOT NULL, spread_px INTEGER NOT NULL, slippage_px INTEGER NOT NULL,
    protected_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY, client_order_id TEXT NOT NULL, kind INTEGER NOT NULL, symbol TEXT NOT NULL,
    side INTEGER NOT NULL, volume_cu INTEGER NOT NULL, executed_cu INTEGER NOT NULL, position_id INTEGER NOT NULL,
    closing INTEGER NOT NULL, sl_px INTEGER, tp_px INTEGER, updated_ms INTEGER NOT NULL, status INTEGER NOT NULL
) STRICT;
CREATE TABLE deals (
    deal_id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, position_id INTEGER NOT NULL, side INTEGER NOT NULL,
    volume_cu INTEGER NOT NULL, price_px INTEGER NOT NULL, ts_ms INTEGER NOT NULL, commission_minor INTEGER NOT NULL,
    entry_px INTEGER, gross_minor INTEGER, swap_minor INTEGER, both_commissions_minor INTEGER, fee_minor INTEGER,
    closed_cu INTEGER, balance_minor INTEGER, rate_e8 INTEGER,
    spread_minor INTEGER NOT NULL, slippage_minor INTEGER NOT NULL
) STRICT;
CREATE INDEX deals_of_position ON deals (position_id);
CREATE TABLE market (
    id INTEGER PRIMARY KEY CHECK (id = 1), ts_ms INTEGER NOT NULL, bid_px INTEGER NOT NULL, ask_px INTEGER NOT NULL,
    is_jump INTEGER NOT NULL, bar_open_px INTEGER NOT NULL, rate_e8 INTEGER NOT NULL, feed TEXT NOT NULL
) STRICT;
CREATE TABLE candles (
    ts_ms INTEGER PRIMARY KEY, open_px INTEGER NOT NULL, high_px INTEGER NOT NULL, low_px INTEGER NOT NULL,
    close_px INTEGER NOT NULL
) STRICT;
"""
_INSERT_POSITION: Final = "INSERT INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REPLACE_ORDER: Final = "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_DEAL: Final = "INSERT INTO deals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REPLACE_MARKET: Final = "INSERT OR REPLACE INTO market VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_REPLACE_CANDLE: Final = "INSERT OR REPLACE INTO candles VALUES (?, ?, ?, ?, ?)"
_NOTHING_LOST: Final = "Every trade that was reported is in them; start again when that is done."
_ADVICE: Final = {
    "SQLITE_FULL": f"Free disk space where the exchange's books lie. {_NOTHING_LOST}",
    "SQLITE_READONLY": f"Make the exchange's books and their folder writable for this user. {_NOTHING_LOST}",
    "SQLITE_CANTOPEN": "Make sure that the folder of the exchange's books exists and is writable for this user.",
}
_ADVICE_ELSE: Final = f"Look at the disk of the exchange's books. {_NOTHING_LOST}"


class Place(NamedTuple):
    """Where the market is."""

    tick: FeedTick  # the last
    feed_state: dict[str, Any]  # where the feed stands after it
    candle: Forming  # prices since the feed was last at a boundary, or since the process began


class Books:
    """Everything that one simulated account needs to go on.

    Args:
        path: the database; ``":memory:"`` keeps it for the life of this object alone.

    Raises:
        RefusedError: ``BOOKS_IN_USE``, another process has them open; ``BOOKS_TOO_NEW``, a newer palmbot wrote them.
        DataError: ``BOOKS_UNREADABLE``, the file is no such database.
        HaltError: ``BOOKS_UNWRITABLE``, the disk refuses.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        with self._explained():
            self._database = sqlite3.connect(path, isolation_level=None, timeout=0.0)
        try:
            with self._explained():
                self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=NORMAL")
                self._upgrade()
        except PalmbotError:
            self._database.close()
            raise

    def close(self) -> None:
        """Release the database."""
        self._database.close()

    # -- reading

    def account(self, spec: InstrumentSpec, balance_minor: int) -> Account:
        """Return the account as it was left; where there is none, a new one of ``balance_minor``.

        Raises:
            RefusedError: ``BOOKS_OF_ANOTHER_ACCOUNT``, they are kept in another symbol or currency.
        """
        row = self._one("SELECT * FROM account WHERE account_id = ?", ACCOUNT_ID)
        asked = (spec.symbol, spec.deposit_currency, spec.core.money_digits)
        if row is None:
            with self._written():
                values = (ACCOUNT_ID, *asked, balance_minor, 0, 0, 0)
                self._database.execute("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return Account(spec, balance_minor)
        if row[1:4] != asked:
            raise RefusedError(
                "BOOKS_OF_ANOTHER_ACCOUNT",
                "Trade the symbol and currency that these books were begun with, or start with another data_dir.",
                books=self._path,
                kept=row[1:4],
                asked=asked,
            )
        rows = self._rows("SELECT * FROM positions ORDER BY position_id")
        return Account(spec, row[4], tuple(_held_of(each) for each in rows), Counters(*row[5:]))

    def last_tick(self) -> FeedTick | None:
        """Return the last tick of the market that was saved; None before the first."""
        row = self._one("SELECT ts_ms, bid_px, ask_px, is_jump, bar_open_px, rate_e8 FROM market")
        return None if row is None else FeedTick(*row)._replace(is_jump=bool(row[3]))

    def feed_state(self) -> dict[str, Any] | None:
        """Return where the feed stood after ``last_tick``; None before the first."""
        row = self._one("SELECT feed FROM market")
        return None if row is None else dict(json.loads(row[0]))

    def candles(self) -> tuple[Forming, ...]:
        """Return the prices of the last months piece by piece, oldest first; the last one may still grow."""
        rows = self._rows("SELECT ts_ms, 0, open_px, high_px, low_px, close_px FROM candles ORDER BY ts_ms")
        return tuple(Forming(*row) for row in rows)

    def deals(self, position_id: int) -> tuple[Fill, ...]:
        """Return all deals of a position, open or closed, oldest first."""
        rows = self._rows("SELECT * FROM deals WHERE position_id = ? ORDER BY deal_id", position_id)
        return tuple(_fill_of(row) for row in rows)

    def costs(self) -> tuple[int, int]:
        """Return spread and slippage paid over all closing deals, in minor units, both <= 0."""
        row = self._one("SELECT COALESCE(SUM(spread_minor), 0), COALESCE(SUM(slippage_minor), 0) FROM deals")
        return (0, 0) if row is None else (row[0], row[1])

    # -- writing

    def save(self, account: Account, booked: Booking, place: Place | None) -> None:
        """Commit what ``booked`` did to ``account``, and the market's place with it.

        Raises:
            HaltError: nothing of it was written.
        """
        at = account.counters
        with self._written():
            self._database.execute(
                "UPDATE account SET balance_minor = ?, last_order = ?, last_position = ?, last_deal = ?",
                (account.balance_minor, at.order, at.position, at.deal),
            )
            self._database.execute("DELETE FROM positions")
            held = [_row_of_held(each) for each in account.positions.values()]
            self._database.executemany(_INSERT_POSITION, held)
            told = [(event.order, STATUS[event.execution]) for event in booked.events if event.order is not None]
            self._database.executemany(_REPLACE_ORDER, [(*astuple(order), status) for order, status in told])
            self._database.executemany(_INSERT_DEAL, [_row_of_deal(each) for each in booked.deals])
            if place is not None:
                self._write(place)

    def save_place(self, place: Place) -> None:
        """Commit the market's place alone.

        Raises:
            HaltError: it was not written.
        """
        with self._written():
            self._write(place)

    def _write(self, place: Place) -> None:
        tick, candle = place.tick, place.candle
        self._database.execute(_REPLACE_MARKET, (1, *tick, json.dumps(place.feed_state)))
        self._database.execute(_REPLACE_CANDLE, (candle.ts_ms, *candle[2:]))
        self._database.execute("DELETE FROM candles WHERE ts_ms < ?", (tick.ts_ms - CANDLES_KEPT_MS,))

    # -- the database

    def _rows(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._database.execute(query, values).fetchall()

    def _one(self, query: str, *values: int) -> tuple[Any, ...] | None:
        return next(iter(self._rows(query, *values)), None)

    def _upgrade(self) -> None:
        """Make the tables of a new database.

        Raises:
            RefusedError: a newer palmbot made them.
        """
        found = self._database.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA:
            todo = "A newer palmbot wrote the exchange's books: run that version, or start with another data_dir."
            raise RefusedError("BOOKS_TOO_NEW", todo, books=self._path, schema=found, known=SCHEMA)
        if found == 0:
            self._database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Make one transaction of what happens inside."""
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # a full disk ends it by itself
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            facts = {"books": self._path, "reason": f"{name}: {error}"}
            if name.startswith("SQLITE_BUSY"):
                todo = "Stop the other palmbot that uses the exchange's books, or start with another data_dir."
                raise RefusedError("BOOKS_IN_USE", todo, **facts) from error
            if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                todo = "This file holds no exchange's books: move it away, or start with another data_dir."
                raise DataError("BOOKS_UNREADABLE", todo, **facts) from error
            if isinstance(error, sqlite3.OperationalError):
                todo = next((todo for prefix, todo in _ADVICE.items() if name.startswith(prefix)), _ADVICE_ELSE)
                raise HaltError("BOOKS_UNWRITABLE", todo, **facts) from error
            raise  # what was written is wrong, not the database: a bug


def _row_of_held(held: Held) -> tuple[object, ...]:
    core = held.core
    money = (core.swap_minor, core.commission_minor, held.margin_minor)
    levels = (core.side, core.volume_cu, core.entry_px, core.sl_px, core.tp_px, core.entry_ms)
    costs = (held.spread_px, held.slippage_px, held.protected_ms)
    return (held.position_id, held.protection_id, held.label, *levels, *money, *costs)


def _held_of(row: Sequence[Any]) -> Held:
    side, volume_cu, entry_px, sl_px, tp_px, entry_ms, swap_minor, commission_minor = row[3:11]
    margin_minor, spread_px, slippage_px, protected_ms = row[11:]
    return Held(
        position_id=row[0],
        protection_id=row[1],
        label=row[2],
        core=Position(
            side=side,
            volume_cu=volume_cu,
            entry_px=entry_px,
            sl_px=sl_px,
            tp_px=tp_px,
            entry_ms=entry_ms,
            swap_minor=swap_minor,
            commission_minor=commission_minor,
        ),
        margin_minor=margin_minor,
        spread_px=spread_px,
        slippage_px=slippage_px,
        protected_ms=protected_ms,
    )


def _row_of_deal(deal: Deal) -> tuple[object, ...]:
    fill, close = deal.fill, deal.fill.close
    opening = (fill.deal_id, fill.order_id, fill.position_id, fill.side, fill.volume_cu, fill.price_px, fill.ts_ms)
    closing = (None,) * 8 if close is None else astuple(close)
    return (*opening, fill.commission_minor, *closing, deal.spread_minor, deal.slippage_minor)


def _fill_of(row: Sequence[Any]) -> Fill:
    deal_id, order_id, position_id, side, volume_cu, price_px, ts_ms, commission_minor = row[:8]
    return Fill(
        deal_id=deal_id,
        order_id=order_id,
        position_id=position_id,
        side=side,
        volume_cu=volume_cu,
        price_px=price_px,
        ts_ms=ts_ms,
        commission_minor=commission_minor,
        close=None if row[8] is None else Close(*row[8:16]),
    )
