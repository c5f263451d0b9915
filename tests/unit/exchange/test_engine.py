"""The clockwork: commit before telling, many listeners and accounts, delays in market time, quotes of other symbols."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from dataclasses import replace

from tests.unit.exchange.desk import (
    BALANCE,
    FLAT_BARS,
    OPEN,
    bars,
    facts,
    spec,
    turns,
)
from tests.unit.exchange.engine_rig import TRADED, Ear, Rig, rig
from tests.unit.exchange.house import FILL, LOT, PROTECT, brackets, limit, market, px, said

from palmbot.calendar import Session
from palmbot.exchange.account import Account
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import TRADED_ID
from palmbot.exchange.conduct import Conduct, Delays
from palmbot.exchange.engine import Listener
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.pacer import FreeRunning, LockStep, Pace
from palmbot.exchange.values import CancelOrder, CashKind, ClosePosition, Refused, Report
from palmbot.model import Execution
from palmbot.units import HOUR_MS, SECOND_MS


async def test_a_listener_hears_events_before_the_quote_that_made_them_and_the_end_last() -> None:
    with closing(Books(":memory:")) as books:
        made = Rig(books, TRADED, 1, Conduct(Delays(0, 0)), LockStep())
        made.listen(bars((OPEN, 4_000, 4_200, 3_900, 4_000)))
        listener: Listener = made.ear  # mypy compares the signatures
        running = asyncio.create_task(made.engine.run())
        await turns()
        made.engine.request(1, market(asked=brackets(50, 80)), "m")
        while not running.done():
            made.pacer.idle()
            await turns()
        assert listener is made.ear
        kinds = [each[2].execution.name if each[0] == "told" else each[0] for each in made.ear.heard]
        told = ["spot"] * 4 + ["ACCEPTED", "FILLED", "ACCEPTED", "FILLED"] + ["spot"] * 3 + ["ended"]
        assert kinds == told


async def test_everybody_hears_everything_until_they_leave() -> None:
    async with rig(accounts=2) as at:
        other = Ear()
        at.engine.add_listener(other)
        assert at.engine.request(2, market(), "m") is None
        assert other.events == at.ear.events
        assert {each[1] for each in other.heard} == {2}
        at.engine.remove_listener(other)
        at.engine.request(1, market(), "m")
        assert len(other.events) == 2


async def test_a_refusal_is_returned_and_told_to_nobody() -> None:
    async with rig() as at:
        refused = at.engine.request(1, CancelOrder(9), "m")
        assert isinstance(refused, Refused)
        assert at.ear.events == []


async def test_terms_cash_and_thresholds_go_the_same_way() -> None:
    async with rig() as at:
        account = at.engine.venue.accounts[1]
        at.engine.set_terms(replace(account.terms, is_live=True))
        assert at.engine.cash(1, CashKind.WITHDRAW, -BALANCE - 1) is not None
        assert at.engine.set_margin_call(1, 61, 90.0) is None
        assert [type(each).__name__ for each in at.ear.events] == ["TraderChanged", "MarginCallSet"]
        standing = at.books.kept(at.opening.catalogue, ()).standings[0]
        assert (standing.terms.is_live, standing.margin_calls[0].threshold_pct) == (True, 90.0)


# -- market time


class HandClock:
    """A machine clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.asleep: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic_ms(self) -> int:
        return round(self.now)

    def utc_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds > 0:
            waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.asleep.append((self.now + seconds * 1_000, waking))
            await waking

    async def let_pass(self, ms: float) -> None:
        """Move on, waking everybody in turn."""
        until = self.now + ms
        while True:
            self.asleep = [(due, waking) for due, waking in self.asleep if not waking.done()]
            due = min((due for due, _ in self.asleep), default=until + 1)
            if due > until:
                break
            self.now = max(self.now, due)
            for at, waking in self.asleep:
                if at == due and not waking.done():
                    waking.set_result(None)
            await turns(8)
        self.now = until


