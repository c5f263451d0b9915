"""Price history: asked for page by page, joined to bars on our own grid (sheet 8, PARITY 26, 32 and 34).

The broker's bars of four hours and more roll at New York's evening, so they are never asked for: a bar is made of the
longest of its shorter ones that fits our grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, cast

from palmbot.adapters.ctrader_link import Link
from palmbot.core.bars import bucket_end
from palmbot.errors import RejectedError, RetryError
from palmbot.model import HistoryBar
from palmbot.ports import Clock
from palmbot.protocol.codec import Terms, bars_of
from palmbot.protocol.codec_errors import Declined, error_of
from palmbot.protocol.codes import RATE_LIMITS
from palmbot.protocol.messages import Message, name, payload_type, pb
from palmbot.units import DAY_MS, MINUTE_MS, SECOND_MS

PAGE_BARS = 4_000
PAGES_MAX = 200
TRIES_MAX = 12  # while the rolling quota of history is used up
TRY_AGAIN_MAX_S = 120


class Part(NamedTuple):
    """A period that lies on the UTC grid, and the longest window that may be asked for in it."""

    minutes: int
    number: pb.TrendbarPeriod
    window_days: int

    @property
    def period_ms(self) -> int:
        """How long its bars are."""
        return self.minutes * MINUTE_MS


PARTS = (
    Part(60, pb.H1, 245),
    Part(30, pb.M30, 245),
    Part(15, pb.M15, 245),
    Part(10, pb.M10, 245),
    Part(5, pb.M5, 35),
    Part(4, pb.M4, 35),
    Part(3, pb.M3, 35),
    Part(2, pb.M2, 35),
    Part(1, pb.M1, 35),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which bars are wanted: their period and, for a day and longer, the anchor of their buckets."""

    period_ms: int
    day_start_ms: int

    def end_of(self, ts_ms: int) -> int:
        """Return the end of the bucket that holds ``ts_ms``."""
        return int(bucket_end(ts_ms, self.period_ms, self.day_start_ms))

    def part(self) -> Part:
        """Return the longest of the broker's periods that never lies in two buckets.

        Raises:
            RejectedError: there is none.
        """
        anchor_ms = self.day_start_ms if self.period_ms >= DAY_MS else 0
        fitting = (each for each in PARTS if self.period_ms % each.period_ms == 0 == anchor_ms % each.period_ms)
        part = next(fitting, None)
        if part is None:
            raise RejectedError("PERIOD_UNFIT", "Ask for bars of whole minutes.", period_ms=self.period_ms)
        return part


@dataclass(frozen=True, slots=True)
class Wanted:
    """Up to ``count`` bars that opened at ``until_ms`` or earlier; ``bid_px`` is the newest bid, if it is known."""

    grid: Grid
    count: int
    until_ms: int
    bid_px: int | None = None


class Line(Protocol):
    """What a question goes over: the bot's link, or a visit."""

    async def ask(self, request: Message, deadline_ms: int | None = None) -> Message | Declined:
        """Return the answer. Raises ``RetryError``: there is none."""


def _unheard(_wait_s: int) -> None:
    """Tell nobody."""


