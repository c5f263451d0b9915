"""Price history: our own bars out of the broker's shorter ones, page by page."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.scripted_peer import ACCOUNT, PAIR, error, spot
from tests.unit.adapters.ctrader_world import EPOCH_MS, World, story

from palmbot.adapters.ctrader_history import Grid
from palmbot.errors import RejectedError, RetryError
from palmbot.model import HistoryBar
from palmbot.protocol.messages import Message, pb
from palmbot.settings import Environment
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

HOUR, NOW = 60, EPOCH_MS // MINUTE_MS


def bar(minute: int, low: int = 100, opens: int = 1, high: int = 9, close: int | None = 4) -> pb.Trendbar:
    return pb.Trendbar(
        volume=4, low=low, deltaOpen=opens, deltaHigh=high, deltaClose=close, utcTimestampInMinutes=minute
    )


@pytest.mark.parametrize(
    ("period_min", "day_start_min", "part"),
    [
        (1, 0, pb.M1),
        (15, 0, pb.M15),
        (45, 0, pb.M15),
        (HOUR, 30, pb.H1),  # only days have an anchor
        (4 * HOUR, 0, pb.H1),  # not the broker's own: they roll at New York's evening
        (24 * HOUR, 11 * HOUR, pb.H1),
        (24 * HOUR, 11 * HOUR + 30, pb.M30),
        (24 * HOUR, 11 * HOUR + 1, pb.M1),
        (3, 0, pb.M3),
    ],
)
def test_bars_are_made_of_the_longest_that_lie_on_our_grid(period_min: int, day_start_min: int, part: int) -> None:
    assert Grid(period_min * MINUTE_MS, day_start_min * MINUTE_MS).part().number == part


def test_bars_of_half_minutes_cannot_be_made() -> None:
    with pytest.raises(RejectedError, match="PERIOD_UNFIT"):
        Grid(30_000, 0).part()


@story()
async def test_days_are_made_of_hours_on_our_own_grid_and_the_last_one_forms(world: World) -> None:
    await world.ready()
    world.ctrader._config = world.ctrader._config.__class__(
        world.ctrader._config.credentials, "PALMOIL", 11 * HOUR_MS, world.ctrader._config.patience
    )
    first = NOW - 3 * 24 * HOUR
    world.peer.bars = [bar(first + number * HOUR, 100 + number) for number in range(3 * 24)]
    days = await world.ctrader.history("PALMOIL", DAY_MS, 10)
    starts = [first, first + 11 * HOUR, first + 35 * HOUR, first + 59 * HOUR]
    assert [day.ts_ms for day in days] == [minute * MINUTE_MS for minute in starts]
    assert days[1] == HistoryBar(starts[1] * MINUTE_MS, 112, 143, 111, 138)
    assert [day.is_forming for day in days] == [False, False, False, True]
    assert {request.period for request in world.peer.asked(pb.GetTrendbarsReq)} == {pb.H1}


@story()
async def test_pages_go_back_until_there_is_enough_and_the_oldest_piece_of_a_bar_counts_only_when_whole(
    world: World,
) -> None:
    await world.ready()
    world.peer.bars = [bar(NOW - number * 5, 100 + number) for number in range(1, 400)]
    served = world.peer.trendbars

    def scant(request: Message) -> list[pb.GetTrendbarsRes]:
        assert isinstance(request, pb.GetTrendbarsReq)
        answer = served(request)
        del answer.trendbar[7:]
        return [answer]

    world.peer.answers[pb.GetTrendbarsReq] = scant
    bars = await world.ctrader.history("PALMOIL", 20 * MINUTE_MS, 10)
    assert [each.ts_ms for each in bars] == [EPOCH_MS - number * 20 * MINUTE_MS for number in range(10, 0, -1)]
    assert bars[0].open_px == 100 + 40 + 1  # that which opened 200 minutes ago is the broker's bar number 40
    assert all(not each.is_forming for each in bars)


@story()
async def test_a_window_is_never_longer_than_allowed_nor_wider_than_needed(world: World) -> None:
    await world.ready()
    world.peer.bars = [bar(NOW - number) for number in range(1, 100)]
    await world.ctrader.history("PALMOIL", MINUTE_MS, 50)
    await world.ctrader.history("PALMOIL", HOUR_MS, 5_000)
    short, long, _ = world.peer.asked(pb.GetTrendbarsReq)
    assert (short.toTimestamp - short.fromTimestamp, short.count) == (3_024_000_000, 52)
    assert (long.toTimestamp - long.fromTimestamp, long.count) == (21_168_000_000, 4_000)


@story()
async def test_all_there_is_comes_when_there_is_less_than_wanted(world: World) -> None:
    await world.ready()
    assert await world.ctrader.history("PALMOIL", MINUTE_MS, 50) == []
    world.peer.bars = [bar(NOW - 2), bar(NOW - 1)]
    bars = await world.ctrader.history("PALMOIL", MINUTE_MS, 50)
    assert [each.ts_ms for each in bars] == [(NOW - 2) * MINUTE_MS, (NOW - 1) * MINUTE_MS]


@story()
async def test_two_bars_of_one_minute_are_one_and_bars_without_a_price_are_none(world: World) -> None:
    await world.ready()
    empty = pb.Trendbar(volume=0, utcTimestampInMinutes=NOW - 3)
    world.peer.answers[pb.GetTrendbarsReq] = lambda _: [
        pb.GetTrendbarsRes(ctidTraderAccountId=ACCOUNT, period=pb.M1, trendbar=[bar(NOW - 2), bar(NOW - 2), empty])
    ]
    bars = await world.ctrader.history("PALMOIL", MINUTE_MS, 50)
    assert bars == [HistoryBar((NOW - 2) * MINUTE_MS, 101, 109, 100, 104)]


@story()
async def test_a_live_bar_that_does_not_tell_its_close_has_the_newest_bid(world: World) -> None:
    world.peer.first_spots = [spot(120, 121, EPOCH_MS)]
    await world.listening()
    world.peer.bars = [bar(NOW - 1, close=None), bar(NOW, close=None)]
    bars = await world.ctrader.history("PALMOIL", MINUTE_MS, 50)
    assert [each.close_px for each in bars] == [100, 120]
    assert (bars[1].high_px, bars[1].is_forming) == (120, True)


# -- the market clock in paper


@story(Environment.PAPER)
async def test_in_paper_the_bar_with_the_newest_quote_forms_whatever_the_machine_thinks_of_the_time(
    world: World,
) -> None:
    world.peer.first_spots = [spot(120, 121, 7 * HOUR_MS)]
    world.peer.bars = [bar(6 * HOUR), bar(7 * HOUR), bar(8 * HOUR)]
    await world.ready()
    bars = await world.ctrader.history("PALMOIL", HOUR_MS, 50)
    assert [(each.ts_ms // HOUR_MS, each.is_forming) for each in bars] == [(6, False), (7, True)]


@story(Environment.PAPER)
async def test_in_paper_all_bars_of_a_market_that_has_not_begun_have_ended(world: World) -> None:
    world.peer.first_spots = [spot(470_000, 470_100, 1_000, PAIR)]
    world.peer.bars = [bar(6 * HOUR), bar(7 * HOUR)]
    await world.ready()
    bars = await world.ctrader.history("PALMOIL", HOUR_MS, 50)
    assert [each.is_forming for each in bars] == [False, False]


# -- the quota


@story()
async def test_a_quota_that_is_used_up_is_waited_for_longer_each_time(world: World) -> None:
    await world.ready()
    world.peer.bars = [bar(NOW - 1)]
    asked_ms: list[int] = []

    def blocked(request: Message) -> list[Message]:
        assert isinstance(request, pb.GetTrendbarsReq)
        asked_ms.append(world.clock.monotonic_ms())
        if len(asked_ms) < 6:
            return [error("BLOCKED_PAYLOAD_TYPE", retryAfter=3)]
        return [world.peer.trendbars(request)]

    world.peer.answers[pb.GetTrendbarsReq] = blocked
    assert len(await world.ctrader.history("PALMOIL", MINUTE_MS, 5)) == 1
    pauses = [round((after - before) / 1_000) for before, after in pairwise(asked_ms)]
    assert pauses[:5] == [3, 3, 4, 8, 16]


@story()
async def test_a_quota_that_stays_used_up_is_no_answer(world: World) -> None:
    await world.ready()
    world.peer.answers[pb.GetTrendbarsReq] = lambda _: [error("REQUEST_FREQUENCY_EXCEEDED")]
    start_ms = world.clock.monotonic_ms()
    with pytest.raises(RetryError, match="HISTORY_QUOTA"):
        await world.ctrader.history("PALMOIL", MINUTE_MS, 5)
    assert len(world.peer.asked(pb.GetTrendbarsReq)) == 12
    assert 700_000 < world.clock.monotonic_ms() - start_ms < 900_000


@story()
async def test_our_own_limit_spreads_pages_over_seconds(world: World) -> None:
    await world.ready()
    world.peer.bars = [bar(NOW - number) for number in range(1, 200)]
    served = world.peer.trendbars
    asked_ms: list[int] = []

    def scant(request: Message) -> list[pb.GetTrendbarsRes]:
        assert isinstance(request, pb.GetTrendbarsReq)
        asked_ms.append(world.clock.monotonic_ms())
        answer = served(request)
        del answer.trendbar[10:]
        return [answer]

    world.peer.answers[pb.GetTrendbarsReq] = scant
    assert len(await world.ctrader.history("PALMOIL", MINUTE_MS, 150)) == 150
    assert min(later - earlier for earlier, later in zip(asked_ms, asked_ms[5:], strict=False)) > 950
    assert world.peer.last.session.frames_sent > 16


@story()
async def test_what_the_broker_refuses_otherwise_is_not_asked_again(world: World) -> None:
    await world.ready()
    world.peer.answers[pb.GetTrendbarsReq] = lambda _: [error("INCORRECT_BOUNDARIES", "too wide")]
    with pytest.raises(RetryError, match="INCORRECT_BOUNDARIES"):
        await world.ctrader.history("PALMOIL", MINUTE_MS, 5)
    assert world.ctrader.is_ready
