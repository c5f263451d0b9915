"""Replays worked out by hand, rule by rule. A long enters at 1 003: open 1 000, spread 2, slippage 1."""

from __future__ import annotations

import pytest
from tests.unit.core.scenes import (
    ALWAYS_LONG,
    ALWAYS_SHORT,
    BALANCE,
    POINT,
    START_MS,
    UNITS,
    Bar,
    at,
    hourly,
    play,
    rolls,
    sentiment,
)

from palmbot.core.types import Params, Reason
from palmbot.units import HOUR_MS, PX

QUIET: Bar = (1_000, 1_000, 1_000, 1_000)

# ---- paths and fills (rules 12-19)


def test_an_entry_is_made_at_the_open_after_the_decision_and_costs_spread_and_slippage() -> None:
    played = play(hourly([QUIET, (1_000, 1_000, 980, 990)]))
    (trade,) = played.trades
    assert (trade["entry_ms"], trade["entry_px"]) == (at(1), 1_003)
    assert (trade["sl_px"], trade["tp_px"]) == (983, 1_033)  # 2 % and 3 % of 1 000 from the fill
    assert played.exits == [(Reason.SL, at(1, 1), 982)]
    assert trade["pnl_minor"] == trade["gross_minor"] == -21 * POINT
    assert (trade["spread_minor"], trade["slippage_minor"]) == (-2 * POINT, -2 * POINT)
    assert played.outcome.balance_minor == BALANCE - 21 * POINT


def test_a_short_enters_at_the_bid_and_is_stopped_at_the_ask() -> None:
    played = play(hourly([QUIET, (1_000, 1_017, 990, 1_000)]), ALWAYS_SHORT)
    (trade,) = played.trades
    assert (trade["entry_px"], trade["sl_px"], trade["tp_px"]) == (999, 1_019, 969)
    assert played.exits == [(Reason.SL, at(1, 1), 1_020)]  # the ask of 1 017 touches 1 019 exactly
    assert play(hourly([QUIET, (1_000, 1_016, 990, 1_000)]), ALWAYS_SHORT).trades == []


def test_a_target_fills_at_its_level_without_slippage() -> None:
    played = play(hourly([QUIET, (1_000, 1_040, 990, 1_000)]))
    assert played.exits == [(Reason.TP, at(1, 2), 1_033)]
    assert played.trades[0]["slippage_minor"] == -1 * POINT  # the entry's alone


def test_levels_are_touched_exactly_or_not_at_all() -> None:
    assert play(hourly([QUIET, (1_000, 1_033, 984, 1_000)])).exits == [(Reason.TP, at(1, 2), 1_033)]
    assert play(hourly([QUIET, (1_000, 1_032, 984, 1_000)])).trades == []
    assert play(hourly([QUIET, (1_000, 1_032, 983, 1_000)])).exits == [(Reason.SL, at(1, 1), 982)]


@pytest.mark.parametrize(("params", "exit_px"), [(ALWAYS_LONG, 982), (ALWAYS_SHORT, 1_020)])
def test_a_bar_that_holds_stop_and_target_is_a_stop(params: Params, exit_px: int) -> None:
    assert play(hourly([QUIET, (1_000, 1_050, 950, 1_000)]), params).exits == [(Reason.SL, at(1, 1), exit_px)]


def test_a_stop_gapped_through_fills_at_the_open() -> None:
    held = (1_000, 1_010, 990, 1_000)
    assert play(hourly([QUIET, held, (950, 960, 940, 950)])).exits == [(Reason.SL, at(2), 949)]
    assert play(hourly([QUIET, held, (1_050, 1_060, 1_040, 1_050)]), ALWAYS_SHORT).exits == [(Reason.SL, at(2), 1_053)]


def test_a_target_gapped_through_fills_at_the_better_open() -> None:
    held = (1_000, 1_010, 990, 1_000)
    assert play(hourly([QUIET, held, (1_060, 1_070, 1_050, 1_060)])).exits == [(Reason.TP, at(2), 1_060)]
    assert play(hourly([QUIET, held, (940, 950, 930, 940)]), ALWAYS_SHORT).exits == [(Reason.TP, at(2), 942)]


def test_distances_come_from_the_decisions_close_and_stay_when_the_open_is_elsewhere() -> None:
    (trade,) = play(hourly([QUIET, (2_000, 2_000, 1_900, 1_950)])).trades
    assert (trade["entry_px"], trade["sl_px"], trade["tp_px"]) == (2_003, 1_983, 2_033)