class BarsPage(NamedTuple):
    """What the broker told, by open time in ms, oldest first. ``has_more``: there may be older ones."""

    bars: dict[int, pb.Trendbar]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """Asks for the history of one symbol, and waits while the quota is used up; ``on_wait`` is told for how long.

    Every question raises ``RetryError`` where there is no answer (``HISTORY_QUOTA``: the quota stays used up), and what
    the broker's refusal means otherwise.
    """

    line: Line
    clock: Clock
    account_id: int
    symbol_id: int
    on_wait: Callable[[int], None] = _unheard

    async def bars(self, part: Part, from_ms: int, until_ms: int, count: int | None = None) -> BarsPage:
        """Return bars that opened from ``from_ms`` to ``until_ms``, or the newest ``count`` until then.

        Neither order nor uniqueness is promised on the wire, nor that a count heeds ``from_ms`` (sheet 8).
        """
        request = pb.GetTrendbarsReq(
            ctidTraderAccountId=self.account_id,
            symbolId=self.symbol_id,
            period=part.number,
            fromTimestamp=from_ms,
            toTimestamp=until_ms,
            count=count,
        )
        answer = cast("pb.GetTrendbarsRes", await self._answer(request))
        told = {each.utcTimestampInMinutes * MINUTE_MS: each for each in answer.trendbar}
        has_more = answer.hasMore or not answer.HasField("hasMore")
        return BarsPage({ts_ms: told[ts_ms] for ts_ms in sorted(told) if ts_ms <= until_ms}, has_more)

    async def ticks(self, side: pb.QuoteType, from_ms: int, until_ms: int) -> pb.GetTickDataRes:
        """Return ticks of one side of the market, as the broker codes them."""
        request = pb.GetTickDataReq(
            ctidTraderAccountId=self.account_id,
            symbolId=self.symbol_id,
            type=side,
            fromTimestamp=from_ms,
            toTimestamp=until_ms,
        )
        return cast("pb.GetTickDataRes", await self._answer(request))

    async def now_ms(self) -> int:
        """Return the time of an exchange's market; brokers no longer tell it and their time is ours."""
        request = pb.GetTrendbarsReq(
            ctidTraderAccountId=self.account_id, symbolId=self.symbol_id, period=pb.M1, count=1
        )
        answer = cast("pb.GetTrendbarsRes", await self._answer(request))
        return answer.timestamp if answer.HasField("timestamp") else self.clock.utc_ms()

    async def _answer(self, request: Message) -> Message:
        for attempt in range(TRIES_MAX):
            answer = await self.line.ask(request)
            if not isinstance(answer, Declined):
                return answer
            if answer.code not in RATE_LIMITS:
                raise error_of(answer, name(payload_type(request)))
            told_s = -(-(answer.retry_after_ms or 0) // SECOND_MS)  # the broker's own word may be short
            wait_s = min(max(2**attempt, told_s), TRY_AGAIN_MAX_S)
            self.on_wait(wait_s)
            await self.clock.sleep(wait_s)
        todo = "Try again later: the broker gives no more history for now."
        raise RetryError("HISTORY_QUOTA", todo, tries=TRIES_MAX)


async def read_bars(link: Link, clock: Clock, terms: Terms, wanted: Wanted) -> list[HistoryBar]:
    """Return the bars that are wanted, oldest first; none is marked as forming.

    Args:
        link: to ask over.
        clock: the machine's, to wait on while the quota is used up.
        terms: of the account and symbol.
        wanted: which bars.

    Raises:
        RejectedError: no such bars can be made.
        RetryError: the link was lost, or the quota stays used up.
    """
    grid, until_ms = wanted.grid, wanted.until_ms
    part, reader = grid.part(), Reader(link, clock, terms.account_id, terms.symbol_id)
    count = min((wanted.count + 1) * (grid.period_ms // part.period_ms) + 1, PAGE_BARS)
    pieces: dict[int, HistoryBar] = {}
    bars: list[HistoryBar] = []
    for _ in range(PAGES_MAX):
        told = await reader.bars(part, max(until_ms - part.window_days * DAY_MS, 0), until_ms, count)
        page = bars_of(told.bars.values(), None if pieces else wanted.bid_px)
        older = {ts_ms: bar for ts_ms, bar in page.items() if ts_ms not in pieces}
        if not older:
            return joined(pieces, grid)[-wanted.count :]
        pieces = dict(sorted((older | pieces).items()))
        until_ms = max(next(iter(pieces)) - 1, 0)
        bars = joined(pieces, grid)[1:]  # the oldest may lack its first pieces
        if len(bars) >= wanted.count:
            break
    return bars[-wanted.count :]


def joined(pieces: dict[int, HistoryBar], grid: Grid) -> list[HistoryBar]:
    """Return the bars of ``grid`` that ``pieces``, in order of time, make up. A bar's time is its first piece's."""
    bars: dict[int, HistoryBar] = {}
    for piece in pieces.values():
        end_ms = grid.end_of(piece.ts_ms)
        bar = bars.get(end_ms)
        bars[end_ms] = piece if bar is None else _extended(bar, piece)
    return list(bars.values())


def _extended(bar: HistoryBar, piece: HistoryBar) -> HistoryBar:
    high_px, low_px = max(bar.high_px, piece.high_px), min(bar.low_px, piece.low_px)
    return replace(bar, high_px=high_px, low_px=low_px, close_px=piece.close_px)


def marked(bars: Iterable[HistoryBar], grid: Grid, now_ms: int | None) -> list[HistoryBar]:
    """Return ``bars`` with those marked as forming that end after ``now_ms``; None: the market has not begun."""
    return [
        replace(bar, is_forming=True) if now_ms is not None and grid.end_of(bar.ts_ms) > now_ms else bar for bar in bars
    ]
