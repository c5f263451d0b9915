"""The exchange's own books in SQLite: what a broker still knows after the whole process was killed.

What was committed survives the death of the process; the death of the machine may cost the newest commits, but never
half of one (WAL, ``synchronous=NORMAL``). One process at a time: SQLite's own lock, which death releases. Only what
changed is written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from palmbot.errors import DataError, HaltError, PalmbotError, RefusedError
from palmbot.exchange import tables
from palmbot.exchange.changes import Changes, Counters, Kept, Mark, Standing
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.history import History
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.prices import Candle
from palmbot.exchange.terms import DEFAULT_MARGIN_CALLS
from palmbot.exchange.working import Working
from palmbot.units import DAY_MS

CANDLES_KEPT_MS: Final = 120 * DAY_MS  # of the price history
_NOTHING_LOST: Final = "Every trade that was reported is in them; start again when that is done."
_ADVICE: Final = {
    "SQLITE_FULL": f"Free disk space where the exchange's books lie. {_NOTHING_LOST}",
    "SQLITE_READONLY": f"Make the exchange's books and their folder writable for this user. {_NOTHING_LOST}",
    "SQLITE_CANTOPEN": "Make sure that the folder of the exchange's books exists and is writable for this user.",
}
_ADVICE_ELSE: Final = f"Look at the disk of the exchange's books. {_NOTHING_LOST}"
_UPDATE_MARK: Final = "UPDATE exchange SET now_ms = ?, last_order = ?, last_position = ?, last_deal = ?, last_cash = ?"


class Place(NamedTuple):
    """Where the market is."""

    ticks: Mapping[int, FeedTick]  # the last of each symbol that moved since it was last saved
    feed_state: dict[str, Any]  # where the feed stands after them
    candles: Mapping[tuple[int, int], Candle]  # M1 candles that changed, by symbol and time


class Books:
    """Everything that one simulated exchange needs to go on.

    Args:
        path: the database; ``":memory:"`` keeps it for the life of this object alone.

    Raises:
        RefusedError: ``BOOKS_IN_USE``, another process has them open; ``BOOKS_TOO_NEW`` or ``BOOKS_TOO_OLD``, another
            palmbot wrote them.
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
                self._begin()
        except PalmbotError:
            self._database.close()
            raise
        self.history = History(self._rows)

    def close(self) -> None:
        """Release the database."""
        self._database.close()

    # -- reading

    def kept(self, catalogue: Catalogue, openings: Sequence[Standing]) -> Kept:
        """Return all that a venue goes on from. An account that is not there yet is opened as ``openings`` say.

        Raises:
            RefusedError: ``BOOKS_OF_ANOTHER_ACCOUNT``, they are kept for another symbol or in another currency.
        """
        mark = self._mark(catalogue)
        standings = {row[0]: tables.standing_of(row) for row in self._rows("SELECT * FROM accounts")}
        new = [each for each in openings if each.terms.account_id not in standings]
        if new:
            new = [each if each.margin_calls else replace(each, margin_calls=DEFAULT_MARGIN_CALLS) for each in new]
            with self._written():
                self._database.executemany(tables.REPLACE_ACCOUNT, map(tables.row_of_standing, new))
            standings |= {each.terms.account_id: each for each in new}
        return Kept(
            standings=tuple(standings[number] for number in sorted(standings)),
            positions=tuple(map(tables.HELD.value, self._rows("SELECT * FROM positions ORDER BY position_id"))),
            working=self._working(),
            tasks=tuple(map(tables.TASK.value, self._rows("SELECT * FROM tasks ORDER BY seq"))),
            counters=mark.counters,
            now_ms=mark.now_ms,
            ticks=tuple(
                (row[0], tables.TICK.value(row[1:])) for row in self._rows("SELECT * FROM ticks ORDER BY symbol_id")
            ),
        )

    def _mark(self, catalogue: Catalogue) -> Mark:
        spec = catalogue.traded.spec
        asked = (spec.symbol, spec.deposit_currency, spec.core.money_digits)
        row = self._one("SELECT * FROM exchange")
        if row is None:
            with self._written():
                self._database.execute("INSERT INTO exchange VALUES (1, ?, ?, ?, 0, 0, 0, 0, 0)", asked)
            return Mark(0, Counters())
        if row[1:4] != asked:
            raise RefusedError(
                "BOOKS_OF_ANOTHER_ACCOUNT",
                "Trade the symbol and currency that these books were begun with, or start with another data_dir.",
                books=self._path,
                kept=row[1:4],
                asked=asked,
            )
        return Mark(row[4], Counters(*row[5:]))

    def _working(self) -> tuple[Working, ...]:
        query = "SELECT orders.*, working.* FROM working JOIN orders USING (order_id) ORDER BY order_id"
        width = len(tables.ORDER.names)
        found = []
        for row in self._rows(query):
            blank = Working(tables.ORDER.value(row[:width]))
            found.append(replace(blank, **tables.WORKING.found(row[width + 1 :])))
        return tuple(found)

    def tick(self, symbol_id: int) -> FeedTick | None:
        """Return the last tick of a symbol that was saved; None before the first."""
        row = self._one("SELECT * FROM ticks WHERE symbol_id = ?", symbol_id)
        return None if row is None else tables.TICK.value(row[1:])

    def feed_state(self) -> dict[str, Any] | None:
        """Return where the feed stood after the last tick that was saved; None before the first."""
        row = self._one("SELECT state FROM feed")
        return None if row is None else dict(json.loads(row[0]))

    def candles(self, symbol_id: int) -> list[Candle]:
        """Return the M1 candles of the last months, oldest first; the last one may still grow."""
        rows = self._rows("SELECT * FROM candles WHERE symbol_id = ? ORDER BY ts_ms", symbol_id)
        return [Candle(*row[1:]) for row in rows]

    def costs(self) -> tuple[int, int]:
        """Return spread and slippage paid over all closing deals, in minor units, both <= 0."""
        row = self._one("SELECT COALESCE(SUM(spread_minor), 0), COALESCE(SUM(slippage_minor), 0) FROM deals")
        return (0, 0) if row is None else (row[0], row[1])

    # -- writing

    def save(self, changes: Changes, mark: Mark, place: Place | None) -> None:
        """Commit what changed, and the market's place with it.

        Raises:
            HaltError: nothing of it was written.
        """
        with self._written():
            self._database.execute(_UPDATE_MARK, (mark.now_ms, *mark.counters))
            self._write_changes(changes)
            if place is not None:
                self._write_place(place)

    def _write_changes(self, changes: Changes) -> None:
        many = self._database.executemany
        if changes.standings:
            many(tables.REPLACE_ACCOUNT, map(tables.row_of_standing, changes.standings.values()))
        if changes.positions:
            held = [each for each in changes.positions.values() if each is not None]
            many(tables.REPLACE_POSITION, map(tables.HELD.row, held))
            many("DELETE FROM positions WHERE position_id = ?", _gone(changes.positions))
        if changes.orders:
            many(tables.REPLACE_ORDER, map(tables.ORDER.row, changes.orders.values()))
        if changes.working:
            working = [each for each in changes.working.values() if each is not None]
            many(tables.REPLACE_WORKING, map(tables.row_of_working, working))
            many("DELETE FROM working WHERE order_id = ?", _gone(changes.working))
        if changes.tasks:
            many("DELETE FROM tasks WHERE work = ? AND subject_id = ?", list(changes.tasks))
            many(tables.REPLACE_TASK, [tables.TASK.row(task) for task in changes.tasks.values() if task is not None])
        if changes.deals:
            many(tables.INSERT_DEAL, map(tables.row_of_deal, changes.deals))
        if changes.cash:
            many(tables.INSERT_CASH, map(tables.CASH.row, changes.cash))

    def _write_place(self, place: Place) -> None:
        many = self._database.executemany
        many(tables.REPLACE_TICK, [(number, *tables.TICK.row(tick)) for number, tick in place.ticks.items()])
        many(tables.REPLACE_CANDLE, [(symbol_id, *candle) for (symbol_id, _), candle in place.candles.items()])
        self._database.execute("INSERT OR REPLACE INTO feed VALUES (1, ?)", (json.dumps(place.feed_state),))
        for symbol_id, tick in place.ticks.items():
            oldest_ms = tick.ts_ms - CANDLES_KEPT_MS
            self._database.execute("DELETE FROM candles WHERE symbol_id = ? AND ts_ms < ?", (symbol_id, oldest_ms))

    # -- the database

    def _rows(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._database.execute(query, values).fetchall()

    def _one(self, query: str, *values: int) -> tuple[Any, ...] | None:
        return next(iter(self._rows(query, *values)), None)

    def _begin(self) -> None:
        """Make the tables of a new database.

        Raises:
            RefusedError: another palmbot made them.
        """
        found = self._database.execute("PRAGMA user_version").fetchone()[0]
        known = tables.SCHEMA
        if found > known:
            todo = "A newer palmbot wrote the exchange's books: run that version, or start with another data_dir."
            raise RefusedError("BOOKS_TOO_NEW", todo, books=self._path, schema=found, known=known)
        if 0 < found < known:
            todo = "An older palmbot wrote the exchange's books: run that version, or start with another data_dir."
            raise RefusedError("BOOKS_TOO_OLD", todo, books=self._path, schema=found, known=known)
        if found == 0:
            self._database.executescript(f"BEGIN IMMEDIATE; {tables.CREATE} PRAGMA user_version = {known}; COMMIT;")

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


def _gone(by_id: Mapping[int, object | None]) -> list[tuple[int]]:
    return [(number,) for number, value in by_id.items() if value is None]
