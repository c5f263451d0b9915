"""What happens on a tick, in which order, and what becomes of a decision (PARITY 20-25, 28-29, 42-44, 49-53)."""

from __future__ import annotations

import pytest
from tests.unit.live.stage import BALANCE, EAGER, Stage, buying, day, hour, quote_at, spec_of

from palmbot.core.types import Action, Decision, Reason, State
from palmbot.model import Execution, IntentKind
from palmbot.units import HOUR_MS, PX


def leaving(bar_end_ms: int, reason: Reason = Reason.TIME) -> Decision:
    return buying(bar_end_ms, action=int(Action.EXIT), reason=int(reason))


def trailing(bar_end_ms: int, stop: float, target: float = 4_082.5) -> Decision:
    levels = {"sl_px": round(stop * PX), "tp_px": round(target * PX)}
    return buying(bar_end_ms, action=int(Action.AMEND), reason=int(Reason.TRAIL), **levels)


def warmed(stage: Stage, bars: int = 3) -> None:
    """Play bars that each close lower, so that nothing is bought, ending at 4000."""
    for index in range(bars):
        price = 4_000 + bars - index
        stage.bar(hour(index), price, price - 1, price, price - 1)


# -- the order of one tick


def test_a_bar_is_decided_at_its_end_and_acted_on_at_the_next_first_tick() -> None:
    stage = Stage()
    warmed(stage)
    stage.bar(hour(3), 4_000, 4_000, 4_010, 4_010)
    assert stage.sent == []
    before = len(stage.records)
    stage.tick(hour(4), 4_011, jump=True)
    kinds = stage.kinds(before)
    assert kinds[:2] == ["bar_closed", "intent"]
    assert set(kinds[2:]) == {"order_event", "state"}
    closed = stage.records[before].body
    assert (closed["end_ms"], closed["close_px"], closed["action"]) == (hour(4), 4_010 * PX, Action.ENTER)
    (intent,) = stage.sent
    assert (intent.kind, intent.bar_end_ms, intent.ts_ms) == (IntentKind.ENTER, hour(4), hour(4))
    holding = stage.trader.book.holding
    assert holding is not None
    assert holding.position.entry_px == (4_011 + 2 + 0.5) * PX  # ask and slippage of the very tick
    stage.bar(hour(4), 4_011, 4_012)
    assert len(stage.sent) == 1


def test_a_later_tick_of_the_bar_acts_on_nothing() -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    stage.trader.pending = buying(hour(0))
    stage.tick(hour(0) + 1, 4_000)
    assert stage.sent == []
    assert stage.trader.pending is not None


def test_the_protective_order_comes_before_the_decision_on_the_same_tick() -> None:
    stage = Stage()
    stage.enter(hour(0))
    stage.open(hour(1), 3_900, leaving(hour(1)))  # far below the stop
    assert [each.kind for each in stage.sent] == [IntentKind.ENTER]
    assert stage.trader.trades[0].exit_reason == Reason.SL
    assert stage.trader.pending is None


def test_a_breaker_flattens_at_its_tick_and_drops_the_decision() -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=10))
    stage.enter(hour(0), volume_cu=25_000)
    stage.open(hour(1), 3_990, leaving(hour(1)))
    _entry, close = stage.sent
    assert (close.kind, close.reason, close.ts_ms) == (IntentKind.CLOSE, Reason.BREAKER_DAILY, hour(1))
    assert stage.trader.trades[0].exit_reason == Reason.BREAKER_DAILY
    assert stage.trader.trades[0].exit_px == 3_989.5 * PX
    assert stage.trader.pending is None
    assert stage.reasons("breaker") == [Reason.DAILY_LOSS]
    assert stage.last("breaker")["until_ms"] == day(1)


