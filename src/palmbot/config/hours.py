"""Hours, days and weeks as people write them: the kinds of settings that make up a session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palmbot.calendar import WEEK_MINUTES
from palmbot.config.values import BadTextError
from palmbot.units import MINUTE_MS

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MINUTES = 24 * 60
_SPAN = re.compile(r"(\w{3})(?:\s*-\s*(\w{3}))?\s+(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")


def minute_of(text: str) -> int:
    """Return the minute of the day of ``HH:MM`` (``24:00`` is the end of the day).

    Raises:
        BadTextError: there is no such time.
    """
    match = re.fullmatch(r"(\d{1,2}):(\d\d)", text)
    minute = int(match[1]) * 60 + int(match[2]) if match is not None and int(match[2]) < 60 else -1
    if not 0 <= minute <= _DAY_MINUTES:
        raise BadTextError("BAD_TIME", "Write a time of day as HH:MM, for instance 11:00.")
    return minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time of day in UTC, ``11:00``; parses to ms since midnight."""

    def parse(self, text: str) -> int:
        """Return the milliseconds since midnight of ``text``."""
        return minute_of(text) % _DAY_MINUTES * MINUTE_MS

    def show(self, value: int) -> str:
        """Return ``value`` as ``HH:MM``."""
        return _clock(value // MINUTE_MS)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}


@dataclass(frozen=True, slots=True)
class TimeZone:
    """The name of a time zone, ``Asia/Kuala_Lumpur``."""

    def parse(self, text: str) -> str:
        """Return ``text`` when the zone is known."""
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadTextError("BAD_TIME_ZONE", "Write a time zone's name, for instance Asia/Kuala_Lumpur.") from None
        return text

    def show(self, value: str) -> str:
        """Return ``value``."""
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Open hours of a week in the instrument's zone; parses to intervals in minutes from Monday 00:00.

    ``Mon-Fri 10:30-12:30, Mon-Thu 21:00-23:30``; a span that ends before it starts runs past midnight; ``always`` has
    no intervals.
    """

    def parse(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the intervals of ``text``, sorted."""
        if text == "always":
            return ()
        intervals = sorted(interval for span in text.split(",") for interval in self._intervals(span.strip()))
        for (_, end), (start, _) in pairwise(intervals):
            if start < end:
                raise BadTextError("BAD_SESSION", "Write open hours that do not overlap.")
        return tuple(intervals)

    def _intervals(self, span: str) -> list[tuple[int, int]]:
        match = _SPAN.fullmatch(span)
        first, last = (match[1].title(), (match[2] or match[1]).title()) if match is not None else ("", "")
        if match is None or first not in WEEKDAYS or last not in WEEKDAYS:
            raise BadTextError("BAD_SESSION", "Write open hours as 'Mon-Fri 10:30-12:30', separated by commas.")
        days = (WEEKDAYS.index(last) - WEEKDAYS.index(first)) % 7 + 1
        start, end = minute_of(match[3]), minute_of(match[4])
        length = end - start if end > start else end - start + _DAY_MINUTES
        intervals = []
        for day in range(WEEKDAYS.index(first), WEEKDAYS.index(first) + days):
            opens = (day * _DAY_MINUTES + start) % WEEK_MINUTES
            intervals.append((opens, min(opens + length, WEEK_MINUTES)))
            if opens + length > WEEK_MINUTES:  # Sunday night is two intervals of one week
                intervals.append((0, opens + length - WEEK_MINUTES))
        return intervals

    def show(self, value: tuple[tuple[int, int], ...]) -> str:
        """Return ``value`` as text, equal hours of neighbouring days joined."""
        if not value:
            return "always"
        days_of: dict[str, list[int]] = {}
        for start, end in value:
            day = start // _DAY_MINUTES
            hours = f"{_clock(start - day * _DAY_MINUTES)}-{_clock((end - 1) % _DAY_MINUTES + 1)}"
            days_of.setdefault(hours, []).append(day)
        spans = []
        for hours, days in days_of.items():
            first = days[0]
            for here, after in zip(days, [*days[1:], -1], strict=True):
                if after != here + 1:
                    names = WEEKDAYS[first] if first == here else f"{WEEKDAYS[first]}-{WEEKDAYS[here]}"
                    spans.append(f"{names} {hours}")
                    first = after
        return ", ".join(spans)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"anyOf": [{"const": "always"}, {"type": "array", "items": {"type": "string"}}]}


@dataclass(frozen=True, slots=True)
class Dates:
    """Dates such as ``2026-01-01``, separated by commas; ``none`` is no date."""

    def parse(self, text: str) -> frozenset[date]:
        """Return the dates of ``text``."""
        if text in {"", "none"}:
            return frozenset()
        try:
            return frozenset(date.fromisoformat(part.strip()) for part in text.split(","))
        except ValueError:
            raise BadTextError("BAD_DATE", "Write dates as 2026-01-01, separated by commas.") from None

    def show(self, value: frozenset[date]) -> str:
        """Return ``value`` as text, sorted."""
        return ", ".join(day.isoformat() for day in sorted(value)) or "none"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "array", "items": {"type": "string", "format": "date"}}
