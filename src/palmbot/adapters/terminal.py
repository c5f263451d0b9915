"""The person at the terminal: shown texts, given a browser, asked for lines. Nothing of it touches stdout."""

from __future__ import annotations

import asyncio
import os
import webbrowser
from typing import Final, TextIO

LINE_MAX_BYTES: Final = 65_536


class Terminal:
    """Speaks on ``out`` and listens on the file descriptor ``source``.

    Args:
        out: takes the texts, usually stderr.
        source: where lines are typed, usually that of stdin; None: nobody types.
        has_browser: whether a browser may be opened.
    """

    def __init__(self, out: TextIO, source: int | None, *, has_browser: bool) -> None:
        self._out = out
        self._source = source
        self._has_browser = has_browser
        self._typed = b""

    def show(self, text: str) -> None:
        """Show ``text`` on a line of its own."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def browse(self, address: str) -> bool:
        """Open ``address`` in a browser with a window of its own and return whether there is one."""
        if not self._has_browser:
            return False
        try:
            browser = webbrowser.get()
        except webbrowser.Error:
            return False
        # a browser of the console would take this very terminal
        return type(browser) is not webbrowser.GenericBrowser and browser.open(address)

    async def line(self) -> str | None:
        """Return the next line that is typed, without its end; None when no more can come."""
        while b"\n" not in self._typed and len(self._typed) <= LINE_MAX_BYTES:
            more = await self._read()
            if not more:
                last, self._typed = self._typed, b""
                return _text(last) if last else None
            self._typed += more
        line, _, self._typed = self._typed.partition(b"\n")
        return _text(line)

    async def _read(self) -> bytes:
        """Return what was typed, once something was; nothing at the end of the input."""
        if self._source is None:
            return b""
        loop = asyncio.get_running_loop()
        typed = asyncio.Event()
        try:
            # no thread: one that waits for a line cannot be ended when the browser was faster
            loop.add_reader(self._source, typed.set)
        except PermissionError:
            return os.read(self._source, LINE_MAX_BYTES)  # a plain file, which never makes anybody wait
        try:
            await typed.wait()
            return os.read(self._source, LINE_MAX_BYTES)
        finally:
            loop.remove_reader(self._source)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()