def test_a_bar_without_range_still_has_four_ticks() -> None:
    wide = UNITS._replace(spread=25 * PX)  # entry at 1 026 with the stop at 1 006: already behind
    params = ALWAYS_LONG._replace(sl_ppm=27_000)
    played = play(hourly([QUIET, QUIET]), params, wide)
    assert played.trades == []
    touched = play(hourly([QUIET, (1_000, 1_000, 999, 999)]), params, wide)
    assert touched.exits == [(Reason.SL, at(1, 1), 998)]


# ---- the end of the file (rule 35) and the tape


def test_a_position_still_open_is_in_equity_alone() -> None:
    played = play(hourly([QUIET, (1_000, 1_010, 990, 1_005)]))
    outcome = played.outcome
    assert (outcome.trades, outcome.balance_minor) == (0, BALANCE)
    assert outcome.position.side == 1
    assert outcome.equity_minor == BALANCE + 2 * POINT  # marked at the last bid


def test_a_tape_that_is_too_short_counts_but_does_not_write() -> None:
    bars = hourly([QUIET, *[(1_000, 1_000, 980, 1_000)] * 5])
    whole, short = play(bars), play(bars, capacity=2)
    assert whole.outcome == short.outcome
    assert (short.outcome.trades, short.outcome.events) == (5, 5)
    assert short.trades == whole.trades[:2]
    assert play(bars, capacity=0).outcome == whole.outcome


def test_the_curve_says_what_each_bar_did_to_equity() -> None:
    tape = play(hourly([QUIET, (1_000, 1_010, 990, 1_005), (1_005, 1_005, 970, 975), QUIET]), ALWAYS_LONG).tape
    # entry at 1 003; low 990, close 1 005; stop at 983 less slippage; the next entry is at 1 003 again
    assert tape.equity.tolist() == [BALANCE + points * POINT for points in (0, 2, -21, -24)]
    assert tape.equity_low.tolist() == [BALANCE + points * POINT for points in (0, -13, -21, -24)]
    assert tape.held.tolist() == [0, 1, 1, 1]


def test_the_lowest_equity_of_a_bar_counts_the_flat_open_before_an_entry() -> None:
    """Also where swap is credited between the entry and the next tick."""
    paid = UNITS._replace(spread=0, slippage=0, swap_long=5 * 10**10, swap_time_ms=HOUR_MS + 5_000)
    tape = play(hourly([QUIET, QUIET]), ALWAYS_LONG, paid).tape
    assert tape.equity.tolist() == [BALANCE, BALANCE + 5 * POINT]
    assert tape.equity_low.tolist() == [BALANCE, BALANCE]


# ---- what is pending (rules 22, 25, 28-29, 41-44)


def test_a_decision_older_than_its_time_to_live_expires() -> None:
    params = ALWAYS_LONG._replace(decision_ttl_ms=2 * HOUR_MS)
    inside = play(hourly([QUIET, QUIET], hours=[0, 3]), params)
    assert (inside.refusals, inside.outcome.position.side) == ([], 1)
    late = play(hourly([QUIET, QUIET], hours=[0, 4]), params)
    assert late.outcome.position.side == 0
    assert [(refusal["bar_end_ms"], refusal["reason"]) for refusal in late.refusals] == [
        (at(1), Reason.DECISION_EXPIRED)
    ]


def test_an_open_gap_drops_the_entry_and_names_the_decision() -> None:
    params = ALWAYS_LONG._replace(open_gap_max_bp=100)
    assert play(hourly([QUIET, (1_010, 1_010, 1_010, 1_010)]), params).outcome.position.side == 1
    (refusal,) = play(hourly([QUIET, (1_011, 1_011, 1_011, 1_011)]), params).refusals
    assert (refusal["side"], refusal["reason"], refusal["bar_end_ms"]) == (1, Reason.OPEN_GAP, at(1))


def test_too_little_margin_at_the_fill_is_a_refusal() -> None:
    # 10 units at 1 003 hold 10 030.00 at leverage 1
    whole = ALWAYS_LONG._replace(margin_share=1.0)
    held = play(hourly([QUIET, QUIET]), whole, balance=1_003_000)
    short = play(hourly([QUIET, QUIET]), whole, balance=1_002_999)
    assert held.outcome.position.side == 1
    assert short.outcome.position.side == 0
    assert [refusal["reason"] for refusal in short.refusals] == [Reason.NOT_ENOUGH_MONEY]


