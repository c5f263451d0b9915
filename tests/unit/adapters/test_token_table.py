from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.postgres import postgres
from tests.unit.adapters.test_token_vault import TOKENS

from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_table import TokenTable
from palmbot.errors import ConfigError, HaltError, InvariantError, RetryError
from palmbot.model import Renewal, Tokens


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with nothing in it."""
    monkeypatch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)
    with sql(server) as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS palmbot_tokens"))
    return server


def sql(url: str) -> sa.Connection:
    """Return a connection of somebody else."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def hang_up(url: str) -> None:
    """End every other connection, as a restart of the database would."""
    with sql(url) as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(sa.text(f"{others} AND backend_type = 'client backend'"))


def table(url: str) -> TokenTable:
    return TokenTable(url, "demo", TokenSeal("demo", GivenKey("key")))


def stored(url: str, tokens: Tokens = TOKENS) -> TokenTable:
    store = table(url)
    with store.locked():
        store.save(tokens)
    return store


def test_what_is_in_the_database_shows_nothing(url: str) -> None:
    stored(url)
    with sql(url) as connection:
        rows = connection.execute(sa.text("SELECT environment, sealed FROM palmbot_tokens")).all()
    assert [row.environment for row in rows] == ["demo"]
    assert not [word for word in (b"planted", b"1000001", b"trading") if word in bytes(rows[0].sealed)]


def test_nothing_is_changed_without_the_lock(url: str) -> None:
    store = stored(url)
    for work in (lambda: store.save(TOKENS), store.clear):
        with pytest.raises(InvariantError, match="TOKENS_NOT_LOCKED"):
            work()


def test_a_lost_connection_between_asking_and_writing_loses_no_pair(url: str) -> None:
    store = stored(url)
    with store.locked():
        assert store.load() == TOKENS
        store.save(replace(TOKENS, renewal=Renewal.ASKED))
        hang_up(url)
        store.save(replace(TOKENS, renewal=Renewal.DONE))
    assert table(url).load() == replace(TOKENS, renewal=Renewal.DONE)


def test_whoever_took_the_lock_after_a_lost_connection_wins(url: str) -> None:
    store, other = stored(url), table(url)
    with store.locked():
        assert store.load() == TOKENS
        hang_up(url)
        with other.locked():
            other.load()
            other.save(replace(TOKENS, account_id=9))
        with pytest.raises(RetryError, match="TOKENS_BUSY"):
            store.save(replace(TOKENS, account_id=8))
    assert table(url).load() == replace(TOKENS, account_id=9)


def test_two_that_come_first_at_once_make_one_table(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: table(url)._make_table(), range(20)))
    assert table(url).load() is None


def test_a_write_whose_answer_was_lost_is_made_once_more(url: str) -> None:
    store = stored(url)
    with store.locked():
        store.load()
        with sql(url) as connection:  # what the first attempt did before its connection ended
            sealed = store._seal.seal(replace(TOKENS, account_id=9))
            connection.execute(sa.text("UPDATE palmbot_tokens SET sealed = :sealed"), {"sealed": sealed})
            assert store._write(connection, sealed)


def test_a_database_that_is_gone_is_named_without_its_password(url: str) -> None:
    gone = url.replace("host=", "host=/nowhere")
    for work in (table(gone).load, table(gone).locked().__enter__):
        with pytest.raises(RetryError, match="DATABASE_UNREACHABLE") as unreachable:
            work()
        assert "planted" not in str(unreachable.value)


def test_a_pair_that_cannot_be_written_is_said_to_be_lost(url: str) -> None:
    store = stored(url)
    with store.locked():
        store.load()
        with sql(url) as connection:
            connection.execute(sa.text("DROP TABLE palmbot_tokens"))
        with pytest.raises(HaltError, match="TOKENS_UNWRITTEN") as unwritten:
            store.save(TOKENS)
    assert "planted" not in str(unwritten.value)
    assert "log in again" in unwritten.value.todo


@pytest.mark.parametrize("bad", ["postgresql://planted@h:port/d", "planted nonsense"])
def test_a_wrong_address_is_refused_and_not_shown(bad: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL_WRONG") as wrong:
        table(bad)
    assert "planted" not in str(wrong.value)
