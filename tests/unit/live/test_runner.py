"""The loop: what is written before what is sent, what silence leads to, and how a run ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.live.bot import Bot
from tests.unit.live.stage import BALANCE, EAGER, buying, hour

from palmbot.core.types import Reason
from palmbot.errors import HaltError
from palmbot.model import BrokerEvent, CashEvent, IntentKind, LinkEvent, LinkState, OrderEvent, OrderIntent

# -- the journal first


async def test_an_intent_is_in_the_journal_before_it_is_sent_and_the_bar_before_the_intent() -> None:
    bot = Bot()
    await bot.run(bot.quote(hour(0), 4_000), bot.buys(1))
    assert bot.log.index("journal intent") < bot.log.index("send enter")
    kinds = [event.kind for event in bot.journal.written]
    assert kinds.index("bar_closed") < kinds.index("intent") < kinds.index("order_event")
    (intent,) = bot.written("intent")
    assert intent.body["client_order_id"] == bot.trading.sent[0].client_order_id


async def test_a_journal_that_cannot_be_written_lets_no_entry_out() -> None:
    bot = Bot()
    steps = [bot.quote(hour(0), 4_000), bot.does(lambda: setattr(bot.journal, "full", True)), bot.buys(1)]
    with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
        await bot.run(*steps)
    assert bot.sent() == []
    assert bot.trader.book.in_flight == ()


@pytest.mark.parametrize("when", ["full", "failed"])  # it fails at the intent, or failed before
async def test_a_journal_that_cannot_be_written_lets_a_close_out_and_then_ends_the_run(when: str) -> None:
    bot = Bot(EAGER._replace(daily_loss_bp=10))
    buy = bot.quote(hour(0), 4_000, buying(hour(0), volume_cu=25_000))
    with pytest.raises(HaltError, match="JOURNAL_UNWRITABLE"):
        await bot.run(buy, bot.does(lambda: setattr(bot.journal, when, True)), bot.quote(hour(0) + 1, 3_980))
    assert bot.sent() == ["enter", "close"]
    assert bot.trading.sent[-1].reason == Reason.BREAKER_DAILY
    assert bot.matching.positions == {}
    assert bot.written("run_stopped") == []


async def test_what_the_broker_did_is_in_the_journal_before_the_next_request() -> None:
    bot = Bot()
    await bot.run(bot.buys(0), bot.quote(hour(0) + 1, 3_900), bot.buys(1))
    kinds = [event.kind for event in bot.journal.written]
    second = [place for place, kind in enumerate(kinds) if kind == "intent"][1]
    assert kinds[:second].count("order_event") == 4  # three of the entry, one of the stop


# -- idle


async def test_idle_is_told_only_when_everything_is_heard_answered_and_written() -> None:
    bot = Bot()
    partly: list[OrderEvent] = []

    def answer(intent: OrderIntent) -> None:
        partly.extend(bot.asked(intent).events)

    marks: list[int] = []

    def tell(number: int) -> BrokerEvent:
        marks.append(bot.log.count("idle"))
        return partly[number]

    steps = [lambda number=number: tell(number) for number in range(3)]
    await bot.run(bot.buys(0, answer=answer), *steps, bot.does(lambda: marks.append(bot.log.count("idle"))))
    assert marks == [1, 1, 1, 2]  # once before the quote, then not before the protective order
    assert bot.log[bot.log.index("send enter") :][:3] == ["send enter", "flush", "idle"]


async def test_idle_is_told_once_a_tick_when_nothing_is_asked() -> None:
    bot = Bot()
    await bot.run(*(bot.quote(hour(0) + number, 4_000) for number in range(3)))
    assert bot.log.count("idle") == 4  # before the first, and after each


async def test_a_quiet_bot_waits_as_long_as_it_takes() -> None:
    bot = Bot()
    await bot.run(bot.quote(hour(0), 4_000), bot.passes(10**9))
    assert bot.inbox.waits == [None, None, None]
    assert bot.log.count("look") == 1  # that of the start


# -- the end


async def test_a_run_that_is_told_to_stop_hears_what_has_happened_and_says_where_it_stands() -> None:
    bot = Bot()

    def stop_in_the_middle() -> None:
        bot.runner.stop("SIGTERM")
        bot.runner.stop("SIGINT")
        bot.play(hour(0) + 1, 4_010)
        bot.play(hour(0) + 2, 4_020)

    bot.inbox.steps = [bot.buys(0), bot.does(stop_in_the_middle)]
    await bot.runner.run()
    mark = bot.trader.feed.mark
    assert mark is not None
    assert (mark.ts_ms, bot.inbox.is_empty) == (hour(0) + 2, True)
    stopped = bot.stopped()
    assert stopped.ts_ms == hour(0) + 2
    assert stopped.body == {
        "reason": "SIGTERM",
        "end_ms": hour(1),
        "equity_minor": BALANCE + round((4_020 - 4_002.5) * 2_500) - 2_500,
        "equity_low_minor": BALANCE,
        "held": True,
        "balance_minor": BALANCE,
    }
    assert bot.journal.waiting == []
    kept = bot.journal.written[-2]
    assert (kept.kind, kept.body["mark"]["ts_ms"]) == ("state", hour(0) + 2)


async def test_a_request_that_is_answered_after_the_word_to_stop_is_still_heard() -> None:
    bot = Bot()
    events: list[OrderEvent] = []

    def slow(intent: OrderIntent) -> None:
        events.extend(bot.asked(intent).events)

    late = [bot.hears(lambda number=number: events[number]) for number in range(3)]  # type: ignore[misc]
    bot.inbox.steps = [bot.buys(0, answer=slow), bot.stop("SIGINT"), *late]
    await bot.runner.run()
    assert bot.stopped().body["held"] is True
    assert len(bot.written("order_event")) == 3


async def test_a_stop_does_not_wait_for_ever() -> None:
    bot = Bot()

    def naked(intent: OrderIntent) -> None:
        if intent.kind is IntentKind.ENTER:
            bot.tells(0, 1)(intent)
            shown = bot.trading.shown
            bare = tuple(replace(each, sl_px=None, tp_px=None) for each in shown.positions)
            bot.trading.shown = replace(shown, positions=bare, orders=())

    # the stop is never seen, however often it is put back: 2 s, then 10 s without an answer ...
    bot.inbox.steps = [
        bot.buys(0, answer=naked),
        bot.stop("SIGINT"),
        bot.passes(2_000),
        bot.passes(7_999),
        bot.passes(1),
    ]
    await bot.runner.run()
    assert bot.stopped().body["reason"] == "SIGINT"
    assert bot.sent() == ["enter", "amend"]
    assert bot.inbox.waits[-2:] == [8.0, 0.001]  # ... but 10 s after the word it is over


async def test_a_stop_does_not_wait_for_ever_for_a_link_that_is_lost() -> None:
    bot = Bot()
    lost = LinkEvent(hour(1), LinkState.LOST, "reset by peer")
    bot.inbox.steps = [bot.buys(0, answer=bot.silent), bot.hears(lambda: lost), bot.stop("SIGTERM"), bot.passes(10_000)]
    await bot.runner.run()
    assert bot.stopped().body["reason"] == "SIGTERM"
    assert bot.inbox.waits[-2:] == [None, 10.0]  # a lost link is waited for as long as it takes, a stop is not


async def test_a_word_to_stop_that_comes_while_the_journal_is_written_is_heard() -> None:
    bot = Bot()
    flush = bot.journal.flush

    async def told_meanwhile() -> None:
        bot.runner.stop("SIGTERM")
        await flush()

    bot.journal.flush = told_meanwhile  # type: ignore[method-assign]
    bot.inbox.steps = [bot.buys(0)]
    await bot.runner.run()
    assert bot.log[-1] == "flush"
    assert bot.log.count("idle") == 1  # before the tick; the exchange is not told to go on
    assert bot.stopped().body["reason"] == "SIGTERM"


async def test_the_end_of_the_feed_ends_the_run() -> None:
    bot = Bot()
    end = LinkEvent(hour(1), LinkState.READY, "the feed ended", ended=True)
    bot.inbox.steps = [bot.quote(hour(0), 4_000), bot.hears(lambda: end)]
    await bot.runner.run()
    assert bot.stopped().body["reason"] == "end of data"


async def test_a_stop_before_the_first_price_leaves_an_honest_record() -> None:
    bot = Bot()
    await bot.run()
    assert (bot.stopped().ts_ms, bot.stopped().body["end_ms"]) == (0, 0)


async def test_money_and_link_are_recorded_like_anything_else() -> None:
    bot = Bot()
    deposit, lost = CashEvent(hour(0), 77, BALANCE + 77), LinkEvent(hour(0), LinkState.LOST)
    await bot.run(bot.quote(hour(0), 4_000), bot.hears(lambda: deposit), bot.hears(lambda: lost))
    assert [event.body["text"] for event in bot.written("note")] == ["cash 77"]
    assert [event.body["reason"] for event in bot.written("breaker")] == [Reason.LINK_LOST]
    assert bot.stopped().body["balance_minor"] == BALANCE + 77


async def test_silence_is_measured_between_quotes_on_the_machine_clock() -> None:
    bot = Bot()
    await bot.run(bot.quote(hour(0), 4_000), bot.passes(60_001), bot.buys(1))
    assert [event.body["reason"] for event in bot.written("refusal")] == [Reason.STALE_FEED]
    bot = Bot()
    await bot.run(bot.quote(hour(0), 4_000), bot.passes(60_000), bot.buys(1))
    assert bot.sent() == ["enter"]
