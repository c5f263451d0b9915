"""The prices of a symbol as a broker serves them: the last quote, bars of every period, and the newest ticks.

Kept are M1 candles (120 days of a market that never closes, more of one that does) and a number of ticks, all in
columns of integers: taking in a tick costs about a microsecond, joining months of candles a few milliseconds. Bars are
bids, and a minute without a tick has none.

Closed bars from before the first tick, as ``market_arrays.history`` makes them, are served as bars of their own period
and of every coarser one; shorter bars begin with the first tick. So a client that trades daily bars builds them from
H1 or M1, as with any broker (PARITY 32).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from palmbot.calendar import bucket_start, trading_day_start
from palmbot.core.types import Int64Array
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.periods import SPANS, Period, bar_of, bars_of
from palmbot.exchange.values import Refused, Via
from palmbot.instruments import InstrumentSpec
from palmbot.model import HistoryBar
from palmbot.protocol.codec import LATEST_MS
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

CANDLES_KEPT: Final = 120 * 24 * 60
TICKS_KEPT: Final = 100_000
TICKS_WINDOW_MAX_MS: Final = 7 * DAY_MS
BEFORE_TICKS: Final = 4  # said of a bar whose ticks nobody saw: its open, high, low and close
_FIELDS: Final = 6
_TICK_FIELDS: Final = 3


class Candle(NamedTuple):
    """A bar of bids. ``ts_ms`` is its first tick's time in a candle that is kept, its opening in a bar that is served.

    ``ticks`` is what the wire calls volume.
    """

    ts_ms: int
    open_px: int
    high_px: int
    low_px: int
    close_px: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Query:
    """Which bars or ticks, both ends included; the newest ``page`` of them are given.

    With ``count`` it is the newest so many up to ``to_ms``, wherever ``from_ms`` lies. None is not said: up to now, and
    as far back as may be asked for.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    count: int | None = None
    page: int = 14_000
    cuts_wide_windows: bool = False  # instead of refusing them


class BarsPage(NamedTuple):
    """Bars, oldest first. ``has_more``: older ones fit the question."""

    bars: list[Candle]
    has_more: bool


class TicksPage(NamedTuple):
    """Ticks ``(ts_ms, price_px)``, newest first. ``has_more``: older ones fit the question."""

    ticks: list[tuple[int, int]]
    has_more: bool


class _Growing:
    """A bar that ticks are still changing."""

    __slots__ = ("close_px", "end_ms", "high_px", "low_px", "open_px", "ticks", "ts_ms")

    def __init__(self, end_ms: int, candle: Candle) -> None:
        self.end_ms = end_ms
        self.ts_ms, self.open_px, self.high_px, self.low_px, self.close_px, self.ticks = candle

    def extend(self, bid_px: int) -> None:
        self.close_px = bid_px
        self.ticks += 1
        if bid_px > self.high_px:
            self.high_px = bid_px
        elif bid_px < self.low_px:
            self.low_px = bid_px

    def join(self, later: Candle) -> None:
        self.high_px = max(self.high_px, later.high_px)
        self.low_px = min(self.low_px, later.low_px)
        self.close_px = later.close_px
        self.ticks += later.ticks

    def candle(self) -> Candle:
        return Candle(self.ts_ms, self.open_px, self.high_px, self.low_px, self.close_px, self.ticks)


