from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.contract.journal_stories import (
    Slice,
    Story,
    bar_closed,
    breaker,
    interleaved,
    refusal,
    run_started,
    simple,
    stories,
)

from palmbot.adapters import tables
from palmbot.adapters.journal import EquityRow, Journal, rebuild
from palmbot.model import Execution, JournalEvent, OrderEvent, Refusal
from palmbot.orders.records import event_of_order_event


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    made = Journal.open("sqlite://", inline=True)
    yield made
    await made.close()


async def test_bars_refusals_and_breakers_are_projected_for_the_run_they_belong_to(journal: Journal) -> None:
    await journal.append([run_started("a"), bar_closed(100), bar_closed(200), refusal(200, -1, 30), breaker(9, 3)])
    await journal.append([run_started("b")])
    await journal.append([bar_closed(300, sentiment=-12.5, action=1), refusal(300, 1, 34)])
    assert journal.equity("a") == (EquityRow(100, 100, 99, 101), EquityRow(200, 200, 199, 201))
    assert journal.equity("b") == (EquityRow(300, 300, 299, 301),)
    assert journal.equity() == journal.equity("a") + journal.equity("b")
    assert journal.refusals() == (Refusal(200, -1, 30), Refusal(300, 1, 34))
    assert journal.refusals("b") == (Refusal(300, 1, 34),)
    with journal._reading() as connection:
        decided = connection.execute(select(tables.decisions)).mappings().all()
        tripped = connection.execute(select(tables.breakers)).mappings().one()
    assert [row["sentiment"] for row in decided] == [None, None, -12.5]
    assert [row["run_id"] for row in decided] == ["a", "a", "b"]
    assert dict(tripped) == {"seq": 5, "run_id": "a", "ts_ms": 9, "reason": 3, "until_ms": 14, "detail": "why"}


async def test_a_position_becomes_a_trade_when_its_volume_is_zero(journal: Journal) -> None:
    story = simple(7, pnl_minor=-250)
    *before, closed, _cancelled = story.events()
    await journal.append([run_started("a"), *before])
    assert journal.trades() == ()
    await journal.append([closed])
    assert journal.trades() == (story.trade(),)
    assert journal.trades("another") == ()
    with journal._reading() as connection:
        row = dict(connection.execute(select(tables.positions)).mappings().one())
    assert (row["volume_cu"], row["entry_px"], row["label"]) == (0, 400_000, story.label)  # its last word was price 0


# without shrinking: with a database an example it would outlast the test's time limit and show nothing
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(st.data())
def test_trades_are_those_of_the_stories_however_events_mix_repeat_and_batch(data: st.DataObject) -> None:
    told = [data.draw(stories(position_id)) for position_id in range(1, data.draw(st.integers(1, 3)) + 1)]
    events = interleaved([story.events() for story in told], data.draw(st.lists(st.integers(0, 5), max_size=40)))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    repeated = [
        again for event in events for again in [event] * (1 + (event.kind != "intent" and chance.random() < 0.3))
    ]
    late = [event for event in events if event.kind == "order_event"][:5]  # and some from long ago at the end
    asyncio.run(_assert_trades(told, [run_started("a"), *repeated], late, chance))


def _projections(journal: Journal) -> list[list[Any]]:
    with journal._reading() as connection:
        return [list(connection.execute(select(table)).all()) for table in tables.PROJECTIONS]


async def _assert_trades(
    told: list[Story], events: list[JournalEvent], late: list[JournalEvent], chance: random.Random
) -> None:
    journal = Journal.open("sqlite://", inline=True)
    while events:
        size = chance.randint(1, len(events))
        await journal.append(events[:size])
        events = events[size:]
    before = _projections(journal)
    await journal.append(late)
    assert _projections(journal) == before
    by_label = {story.trade(): story for story in told}
    assert set(journal.trades()) == set(by_label)
    with journal._connection.begin():
        rebuild(journal._connection)
    assert _projections(journal) == before
    await journal.close()


def _deals_alone(story: Story) -> list[JournalEvent]:
    fills = [(replace(event, position=None), reason) for event, reason in story.broker_events() if event.fill]
    return [event_of_order_event(event, reason) for event, reason in fills]


async def test_deals_without_a_position_snapshot_still_come_to_the_trade(journal: Journal) -> None:
    exits = (Slice(60, 400_500, gross_minor=30), Slice(40, 400_600, gross_minor=24, reason=61))
    story = Story(7, -1, (Slice(100, 400_000),), exits)
    *before, last = _deals_alone(story)
    await journal.append([story.events()[0], *before])
    assert journal.trades() == ()
    await journal.append([last])
    assert journal.trades() == (replace(story.trade(), sl_px=0, tp_px=0),)  # no snapshot told the levels


async def test_an_entry_that_is_told_after_its_exit_opens_nothing(journal: Journal) -> None:
    story = simple(7)
    entry, leave = _deals_alone(story)
    await journal.append([leave])
    (trade,) = journal.trades()
    assert (trade.side, trade.pnl_minor, trade.entry_ms) == (story.side, 100, trade.exit_ms)
    await journal.append([entry])
    (trade,) = journal.trades()
    assert trade.entry_ms == story.trade().entry_ms
    with journal._reading() as connection:
        assert connection.execute(select(tables.positions.c.volume_cu)).scalars().all() == [0]


async def test_an_order_goes_from_intended_to_its_end_and_never_back(journal: Journal) -> None:
    slices = (Slice(60, 400_000), Slice(40, 400_000))
    intent, accepted, part, filled, protected, amended, *rest = Story(7, 1, slices, (Slice(100, 1),)).events()
    seen = []
    # the server's own orders may carry any client order id: here, and in stories always, that of our entry
    for event in (intent, protected, accepted, part, amended, accepted, filled, accepted, *rest):
        await journal.append([event])
        with journal._reading() as connection:
            row = connection.execute(select(tables.orders)).mappings().one()
        seen.append((row["status"], row["executed_cu"]))
    intended, taken, partly, done = ("INTENDED", 0), ("ACCEPTED", 0), ("PARTIAL_FILL", 60), ("FILLED", 100)
    assert seen == [intended, intended, taken, partly, partly, partly, *[done] * (2 + len(rest))]


async def test_a_refused_request_keeps_the_brokers_code(journal: Journal) -> None:
    story = simple(7)
    refused = OrderEvent(Execution.ERROR, 5, error_code="NOT_ENOUGH_MONEY", error_text="no", request_id=story.label)
    await journal.append([story.events()[0], event_of_order_event(refused)])
    with journal._reading() as connection:
        row = connection.execute(select(tables.orders)).mappings().one()
    assert (row["status"], row["error_code"]) == ("ERROR", "NOT_ENOUGH_MONEY")
