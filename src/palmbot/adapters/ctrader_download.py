"""History as it is kept on disk: every bar or tick that the broker has of one window, as columns of integers.

A window is ``[from_ms, to_ms)``. What comes is put in order, doubles and strangers to the window are left out; what
cannot be true is refused, for it would be kept for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from palmbot.adapters.ctrader_history import PAGES_MAX, Part, Reader
from palmbot.core.types import Int64Array
from palmbot.errors import RetryError
from palmbot.protocol.codec import LATEST_MS
from palmbot.protocol.messages import pb
from palmbot.units import DAY_MS, PX

WINDOW_BARS = 10_080  # a week of minutes: brokers answer as much on few pages
TICKS_WINDOW_MS = DAY_MS
TICK_PAGES_MAX = 2_000  # of one window
PRICE_MAX_PX = 1_000_000_000 * PX


class Bars(NamedTuple):
    """Bars of bids by their opening, oldest first; int64 of shape ``(n,)``. ``volume`` counts ticks."""

    ts_ms: Int64Array
    open_px: Int64Array
    high_px: Int64Array
    low_px: Int64Array
    close_px: Int64Array
    volume: Int64Array


class Ticks(NamedTuple):
    """Ticks, oldest first; int64 of shape ``(n,)``. 0: that side did not tick then."""

    ts_ms: Int64Array
    bid_px: Int64Array
    ask_px: Int64Array


def window_ms(part: Part) -> int:
    """Return how long a window of bars may be, with room for one more bar before it.

    It is what may be asked for at once, and not too much to lose.
    """
    return min(part.window_days * DAY_MS, WINDOW_BARS * part.period_ms) - part.period_ms


async def download_bars(reader: Reader, part: Part, from_ms: int, to_ms: int) -> Bars:
    """Return the bars of a window.

    Raises:
        RetryError: there is no answer; ``HISTORY_QUOTA``; ``HISTORY_UNFIT``: a bar that cannot be; ``HISTORY_ENDLESS``.
        PalmbotError: what the broker's refusal means.
    """
    told: dict[int, pb.Trendbar] = {}
    until_ms = to_ms - 1
    for _ in range(PAGES_MAX):
        page = await reader.bars(part, from_ms, until_ms)
        inside = {ts_ms: bar for ts_ms, bar in page.bars.items() if ts_ms >= from_ms}
        told |= inside
        oldest_ms = min(inside, default=from_ms)
        if oldest_ms == from_ms or not page.has_more:
            return _bars(told, part.period_ms)
        until_ms = oldest_ms - 1
    raise _endless(from_ms, to_ms)


def _bars(told: Mapping[int, pb.Trendbar], period_ms: int) -> Bars:
    rows = []
    for ts_ms in sorted(told):
        bar = told[ts_ms]
        open_px, high_px, close_px = (bar.low + delta for delta in (bar.deltaOpen, bar.deltaHigh, bar.deltaClose))
        is_sound = 0 < bar.low <= high_px <= PRICE_MAX_PX and max(open_px, close_px) <= high_px
        if not is_sound or ts_ms % period_ms != 0 or bar.volume < 0:
            raise _unfit("bar", ts_ms, f"{open_px}/{high_px}/{bar.low}/{close_px} volume {bar.volume}")
        rows.append((ts_ms, open_px, high_px, bar.low, close_px, bar.volume))
    return Bars(*np.array(rows, dtype=np.int64).reshape(-1, len(Bars._fields)).T.copy())


async def download_ticks(reader: Reader, from_ms: int, to_ms: int) -> Ticks:
    """Return the ticks of a window, both sides; it raises what ``download_bars`` does.

    The n-th bid and the n-th ask of one millisecond are one row.
    """
    sides = [await _side(reader, side, from_ms, to_ms) for side in (pb.BID, pb.ASK)]
    ts_ms = np.concatenate([ts_ms for ts_ms, _ in sides])
    nth = np.concatenate([_nth(ts_ms) for ts_ms, _ in sides])
    order = np.lexsort((nth, ts_ms))
    ts_ms, nth = ts_ms[order], nth[order]
    is_new = (np.diff(ts_ms, prepend=-1) != 0) | (np.diff(nth, prepend=-1) != 0)
    row = np.empty(order.size, dtype=np.int64)
    row[order] = np.cumsum(is_new) - 1
    prices = np.zeros((2, int(np.count_nonzero(is_new))), dtype=np.int64)
    bids = sides[0][0].size
    prices[0, row[:bids]], prices[1, row[bids:]] = sides[0][1], sides[1][1]
    return Ticks(ts_ms[is_new], prices[0], prices[1])


def _nth(ts_ms: Int64Array) -> Int64Array:
    """Return how many ticks before each one, of ordered ones, have its time."""
    return np.arange(ts_ms.size, dtype=np.int64) - np.searchsorted(ts_ms, ts_ms)


async def _side(reader: Reader, side: pb.QuoteType, from_ms: int, to_ms: int) -> tuple[Int64Array, Int64Array]:
    """Return times and prices of one side, oldest first.

    A page may end amid the ticks of one millisecond, so the next one begins with that whole millisecond again.
    """
    pages = [(np.empty(0, np.int64), np.empty(0, np.int64))]  # newest first
    until_ms = to_ms - 1
    for _ in range(TICK_PAGES_MAX):
        ts_ms, px, has_more = _decoded(await reader.ticks(side, from_ms, until_ms))
        inside = (ts_ms >= from_ms) & (ts_ms <= until_ms)
        ts_ms, px = ts_ms[inside], px[inside]
        if not has_more or ts_ms.size == 0:
            pages.append((ts_ms, px))
            ordered_ms, ordered_px = (np.concatenate(column)[::-1] for column in zip(*pages, strict=True))
            return ordered_ms, ordered_px
        oldest_ms = int(ts_ms[-1])
        until_ms = oldest_ms
        if oldest_ms == ts_ms[0]:  # a whole page of one millisecond: nothing more of it can be asked for
            until_ms -= 1
            oldest_ms -= 1
        pages.append((ts_ms[ts_ms > oldest_ms], px[ts_ms > oldest_ms]))
    raise _endless(from_ms, to_ms)


def _decoded(answer: pb.GetTickDataRes) -> tuple[Int64Array, Int64Array, bool]:
    """Return times and prices of a page, newest first: on the wire each is its difference to the one before."""
    coded = np.array([(each.timestamp, each.tick) for each in answer.tickData], dtype=np.int64).reshape(-1, 2)
    ts_ms, px = np.cumsum(coded, axis=0).T.copy()
    is_sound = (np.diff(ts_ms, prepend=ts_ms[:1]) <= 0) & (ts_ms >= 0) & (ts_ms <= LATEST_MS)
    is_sound &= (px > 0) & (px <= PRICE_MAX_PX)
    if not is_sound.all():
        at = int(np.argmin(is_sound))
        raise _unfit("tick", int(ts_ms[at]), str(px[at]))
    return ts_ms, px, answer.hasMore


def _unfit(what: str, ts_ms: int, told: str) -> RetryError:
    todo = "Try again later, or leave that time out with --from and --to: the broker told what cannot be."
    return RetryError("HISTORY_UNFIT", todo, what=what, ts_ms=ts_ms, told=repr(told))


def _endless(from_ms: int, to_ms: int) -> RetryError:
    todo = "Try again later: the broker's answers for this time have no end."
    return RetryError("HISTORY_ENDLESS", todo, from_ms=from_ms, to_ms=to_ms)
