"""How long the client waits before it calls again: longer each time, differently each time, until it may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.scripted_peer import error
from tests.unit.adapters.ctrader_world import EPOCH_MS, World, story

from palmbot.model import LinkState
from palmbot.protocol.messages import Message, pb

LOST, READY = LinkState.LOST, LinkState.READY


def cut(world: World) -> None:
    world.network.links[0].cut()


@story()
async def test_attempts_come_with_longer_pauses_and_begin_anew_after_a_good_session(world: World) -> None:
    await world.ready()
    connected = world.peer.answers[pb.ApplicationAuthReq]
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [error("CH_SERVER_NOT_REACHABLE")]
    cut(world)
    await world.passes(400)
    world.peer.answers[pb.ApplicationAuthReq] = connected
    assert 10 <= len(world.peer.connections) <= 18
    await world.ready()
    await world.passes(61)
    cut(world)
    await world.passes(2)
    assert world.ctrader.is_ready


def test_two_clients_do_not_come_back_in_step() -> None:
    pauses = []
    for seed in ("1", "2"):
        world = World()
        world.ctrader._keeper._wires.rng.seed(seed)

        async def tell(world: World) -> None:
            await world.ready()
            start_ms = world.clock.monotonic_ms()
            world.peer.answers[pb.ApplicationAuthReq] = lambda _: [error("CH_SERVER_NOT_REACHABLE")]
            cut(world)
            await world.passes(100)
            pauses.append(world.peer.last.session._received_ms - start_ms)

        world.play(tell)
    assert pauses[0] != pauses[1]


@pytest.mark.parametrize("seconds", [600, 5_400])
def test_a_maintenance_is_waited_for_whichever_message_tells_its_end(seconds: int) -> None:
    def in_seconds(world: World) -> Message:
        return error("SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=world.clock.utc_ms() // 1_000 + seconds)

    def in_ms(world: World) -> Message:
        return pb.CommonErrorRes(
            errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=world.clock.utc_ms() + seconds * 1_000
        )

    for message in (in_seconds, in_ms):

        async def tell(world: World, message: Callable[[World], Message] = message) -> None:
            await world.ready()
            world.peer.last.send(message(world))
            await world.passes(0.5)
            assert world.states() == [LOST]
            await world.passes(min(seconds, 3_600) - 5)
            assert len(world.peer.connections) == 1
            await world.passes(10)
            assert len(world.peer.connections) == 2  # an end that lies far ahead is asked for again after an hour
            assert world.states() == [READY]

        World().play(tell)


@story()
async def test_a_maintenance_that_meets_the_login_is_waited_for_too(world: World) -> None:
    end_s = EPOCH_MS // 1_000 + 300
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [
        error("SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=end_s)
    ]
    await world.passes(290)
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [pb.ApplicationAuthRes()]
    assert len(world.peer.connections) == 1
    await world.ready()
    assert world.clock.utc_ms() >= end_s * 1_000


@story()
async def test_too_many_connections_are_made_fewer(world: World) -> None:
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [error("CONNECTIONS_LIMIT_EXCEEDED")]
    await world.passes(0.5)
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [pb.ApplicationAuthRes()]
    await world.ready()
    assert len(world.peer.connections) == 2
    assert world.peer.connections[0].is_lost
