"""Small drawings as SVG, in the colours of the page's style sheet. What is drawn is also said under the pointer.

A ``Plot`` maps values to a fixed frame; its marks are collected as text, and ``svg`` puts them together. Coordinates
are those of the drawing, 640 wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from palmbot.core.types import Float64Array

WIDTH = 640.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 10.0, 10.0, 26.0
POINTS_MAX = 700
Words = Callable[[float], str]


class Plot:
    """One frame with its axes. ``x`` and ``y`` are the first and last value of each axis; equal ends are widened."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], height: float = 240.0) -> None:
        self._x, self._y = _widened(*x), _widened(*y)
        self._height = height
        self._marks: list[str] = []

    def x(self, value: float) -> float:
        """Return where ``value`` lies across."""
        low, high = self._x
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return where ``value`` lies down."""
        low, high = self._y
        return self._height - BOTTOM - (value - low) / (high - low) * (self._height - TOP - BOTTOM)

    def y_axis(self, words: Words, ticks: int = 5) -> Plot:
        """Draw round values of the upright axis with their grid lines."""
        for value in round_values(*self._y, ticks):
            at = self.y(value)
            self._marks.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
                f'<text class="tick end" x="{LEFT - 6}" y="{at + 3.5:.1f}">{escape(words(value))}</text>'
            )
        return self

    def x_labels(self, places: Sequence[float], words: Sequence[str]) -> Plot:
        """Write under the frame."""
        for place, word in zip(places, words, strict=True):
            self._marks.append(
                f'<text class="tick middle" x="{self.x(place):.1f}" y="{self._height - 8}">{escape(word)}</text>'
            )
        return self

    def line(self, xs: Float64Array, ys: Float64Array, kind: str) -> Plot:
        """Draw a line through at most some hundred of the points; NaN breaks it."""
        keep = _thinned(len(xs))
        pieces: list[list[str]] = [[]]
        for x, y in zip(xs[keep].tolist(), ys[keep].tolist(), strict=True):
            if math.isnan(y):
                pieces.append([])
            else:
                pieces[-1].append(f"{self.x(x):.1f},{self.y(y):.1f}")
        self._marks += [f'<polyline class="{kind}" points="{" ".join(each)}"/>' for each in pieces if len(each) > 1]
        return self

    def area(self, xs: Float64Array, low: Float64Array, high: Float64Array, kind: str) -> Plot:
        """Fill between two lines."""
        keep = _thinned(len(xs))
        there = [f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs[keep], high[keep], strict=True)]
        back = [f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs[keep][::-1], low[keep][::-1], strict=True)]
        self._marks.append(f'<polygon class="{kind}" points="{" ".join(there + back)}"/>')
        return self

    def bar(self, across: tuple[float, float], down: tuple[float, float], kind: str, title: str) -> Plot:
        """Draw a bar between two values of each axis; ``title`` is shown under the pointer."""
        left, right = self.x(across[0]), self.x(across[1])
        top, bottom = sorted((self.y(down[0]), self.y(down[1])))
        self._marks.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1.0):.1f}" '
            f'height="{max(bottom - top, 0.8):.1f}"><title>{escape(title)}</title></rect>'
        )
        return self

    def level(self, value: float, kind: str = "zero") -> Plot:
        """Draw a line across at ``value``."""
        at = self.y(value)
        self._marks.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        return self

    def upright(self, value: float, kind: str, title: str) -> Plot:
        """Draw a line down at ``value``."""
        at = self.x(value)
        self._marks.append(
            f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{self._height - BOTTOM}">'
            f"<title>{escape(title)}</title></line>"
        )
        return self

    def svg(self, label: str) -> str:
        """Return the drawing; ``label`` says what it shows to whoever cannot see it."""
        return (
            f'<svg class="plot" viewBox="0 0 {WIDTH:g} {self._height:g}" role="img" '
            f'aria-label="{escape(label, quote=True)}">{"".join(self._marks)}</svg>'
        )


def round_values(low: float, high: float, count: int) -> list[float]:
    """Return about ``count`` round values from ``low`` to ``high``."""
    rough = (high - low) / max(count, 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(each * unit for each in (1, 2, 2.5, 5, 10) if each * unit >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _thinned(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    return (
        np.unique(np.linspace(0, count - 1, min(count, POINTS_MAX)).astype(np.intp)) if count else np.zeros(0, np.intp)
    )