def stamps(ear: Ear) -> list[int]:
    return [each.ts_ms - OPEN for each in ear.events if isinstance(each, Report)]


async def test_between_ticks_the_machine_clock_tells_what_time_it_is() -> None:
    clock = HandClock()
    async with rig(conduct=Conduct(), pacer=FreeRunning(), pace=Pace(clock, 10.0, Session())) as at:
        await clock.let_pass(200)  # two seconds of market time
        at.engine.request(1, market(asked=brackets(50, 80)), "m")
        assert stamps(at.ear) == [2 * SECOND_MS]
        await turns(8)
        await clock.let_pass(12)
        assert stamps(at.ear) == [2 * SECOND_MS]
        await clock.let_pass(1)  # 130 ms of market time are over
        assert said(at.ear.events)[1:] == ["FILLED MARKET FILLED 2500/2500 OPEN 2500 m"]
        await clock.let_pass(2)
        assert said(at.ear.events)[2:] == ["ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server"]
        assert stamps(at.ear) == [2_000, 2_000 + FILL, 2_000 + FILL + PROTECT]
        await clock.let_pass(1_285)  # and the next tick comes when it would have come anyhow
        spots = [each[2].ts_ms - OPEN for each in at.ear.heard if each[0] == "spot" and each[1] == TRADED_ID]
        assert spots == [0, 15 * SECOND_MS]


async def test_a_request_that_comes_late_does_not_see_the_coming_tick() -> None:
    clock = HandClock()
    async with rig(conduct=Conduct(), pacer=FreeRunning(), pace=Pace(clock, 10.0, Session())) as at:
        clock.now += 60_000  # the loop was held up
        at.engine.request(1, market(), "m")
        assert stamps(at.ear) == [15 * SECOND_MS]
        assert at.engine.venue.now_ms == OPEN + 15 * SECOND_MS


async def test_an_order_that_was_accepted_before_the_end_of_the_feed_is_still_filled() -> None:
    with closing(Books(":memory:")) as books:
        made = Rig(books, TRADED, 1, Conduct(), FreeRunning())

        class Late(Ear):
            def spot(self, symbol_id: int, tick: FeedTick) -> None:
                super().spot(symbol_id, tick)
                if tick.ts_ms == OPEN + 2 * HOUR_MS + 45 * SECOND_MS:
                    made.engine.request(1, market(asked=brackets(50)), "m")

        late = Late()
        made.engine.add_listener(late)
        made.engine.start()
        await made.engine.run()
        assert [each.execution for each in late.events if isinstance(each, Report)] == [2, 3, 2]
        assert late.heard[-1] == ("ended",)


# -- several accounts and symbols


async def test_with_two_accounts_the_path_of_a_bar_is_nobodys() -> None:
    for accounts, lows_first in ((1, False), (2, True)):
        with closing(Books(":memory:")) as books:
            made = Rig(books, TRADED, accounts, Conduct(Delays(0, 0)), LockStep())
            made.listen(bars((OPEN, 4_000, 4_010, 3_990, 4_000)))
            running = asyncio.create_task(made.engine.run())
            await turns()
            made.engine.request(1, market(-1), "m")  # a short fears the high
            made.pacer.idle()
            await turns()
            spots = [each[2].bid_px for each in made.ear.heard if each[0] == "spot" and each[1] == TRADED_ID]
            assert (spots[1] == px(3_990)) is lows_first
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_symbols_whose_quotes_never_move_are_quoted_once_and_can_be_traded() -> None:
    async with rig() as at:
        fixed = [each[1] for each in at.ear.heard if each[0] == "spot" and each[1] != TRADED_ID]
        assert sorted(fixed) == [2, 3, 4]
        at.pacer.idle()
        await turns()
        assert len([each for each in at.ear.heard if each[0] == "spot"]) == 5
        order = replace(market(volume_cu=100_000), symbol_id=2)
        assert at.engine.request(1, order, "m") is None
        again = at.made()
        assert again.venue.last(2) == at.engine.venue.last(2)


