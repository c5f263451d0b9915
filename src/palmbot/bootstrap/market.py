"""What is traded in one paper run: the bars of a file, or the generated market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palmbot.adapters.ctrader_history import Grid
from palmbot.adapters.journal import Journal
from palmbot.core.types import BarArrays, RollArrays, SentimentArrays
from palmbot.exchange.books import Books
from palmbot.exchange.feed import Feed, FileFeed, GeneratedFeed
from palmbot.exchange.market_arrays import history, history_sentiment
from palmbot.research import data
from palmbot.research.known import read_sentiment
from palmbot.research.result import DataSet
from palmbot.sentiment.timeline import Timeline
from palmbot.settings import Settings

HISTORY_BARS = 500


@dataclass(frozen=True, slots=True)
class Market:
    """What is traded in one run: its feed, its sentiment, and its facts for the summary."""

    feed: Feed
    timeline: Timeline
    series: DataSet


def market_of(settings: Settings, books: Books, journal: Journal) -> Market:
    """Return the market of ``settings``, standing where ``books`` left it."""
    spec = settings.instrument
    if settings.data.file is not None:
        series = data.load(settings.data, spec)
        rows = zip(series.sentiment.known_ms.tolist(), series.sentiment.score.tolist(), strict=True)
        return Market(FileFeed(series.spec.core, series.bars, series.rolls, books.feed_state()), Timeline(rows), series)
    period_ms, seed = settings.run.period_ms, settings.run.seed
    piece_ms = pieces_ms(settings)
    past, state = history(spec, seed, HISTORY_BARS * period_ms // piece_ms, piece_ms)
    timeline = Timeline((row.known_ms, row.score) for row in history_sentiment(past, spec, seed, piece_ms))
    stands, sent = books.feed_state(), 0
    if stands is not None:
        state, sent = GeneratedFeed.state_of(stands)
    newest = journal.last("bar_closed")
    if newest is not None and newest.body["sentiment"] is not None:
        timeline.add(newest.body["sentiment_known_ms"], newest.body["sentiment"])
    feed = GeneratedFeed(spec, state, sent, past, lambda row: timeline.add(row.known_ms, row.score))
    return Market(feed, timeline, generated_series(settings))


def timeline_of(settings: Settings) -> Timeline:
    """Return the sentiment of the file that ``settings`` name, for a market that comes without bars of a file.

    Raises:
        DataError: it cannot be read.
    """
    if settings.data.sentiment_file is None:
        return Timeline()
    rows = read_sentiment(settings.data.sentiment_file, settings.data.time_zone)
    return Timeline(zip(rows.known_ms.tolist(), rows.score.tolist(), strict=True))


def pieces_ms(settings: Settings) -> int:
    """Return the period of the bars from before a generated market's start, of which those of the bot are made.

    Raises:
        RejectedError: the bot's period is not made of any that a broker has.
    """
    return Grid(settings.run.period_ms, settings.instrument.core.day_start_ms).part().period_ms


def generated_series(settings: Settings) -> DataSet:
    """Return the facts of a market that is not in a file; its bars are those that the bot will have seen."""
    empty = np.zeros(0, np.int64)
    return DataSet(
        name="generated market (SYNTHETIC)",
        spec=settings.instrument,
        period_ms=settings.run.period_ms,
        adjustment="none",
        bars=BarArrays(*(empty for _ in BarArrays._fields)),
        rolls=no_rolls(),
        sentiment=SentimentArrays(empty, np.zeros(0)),
        rows_read=0,
        rows_outside_session=0,
        notes=("SYNTHETIC: prices and sentiment are generated; nothing here says anything about a real market.",),
        fingerprint="",
        synthetic=True,
    )


def no_rolls() -> RollArrays:
    """Return the rolls of a series that has none."""
    empty = np.zeros(0, np.int64)
    return RollArrays(empty, empty)
