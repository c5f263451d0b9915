"""The append-only memory on a database: events are the truth, projections are written in the same transaction.

``append`` is durable when it returns. ``defer`` keeps what may be computed again after a crash for the next commit. A
failed write ends the journal for this process: nobody knows what state the disk is in, so every later call raises
until the journal is opened anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Engine, Table, delete, func, insert, make_url, select, text
from sqlalchemy.engine import Row
from sqlalchemy.exc import DatabaseError, IntegrityError

from palmbot.adapters import tables
from palmbot.adapters.database import WRITE_OPTION, engine_of, explained, is_memory, place_of, schema_of, upgrade
from palmbot.adapters.projections import Stored, project
from palmbot.adapters.tables import SCHEMA
from palmbot.adapters.writer import InlineWriter, ThreadWriter, Writer
from palmbot.errors import HaltError, InvariantError, PalmbotError, RefusedError, UsageError
from palmbot.model import JournalEvent, Refusal, Trade

_CHUNK = 1_000  # rows read at a time
_DIFFERENCES_MAX = 100

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_LAST_SEQ = select(func.max(tables.events.c.seq))


class EquityRow(NamedTuple):
    """Equity and balance at the close of one bar, and the lowest equity at any mark of it."""

    end_ms: int
    equity_minor: int
    equity_low_minor: int
    balance_minor: int


def write(connection: Connection, events: Sequence[JournalEvent]) -> int:
    """Append ``events`` and bring the projections up to date, inside the connection's transaction.

    Returns:
        The sequence number of the last event in the journal, 0 while there is none.

    Raises:
        TypeError, ValueError: a body is not plain JSON (NaN is not).
        KeyError: a body lacks a field of its kind.
        sqlalchemy.exc.DBAPIError: the database did not take them.
    """
    first = (connection.execute(_LAST_SEQ).scalar() or 0) + 1
    if not events:
        return first - 1
    stored = [Stored(seq, event) for seq, event in enumerate(events, first)]
    rows = [
        {"seq": seq, "ts_ms": event.ts_ms, "kind": event.kind, "body": _encode(event.body)} for seq, event in stored
    ]
    connection.execute(insert(tables.events), rows)
    project(connection, stored)
    return stored[-1].seq


def rebuild(connection: Connection) -> None:
    """Compute every projection again from the events, inside the connection's transaction."""
    for table in tables.PROJECTIONS:
        connection.execute(delete(table))
    for chunk in _chunks(connection):
        project(connection, chunk)


def verify(url: str) -> tuple[str, ...]:
    """Compare the projections of a journal with what its events say; change nothing.

    Returns:
        One sentence a difference, at most a hundred; empty when all is well.

    Raises:
        UsageError: there is no journal.
        RefusedError: its schema is of another palmbot.
        HaltError: it cannot be read.
    """
    _require_there(url)
    engine, expected = engine_of(url, read_only=True), engine_of("sqlite://")
    try:
        with explained("JOURNAL_UNREADABLE", engine), engine.connect() as stored, expected.connect() as again:
            _require_schema(stored)
            tables.metadata.create_all(again)
            found = [*_damage(stored), *_copy(stored, again)]
            for table in tables.PROJECTIONS:
                found += _differences(table, stored, again)
    finally:
        engine.dispose()
        expected.dispose()
    return tuple(found[:_DIFFERENCES_MAX])


