"""The circuit breakers a second time (PARITY 49-57): plain values, the rules' own formulas."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from palmbot.core.types import Breakers, Params, Reason


@dataclass
class Guards:
    """The breakers of one account."""

    day_open_minor: int
    day_start_ms: int
    peak_minor: int
    day_tripped: bool = False
    halted: bool = False
    halted_ms: int = 0
    losses: int = 0
    cooldown_until_ms: int = 0
    pause_until_ms: int = 0

    def trips(self, params: Params, equity: int, now_ms: int) -> tuple[bool, bool]:
        """Test both loss limits; return what tripped now: daily loss, drawdown.

        A share of nothing is no limit: neither trips while its base is not positive.
        """
        lost_today, lost = self.day_open_minor - equity, self.peak_minor - equity
        daily = not self.day_tripped and 0 < params.daily_loss_bp * self.day_open_minor <= lost_today * 10_000
        drawdown = not self.halted and 0 < params.drawdown_bp * self.peak_minor <= lost * 10_000
        self.day_tripped |= daily
        if drawdown:
            self.halted, self.halted_ms = True, now_ms
        return daily, drawdown

    def count(self, params: Params, net_minor: int, bar_end_ms: int) -> None:
        """Count a closed trade towards the loss streak."""
        if net_minor > 0:
            self.losses = 0
        elif net_minor < 0:
            self.losses += 1
            if self.losses == params.losses_max:
                self.losses = 0
                self.cooldown_until_ms = bar_end_ms + params.cooldown_ms

    def bar_closed(self, params: Params, equity: int, close_px: int, past_px: int | None, end_ms: int) -> bool:
        """Move the peak, re-arm a halt that is over (and return whether), pause after a volatility spike."""
        self.peak_minor = max(self.peak_minor, equity)
        over = self.halted and params.rearm_after_ms > 0 and end_ms - self.halted_ms >= params.rearm_after_ms
        if over:
            self.halted, self.peak_minor = False, equity
        if params.spike_bp > 0 and past_px is not None:
            moved = abs(Fraction(close_px, past_px) - 1)
            if moved >= Fraction(params.spike_bp, 10_000):
                self.pause_until_ms = end_ms + params.pause_ms
        return over

    def blocked(self, decision_ms: int) -> int:
        """Return the first breaker, in the order of ``Reason``, that blocks an entry; 0 when none does."""
        blocks = {
            Reason.HALT_DRAWDOWN: self.halted,
            Reason.DAILY_LOSS: self.day_tripped,
            Reason.LOSS_STREAK: decision_ms < self.cooldown_until_ms,
            Reason.VOLATILITY_SPIKE: decision_ms < self.pause_until_ms,
        }
        return min((int(reason) for reason, holds in blocks.items() if holds), default=0)

    def as_core(self) -> Breakers:
        """Return the same as the core's value."""
        return Breakers(
            self.day_open_minor,
            self.day_start_ms,
            int(self.day_tripped),
            self.peak_minor,
            int(self.halted),
            self.halted_ms,
            self.losses,
            self.cooldown_until_ms,
            self.pause_until_ms,
        )
