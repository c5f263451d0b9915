"""What ended while the bot was down is a trade like any other: told by the broker's deals, counted once."""

from __future__ import annotations

import pytest
from tests.unit.live.bot import Bot, close_it, dies, flat_bar, lived, successor
from tests.unit.live.stage import BALANCE, EAGER, buying, hour

from palmbot.core.types import Reason
from palmbot.model import IntentKind, OrderIntent
from palmbot.units import HOUR_MS, PX

STREAK = EAGER._replace(losses_max=1, cooldown_ms=4 * HOUR_MS)


@pytest.mark.parametrize(
    ("how", "reason", "price"),
    [
        ("stop", Reason.SL, 3_942),
        ("target", Reason.TP, 4_082.5),
        ("hand", Reason.MANUAL, 4_009.5),
        ("parts", Reason.MANUAL, 4_009.5),
    ],
)
async def test_a_position_that_ended_meanwhile_is_a_trade_with_its_real_price_and_reason(
    how: str, reason: Reason, price: float
) -> None:
    _, second = await lived(STREAK)
    close_it(second, how)
    await second.run()
    (trade,) = second.trader.trades
    assert (trade.exit_reason, trade.exit_px, trade.volume_cu) == (reason, price * PX, 2_500)
    assert trade.pnl_minor == second.matching.balance_minor - BALANCE
    assert second.trader.book.balance_minor == second.matching.balance_minor
    assert second.runner.start_balance_minor == BALANCE  # the run that counts the trade begins before it
    fills = [event for event in second.written("order_event") if event.body["fill"] is not None]
    assert fills[-1].body["exit_reason"] == reason
    assert [event.body["exit_reason"] for event in fills[:-1]] == [0] * (len(fills) - 1)
    state = second.trader.state
    assert state is not None
    assert state.breakers.cooldown_until_ms == (hour(3) + 4 * HOUR_MS if trade.pnl_minor < 0 else 0)


@pytest.mark.parametrize("delta_minor", [-BALANCE // 2, 5_000])
async def test_money_that_was_moved_meanwhile_is_neither_loss_nor_profit(delta_minor: int) -> None:
    params = EAGER._replace(daily_loss_bp=500, drawdown_bp=1_000)
    _, second = await lived(params)
    second.trading.shows(*second.trading.shown.positions, balance_minor=BALANCE + delta_minor)
    await second.run()
    state = second.trader.state
    assert state is not None
    assert (state.breakers.halted, state.breakers.day_tripped) == (0, 0)
    assert state.breakers.day_open_minor == BALANCE + delta_minor
    assert second.trader.book.balance_minor == BALANCE + delta_minor
    assert [event.body["text"] for event in second.written("note")] == [f"cash {delta_minor}"]
    third = successor(second, params)
    third.trading.shows(*second.trading.shown.positions, balance_minor=BALANCE + delta_minor)
    await third.run()
    assert len(third.written("note")) == 1  # it was moved once


async def test_a_trade_that_ended_meanwhile_is_counted_once_however_often_the_bot_starts() -> None:
    params = EAGER._replace(losses_max=5)
    _, second = await lived(params)
    close_it(second, "stop")
    await second.run()
    third = successor(second, params)
    await third.run()
    state = third.trader.state
    assert state is not None
    assert (state.breakers.losses, third.trader.trades_count) == (1, 0)


async def test_a_close_that_was_asked_for_before_the_kill_keeps_its_reason() -> None:
    first = Bot()
    leaving = buying(hour(2), action=3, reason=int(Reason.TIME))

    def silent(intent: OrderIntent) -> None:
        first.asked(intent)
        raise KeyboardInterrupt

    first.inbox.steps = [
        first.buys(1),
        first.does(lambda: setattr(first.trading, "answer", silent)),
        first.quote(hour(2), 4_020, leaving),
    ]
    with pytest.raises(KeyboardInterrupt):
        await first.runner.run()
    second = successor(first)
    await second.run()
    (trade,) = second.trader.trades
    assert (trade.exit_reason, trade.exit_px) == (Reason.TIME, 4_019.5 * PX)
    assert second.trader.book.is_settled


async def test_bars_and_closes_pass_in_order_of_time() -> None:
    _, second = await lived(STREAK)
    close_it(second, "stop")  # in hour 2
    second.quotes.bars = tuple(flat_bar(hour(number), 3_930) for number in range(6))
    await second.run()
    kinds = [(event.kind, event.ts_ms) for event in second.journal.written if event.body.get("live") is False]
    assert [ts_ms for _, ts_ms in kinds] == [hour(number) for number in range(2, 7)]
    places = [event.kind for event in second.journal.written]
    exit_place = max(place for place, event in enumerate(second.journal.written) if event.kind == "order_event")
    assert second.journal.written[exit_place].ts_ms == hour(2)
    assert places[:exit_place].count("bar_closed") == 2  # hour 0 live, hour 1 missed
    held = [event.body["holding"] is not None for event in second.written("bar_closed")]
    assert held == [False, True, False, False, False, False]


async def test_a_part_that_was_closed_meanwhile_belongs_to_the_trade() -> None:
    _, second = await lived()
    second.play(hour(1) + 1, 4_010)
    second.asked(OrderIntent(IntentKind.CLOSE, "by hand", "PALMOIL", -1, 1_000, 0, 0, position_id=1))
    await second.run(second.quote(hour(1) + 2, 4_100))
    (trade,) = second.trader.trades
    assert (trade.exit_reason, trade.volume_cu) == (Reason.TP, 2_500)
    assert trade.pnl_minor == second.matching.balance_minor - BALANCE
    assert trade.exit_px == (1_000 * 4_009.5 + 1_500 * 4_082.5) / 2_500 * PX


async def test_a_close_that_was_refused_does_not_give_its_reason_to_the_stop_that_came_later() -> None:
    first = Bot()
    leaving = buying(hour(2), action=3, reason=int(Reason.TIME))
    first.inbox.steps = [
        first.buys(1),
        first.does(lambda: setattr(first.trading, "answer", dies)),
        first.quote(hour(2), 4_020, leaving),
    ]
    with pytest.raises(KeyboardInterrupt):
        await first.runner.run()
    assert [event.body["kind"] for event in first.written("intent")] == ["enter", "close"]
    second = successor(first)
    close_it(second, "stop")
    await second.run()
    assert [trade.exit_reason for trade in second.trader.trades] == [Reason.SL]


async def test_a_deal_that_was_heard_is_not_recorded_again_by_a_look() -> None:
    bot = Bot()

    def by_hand() -> None:
        asked = OrderIntent(IntentKind.CLOSE, "by hand", "PALMOIL", -1, 1_000, 0, 0, position_id=1)
        bot.answered(asked)
        bot.trading.answer = bot.deaf

    moved = buying(hour(1), action=2, reason=int(Reason.TRAIL), sl_px=3_990 * PX, tp_px=round(4_082.5 * PX))
    await bot.run(bot.buys(0), bot.does(by_hand), bot.quote(hour(1), 4_000, moved), bot.passes(10_000))
    assert bot.log.count("look") == 2
    told = [event.body["fill"]["deal_id"] for event in bot.written("order_event") if event.body["fill"] is not None]
    assert told == [1, 2]