class Journal:
    """The ``palmbot.ports.Journal`` on a database. Open it with ``Journal.open``."""

    def __init__(self, engine: Engine, connection: Connection, *, inline: bool, deferred_max: int) -> None:
        self._engine = engine
        self._connection = connection  # the writer's own
        self._failed: PalmbotError | None = None
        self._writer: Writer
        if inline:
            self._writer = InlineWriter(self._commit, deferred_max)
        else:
            self._writer = ThreadWriter(self._commit, deferred_max)

    @classmethod
    def open(cls, url: str, *, inline: bool = False, busy_ms: int = 5_000, deferred_max: int = 500) -> Self:
        """Open the journal at ``url``, made or migrated where needed.

        Args:
            url: SQLAlchemy's database URL; ``database.sqlite_url`` makes one of a path.
            inline: write in the caller's thread instead of a writer thread (virtual time; SQLite in memory).
            busy_ms: how long SQLite waits for another program's lock.
            deferred_max: so many deferred events are written without waiting for an append.

        Raises:
            HaltError: the journal cannot be opened or migrated.
            RefusedError: a newer palmbot wrote it.
        """
        if is_memory(url) and not inline:
            raise InvariantError("JOURNAL_IN_MEMORY", "A journal in memory is written inline.", url=url)
        engine = engine_of(url, busy_ms=busy_ms)
        try:
            with explained("JOURNAL_UNWRITABLE", engine):
                _make_folder(engine)
                with engine.connect() as reading:
                    current = schema_of(reading) == SCHEMA
                connection = engine.connect().execution_options(**{WRITE_OPTION: True})
                if not current:  # only then does opening need the write lock
                    with connection.begin():
                        upgrade(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, connection, inline=inline, deferred_max=deferred_max)

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Write ``events`` durably, after everything deferred; return the sequence number of the last.

        Raises:
            HaltError: ``JOURNAL_UNWRITABLE``; whether these events are in the journal is known when it is opened anew.
            InvariantError: an event is malformed, or a second intent of one client order id.
        """
        self._raise_failure()
        return await self._writer.append(events)

    def defer(self, events: Sequence[JournalEvent]) -> None:
        """Write ``events`` with the next append or flush, or by itself when many wait.

        Raises:
            HaltError: an earlier write failed.
        """
        self._raise_failure()
        self._writer.defer(events)

    async def flush(self) -> None:
        """Write everything deferred, durably."""
        await self.append(())

    def last(self, kind: str) -> JournalEvent | None:
        """Return the newest written event of ``kind``, or None."""
        seqs = tables.events.c.seq
        with self._reading() as connection:
            query = select(tables.events).where(tables.events.c.kind == kind).order_by(seqs.desc()).limit(1)
            row = connection.execute(query).first()
        return None if row is None else _event(row)

    def events(self, kind: str, after_seq: int = 0) -> Sequence[JournalEvent]:
        """Return the written events of ``kind`` in order, from after ``after_seq``."""
        with self._reading() as connection:
            return tuple(event for chunk in _chunks(connection, kind, after_seq) for _seq, event in chunk)

    def trades(self, run_id: str | None = None) -> tuple[Trade, ...]:
        """Return the closed positions of a run (None: of all), in the order they closed."""
        return tuple(Trade(**row) for row in self._rows(tables.trades, [field.name for field in fields(Trade)], run_id))

    def refusals(self, run_id: str | None = None) -> tuple[Refusal, ...]:
        """Return the refused signals of a run (None: of all), in order."""
        return tuple(
            Refusal(**row) for row in self._rows(tables.refusals, [field.name for field in fields(Refusal)], run_id)
        )

    def equity(self, run_id: str | None = None) -> tuple[EquityRow, ...]:
        """Return equity and balance bar by bar of a run (None: of all), in order."""
        return tuple(EquityRow(**row) for row in self._rows(tables.equity, EquityRow._fields, run_id))

    async def close(self) -> None:
        """Flush and release everything. A journal that has failed is released without a word.

        Raises:
            HaltError: what was deferred could not be written.
        """
        try:
            if self._failed is None:
                await self.flush()
        finally:
            self._writer.stop()
            if self._failed is None:
                self._failed = InvariantError("JOURNAL_CLOSED", "A closed journal is opened anew, not used.")
            self._connection.close()
            self._engine.dispose()

    def _commit(self, events: Sequence[JournalEvent]) -> int:
        self._raise_failure()
        try:
            with explained("JOURNAL_UNWRITABLE", self._engine), self._connection.begin():
                return write(self._connection, events)
        except HaltError as error:
            self._failed = error
            raise
        except Exception as error:
            todo = "This is a bug: report it with the journal. Open positions keep the stops they have."
            facts = {"journal": place_of(self._engine), "error": repr(error)}
            self._failed = InvariantError("JOURNAL_EVENT_MALFORMED", todo, **facts)
            raise self._failed from error

    def _raise_failure(self) -> None:
        failed = self._failed
        if failed is not None:
            raise type(failed)(failed.code, failed.todo, **failed.facts)  # anew: each caller has its own traceback

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained("JOURNAL_UNREADABLE", self._engine), self._engine.connect() as connection:
            yield connection

    def _rows(self, table: Table, names: Sequence[str], run_id: str | None) -> list[dict[str, Any]]:
        query = select(*(table.c[name] for name in names)).order_by(table.c.seq)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _event(row: Row[Any]) -> JournalEvent:
    return JournalEvent(row.kind, row.ts_ms, json.loads(row.body))


def _chunks(connection: Connection, kind: str | None = None, after_seq: int = 0) -> Iterator[list[Stored]]:
    """Yield the events in order, a bounded number at a time; None is every kind."""
    seqs = tables.events.c.seq
    query = select(tables.events).order_by(seqs).limit(_CHUNK)
    if kind is not None:
        query = query.where(tables.events.c.kind == kind)
    while rows := connection.execute(query.where(seqs > after_seq)).all():
        yield [Stored(row.seq, _event(row)) for row in rows]
        after_seq = rows[-1].seq


def _make_folder(engine: Engine) -> None:
    path = engine.url.database
    if engine.dialect.name == "sqlite" and path and not path.startswith(("file:", ":")):
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def _require_there(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise UsageError("JOURNAL_MISSING", "Name the folder of a bot that has run.", journal=parsed.database)


def _require_schema(connection: Connection) -> None:
    found = schema_of(connection)
    if found != SCHEMA:
        todo = "Run the palmbot that wrote this journal, or start the bot once so that it migrates an older one."
        raise RefusedError("JOURNAL_SCHEMA", todo, journal=place_of(connection.engine), schema=found, known=SCHEMA)


def _damage(stored: Connection) -> Iterator[str]:
    """Yield what SQLite itself finds wrong with the file."""
    if stored.engine.dialect.name != "sqlite":
        return
    try:
        for (line,) in stored.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                yield f"file: {line}"
    except DatabaseError as error:  # it gives up where the damage is bad; the rest may still be readable
        yield f"file: {error.orig}"


def _copy(stored: Connection, again: Connection) -> Iterator[str]:
    """Project the stored events into ``again``; yield what is wrong with the events themselves."""
    expected_seq = 1
    try:
        for chunk in _chunks(stored):
            rows = [{"seq": seq, "ts_ms": event.ts_ms, "kind": event.kind, "body": "{}"} for seq, event in chunk]
            again.execute(insert(tables.events), rows)
            project(again, chunk)
            for seq, _event in chunk:
                if seq != expected_seq:
                    yield f"events seq={expected_seq}: missing"
                expected_seq = seq + 1
    except (ValueError, KeyError, TypeError, IntegrityError) as error:
        yield f"events seq={expected_seq}..{expected_seq + _CHUNK - 1}: one is malformed, {error!r}"


def _differences(table: Table, stored: Connection, again: Connection) -> Iterator[str]:
    """Yield where the rows of a projection are not those that the events give."""
    key = next(iter(table.primary_key))
    there, due = (
        {row[key.name]: dict(row) for row in connection.execute(select(table).order_by(key)).mappings()}
        for connection in (stored, again)
    )
    for identity, row in due.items():
        name = f"{table.name} {key.name}={identity}"
        if identity not in there:
            yield f"{name}: missing"
            continue
        for column, value in row.items():
            if there[identity][column] != value:
                yield f"{name}: {column} is {there[identity][column]!r}, the events say {value!r}"
    yield from (f"{table.name} {key.name}={identity}: not in the events" for identity in there if identity not in due)
