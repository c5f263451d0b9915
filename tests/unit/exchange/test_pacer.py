"""How fast the market runs: in lock-step, and at so many market seconds a wall second."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from tests.unit.exchange.desk import (
    FLAT_BARS,
    NO_ROLLS,
    OPEN,
    SYMBOL,
    Desk,
    desk,
    enter,
    spec,
    turns,
)

from palmbot.calendar import Session
from palmbot.errors import InvariantError
from palmbot.exchange.books import Books
from palmbot.exchange.feed import FileFeed, GeneratedFeed
from palmbot.exchange.market_arrays import history
from palmbot.exchange.pacer import FreeRunning, LockStep, Pace
from palmbot.instruments import PALM_OIL
from palmbot.model import (
    LinkEvent,
    LinkState,
)
from palmbot.ports import Clock
from palmbot.units import HOUR_MS, MINUTE_MS, SECOND_MS


async def test_in_lock_step_no_tick_comes_before_the_bot_is_idle() -> None:
    async with desk() as at:
        at.pacer.idle()  # early: it releases nothing
        await at.broker.subscribe(SYMBOL)
        running = asyncio.create_task(at.broker.run())
        for count in range(1, 13):
            await turns()
            assert len(at.inbox.quotes) == count
            at.pacer.idle()
            at.pacer.idle()  # twice: the second is for nothing
        await running
        assert at.inbox.told[-1] == LinkEvent(
            OPEN + 2 * HOUR_MS + 45 * SECOND_MS, LinkState.READY, "the feed ended", ended=True
        )


async def test_a_bot_that_never_becomes_idle_is_named_with_what_it_awaits() -> None:
    with closing(Books(":memory:")) as books:
        feed = FileFeed(spec().core, FLAT_BARS, NO_ROLLS)
        at = Desk(feed, books, pacer=LockStep(lambda: "the answer to order in", limit_s=0.0))
        await at.broker.subscribe(SYMBOL)
        with pytest.raises(InvariantError, match=r"PACER_STUCK.*the answer to order in"):
            await at.broker.run()
        at.pacer = LockStep(limit_s=0.0)
        with pytest.raises(InvariantError, match=r"PACER_STUCK.*first report"):
            await at.pacer.wait_idle()


class WallClock:
    """A machine clock that a test moves; every sleep is exact but for ``late_ms``."""

    def __init__(self) -> None:
        self.now_ms = 5_000
        self.late_ms = 0
        self.slept: list[float] = []

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ms += round(seconds * 1_000) + self.late_ms
        await asyncio.sleep(0)


async def test_a_pace_waits_market_time_divided_by_speed_and_does_not_drift() -> None:
    clock = WallClock()
    clock_: Clock = clock  # mypy compares the signatures
    pace = Pace(clock_, 60.0, Session())
    clock.late_ms = 7
    for minute in range(5):
        await pace.until(OPEN + minute * MINUTE_MS)
    assert clock.slept == pytest.approx([0.0, 0.993, 0.993, 0.993, 0.993])


async def test_a_pace_skips_closed_hours() -> None:
    clock = WallClock()
    pace = Pace(clock, 3_600.0, PALM_OIL.session)
    lunch = OPEN + 2 * HOUR_MS
    for ts_ms in (lunch - MINUTE_MS, lunch + 2 * HOUR_MS + MINUTE_MS, lunch + 2 * HOUR_MS + 2 * MINUTE_MS):
        await pace.until(ts_ms)
    assert clock.slept == pytest.approx([0.0, 2 / 60, 1 / 60], abs=1e-3)


async def test_a_pace_that_fell_far_behind_goes_on_from_there_instead_of_racing() -> None:
    clock = WallClock()
    pace = Pace(clock, 60.0, Session())
    await pace.until(OPEN)
    clock.now_ms += 3_600_000  # the machine slept
    for minute in (1, 2):
        await pace.until(OPEN + minute * MINUTE_MS)
    assert clock.slept == pytest.approx([0.0, 0.0, 1.0])
    with pytest.raises(InvariantError, match="SPEED_NOT_POSITIVE"):
        Pace(clock, 0.0, Session())


async def test_a_paced_market_runs_without_waiting_for_the_bot_and_can_be_stopped() -> None:
    made, state = history(PALM_OIL, 3, 40)
    clock = WallClock()
    with closing(Books(":memory:")) as books:
        at = Desk(GeneratedFeed(PALM_OIL, state, history=made), books, PALM_OIL, FreeRunning())
        await at.broker.subscribe(SYMBOL)
        running = asyncio.create_task(at.broker.run(Pace(clock, 3_600.0, PALM_OIL.session)))
        await turns(400)
        at.pacer.idle()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(at.inbox.quotes) > 100
        stamps = [quote.ts_ms for quote in at.inbox.quotes]
        assert stamps == sorted(stamps)
        assert books.feed_state() is not None


async def test_a_request_while_the_next_tick_is_waited_for_meets_the_last_one_and_its_place_is_what_is_kept() -> None:
    class Slow(WallClock):
        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)
            await asyncio.sleep(0) if len(self.slept) == 1 else await asyncio.Event().wait()

    with closing(Books(":memory:")) as books:
        traded = spec(always_open=True)
        at = Desk(FileFeed(traded.core, FLAT_BARS, NO_ROLLS), books, traded, FreeRunning())
        await at.broker.subscribe(SYMBOL)
        running = asyncio.create_task(at.broker.run(Pace(Slow(), 1.0, traded.session)))
        await turns()
        assert len(at.inbox.quotes) == 1
        await at.broker.submit(enter())
        assert {event.ts_ms for event in at.inbox.orders} == {OPEN}
        resumed = FileFeed(traded.core, FLAT_BARS, NO_ROLLS, books.feed_state())
        coming = resumed.next_tick(1)
        assert coming is not None
        assert coming.ts_ms == OPEN + 15 * SECOND_MS  # the tick that was being waited for is not lost
        running.cancel()


async def test_a_pace_that_is_woken_says_so_and_counts_from_where_it_was() -> None:
    clock = WallClock()
    pace = Pace(clock, 60.0, Session())
    assert pace.now_ms() is None
    pace.wake()  # nobody waits
    assert await pace.until(OPEN)

    class Endless(WallClock):
        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)
            await asyncio.Event().wait()

    endless = Endless()
    endless.now_ms = clock.now_ms
    pace._clock = endless
    waiting = asyncio.create_task(pace.until(OPEN + MINUTE_MS))
    await turns()
    pace.wake()
    assert await waiting is False
    pace._clock = clock
    clock.now_ms += 400
    assert await pace.until(OPEN + MINUTE_MS)
    assert clock.slept[-1] == pytest.approx(0.6)  # a minute at 60 is a second in all


async def test_a_wait_that_is_cancelled_is_cancelled_even_if_it_was_woken_too() -> None:
    class Endless(WallClock):
        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)
            await asyncio.Event().wait()

    pace = Pace(Endless(), 60.0, Session())
    waiting = asyncio.create_task(pace.until(OPEN))
    await turns()
    pace.wake()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_market_time_goes_on_between_ticks_but_not_through_closed_hours() -> None:
    clock = WallClock()
    pace = Pace(clock, 60.0, PALM_OIL.session)
    lunch = OPEN + 2 * HOUR_MS
    await pace.until(lunch - MINUTE_MS)
    clock.now_ms += 500
    assert pace.now_ms() == lunch - MINUTE_MS // 2
    clock.now_ms += 1_000
    assert pace.now_ms() == lunch + 2 * HOUR_MS + MINUTE_MS // 2  # half a minute into the afternoon
    await pace.until(lunch + 2 * HOUR_MS + MINUTE_MS)
    assert pace.now_ms() == lunch + 2 * HOUR_MS + MINUTE_MS
