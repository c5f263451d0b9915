"""Tokens in a PostgreSQL database, for machines that share one: an encrypted row for each environment.

The lock is the database's, and ends with the connection. A connection can end while the token server is answering, and
the new pair must still be written. So nothing is overwritten but what was seen under the lock: whoever took it
meanwhile and changed the row wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    delete,
    func,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from palmbot.adapters.token_seal import TokenSeal
from palmbot.errors import ConfigError, HaltError, InvariantError, RetryError
from palmbot.model import Tokens

CONNECT_S: Final = 10
_TABLE: Final = Table(
    "palmbot_tokens", MetaData(), Column("environment", Text, primary_key=True), Column("sealed", LargeBinary)
)
_NAMESPACE: Final = 0x70616C6D  # of the advisory locks: "palm"


class TokenTable:
    """The ``palmbot.ports.TokenStore`` of several machines.

    Args:
        url: of the database; its password is never shown.
        environment: whose tokens.
        seal: of that environment.

    Raises:
        ConfigError: ``DATABASE_URL_WRONG``, or ``POSTGRESQL_DRIVER_MISSING``.
    """

    def __init__(self, url: str, environment: str, seal: TokenSeal) -> None:
        self._engine = _engine(url)
        self._environment = environment
        self._seal = seal
        self._held: Connection | None = None
        self._seen: bytes | None = None  # under the lock; None: whatever is there may be replaced

    def load(self) -> Tokens | None:
        """Return the newest tokens, or None.

        Raises:
            ConfigError: ``TOKENS_UNREADABLE`` or ``TOKEN_KEY_MISSING``.
            RetryError: ``DATABASE_UNREACHABLE``.
        """
        with self._reached():
            if self._held is None:
                with self._engine.connect() as connection:
                    sealed = self._read(connection)
            else:
                sealed = self._seen = self._read(self._held)
        return None if sealed is None else self._seal.open(sealed)

    def save(self, tokens: Tokens) -> None:
        """Replace the tokens; they are committed when this returns.

        Raises:
            RetryError: ``TOKENS_BUSY``, another process has changed them since they were read.
            HaltError: ``TOKENS_UNWRITTEN``, the database cannot be reached, or refuses.
        """
        sealed = self._seal.seal(tokens)
        try:
            try:
                is_written = self._write(self._under_lock(), sealed)
            except OperationalError:  # the connection is gone, and the lock with it
                with self._engine.connect() as again:
                    is_written = self._write(again, sealed)
        except DBAPIError as error:
            todo = "Look at the database. If a renewal was under way, its new tokens are lost: log in again."
            raise HaltError("TOKENS_UNWRITTEN", todo, database=self._place(), reason=_reason(error)) from None
        if not is_written:
            raise self._busy()
        self._seen = sealed

    def clear(self) -> bool:
        """Remove the tokens and return whether there were any.

        Raises:
            RetryError: ``DATABASE_UNREACHABLE``.
        """
        with self._reached():
            done = self._under_lock().execute(delete(_TABLE).where(_TABLE.c.environment == self._environment))
        return done.rowcount > 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, which the end of the connection releases too.

        Raises:
            RetryError: ``TOKENS_BUSY``, or ``DATABASE_UNREACHABLE``.
        """
        with self._reached():
            self._make_table()
            connection = self._engine.connect()
        try:
            with self._reached():
                lock = func.pg_try_advisory_lock(_NAMESPACE, func.hashtext(self._environment))
                if not connection.scalar(select(lock)):
                    raise self._busy()
            self._held, self._seen = connection, None
            yield
        finally:
            self._held = None
            connection.close()  # nobody else is given it: its end is the end of the lock

    def _make_table(self) -> None:
        with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_NAMESPACE, 0)))  # two at once would collide
            _TABLE.create(connection, checkfirst=True)

    def _read(self, connection: Connection) -> bytes | None:
        if not inspect(connection).has_table(_TABLE.name):
            return None
        return connection.scalar(select(_TABLE.c.sealed).where(_TABLE.c.environment == self._environment))

    def _write(self, connection: Connection, sealed: bytes) -> bool:
        """Write the row if it is still as it was seen, and return whether it was."""
        if self._seen is None:
            new = insert(_TABLE).values(environment=self._environment, sealed=sealed)
            connection.execute(new.on_conflict_do_update(index_elements=["environment"], set_={"sealed": sealed}))
            return True
        # or as it is to be: a write whose answer was lost is made once more
        as_seen = _TABLE.c.sealed.in_([self._seen, sealed])
        row = (_TABLE.c.environment == self._environment) & as_seen
        return connection.execute(update(_TABLE).where(row).values(sealed=sealed)).rowcount == 1

    def _under_lock(self) -> Connection:
        if self._held is None:
            raise InvariantError("TOKENS_NOT_LOCKED", "Take the lock before tokens are changed.")
        return self._held

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            todo = "Look at DATABASE_URL and the database; nothing has been changed."
            raise RetryError("DATABASE_UNREACHABLE", todo, database=self._place(), reason=_reason(error)) from None

    def _busy(self) -> RetryError:
        todo = "Another process is just changing these tokens: try again in a minute."
        return RetryError("TOKENS_BUSY", todo, environment=self._environment)

    def _place(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)


def _engine(url: str) -> Engine:
    """Return an engine that commits every statement and keeps no connection open."""
    try:
        named = make_url(url).set(drivername="postgresql+psycopg")
        return create_engine(
            named,
            poolclass=NullPool,
            pool_reset_on_return=None,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": CONNECT_S},
        )
    except (ArgumentError, ValueError):
        raise ConfigError("DATABASE_URL_WRONG", "Write it as postgresql://user:password@host/name.") from None
    except ModuleNotFoundError as error:
        todo = "Install palmbot with its extra for PostgreSQL (palm-oil-bot[postgres]), or unset DATABASE_URL."
        raise ConfigError("POSTGRESQL_DRIVER_MISSING", todo, module=error.name) from None


def _reason(error: DBAPIError) -> str:
    """Return the database's first line; it names hosts and users and no password."""
    return repr(str(error.orig).partition("\n")[0])