def test_a_breaker_flattens_on_any_tick_of_a_bar() -> None:
    stage = Stage(EAGER._replace(drawdown_bp=10, daily_loss_bp=0))
    stage.bar(hour(0), 4_000, 4_000, 4_000, 4_000)
    stage.enter(hour(1), volume_cu=25_000)
    stage.tick(hour(1) + 15_000, 3_990)
    assert [each.reason for each in stage.sent if each.kind is IntentKind.CLOSE] == [Reason.BREAKER_DRAWDOWN]
    assert stage.reasons("breaker") == [Reason.HALT_DRAWDOWN]
    assert stage.last("breaker")["until_ms"] == 0


def test_the_first_reason_is_used_when_both_limits_trip_and_both_are_recorded() -> None:
    stage = Stage(EAGER._replace(drawdown_bp=10, daily_loss_bp=10))
    stage.enter(hour(0), volume_cu=25_000)
    stage.tick(hour(0) + 15_000, 3_980)
    assert stage.sent[-1].reason == Reason.BREAKER_DRAWDOWN
    assert stage.reasons("breaker") == [Reason.HALT_DRAWDOWN, Reason.DAILY_LOSS]


def test_a_tripped_limit_is_kept_before_its_close_is_sent() -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=10))
    stage.enter(hour(0), volume_cu=25_000)
    before = len(stage.records)
    stage.tick(hour(0) + 15_000, 3_990)
    kinds = stage.kinds(before)
    assert kinds.index("state") < kinds.index("intent")
    kept = stage.records[before + kinds.index("state")].body
    assert kept["state"]["breakers"][2] == 1
    assert kept["holding"] is not None


def test_a_close_that_was_refused_is_asked_for_again_on_the_next_first_tick_until_it_is_done() -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=10))
    stage.enter(hour(0), volume_cu=25_000)
    stage.is_shut = True
    stage.bar(hour(0), 3_990, 3_990, 3_990, 3_990)
    assert [each.kind for each in stage.sent[1:]] == [IntentKind.CLOSE]
    stage.bar(hour(1), 3_990, 3_990, 3_990, 3_990)
    assert [each.kind for each in stage.sent[1:]] == [IntentKind.CLOSE] * 2
    stage.is_shut = False
    stage.bar(hour(2), 3_990, 3_990, 3_990, 3_990)
    stage.bar(hour(3), 3_990, 3_990, 3_990, 3_990)
    assert [each.kind for each in stage.sent[1:]] == [IntentKind.CLOSE] * 3
    assert len({each.client_order_id for each in stage.sent}) == 4
    assert [trade.exit_reason for trade in stage.trader.trades] == [Reason.BREAKER_DAILY]


def test_a_closing_fill_is_counted_at_once() -> None:
    stage = Stage(EAGER._replace(losses_max=1, cooldown_ms=2 * HOUR_MS))
    stage.enter(hour(0))
    stage.tick(hour(0) + 15_000, 3_900)
    state = stage.trader.state
    assert state is not None
    assert state.breakers.cooldown_until_ms == hour(1) + 2 * HOUR_MS
    assert stage.last("state")["state"]["breakers"][7] == hour(3)


def test_a_limit_can_trip_on_the_closing_fill_alone() -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=10, drawdown_bp=0))
    stage.enter(hour(0), volume_cu=25_000)
    stage.tick(hour(1), 3_900, jump=True)  # straight through the stop: no mark saw the loss while it was open
    assert stage.reasons("breaker") == [Reason.DAILY_LOSS]
    assert [each.kind for each in stage.sent] == [IntentKind.ENTER]


# -- a decision waits


def test_a_decision_waits_for_the_next_tick_however_late() -> None:
    stage = Stage()
    stage.open(day(3), 4_001, buying(hour(1)))
    assert [each.bar_end_ms for each in stage.sent] == [hour(1)]
    assert stage.trader.pending is None


@pytest.mark.parametrize(("late_ms", "sent"), [(HOUR_MS, 1), (HOUR_MS + 1, 0)])
def test_a_decision_expires_when_it_is_given_a_time(late_ms: int, sent: int) -> None:
    stage = Stage(EAGER._replace(decision_ttl_ms=HOUR_MS))
    stage.open(hour(1) + late_ms, 4_000, buying(hour(1)))
    assert len(stage.sent) == sent
    if not sent:
        assert stage.last("refusal") == {"bar_end_ms": hour(1), "side": 1, "reason": Reason.DECISION_EXPIRED}
        assert stage.trader.pending is None


