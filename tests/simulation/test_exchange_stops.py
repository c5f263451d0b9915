"""The exchange's process stops in order, also when a client takes nothing any more."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.unit.simulation.ear import Ear

from palmbot.exchange.server import SHUTDOWN_S
from palmbot.protocol.frames import encode
from palmbot.protocol.messages import pb
from palmbot.simulation.clock import NodeClock
from palmbot.simulation.exchange_process import NAME, ExchangeProcess
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.node import Node
from palmbot.simulation.pipe import Conditions
from palmbot.simulation.script import Concern, Script


@pytest.mark.parametrize(("takes_answers", "last"), [(True, "lost"), (False, "ConnectionResetError")])
def test_clients_are_let_go_in_order_and_one_that_takes_nothing_is_cut(takes_answers: bool, last: str) -> None:
    script = Script(seed=1, bars=10)
    loop = VirtualLoop()
    network = Network(loop, random.Random("1:network"), Conditions(window_bytes=10))
    clock = NodeClock(loop, script.epoch_ms)

    async def story() -> float:
        node = Node("exchange")
        exchange = node.run(ExchangeProcess, script, clock, network, script.rng(Concern.IDS))
        transport = await network.dial(NAME)(Ear)
        client = transport.get_protocol()
        assert isinstance(client, Ear)
        if not takes_answers:
            transport.pause_reading()
        transport.write(encode(pb.VersionReq()))
        await asyncio.sleep(1)
        began_s = loop.time()
        await node.run(loop.create_task, exchange.close())
        took_s = loop.time() - began_s
        await asyncio.sleep(1)
        assert client.events[-1] == last
        assert exchange.server.connections == {}
        return took_s

    took_s = loop.run_until_complete(story())
    loop.close()
    assert network.links == []
    assert took_s == pytest.approx(0 if takes_answers else SHUTDOWN_S)
