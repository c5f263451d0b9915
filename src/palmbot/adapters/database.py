"""Opening the journal's database: the engine, its durability settings, its schema, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    StaticPool,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import ConnectionPoolEntry

from palmbot.adapters.tables import SCHEMA, metadata
from palmbot.errors import HaltError, RefusedError

WRITE_OPTION: Final = "palmbot_write"  # execution option of a connection whose transactions write

_VERSION: Final = Table(  # Alembic's own
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_NOTHING_LOST = "Everything acknowledged is in it; trade again only after a restart."
_ADVICE: Final = {
    "SQLITE_FULL": f"Free disk space where the journal lies. {_NOTHING_LOST}",
    "SQLITE_READONLY": f"Make the journal and its folder writable for this user. {_NOTHING_LOST}",
    "SQLITE_BUSY": f"Stop the other program that holds the journal's database. {_NOTHING_LOST}",
    "SQLITE_IOERR": f"Look at the disk: its space, quota and health. {_NOTHING_LOST}",
    "SQLITE_CANTOPEN": "Make sure that the journal's folder exists and is writable for this user.",
    "SQLITE_CORRUPT": "Keep the damaged file, restore the newest backup, then compare with the broker.",
    "SQLITE_NOTADB": "This file is not a journal: name another one, or restore the newest backup.",
}
_ADVICE_ELSE: Final = f"Look at the database and its disk. {_NOTHING_LOST}"


def sqlite_url(path: Path) -> str:
    """Return the URL of the SQLite journal at ``path``."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def is_memory(url: str) -> bool:
    """Return whether ``url`` is SQLite in memory, which one connection alone can see."""
    parsed = make_url(url)
    return parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:")


def engine_of(url: str, *, busy_ms: int = 5_000, read_only: bool = False) -> Engine:
    """Return an engine with the journal's durability settings.

    Args:
        url: SQLAlchemy's database URL.
        busy_ms: how long SQLite waits for another program's lock.
        read_only: SQLite refuses to write.
    """
    engine = create_engine(url, poolclass=StaticPool) if is_memory(url) else create_engine(url)
    if engine.dialect.name == "sqlite":
        _use_sqlite(engine, busy_ms, read_only=read_only)
    return engine


def _use_sqlite(engine: Engine, busy_ms: int, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # the driver's own BEGIN comes late and spares DDL; ours is below
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={busy_ms:d}")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")  # after the mode: a commit is on the disk when it returns
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once, while waiting for it is still possible
        write = connection.get_execution_options().get(WRITE_OPTION)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def schema_of(connection: Connection) -> str | None:
    """Return the schema version of a database, None while it has none."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def upgrade(connection: Connection) -> None:
    """Bring the schema to ``SCHEMA`` inside the connection's transaction: made, migrated or left as it is.

    Raises:
        RefusedError: a newer palmbot wrote this database.
    """
    version = schema_of(connection)
    if version == SCHEMA:
        return
    if version is not None and version > SCHEMA:
        todo = "A newer palmbot wrote this journal: run that version, or start with another data_dir."
        facts = {"journal": place_of(connection.engine), "schema": version, "known": SCHEMA}
        raise RefusedError("JOURNAL_TOO_NEW", todo, **facts)
    if version is None:
        metadata.create_all(connection)
        _VERSION.create(connection)
        connection.execute(insert(_VERSION), {"version_num": SCHEMA})
    else:
        migrate(connection)


def migrate(connection: Connection) -> None:
    """Take the schema through every migration that it lacks, inside the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - heavy, and a database that is new or current does without
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "palmbot.adapters:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def place_of(engine: Engine) -> str:
    """Return where the database is, without its password."""
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def explained(code: str, engine: Engine) -> Iterator[None]:
    """Turn the database's errors into ``HaltError`` with ``code``, the reason and what to do.

    Raises:
        HaltError: with ``code``.
        sqlalchemy.exc.DBAPIError: the rows were wrong, not the database: a bug.
    """
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise  # what was asked is wrong, not the database
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        name = getattr(cause, "sqlite_errorname", type(cause).__name__)
        todo = next((todo for prefix, todo in _ADVICE.items() if name.startswith(prefix)), _ADVICE_ELSE)
        raise HaltError(code, todo, journal=place_of(engine), reason=f"{name}: {cause}") from error
