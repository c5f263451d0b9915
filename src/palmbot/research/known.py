"""What was known, and since when: sentiment, conversion rates and the series of related markets.

A row is known from its ``known_at`` on. A bar says when it began and not when its close was known, so that a file of
bars needs the delay: a daily close joined by its own date would be known before it was made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, RollArrays, SentimentArrays
from palmbot.errors import ConfigError
from palmbot.research.tables import TIME_NAMES, TextTable, read_table
from palmbot.settings import RelatedSettings
from palmbot.units import DAY_MS, SECOND_MS, px_of_rate, rate_of_px

KNOWN_AT = ("known_at",)
SCORE_DIGITS = 9
RATE_DIGITS = 8
VALUE_DIGITS = 8
NONE = "none"  # instead of the fingerprint of what is not there


@dataclass(frozen=True, slots=True)
class RelatedSeries:
    """The values of a related market by when they became known: strictly ascending, shape (n,).

    Attributes:
        rows: over how many rows a change is taken.
        superseded: rows left out because a later row was known at the same time.
    """

    name: str
    file: Path
    known_ms: Int64Array
    value: Float64Array
    stale_after_ms: int
    rows: int
    superseded: int

    def newest(self, instants_ms: Int64Array) -> Int64Array:
        """Return the row known at each instant; -1 where none was, or the newest had gone stale."""
        at = newest(self.known_ms, instants_ms)
        if self.known_ms.size == 0:
            return at
        return np.where(instants_ms - self.known_ms[at] > self.stale_after_ms, -1, at)

    def changes(self, instants_ms: Int64Array) -> Float64Array:
        """Return the change known at each instant, ln(value / value ``rows`` before); NaN where there is none.

        Prices can be zero or below, as those of crude oil on 20 April 2020: their changes have no logarithm.
        """
        log = np.log(np.where(self.value > 0.0, self.value, np.nan))
        change = np.full(log.size + 1, np.nan)  # the last, where nothing is known, is -1
        change[self.rows : -1] = log[self.rows :] - log[: -self.rows]
        return change[self.newest(instants_ms)]


def fingerprint(known: SentimentArrays | RollArrays) -> str:
    """Return the sha256 of what is known beside the bars, hex; `NONE` where there is nothing."""
    if known[0].size == 0:
        return NONE
    digest = hashlib.sha256()
    for values in known:
        digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def newest(known_ms: Int64Array, instants_ms: Int64Array) -> Int64Array:
    """Return the index of the newest value known at each instant, -1 before the first.

    Args:
        known_ms: since when each is known, ascending; of several known at one time the last counts (PARITY 59).
        instants_ms: any shape. What becomes known at an instant is known at it.
    """
    return np.asarray(np.searchsorted(known_ms, instants_ms, side="right") - 1, np.int64)


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
    return np.append(rate_e8[order], 0)[newest(known_ms[order], ts_ms)]  # -1, nothing known, is the last


def read_related(settings: RelatedSettings, time_zone: str) -> RelatedSeries:
    """Return the series of ``settings.file``: ``known_at,value``, or bars, whose close is known after a delay.

    Raises:
        ConfigError: it is not said since when a bar's close is known, or said twice, or sooner than the bar ends.
        DataError: the file cannot be read, or a time or a value is none.
    """
    table = read_table(settings.file, columns_min=2)
    known_ms = _known_ms(table, settings, time_zone)
    column = "close" if table.has("close") else "value"
    scaled, good = table.scaled(column, VALUE_DIGITS)
    if not good.all():
        row = int(np.argmin(good))
        todo = f"Give every row a plain decimal number as its {column}; leave rows without one out."
        raise table.error("RELATED_NOT_A_NUMBER", todo, row, found=repr(table.column(column)[row]))
    order = np.argsort(known_ms, kind="stable")
    is_last = np.append(np.diff(known_ms[order]) > 0, True)[: order.size]
    kept = order[is_last]
    return RelatedSeries(
        settings.name,
        settings.file,
        known_ms[kept],
        scaled[kept] / 10**VALUE_DIGITS,
        settings.stale_after_ms,
        settings.rows,
        int(order.size - kept.size),
    )


def _known_ms(table: TextTable, settings: RelatedSettings, time_zone: str) -> Int64Array:
    """Return since when each row is known, in the order of the file."""
    setting, delay_ms = f"data.related.{settings.name}.known_after", settings.known_after_ms
    if table.has(KNOWN_AT[0]):
        if delay_ms is not None:
            todo = "Leave it out: the column known_at of the file says since when each row is known."
            raise ConfigError("RELATED_KNOWN_TWICE", todo, setting=setting, file=settings.file)
        return table.times_ms(KNOWN_AT, time_zone)
    if delay_ms is None:
        todo = (
            f'Write {setting} = "20h", or however long after its stamp the close of a bar is known: a daily close on '
            "its own date is look-ahead."
        )
        raise ConfigError("RELATED_DELAY_MISSING", todo, setting=setting, file=settings.file)
    ts_ms = table.times_ms(TIME_NAMES, time_zone)
    steps, counts = np.unique(np.diff(np.unique(ts_ms)), return_counts=True)
    period_ms = int(steps[np.argmax(counts)]) if steps.size else 0
    if delay_ms < period_ms < DAY_MS:  # a stamp of a day is a date: the market may close long before the day ends
        todo = f"Make {setting} at least {period_ms // SECOND_MS}s: stamps are openings, a close is later by a bar."
        raise ConfigError("RELATED_DELAY_TOO_SHORT", todo, setting=setting, known_after_ms=delay_ms)
    return ts_ms + delay_ms
