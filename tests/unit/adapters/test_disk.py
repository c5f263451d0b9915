"""Whether a folder takes what is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from palmbot.adapters.disk import try_folder
from palmbot.errors import HaltError


def test_a_folder_that_takes_it_is_left_as_it_was(tmp_path: Path) -> None:
    assert try_folder(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_tried_where_it_would_be_made_and_not_made(tmp_path: Path) -> None:
    assert try_folder(tmp_path / "a" / "b") > 0
    assert list(tmp_path.iterdir()) == []


def test_a_relative_folder_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert try_folder(Path("palmbot-data")) > 0


def test_a_disk_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(HaltError, match="FOLDER_UNWRITABLE") as failure:
        try_folder(tmp_path)
    assert failure.value.facts == {"folder": tmp_path, "reason": "No space left on device"}
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folders_place_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(HaltError, match="FOLDER_UNWRITABLE"):
        try_folder(tmp_path / "data")
