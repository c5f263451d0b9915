"""The link was lost and is back: what happened meanwhile is read, in order of time, and nothing is sent twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.live.bot import Bot, flat_bar, successor
from tests.unit.live.stage import BALANCE, hour

from palmbot.core.types import Reason
from palmbot.errors import HaltError, OutcomeUnknownError, RefusedError, RetryError
from palmbot.live.feed import Feed
from palmbot.model import CashEvent, IntentKind, LinkEvent, LinkState, OrderIntent, Quote
from palmbot.orders.lifecycle import Happening
from palmbot.units import HOUR_MS, PX

LOST = LinkEvent(hour(1), LinkState.LOST, "reset by peer")
READY = LinkEvent(hour(1), LinkState.READY)


def gone(_: OrderIntent) -> None:
    raise RetryError("LINK_DOWN", "Wait until it is back.")


async def test_nothing_is_looked_for_while_the_link_is_lost_and_everything_once_it_is_back() -> None:
    bot = Bot()
    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1, answer=bot.silent),
        bot.hears(lambda: LOST),
        bot.passes(60_000),
        bot.does(lambda: bot.log.append("still lost")),
        bot.hears(lambda: READY),
    )
    assert bot.sent() == ["enter"]
    assert bot.log.index("still lost") < [n for n, line in enumerate(bot.log) if line == "look"][1]  # the first: start
    holding = bot.trader.book.holding
    assert holding is not None
    assert holding.is_protected
    assert bot.trader.book.is_settled


async def test_bars_that_were_missed_pass_through_with_orders_off_and_the_forming_one_goes_on() -> None:
    bot = Bot()

    def history() -> None:
        bot.quotes.bars = (
            flat_bar(hour(0), 4_000),
            flat_bar(hour(1), 4_010),
            flat_bar(hour(2), 4_020),
            flat_bar(hour(3), 4_030, forming=True),
        )

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.quote(hour(1), 4_001),
        bot.hears(lambda: LOST),
        bot.does(history),
        bot.hears(lambda: READY),
        bot.quote(hour(3) + 60_000, 4_031),
        bot.quote(hour(4), 4_032),
    )
    closed = [event.body for event in bot.written("bar_closed")]
    assert [(each["close_px"], each["live"]) for each in closed] == [
        (4_000 * PX, True),
        (4_010 * PX, False),  # the tick at 4,001 was a part of it
        (4_020 * PX, False),
        (4_031 * PX, True),
    ]
    assert closed[-1]["open_px"] == 4_030 * PX
    assert [each.bar_end_ms for each in bot.trading.sent] == [hour(4)]  # by the one decision that was made in time


async def test_a_position_that_ended_meanwhile_is_counted_once_before_the_bars_after_it() -> None:
    bot = Bot()

    def stopped_out() -> None:
        bot.inbox._events.clear()
        bot.play(hour(2), 3_930)
        bot.inbox._events.clear()  # nobody was there to hear it
        bot.quotes.bars = (flat_bar(hour(1), 4_000), flat_bar(hour(2), 3_930), flat_bar(hour(3), 3_950))

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1),
        bot.hears(lambda: LOST),
        bot.does(stopped_out),
        bot.hears(lambda: READY),
        bot.quote(hour(4), 3_950),
    )
    (trade,) = bot.trader.trades
    assert trade.exit_reason == Reason.SL
    assert bot.trader.book.balance_minor == BALANCE + trade.pnl_minor
    held = {event.ts_ms: event.body["held"] for event in bot.written("bar_closed")}
    assert held == {hour(1): False, hour(2): True, hour(3): True, hour(4): False}


async def test_a_position_that_is_gone_without_its_deals_is_looked_for_again_and_again() -> None:
    bot = Bot()
    deals = {}

    def vanished() -> None:
        bot.play(hour(2), 3_930)
        bot.inbox._events.clear()
        deals.update(bot.trading.fills)
        bot.trading.fills = {}

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1),
        bot.hears(lambda: LOST),
        bot.does(vanished),
        bot.hears(lambda: READY),
        bot.does(lambda: bot.log.append("astray" if bot.trader.astray else "found")),
        bot.does(lambda: bot.trading.fills.update(deals)),
        bot.passes(30_000),
    )
    assert "astray" in bot.log
    assert not bot.trader.astray
    assert [trade.exit_reason for trade in bot.trader.trades] == [Reason.SL]


async def test_what_a_position_lost_before_its_deals_are_listed_is_no_withdrawal() -> None:
    bot = Bot()
    deals = {}

    def vanished() -> None:
        bot.play(hour(2), 3_930)
        bot.inbox._events.clear()
        deals.update(bot.trading.fills)
        bot.trading.fills = {}

    def deposit() -> None:
        bot.trading.fills.update(deals)
        bot.trading.shows(balance_minor=bot.trading.shown.balance_minor + 5_000)

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1),
        bot.hears(lambda: LOST),
        bot.does(vanished),
        bot.hears(lambda: READY),
        bot.does(deposit),
        bot.passes(30_000),
    )
    (trade,) = bot.trader.trades
    assert trade.pnl_minor < 0
    assert bot.trader.book.balance_minor == BALANCE + trade.pnl_minor + 5_000
    state = bot.trader.state
    assert state is not None
    assert state.breakers.day_open_minor == BALANCE + 5_000  # the loss counts against the day, the deposit does not
    assert [event.body["text"] for event in bot.written("note") if "cash" in event.body["text"]] == ["cash 5000"]


async def test_a_deposit_that_was_missed_moves_the_baselines_with_it() -> None:
    bot = Bot()
    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.hears(lambda: LOST),
        bot.does(lambda: bot.trading.shows(balance_minor=BALANCE + 5_000)),
        bot.hears(lambda: READY),
    )
    assert bot.trader.book.balance_minor == BALANCE + 5_000
    state = bot.trader.state
    assert state is not None
    assert state.breakers.day_open_minor == BALANCE + 5_000
    assert "cash 5000" in [event.body["text"] for event in bot.written("note")]


async def test_an_entry_that_certainly_did_not_leave_is_a_refusal_and_its_bar_may_be_tried_again() -> None:
    bot = Bot()
    await bot.run(bot.quote(hour(0), 4_000), bot.buys(1, answer=gone))
    assert bot.trader.book.is_settled
    (refusal,) = bot.written("refusal")
    assert refusal.body["reason"] == Reason.LINK_LOST


async def test_a_close_that_did_not_leave_is_asked_for_again_when_the_link_is_back() -> None:
    bot = Bot()

    def flatten() -> None:  # as the runner does when the port says that it did not leave
        (intent,) = bot.trader.close(Reason.MANUAL, hour(1))
        bot.trader.book.intend(intent)
        bot.trader.book.happened(intent.client_order_id, Happening.SUBMIT)

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1),
        bot.does(flatten),
        bot.hears(lambda: LOST),
        bot.hears(lambda: READY),
    )
    assert bot.sent() == ["enter", "close"]
    assert bot.trader.book.holding is None
    assert [trade.exit_reason for trade in bot.trader.trades] == [Reason.MANUAL]


async def test_a_link_that_goes_again_during_the_look_brings_the_next_look_with_its_return(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bot = Bot()
    shown = bot.trading.account
    broken: list[str] = []

    async def account() -> object:
        if broken:
            raise RetryError("LINK_DOWN", "Wait until it is back.")
        return await shown()

    monkeypatch.setattr(bot.trading, "account", account)
    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1, answer=bot.silent),
        bot.hears(lambda: LOST),
        bot.does(lambda: broken.append("link")),
        bot.hears(lambda: READY),
        bot.hears(lambda: replace(LOST)),
        bot.does(broken.clear),
        bot.hears(lambda: READY),
    )
    assert bot.sent() == ["enter"]
    assert bot.trader.book.holding is not None
    assert bot.trader.book.is_settled


async def test_a_look_that_is_not_answered_while_the_link_stays_is_repeated_and_nothing_is_entered_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bot = Bot()
    shown = bot.trading.account
    answers: list[str] = ["the start's"]

    async def account() -> object:
        if not answers:
            raise RetryError("NO_ANSWER", "Ask again.")
        return await shown()

    def back() -> None:
        answers.append("again")
        bot.trading.shows(balance_minor=BALANCE + 5_000)
        bot.quotes.bars = (flat_bar(hour(0), 4_000), flat_bar(hour(1), 4_010), flat_bar(hour(2), 4_020, forming=True))

    monkeypatch.setattr(bot.trading, "account", account)
    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.hears(lambda: LOST),
        bot.does(answers.clear),
        bot.hears(lambda: READY),
        bot.buys(2),
        bot.does(back),
        bot.passes(10_000),
    )
    assert bot.sent() == []
    assert [event.body["reason"] for event in bot.written("refusal")][-1:] == [Reason.OUTCOME_UNKNOWN]
    assert bot.trader.book.balance_minor == BALANCE + 5_000


async def test_a_silent_request_of_before_is_settled_by_the_first_look_after() -> None:
    bot = Bot()

    def unknown(intent: OrderIntent) -> None:
        bot.asked(intent)
        raise OutcomeUnknownError("CONNECTION_LOST", "Look.")

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.buys(1, answer=unknown),
        bot.hears(lambda: LOST),
        bot.hears(lambda: READY),
    )
    assert bot.sent() == ["enter"]
    assert not bot.trader.parked
    assert bot.trader.book.holding is not None


def test_a_late_quote_moves_the_mark_and_not_the_bar_that_is_forming_now() -> None:
    feed = Feed(HOUR_MS, 0, 1, 0)
    feed.quote(Quote("X", hour(0), 100, 102))
    feed.close()
    feed.quote(Quote("X", hour(1), 110, 112))
    assert feed.quote(Quote("X", hour(1) - 1, 90, 92)) is False
    assert feed.forming is not None
    assert feed.forming.low_px == 110
    assert feed.mark is not None
    assert (feed.mark.bid_px, feed.mark.ts_ms) == (90, hour(1))


async def test_an_entry_that_was_accepted_before_a_crash_and_is_filled_after_it_keeps_its_reason_and_its_risk() -> None:
    first = Bot()
    accepted: list[OrderIntent] = []

    def accept(intent: OrderIntent) -> None:
        accepted.append(intent)
        raise KeyboardInterrupt

    first.inbox.steps = [first.quote(hour(0), 4_000), first.buys(1, answer=accept)]
    with pytest.raises(KeyboardInterrupt):
        await first.runner.run()
    second = successor(first)
    await second.run(second.does(lambda: second.answered(accepted[0])), second.quote(hour(1) + 60_000, 4_001))
    holding = second.trader.book.holding
    assert holding is not None
    assert (holding.reason, holding.risk_minor) == (accepted[0].reason, accepted[0].risk_minor)
    assert holding.risk_minor > 0


async def test_an_own_position_without_a_stop_of_which_no_level_is_known_is_closed() -> None:
    bot = Bot()

    def naked(intent: OrderIntent) -> None:
        if intent.kind is IntentKind.CLOSE:
            return bot.answered(intent)
        for event in bot.asked(intent).events[:2]:
            bot.inbox.put(event)
        shown = bot.trading.shown
        bare = tuple(replace(each, sl_px=None, tp_px=None) for each in shown.positions)
        bot.trading.shown = replace(shown, positions=bare, orders=())
        return None

    def forget() -> None:
        holding = bot.trader.book.holding
        assert holding is not None
        bot.trader.book.holding = replace(holding, sl_wanted_px=0, tp_wanted_px=0)

    await bot.run(bot.buys(0, answer=naked), bot.does(forget), bot.passes(2_000))
    assert bot.sent() == ["enter", "close"]


async def test_a_deposit_that_is_told_after_the_account_was_read_moves_the_baselines_once() -> None:
    bot = Bot()

    def paid_in() -> None:
        bot.trading.shown = replace(bot.trading.shown, balance_minor=BALANCE + 5_000, balance_version=7)

    await bot.run(
        bot.quote(hour(0), 4_000),
        bot.hears(lambda: LOST),
        bot.does(paid_in),
        bot.hears(lambda: READY),
        bot.hears(lambda: CashEvent(hour(1), 5_000, BALANCE + 5_000, balance_version=7)),
        bot.hears(lambda: CashEvent(hour(1), 1_000, BALANCE + 6_000, balance_version=8)),
    )
    state = bot.trader.state
    assert state is not None
    assert (bot.trader.book.balance_minor, state.breakers.day_open_minor) == (BALANCE + 6_000, BALANCE + 6_000)


async def test_two_own_positions_that_a_look_finds_halt_the_bot() -> None:
    bot = Bot()

    def doubled() -> None:
        (position,) = bot.trading.shown.positions
        bot.trading.shows(position, replace(position, position_id=99))

    with pytest.raises(HaltError, match="SEVERAL_POSITIONS"):
        await bot.run(
            bot.quote(hour(0), 4_000),
            bot.buys(1),
            bot.hears(lambda: LOST),
            bot.does(doubled),
            bot.hears(lambda: READY),
        )


async def test_a_market_that_is_older_than_the_journal_is_refused() -> None:
    first = Bot()
    await first.run(first.quote(hour(40), 4_000), first.quote(hour(41), 4_000))
    second = successor(first)
    second.quotes.bars = (flat_bar(hour(0), 4_000), flat_bar(hour(1), 4_000))
    with pytest.raises(RefusedError, match="MARKET_WENT_BACK"):
        await second.run()
