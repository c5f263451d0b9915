"""The picture of the bot that a person sees is what the trader is."""

from __future__ import annotations

from dataclasses import fields

import pytest
from tests.unit.live.stage import BALANCE, EAGER, Stage, buying, day, hour

from palmbot.core.live_breakers import Watch
from palmbot.core.types import Action, Reason
from palmbot.live.view import Labels, breakers_of, view
from palmbot.model import BotView, BreakerView, HistoryBar, LinkEvent, LinkState
from palmbot.units import HOUR_MS, PX

LABELS = Labels("paper", synthetic=True, profile="rsi_trend", digits=3)


def seen(stage: Stage) -> BotView:
    picture = view(stage.trader, LABELS)
    assert picture is not None
    return picture


def test_there_is_nothing_to_see_before_the_first_price() -> None:
    assert view(Stage().trader, LABELS) is None


def test_a_flat_bot_shows_market_account_and_warming_up() -> None:
    stage = Stage()
    stage.bar(hour(0), 4_000, 3_990, 4_010, 4_001)
    stage.tick(hour(1), 4_005)
    picture = seen(stage)
    assert (picture.mode, picture.synthetic, picture.profile, picture.digits) == ("paper", True, "rsi_trend", 3)
    assert (picture.symbol, picture.money_digits, picture.lot_cu) == ("PALMOIL", 2, 2_500)
    assert (picture.clock_ms, picture.bid_px, picture.ask_px) == (hour(1), 4_005 * PX, 4_007 * PX)
    assert picture.bar == HistoryBar(hour(1), 4_005 * PX, 4_005 * PX, 4_005 * PX, 4_005 * PX, is_forming=True)
    assert (picture.bars_closed, picture.warmup_bars) == (1, 3)
    assert (picture.balance_minor, picture.equity_minor, picture.peak_minor) == (BALANCE, BALANCE, BALANCE)
    assert (picture.day_open_minor, picture.daily_limit_minor) == (BALANCE, 500_000)
    assert (picture.position, picture.position_reason, picture.sl_first_px) == (None, 0, 0)
    assert (picture.sentiment, picture.sentiment_age_ms) == (None, None)
    assert picture.decisions == ((hour(1), Action.NONE, Reason.WARMING_UP),)
    assert (picture.trades, picture.trades_count, picture.wins_count) == ((), 0, 0)
    assert (picture.breakers, picture.link) == ((), LinkState.READY)


def test_an_open_position_shows_its_stop_and_floating_result() -> None:
    stage = Stage()
    stage.enter(hour(0))
    stage.tick(hour(0) + 15_000, 4_010)
    picture = seen(stage)
    assert picture.position is not None
    assert (picture.position.entry_px, picture.position.sl_px) == (4_002.5 * PX, 3_942.5 * PX)
    assert (picture.position_reason, picture.sl_first_px) == (Reason.ENTRY_LONG, 3_942.5 * PX)
    assert picture.equity_minor == BALANCE + round(7.5 * 2_500) - 2_500
    assert picture.balance_minor == BALANCE


def test_trades_and_decisions_are_the_newest_few_newest_first() -> None:
    stage = Stage(EAGER._replace(warmup_bars=99, daily_loss_bp=0, drawdown_bp=0))
    for number in range(12):
        stage.enter(hour(2 * number))
        stage.tick(hour(2 * number) + 15_000, 3_900 if number % 3 else 4_100)
        stage.tick(hour(2 * number + 1), 4_000)
    picture = seen(stage)
    assert (picture.trades_count, picture.wins_count) == (12, 4)
    assert [trade.entry_ms for trade in picture.trades] == [hour(2 * number) for number in range(11, 3, -1)]
    assert [end_ms for end_ms, _, _ in picture.decisions] == [hour(number) for number in range(23, 15, -1)]


def test_sentiment_is_shown_as_of_the_last_decision_and_grows_old() -> None:
    stage = Stage(rows=[(hour(0), 40.0), (hour(1) + 1, -90.0)])
    stage.bar(hour(0), 4_000, 4_000, 4_000, 4_000)
    stage.tick(hour(1), 4_000)
    stage.tick(hour(1) + 30_000, 4_000)
    assert (seen(stage).sentiment, seen(stage).sentiment_age_ms) == (40.0, HOUR_MS + 30_000)


def test_a_picture_does_not_change_when_the_trader_does() -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    picture = seen(stage)
    before = {field.name: getattr(picture, field.name) for field in fields(picture)}
    stage.enter(hour(1), 4_050)
    assert {field.name: getattr(picture, field.name) for field in fields(picture)} == before


def test_every_breaker_that_blocks_is_shown_in_order_of_precedence() -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    state = stage.trader.state
    assert state is not None
    calm = state.breakers
    now_ms = hour(2)
    all_on = calm._replace(halted=1, day_tripped=1, cooldown_until_ms=now_ms + 1, pause_until_ms=now_ms + 2)
    watch = Watch(manual=1, link_lost=1, rejects_until_ms=now_ms + 3)
    shown = breakers_of(all_on, watch, now_ms)
    assert [each.reason for each in shown] == sorted(each.reason for each in shown)
    assert set(shown) == {
        BreakerView(Reason.HALT_DRAWDOWN, 0),
        BreakerView(Reason.HALT_MANUAL, 0),
        BreakerView(Reason.DAILY_LOSS, day(1)),
        BreakerView(Reason.LOSS_STREAK, now_ms + 1),
        BreakerView(Reason.VOLATILITY_SPIKE, now_ms + 2),
        BreakerView(Reason.REJECT_STREAK, now_ms + 3),
        BreakerView(Reason.LINK_LOST, 0),
    }
    assert breakers_of(calm._replace(cooldown_until_ms=now_ms, pause_until_ms=now_ms), Watch(), now_ms) == ()


@pytest.mark.parametrize("state", [LinkState.LOST, LinkState.CONNECTING])
def test_a_link_that_is_not_ready_is_shown_as_lost(state: LinkState) -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    stage.trader.on_link(LinkEvent(hour(0), state))
    assert seen(stage).link is LinkState.LOST


def test_the_shown_breakers_are_those_that_really_block() -> None:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    stage.trader.halt(hour(0), 1)
    assert [each.reason for each in seen(stage).breakers] == [Reason.HALT_MANUAL]
    stage.open(hour(1), 4_000, buying(hour(1)))
    assert stage.reasons("refusal") == [Reason.HALT_MANUAL]
