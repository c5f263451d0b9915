"""The right to trade with one journal, on one machine: a lock that the process's death releases."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from palmbot.errors import HaltError, InvariantError, RefusedError

_LINE = "epoch={epoch:020d} pid={pid:010d}\n"
_PATTERN = re.compile(r"epoch=(\d{20}) pid=(\d{10})\n")


class FileLease:
    """The ``palmbot.ports.Lease`` of a SQLite journal: ``flock`` on ``<journal>.lock`` beside it.

    The file stays when the lease is released: it carries the epoch. It must never be deleted while a bot may run, or
    two processes could lock two files of one name.

    Args:
        journal: path of the SQLite journal.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(journal.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> int:
        """Take the lease and return its epoch, higher than any before.

        Raises:
            RefusedError: ``JOURNAL_IN_USE``, another process holds it (its pid is in the facts); or
                ``LEASE_DAMAGED``, the file does not say which epoch was the last.
            HaltError: ``JOURNAL_UNWRITABLE``, the file cannot be opened, locked or written.
        """
        if self._file is not None:
            raise InvariantError("LEASE_HELD", "Release a lease before it is taken again.", lock=self._path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            epoch = self._lock(file)
        except OSError as error:
            os.close(file)
            raise self._unwritable(error) from error
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return epoch

    def release(self) -> None:
        """Give the lease back; does nothing when it is not held."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing alone would leave it to a child forked meanwhile
            os.close(self._file)
            self._file = None

    def _lock(self, file: int) -> int:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = _PATTERN.fullmatch(_read(file))
            raise RefusedError(
                "JOURNAL_IN_USE",
                "Another bot trades with this journal: stop it first, or give this one its own data_dir.",
                pid=int(held[2]) if held is not None else "unknown",
                lock=self._path,
            ) from None
        said = _read(file)
        last = _PATTERN.fullmatch(said)
        if last is None and said:
            todo = "Restore this file, or write an epoch into it that is higher than any in the broker's order labels."
            raise RefusedError("LEASE_DAMAGED", todo, lock=self._path)
        epoch = 1 if last is None else int(last[1]) + 1
        # one write of one length: whoever reads sees the old line or the new one
        os.pwrite(file, _LINE.format(epoch=epoch, pid=os.getpid()).encode(), 0)
        os.fsync(file)
        return epoch

    def _unwritable(self, error: OSError) -> HaltError:
        todo = "Make the journal's folder writable, on a disk of this machine that has space and can lock files."
        return HaltError("JOURNAL_UNWRITABLE", todo, lock=self._path, reason=error)


def _read(file: int) -> str:
    return os.pread(file, 256, 0).decode("ascii", "replace")
