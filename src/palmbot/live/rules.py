"""What the bot trades by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from palmbot.calendar import Session, is_open, pauses_ahead, session_end
from palmbot.core import fills
from palmbot.core.live_breakers import Limits
from palmbot.core.types import Bar, Instrument, Params
from palmbot.live.feed import Feed, Mark
from palmbot.model import TermsEvent


@dataclass(frozen=True, slots=True)
class Rules:
    """What the bot trades by. ``barred`` says why the broker's terms forbid entries; empty where they do not."""

    params: Params
    instrument: Instrument
    period_ms: int
    session: Session = field(default_factory=Session)
    limits: Limits = field(default_factory=Limits)
    barred: str = ""
    roll_day: int = 0  # first day of a month on which the contract may roll; 0 = it never does

    def new_feed(self) -> Feed:
        """Return a feed that keeps what these rules look back on."""
        params, day_start_ms = self.params, self.instrument.day_start_ms
        spread_px = fills.spread_px(self.instrument, 0)
        return Feed(self.period_ms, day_start_ms, params.spike_bars, spread_px, params.gap_quantile)

    def foreseen(self, bar: Bar) -> Bar:
        """Return ``bar`` with the pauses that the calendar has ahead, where the profile stays out of any."""
        if self.params.flat_before == 0:
            return bar
        hours, end_ms = (self.session, self.roll_day), np.array([bar.end_ms], np.int64)
        ahead = pauses_ahead(end_ms, self.period_ms, self.instrument.day_start_ms, *hours)
        return bar._replace(ahead=int(ahead[0]))

    def was_closed(self, mark: Mark | None, ts_ms: int) -> bool:
        """Return whether the market was closed at some time from ``mark``, the last price, to ``ts_ms``."""
        if mark is None:
            return True
        return not is_open(mark.ts_ms, self.session) or session_end(mark.ts_ms, self.session) <= ts_ms

    def under(self, terms: TermsEvent) -> Rules:
        """Return the rules under other terms of the broker; the old ones, and no entry, where those forbid any."""
        if terms.barred:
            return replace(self, barred=terms.barred)
        return replace(self, instrument=terms.instrument, session=terms.session, barred="")

    def news(self, terms: TermsEvent) -> str:
        """Return what ``terms`` change, in words."""
        if terms.barred:
            return f"no entries, {terms.barred}"
        before, now = self.instrument._asdict(), terms.instrument._asdict()
        moved = [f"{name} {before[name]} -> {value}" for name, value in now.items() if before[name] != value]
        return ", ".join(moved) or "entries may go on"
