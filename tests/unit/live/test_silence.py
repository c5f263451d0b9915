"""Silence: what the bot does when a stop is not seen or an answer does not come. It looks; it never sends twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fakes import Step
from tests.unit.live.bot import Bot
from tests.unit.live.stage import EAGER, buying, hour

from palmbot.core.types import Reason
from palmbot.errors import OutcomeUnknownError
from palmbot.model import BrokerEvent, Execution, IntentKind, OrderEvent, OrderIntent
from palmbot.units import PX

# -- no stop seen


async def test_a_stop_that_is_not_seen_within_two_seconds_is_looked_for_and_put_back_where_it_belongs() -> None:
    bot = Bot()

    def naked(intent: OrderIntent) -> None:
        if intent.kind is IntentKind.AMEND:
            return bot.answered(intent)
        for event in bot.asked(intent).events[:2]:
            bot.inbox.put(event)
        shown = bot.trading.shown
        bare = tuple(replace(each, sl_px=None, tp_px=None) for each in shown.positions)
        bot.trading.shown = replace(shown, positions=bare, orders=())
        return None

    await bot.run(bot.buys(0, answer=naked), bot.passes(1_999), bot.passes(1))
    assert bot.sent() == ["enter", "amend"]
    amend = bot.trading.sent[-1]
    assert (amend.sl_px, amend.tp_px) == (3_942.5 * PX, 4_082.5 * PX)  # fill -/+ distance
    assert [each for each in bot.inbox.waits if each is not None] == [2.0, 0.001]
    assert bot.log.count("look") == 2
    assert bot.trader.book.is_settled


async def test_a_stop_that_the_look_shows_is_not_put_again() -> None:
    bot = Bot()
    await bot.run(bot.buys(0, answer=bot.tells(0, 1)), bot.passes(2_000))
    assert bot.sent() == ["enter"]
    assert bot.trader.book.is_settled
    holding = bot.trader.book.holding
    assert holding is not None
    assert (holding.sl_px, holding.protection_id) == (3_942.5 * PX, 2)


async def test_quotes_that_keep_coming_do_not_put_the_look_off() -> None:
    bot = Bot()
    seen: list[int] = []

    def noise(number: int) -> Step:
        def step() -> BrokerEvent | None:
            seen.append(bot.log.count("look"))
            bot.clock.now_ms += 500
            return bot.quote(hour(0) + number, 4_000)()

        return step

    await bot.run(bot.buys(0, answer=bot.tells(0, 1)), *(noise(number) for number in range(1, 7)))
    assert seen == [1, 1, 1, 1, 2, 2]  # after 2.0 s


async def test_patience_for_the_stop_begins_at_the_fill() -> None:
    bot = Bot()
    events: list[OrderEvent] = []

    def slow(intent: OrderIntent) -> None:
        events.extend(bot.asked(intent).events)

    looks: list[int] = []

    def count() -> None:
        looks.append(bot.log.count("look"))

    await bot.run(
        bot.buys(0, answer=slow),
        bot.passes(6_000),
        bot.hears(lambda: events[0]),
        bot.hears(lambda: events[1]),
        bot.does(count),
        bot.passes(1_999),
        bot.does(count),
        bot.passes(1),
        bot.does(count),
    )
    assert looks == [1, 1, 2]


# -- no answer


async def test_an_entry_without_an_answer_is_looked_for_never_sent_again_and_blocks_entries() -> None:
    bot = Bot()
    await bot.run(bot.buys(0, answer=bot.deaf), bot.passes(9_999), bot.passes(1), bot.buys(1), bot.buys(2))
    assert bot.sent() == ["enter"]
    assert bot.log.count("look") == 2
    assert bot.trader.parked
    assert [event.body["reason"] for event in bot.written("refusal")] == [Reason.OUTCOME_UNKNOWN] * 2
    assert len(bot.written("intent")) == 1


async def test_no_entry_is_sent_while_another_is_unanswered() -> None:
    bot = Bot()
    parked: list[bool] = []
    check = bot.does(lambda: parked.append(bot.trader.parked))
    await bot.run(bot.buys(0, answer=bot.deaf), bot.buys(1), check, bot.passes(10_000))
    assert bot.sent() == ["enter"]
    assert [event.body["reason"] for event in bot.written("refusal")] == [Reason.OUTCOME_UNKNOWN]
    assert parked == [False]


async def test_a_parked_bot_is_idle_and_looks_again_now_and_then() -> None:
    bot = Bot()
    steps = [bot.buys(0, answer=bot.deaf), bot.passes(10_000)]
    idle: list[int] = []
    steps.append(bot.does(lambda: idle.append(bot.log.count("idle"))))
    for _ in range(2):
        steps += [bot.passes(29_999), bot.passes(1)]
    await bot.run(*steps)
    assert idle == [2]
    assert bot.log.count("look") == 4
    assert bot.sent() == ["enter"]


async def test_an_answer_that_was_only_late_ends_the_parking() -> None:
    bot = Bot()
    late: list[OrderEvent] = []

    def slow(intent: OrderIntent) -> None:
        refused = OrderEvent(Execution.ERROR, hour(0), error_code="NO_LIQUIDITY", request_id=intent.client_order_id)
        late.append(refused)

    await bot.run(bot.buys(0, answer=slow), bot.passes(10_000), bot.hears(lambda: late[0]), bot.buys(1))
    assert not bot.trader.parked
    assert bot.sent() == ["enter", "enter"]


async def test_an_entry_that_was_executed_without_a_word_is_found_by_its_label() -> None:
    bot = Bot()
    await bot.run(bot.buys(0, answer=bot.silent), bot.passes(10_000), bot.buys(1))
    assert bot.sent() == ["enter"]
    assert [event.body["reason"] for event in bot.written("refusal")] == [Reason.HOLDING]  # decided before it was found
    holding = bot.trader.book.holding
    assert holding is not None
    assert holding.position.label == bot.trading.sent[0].client_order_id
    assert (holding.reason, holding.risk_minor, holding.sl_px) == (Reason.ENTRY_LONG, 160_000.0, 3_942.5 * PX)
    assert bot.trader.book.is_settled
    assert not bot.trader.parked


async def test_an_entry_that_a_look_found_is_not_counted_twice_when_its_fill_comes_late() -> None:
    bot = Bot()
    events: list[OrderEvent] = []

    def slow(intent: OrderIntent) -> None:
        events.extend(bot.asked(intent).events)

    steps = [bot.hears(lambda number=number: events[number]) for number in range(3)]  # type: ignore[misc]
    await bot.run(bot.buys(0, answer=slow), bot.passes(10_000), *steps)
    holding = bot.trader.book.holding
    assert holding is not None
    assert holding.position.volume_cu == 2_500
    assert bot.trader.book.is_settled


async def test_a_send_whose_outcome_is_unknown_is_the_same_as_silence() -> None:
    bot = Bot()

    def torn(intent: OrderIntent) -> None:
        bot.asked(intent)
        raise OutcomeUnknownError("LINK_TORN", "Reconcile.")

    await bot.run(bot.buys(0, answer=torn), bot.passes(10_000))
    assert bot.sent() == ["enter"]
    assert bot.trader.book.holding is not None


def holds_and_leaves(bot: Bot) -> list[object]:
    """Buy, then fall through the daily limit: the bot asks for a close."""
    return [bot.quote(hour(0), 4_000, buying(hour(0), volume_cu=25_000)), bot.quote(hour(0) + 1, 3_980)]


async def test_a_close_without_an_answer_that_was_executed_is_counted_from_the_brokers_deals() -> None:
    bot = Bot(EAGER._replace(daily_loss_bp=10, losses_max=5))
    events: list[OrderEvent] = []

    def answer(intent: OrderIntent) -> None:
        if intent.kind is IntentKind.CLOSE:
            events.extend(bot.asked(intent).events)
        else:
            bot.answered(intent)

    bot.trading.answer = answer
    late = [bot.hears(lambda number=number: events[number]) for number in range(3)]  # type: ignore[misc]
    await bot.run(*holds_and_leaves(bot), bot.passes(10_000), *late)  # type: ignore[arg-type]
    (trade,) = bot.trader.trades
    assert (trade.exit_reason, trade.exit_px) == (Reason.BREAKER_DAILY, 3_979.5 * PX)
    assert bot.trader.trades_count == 1
    state = bot.trader.state
    assert state is not None
    assert state.breakers.losses == 1
    assert bot.sent() == ["enter", "close"]
    assert bot.trader.book.balance_minor == bot.matching.balance_minor


async def test_a_close_without_an_answer_that_was_not_executed_is_asked_again() -> None:
    bot = Bot(EAGER._replace(daily_loss_bp=10))
    sent: list[OrderIntent] = []

    def answer(intent: OrderIntent) -> None:
        sent.append(intent)
        if len(sent) != 2:
            bot.answered(intent)

    bot.trading.answer = answer
    await bot.run(*holds_and_leaves(bot), bot.passes(10_000))  # type: ignore[arg-type]
    assert bot.sent() == ["enter", "close", "close"]
    assert len({intent.client_order_id for intent in sent}) == 3
    assert (bot.trader.book.holding, bot.trader.trades[0].exit_reason) == (None, Reason.BREAKER_DAILY)


async def test_a_close_whose_deal_is_not_listed_yet_is_waited_for() -> None:
    bot = Bot(EAGER._replace(daily_loss_bp=10))
    fills: list[object] = []

    def answer(intent: OrderIntent) -> None:
        if intent.kind is not IntentKind.CLOSE:
            return bot.answered(intent)
        bot.asked(intent)
        fills.append(bot.trading.fills.pop(1))
        return None

    def listed() -> None:
        bot.trading.fills[1] = fills[0]  # type: ignore[assignment]

    bot.trading.answer = answer
    await bot.run(*holds_and_leaves(bot), bot.passes(10_000), bot.does(listed), bot.passes(30_000))  # type: ignore[arg-type]
    assert bot.sent() == ["enter", "close"]
    assert bot.trader.trades_count == 1
    assert not bot.trader.parked


@pytest.mark.parametrize("executed", [True, False])
async def test_an_amend_without_an_answer_is_settled_by_what_the_broker_shows(*, executed: bool) -> None:
    bot = Bot()

    def trail() -> None:
        bot.trading.answer = bot.silent if executed else bot.deaf

    moved = buying(hour(1), action=2, reason=int(Reason.TRAIL), sl_px=3_990 * PX, tp_px=round(4_082.5 * PX))
    await bot.run(bot.buys(0), bot.does(trail), bot.quote(hour(1), 4_000, moved), bot.passes(10_000))
    assert bot.sent() == ["enter", "amend"]
    holding = bot.trader.book.holding
    assert holding is not None
    assert holding.sl_px == (3_990 if executed else 3_942.5) * PX
    assert bot.trader.book.is_settled
    assert not bot.trader.parked
