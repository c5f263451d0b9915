"""Each invariant is silent where it holds and says what does not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.simulation.ear import Ear

from palmbot.model import AccountSnapshot, Close, Fill, IntentKind, OrderIntent, Trade
from palmbot.simulation import invariants
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.node import Node

OPENED = Fill(1, 1, 7, side=1, volume_cu=50, price_px=400, ts_ms=10, commission_minor=-5, close=None)


def closing(deal_id: int, closed_cu: int, ts_ms: int) -> Fill:
    money = Close(400, 100, -2, -10, -1, closed_cu, balance_minor=0, rate_e8=100_000_000)
    return Fill(deal_id, deal_id, 7, -1, closed_cu, 410, ts_ms, commission_minor=-5, close=money)


FILLS = [OPENED, closing(2, 25, 20), closing(3, 25, 30)]
TRADE = Trade(
    entry_ms=10,
    exit_ms=30,
    side=1,
    volume_cu=50,
    entry_px=400,
    exit_px=410.0,
    exit_reason=61,
    pnl_minor=174,
    gross_minor=200,
    swap_minor=-4,
    commission_minor=-20,
    fee_minor=-2,
    risk_minor=1.0,
)
ENTRY = OrderIntent(
    client_order_id="ab12.rs.PALMOI.1.E1.1",
    kind=IntentKind.ENTER,
    symbol="PALMOIL",
    side=1,
    volume_cu=50,
    bar_end_ms=60_000,
    ts_ms=60_000,
    sl_px=10,
    tp_px=20,
    reason=50,
)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_a_trade_of_several_deals_agrees_with_them() -> None:
    assert list(invariants.books_agree([TRADE], FILLS, FILLS)) == []


def test_a_position_that_is_still_open_is_no_trade() -> None:
    assert list(invariants.books_agree([], FILLS[:2], FILLS[:1])) == []


@pytest.mark.parametrize("field", invariants.Closed._fields)
def test_a_trade_that_differs_in_anything_is_found_on_both_sides(field: str) -> None:
    wrong = replace(TRADE, **{field: getattr(TRADE, field) + 1})
    said = list(invariants.books_agree([wrong], FILLS, FILLS))
    assert len(said) == 4


def test_a_trade_counted_twice_is_found() -> None:
    said = list(invariants.books_agree([TRADE, TRADE], FILLS, FILLS))
    assert [line.split(":")[0] for line in said] == [
        "a trade in the journal was not listed",
        "a trade in the journal was not booked",
    ]


@pytest.mark.parametrize(("ours", "told", "booked"), [(1, 2, 2), (2, 1, 2), (2, 2, 1), (2, None, 2)])
def test_balances_that_differ_are_found(ours: int, told: int | None, booked: int) -> None:
    account = None if told is None else AccountSnapshot(1, told, 2, 20, hedged=True, positions=(), orders=())
    assert len(list(invariants.money_agrees(ours, account, booked))) == 1


def test_balances_that_agree_are_not() -> None:
    account = AccountSnapshot(1, 5, 2, 20, hedged=True, positions=(), orders=())
    assert list(invariants.money_agrees(5, account, 5)) == []


def test_a_bar_may_be_entered_once_and_its_position_closed() -> None:
    later, close = replace(ENTRY, bar_end_ms=120_000), replace(ENTRY, kind=IntentKind.CLOSE)
    assert list(invariants.no_bar_entered_twice([ENTRY, later, close, close])) == []
    assert list(invariants.no_bar_entered_twice([ENTRY, later, ENTRY])) == ["bar 60000 was entered 2 times"]


def test_a_task_that_failed_is_found_and_one_that_was_cancelled_is_not(loop: VirtualLoop) -> None:
    async def fail() -> None:
        raise ValueError("lost")

    async def story() -> None:
        tasks = [asyncio.create_task(fail(), name="bot"), asyncio.create_task(asyncio.sleep(9), name="market")]
        await asyncio.sleep(1)
        tasks[1].cancel()
        await asyncio.sleep(0)
        assert list(invariants.nobody_died(tasks)) == ["the bot died: ValueError('lost')"]

    loop.run_until_complete(story())


def test_what_is_left_of_living_processes_is_found(loop: VirtualLoop) -> None:
    network = Network(loop, random.Random(1))
    kept: list[object] = []

    async def fail() -> None:
        raise ValueError("lost")

    async def left() -> None:
        kept.append(asyncio.create_task(asyncio.sleep(99), name="sleeper"))
        kept.append(asyncio.create_task(fail(), name="failed"))
        await network.dial("exchange")(Ear)

    async def story() -> None:
        Node("exchange").run(network.listen, "exchange", Ear)
        node = Node("bot")
        await node.run(loop.create_task, left(), name="dialler")
        await asyncio.sleep(1)

    loop.run_until_complete(story())
    assert [line.split(" of ")[0].split(" is ")[0] for line in invariants.nothing_left(loop, network)] == [
        "task sleeper",
        "task failed",
        "connection bot-exchange#1",
    ]
