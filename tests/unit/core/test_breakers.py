"""Each breaker blocks exactly what it says, exactly until it says."""

from __future__ import annotations

import pytest

from palmbot.core import breakers
from palmbot.core.types import Breakers, Decision, Params, Reason, Verdict
from palmbot.units import DAY_MS, HOUR_MS

NOW_MS = 1_704_110_400_000
DAY_START_MS = NOW_MS - HOUR_MS
BALANCE = 1_000_000
ARMED = breakers.armed(BALANCE, DAY_START_MS)
QUIET = Verdict(Reason.NONE, 0, 0)
PARAMS = Params()  # 5 % a day, 25 % from the peak, 3 losses, 3 % spikes


def decision(end_ms: int = NOW_MS, close_px: int = 100_000) -> Decision:
    """Return a pending entry."""
    return Decision(1, Reason.ENTRY_LONG, 1, 25, 1_000, 1_000, end_ms, close_px, 1, 0)


# ---- daily loss


def test_a_daily_loss_of_exactly_the_limit_trips() -> None:
    assert breakers.mark(PARAMS, ARMED, 950_001, NOW_MS) == (ARMED, QUIET)
    after, verdict = breakers.mark(PARAMS, ARMED, 950_000, NOW_MS)
    assert verdict == Verdict(Reason.BREAKER_DAILY, 1, 0)
    assert after == ARMED._replace(day_tripped=1)


def test_a_daily_limit_that_is_no_whole_amount_trips_at_the_next_worse_one() -> None:
    odd = breakers.armed(999_999, DAY_START_MS)  # 5 % is 49 999.95
    assert breakers.mark(PARAMS, odd, 950_000, NOW_MS)[1] == QUIET
    assert breakers.mark(PARAMS, odd, 949_999, NOW_MS)[1].daily == 1


def test_a_tripped_day_does_not_trip_again_and_blocks_until_the_next() -> None:
    tripped, _ = breakers.mark(PARAMS, ARMED, 940_000, NOW_MS)
    assert breakers.mark(PARAMS, tripped, 900_000, NOW_MS + 1) == (tripped, QUIET)
    assert breakers.blocked(tripped, NOW_MS) == Reason.DAILY_LOSS
    assert breakers.blocked(tripped, NOW_MS + 100 * DAY_MS) == Reason.DAILY_LOSS  # only a new day releases it
    released = breakers.new_day(tripped, 940_000, DAY_START_MS + DAY_MS)
    assert released == ARMED._replace(day_open_minor=940_000, day_start_ms=DAY_START_MS + DAY_MS)
    assert breakers.blocked(released, NOW_MS) == Reason.NONE


def test_the_new_day_measures_from_its_own_open() -> None:
    risen = breakers.new_day(ARMED, 2_000_000, DAY_START_MS + DAY_MS)
    assert breakers.mark(PARAMS, risen, 1_900_001, NOW_MS)[1] == QUIET
    assert breakers.mark(PARAMS, risen, 1_900_000, NOW_MS)[1].daily == 1


# ---- drawdown


def test_a_drawdown_of_exactly_the_limit_halts() -> None:
    params = PARAMS._replace(daily_loss_bp=0)
    assert breakers.mark(params, ARMED, 750_001, NOW_MS) == (ARMED, QUIET)
    after, verdict = breakers.mark(params, ARMED, 750_000, NOW_MS)
    assert verdict == Verdict(Reason.BREAKER_DRAWDOWN, 0, 1)
    assert after == ARMED._replace(halted=1, halted_ms=NOW_MS)
    assert breakers.blocked(after, NOW_MS + 100 * DAY_MS) == Reason.HALT_DRAWDOWN


def test_a_new_day_does_not_end_a_halt() -> None:
    halted, _ = breakers.mark(PARAMS, ARMED, 700_000, NOW_MS)
    assert breakers.blocked(breakers.new_day(halted, 700_000, NOW_MS), NOW_MS) == Reason.HALT_DRAWDOWN


def test_both_limits_at_one_mark_are_both_told_and_the_halt_is_the_reason() -> None:
    after, verdict = breakers.mark(PARAMS, ARMED, 700_000, NOW_MS)
    assert verdict == Verdict(Reason.BREAKER_DRAWDOWN, 1, 1)
    assert (after.day_tripped, after.halted) == (1, 1)


