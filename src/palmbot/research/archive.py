"""What a broker told of one symbol, kept for good: a folder of parts, each the whole answer about one span of time.

A part appears whole or not at all, and its name says which span it answers, an empty answer too: whatever moment a
process dies in, the names tell what is left to ask. Rows beyond a part's span may stand in it: they are what was told
of a time that was not over yet, and count until a later part answers it.
"""
# ruff: noqa: PLC0415 - polars takes 0.1 s and 40 MB to import: only those who read or write a file pay

from __future__ import annotations

import fcntl
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from palmbot.core.types import Int64Array
from palmbot.errors import DataError, RefusedError
from palmbot.research.coverage import Span, merged
from palmbot.research.store import not_written, write_whole

if TYPE_CHECKING:
    import polars as pl

SUFFIX = ".parts"
TIME = "ts_ms"
_NAME = re.compile(r"(\d{15})-(\d{15})\.parquet")


class Archive:
    """See above.

    Args:
        folder: of the parts; made when the lock is taken.
        columns: their names, ``ts_ms`` first; all int64, in order of time.
        span_max_ms: a part that goes on where the last one ended is joined with it up to this length.
    """

    def __init__(self, folder: Path, columns: Sequence[str], span_max_ms: int) -> None:
        self.folder = folder
        self._columns = tuple(columns)
        self._span_max_ms = span_max_ms

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the right to add, which the process's death releases too.

        Raises:
            RefusedError: ``DATA_IN_USE``, another process has it.
            PalmbotError: ``DATA_NOT_WRITTEN``.
        """
        lock = self.folder / "lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise not_written(lock, error) from error
        try:
            self._take(handle)
            for left in self.folder.glob(".*.part"):  # of a process that was killed
                with suppress(OSError):
                    left.unlink()
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to a child forked meanwhile
            os.close(handle)

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            todo = "Another process is fetching the same history: wait until it is done."
            raise RefusedError("DATA_IN_USE", todo, folder=self.folder) from None
        except OSError as error:
            raise not_written(self.folder, error) from error

    def covered(self) -> list[Span]:
        """Return the spans that were answered, in order."""
        return merged(self._parts())

    def add(self, span: Span, columns: Sequence[Int64Array]) -> None:
        """Keep the answer about ``span``; when this returns, it is on the disk.

        Raises:
            PalmbotError: ``DATA_NOT_WRITTEN``; nothing has changed.
        """
        frame = self._frame(columns)
        joined = next((part for part in self._parts() if self._goes_on(part, span)), None)
        if joined is not None:
            frame = self._read(joined, joined).vstack(frame)
            span = Span(joined.from_ms, span.to_ms)
        content = io.BytesIO()
        frame.write_parquet(content, compression="zstd")
        write_whole(self._path(span), content.getbuffer())
        if joined is not None and joined != span:
            with suppress(OSError):  # what it says is said twice then, and counts once
                self._path(joined).unlink()

    def rows(self, within: Span) -> tuple[Int64Array, ...]:
        """Return the columns of the rows in ``within``, oldest first, each of shape ``(n,)``.

        Raises:
            DataError: ``DATA_UNREADABLE``.
        """
        import polars as pl

        frames = [self._read(part, counted) for part, counted in self.counted(within)]
        frame = pl.concat([self._frame([np.empty(0, np.int64)] * len(self._columns)), *frames])
        return tuple(frame[name].to_numpy().copy() for name in self._columns)

    def counted(self, within: Span) -> Iterator[tuple[Span, Span]]:
        """Yield parts in order, each with the span of its rows that count: no two such spans overlap."""
        parts = self._parts()
        cursor_ms = within.from_ms
        for part in parts:
            end_ms = within.to_ms if part is parts[-1] else min(part.to_ms, within.to_ms)
            counted = Span(max(part.from_ms, cursor_ms), end_ms)
            if counted.from_ms < counted.to_ms:
                yield part, counted
                cursor_ms = counted.to_ms

    def lazy(self, part: Span) -> pl.LazyFrame:
        """Return a part that is read when it is used."""
        import polars as pl

        return pl.scan_parquet(self._path(part))

    def _goes_on(self, part: Span, span: Span) -> bool:
        return part.to_ms == span.from_ms and span.to_ms - part.from_ms <= self._span_max_ms

    def _parts(self) -> list[Span]:
        found = (_NAME.fullmatch(path.name) for path in self.folder.glob("*.parquet"))
        return sorted(Span(int(name[1]), int(name[2])) for name in found if name is not None)

    def _path(self, part: Span) -> Path:
        return self.folder / f"{part.from_ms:015d}-{part.to_ms:015d}.parquet"

    def _frame(self, columns: Sequence[Int64Array]) -> pl.DataFrame:
        import polars as pl

        return pl.DataFrame(dict(zip(self._columns, columns, strict=True)))

    def _read(self, part: Span, within: Span) -> pl.DataFrame:
        import polars as pl

        path = self._path(part)
        try:
            frame = pl.read_parquet(path, columns=list(self._columns)).cast(pl.Int64)
            return frame.filter(pl.col(TIME).is_between(within.from_ms, within.to_ms, closed="left"))
        except (OSError, pl.exceptions.PolarsError) as error:
            todo = "Remove that file and fetch again: only its time is asked for anew."
            raise DataError("DATA_UNREADABLE", todo, file=path, reason=repr(str(error)[:200])) from error
