"""Which times have been asked for, and which questions are left. Pure arithmetic of spans ``[from_ms, to_ms)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """From ``from_ms`` until just before ``to_ms``."""

    from_ms: int
    to_ms: int


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return ``spans`` in order, those that touch or overlap as one, empty ones left out."""
    whole: list[Span] = []
    for span in sorted(each for each in spans if each.from_ms < each.to_ms):
        if whole and span.from_ms <= whole[-1].to_ms:
            whole[-1] = Span(whole[-1].from_ms, max(whole[-1].to_ms, span.to_ms))
        else:
            whole.append(span)
    return whole


def holes(covered: Iterable[Span], wanted: Span) -> Iterator[Span]:
    """Yield what of ``wanted`` is not in ``covered``, oldest first."""
    cursor_ms = wanted.from_ms
    for span in merged(covered):
        if cursor_ms < min(span.from_ms, wanted.to_ms):
            yield Span(cursor_ms, min(span.from_ms, wanted.to_ms))
        cursor_ms = max(cursor_ms, span.to_ms)
    if cursor_ms < wanted.to_ms:
        yield Span(cursor_ms, wanted.to_ms)


def windows(spans: Iterable[Span], length_ms: int) -> Iterator[Span]:
    """Yield ``spans`` cut into pieces of ``length_ms``, the last of each maybe shorter."""
    for from_ms, to_ms in spans:
        for start_ms in range(from_ms, to_ms, length_ms):
            yield Span(start_ms, min(start_ms + length_ms, to_ms))


def stretch(covered: Sequence[Span], ts_ms: int) -> Span | None:
    """Return the unbroken span of ``covered`` that holds ``ts_ms``; None: none does."""
    return next((span for span in merged(covered) if span.from_ms <= ts_ms < span.to_ms), None)
