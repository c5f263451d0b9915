"""The archive of what a broker told: whole parts, whatever moment the process dies in."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from palmbot.core.types import Int64Array
from palmbot.errors import DataError, PalmbotError, RefusedError
from palmbot.research.archive import Archive
from palmbot.research.coverage import Span

COLUMNS = ("ts_ms", "px")


def rows(*pairs: tuple[int, int]) -> list[Int64Array]:
    return list(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)


def told(archive: Archive, span: Span) -> list[tuple[int, int]]:
    return [(int(ts_ms), int(px)) for ts_ms, px in zip(*archive.rows(span), strict=True)]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "x.parts", COLUMNS, span_max_ms=100)


def test_what_was_added_is_there_and_answered(archive: Archive) -> None:
    archive.add(Span(200, 300), rows((210, 1), (290, 2)))
    archive.add(Span(0, 100), rows((5, 3)))
    assert archive.covered() == [Span(0, 100), Span(200, 300)]
    assert told(archive, Span(0, 1_000)) == [(5, 3), (210, 1), (290, 2)]
    assert told(archive, Span(6, 290)) == [(210, 1)]


def test_an_empty_answer_is_an_answer(archive: Archive) -> None:
    archive.add(Span(0, 100), rows())
    assert archive.covered() == [Span(0, 100)]
    assert told(archive, Span(0, 100)) == []


def test_rows_of_a_time_that_was_not_over_count_until_it_is_answered(archive: Archive) -> None:
    archive.add(Span(0, 100), rows((50, 1), (100, 2), (110, 3)))
    assert told(archive, Span(0, 200)) == [(50, 1), (100, 2), (110, 3)]
    archive.add(Span(100, 200), rows((100, 9)))
    assert told(archive, Span(0, 200)) == [(50, 1), (100, 9)]


def test_small_parts_that_go_on_become_one(archive: Archive) -> None:
    for start in range(0, 150, 10):
        archive.add(Span(start, start + 10), rows((start, start), (start + 10, -1)))
    assert archive.covered() == [Span(0, 150)]
    assert len(list(archive.folder.glob("*.parquet"))) == 2  # of at most 100
    assert told(archive, Span(0, 150)) == [(start, start) for start in range(0, 150, 10)]


def test_a_moment_without_length_keeps_its_part(archive: Archive) -> None:
    archive.add(Span(0, 50), rows((10, 1)))
    archive.add(Span(50, 50), rows((50, 2)))
    assert archive.covered() == [Span(0, 50)]
    assert told(archive, Span(0, 100)) == [(10, 1), (50, 2)]
    archive.add(Span(50, 90), rows((50, 3)))
    assert told(archive, Span(0, 100)) == [(10, 1), (50, 3)]


def test_a_part_that_outlived_its_union_counts_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add(Span(0, 50), rows((10, 1)))
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("killed here")))
        archive.add(Span(50, 90), rows((60, 2)))
    assert len(list(archive.folder.glob("*.parquet"))) == 2
    assert archive.covered() == [Span(0, 90)]
    assert told(archive, Span(0, 100)) == [(10, 1), (60, 2)]


class KilledError(BaseException):
    """The process dies here: nothing that would tidy up runs."""


@pytest.mark.parametrize("survived", range(6))
def test_a_kill_at_any_step_leaves_the_old_or_the_new(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    archive.add(Span(0, 50), rows((10, 1)))
    steps: list[str] = []
    with monkeypatch.context() as system:
        for owner, name in ((Path, "write_bytes"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
            real = getattr(owner, name)

            def step(*words: object, real: Callable[..., object] = real, name: str = name) -> object:
                if len(steps) == survived:
                    raise KilledError
                steps.append(name)
                return real(*words)

            system.setattr(owner, name, step)
        with suppress(KilledError):
            archive.add(Span(50, 90), rows((60, 2), (90, 3)))
    assert steps == ["write_bytes", "fsync", "replace", "fsync", "unlink"][:survived]
    is_new = "replace" in steps
    assert archive.covered() == [Span(0, 90 if is_new else 50)]
    assert told(archive, Span(0, 100)) == ([(10, 1), (60, 2), (90, 3)] if is_new else [(10, 1)])
    with archive.locked():
        archive.add(Span(90 if is_new else 50, 100), rows())
    assert archive.covered() == [Span(0, 100)]
    assert not list(archive.folder.glob(".*.part"))


def test_two_cannot_add_at_once(archive: Archive) -> None:
    with (
        archive.locked(),
        pytest.raises(RefusedError, match="DATA_IN_USE"),
        Archive(archive.folder, COLUMNS, 1).locked(),
    ):
        pass
    with archive.locked():
        pass


def test_what_a_kill_left_is_cleared_away(archive: Archive) -> None:
    with archive.locked():
        pass
    left = archive.folder / ".000000000000000-000000000000100.parquet.part"
    left.write_bytes(b"half")
    assert archive.covered() == []
    with archive.locked():
        assert not left.exists()


def test_a_full_disk_is_one_error_and_changes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add(Span(0, 50), rows((10, 1)))

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PalmbotError, match="DATA_NOT_WRITTEN") as failure:
        archive.add(Span(50, 90), rows((60, 2)))
    assert "No space left" in str(failure.value)
    assert archive.covered() == [Span(0, 50)]
    assert not list(archive.folder.glob(".*.part"))


def test_a_damaged_part_is_named(archive: Archive) -> None:
    archive.add(Span(0, 50), rows((10, 1)))
    (part,) = archive.folder.glob("*.parquet")
    part.write_bytes(part.read_bytes()[:40])
    with pytest.raises(DataError, match="DATA_UNREADABLE") as failure:
        archive.rows(Span(0, 50))
    assert part.name in str(failure.value)
