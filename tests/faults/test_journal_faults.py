"""What the journal does when the disk, another program or the machine fails it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.journal_stories import note, run_started, simple

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal, verify
from palmbot.errors import HaltError
from palmbot.model import JournalEvent

BIG = "x" * 20_000


def big(number: int) -> JournalEvent:
    return JournalEvent("note", number, {"number": number, "text": BIG})


async def fill(journal: Journal) -> tuple[int, HaltError]:
    """Append until the disk refuses; return how many were acknowledged, and the refusal."""
    for number in range(1, 10_000):
        try:
            assert await journal.append([big(number)]) == number
        except HaltError as error:
            return number - 1, error
    raise AssertionError("the disk never filled")


async def assert_dead(journal: Journal) -> None:
    """Assert that a failed journal takes nothing more, tells so each time, and can still be read and closed."""
    for _ in range(2):
        with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
            await journal.append([note(0)])
        with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
            journal.defer([note(0)])
        with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
            await journal.flush()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("inline", [False, True], ids=["writer thread", "inline"])
async def test_a_full_disk_stops_the_journal_and_costs_nothing_that_was_acknowledged(
    small_disk: Path, *, inline: bool
) -> None:
    url = sqlite_url(small_disk / "journal.sqlite")
    journal = Journal.open(url, inline=inline)
    acknowledged, error = await fill(journal)
    assert acknowledged > 5
    assert error.exit_code == 1
    assert "SQLITE_FULL" in str(error)
    assert "Free disk space" in error.todo
    await assert_dead(journal)
    newest = journal.last("note")
    assert newest == big(acknowledged)
    await journal.close()
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert verify(url) == ()
    again = Journal.open(url, inline=inline)
    assert [event.ts_ms for event in again.events("note")] == list(range(1, acknowledged + 1))
    assert await again.append([big(0)]) == acknowledged + 1
    await again.close()


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from palmbot.adapters.journal import Journal
from palmbot.errors import HaltError
from palmbot.model import JournalEvent

async def story(url):
    journal = Journal.open(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    number = 0
    try:
        while True:
            number += 1
            await journal.append([JournalEvent("note", number, {"text": "x" * 20_000})])
            print(number, flush=True)
    except HaltError as error:
        print(error.code, flush=True)
    await journal.close()

asyncio.run(story(sys.argv[1]))
"""


def test_a_quota_stops_the_journal_and_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "journal.sqlite")
    ran = subprocess.run([sys.executable, "-c", LIMITED, url], check=True, capture_output=True, text=True)
    *acknowledged, code = ran.stdout.split()
    assert code == "JOURNAL_UNWRITABLE"
    assert len(acknowledged) > 5
    asyncio.run(assert_holds(url, int(acknowledged[-1])))


async def assert_holds(url: str, acknowledged: int) -> None:
    """Assert that the journal at ``url`` is sound, holds what was acknowledged in order, and takes more."""
    journal = Journal.open(url)
    numbers = [event.ts_ms for event in journal.events("note")]
    assert numbers[:acknowledged] == list(range(1, acknowledged + 1))
    assert numbers == list(range(1, len(numbers) + 1))  # later ones may be there, but none in part or out of order
    assert await journal.append([note(0)]) > acknowledged
    await journal.close()
    assert verify(url) == ()


APPENDER = """
import asyncio, sys
from palmbot.adapters.journal import Journal
from palmbot.model import JournalEvent

async def one(journal, number):
    journal.defer([JournalEvent("state", number, {"number": number})])
    await journal.append([JournalEvent("note", number, {"number": number})])
    print(number, flush=True)

async def story(url):
    journal = Journal.open(url)
    number = 1
    while True:
        await asyncio.gather(*(one(journal, number + step) for step in range(3)))
        number += 3

asyncio.run(story(sys.argv[1]))
"""