@pytest.mark.parametrize(("opened", "sent"), [(4_120, 1), (4_120.001, 0), (3_880, 1), (3_879.999, 0)])
def test_a_decision_is_dropped_when_the_open_is_too_far_from_its_close(opened: float, sent: int) -> None:
    stage = Stage()  # 3 %
    stage.open(hour(1), opened, buying(hour(1), 4_000))
    assert len(stage.sent) == sent
    assert stage.reasons("refusal") == ([] if sent else [Reason.OPEN_GAP])


def test_an_entry_meets_the_breakers_as_they_are_when_it_would_be_sent() -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    state = stage.trader.state
    assert state is not None
    cooling = state.breakers._replace(cooldown_until_ms=hour(1) + 1)
    stage.trader.advance(hour(1))
    stage.trader.pending = buying(hour(1))
    stage.trader.state = State(state.indicators, cooling)
    stage.tick(hour(1), 4_000, jump=True)
    assert (stage.sent, stage.reasons("refusal")) == ([], [Reason.LOSS_STREAK])


def test_no_entry_is_sent_while_an_outcome_is_unknown_or_a_stop_is_not_seen() -> None:
    stage = Stage()
    stage.trader.parked = True
    stage.open(hour(1), 4_000, buying(hour(1)))
    assert (stage.sent, stage.reasons("refusal")) == ([], [Reason.OUTCOME_UNKNOWN])


def test_a_refusal_without_a_signal_is_not_recorded_and_one_with_a_signal_is() -> None:
    stage = Stage(EAGER._replace(profile=0, rsi_low=100.0, rsi_high=100.0))  # fades: wants to buy, but has no sentiment
    stage.bar(hour(0), 4_000, 4_000, 4_000, 4_000)
    stage.bar(hour(1), 4_000, 4_000, 4_000, 3_990)
    assert stage.of("refusal") == []  # warming up
    stage.bar(hour(2), 4_000, 4_000, 4_000, 3_980)
    stage.tick(hour(3), 3_980)
    assert stage.last("refusal") == {"bar_end_ms": hour(3), "side": 1, "reason": Reason.SENTIMENT_ABSENT}


# -- amends


def test_a_trail_moves_the_stop_and_sends_both_levels() -> None:
    stage = Stage()
    stage.enter(hour(0))
    stage.open(hour(1), 4_000, trailing(hour(1), 3_990))
    asked = stage.sent[-1]
    assert (asked.kind, asked.reason) == (IntentKind.AMEND, Reason.TRAIL)
    assert (asked.sl_px, asked.tp_px) == (3_990 * PX, 4_082.5 * PX)
    holding = stage.trader.book.holding
    assert holding is not None
    assert (holding.sl_px, holding.sl_first_px) == (3_990 * PX, 3_942.5 * PX)
    stage.tick(hour(1) + 15_000, 3_990)
    assert stage.trader.trades[0].exit_reason == Reason.TRAIL


@pytest.mark.parametrize(("opened", "kind"), [(3_990.001, IntentKind.AMEND), (3_990, IntentKind.CLOSE)])
def test_a_trail_that_the_open_is_through_closes_at_market(opened: float, kind: IntentKind) -> None:
    stage = Stage()
    stage.enter(hour(0))
    stage.open(hour(1), opened, trailing(hour(1), 3_990))
    assert (stage.sent[-1].kind, stage.sent[-1].reason) == (kind, Reason.TRAIL)
    if kind is IntentKind.CLOSE:
        assert stage.trader.trades[0].exit_reason == Reason.TRAIL
        assert stage.trader.trades[0].exit_px == (opened - 0.5) * PX