def test_a_mark_above_the_peak_does_not_move_it() -> None:
    assert breakers.mark(PARAMS, ARMED, 1_200_000, NOW_MS) == (ARMED, QUIET)


def test_a_bars_close_moves_the_peak_up_and_never_down() -> None:
    risen = breakers.bar_closed(PARAMS, ARMED, 1_200_000, 100_000, 0, NOW_MS)
    assert risen == ARMED._replace(peak_minor=1_200_000)
    assert breakers.bar_closed(PARAMS, risen, 1_100_000, 100_000, 0, NOW_MS) == risen


def test_a_halt_is_final_unless_it_is_told_to_end() -> None:
    halted = ARMED._replace(halted=1, halted_ms=NOW_MS)
    assert breakers.bar_closed(PARAMS, halted, 700_000, 100_000, 0, NOW_MS + 1_000 * DAY_MS) == halted


def test_a_halt_ends_at_the_bar_that_closes_when_its_time_is_over() -> None:
    params = PARAMS._replace(rearm_after_ms=DAY_MS)
    halted = ARMED._replace(halted=1, halted_ms=NOW_MS)
    assert breakers.bar_closed(params, halted, 700_000, 100_000, 0, NOW_MS + DAY_MS - 1) == halted
    armed = breakers.bar_closed(params, halted, 700_000, 100_000, 0, NOW_MS + DAY_MS)
    assert (armed.halted, armed.peak_minor) == (0, 700_000)  # or it would halt again at once
    assert breakers.mark(params._replace(daily_loss_bp=0), armed, 525_001, NOW_MS)[1] == QUIET
    assert breakers.mark(params._replace(daily_loss_bp=0), armed, 525_000, NOW_MS)[1].drawdown == 1


@pytest.mark.parametrize("base", [0, -1_000])
def test_a_share_of_nothing_is_no_limit(base: int) -> None:
    """An account that owes money has lost its day's opening equity long ago: nothing new happens at its marks."""
    empty = breakers.armed(base, DAY_START_MS)
    assert breakers.mark(PARAMS, empty, base, NOW_MS) == (empty, QUIET)


def test_limits_of_zero_are_off() -> None:
    off = PARAMS._replace(daily_loss_bp=0, drawdown_bp=0, losses_max=0, spike_bp=0)
    assert breakers.mark(off, ARMED, 1, NOW_MS) == (ARMED, QUIET)
    after = ARMED
    for _ in range(50):
        after = breakers.trade_closed(off, after, -1, NOW_MS)
    assert after == ARMED._replace(losses=50)
    assert breakers.bar_closed(off, ARMED, BALANCE, 900_000, 100_000, NOW_MS) == ARMED


# ---- loss streak


def test_three_losses_in_a_row_start_a_cooldown_from_the_losing_bars_end() -> None:
    after = ARMED
    for _ in range(2):
        after = breakers.trade_closed(PARAMS, after, -1, NOW_MS)
        assert breakers.blocked(after, NOW_MS) == Reason.NONE
    assert after.losses == 2
    after = breakers.trade_closed(PARAMS, after, -1, NOW_MS)
    until_ms = NOW_MS + PARAMS.cooldown_ms
    assert after == ARMED._replace(losses=0, cooldown_until_ms=until_ms)
    assert breakers.blocked(after, until_ms - 1) == Reason.LOSS_STREAK
    assert breakers.blocked(after, until_ms) == Reason.NONE


def test_a_profit_resets_the_streak_and_a_zero_does_not() -> None:
    two = ARMED._replace(losses=2)
    assert breakers.trade_closed(PARAMS, two, 0, NOW_MS) == two
    assert breakers.trade_closed(PARAMS, two, 1, NOW_MS) == ARMED
    assert breakers.trade_closed(PARAMS, two, -1, NOW_MS).cooldown_until_ms == NOW_MS + PARAMS.cooldown_ms


def test_the_streak_begins_anew_after_a_cooldown() -> None:
    after = breakers.trade_closed(PARAMS, ARMED._replace(losses=2), -1, NOW_MS)
    later = breakers.trade_closed(PARAMS, after, -1, NOW_MS + DAY_MS)
    assert (later.losses, later.cooldown_until_ms) == (1, after.cooldown_until_ms)


# ---- volatility spike and gap