def test_a_time_exit_counts_the_entry_bar_as_one() -> None:
    played = play(hourly([QUIET] * 4), ALWAYS_LONG._replace(max_bars=2))
    assert played.exits == [(Reason.TIME, at(3), 999)]
    assert play(hourly([QUIET] * 3), ALWAYS_LONG._replace(max_bars=1)).exits == [(Reason.TIME, at(2), 999)]


def test_a_gap_stop_comes_before_a_time_exit_at_the_same_open() -> None:
    bars = hourly([QUIET, QUIET, (970, 970, 970, 970)])
    assert play(bars, ALWAYS_LONG._replace(max_bars=1)).exits == [(Reason.SL, at(2), 969)]


def test_a_trailing_stop_guards_from_the_next_bars_first_extreme_on() -> None:
    # after bar 1 the stop moves from 983 to 1 020 - 1 % of 1 020 = 1 010
    params = ALWAYS_LONG._replace(trail_ppm=10_000)
    rise = (1_000, 1_025, 1_000, 1_020)
    played = play(hourly([QUIET, rise, (1_015, 1_015, 1_005, 1_010)]), params)
    assert played.exits == [(Reason.TRAIL, at(2, 1), 1_009)]
    assert played.trades[0]["sl_px"] == 983  # as placed at the fill


def test_a_trailing_stop_only_tightens() -> None:
    params = ALWAYS_LONG._replace(trail_ppm=10_000)
    bars = hourly([QUIET, (1_000, 1_025, 1_000, 1_020), (1_020, 1_020, 1_012, 1_012), (1_012, 1_012, 1_011, 1_011)])
    assert play(bars, params).outcome.position.sl_px == 1_010 * PX


def test_a_new_stop_on_the_wrong_side_of_the_open_closes_at_market() -> None:
    params = ALWAYS_LONG._replace(trail_ppm=10_000)
    rise = (1_000, 1_025, 1_000, 1_020)
    assert play(hourly([QUIET, rise, (1_010, 1_010, 990, 990)]), params).exits == [(Reason.TRAIL, at(2), 1_009)]
    assert play(hourly([QUIET, rise, (1_011, 1_011, 1_011, 1_011)]), params).trades == []


def test_a_position_that_is_open_is_never_entered_again() -> None:
    played = play(hourly([QUIET] * 20))
    assert (played.outcome.trades, played.outcome.position.entry_ms) == (0, at(1))


def test_no_decision_is_made_before_the_warm_up_has_closed() -> None:
    played = play(hourly([QUIET] * 6), ALWAYS_LONG._replace(warmup_bars=3))
    assert played.outcome.position.entry_ms == at(3)


# ---- breakers (rules 20-23 and 49-57)


def test_a_breaker_flattens_at_the_tick_that_tripped_it() -> None:
    # 10 units from 1 003: 0.1 % of 100 000.00 is ten points
    params = ALWAYS_LONG._replace(daily_loss_bp=10)
    played = play(hourly([QUIET, (1_000, 1_000, 993, 1_000), QUIET]), params)
    assert played.exits == [(Reason.BREAKER_DAILY, at(1, 1), 992)]
    assert [(trip["ts_ms"], trip["reason"]) for trip in played.trips] == [(at(1, 1), Reason.DAILY_LOSS)]
    assert [refusal["reason"] for refusal in played.refusals] == [Reason.DAILY_LOSS]
    assert play(hourly([QUIET, (1_000, 1_000, 994, 1_000)]), params).trips == []


def test_the_stop_comes_before_the_breaker_and_its_fill_trips_it() -> None:
    params = ALWAYS_LONG._replace(daily_loss_bp=10)
    played = play(hourly([QUIET, (1_000, 1_000, 980, 1_000)]), params)
    assert played.exits == [(Reason.SL, at(1, 1), 982)]
    assert [(trip["ts_ms"], trip["reason"]) for trip in played.trips] == [(at(1, 1), Reason.DAILY_LOSS)]


def test_both_breakers_at_one_mark_are_recorded_and_the_halt_is_the_exit() -> None:
    params = ALWAYS_LONG._replace(daily_loss_bp=10, drawdown_bp=10)
    played = play(hourly([QUIET, (1_000, 1_000, 990, 1_000), QUIET]), params)
    assert played.exits == [(Reason.BREAKER_DRAWDOWN, at(1, 1), 989)]
    assert [trip["reason"] for trip in played.trips] == [Reason.HALT_DRAWDOWN, Reason.DAILY_LOSS]
    assert [refusal["reason"] for refusal in played.refusals] == [Reason.HALT_DRAWDOWN]


