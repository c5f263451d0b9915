"""Quotes to bars, and the last mark: what the market looks like to the bot.

The market clock is the newest timestamp seen. A bar ends when that clock reaches its bucket's end, whichever event
brings it there; a tick that comes later belongs to the next bar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palmbot.core.bars import Forming, begun, bucket_end, extended
from palmbot.core.gaps import GAP_BARS, quantile_px
from palmbot.core.types import Bar
from palmbot.model import HistoryBar, Quote
from palmbot.units import RATE_ONE_E8


@dataclass(frozen=True, slots=True)
class Mark:
    """The last quote."""

    ts_ms: int
    bid_px: int
    spread_px: int
    rate_e8: int


class Feed:
    """The forming bar, the last mark, the closes and gaps that decisions look back on. Mutable; owned by one task."""

    def __init__(
        self, period_ms: int, day_start_ms: int, spike_bars: int, spread_px: int, gap_quantile: float = 0.0
    ) -> None:
        self.period_ms = period_ms
        self._day_start_ms = day_start_ms
        self._spread_px = spread_px  # assumed for history, which carries bids only
        self.forming: Forming | None = None
        self.mark: Mark | None = None
        self.closes: deque[int] = deque(maxlen=max(spike_bars, 1))
        self.gaps: deque[int] = deque(maxlen=GAP_BARS if gap_quantile > 0.0 else 0)
        self._gap_quantile = gap_quantile
        self.closed_ms = -1  # end of the last bar that was closed

    def restore(self, past: tuple[Sequence[int], Sequence[int]], closed_ms: int, mark: Mark | None) -> None:
        """Go on from what an earlier run kept; ``past`` are the closes and the open gaps that are looked back on."""
        self.closes.extend(past[0])
        self.gaps.extend(past[1])
        self.closed_ms, self.mark = closed_ms, mark

    def end_of(self, ts_ms: int) -> int:
        """Return the end of the bucket that holds ``ts_ms``."""
        return int(bucket_end(ts_ms, self.period_ms, self._day_start_ms))

    def quote(self, quote: Quote) -> bool:
        """Take in ``quote``; return whether it is the first tick of a bar. Sides that are absent are unchanged.

        A quote of a bar that was closed already moves the mark, not the bar that is forming now (PARITY 30).
        """
        old = self.mark
        bid_px = quote.bid_px if quote.bid_px is not None else (old.bid_px if old is not None else None)
        ask_px = quote.ask_px
        if ask_px is None and old is not None:
            ask_px = old.bid_px + old.spread_px
        if bid_px is None or ask_px is None:
            return False  # no price yet
        now_ms = quote.ts_ms if old is None else max(quote.ts_ms, old.ts_ms)  # the market clock never goes back
        self.mark = Mark(now_ms, bid_px, ask_px - bid_px, quote.rate_e8)
        if quote.ts_ms < self.closed_ms:
            return False
        if self.forming is None:
            self.forming = begun(quote.ts_ms, self.end_of(quote.ts_ms), bid_px)
            return True
        self.forming = extended(self.forming, bid_px)
        return False

    def close(self) -> Bar:
        """End the forming bar and return it as the decision sees it."""
        forming, mark = self.forming, self.mark
        if forming is None or mark is None:
            raise ValueError("no bar is forming")
        self.forming = None
        return self._bar(forming, mark.spread_px, mark.rate_e8)

    def absorb(self, bar: HistoryBar) -> Bar:
        """Return a closed bar of the broker's history as the decision sees it, and move on past it."""
        mark = self._marked(bar)
        return self._bar(self._piece(bar), mark.spread_px, mark.rate_e8)

    def resume(self, bar: HistoryBar) -> None:
        """Go on forming ``bar``, of which the broker's history has the first part."""
        self._marked(bar)
        self.forming = self._piece(bar)

    def _marked(self, bar: HistoryBar) -> Mark:
        """Move the mark to the bar's close. History carries bids only, so spread and rate stay as they were."""
        costs = (self._spread_px, RATE_ONE_E8) if self.mark is None else (self.mark.spread_px, self.mark.rate_e8)
        self.mark = Mark(bar.ts_ms, bar.close_px, *costs)
        return self.mark

    def _piece(self, bar: HistoryBar) -> Forming:
        return Forming(bar.ts_ms, self.end_of(bar.ts_ms), bar.open_px, bar.high_px, bar.low_px, bar.close_px)

    def _bar(self, forming: Forming, spread_px: int, rate_e8: int) -> Bar:
        past_px = self.closes[0] if len(self.closes) == self.closes.maxlen else 0
        if self.closes:
            self.gaps.append(abs(forming.open_px - self.closes[-1]))
        gap_px = int(quantile_px(np.array(self.gaps, np.int64), self._gap_quantile)) if self.gaps else 0
        self.closes.append(forming.close_px)
        self.closed_ms = forming.end_ms
        return Bar(*forming, past_px, spread_px, rate_e8, gap_px)
