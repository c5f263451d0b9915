"""What reaches the trader from outside its own decisions: money, hands, the wire, the broker's no, others' trades."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.live.stage import BALANCE, EAGER, START_MS, Stage, buying, hour, quote_at, spec_of

from palmbot.core.types import Action, Reason
from palmbot.model import CashEvent, HistoryBar, LinkEvent, LinkState, OrderEvent, TermsEvent
from palmbot.orders.records import order_event_of
from palmbot.units import DAY_MS, PX

# -- money from outside, and hands from outside


@pytest.mark.parametrize("delta_minor", [500_000, -500_000])
def test_a_deposit_or_withdrawal_moves_the_baselines_and_is_kept(delta_minor: int) -> None:
    stage = Stage(EAGER._replace(daily_loss_bp=100, drawdown_bp=100))
    stage.tick(hour(0), 4_000)
    stage.trader.on_cash(CashEvent(hour(0), delta_minor, BALANCE + delta_minor))
    stage.take()
    state = stage.trader.state
    assert state is not None
    assert state.breakers.day_open_minor == state.breakers.peak_minor == BALANCE + delta_minor
    assert stage.trader.equity_minor == BALANCE + delta_minor
    assert stage.last("state")["state"]["breakers"][0] == BALANCE + delta_minor
    assert stage.kinds() == ["note", "state"]
    stage.enter(hour(1))
    assert stage.of("breaker") == []


def test_a_hand_that_halts_blocks_entries_until_it_resumes_and_is_kept() -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    stage.trader.halt(hour(0), 1)
    stage.open(hour(1), 4_000, buying(hour(1)))
    assert stage.reasons("refusal") == [Reason.HALT_MANUAL]
    assert stage.reasons("breaker") == [Reason.HALT_MANUAL]
    assert stage.of("state")[0].body["watch"][0] == 1
    stage.trader.halt(hour(1), 0)
    stage.enter(hour(2))
    assert len(stage.sent) == 1


def test_a_lost_link_blocks_entries_until_it_is_ready_and_what_was_missed_is_read() -> None:
    stage = Stage()
    for state in (LinkState.LOST, LinkState.CONNECTING):
        stage.trader.on_link(LinkEvent(hour(0), state))
    stage.open(hour(1), 4_000, buying(hour(1)))
    assert stage.reasons("refusal") == [Reason.LINK_LOST]
    assert stage.reasons("breaker") == [Reason.LINK_LOST]
    stage.trader.on_link(LinkEvent(hour(1), LinkState.READY))
    stage.enter(hour(2))
    assert stage.reasons("refusal") == [Reason.LINK_LOST, Reason.OUTCOME_UNKNOWN]
    stage.trader.behind = False
    stage.enter(hour(3))
    assert len(stage.sent) == 1


def test_silence_inside_a_session_drops_the_entry_and_over_closed_hours_does_not() -> None:
    for open_until, refused in ((7 * 24 * 60, True), (30, False)):  # minutes of the week
        spec = spec_of()
        spec = replace(spec, session=replace(spec.session, intervals=((0, open_until), (60, 7 * 24 * 60))))
        stage = Stage(spec=spec)
        stage.tick(hour(0), 4_000)
        stage.trader.advance(hour(1))
        stage.trader.pending = buying(hour(1))
        requests = stage.trader.on_quote(quote_at(hour(1), 4_000), silence_ms=60_001)
        assert (requests == []) is refused
        stage.take()
        assert stage.reasons("refusal") == ([Reason.STALE_FEED] if refused else [])


@pytest.mark.parametrize(("spread", "sent"), [(10, 1), (10.001, 0)])
def test_a_spread_of_more_than_five_times_the_usual_drops_the_entry(spread: float, sent: int) -> None:
    stage = Stage()
    stage.open(hour(1), 4_000, buying(hour(1)), spread_px=round(spread * PX))
    assert len(stage.sent) == sent
    assert stage.reasons("refusal") == ([] if sent else [Reason.WIDE_SPREAD])


# -- what the broker refuses, and what it tells of others


def test_a_refused_entry_is_recorded_with_its_reason() -> None:
    stage = Stage()
    stage.enter(hour(1), volume_cu=2_500_000)
    assert stage.reasons("refusal") == [Reason.NOT_ENOUGH_MONEY]
    assert stage.last("refusal") == {"bar_end_ms": hour(1), "side": 1, "reason": Reason.NOT_ENOUGH_MONEY}
    assert stage.of("breaker") == []
    assert stage.trader.watch.rejects == 0


def test_three_rejections_in_a_row_pause_entries_and_a_fill_ends_the_row() -> None:
    def reject(stage: Stage, number: int) -> None:
        stage.matching.venue.reject_next("NO_LIQUIDITY")
        stage.enter(hour(number))

    stage = Stage()
    for number in (0, 1):
        reject(stage, number)
    stage.enter(hour(2))
    stage.tick(hour(2) + 15_000, 3_900)
    for number in (3, 4, 5):
        assert stage.of("breaker") == []
        reject(stage, number)
    assert stage.reasons("breaker") == [Reason.REJECT_STREAK]
    until_ms = hour(5) + 15 * 60_000
    assert stage.last("breaker")["until_ms"] == until_ms
    sent = len(stage.sent)
    stage.trader.feed.forming = None
    stage.enter(until_ms - 1)
    assert (len(stage.sent), stage.reasons("refusal")[-1]) == (sent, Reason.REJECT_STREAK)
    stage.trader.feed.forming = None
    stage.enter(until_ms)
    assert len(stage.sent) == sent + 1


def test_a_foreign_entry_or_a_repeated_fill_does_not_set_the_clock_of_the_time_exit_back() -> None:
    stage = Stage(EAGER._replace(warmup_bars=9))
    stage.enter(hour(0))
    stage.bar(hour(1), 4_000, 4_000, 4_000, 4_000)
    stage.bar(hour(2), 4_000, 4_000, 4_000, 4_000)
    assert stage.trader.bars_held == 2
    before = stage.trader.book.holding
    foreign = replace(stage.sent[0], client_order_id="manual")
    stage.tell(*stage.matching.request(foreign).events)
    assert (stage.trader.bars_held, stage.trader.book.holding) == (2, before)
    entry = Stage()
    entry.enter(hour(0))
    filled = [event for event in told(entry) if event.fill is not None]
    stage.tell(*filled)
    assert stage.trader.bars_held == 2
    assert len(stage.of("state")) == 2 + 0  # the fill and its protection


def told(stage: Stage) -> list[OrderEvent]:
    return [order_event_of(record) for record in stage.of("order_event")]


# -- history


def history_bar(number: int, price: float) -> HistoryBar:
    px = round(price * PX)
    return HistoryBar(hour(number), px, px, px, px)


def test_history_decides_nothing_and_leaves_nothing_pending() -> None:
    stage = Stage()
    for number in range(6):
        stage.trader.absorb(history_bar(number, 4_000 + number))  # each closes higher: a signal every time
    stage.take()
    assert set(stage.kinds()) == {"bar_closed"}
    assert not any(record.body["live"] for record in stage.records)
    assert [record.body["action"] for record in stage.records][3:] == [Action.ENTER] * 3
    assert stage.trader.pending is None
    stage.tick(hour(6), 4_010)
    assert stage.sent == []


def test_history_crosses_day_boundaries_as_ticks_do() -> None:
    stage = Stage()
    for number in (22, 23, 24, 25):
        stage.trader.absorb(history_bar(number, 4_000))
    state = stage.trader.state
    assert state is not None
    assert state.breakers.day_start_ms == START_MS + DAY_MS


# -- the broker's terms


def test_terms_that_forbid_entries_bar_them_until_others_come_and_exits_go_on() -> None:
    stage = Stage()
    core, session = stage.spec.core, stage.spec.session
    stage.enter(hour(1))
    stage.trader.on_terms(TermsEvent("SYMBOL_NOT_TRADED: close only", core, session))
    stage.ask(stage.trader.close(Reason.SIGNAL, hour(1) + 1))
    assert stage.trader.book.holding is None
    stage.open(hour(2), 4_000, buying(hour(2)))
    assert stage.reasons("refusal") == [Reason.MARKET_CLOSED]
    stage.trader.on_terms(TermsEvent("", core, session))
    stage.enter(hour(3))
    texts = [each.body["text"] for each in stage.of("note")]
    assert texts == [
        "the broker's new terms: no entries, SYMBOL_NOT_TRADED: close only",
        "the broker's new terms: entries may go on",
    ]
    assert stage.trader.book.holding is not None


def test_new_terms_are_decided_by_from_then_on_and_named() -> None:
    stage = Stage()
    core = stage.spec.core._replace(volume_min_cu=50, swap_long=-7)
    stage.trader.on_terms(TermsEvent("", core, stage.spec.session))
    assert stage.trader.rules.instrument == core
    stage.take()
    assert stage.of("note")[0].body["text"] == "the broker's new terms: volume_min_cu 25 -> 50, swap_long 0 -> -7"