@pytest.mark.parametrize("kill_after", [1, 17, 120])
def test_a_killed_process_leaves_everything_it_acknowledged(tmp_path: Path, kill_after: int) -> None:
    url = sqlite_url(tmp_path / "journal.sqlite")
    with subprocess.Popen([sys.executable, "-c", APPENDER, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(kill_after):
            process.stdout.readline()
        process.kill()
        told = process.stdout.read().split()  # what it still acknowledged before it died
    acknowledged = max(kill_after, *(int(line) for line in told), 0)
    asyncio.run(assert_holds(url, acknowledged))


async def test_a_lock_of_another_program_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal.open(sqlite_url(path), busy_ms=60_000)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE visitor (name TEXT)")
    waiting = asyncio.create_task(journal.append([note(1)]))
    done, _ = await asyncio.wait([waiting], timeout=0.1)  # lets the writer come as far as the lock
    assert not done
    other.execute("COMMIT")  # the writer must not have read before: a stale reader may not write
    other.close()
    assert await waiting == 1
    await journal.close()


async def test_a_lock_that_stays_stops_the_journal_and_says_who_to_look_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal.open(sqlite_url(path), busy_ms=20)
    await journal.append([note(1)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HaltError, match="SQLITE_BUSY") as refused:
        await journal.append([note(2)])
    assert "other program" in refused.value.todo
    other.execute("ROLLBACK")
    other.close()
    await assert_dead(journal)  # also when the cause is gone: only opening anew looks at the disk again
    await journal.close()
    await assert_holds(sqlite_url(path), 1)


async def test_events_that_were_only_deferred_do_not_hide_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal.open(sqlite_url(path), inline=True, busy_ms=0, deferred_max=2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.defer([note(1)])
    with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
        journal.defer([note(2)])
    other.close()
    await assert_dead(journal)
    await journal.close()


async def test_closing_tells_when_what_was_deferred_could_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal.open(sqlite_url(path), busy_ms=0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.defer([note(1)])
    with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
        await journal.close()
    other.close()
    await assert_holds(sqlite_url(path), 0)


async def test_a_journal_that_may_only_be_read_is_read_and_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal.open(sqlite_url(path))
    await journal.append([note(1)])
    await journal.close()
    before = path.read_bytes()
    journal = Journal.open(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert journal.last("note") == note(1)
    with pytest.raises(HaltError, match="SQLITE_READONLY") as refused:
        await journal.append([note(2)])
    assert "writable" in refused.value.todo
    await journal.close()
    assert path.read_bytes() == before


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"a letter to my mother" * 500)
    for use in (Journal.open, verify):
        with pytest.raises(HaltError, match="SQLITE_NOTADB"):
            use(sqlite_url(path))
    assert path.read_bytes() == b"a letter to my mother" * 500


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
        Journal.open(sqlite_url(tmp_path / "data" / "journal.sqlite"))


async def filled(path: Path) -> None:
    journal = Journal.open(sqlite_url(path))
    await journal.append([run_started("a"), *(event for n in range(1, 40) for event in simple(n).events())])
    await journal.close()


def overwrite_root(path: Path, table: str) -> None:
    """Overwrite the first page of a table or index."""
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


async def test_a_damaged_table_makes_reading_and_verifying_fail_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await filled(path)
    overwrite_root(path, "trades")
    journal = Journal.open(sqlite_url(path))
    with pytest.raises(HaltError, match="SQLITE_CORRUPT") as unreadable:
        journal.trades()
    assert unreadable.value.code == "JOURNAL_UNREADABLE"
    assert "backup" in unreadable.value.todo
    with pytest.raises(HaltError, match="SQLITE_CORRUPT"):
        await journal.append(simple(99).events())
    await assert_dead(journal)
    await journal.close()
    with pytest.raises(HaltError, match="JOURNAL_UNREADABLE"):
        verify(sqlite_url(path))


async def test_verify_finds_damage_that_no_query_has_met_yet(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await filled(path)
    overwrite_root(path, "events_kind")
    differences = verify(sqlite_url(path))
    assert differences
    assert all(difference.startswith("file: ") for difference in differences)
