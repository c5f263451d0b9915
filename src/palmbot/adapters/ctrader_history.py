"""Price history: asked for page by page, joined to bars on our own grid (sheet 8, PARITY 26, 32 and 34).

The broker's bars of four hours and more roll at New York's evening, so they are never asked for: a bar is made of the
longest of its shorter ones that fits our grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from palmbot.adapters.ctrader_link import Link
from palmbot.core.bars import bucket_end
from palmbot.errors import RejectedError, RetryError
from palmbot.model import HistoryBar
from palmbot.ports import Clock
from palmbot.protocol.codec import Terms, bars_of
from palmbot.protocol.codec_errors import Declined, error_of
from palmbot.protocol.codes import RATE_LIMITS
from palmbot.protocol.messages import pb
from palmbot.units import DAY_MS, MINUTE_MS

PAGE_BARS = 4_000
PAGES_MAX = 200
TRIES_MAX = 12  # while the rolling quota of history is used up
TRY_AGAIN_MAX_S = 120


class _Part(NamedTuple):
    """A period that lies on the UTC grid, and the longest window that may be asked for in it."""

    minutes: int
    number: pb.TrendbarPeriod
    window_days: int

    @property
    def period_ms(self) -> int:
        return self.minutes * MINUTE_MS


PARTS = (
    _Part(60, pb.H1, 245),
    _Part(30, pb.M30, 245),
    _Part(15, pb.M15, 245),
    _Part(10, pb.M10, 245),
    _Part(5, pb.M5, 35),
    _Part(4, pb.M4, 35),
    _Part(3, pb.M3, 35),
    _Part(2, pb.M2, 35),
    _Part(1, pb.M1, 35),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which bars are wanted: their period and, for a day and longer, the anchor of their buckets."""

    period_ms: int
    day_start_ms: int

    def end_of(self, ts_ms: int) -> int:
        """Return the end of the bucket that holds ``ts_ms``."""
        return int(bucket_end(ts_ms, self.period_ms, self.day_start_ms))

    def part(self) -> _Part:
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
    part = grid.part()
    pieces: dict[int, HistoryBar] = {}
    bars: list[HistoryBar] = []
    for _ in range(PAGES_MAX):
        request = pb.GetTrendbarsReq(
            ctidTraderAccountId=terms.account_id,
            symbolId=terms.symbol_id,
            period=part.number,
            fromTimestamp=max(until_ms - part.window_days * DAY_MS, 0),
            toTimestamp=until_ms,
            count=min((wanted.count + 1) * (grid.period_ms // part.period_ms) + 1, PAGE_BARS),
        )
        page = bars_of(await _page(link, clock, request), None if pieces else wanted.bid_px)
        older = {ts_ms: bar for ts_ms, bar in page.items() if ts_ms not in pieces}
        if not older:
            return joined(pieces, grid)[-wanted.count :]
        pieces = dict(sorted((older | pieces).items()))
        until_ms = max(next(iter(pieces)) - 1, 0)
        bars = joined(pieces, grid)[1:]  # the oldest may lack its first pieces
        if len(bars) >= wanted.count:
            break
    return bars[-wanted.count :]


async def _page(link: Link, clock: Clock, request: pb.GetTrendbarsReq) -> Iterable[pb.Trendbar]:
    """Return what the broker has, waiting for the quota."""
    for attempt in range(TRIES_MAX):
        answer = await link.ask(request)
        if not isinstance(answer, Declined):
            return cast("pb.GetTrendbarsRes", answer).trendbar
        if answer.code not in RATE_LIMITS:
            raise error_of(answer, "GetTrendbarsReq")
        await clock.sleep(min(2**attempt, TRY_AGAIN_MAX_S))  # the broker's own word, which the link heeds, may be short
    raise RetryError("HISTORY_QUOTA", "Try again later: the broker gives no more history for now.", tries=TRIES_MAX)


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
