"""What every journal promises, whoever writes it and wherever it lies."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import OperationalError
from tests.contract.journal_stories import (
    bar_closed,
    breaker,
    note,
    refusal,
    run_started,
    simple,
)

from palmbot.adapters import migrations, tables
from palmbot.adapters.database import WRITE_OPTION, engine_of, migrate, schema_of, sqlite_url, upgrade
from palmbot.adapters.journal import Journal, rebuild, verify, write
from palmbot.errors import InvariantError, RefusedError, UsageError
from palmbot.model import JournalEvent
from palmbot.ports import Journal as JournalPort

WHERE = ("writer thread", "inline", "in memory")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "data" / "journal.sqlite")


@pytest.fixture(params=WHERE)
async def journal(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Journal]:
    opened = Journal.open("sqlite://" if request.param == "in memory" else url, inline=request.param != "writer thread")
    yield opened
    await opened.close()


def test_the_journal_is_what_the_port_asks_for(url: str) -> None:
    journal = Journal.open(url, inline=True)
    port: JournalPort = journal  # mypy compares the signatures
    assert port.last("note") is None


async def test_an_append_returns_the_number_of_its_last_event(journal: Journal) -> None:
    assert await journal.append([note(1)]) == 1
    assert await journal.append([note(2), note(3)]) == 3
    assert await journal.append([]) == 3


async def test_appends_at_the_same_time_each_get_their_own_numbers(journal: Journal) -> None:
    sizes = [1, 3, 2, 5, 1]
    seqs = await asyncio.gather(*(journal.append([note(size)] * size) for size in sizes))
    assert sorted(seqs) == [1, 4, 6, 11, 12]
    for size, seq in zip(sizes, seqs, strict=True):
        own = journal.events("note", after_seq=seq - size)[:size]
        assert [event.body["number"] for event in own] == [size] * size


async def test_the_newest_event_of_a_kind_and_all_after_a_number_can_be_read(journal: Journal) -> None:
    assert journal.last("note") is None
    await journal.append([note(1), refusal(5, 1, 30), note(2), note(3)])
    assert journal.last("note") == note(3)
    assert journal.last("refusal") == refusal(5, 1, 30)
    assert journal.events("note") == (note(1), note(2), note(3))
    assert journal.events("note", after_seq=1) == (note(2), note(3))


async def test_what_was_deferred_is_written_before_what_is_appended_after_it(journal: Journal) -> None:
    journal.defer([note(1)])
    journal.defer([note(2), note(3)])
    assert await journal.append([note(4)]) == 4
    assert [event.body["number"] for event in journal.events("note")] == [1, 2, 3, 4]


async def test_a_flush_writes_what_was_deferred(journal: Journal) -> None:
    journal.defer([note(1)])
    assert journal.last("note") is None
    await journal.flush()
    assert journal.last("note") == note(1)


@pytest.mark.parametrize("inline", [False, True])
async def test_closing_writes_what_was_deferred(url: str, *, inline: bool) -> None:
    journal = Journal.open(url, inline=inline)
    journal.defer([note(1)])
    await journal.close()
    again = Journal.open(url)
    assert again.last("note") == note(1)
    await again.close()


async def test_many_deferred_events_are_written_without_an_append(url: str) -> None:
    journal = Journal.open(url, inline=True, deferred_max=3)
    journal.defer([note(1), note(2)])
    assert journal.last("note") is None
    journal.defer([note(3)])
    assert journal.last("note") == note(3)
    await journal.close()


async def test_a_closed_journal_takes_nothing_and_closes_again_without_harm(journal: Journal) -> None:
    await journal.close()
    with pytest.raises(InvariantError, match="JOURNAL_CLOSED"):
        await journal.append([note(1)])
    with pytest.raises(InvariantError, match="JOURNAL_CLOSED"):
        journal.defer([note(1)])


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_a_body_comes_back_bit_for_bit() -> None:
    journal = Journal.open("sqlite://", inline=True)

    @settings(max_examples=50, deadline=None)
    @given(st.dictionaries(st.text(), BODIES, max_size=6))
    def comes_back(body: dict[str, Any]) -> None:
        asyncio.run(journal.append([JournalEvent("state", 5, body)]))
        newest = journal.last("state")
        assert repr(newest) == repr(JournalEvent("state", 5, body))  # repr tells -0.0 from 0.0

    comes_back()


async def test_more_events_than_one_read_takes_come_back_in_order(journal: Journal) -> None:
    await journal.append([note(number) for number in range(2_500)])
    assert [event.body["number"] for event in journal.events("note")] == list(range(2_500))


async def test_a_second_intent_of_one_client_order_id_is_refused_before_it_could_be_sent(journal: Journal) -> None:
    intent = simple(7).events()[0]
    await journal.append([intent])
    with pytest.raises(InvariantError, match="JOURNAL_EVENT_MALFORMED"):
        await journal.append([note(1), intent])
    assert journal.last("note") is None  # the whole batch is undone
    with pytest.raises(InvariantError, match="JOURNAL_EVENT_MALFORMED"):
        await journal.append([note(2)])


@pytest.mark.parametrize("body", [{"rsi": math.nan}, {"rsi": object()}], ids=["not a number", "not JSON"])
async def test_a_body_that_is_not_plain_json_is_a_bug_that_stops_the_journal(
    journal: Journal, body: dict[str, Any]
) -> None:
    with pytest.raises(InvariantError, match="JOURNAL_EVENT_MALFORMED"):
        await journal.append([JournalEvent("note", 1, body)])
    assert journal.last("note") is None


async def test_an_event_that_lacks_a_field_names_it(journal: Journal) -> None:
    with pytest.raises(InvariantError, match="KeyError\\('reason'\\)"):
        await journal.append([JournalEvent("refusal", 1, {"bar_end_ms": 1, "side": 1})])


async def _filled(url: str) -> None:
    journal = Journal.open(url)
    told = [simple(7), simple(8, pnl_minor=-40, start_ms=5_000)]
    await journal.append([run_started("a"), bar_closed(100), refusal(100, 1, 30), breaker(5, 3)])
    for story in told:
        await journal.append(story.events())
    await journal.close()


async def test_a_sound_journal_verifies_without_a_difference(url: str) -> None:
    await _filled(url)
    assert verify(url) == ()


async def test_verify_tells_what_was_changed_removed_or_added_in_a_projection(url: str) -> None:
    await _filled(url)
    engine = engine_of(url)
    with engine.connect().execution_options(**{WRITE_OPTION: True}) as connection, connection.begin():
        connection.execute(update(tables.trades).where(tables.trades.c.position_id == 7).values(pnl_minor=999))
        connection.execute(delete(tables.equity))
        row = {"seq": 1, "run_id": "a", "bar_end_ms": 1, "side": 1, "reason": 1}
        connection.execute(insert(tables.refusals), row)
    assert verify(url) == (
        "equity seq=2: missing",
        "refusals seq=1: not in the events",
        "trades position_id=7: pnl_minor is 999, the events say 100",
    )
    with engine.connect().execution_options(**{WRITE_OPTION: True}) as connection, connection.begin():
        rebuild(connection)
    engine.dispose()
    assert verify(url) == ()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM events WHERE seq = 2", "events seq=2: missing"),
        ("UPDATE events SET body = '{' WHERE seq = 3", "events seq=1..1000: one is malformed"),
        ("UPDATE events SET body = '{}' WHERE seq = 3", "events seq=1..1000: one is malformed, KeyError('bar_end_ms')"),
    ],
)
async def test_verify_tells_when_the_events_themselves_were_tampered_with(url: str, statement: str, found: str) -> None:
    await _filled(url)
    engine = engine_of(url)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        connection.execute(text("DELETE FROM equity"))
        connection.execute(text("DELETE FROM decisions"))
        for verb in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER events_no_{verb}"))
        connection.execute(text(statement))
    engine.dispose()
    assert any(difference.startswith(found) for difference in verify(url))


@pytest.mark.parametrize("statement", ["UPDATE events SET ts_ms = 0", "DELETE FROM events"])
async def test_the_database_itself_refuses_to_change_an_event(url: str, statement: str) -> None:
    await _filled(url)
    engine = engine_of(url)
    with engine.connect() as connection, pytest.raises(Exception, match="events are append-only"):
        connection.execute(text(statement))
    engine.dispose()
    assert verify(url) == ()


async def test_verifying_may_not_write(url: str) -> None:
    await _filled(url)
    engine = engine_of(url, read_only=True)
    with engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(delete(tables.trades))
    engine.dispose()


def test_verify_makes_no_journal_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="JOURNAL_MISSING"):
        verify(sqlite_url(tmp_path / "journal.sqlite"))
    assert list(tmp_path.iterdir()) == []


async def test_a_journal_of_a_newer_palmbot_is_refused_and_left_alone(url: str) -> None:
    await _filled(url)
    engine = engine_of(url)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(RefusedError, match="JOURNAL_TOO_NEW"):
        Journal.open(url)
    with pytest.raises(RefusedError, match="JOURNAL_SCHEMA"):
        verify(url)


def _made(make: Callable[[Connection], None]) -> set[tuple[str, ...]]:
    """Return everything that ``make`` makes of an empty database, as SQLite describes it."""
    with engine_of("sqlite://").connect() as connection:
        make(connection)
        assert schema_of(connection) == tables.SCHEMA
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        rows = connection.execute(text("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master")).all()
    return {(*row[:3], " ".join(row[3].split())) for row in rows}


def test_the_migrations_make_exactly_what_a_new_journal_is_made_with() -> None:
    assert _made(migrate) == _made(upgrade)
    (folder,) = migrations.__path__
    assert ScriptDirectory(folder).get_current_head() == tables.SCHEMA


def test_a_new_and_a_current_journal_open_without_alembic(url: str) -> None:
    script = (
        "import sys; from palmbot.adapters.journal import Journal; "
        "[Journal.open(sys.argv[1], inline=True) for _ in range(2)]; assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, url], check=True)


async def test_the_database_waits_for_the_disk_at_every_commit(url: str) -> None:
    journal = Journal.open(url)
    pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5_000}
    found = {name: journal._connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas}
    assert found == pragmas
    journal._connection.rollback()
    await journal.close()


def test_a_failed_write_leaves_nothing_behind() -> None:
    engine = engine_of("sqlite://")
    with engine.connect() as connection:
        tables.metadata.create_all(connection)
        connection.commit()
        with pytest.raises(KeyError), connection.begin():
            write(connection, [note(1), JournalEvent("refusal", 1, {})])
        assert connection.execute(select(tables.events)).all() == []


def test_a_journal_in_memory_has_no_writer_thread() -> None:
    with pytest.raises(InvariantError, match="JOURNAL_IN_MEMORY"):
        Journal.open("sqlite://")
