"""Series of what was known, and since when: sentiment and conversion rates, each a table with a ``known_at`` column."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palmbot.core.types import Int64Array, SentimentArrays
from palmbot.research.tables import read_table

KNOWN_AT = ("known_at",)
SCORE_DIGITS = 9
RATE_DIGITS = 8


def read_sentiment(file: Path, time_zone: str) -> SentimentArrays:
    """Return the sentiment rows of ``file``: ``known_at,score[,published_at,source]``, scores -100..100.

    Rows may come in any order; of two known at one time, the later row comes later (PARITY 59).

    Raises:
        DataError: the file cannot be read, or a time or a score is none.
    """
    table = read_table(file, columns_min=2)
    known_ms = table.times_ms(KNOWN_AT, time_zone)
    scaled, good = table.scaled("score", SCORE_DIGITS)
    good &= np.abs(scaled) <= 100 * 10**SCORE_DIGITS
    if not good.all():
        row = int(np.argmin(good))
        found = repr(table.column("score")[row])
        raise table.error("SENTIMENT_BAD_SCORE", "Give every row a score from -100 to 100.", row, found=found)
    order = np.argsort(known_ms, kind="stable")
    return SentimentArrays(known_ms[order], scaled[order] / 10**SCORE_DIGITS)


def read_rates(file: Path, time_zone: str, ts_ms: Int64Array) -> Int64Array:
    """Return the quote-to-deposit rate of ``file`` (``known_at,rate``) known at each ``ts_ms``, x 10^8, shape (n,).

    0 stands where none was known yet. Of two rates known at one time the later row counts.

    Raises:
        DataError: the file cannot be read, or a time or a rate is none.
    """
    table = read_table(file, columns_min=2)
    known_ms = table.times_ms(KNOWN_AT, time_zone)
    rate_e8, good = table.scaled("rate", RATE_DIGITS)
    good &= rate_e8 > 0
    if not good.all():
        row = int(np.argmin(good))
        todo = "Give every row a rate above zero: the deposit currency that one unit of the quote currency buys."
        raise table.error("RATE_NOT_POSITIVE", todo, row, found=repr(table.column("rate")[row]))
    order = np.argsort(known_ms, kind="stable")
    newest = np.searchsorted(known_ms[order], ts_ms, side="right")
    return np.concatenate((np.zeros(1, dtype=np.int64), rate_e8[order]))[newest]
