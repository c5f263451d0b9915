"""Times as people write them on the command line."""

from __future__ import annotations

from palmbot.errors import UsageError
from palmbot.research.tables import times_ms

FAR_MS = 1 << 52


def time_ms(option: str, text: str | None) -> int | None:
    """Return the instant that ``text`` names in UTC; None where nothing was said.

    Raises:
        UsageError: it names none.
    """
    if text is None:
        return None
    import polars as pl  # noqa: PLC0415 - heavy: only who names a time pays

    found, is_time = times_ms(pl.Series([text.strip()]), "UTC")
    if not is_time.all():
        todo = "Write a time such as 2024-03-01, 2024-03-01T02:30:00Z, or epoch seconds or milliseconds; in UTC."
        raise UsageError("BAD_TIME", todo, option=option, value=repr(text))
    return int(found[0])


def span_ms(first: str | None, last: str | None) -> tuple[int, int]:
    """Return the span of ``--from`` and ``--to``; without them as far as time goes.

    Raises:
        UsageError: one names no time, or the first is not before the last.
    """
    from_ms, to_ms = time_ms("--from", first), time_ms("--to", last)
    span = (0 if from_ms is None else from_ms, FAR_MS if to_ms is None else to_ms)
    if span[0] >= span[1]:
        raise UsageError("EMPTY_SPAN", "Give a --from that is before --to.", first=first, last=last)
    return span
