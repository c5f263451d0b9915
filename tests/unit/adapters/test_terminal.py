from __future__ import annotations

import asyncio
import io
import os
import webbrowser
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from palmbot.adapters.terminal import LINE_MAX_BYTES, Terminal


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.FileIO]]:
    """The descriptor that is read from, and the end that is typed into."""
    reading, writing = os.pipe()
    with open(reading, "rb", 0) as source, open(writing, "wb", 0) as typed:  # noqa: PTH123 - descriptors, no paths
        yield source.fileno(), typed


def terminal(source: int | None) -> Terminal:
    return Terminal(io.StringIO(), source, has_browser=True)


async def test_lines_come_one_by_one_however_they_are_typed(pipe: tuple[int, io.FileIO]) -> None:
    reading, typed = pipe
    person = terminal(reading)
    typed.write(b" one \ntw")
    assert await person.line() == "one"
    waiting = asyncio.ensure_future(person.line())
    await asyncio.sleep(0)
    assert not waiting.done()
    typed.write(b"o\r\n\nrest")
    assert await waiting == "two"
    assert await person.line() == ""
    typed.close()
    assert await person.line() == "rest"
    assert await person.line() is None
    assert not asyncio.get_running_loop().remove_reader(reading)  # nobody listens any more


async def test_a_wait_that_is_ended_loses_no_line(pipe: tuple[int, io.FileIO]) -> None:
    reading, typed = pipe
    person = terminal(reading)
    waiting = asyncio.ensure_future(person.line())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    typed.write(b"later\n")
    assert await person.line() == "later"


async def test_lines_may_come_from_a_file_or_from_nowhere(tmp_path: Path) -> None:
    (tmp_path / "typed").write_text("one\ntwo")
    with (tmp_path / "typed").open("rb") as file:
        person = terminal(file.fileno())
        assert [await person.line() for _ in range(3)] == ["one", "two", None]
    nothing = os.open(os.devnull, os.O_RDONLY)
    assert await terminal(nothing).line() is None
    os.close(nothing)
    assert await terminal(None).line() is None


async def test_a_line_without_end_ends(pipe: tuple[int, io.FileIO]) -> None:
    reading, typed = pipe
    person = terminal(reading)

    async def type_on() -> None:
        while True:
            typed.write(b"x" * 4_096)
            await asyncio.sleep(0)

    typing = asyncio.ensure_future(type_on())
    line = await person.line()
    typing.cancel()
    assert line is not None
    assert LINE_MAX_BYTES < len(line) < 2 * LINE_MAX_BYTES + 4_097


def test_what_is_shown_is_a_line() -> None:
    out = io.StringIO()
    Terminal(out, None, has_browser=False).show("hello")
    assert out.getvalue() == "hello\n"


class Window(webbrowser.BaseBrowser):
    """A browser with a window of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002 - the base's
        self.opened.append(url)
        return True


def test_a_browser_is_opened_only_where_it_is_wanted_and_leaves_the_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window, in_console = Window(), webbrowser.GenericBrowser("true")
    for browser, is_wanted, is_opened in ((window, False, False), (in_console, True, False), (window, True, True)):
        monkeypatch.setattr(webbrowser, "get", partial(lambda found: found, browser))
        person = Terminal(io.StringIO(), None, has_browser=is_wanted)
        assert person.browse("http://127.0.0.1/x") is is_opened
    assert window.opened == ["http://127.0.0.1/x"]


def test_where_there_is_no_browser_none_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    assert not Terminal(io.StringIO(), None, has_browser=True).browse("http://127.0.0.1/x")
