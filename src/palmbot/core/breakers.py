"""Every circuit breaker: state in, event in, state and reason out (PARITY 49-57). All comparisons are exact.

======================  =========================================  =======================  ========================
breaker                 trips                                      does                     until
======================  =========================================  =======================  ========================
daily loss              mark or closing fill                       flatten, block           the next trading day
drawdown from peak      mark or closing fill                       flatten, halt            a person re-arms it
loss streak             closing fill                               block                    bar's end + cooldown
volatility spike        bar close                                  block                    bar's end + pause
open gap                first tick after the decision              drops that one entry     at once
======================  =========================================  =======================  ========================
"""

from __future__ import annotations

from palmbot.core.compiled import compiled, inlined
from palmbot.core.types import Breakers, Decision, Params, Reason, Verdict

_NONE = int(Reason.NONE)
_HALT = int(Reason.HALT_DRAWDOWN)
_DAILY = int(Reason.DAILY_LOSS)
_STREAK = int(Reason.LOSS_STREAK)
_SPIKE = int(Reason.VOLATILITY_SPIKE)
_GAP = int(Reason.OPEN_GAP)
_EXPIRED = int(Reason.DECISION_EXPIRED)
_EXIT_DAILY = int(Reason.BREAKER_DAILY)
_EXIT_DRAWDOWN = int(Reason.BREAKER_DRAWDOWN)


@compiled
def armed(balance_minor: int, day_start_ms: int) -> Breakers:
    """Return the breakers of a fresh account of ``balance_minor``."""
    return Breakers(balance_minor, day_start_ms, 0, balance_minor, 0, 0, 0, 0, 0)


@compiled
def _lost(base_minor: int, equity_minor: int, limit_bp: int) -> bool:
    return base_minor > 0 and limit_bp > 0 and (base_minor - equity_minor) * 10_000 >= limit_bp * base_minor


@compiled
def mark(params: Params, breakers: Breakers, equity_minor: int, now_ms: int) -> tuple[Breakers, Verdict]:
    """Test the loss limits at ``equity_minor``; return the breakers and what tripped now."""
    daily = breakers.day_tripped == 0 and _lost(breakers.day_open_minor, equity_minor, params.daily_loss_bp)
    drawdown = breakers.halted == 0 and _lost(breakers.peak_minor, equity_minor, params.drawdown_bp)
    if not (daily or drawdown):
        return breakers, Verdict(_NONE, 0, 0)
    after = Breakers(
        breakers.day_open_minor,
        breakers.day_start_ms,
        1 if daily else breakers.day_tripped,
        breakers.peak_minor,
        1 if drawdown else breakers.halted,
        now_ms if drawdown else breakers.halted_ms,
        breakers.losses,
        breakers.cooldown_until_ms,
        breakers.pause_until_ms,
    )
    return after, Verdict(_EXIT_DRAWDOWN if drawdown else _EXIT_DAILY, int(daily), int(drawdown))


@compiled
def new_day(breakers: Breakers, equity_minor: int, day_start_ms: int) -> Breakers:
    """Open a trading day at ``equity_minor``; the daily-loss breaker is released."""
    return Breakers(
        equity_minor,
        day_start_ms,
        0,
        breakers.peak_minor,
        breakers.halted,
        breakers.halted_ms,
        breakers.losses,
        breakers.cooldown_until_ms,
        breakers.pause_until_ms,
    )


@compiled
def trade_closed(params: Params, breakers: Breakers, net_minor: int, bar_end_ms: int) -> Breakers:
    """Count a closed trade of ``net_minor``: a loss adds one, a profit resets, zero changes nothing."""
    losses = breakers.losses
    cooldown_until_ms = breakers.cooldown_until_ms
    if net_minor < 0:
        losses += 1
        if params.losses_max > 0 and losses >= params.losses_max:
            losses = 0
            cooldown_until_ms = bar_end_ms + params.cooldown_ms
    elif net_minor > 0:
        losses = 0
    return Breakers(
        breakers.day_open_minor,
        breakers.day_start_ms,
        breakers.day_tripped,
        breakers.peak_minor,
        breakers.halted,
        breakers.halted_ms,
        losses,
        cooldown_until_ms,
        breakers.pause_until_ms,
    )


@inlined
def spikes(params: Params, close_px: int, past_close_px: int) -> bool:
    """Return whether the move from ``past_close_px`` (0 = not known yet) to ``close_px`` is a volatility spike."""
    moved = abs(close_px - past_close_px) * 10_000
    return past_close_px > 0 and params.spike_bp > 0 and moved >= params.spike_bp * past_close_px


@compiled
def bar_closed(
    params: Params, breakers: Breakers, equity_minor: int, close_px: int, past_close_px: int, bar_end_ms: int
) -> Breakers:
    """Move the peak, re-arm a halt that is over, and pause after a volatility spike."""
    peak = max(breakers.peak_minor, equity_minor)
    halted = breakers.halted
    if halted == 1 and params.rearm_after_ms > 0 and bar_end_ms >= breakers.halted_ms + params.rearm_after_ms:
        halted = 0
        peak = equity_minor
    pause_until_ms = breakers.pause_until_ms
    if spikes(params, close_px, past_close_px):
        pause_until_ms = bar_end_ms + params.pause_ms
    return Breakers(
        breakers.day_open_minor,
        breakers.day_start_ms,
        breakers.day_tripped,
        peak,
        halted,
        breakers.halted_ms,
        breakers.losses,
        breakers.cooldown_until_ms,
        pause_until_ms,
    )


@inlined
def blocked(breakers: Breakers, decision_ms: int) -> int:
    """Return the first reason that forbids an entry decided at ``decision_ms``, or NONE."""
    if breakers.halted == 1:
        return _HALT
    if breakers.day_tripped == 1:
        return _DAILY
    if decision_ms < breakers.cooldown_until_ms:
        return _STREAK
    if decision_ms < breakers.pause_until_ms:
        return _SPIKE
    return _NONE


@compiled
def gate(params: Params, breakers: Breakers, decision: Decision, open_px: int, now_ms: int) -> int:
    """Return why a pending entry must be dropped at the tick where it would be sent, or NONE (PARITY 25 and 29)."""
    reason = blocked(breakers, decision.bar_end_ms)
    if reason != _NONE:
        return reason
    gap = abs(open_px - decision.close_px) * 10_000
    if params.open_gap_max_bp > 0 and gap > params.open_gap_max_bp * decision.close_px:
        return _GAP
    if params.decision_ttl_ms > 0 and now_ms - decision.bar_end_ms > params.decision_ttl_ms:
        return _EXPIRED
    return _NONE


@compiled
def with_peak(breakers: Breakers, peak_minor: int) -> Breakers:
    """Return ``breakers`` with another peak."""
    return Breakers(
        breakers.day_open_minor,
        breakers.day_start_ms,
        breakers.day_tripped,
        peak_minor,
        breakers.halted,
        breakers.halted_ms,
        breakers.losses,
        breakers.cooldown_until_ms,
        breakers.pause_until_ms,
    )


@compiled
def shifted(breakers: Breakers, delta_minor: int) -> Breakers:
    """Move the baselines by a deposit (positive) or withdrawal, which is neither profit nor loss."""
    return Breakers(
        breakers.day_open_minor + delta_minor,
        breakers.day_start_ms,
        breakers.day_tripped,
        breakers.peak_minor + delta_minor,
        breakers.halted,
        breakers.halted_ms,
        breakers.losses,
        breakers.cooldown_until_ms,
        breakers.pause_until_ms,
    )