class _Columns:
    """Candles, oldest first, the newest ``kept`` of them for certain; int64 of shape ``(6, count)``."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._cells = np.empty((_FIELDS, 64), dtype=np.int64)
        self._count = 0

    def append(self, candle: Candle) -> None:
        if self._count == self._cells.shape[1]:
            self._make_room()
        self._cells[:, self._count] = candle
        self._count += 1

    def _make_room(self) -> None:
        keep = min(self._count, self._kept)
        cells = np.empty((_FIELDS, max(64, min(2 * keep, self._kept * 5 // 4))), dtype=np.int64)
        cells[:, :keep] = self._cells[:, self._count - keep : self._count]
        self._cells, self._count = cells, keep

    def with_last(self, candle: Candle) -> Int64Array:
        """Return all candles and one that is still growing; to be read before the next append."""
        self.append(candle)
        self._count -= 1
        return self._cells[:, : self._count + 1]


class SymbolPrices:
    """The prices of one symbol.

    Args:
        spec: gives the trading day, and the grid of the bot's own bars.
        before: closed bars from before the first tick, oldest first.
        before_period_ms: their period.
    """

    def __init__(
        self, spec: InstrumentSpec, before: Sequence[HistoryBar] = (), before_period_ms: int = HOUR_MS
    ) -> None:
        self.last: FeedTick | None = None
        self.session_close_px: int | None = None  # last bid of the trading day before
        self._spec = spec
        self._before_period_ms = before_period_ms
        rows = [(*_of_history(bar), BEFORE_TICKS) for bar in before]
        self._before = np.array(rows, dtype=np.int64).reshape(-1, _FIELDS).T
        self._closed = _Columns(CANDLES_KEPT)
        self._minute: _Growing | None = None
        self._live: dict[Period, _Growing] = {}
        self._day_ends_ms = 0
        self._ticks = array("q")

    # -- taking in

    def add(self, tick: FeedTick) -> None:
        """Take in the next tick."""
        self.last = tick
        quote = tick[:_TICK_FIELDS]
        self._ticks.extend(quote)
        ts_ms, bid_px, _ = quote
        minute = self._minute
        if minute is not None and ts_ms < minute.end_ms:
            minute.extend(bid_px)
        else:
            self._begin(Candle(ts_ms, bid_px, bid_px, bid_px, bid_px, 1))
        for period, bar in self._live.items():
            if ts_ms < bar.end_ms:
                bar.extend(bid_px)
            else:
                opens_ms, end_ms = bar_of(period, ts_ms)
                self._live[period] = _Growing(end_ms, Candle(opens_ms, bid_px, bid_px, bid_px, bid_px, 1))

    def restore(self, candles: Iterable[Candle], last: FeedTick | None) -> None:
        """Go on from stored candles, pieces of one minute joined, and the last tick. Ticks are not restored."""
        for candle in candles:
            if self._minute is not None and candle.ts_ms < self._minute.end_ms:
                self._minute.join(candle)
            else:
                self._begin(candle)
        self.last = last

    def _begin(self, candle: Candle) -> None:
        """Begin a minute with its first tick, or a candle of it; now and then drop what is too old."""
        if self._minute is not None:
            self._closed.append(self._minute.candle())
            if candle.ts_ms >= self._day_ends_ms:
                self.session_close_px = self._minute.close_px
        if candle.ts_ms >= self._day_ends_ms:
            self._day_ends_ms = trading_day_start(candle.ts_ms, self._spec.day_start_ms) + DAY_MS
        self._minute = _Growing(candle.ts_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS, candle)
        excess = len(self._ticks) - TICKS_KEPT * _TICK_FIELDS
        if excess > TICKS_KEPT // 4:
            del self._ticks[:excess]

    # -- serving

    @property
    def minute(self) -> Candle | None:
        """The candle that is still growing, to be saved; None before the first tick."""
        return None if self._minute is None else self._minute.candle()

    def candles(self) -> list[Candle]:
        """Return all M1 candles that are kept, oldest first."""
        return _candles(self._columns(0))

    def history(self, period_ms: int, count: int) -> list[HistoryBar]:
        """Return up to ``count`` bars up to now on the bot's own grid (PARITY 26), oldest first.

        A bar's time is its first tick's. The newest is forming when its bucket has not ended.
        """
        columns = self._columns(period_ms)
        opens_ms = bucket_start(columns[0], period_ms, self._spec.day_start_ms)
        first = np.flatnonzero(np.diff(opens_ms, prepend=-1))
        forming = (opens_ms[first] + period_ms > self._now_ms())[-count:].tolist()
        bars = _candles(_joined(columns, first, columns[0][first])[:, -count:])
        return [HistoryBar(*bar[:-1], is_forming=grows) for bar, grows in zip(bars, forming, strict=True)]

    def live(self, period: Period) -> Candle | None:
        """Return the bar of a period that holds the last tick; None before the first. Cheap when asked at each tick."""
        if self.last is None or self._minute is None:
            return None
        if period not in self._live:
            opens_ms, end_ms = bar_of(period, self._minute.ts_ms)
            columns = self._columns(SPANS[period].length_ms)
            columns = columns[:, np.searchsorted(columns[0], opens_ms) :]
            self._live[period] = _Growing(end_ms, _candles(_joined(columns, np.zeros(1, np.int64), opens_ms))[0])
        return self._live[period].candle()

    def trendbars(self, period: Period, query: Query) -> BarsPage | Refused:
        """Return bars of a period, the forming one included; one that opens exactly at either end counts.

        Returns:
            The bars, or INCORRECT_BOUNDARIES: the times are impossible, or further apart than the period allows.
        """
        window = self._window(query, SPANS[period].window_max_ms)
        if isinstance(window, Refused):
            return window
        from_ms, to_ms = window
        columns = self._columns(SPANS[period].length_ms)
        columns = columns[:, : np.searchsorted(columns[0], bar_of(period, to_ms)[1])]
        if from_ms > 0:
            opens_ms, next_ms = bar_of(period, from_ms)
            columns = columns[:, np.searchsorted(columns[0], from_ms if opens_ms == from_ms else next_ms) :]
        if columns.shape[1] == 0:
            return BarsPage([], has_more=False)
        most = query.page if query.count is None else min(query.count, query.page)
        columns = columns[:, -(most + 1) * (SPANS[period].length_ms // MINUTE_MS) :]  # more cannot be in so many bars
        first, opens = bars_of(period, columns[0])
        kept = _joined(columns, first, opens)[:, max(len(first) - most, 0) :]
        return BarsPage(_candles(kept), has_more=len(first) > most)

    def ticks(self, *, is_ask: bool, query: Query) -> TicksPage | Refused:
        """Return the quotes of one side, one for each tick, whether it changed or not; ``query.count`` is not used.

        Returns:
            The ticks, or INCORRECT_BOUNDARIES: the times are impossible, or more than a week apart.
        """
        window = self._window(replace(query, count=None), TICKS_WINDOW_MAX_MS)
        if isinstance(window, Refused):
            return window
        table = np.array(self._ticks, dtype=np.int64).reshape(-1, _TICK_FIELDS)[-TICKS_KEPT:]
        low = int(np.searchsorted(table[:, 0], window[0]))
        high = int(np.searchsorted(table[:, 0], window[1], side="right"))
        newest = table[max(high - query.page, low) : high, [0, 2 if is_ask else 1]][::-1]
        return TicksPage([(ts_ms, price_px) for ts_ms, price_px in newest.tolist()], has_more=high - low > query.page)

    def _window(self, query: Query, window_max_ms: int) -> tuple[int, int] | Refused:
        """Return both ends of what is asked for; a count reaches back to the beginning."""
        to_ms = self._now_ms() if query.to_ms is None else query.to_ms
        from_ms = max(to_ms - window_max_ms, 0) if query.from_ms is None else query.from_ms
        if not 0 <= from_ms <= to_ms <= LATEST_MS:
            return _refused(f"fromTimestamp {from_ms} and toTimestamp {to_ms} are no window of time")
        if query.count is not None:
            return 0, to_ms
        if to_ms - from_ms > window_max_ms and not query.cuts_wide_windows:
            return _refused(f"The window is longer than {window_max_ms} ms")
        return max(from_ms, to_ms - window_max_ms), to_ms

    def _now_ms(self) -> int:
        """Return the time of the last tick; before the first, when the bars from before have certainly ended."""
        if self.last is not None:
            return self.last.ts_ms
        return int(self._before[0, -1]) + self._before_period_ms if self._before.size else 0

    def _columns(self, period_ms: int) -> Int64Array:
        """Return all that bars of a period are made of, int64 of shape ``(6, n)``; to be read before the next tick."""
        sent = self._before[:, :0] if self._minute is None else self._closed.with_last(self._minute.candle())
        if period_ms < self._before_period_ms or self._before.shape[1] == 0:
            return sent
        return np.concatenate((self._before, sent), axis=1)


class Prices(Mapping[int, SymbolPrices]):
    """The prices of everything that is listed, by symbol id.

    Args:
        catalogue: what is listed.
        before: closed bars of the traded symbol from before its first tick, oldest first.
        before_period_ms: their period.
    """

    def __init__(
        self, catalogue: Catalogue, before: Sequence[HistoryBar] = (), before_period_ms: int = HOUR_MS
    ) -> None:
        self._fixed = {each.symbol_id: each.fixed_bid_px for each in catalogue.listings}
        self._of = {each.symbol_id: SymbolPrices(each.spec) for each in catalogue.listings}
        self._of[catalogue.traded_id] = SymbolPrices(catalogue.traded.spec, before, before_period_ms)

    def __getitem__(self, symbol_id: int) -> SymbolPrices:
        return self._of[symbol_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def bid_px(self, symbol_id: int) -> int | None:
        """Return the last bid of a symbol, or the one that never moves; None before its first quote."""
        last = self._of[symbol_id].last
        return self._fixed[symbol_id] if last is None else last.bid_px


def _of_history(bar: HistoryBar) -> tuple[int, int, int, int, int]:
    return bar.ts_ms, bar.open_px, bar.high_px, bar.low_px, bar.close_px


def _refused(text: str) -> Refused:
    return Refused("INCORRECT_BOUNDARIES", text, Via.ERROR_RES)


def _joined(columns: Int64Array, first: Int64Array, ts_ms: Int64Array | int) -> Int64Array:
    """Return one bar for each group of candles that begins at ``first``, with the times ``ts_ms``."""
    bars = np.empty((_FIELDS, len(first)), dtype=np.int64)
    if len(first) > 0:
        bars[0] = ts_ms
        bars[1] = columns[1][first]
        bars[2] = np.maximum.reduceat(columns[2], first)
        bars[3] = np.minimum.reduceat(columns[3], first)
        bars[4] = columns[4][np.append(first[1:], columns.shape[1]) - 1]
        bars[5] = np.add.reduceat(columns[5], first)
    return bars


def _candles(columns: Int64Array) -> list[Candle]:
    return list(map(Candle._make, columns.T.tolist()))
