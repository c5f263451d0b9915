"""Time that no quote brings: a bar that the clock closes, a start and a look that may take long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.fakes import FakeQuotes
from tests.unit.live.bot import Bot
from tests.unit.live.stage import hour

from palmbot.errors import RetryError
from palmbot.live.runner import ANSWER_WAIT_MS, ASLEEP_MS, LATE_TICKS_MS
from palmbot.live.startup import TRIES
from palmbot.model import AccountSnapshot, HistoryBar, LinkEvent, LinkState


def on_utc(now_ms: int) -> Bot:
    """Return a bot whose market clock is the machine's."""
    bot = Bot()
    bot.clock.now_ms = now_ms
    bot.runner._wires = replace(bot.wires, market_ms=bot.clock.utc_ms)
    return bot


def closed(bot: Bot) -> int:
    return len(bot.written("bar_closed"))


async def test_the_clock_closes_a_bar_a_little_after_its_end_though_no_quote_comes() -> None:
    bot = on_utc(hour(0))
    bars: list[int] = []
    count = bot.does(lambda: bars.append(closed(bot)))
    await bot.run(
        *(bot.quote(hour(0), 4_000), bot.passes(3_600_000), count),
        *(bot.passes(LATE_TICKS_MS - 1), count, bot.passes(1), count),
    )
    assert bars == [0, 0, 1]
    assert bot.inbox.waits[1] == (3_600_000 + LATE_TICKS_MS) / 1_000
    assert bot.log.count("look") == 1
    assert bot.inbox.waits[-1] is None  # nothing is forming: only a quote ends the wait


async def test_a_tick_that_comes_after_the_clock_closed_its_bar_moves_the_mark_and_not_the_bar() -> None:
    bot = on_utc(hour(0))
    late = bot.quote(hour(1) - 1, 4_050)
    await bot.run(bot.quote(hour(0), 4_000), bot.passes(3_600_000 + LATE_TICKS_MS), late, bot.quote(hour(1), 4_060))
    (bar,) = bot.written("bar_closed")
    assert (bar.body["end_ms"], bar.body["high_px"]) == (hour(1), 400_000_000)
    forming = bot.trader.feed.forming
    assert forming is not None
    assert (forming.ts_ms, forming.open_px) == (hour(1), 406_000_000)


async def test_a_quote_of_the_next_bar_closes_it_before_the_clock_does() -> None:
    bot = on_utc(hour(0))
    bars: list[int] = []
    await bot.run(
        *(bot.quote(hour(0), 4_000), bot.passes(3_600_000)),
        *(bot.quote(hour(1), 4_010), bot.does(lambda: bars.append(bot.trader.feed.closed_ms))),
    )
    assert bars == [hour(1)]
    assert closed(bot) == 1


async def test_a_bar_whose_link_is_lost_is_closed_by_no_clock_but_read_when_the_link_is_back() -> None:
    bot = on_utc(hour(0))
    whole = HistoryBar(hour(0), 400_000_000, 409_000_000, 391_000_000, 405_000_000)
    bars: list[int] = []
    count = bot.does(lambda: bars.append(closed(bot)))
    await bot.run(
        *(bot.quote(hour(0), 4_000), bot.does(lambda: setattr(bot.quotes, "bars", [whole])), lambda: LOST),
        *(bot.passes(3_600_000 + LATE_TICKS_MS), count, lambda: BACK, count),
    )
    assert bars == [0, 1]
    (bar,) = bot.written("bar_closed")
    assert (bar.body["high_px"], bar.body["low_px"], bar.body["live"]) == (409_000_000, 391_000_000, False)


async def test_a_machine_that_slept_over_the_end_of_a_bar_reads_it_from_the_broker() -> None:
    bot = on_utc(hour(0))
    whole = HistoryBar(hour(0), 400_000_000, 409_000_000, 391_000_000, 405_000_000)
    await bot.run(
        *(bot.quote(hour(0), 4_000), bot.does(lambda: setattr(bot.quotes, "bars", [whole]))),
        *(bot.passes(3_600_000 + LATE_TICKS_MS + ASLEEP_MS + 1), bot.passes(ANSWER_WAIT_MS)),
    )
    (bar,) = bot.written("bar_closed")
    assert (bar.body["high_px"], bar.body["live"]) == (409_000_000, False)
    assert not bot.trader.behind


