"""Windows of history from brokers that behave, and from those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from tests.fakes import FakeClock

from palmbot.adapters.ctrader_download import TICK_PAGES_MAX, download_bars, download_ticks
from palmbot.adapters.ctrader_history import PAGES_MAX, PARTS, TRIES_MAX, Reader
from palmbot.errors import RetryError
from palmbot.protocol.codec_errors import Declined
from palmbot.protocol.codes import Reaction
from palmbot.protocol.messages import Message, pb
from palmbot.units import HOUR_MS, MINUTE_MS

H1 = PARTS[0]
FROM, TO = 1_000 * HOUR_MS, 1_010 * HOUR_MS

BarsAnswer = Callable[[pb.GetTrendbarsReq], pb.GetTrendbarsRes]


def bar(hour: int, low: int = 100, **changed: int) -> pb.Trendbar:
    fields: dict[str, Any] = {"volume": 4, "low": low, "deltaOpen": 1, "deltaHigh": 9, "deltaClose": 4} | changed
    return pb.Trendbar(**{"utcTimestampInMinutes": hour * 60} | fields)


class Broker:
    """A line to a broker that answers by a function."""

    def __init__(self, answer: Callable[[Message], Message | Declined]) -> None:
        self.answer = answer
        self.asked: list[Message] = []
        self.waits: list[int] = []

    async def ask(self, request: Message, deadline_ms: int | None = None) -> Message | Declined:
        del deadline_ms
        self.asked.append(request)
        return self.answer(request)

    def reader(self) -> Reader:
        return Reader(self, FakeClock(), 1, 2, self.waits.append)


def bars_broker(bars: Iterable[pb.Trendbar], page: int = 100, *, has_more: bool | None = None) -> Broker:
    """Return a broker that answers with its newest bars in the window; ``has_more`` instead of the truth."""

    def answer(request: Message) -> Message:
        assert isinstance(request, pb.GetTrendbarsReq)
        assert not request.HasField("count")
        inside = [
            each
            for each in bars
            if request.fromTimestamp <= each.utcTimestampInMinutes * MINUTE_MS <= request.toTimestamp
        ]
        more = len(inside) > page if has_more is None else has_more
        return pb.GetTrendbarsRes(period=request.period, trendbar=inside[-page:], hasMore=more)

    return Broker(answer)


async def hours(broker: Broker) -> list[int]:
    return [int(ts_ms) // HOUR_MS for ts_ms in (await download_bars(broker.reader(), H1, FROM, TO)).ts_ms]


async def test_a_window_holds_its_first_moment_and_not_its_last() -> None:
    broker = bars_broker([])
    assert await hours(broker) == []
    (asked,) = broker.asked
    assert isinstance(asked, pb.GetTrendbarsReq)
    assert (asked.fromTimestamp, asked.toTimestamp, asked.period) == (FROM, TO - 1, pb.H1)


async def test_prices_and_volume_are_those_that_were_told() -> None:
    told = await download_bars(
        bars_broker([bar(1_003, low=7, deltaOpen=2, deltaHigh=5, deltaClose=3)]).reader(), H1, FROM, TO
    )
    assert [int(column[0]) for column in told] == [1_003 * HOUR_MS, 9, 12, 7, 10, 4]


@pytest.mark.parametrize("page", [1, 3, 10, 100])
@pytest.mark.parametrize("has_more", [None, True])  # the truth, or always, as with a count
async def test_pages_make_up_the_window(page: int, has_more: bool | None) -> None:
    broker = bars_broker([bar(hour) for hour in range(990, 1_020) if hour != 1_004], page, has_more=has_more)
    assert await hours(broker) == [hour for hour in range(1_000, 1_010) if hour != 1_004]
    assert len(broker.asked) <= 10


async def test_what_is_outside_doubled_or_in_disorder_is_put_right() -> None:
    def answer(_request: Message) -> Message:
        told = [bar(1_005), bar(1_001), bar(1_020), bar(900), bar(1_005), bar(1_003)]
        return pb.GetTrendbarsRes(period=pb.H1, trendbar=told, hasMore=False)

    assert await hours(Broker(answer)) == [1_001, 1_003, 1_005]


@pytest.mark.parametrize(
    "unsound",
    [
        pb.Trendbar(volume=1, low=5, utcTimestampInMinutes=1_003 * 60 + 30),
        pb.Trendbar(volume=1, utcTimestampInMinutes=1_003 * 60),
        bar(1_003, low=-5),
        bar(1_003, deltaClose=10),
        bar(1_003, deltaOpen=10),
        bar(1_003, deltaHigh=2**62),
        bar(1_003, volume=-1),
    ],
    ids=["misaligned", "no low", "negative", "close above", "open above", "absurd", "negative volume"],
)
async def test_a_bar_that_cannot_be_is_refused(unsound: pb.Trendbar) -> None:
    with pytest.raises(RetryError, match="HISTORY_UNFIT: what=bar"):
        await hours(bars_broker([bar(1_002), unsound]))


async def test_a_broker_that_repeats_itself_ends_the_window() -> None:
    def answer(_request: Message) -> Message:
        return pb.GetTrendbarsRes(period=pb.H1, trendbar=[bar(1_005), bar(1_006)], hasMore=True)

    broker = Broker(answer)
    assert await hours(broker) == [1_005, 1_006]
    assert len(broker.asked) == 2


async def test_pages_without_end_are_given_up() -> None:
    def answer(request: Message) -> Message:  # one bar a page
        assert isinstance(request, pb.GetTrendbarsReq)
        return pb.GetTrendbarsRes(period=pb.H1, trendbar=[bar(request.toTimestamp // HOUR_MS)], hasMore=True)

    broker = Broker(answer)
    with pytest.raises(RetryError, match="HISTORY_ENDLESS"):
        await download_bars(broker.reader(), H1, 0, 2 * PAGES_MAX * HOUR_MS)
    assert len(broker.asked) == PAGES_MAX


async def test_a_used_up_quota_is_waited_for_and_told() -> None:
    declined = Declined("BLOCKED_PAYLOAD_TYPE", "", Reaction.WAIT, retry_after_ms=5_500)
    answers = [declined, declined, declined, declined]

    def answer(request: Message) -> Message | Declined:
        return answers.pop() if answers else bars_broker([bar(1_001)]).answer(request)

    broker = Broker(answer)
    assert await hours(broker) == [1_001]
    assert broker.waits == [6, 6, 6, 8]  # the broker's word, then our own growing one


async def test_a_quota_that_stays_used_up_ends_in_one_error() -> None:
    broker = Broker(lambda _: Declined("REQUEST_FREQUENCY_EXCEEDED", "", Reaction.WAIT))
    with pytest.raises(RetryError, match="HISTORY_QUOTA"):
        await hours(broker)
    assert len(broker.asked) == TRIES_MAX
    assert sum(broker.waits) < 900


# -- ticks

Told = list[tuple[int, int]]  # oldest first


def ticks_broker(bids: Told, asks: Told, page: int = 100) -> Broker:
    """Return a broker that codes ticks as brokers do."""

    def answer(request: Message) -> Message:
        assert isinstance(request, pb.GetTickDataReq)
        side = bids if request.type == pb.BID else asks
        inside = [tick for tick in side if request.fromTimestamp <= tick[0] <= request.toTimestamp]
        newest = inside[::-1][:page]
        coded = newest[:1] + [(new[0] - old[0], new[1] - old[1]) for old, new in pairwise(newest)]
        told = [pb.TickData(timestamp=ts_ms, tick=px) for ts_ms, px in coded]
        return pb.GetTickDataRes(tickData=told, hasMore=len(inside) > page)

    return Broker(answer)


async def ticks(broker: Broker) -> list[tuple[int, ...]]:
    told = await download_ticks(broker.reader(), 1_000, 2_000)
    return [tuple(int(value) for value in row) for row in zip(*told, strict=True)]


async def test_bids_and_asks_of_one_moment_are_one_row() -> None:
    broker = ticks_broker([(999, 1), (1_000, 10), (1_500, 12)], [(1_500, 22), (1_600, 21), (2_000, 1)])
    assert await ticks(broker) == [(1_000, 10, 0), (1_500, 12, 22), (1_600, 0, 21)]


@pytest.mark.parametrize("page", [1, 2, 3, 4, 7, 100])
async def test_no_tick_is_lost_or_doubled_where_pages_end(page: int) -> None:
    bids = [(1_000 + number * 10, 10 + number) for number in range(20)]
    bids[5:5] = [(1_050, 90), (1_050, 91)]  # three in one millisecond
    asks = [(ts_ms, px + 5) for ts_ms, px in bids]
    told = await ticks(ticks_broker(bids, asks, page))
    if page >= 4:  # else that millisecond alone is more than a page
        assert told == [(ts_ms, px, px + 5) for ts_ms, px in bids]
    assert [row for row in told if row[0] != 1_050] == [(ts, px, px + 5) for ts, px in bids if ts != 1_050]


async def test_the_order_of_one_millisecond_is_kept() -> None:
    bids = [(1_100, 3), (1_100, 1), (1_100, 2)]
    assert await ticks(ticks_broker(bids, [(1_100, 9)])) == [(1_100, 3, 9), (1_100, 1, 0), (1_100, 2, 0)]


@pytest.mark.parametrize(
    "coded",
    [[(1_500, 5), (10, 1)], [(1_500, 5), (-10, -5)], [(1_500, 0)], [(2**60, 5)], [(1_500, 2**60)]],
    ids=["later", "price 0", "no price", "absurd time", "absurd price"],
)
async def test_a_tick_that_cannot_be_is_refused(coded: Told) -> None:
    told = [pb.TickData(timestamp=ts_ms, tick=px) for ts_ms, px in coded]
    with pytest.raises(RetryError, match="HISTORY_UNFIT: what=tick"):
        await ticks(Broker(lambda _: pb.GetTickDataRes(tickData=told, hasMore=False)))


async def test_ticks_without_end_are_given_up() -> None:
    def answer(request: Message) -> Message:
        assert isinstance(request, pb.GetTickDataReq)
        return pb.GetTickDataRes(tickData=[pb.TickData(timestamp=request.toTimestamp, tick=5)], hasMore=True)

    broker = Broker(answer)
    with pytest.raises(RetryError, match="HISTORY_ENDLESS"):
        await download_ticks(broker.reader(), 0, 10 * TICK_PAGES_MAX)