def test_the_costs_of_a_flatten_can_trip_the_other_breaker() -> None:
    params = ALWAYS_LONG._replace(daily_loss_bp=10, drawdown_bp=11)  # ten points, and eleven
    played = play(hourly([QUIET, (1_000, 1_000, 993, 1_000)]), params)
    assert played.exits == [(Reason.BREAKER_DAILY, at(1, 1), 992)]
    assert [trip["reason"] for trip in played.trips] == [Reason.DAILY_LOSS, Reason.HALT_DRAWDOWN]


def test_the_peak_moves_at_a_bars_close_and_not_at_a_tick() -> None:
    # at 1 030 equity is up 27 points; back at 1 001 it is 29 below that, and 2 below the start
    params = ALWAYS_LONG._replace(drawdown_bp=20, tp_ppm=90_000)
    inside = play(hourly([QUIET, (1_000, 1_030, 1_000, 1_001), QUIET]), params)
    assert inside.trips == []
    closed = play(hourly([QUIET, (1_000, 1_030, 1_000, 1_030), (1_009, 1_009, 1_009, 1_009)]), params)
    assert closed.exits == [(Reason.BREAKER_DRAWDOWN, at(2), 1_008)]


def test_an_overnight_gap_counts_against_the_new_day() -> None:
    # the day ends at 11:00; bar 10 closes there, bar 11 opens 12 points lower
    night = hourly([QUIET, QUIET, (988, 988, 988, 988)], hours=[9, 10, 12])
    params = ALWAYS_LONG._replace(daily_loss_bp=12)
    played = play(night, params)
    assert played.exits == [(Reason.BREAKER_DAILY, at(12), 987)]
    assert played.outcome.state.breakers.day_open_minor == BALANCE - 3 * POINT  # the last mark before the boundary


def test_a_bar_that_closes_on_the_day_boundary_decides_in_the_new_day() -> None:
    params = ALWAYS_LONG._replace(daily_loss_bp=10)
    lost = (1_000, 1_000, 993, 1_000)
    bars = hourly([QUIET, lost, QUIET, QUIET, QUIET], hours=[7, 8, 9, 10, 11])
    played = play(bars, params)
    assert [(refusal["bar_end_ms"], refusal["reason"]) for refusal in played.refusals] == [
        (at(9), Reason.DAILY_LOSS),
        (at(10), Reason.DAILY_LOSS),
    ]
    assert played.outcome.position.entry_ms == at(11)  # decided at 11:00 sharp


