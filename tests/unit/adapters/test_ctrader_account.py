"""The account as the broker shows it, and an inbox that cannot take what it tells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.scripted_peer import (
    ACCOUNT,
    LOGIN,
    deal,
    entry,
    execution,
    position,
    spot,
)
from tests.unit.adapters.ctrader_world import World, story

from palmbot.errors import RetryError
from palmbot.live.inbox import Inbox
from palmbot.model import BrokerEvent, LinkEvent, OrderEvent
from palmbot.protocol.messages import pb

# -- the account


@story()
async def test_the_account_is_read_until_two_answers_agree(world: World) -> None:
    await world.ready()
    shown = iter([[], [position(price=4_000.0)], [position(price=4_000.0)]])

    def reconcile(_: object) -> list[pb.ReconcileRes]:
        return [pb.ReconcileRes(ctidTraderAccountId=ACCOUNT, position=next(shown))]

    world.peer.answers[pb.ReconcileReq] = reconcile
    snapshot = await world.ctrader.account()
    assert [each.position_id for each in snapshot.positions] == [501]
    requests = world.peer.asked(pb.ReconcileReq)
    assert [each.returnProtectionOrders for each in requests] == [True] * 3


@story()
async def test_an_account_that_never_comes_to_rest_is_no_answer(world: World) -> None:
    await world.ready()

    def trader(_: object) -> list[pb.TraderRes]:
        world.peer.balance += 1
        return [world.peer.trader()]

    world.peer.answers[pb.TraderReq] = trader
    with pytest.raises(RetryError, match="ACCOUNT_UNSTEADY"):
        await world.ctrader.account()


@story()
async def test_an_account_that_is_suddenly_empty_is_read_again_before_it_is_believed(world: World) -> None:
    await world.ready()
    world.peer.last.send(*entry("x"))
    await world.passes(1)
    answers = iter([list[pb.Position]()] * 3)
    held = [position(price=4_000.0, label="x")]

    def reconcile(_: object) -> list[pb.ReconcileRes]:
        return [pb.ReconcileRes(ctidTraderAccountId=ACCOUNT, position=next(answers, held))]

    world.peer.answers[pb.ReconcileReq] = reconcile
    assert len((await world.ctrader.account()).positions) == 1
    world.peer.answers[pb.ReconcileReq] = lambda _: [pb.ReconcileRes(ctidTraderAccountId=ACCOUNT)]
    before, start_ms = len(world.peer.asked(pb.ReconcileReq)), world.clock.monotonic_ms()
    assert (await world.ctrader.account()).positions == ()  # it stays so
    assert world.clock.monotonic_ms() - start_ms > 2_000
    assert len(world.peer.asked(pb.ReconcileReq)) - before == 5
    assert (await world.ctrader.account()).positions == ()
    assert len(world.peer.asked(pb.ReconcileReq)) - before == 7  # and is believed now


@story()
async def test_deals_of_a_position_are_read_to_the_last_page_oldest_first_without_failed_attempts(world: World) -> None:
    await world.ready()
    failed = deal(4, 4_000.0, ts_ms=2_050)
    failed.dealStatus = pb.MISSED
    listed = [deal(5, 4_001.0, ts_ms=3_000), failed, deal(3, 4_002.0, ts_ms=2_000), deal(2, 4_003.0, ts_ms=2_000)]
    listed.append(deal(1, 4_004.0, ts_ms=1_000))

    def page(request: object) -> list[pb.DealListByPositionIdRes]:
        assert isinstance(request, pb.DealListByPositionIdReq)
        until_ms = request.toTimestamp if request.HasField("toTimestamp") else 10**9
        fitting = [each for each in listed if each.executionTimestamp <= until_ms]
        return [pb.DealListByPositionIdRes(ctidTraderAccountId=ACCOUNT, deal=fitting[:3], hasMore=len(fitting) > 3)]

    world.peer.answers[pb.DealListByPositionIdReq] = page
    fills = await world.ctrader.deals(501)
    assert [fill.deal_id for fill in fills] == [1, 2, 3, 5]


# -- the inbox


class SmallInbox(Inbox):
    def __init__(self) -> None:
        super().__init__(limit=2)


def test_a_full_inbox_is_a_lost_link() -> None:
    async def tell(world: World) -> None:
        await world.ready()
        world.peer.last.send(*entry("x"))
        await world.passes(0.5)
        assert not world.ctrader.is_ready
        events: list[BrokerEvent] = world.told()
        assert [type(event) for event in events] == [OrderEvent, OrderEvent, LinkEvent]
        await world.ready()
        (ready,) = world.told()
        assert isinstance(ready, LinkEvent)

    world = World()
    world.inbox = SmallInbox()
    world.ctrader._wires = replace(world.ctrader._wires, inbox=world.inbox)
    world.play(tell)


@story()
async def test_a_login_that_is_flooded_with_events_starts_anew(world: World) -> None:
    flood = [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT), *[execution(pb.SWAP)] * 10_001]
    world.peer.answers[pb.AccountAuthReq] = lambda _: flood
    await world.passes(0.5)
    world.peer.answers[pb.AccountAuthReq] = lambda _: flood[:1]
    await world.ready()
    assert len(world.peer.connections) == 2
    assert world.told() == []


@story()
async def test_the_reader_is_woken_after_every_piece_and_frames_are_counted(world: World) -> None:
    await world.listening()
    before, frames = world.batches, world.ctrader.frames_received
    world.peer.last.send(*[spot(400_000_000 + number, 400_200_000, 1_000 + number) for number in range(100)])
    await world.passes(1)
    assert world.ctrader.frames_received - frames == 100
    assert world.ctrader.frames_received == world.peer.last.session.frames_sent
    assert 1 <= world.batches - before <= 2  # in one piece, or cut in two


def test_the_world_is_the_same_each_time() -> None:
    heard: list[list[str]] = []
    for _ in range(2):

        async def tell(world: World) -> None:
            await world.listening()
            world.ctrader.abort("the test")
            await world.ready()
            heard.append([f"{type(each).__name__} {world.clock.monotonic_ms()}" for each in world.peer.heard])

        World(account=LOGIN).play(tell)
    assert heard[0] == heard[1]
