"""The gauges put their marks where the numbers are, at any width."""

from __future__ import annotations

import math
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console, RenderableType

from palmbot.cli.gauge import Fill, Track


def drawn(gauge: RenderableType, width: int = 11) -> str:
    console = Console(width=width, file=StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(gauge)
    return captured.get().rstrip("\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "●──┼───┼───"),
        (30, "───●───┼───"),
        (50, "───┼─●─┼───"),
        (100, "───┼───┼──●"),
        (-20, "●──┼───┼───"),
        (120, "───┼───┼──●"),
        (math.nan, "───┼───┼───"),
    ],
)
def test_a_track_marks_its_value_between_its_ends(value: float, text: str) -> None:
    assert drawn(Track(0, 100, value, (30, 70))) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "░" * 10), (0.001, "█" + "░" * 9), (0.5, "█" * 5 + "░" * 5), (1, "█" * 10), (7, "█" * 10), (-1, "░" * 10)],
)
def test_a_bar_fills_by_its_share_and_shows_the_least_of_it(share: float, text: str) -> None:
    assert drawn(Fill(share), width=10) == text


def test_a_track_without_length_has_its_mark_in_the_middle() -> None:
    assert drawn(Track(5, 5, 5)) == "─────●─────"


def test_gauges_are_plain_where_the_terminal_is() -> None:
    plain = TextIOWrapper(BytesIO(), encoding="ascii")
    console = Console(width=10, file=plain, color_system=None, force_terminal=True)
    console.print(Track(0, 100, 0, (100,)))
    console.print(Fill(0.5))
    plain.seek(0)
    assert plain.read() == "O--------|" + "#####....."
