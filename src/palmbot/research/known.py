"""Series of what was known, and since when: sentiment and conversion rates, each a table with a ``known_at`` column."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palmbot.core.types import Int64Array, SentimentArrays
from palmbot.research.tables import read_table
from palmbot.units import px_of_rate, rate_of_px

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


def read_rates(file: Path, time_zone: str, ts_ms: Int64Array, is_inverse: bool) -> Int64Array:
    """Return the quote-to-deposit rate of ``file`` (``known_at,rate``) known at each ``ts_ms``, x 10^8, shape (n,).

    0 stands where none was known yet. Of two rates known at one time the later row counts. A rate is rounded to what a
    broker can say: the pair's price of five decimals, so that backtest and exchange book with one number.

    Args:
        file: the table.
        time_zone: of times that name none.
        ts_ms: shape (n,).
        is_inverse: the market lists the pair the other way round, as ``units.rate_of_px`` has it.

    Raises:
        DataError: the file cannot be read, a time or a rate is none, or five decimals cannot say the rate.
    """
    table = read_table(file, columns_min=2)
    known_ms = table.times_ms(KNOWN_AT, time_zone)
    rate_e8, good = table.scaled("rate", RATE_DIGITS)
    good &= rate_e8 > 0
    if not good.all():
        row = int(np.argmin(good))
        todo = "Give every row a rate above zero: the deposit currency that one unit of the quote currency buys."
        raise table.error("RATE_NOT_POSITIVE", todo, row, found=repr(table.column("rate")[row]))
    pair_px = np.array([px_of_rate(rate, is_inverse) for rate in rate_e8.tolist()], dtype=np.int64)
    if not pair_px.all():
        row = int(np.argmin(pair_px != 0))
        todo = "Choose another deposit currency: a price of five decimals, as brokers quote, cannot say this rate."
        raise table.error("RATE_NOT_SAYABLE", todo, row, found=repr(table.column("rate")[row]))
    rate_e8 = np.array([rate_of_px(px, is_inverse) for px in pair_px.tolist()], dtype=np.int64)
    order = np.argsort(known_ms, kind="stable")
    newest = np.searchsorted(known_ms[order], ts_ms, side="right")
    return np.concatenate((np.zeros(1, dtype=np.int64), rate_e8[order]))[newest]
