"""The live view of a running bot on a terminal: one screen, drawn a few times a second from the newest `BotView`."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.text import Text

from palmbot.cli import panels
from palmbot.cli.answer import print_note
from palmbot.model import BotView
from palmbot.settings import Settings

TOP_LINES = 7  # of market and account: five rows and their frame
MIDDLE_LINES = 5  # of position and breakers: three rows and their frame
WIDE = 140  # columns from which decisions and trades stand side by side
FRAMES_A_SECOND = 8


def draw(view: BotView, settings: Settings, width: int) -> Layout:
    """Return ``view`` as one screen of ``width`` columns; 80 x 24 holds everything, more lines hold more history."""
    top, middle = Layout(size=TOP_LINES), Layout(size=MIDDLE_LINES)
    top.split_row(Layout(panels.market(view, settings)), Layout(panels.account(view, settings)))
    middle.split_row(Layout(panels.position(view, settings)), Layout(panels.breakers(view, settings)))
    bottom = Layout()
    decisions, trades = panels.decisions(view), panels.trades(view)
    if width >= WIDE:
        bottom.split_row(Layout(decisions), Layout(trades))
    else:
        bottom.split_column(Layout(decisions, ratio=5), Layout(trades, ratio=4))
    screen = Layout()
    screen.split_column(Layout(panels.header(view), size=1), top, middle, bottom)
    return screen


class LiveView:
    """A context manager that shows the views it is given on the whole terminal, and leaves no trace of itself.

    `show` only remembers: drawing happens at the terminal's own pace, so a bot at full speed is not slowed by it. What
    was noted is shown while the bot starts, the newest on top of a running one, and all of it on stderr afterwards.
    """

    def __init__(self, settings: Settings, console: Console | None = None) -> None:
        self._settings = settings
        self._view: BotView | None = None
        self._notes: list[str] = []
        self._newest = ""  # that came while the bot ran
        self._live = Live(
            console=console, screen=True, refresh_per_second=FRAMES_A_SECOND, get_renderable=self._renderable
        )

    def show(self, view: BotView) -> None:
        """Show ``view`` from the next frame on."""
        self._view = view

    def note(self, text: str) -> None:
        """Remember what a person should know."""
        self._notes.append(text)
        if self._view is not None:
            self._newest = text.replace("\n", " ")

    def _renderable(self) -> RenderableType:
        if self._view is None:
            begun = Text(
                "starting ... (the first time on a machine the decision core is compiled: up to a minute)", "dim"
            )
            return Group(begun, *(Text(each) for each in self._notes))
        screen = draw(self._view, self._settings, self._live.console.width)
        if not self._newest:
            return screen
        noted = Layout()
        line = Text(self._newest, "bold yellow", no_wrap=True, overflow="ellipsis")
        noted.split_column(Layout(line, size=1), screen)
        return noted

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        for each in self._notes:
            print_note(each)