def test_the_trail_of_a_short_is_held_against_the_ask() -> None:
    for opened, kind in ((4_007.999, IntentKind.AMEND), (4_008, IntentKind.CLOSE)):
        stage = Stage()
        stage.enter(hour(0), side=-1)
        stage.open(hour(1), opened, trailing(hour(1), 4_010, 3_919.5))
        assert stage.sent[-1].kind is kind


def test_no_second_close_is_sent_while_one_is_unanswered() -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=10))
    stage.enter(hour(0), volume_cu=25_000)
    (close,) = stage.trader.close(Reason.TIME, hour(0))
    stage.trader.book.recall(close)
    assert stage.trader.close(Reason.SIGNAL, hour(0)) == []
    assert stage.trader.on_quote(quote_at(hour(0) + 1, 3_900)) == []


# -- what time brings


def test_a_swap_counts_in_the_day_that_ends_at_its_instant() -> None:
    stage = Stage(spec=spec_of(swap_kind=1, swap_long=-36_000_000, swap_time_ms=0))  # 1 % a day of 360 days
    stage.enter(hour(1))
    stage.tick(hour(2), 4_000)
    before = len(stage.records)
    stage.tick(day(1), 4_000)
    state = stage.trader.state
    assert state is not None
    holding = stage.trader.book.holding
    assert holding is not None
    assert holding.position.swap_minor == -round(4_000 * 25 * 100 / 100)
    floating = (4_000 - 4_002.5) * 25 * 100 - 2_500 + holding.position.swap_minor
    assert state.breakers.day_open_minor == BALANCE + round(floating)
    swaps = [record for record in stage.records[before:] if record.kind == "order_event"]
    assert [record.body["execution"] for record in swaps] == [Execution.SWAP]


def test_a_bar_that_ends_on_the_day_boundary_is_decided_in_the_new_day() -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=10))
    for index in range(22):
        stage.bar(hour(index), 4_000, 4_000, 4_000, 4_000 - index)
    stage.enter(hour(22), 3_979, volume_cu=25_000)
    stage.tick(hour(22) + 15_000, 3_970)
    assert stage.reasons("breaker") == [Reason.DAILY_LOSS]
    stage.bar(hour(23), 3_970, 3_970, 3_980, 3_980)  # a signal at midnight
    before = len(stage.records)
    stage.tick(day(1), 3_980, jump=True)
    assert stage.kinds(before)[:3] == ["state", "bar_closed", "intent"]
    first, second = stage.records[before : before + 2]
    assert (first.ts_ms, second.ts_ms) == (day(1), day(1))
    assert second.body["action"] == Action.ENTER
    assert second.body["serial"] > first.body["serial"]


def test_the_day_opens_with_the_equity_of_the_last_mark_before_it() -> None:
    stage = Stage()
    stage.enter(hour(1))
    stage.tick(hour(23), 4_010)
    stage.tick(day(1) + HOUR_MS, 3_950, jump=True)  # an overnight gap counts against the new day
    state = stage.trader.state
    assert state is not None
    assert state.breakers.day_open_minor == BALANCE + round((4_010 - 4_002.5) * 2_500) - 2_500
    assert state.breakers.day_start_ms == day(1)


def test_several_days_may_pass_at_once() -> None:
    stage = Stage()
    stage.tick(hour(1), 4_000)
    stage.tick(day(5) + 1, 4_000)
    state = stage.trader.state
    assert state is not None
    assert state.breakers.day_start_ms == day(5)
    assert [record.ts_ms for record in stage.of("bar_closed")] == [hour(2)]
    assert [record.ts_ms for record in stage.of("state")] == [day(number) for number in range(1, 6)]


def test_the_time_exit_counts_the_bar_of_the_entry_as_the_first() -> None:
    stage = Stage(EAGER._replace(max_bars=2, warmup_bars=0))
    stage.enter(hour(0))
    stage.bar(hour(1), 4_000, 4_000, 4_000, 4_000)
    assert len(stage.sent) == 1
    stage.tick(hour(2), 4_000, jump=True)
    assert (stage.sent[-1].kind, stage.sent[-1].reason) == (IntentKind.CLOSE, Reason.TIME)
