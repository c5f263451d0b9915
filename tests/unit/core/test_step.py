"""The four entry points one at a time: what a bar's close asks for, with which numbers and why."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.core.scenes import ALWAYS_LONG, ALWAYS_SHORT, BALANCE, START_MS, UNITS

from palmbot.core import step as core
from palmbot.core.types import (
    Account,
    Action,
    Bar,
    Breakers,
    Decision,
    Indicators,
    Instrument,
    Params,
    Position,
    Reason,
    Sentiment,
    State,
    StopKind,
    Verdict,
)
from palmbot.units import DAY_MS, HOUR_MS, PX, RATE_ONE_E8

END_MS = START_MS + HOUR_MS
CLOSE_PX = 1_000 * PX
BAR = Bar(START_MS, END_MS, 990 * PX, 1_010 * PX, 980 * PX, CLOSE_PX, 0, 2 * PX, RATE_ONE_E8)
FRESH = core.initial(UNITS, BALANCE, START_MS)
FLAT = Account(BALANCE, BALANCE, Position())
NOTHING = Sentiment()
ATR_STOPS = {"stop_kind": int(StopKind.ATR), "sl_ppm": 0, "tp_ppm": 0}


def long_from(entry: int, bars_held: int = 1, sl: int = 900, tp: int = 1_200) -> Account:
    """Return an account that holds ten units bought at ``entry`` points."""
    held = Position(1, 1_000, entry * PX, sl * PX, tp * PX, sl * PX, 0, bars_held, 0, 0)
    return Account(BALANCE, BALANCE, held)


def short_from(entry: int, bars_held: int = 1, sl: int = 1_100, tp: int = 800) -> Account:
    """Return an account that holds ten units sold at ``entry`` points."""
    held = Position(-1, 1_000, entry * PX, sl * PX, tp * PX, sl * PX, 0, bars_held, 0, 0)
    return Account(BALANCE, BALANCE, held)


def decided(
    params: Params, account: Account = FLAT, bar: Bar = BAR, state: State = FRESH, instrument: Instrument = UNITS
) -> Decision:
    """Return what the close of ``bar`` asks for."""
    return core.step(params, instrument, state, bar, account, NOTHING)[1]


def held(reason: int, signal: int = 0) -> Decision:
    """Return the decision to do nothing."""
    return Decision(Action.NONE, reason, 0, 0, 0, 0, END_MS, CLOSE_PX, signal, 0)


# ---- entries


def test_an_entry_carries_side_volume_and_relative_levels() -> None:
    risk = 10 * (20 + 1) * 100  # ten units over 20 points and a point of slippage, in minor units
    long = Decision(Action.ENTER, Reason.ENTRY_LONG, 1, 1_000, 20 * PX, 30 * PX, END_MS, CLOSE_PX, 1, risk)
    assert decided(ALWAYS_LONG) == long
    assert decided(ALWAYS_SHORT) == long._replace(reason=Reason.ENTRY_SHORT, side=-1, signal=-1)


def test_atr_distances_come_from_the_atr_of_the_decisions_bar() -> None:
    params = ALWAYS_LONG._replace(**ATR_STOPS, sl_atr=2.0, tp_atr=3.0, atr_period=1)
    before = FRESH._replace(indicators=Indicators(1, 995.0, 0.0, 0.0, 0.0))
    entry = decided(params, state=before)  # the range is 30 points
    assert (entry.sl_px, entry.tp_px) == (60 * PX, 90 * PX)


@pytest.mark.parametrize(
    ("params", "instrument", "reason"),
    [
        (ALWAYS_LONG, UNITS._replace(sl_min_px=17 * PX), Reason.STOP_TOO_CLOSE),  # 20 = 2 + 1 + 17
        (ALWAYS_LONG, UNITS._replace(tp_min_px=27 * PX), Reason.TARGET_TOO_CLOSE),
        (ALWAYS_LONG, UNITS._replace(volume_min_cu=1_100), Reason.VOLUME_BELOW_MINIMUM),
    ],
)
def test_a_signal_that_cannot_be_sized_keeps_its_side(params: Params, instrument: Instrument, reason: int) -> None:
    assert decided(params, instrument=instrument) == held(reason, 1)


def test_the_spread_of_the_decisions_bar_decides_what_is_too_close() -> None:
    assert decided(ALWAYS_LONG, bar=BAR._replace(spread_px=18 * PX)).action == Action.ENTER
    assert decided(ALWAYS_LONG, bar=BAR._replace(spread_px=19 * PX)) == held(Reason.STOP_TOO_CLOSE, 1)


def test_no_rate_is_a_refusal() -> None:
    assert decided(ALWAYS_LONG, bar=BAR._replace(rate_e8=0)) == held(Reason.NO_CONVERSION_RATE, 1)


def test_sizing_uses_the_equity_of_the_decision() -> None:
    params = ALWAYS_LONG._replace(risk_fraction=0.0105)
    instrument = UNITS._replace(volume_max_cu=10**6)
    # 21.00 is lost a unit at the stop: 1.05 % of 100 000 buys 50, of 90 000 45
    assert decided(params, instrument=instrument).volume_cu == 5_000
    lower = Account(BALANCE, 9_000_000, Position())
    assert decided(params, lower, instrument=instrument).volume_cu == 4_500


# ---- no entry


def test_warming_up_makes_no_decision_but_feeds_the_indicators() -> None:
    params = ALWAYS_LONG._replace(warmup_bars=2)
    after, first = core.step(params, UNITS, FRESH, BAR, FLAT, NOTHING)
    assert first == held(Reason.WARMING_UP)
    assert after.indicators.bars == 1
    assert decided(params, state=after).action == Action.ENTER


def test_a_neutral_rsi_is_no_signal() -> None:
    assert decided(ALWAYS_LONG._replace(rsi_low=40.0, rsi_high=60.0)) == held(Reason.NO_SIGNAL)


def test_a_vetoed_signal_is_told_with_its_side() -> None:
    fade = ALWAYS_LONG._replace(profile=0, rsi_low=101.0, rsi_high=102.0)
    assert decided(fade) == held(Reason.SENTIMENT_ABSENT, 1)


@pytest.mark.parametrize(
    ("guards", "reason"),
    [
        ({"halted": 1}, Reason.HALT_DRAWDOWN),
        ({"day_tripped": 1}, Reason.DAILY_LOSS),
        ({"cooldown_until_ms": END_MS + 1}, Reason.LOSS_STREAK),
        ({"pause_until_ms": END_MS + 1}, Reason.VOLATILITY_SPIKE),
        ({"cooldown_until_ms": END_MS, "pause_until_ms": END_MS}, Reason.NONE),
    ],
)
def test_a_breaker_blocks_a_signal(guards: dict[str, int], reason: int) -> None:
    state = State(FRESH.indicators, FRESH.breakers._replace(**guards))
    expected = held(reason, 1) if reason else decided(ALWAYS_LONG)
    assert decided(ALWAYS_LONG, state=state) == expected


def test_the_spike_of_this_very_bar_blocks_its_decision() -> None:
    params = ALWAYS_LONG._replace(spike_bp=300)
    assert decided(params, bar=BAR._replace(past_close_px=971 * PX)).action == Action.ENTER  # 2.99 %
    assert decided(params, bar=BAR._replace(past_close_px=970 * PX)) == held(Reason.VOLATILITY_SPIKE, 1)


# ---- an open position


def test_a_position_is_held_without_a_reason_to_do_otherwise() -> None:
    assert decided(ALWAYS_LONG, long_from(1_003)) == held(Reason.HOLDING)


def test_a_time_exit_is_due_after_so_many_bars() -> None:
    params = ALWAYS_LONG._replace(max_bars=3)
    leave = Decision(Action.EXIT, Reason.TIME, 1, 1_000, 0, 0, END_MS, CLOSE_PX, 0, 0)
    assert decided(params, long_from(1_003, bars_held=2)) == held(Reason.HOLDING)
    assert decided(params, long_from(1_003, bars_held=3)) == leave


def test_a_signal_exit_gives_way_to_a_time_exit_and_comes_before_a_trail() -> None:
    params = ALWAYS_LONG._replace(rsi_exit=60.0, trail_ppm=10_000)  # the RSI is 50
    assert decided(params, long_from(1_003)).reason == Reason.SIGNAL
    assert decided(params._replace(max_bars=1), long_from(1_003)).reason == Reason.TIME
    assert decided(params._replace(rsi_exit=40.0), long_from(1_003)).reason == Reason.TRAIL


def test_a_trail_asks_for_both_levels_a_distance_from_the_mark() -> None:
    params = ALWAYS_LONG._replace(trail_ppm=15_000)
    up = Decision(Action.AMEND, Reason.TRAIL, 1, 0, 985 * PX, 1_200 * PX, END_MS, CLOSE_PX, 0, 0)
    assert decided(params, long_from(950)) == up
    # a short is marked at the ask of 1 002
    down = Decision(Action.AMEND, Reason.TRAIL, -1, 0, 1_017 * PX, 800 * PX, END_MS, CLOSE_PX, 0, 0)
    assert decided(params, short_from(1_050)) == down


def test_a_trail_only_tightens() -> None:
    params = ALWAYS_LONG._replace(trail_ppm=15_000)
    assert decided(params, long_from(950, sl=984)).action == Action.AMEND
    assert decided(params, long_from(950, sl=985)) == held(Reason.HOLDING)
    assert decided(params, short_from(1_050, sl=1_018)).action == Action.AMEND
    assert decided(params, short_from(1_050, sl=1_017)) == held(Reason.HOLDING)


def test_a_trail_is_rounded_half_up_to_the_step() -> None:
    params = ALWAYS_LONG._replace(trail_ppm=15_500)  # 15.5 points
    assert decided(params, long_from(950)).sl_px == 984 * PX


def test_a_trail_stated_in_the_other_kind_is_off() -> None:
    """It would otherwise trail by no distance at all, one step behind the mark."""
    percent = ALWAYS_LONG._replace(trail_ppm=0, trail_atr=4.0)
    assert decided(percent, long_from(950)) == held(Reason.HOLDING)
    atr = ALWAYS_LONG._replace(**ATR_STOPS, trail_ppm=15_000, trail_atr=0.0)
    assert decided(atr, long_from(950)) == held(Reason.HOLDING)


@pytest.mark.parametrize("account", [long_from(950), long_from(950, sl=985), short_from(1_050, bars_held=3)])
@pytest.mark.parametrize("changes", [{}, {"trail_ppm": 15_000}, {"max_bars": 3}, {"rsi_exit": 60.0}])
def test_a_round_is_dull_exactly_when_step_would_hold(account: Account, changes: dict[str, Any]) -> None:
    params = ALWAYS_LONG._replace(**changes)
    after, decision = core.step(params, UNITS, FRESH, BAR, account, NOTHING)
    position = account.position
    acts = core.acts(params, UNITS, after.indicators, position, (BAR.close_px, BAR.spread_px), position.bars_held)
    assert acts is (decision.action != Action.NONE)


# ---- the other entry points


def test_a_fresh_account_begins_in_the_trading_day_of_its_first_tick() -> None:
    eleven = START_MS + 11 * HOUR_MS
    assert core.day_start(UNITS, eleven) == eleven
    assert core.day_start(UNITS, eleven - 1) == eleven - DAY_MS
    assert core.initial(UNITS, BALANCE, eleven - 1) == State(
        Indicators(), Breakers(BALANCE, eleven - DAY_MS, 0, BALANCE, 0, 0, 0, 0, 0)
    )


def test_time_opens_a_day_at_the_last_equity() -> None:
    tripped = FRESH.breakers._replace(day_tripped=1)
    after = core.on_time(tripped, 9_999, START_MS)
    assert after == tripped._replace(day_open_minor=9_999, day_start_ms=START_MS, day_tripped=0)


def test_a_mark_says_to_flatten_when_a_limit_is_met() -> None:
    params = ALWAYS_LONG._replace(daily_loss_bp=100)
    assert core.on_mark(params, FRESH.breakers, BALANCE, START_MS)[1] == Verdict(Reason.NONE, 0, 0)
    assert core.on_mark(params, FRESH.breakers, BALANCE * 99 // 100, START_MS)[1].reason == Reason.BREAKER_DAILY


def test_a_close_counts_the_trade_and_tests_the_balance_after_it() -> None:
    params = ALWAYS_LONG._replace(daily_loss_bp=100, losses_max=1)
    lost = BALANCE // 100
    guards, verdict = core.on_close(params, FRESH.breakers, -lost, BALANCE - lost, END_MS, START_MS + 15_000)
    assert verdict == Verdict(Reason.BREAKER_DAILY, 1, 0)
    assert guards == FRESH.breakers._replace(day_tripped=1, cooldown_until_ms=END_MS + HOUR_MS)


def test_a_bars_close_moves_the_peak_to_the_equity_at_its_last_mark() -> None:
    risen = Account(BALANCE, BALANCE + 500, long_from(950).position)
    after, _ = core.step(ALWAYS_LONG, UNITS, FRESH, BAR, risen, NOTHING)
    assert after.breakers.peak_minor == BALANCE + 500