async def test_where_the_quotes_are_the_clock_no_time_closes_a_bar() -> None:
    bot = Bot()
    await bot.run(bot.quote(hour(0), 4_000), bot.passes(10 * 3_600_000))
    assert closed(bot) == 0
    assert bot.inbox.waits == [None, None, None]


# -- a start while the link comes and goes


class Blinking(FakeQuotes):
    """Quotes whose link is down for the first so many questions."""

    down = 0

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:
        self._refuse()
        return await super().history(symbol, period_ms, count)

    async def subscribe(self, symbol: str) -> None:
        self._refuse()
        await super().subscribe(symbol)

    def _refuse(self) -> None:
        if self.down > 0:
            self.down -= 1
            raise RetryError("LINK_DOWN", "Wait until the link is back.")


def blinking(down: int, account_down: int = 0) -> Bot:
    bot = Bot()
    quotes = Blinking(bot.log)
    quotes.down = down
    account = bot.trading.account

    async def sometimes() -> AccountSnapshot:
        nonlocal account_down
        if account_down > 0:
            account_down -= 1
            raise RetryError("NO_ANSWER", "Ask again when the link is back.")
        return await account()

    bot.trading.account = sometimes  # type: ignore[method-assign]
    bot.runner._wires = replace(bot.wires, quotes=quotes)
    return bot


@pytest.mark.parametrize(("down", "account_down"), [(1, 0), (TRIES - 1, 0), (0, TRIES - 1), (1, 1)])
async def test_a_start_survives_a_link_that_comes_and_goes(down: int, account_down: int) -> None:
    bot = blinking(down, account_down)
    await bot.run(bot.quote(hour(0), 4_000))
    assert bot.log.count("journal run_started") == 1
    assert bot.stopped()


async def test_a_start_gives_up_when_the_link_stays_away() -> None:
    bot = blinking(TRIES)
    with pytest.raises(RetryError, match="LINK_DOWN"):
        await bot.run()
    assert not bot.runner.is_started


# -- a stop while a look takes long

LOST, BACK = LinkEvent(hour(0), LinkState.LOST, "cut"), LinkEvent(hour(0), LinkState.READY)


class Endless(FakeQuotes):
    """A broker whose quota of history is used up for hours."""

    def __init__(self, bot: Bot) -> None:
        super().__init__(bot.log)
        self.asked = 0
        self._bot = bot

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:
        self.asked += 1
        if self.asked == 1:  # that of the start
            return await super().history(symbol, period_ms, count)
        asyncio.get_running_loop().call_soon(self._bot.runner.stop, "SIGTERM")
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody waits so long")


@pytest.mark.timeout(5)
async def test_a_stop_ends_a_look_that_waits_for_the_quota_of_history() -> None:
    bot = Bot()
    quotes = Endless(bot)
    bot.runner._wires = replace(bot.wires, quotes=quotes)
    bot.inbox.steps = [bot.quote(hour(0), 4_000), lambda: LOST, lambda: BACK]
    await bot.runner.run()
    assert quotes.asked == 2
    assert bot.stopped().body["reason"] == "SIGTERM"


@pytest.mark.timeout(5)
async def test_who_cancels_the_bot_cancels_its_look() -> None:
    bot = Bot()
    quotes = Endless(bot)
    bot.runner._wires = replace(bot.wires, quotes=quotes)
    bot.runner.stop = lambda _reason: running.cancel()  # type: ignore[assignment, method-assign]
    bot.inbox.steps = [bot.quote(hour(0), 4_000), lambda: LOST, lambda: BACK]
    running = asyncio.ensure_future(bot.runner.run())
    with pytest.raises(asyncio.CancelledError):
        await running
