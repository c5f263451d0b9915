"""Start is recovery: what the journal says was meant, against what the broker says is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.live.bot import ABOUT, Bot, close_it, dies, flat_bar, lived, successor
from tests.unit.live.stage import BALANCE, EAGER, Stage, buying, day, hour, through_text

from palmbot.core.types import Reason
from palmbot.errors import RefusedError
from palmbot.live import startup
from palmbot.model import IntentKind, JournalEvent, OrderIntent
from palmbot.units import DAY_MS, HOUR_MS, PX

STREAK = EAGER._replace(losses_max=1, cooldown_ms=4 * HOUR_MS)


async def recovered(bot: Bot) -> int:
    return await startup.recover(bot.trader, bot.wires, ABOUT)


# -- a fresh start


async def test_a_fresh_start_takes_the_brokers_balance_and_lets_history_pass_without_a_trade() -> None:
    bot = Bot()
    bot.trading.shows(balance_minor=123_456)
    bot.quotes.bars = tuple(flat_bar(hour(number), 4_000 + number) for number in range(6))
    await bot.run()
    assert bot.log[0] == "look"
    assert bot.log.index("journal run_started") < bot.log.index("subscribe PALMOIL") < bot.log.index("idle")
    assert bot.written("run_started") == [JournalEvent("run_started", 0, ABOUT)]
    assert (bot.runner.started_seq, bot.runner.start_balance_minor) == (1, 123_456)
    bars = bot.written("bar_closed")
    assert [event.body["end_ms"] for event in bars] == [hour(number) for number in range(1, 7)]
    assert not any(event.body["live"] for event in bars)
    assert {event.body["equity_minor"] for event in bars} == {123_456}
    assert bot.sent() == []


async def test_history_is_sorted_and_one_bar_a_bucket_and_the_forming_one_goes_on() -> None:
    bot = Bot()
    bars = [flat_bar(hour(2), 4_002), flat_bar(hour(0), 4_000), flat_bar(hour(1), 3_999), flat_bar(hour(1), 4_001)]
    bot.quotes.bars = (*bars, flat_bar(hour(3) + 5, 4_003, forming=True))
    await recovered(bot)
    closed = [event for event in bot.journal.waiting if event.kind == "bar_closed"]
    assert [event.body["close_px"] for event in closed] == [4_000 * PX, 4_001 * PX, 4_002 * PX]
    forming = bot.trader.feed.forming
    assert forming is not None
    assert (forming.ts_ms, forming.end_ms, forming.close_px) == (hour(3) + 5, hour(4), 4_003 * PX)


# -- what is refused


async def test_a_netted_account_is_refused_before_anything_is_done() -> None:
    bot = Bot()
    bot.trading.shown = replace(bot.trading.shown, hedged=False)
    with pytest.raises(RefusedError, match="ACCOUNT_NETTED") as refused:
        await bot.runner.run()
    assert refused.value.exit_code == 3
    assert (bot.log, bot.journal.written) == (["look"], [])


async def test_several_own_positions_are_refused_and_named() -> None:
    first, second = await lived()
    first.matching.request(replace(first.trading.sent[0], client_order_id="ab12.rt.PALMOI.gwy99.E1.3"))
    second.trading.shown = first.matching.snapshot()
    with pytest.raises(RefusedError, match="SEVERAL_POSITIONS") as refused:
        await recovered(second)
    assert refused.value.facts == {"positions": "1,2"}
    assert second.sent() == []


async def test_positions_of_others_are_left_alone() -> None:
    bot = Bot()
    for label in ("", "manual", "server-7", "ab12.rt.SOYOIL.gwyd0.E1.3"):
        intent = OrderIntent(IntentKind.ENTER, label, "PALMOIL", 1, 25, 0, 0, 60 * PX, 80 * PX)
        bot.play(hour(0), 4_000)
        bot.inbox._events.clear()
        bot.matching.request(intent)
    bot.trading.shown = bot.matching.snapshot()
    assert len(bot.trading.shown.positions) == 4
    await bot.run()
    assert (bot.trader.book.holding, bot.sent()) == (None, [])


async def test_a_position_of_another_install_is_refused() -> None:
    bot = Bot()
    bot.play(hour(0), 4_000)
    bot.inbox._events.clear()
    rival = "cd34.rs.PALMOI.gwyd0.E1.3"
    bot.matching.request(OrderIntent(IntentKind.ENTER, rival, "PALMOIL", 1, 25, 0, 0, 60 * PX, 80 * PX))
    bot.trading.shown = bot.matching.snapshot()
    with pytest.raises(RefusedError, match="FOREIGN_INSTANCE") as refused:
        await recovered(bot)
    assert refused.value.facts == {"labels": rival}
    assert bot.journal.written == []


# -- a position that is still there


async def test_an_open_position_is_taken_over_with_its_story() -> None:
    first, second = await lived()
    await second.run(second.quote(hour(1) + 60_000, 4_001))
    before, after = first.trader.book.holding, second.trader.book.holding
    assert before is not None
    assert after == before
    assert second.sent() == []
    assert second.trader.bars_held == 0
    assert second.trader.book.is_settled


async def test_a_position_of_which_only_the_intent_was_written_is_taken_over_by_its_label() -> None:
    first, second = await lived(answer=lambda bot: bot.silent)
    assert [event.kind for event in second.journal.written][-1] == "intent"
    assert first.trader.book.holding is None
    await second.run()
    holding = second.trader.book.holding
    assert holding is not None
    assert holding.position.label == first.trading.sent[0].client_order_id
    assert (holding.reason, holding.risk_minor) == (Reason.ENTRY_LONG, 160_000.0)
    assert (holding.sl_first_px, holding.tp_first_px) == (3_942.5 * PX, 4_082.5 * PX)
    assert second.sent() == []
    assert second.trader.book.is_settled
    (told,) = second.written("order_event")  # what was not heard is in the journal now
    assert (told.body["fill"]["deal_id"], told.body["request_id"]) == (1, holding.position.label)
    assert told.body["position"]["sl_px"] == 3_942.5 * PX


async def test_the_time_exit_of_a_position_taken_over_counts_the_bars_that_were_missed() -> None:
    _, second = await lived(EAGER._replace(max_bars=4))
    second.quotes.bars = tuple(flat_bar(hour(number), 4_000) for number in range(4))
    await recovered(second)
    assert second.trader.bars_held == 3
    _, third = await lived(EAGER._replace(max_bars=4), answer=lambda bot: bot.silent)
    third.trader.bars_held = 9  # of a position before
    third.quotes.bars = second.quotes.bars
    await recovered(third)
    assert third.trader.bars_held == 3


async def test_a_position_without_a_stop_gets_it_back_after_two_looks() -> None:
    first, second = await lived(answer=lambda bot: bot.silent)
    shown = first.matching.snapshot()
    bare = tuple(replace(each, sl_px=None, tp_px=None) for each in shown.positions)
    second.trading.shown = replace(shown, positions=bare, orders=())
    await second.run(second.passes(1_999), second.passes(1))
    (amend,) = second.trading.sent
    assert (amend.kind, amend.sl_px, amend.tp_px) == (IntentKind.AMEND, 3_942.5 * PX, 4_082.5 * PX)
    assert second.log.count("look") == 2


async def test_a_limit_that_tripped_before_the_kill_is_flattened_at_the_start() -> None:
    params = EAGER._replace(daily_loss_bp=10)
    first = Bot(params)
    first.inbox.steps = [
        first.quote(hour(0), 4_000, buying(hour(0), volume_cu=25_000)),
        first.does(lambda: setattr(first.trading, "answer", dies)),
        first.quote(hour(0) + 1, 3_980),
    ]
    with pytest.raises(KeyboardInterrupt):
        await first.runner.run()
    second = successor(first, params)
    await second.run()
    assert second.sent() == ["close"]
    assert second.log.index("send close") < second.log.index("subscribe PALMOIL")
    assert second.trader.trades[0].exit_reason == Reason.BREAKER_DAILY
    ids = [event.body["client_order_id"] for event in second.written("intent")]
    assert len(ids) == 3


# -- the newest state, and a decision that waits


def waiting(decision_bar: int, *more: JournalEvent) -> list[JournalEvent]:
    """Return the journal of a bot that was killed with a decision to buy pending."""
    stage = Stage()
    stage.bar(hour(0), 4_000, 4_000, 4_000, 4_000)
    stage.trader.advance(hour(1))
    stage.trader.pending = buying(decision_bar)
    stage.trader.keep_state(hour(1))
    stage.take()
    return [through_text(event) for event in (*stage.records, *more)]


async def test_a_decision_that_waited_for_the_open_is_carried_out_after_the_restart() -> None:
    bot = Bot(written=waiting(hour(1)))
    await bot.run(bot.quote(hour(9), 4_000), bot.quote(hour(9) + 1, 4_000))
    assert bot.sent() == ["enter"]
    assert bot.trading.sent[0].bar_end_ms == hour(1)


async def test_a_decision_that_may_have_been_sent_is_not_sent_again() -> None:
    first = Bot(written=waiting(hour(1)))
    first.inbox.steps = [first.does(lambda: setattr(first.trading, "answer", dies)), first.quote(hour(9), 4_000)]
    with pytest.raises(KeyboardInterrupt):
        await first.runner.run()
    assert len(first.written("intent")) == 1
    second = successor(first)
    await second.run(second.quote(hour(9), 4_000))
    assert second.sent() == []
    assert len(second.written("intent")) == 1


@pytest.mark.parametrize("forming", [True, False])
async def test_a_decision_whose_tick_has_passed_is_dropped(*, forming: bool) -> None:
    bot = Bot(written=waiting(hour(1)))
    bot.quotes.bars = (flat_bar(hour(0), 4_000), flat_bar(hour(1), 4_000, forming=forming))
    await bot.run(bot.quote(hour(2), 4_000))
    assert bot.sent() == []


async def test_the_newest_state_is_the_one_that_was_written_last_whatever_its_time() -> None:
    records = waiting(hour(1))
    keeping = [event for event in records if event.kind in {"state", "bar_closed"}]
    assert {event.ts_ms for event in keeping} == {hour(1)}
    for order in (keeping, keeping[::-1]):
        bot = Bot(written=order)
        await recovered(bot)
        assert bot.trader.pending is not None


@pytest.mark.parametrize("period_ms", [HOUR_MS, DAY_MS])
async def test_a_bar_that_ends_with_the_trading_day_is_not_lost_or_counted_twice(period_ms: int) -> None:
    stage = Stage()
    stage.trader.feed.period_ms = period_ms
    stage.bar(day(1) - HOUR_MS, 4_000, 4_000, 4_000, 4_000)
    stage.tick(day(1), 4_000)
    assert stage.kinds() == ["state", "bar_closed"]
    bot = Bot(written=[through_text(event) for event in stage.records])
    bot.trader.feed.period_ms = period_ms
    bot.quotes.bars = (flat_bar(day(1) - HOUR_MS, 4_000), flat_bar(day(1), 4_000, forming=True))
    await recovered(bot)
    state, unbroken = bot.trader.state, stage.trader.state
    assert state == unbroken
    assert [event.kind for event in bot.journal.waiting] == []


async def test_the_day_that_begins_while_the_bot_is_down_opens_with_the_equity_of_the_last_mark() -> None:
    first, second = await lived()
    await second.run(second.quote(day(1) + HOUR_MS, 4_040))
    state = second.trader.state
    assert state is not None
    assert state.breakers.day_open_minor == BALANCE + round((4_000 - 4_002.5) * 2_500) - 2_500
    assert first.trader.equity_minor == state.breakers.day_open_minor


async def test_the_ids_of_an_earlier_run_are_never_made_again() -> None:
    _, second = await lived()
    close_it(second, "stop")
    second.trader.book.owner = replace(second.trader.book.owner, epoch=4)  # as the lease does
    await second.run(second.quote(hour(1) + 1, 4_000), second.buys(3))
    ids = [event.body["client_order_id"] for event in second.written("intent")]
    assert len(ids) == len(set(ids)) == 2
    assert ids[-1].endswith(".4")
