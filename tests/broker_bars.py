"""What a broker's history should say: prices piece by piece, joined to bars of the period that is asked for."""

from __future__ import annotations

from collections.abc import Iterable

from palmbot.core.bars import Forming, bucket_end, extended
from palmbot.model import HistoryBar


def joined(pieces: Iterable[Forming], period_ms: int, day_start_ms: int, now_ms: int) -> list[HistoryBar]:
    """Return bars of ``period_ms`` made of ``pieces``, oldest first; the newest is forming if it ends after ``now_ms``.

    Args:
        pieces: in order of time, none longer than a bucket of the period or in two of them.
        period_ms: bar period.
        day_start_ms: anchor of buckets of a day and longer.
        now_ms: time of the last tick.
    """
    bars: list[Forming] = []
    for piece in pieces:
        end_ms = bucket_end(piece.ts_ms, period_ms, day_start_ms)
        if bars and bars[-1].end_ms == end_ms:
            for price_px in (piece.high_px, piece.low_px, piece.close_px):
                bars[-1] = extended(bars[-1], price_px)
        else:
            bars.append(piece._replace(end_ms=end_ms))
    return [HistoryBar(bar.ts_ms, *bar[2:], is_forming=bar.end_ms > now_ms) for bar in bars]
