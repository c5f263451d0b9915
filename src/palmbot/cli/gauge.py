"""Two small gauges for the terminal: a track with a marker, and a bar that fills up. Both take the width they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

NARROWEST = 6


@dataclass(frozen=True, slots=True)
class Track:
    """A line from ``low`` to ``high`` with ticks at ``ticks`` and a marker at ``value``."""

    low: float
    high: float
    value: float
    ticks: tuple[float, ...] = ()
    style: str = "bold"

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the track over the whole width."""
        line, tick, marker = ("-", "|", "O") if options.ascii_only else ("─", "┼", "●")
        cells = [(line, "dim")] * options.max_width
        for at in self.ticks:
            cells[self._cell(at, len(cells))] = (tick, "")
        if self.value == self.value:  # NaN has no place
            cells[self._cell(self.value, len(cells))] = (marker, self.style)
        yield _text(cells)

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """Take what there is."""
        return Measurement(NARROWEST, options.max_width)

    def _cell(self, at: float, width: int) -> int:
        share = (at - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(min(max(share, 0.0), 1.0) * (width - 1))


@dataclass(frozen=True, slots=True)
class Fill:
    """A bar of which ``share`` (0..1) is filled."""

    share: float
    style: str = "red"

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the bar over the whole width."""
        full, empty = ("#", ".") if options.ascii_only else ("█", "░")
        filled = round(min(max(self.share, 0.0), 1.0) * options.max_width)
        if self.share > 0:
            filled = max(filled, 1)
        yield _text([(full, self.style)] * filled + [(empty, "dim")] * (options.max_width - filled))

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """Take what there is."""
        return Measurement(NARROWEST, options.max_width)


def _text(cells: Sequence[tuple[str, str]]) -> Text:
    text = Text(no_wrap=True, end="")
    for character, style in cells:
        text.append(character, style)
    return text