async def test_the_conversion_pair_is_quoted_before_the_tick_that_it_converts() -> None:
    abroad = replace(spec(always_open=True, commission_kind=2), deposit_currency="USD")
    rates = (22_371_364, 22_371_364, 25_000_000)
    series = bars(*[(OPEN + hour * HOUR_MS, 4_000, 4_000, 4_000, 4_000) for hour in range(3)], rate_e8=rates)
    with closing(Books(":memory:")) as books:
        made = Rig(books, abroad, 1, Conduct(Delays(0, 0)), FreeRunning())
        made.listen(series)
        await made.engine.run()
        pair_id = made.opening.catalogue.conversion_id
        order = [each[1] for each in made.ear.heard if each[0] == "spot" and each[1] in {pair_id, TRADED_ID}]
        assert order == [pair_id, *[TRADED_ID] * 8, pair_id, *[TRADED_ID] * 4]  # told only when it moved


# -- the books


async def test_candles_that_a_bar_spread_over_two_minutes_are_all_kept() -> None:
    series = bars((OPEN + 20 * SECOND_MS, 4_000, 4_020, 3_990, 4_010))
    with closing(Books(":memory:")) as books:
        made = Rig(books, TRADED, 1, Conduct(Delays(0, 0)), FreeRunning())
        made.engine = made.made(series)
        made.engine.start()
        await made.engine.run()
        assert [facts(each, "ts_ms", "low_px", "high_px", "ticks") for each in books.candles(TRADED_ID)] == [
            (OPEN + 20 * SECOND_MS, px(3_990), px(4_020), 3),
            (OPEN + 65 * SECOND_MS, px(4_010), px(4_010), 1),
        ]
        again = made.made(series)
        assert again.prices[TRADED_ID].candles() == made.engine.prices[TRADED_ID].candles()


async def test_a_thousand_accounts_cost_a_tick_nothing_while_they_have_no_interest() -> None:
    async with rig(accounts=1_000) as at:
        venue = at.engine.venue
        at.engine.request(7, market(), "m")
        watched = Counter[int]()
        original = venue._floor.equity_minor

        def counted(account: Account) -> int:
            watched[account.account_id] += 1
            return original(account)

        venue._floor.equity_minor = counted  # type: ignore[method-assign]  # to see who is looked at
        at.pacer.idle()
        await turns()
        assert watched == {7: 1}
        assert venue.changes.is_empty
        at.engine.request(9, limit(1, 3_900), "m")
        at.engine.request(7, ClosePosition(1, LOT), "m")
        assert [row[0] for row in at.books._rows("SELECT account_id FROM accounts WHERE balance_version > 0")] == [7]
        assert Execution.FILLED in {each.execution for each in at.ear.events if isinstance(each, Report)}


async def test_what_was_accepted_before_a_kill_is_filled_and_protected_by_the_next_process_in_time() -> None:
    with closing(Books(":memory:")) as books:
        made = Rig(books, TRADED, 1, Conduct(), LockStep())
        made.engine.start()
        running = asyncio.create_task(made.engine.run())
        await turns()
        made.engine.request(1, market(asked=brackets(50, 80)), "m")
        running.cancel()  # killed: nothing of what it would still have done happens
        await asyncio.gather(running, return_exceptions=True)
        made.pacer, made.ear = FreeRunning(), Ear()
        made.listen(FLAT_BARS)
        await made.engine.run()
        heard = [each[2].ts_ms - OPEN for each in made.ear.heard[:3]]
        assert said(made.ear.events) == [
            "FILLED MARKET FILLED 2500/2500 OPEN 2500 unasked",
            "ACCEPTED PROTECTION ACCEPTED 0/2500 OPEN 2500 server",
        ]
        assert heard == [FILL, FILL + PROTECT, 15 * SECOND_MS]