def test_a_cooldown_counts_from_the_losing_bars_end_and_frees_the_decision_at_its_own() -> None:
    # stopped out at 01:00:15 in the bar that ends at 02:00: an hour and a half later is 03:30
    params = ALWAYS_LONG._replace(losses_max=1, cooldown_ms=HOUR_MS * 3 // 2)
    played = play(hourly([QUIET, (1_000, 1_000, 980, 1_000), QUIET, QUIET, QUIET]), params)
    assert [(refusal["bar_end_ms"], refusal["reason"]) for refusal in played.refusals] == [
        (at(2), Reason.LOSS_STREAK),
        (at(3), Reason.LOSS_STREAK),
    ]
    assert played.outcome.position.entry_ms == at(4)


def test_a_spike_blocks_its_own_bars_decision_and_those_inside_the_pause() -> None:
    params = ALWAYS_LONG._replace(spike_bp=300, pause_ms=HOUR_MS)
    jumped: Bar = (1_030, 1_030, 1_030, 1_030)
    played = play(hourly([QUIET, jumped, jumped, jumped]), params._replace(warmup_bars=2))
    assert [(refusal["bar_end_ms"], refusal["reason"]) for refusal in played.refusals] == [
        (at(2), Reason.VOLATILITY_SPIKE)
    ]
    assert played.outcome.position.entry_ms == at(3)


def test_a_halt_ends_when_it_is_told_to_and_the_new_peak_is_the_equity() -> None:
    params = ALWAYS_LONG._replace(drawdown_bp=10, rearm_after_ms=2 * HOUR_MS)
    played = play(hourly([QUIET, (1_000, 1_000, 990, 1_000), QUIET, QUIET, QUIET, QUIET]), params)
    assert [refusal["bar_end_ms"] for refusal in played.refusals] == [at(2), at(3)]  # tripped at 01:00:15
    assert played.outcome.position.entry_ms == at(4)
    assert played.outcome.state.breakers.peak_minor == BALANCE - 14 * POINT


def test_a_decision_at_the_very_end_of_a_cooldown_is_free() -> None:
    params = ALWAYS_LONG._replace(losses_max=1, cooldown_ms=HOUR_MS)
    played = play(hourly([QUIET, (1_000, 1_000, 980, 1_000), QUIET, QUIET]), params)
    assert [refusal["bar_end_ms"] for refusal in played.refusals] == [at(2)]
    assert played.outcome.position.entry_ms == at(3)


# ---- charges that time brings (rules 46-47)


def test_swap_is_charged_after_the_entry_and_up_to_the_exit() -> None:
    # half a point each hour on the hour; entry at 01:00:00, exit at 04:00:00
    swapped = UNITS._replace(swap_long=-5 * 10**9, swap_period_ms=HOUR_MS)
    (trade,) = play(hourly([QUIET] * 5), ALWAYS_LONG._replace(max_bars=3), swapped).trades
    assert (trade["entry_ms"], trade["exit_ms"]) == (at(1), at(4))
    assert trade["swap_minor"] == -3 * POINT // 2  # 02:00, 03:00 and 04:00
    assert trade["pnl_minor"] == trade["gross_minor"] + trade["swap_minor"]


def test_a_day_opens_after_the_swap_of_the_same_instant() -> None:
    swapped = UNITS._replace(swap_long=-5 * 10**10, swap_time_ms=11 * HOUR_MS)
    played = play(hourly([QUIET] * 4, hours=[8, 9, 10, 11]), ALWAYS_LONG, swapped)
    assert played.outcome.position.swap_minor == -5 * POINT
    assert played.outcome.state.breakers.day_open_minor == BALANCE - 8 * POINT  # entered 3 points above the bid


def test_both_sides_of_the_commission_are_booked_at_the_close() -> None:
    charged = UNITS._replace(commission_rate=2 * 10**8)  # 2.00 a unit and side: two points
    opened = play(hourly([QUIET, QUIET]), ALWAYS_LONG, charged).outcome
    assert (opened.balance_minor, opened.equity_minor) == (BALANCE, BALANCE - 5 * POINT)  # the closing side not yet
    (trade,) = play(hourly([QUIET] * 3), ALWAYS_LONG._replace(max_bars=1), charged).trades
    assert trade["commission_minor"] == -4 * POINT
    assert trade["pnl_minor"] == -8 * POINT


def test_a_roll_is_charged_to_a_position_opened_before_it() -> None:
    params = ALWAYS_LONG._replace(max_bars=3)
    bars = hourly([QUIET] * 5)
    (trade,) = play(bars, params, rolled=rolls((at(2), 7))).trades
    assert trade["swap_minor"] == -7 * POINT
    (same_tick,) = play(bars, params, rolled=rolls((at(1), 7))).trades
    assert same_tick["swap_minor"] == 0
    (trade,) = play(bars, params._replace(rsi_low=101.0, rsi_high=102.0), rolled=rolls((at(2), 7))).trades
    assert trade["swap_minor"] == 7 * POINT


def test_a_roll_neither_moves_the_levels_nor_is_it_a_loss_when_the_price_follows() -> None:
    played = play(hourly([QUIET, QUIET, (1_015, 1_015, 1_015, 1_015)]), rolled=rolls((at(2), 15)))
    assert played.outcome.position.sl_px == 983 * PX
    assert played.outcome.equity_minor == BALANCE - 3 * POINT


# ---- sentiment in time (rule 59)


def test_sentiment_counts_from_the_decision_it_was_known_for() -> None:
    fade = ALWAYS_LONG._replace(profile=0, rsi_low=101.0, rsi_high=102.0, sentiment_max_age_ms=HOUR_MS)
    on_time = play(hourly([QUIET] * 2), fade, rows=sentiment((at(1), 80.0)))
    assert on_time.outcome.position.entry_ms == at(1)
    late = play(hourly([QUIET] * 2), fade, rows=sentiment((at(1) + 1, 80.0)))
    assert [refusal["reason"] for refusal in late.refusals] == [Reason.SENTIMENT_ABSENT]
    old = play(hourly([QUIET] * 2), fade, rows=sentiment((START_MS - 1, 80.0)))
    assert [refusal["reason"] for refusal in old.refusals] == [Reason.SENTIMENT_STALE]
