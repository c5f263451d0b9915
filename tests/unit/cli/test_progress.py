"""Progress is drawn on a terminal and nowhere else."""

from __future__ import annotations

import sys
from io import StringIO

import pytest

from palmbot.cli.progress import progress


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_is_wiped_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as report:
        report("replay", 0.5)
        report("statistics", 0.9)
    assert "statistics" in terminal.getvalue()
    assert "90%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_a_file_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress() as report:
        report("replay", 0.5)
    assert file.getvalue() == ""


def test_another_piece_of_work_begins_a_new_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as report:
        report("search", 1.0)
        report("walk-forward", 0.25)
    assert " 25%" in terminal.getvalue()
    assert "walk-forward" in terminal.getvalue()