@pytest.mark.parametrize(
    ("past_px", "close_px", "spikes"),
    [
        (100_000, 102_999, False),
        (100_000, 103_000, True),
        (100_000, 97_001, False),
        (100_000, 97_000, True),
        (100_001, 103_001, False),  # 3 % of it is 3000.03
        (100_001, 103_002, True),
        (0, 103_000, False),  # no close that long ago yet
    ],
)
def test_a_move_of_exactly_the_limit_is_a_spike(past_px: int, close_px: int, spikes: bool) -> None:
    assert breakers.spikes(PARAMS, close_px, past_px) is spikes
    after = breakers.bar_closed(PARAMS, ARMED, BALANCE, close_px, past_px, NOW_MS)
    assert after.pause_until_ms == (NOW_MS + PARAMS.pause_ms if spikes else 0)


def test_a_pause_is_over_at_its_very_end() -> None:
    paused = ARMED._replace(pause_until_ms=NOW_MS)
    assert breakers.blocked(paused, NOW_MS - 1) == Reason.VOLATILITY_SPIKE
    assert breakers.blocked(paused, NOW_MS) == Reason.NONE


def test_a_bar_without_a_spike_leaves_the_pause_running() -> None:
    paused = ARMED._replace(pause_until_ms=NOW_MS + HOUR_MS)
    assert breakers.bar_closed(PARAMS, paused, BALANCE, 100_000, 100_000, NOW_MS) == paused


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gap_wider_than_the_limit_drops_the_entry(sign: int) -> None:
    assert breakers.gate(PARAMS, ARMED, decision(), 100_000 + sign * 3_000, NOW_MS) == Reason.NONE
    assert breakers.gate(PARAMS, ARMED, decision(), 100_000 + sign * 3_001, NOW_MS) == Reason.OPEN_GAP
    assert breakers.gate(PARAMS._replace(open_gap_max_bp=0), ARMED, decision(), 200_000, NOW_MS) == Reason.NONE


def test_a_decision_lives_to_its_last_millisecond() -> None:
    params = PARAMS._replace(decision_ttl_ms=HOUR_MS)
    assert breakers.gate(params, ARMED, decision(), 100_000, NOW_MS + HOUR_MS) == Reason.NONE
    assert breakers.gate(params, ARMED, decision(), 100_000, NOW_MS + HOUR_MS + 1) == Reason.DECISION_EXPIRED
    assert breakers.gate(PARAMS, ARMED, decision(), 100_000, NOW_MS + 30 * DAY_MS) == Reason.NONE  # no limit is set


def test_a_pending_entry_is_gated_by_the_breakers_as_they_are_now() -> None:
    for guards, reason in (
        (ARMED._replace(halted=1), Reason.HALT_DRAWDOWN),
        (ARMED._replace(day_tripped=1), Reason.DAILY_LOSS),
        (ARMED._replace(cooldown_until_ms=NOW_MS + 1), Reason.LOSS_STREAK),
        (ARMED._replace(pause_until_ms=NOW_MS + 1), Reason.VOLATILITY_SPIKE),
    ):
        assert breakers.gate(PARAMS, guards, decision(), 200_000, NOW_MS + HOUR_MS) == reason


# ---- together


def test_the_first_of_several_reasons_is_shown() -> None:
    everything = Breakers(BALANCE, DAY_START_MS, 1, BALANCE, 1, NOW_MS, 0, NOW_MS + 1, NOW_MS + 1)
    seen = []
    for released in ({"halted": 0}, {"day_tripped": 0}, {"cooldown_until_ms": 0}, {"pause_until_ms": 0}):
        seen.append(breakers.blocked(everything, NOW_MS))
        everything = everything._replace(**released)
    assert seen == [Reason.HALT_DRAWDOWN, Reason.DAILY_LOSS, Reason.LOSS_STREAK, Reason.VOLATILITY_SPIKE]
    assert seen == sorted(seen)
    assert breakers.blocked(everything, NOW_MS) == Reason.NONE


@pytest.mark.parametrize("delta", [250_000, -250_000])
def test_a_deposit_or_withdrawal_is_neither_profit_nor_loss(delta: int) -> None:
    tripped = ARMED._replace(losses=2, pause_until_ms=5, cooldown_until_ms=7)
    after = breakers.shifted(tripped, delta)
    assert after == tripped._replace(day_open_minor=BALANCE + delta, peak_minor=BALANCE + delta)
    assert breakers.mark(PARAMS, after, BALANCE + delta, NOW_MS) == (after, QUIET)
