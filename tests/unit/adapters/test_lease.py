from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from palmbot.adapters.lease import FileLease
from palmbot.errors import HaltError, InvariantError, RefusedError
from palmbot.ports import Lease

HOLDER = """
import sys
from pathlib import Path
from palmbot.adapters.lease import FileLease
print(FileLease(Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.sqlite"


@contextmanager
def holder(journal: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run another process that holds the lease; yield it and its epoch."""
    command = [sys.executable, "-c", HOLDER, str(journal)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_the_lease_is_what_the_port_asks_for(journal: Path) -> None:
    lease: Lease = FileLease(journal)  # mypy compares the signatures
    assert lease.acquire() == 1
    lease.release()


def test_each_taking_has_a_higher_epoch(journal: Path) -> None:
    lease = FileLease(journal)
    epochs = []
    for _ in range(3):
        epochs.append(lease.acquire())
        lease.release()
    assert epochs == [1, 2, 3]
    assert (journal.parent / "journal.sqlite.lock").is_file()


def test_a_second_process_is_refused_and_told_who_holds_it(journal: Path) -> None:
    with holder(journal) as (process, epoch):
        assert epoch == 1
        with pytest.raises(RefusedError, match="JOURNAL_IN_USE") as refused:
            FileLease(journal).acquire()
        assert refused.value.exit_code == 3
        assert refused.value.facts["pid"] == process.pid


def test_a_refused_process_does_not_move_the_epoch(journal: Path) -> None:
    first = FileLease(journal)
    first.acquire()
    for _ in range(3):
        with pytest.raises(RefusedError, match="JOURNAL_IN_USE"):
            FileLease(journal).acquire()
    first.release()
    assert first.acquire() == 2
    first.release()


def test_death_releases_the_lease_and_the_epoch_goes_on(journal: Path) -> None:
    with holder(journal) as (process, _epoch):
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        lease = FileLease(journal)
        assert lease.acquire() == 2
        lease.release()


def test_a_child_of_the_holder_does_not_keep_the_lease(journal: Path) -> None:
    lease = FileLease(journal)
    lease.acquire()
    assert lease._file is not None
    assert not os.get_inheritable(lease._file)
    keep = os.dup(lease._file)  # what a fork would hold
    lease.release()
    again = FileLease(journal)
    assert again.acquire() == 2
    again.release()
    os.close(keep)


def test_a_lease_is_not_taken_twice_by_one_holder(journal: Path) -> None:
    lease = FileLease(journal)
    lease.acquire()
    with pytest.raises(InvariantError, match="LEASE_HELD"):
        lease.acquire()
    lease.release()
    lease.release()
    assert lease.acquire() == 2
    lease.release()


def test_a_damaged_file_is_refused_rather_than_begun_anew(journal: Path) -> None:
    lock = journal.parent / "journal.sqlite.lock"
    lock.parent.mkdir()
    lock.write_text("epoch=12\n")
    lease = FileLease(journal)
    with pytest.raises(RefusedError, match="LEASE_DAMAGED"):
        lease.acquire()
    lock.write_text(f"epoch={12:020d} pid={1:010d}\n")
    assert lease.acquire() == 13
    lease.release()


def test_a_folder_that_cannot_hold_the_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
        FileLease(tmp_path / "data" / "journal.sqlite").acquire()
