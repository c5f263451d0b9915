"""Bars of four hours and of days, of a real server: on our own grid, also over a change of the clocks in New York."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from tests.contract.test_broker_terms import client_of
from tests.exchange_house import BID, SPEC, Plan, house_in

from palmbot.adapters.ctrader_link import Link
from palmbot.model import HistoryBar
from palmbot.protocol.codec_errors import Declined
from palmbot.protocol.messages import Message, pb
from palmbot.units import DAY_MS, HOUR_MS

FIRST_MS = 1_709_510_400_000  # Monday, 4 March 2024; New York's clocks change on the 10th
HOURS = 12 * 24 + 7
NOW_MS = FIRST_MS + HOURS * HOUR_MS


def hourly(number: int) -> HistoryBar:
    """Return a bar unlike its neighbours."""
    open_px = BID + (number * 7_919 % 1_000) * 1_000
    return HistoryBar(FIRST_MS + number * HOUR_MS, open_px, open_px + 500_000, open_px - 300_000, open_px + 100_000)


HISTORY = tuple(hourly(number) for number in range(HOURS))


def grouped(period_ms: int, anchor_ms: int) -> list[tuple[int, int, int, int, int]]:
    """Return the bars of a grid, made here: first, highest, lowest and last price of the hours in each."""
    made = []
    for _, hours in groupby(HISTORY, lambda bar: (bar.ts_ms - anchor_ms) // period_ms):
        bars = list(hours)
        highest, lowest = max(bar.high_px for bar in bars), min(bar.low_px for bar in bars)
        made.append((bars[0].ts_ms, bars[0].open_px, highest, lowest, bars[-1].close_px))
    return made


@pytest.mark.parametrize(
    ("period_ms", "day_start_ms", "anchor_ms"),
    [
        (4 * HOUR_MS, 11 * HOUR_MS, 0),  # periods below a day lie on the UTC grid
        (12 * HOUR_MS, 11 * HOUR_MS, 0),
        (DAY_MS, 0, 0),
        (DAY_MS, 11 * HOUR_MS, 11 * HOUR_MS),
        (DAY_MS, 21 * HOUR_MS, 21 * HOUR_MS),
    ],
)
async def test_long_bars_are_made_of_hours_and_the_brokers_own_are_never_asked_for(
    period_ms: int, day_start_ms: int, anchor_ms: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Message] = []
    ask = Link.ask

    async def heard(link: Link, request: Message, deadline_ms: int | None = None) -> Message | Declined:
        asked.append(request)
        return await ask(link, request, deadline_ms)

    monkeypatch.setattr(Link, "ask", heard)
    async with house_in(tmp_path, Plan(history=HISTORY)) as house, client_of(house, day_start_ms) as client:
        house.now_ms = NOW_MS
        house.tick(after_ms=HOUR_MS)  # of a bucket of its own hour
        bars = await client.history(SPEC.symbol, period_ms, 500)
    made = grouped(period_ms, anchor_ms)
    told = [(bar.ts_ms, bar.open_px, bar.high_px, bar.low_px, bar.close_px) for bar in bars]
    ended = [bar for bar in made if (bar[0] - anchor_ms) // period_ms < (NOW_MS + HOUR_MS - anchor_ms) // period_ms]
    assert told[: len(ended)] == ended
    assert [bar.is_forming for bar in bars] == [False] * len(ended) + [True] * (len(bars) - len(ended))
    assert all((bar.ts_ms - anchor_ms) % period_ms == 0 for bar in bars[1 : len(ended)])
    periods = {each.period for each in asked if isinstance(each, pb.GetTrendbarsReq)}
    assert periods == {pb.H1}


async def test_the_brokers_own_days_move_with_new_yorks_clocks(tmp_path: Path) -> None:
    """Why they are never asked for: the server that stands in for the broker has them as a broker does."""
    async with house_in(tmp_path, Plan(history=HISTORY)) as house:
        house.now_ms = NOW_MS
        house.tick(after_ms=HOUR_MS)
        wire = await house.client(1)
        request = pb.GetTrendbarsReq(
            ctidTraderAccountId=1, symbolId=1, period=pb.D1, fromTimestamp=FIRST_MS, toTimestamp=NOW_MS, count=100
        )
        answer = await wire.ask(request)
    assert isinstance(answer, pb.GetTrendbarsRes)
    starts = {each.utcTimestampInMinutes % 1_440 // 60 for each in answer.trendbar}
    assert starts == {21, 22}
