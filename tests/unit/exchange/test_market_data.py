"""Quotes, bars and ticks over the wire: subscriptions and history (sheet 4.5 and 8)."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import ASK, BID, START_MS, Plan, house_in

from palmbot.exchange.knobs import Knobs
from palmbot.model import HistoryBar
from palmbot.protocol.messages import pb
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

ME: dict[str, Any] = {"ctidTraderAccountId": 1}
SPOTS = pb.SubscribeSpotsReq(**ME, symbolId=[1], subscribeToSpotTimestamp=True)


async def test_the_answer_comes_before_the_first_spot_which_has_both_sides(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.tick()
        answer = await client.ask(SPOTS)
        assert isinstance(answer, pb.SubscribeSpotsRes)
        first = await client.take(pb.SpotEvent)
        assert (first.bid, first.ask, first.timestamp) == (BID, ASK, house.now_ms)
        assert client.heard[-1].client_msg_id == ""
        house.tick(BID + 100, ASK)
        second = await client.take(pb.SpotEvent)
        assert (second.bid, second.HasField("ask")) == (BID + 100, False)


async def test_before_the_first_tick_there_is_nothing_to_tell(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        await client.ask(SPOTS)
        await client.ask(pb.VersionReq())
        assert not client.all(pb.SpotEvent)
        house.tick()
        assert (await client.take(pb.SpotEvent)).bid == BID


async def test_subscribing_twice_is_said_and_does_not_keep_new_symbols_out(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.tick()
        await client.ask(SPOTS)
        await client.take(pb.SpotEvent)
        twice = await client.ask(pb.SubscribeSpotsReq(**ME, symbolId=[1, 2]))
        assert twice.errorCode == "ALREADY_SUBSCRIBED"
        assert (await client.take(pb.SpotEvent)).symbolId == 2


async def test_an_unknown_symbol_subscribes_nothing(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.tick()
        assert (await client.ask(pb.SubscribeSpotsReq(**ME, symbolId=[1, 99]))).errorCode == "SYMBOL_NOT_FOUND"
        house.tick()
        await client.ask(pb.VersionReq())
        assert not client.all(pb.SpotEvent)


async def test_after_unsubscribing_nothing_of_the_symbol_is_told(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.tick()
        stop = pb.UnsubscribeSpotsReq(**ME, symbolId=[1])
        assert (await client.ask(stop)).errorCode == "NOT_SUBSCRIBED_TO_SPOTS"
        await client.ask(SPOTS)
        await client.ask(pb.SubscribeDepthQuotesReq(**ME, symbolId=[1]))
        assert isinstance(await client.ask(stop), pb.UnsubscribeSpotsRes)
        heard = len(client.heard)
        house.tick(BID + 500)
        await client.ask(pb.VersionReq())
        assert len(client.heard) == heard + 1


@pytest.mark.parametrize("code", ["INVALID_REQUEST", "NOT_SUBSCRIBED_TO_SPOTS"])
async def test_bars_and_depth_need_spots(tmp_path: Path, code: str) -> None:
    async with house_in(tmp_path, Plan(Knobs(per_second=None, bars_without_spots_code=code))) as house:
        client = await house.client(1)
        bars = pb.SubscribeLiveTrendbarReq(**ME, symbolId=1, period=pb.M5)
        assert (await client.ask(bars)).errorCode == code
        depth = await client.ask(pb.SubscribeDepthQuotesReq(**ME, symbolId=[1]))
        assert depth.errorCode == "NOT_SUBSCRIBED_TO_SPOTS"


async def test_live_bars_ride_on_spots_until_they_are_left_out(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        await client.ask(SPOTS)
        house.tick()
        begin = pb.SubscribeLiveTrendbarReq(**ME, symbolId=1, period=pb.M5)
        assert isinstance(await client.ask(begin), pb.SubscribeLiveTrendbarRes)
        assert (await client.ask(begin)).errorCode == "ALREADY_SUBSCRIBED"
        client.mark()
        house.tick(BID + 700)
        (bar,) = (await client.take(pb.SpotEvent)).trendbar
        assert (bar.period, bar.volume, bar.low, bar.deltaHigh, bar.deltaClose) == (pb.M5, 2, BID, 700, 700)
        end = pb.UnsubscribeLiveTrendbarReq(**ME, symbolId=1, period=pb.M5)
        assert isinstance(await client.ask(end), pb.UnsubscribeLiveTrendbarRes)
        assert (await client.ask(end)).errorCode == "INVALID_REQUEST"
        house.tick(BID)
        assert not (await client.take(pb.SpotEvent)).trendbar


async def test_the_book_is_shown_whole_and_then_by_its_changes(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        await client.ask(SPOTS)
        house.tick()
        begin = pb.SubscribeDepthQuotesReq(**ME, symbolId=[1])
        assert isinstance(await client.ask(begin), pb.SubscribeDepthQuotesRes)
        book = {each.id: each for each in (await client.take(pb.DepthEvent)).newQuotes}
        assert max(each.bid for each in book.values()) == BID
        assert (await client.ask(begin)).errorCode == "ALREADY_SUBSCRIBED"
        house.tick(BID - 1_000)
        change = await client.take(pb.DepthEvent)
        for gone in change.deletedQuotes:
            del book[gone]
        book |= {each.id: each for each in change.newQuotes}
        assert max(each.bid for each in book.values()) == BID - 1_000
        assert min(each.ask for each in book.values() if each.HasField("ask")) == ASK - 1_000
        end = pb.UnsubscribeDepthQuotesReq(**ME, symbolId=[1])
        assert isinstance(await client.ask(end), pb.UnsubscribeDepthQuotesRes)


async def test_results_are_subscribed_to_and_left(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        leave = pb.v1PnLChangeUnSubscribeReq(**ME)
        assert (await client.ask(leave)).errorCode == "NOT_SUBSCRIBED_TO_PNL"
        begin = pb.v1PnLChangeSubscribeReq(**ME)
        assert isinstance(await client.ask(begin), pb.v1PnLChangeSubscribeRes)
        assert (await client.take(pb.v1PnLChangeEvent)).moneyDigits == 2
        assert (await client.ask(begin)).errorCode == "ALREADY_SUBSCRIBED"
        assert isinstance(await client.ask(leave), pb.v1PnLChangeUnSubscribeRes)


def hours(count: int) -> list[HistoryBar]:
    """Return hourly bars that end at the start."""
    return [
        HistoryBar(
            START_MS - (count - number) * HOUR_MS, BID + number, BID + number + 5, BID + number - 5, BID + number
        )
        for number in range(count)
    ]


async def test_history_is_served_as_bars_with_the_end_of_the_window_beside_them(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(history=hours(50))) as house:
        client = await house.client(1)
        house.tick(BID + 1_000)
        window: dict[str, Any] = {"fromTimestamp": START_MS - 10 * HOUR_MS, "toTimestamp": START_MS}
        answer = await client.ask(pb.GetTrendbarsReq(**ME, symbolId=1, period=pb.H1, **window))
        assert (answer.timestamp, answer.symbolId, answer.period) == (START_MS, 1, pb.H1)
        opens = [each.utcTimestampInMinutes for each in answer.trendbar]
        assert opens == [(START_MS - back * HOUR_MS) // MINUTE_MS for back in range(10, -1, -1)], "both ends included"
        oldest = answer.trendbar[0]
        assert not oldest.HasField("period")
        assert (oldest.low + oldest.deltaOpen, oldest.low + oldest.deltaHigh) == (BID + 40, BID + 45)
        assert not answer.hasMore


@pytest.mark.parametrize("counted", [True, False])
async def test_a_count_reaches_back_from_the_end_and_its_has_more_means_little(tmp_path: Path, counted: bool) -> None:
    plan = Plan(Knobs(per_second=None, counted_has_more=counted), history=hours(50))
    async with house_in(tmp_path, plan) as house:
        client = await house.client(1)
        house.tick()
        asked = pb.GetTrendbarsReq(
            **ME, symbolId=1, period=pb.H1, count=5, fromTimestamp=START_MS - HOUR_MS, toTimestamp=START_MS - 1
        )
        answer = await client.ask(asked)
        assert len(answer.trendbar) == 5
        assert answer.hasMore
        everything = await client.ask(pb.GetTrendbarsReq(**ME, symbolId=1, period=pb.H1, count=5_000))
        assert len(everything.trendbar) == 51
        assert everything.hasMore is counted
        nothing = await client.ask(pb.GetTrendbarsReq(**ME, symbolId=1, period=pb.H1, count=0))
        assert nothing.errorCode == "INVALID_REQUEST"


@pytest.mark.parametrize("refused", [True, False])
async def test_a_window_of_bars_is_as_wide_as_its_period_allows(tmp_path: Path, refused: bool) -> None:
    async with house_in(tmp_path, Plan(Knobs(per_second=None, refuses_wide_windows=refused))) as house:
        client = await house.client(1)
        house.tick()
        window: dict[str, Any] = {"fromTimestamp": START_MS - 36 * DAY_MS, "toTimestamp": START_MS + MINUTE_MS}
        answer = await client.ask(pb.GetTrendbarsReq(**ME, symbolId=1, period=pb.M1, **window))
        assert isinstance(answer, pb.ErrorRes) is refused
        wider = await client.ask(pb.GetTrendbarsReq(**ME, symbolId=1, period=pb.M30, **window))
        assert len(wider.trendbar) == 1


async def test_history_of_an_unknown_symbol_or_period_is_refused(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        unknown = await client.ask(pb.GetTrendbarsReq(**ME, symbolId=99, period=pb.H1))
        assert unknown.errorCode == "SYMBOL_NOT_FOUND"
        request = pb.GetTrendbarsReq(**ME, symbolId=1)
        request.MergeFromString(b"\x28\x63")  # period: 99
        assert (await client.ask(request)).errorCode == "INVALID_REQUEST"


async def test_ticks_come_newest_first_as_differences(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(Knobs(per_second=None, page_ticks=3))) as house:
        client = await house.client(1)
        for number in range(5):
            house.tick(BID + 100 * number)
        window: dict[str, Any] = {"fromTimestamp": START_MS, "toTimestamp": START_MS + HOUR_MS}
        answer = await client.ask(pb.GetTickDataReq(**ME, symbolId=1, type=pb.ASK, **window))
        first, *later = answer.tickData
        assert (first.timestamp, first.tick) == (house.now_ms, ASK + 400)
        assert [(each.timestamp, each.tick) for each in later] == [(-1_000, -100)] * 2
        assert answer.hasMore
        times = list(accumulate(each.timestamp for each in answer.tickData))
        older = await client.ask(
            pb.GetTickDataReq(**ME, symbolId=1, type=pb.BID, fromTimestamp=START_MS, toTimestamp=times[-1] - 1)
        )
        assert [each.tick for each in older.tickData] == [BID + 100, -100]
        assert not older.hasMore


async def test_two_connections_subscribe_on_their_own(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        one, two = await house.client(1), await house.client(1)
        await one.ask(SPOTS)
        house.tick()
        await one.take(pb.SpotEvent)
        await two.ask(pb.VersionReq())
        assert not two.all(pb.SpotEvent)
