"""Two ends of the real protocol on the simulated network: hours of silence, answers, deadlines, a cut."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import cast

import pytest

from palmbot.protocol.events import Event, Expired, Received, Silent
from palmbot.protocol.messages import pb
from palmbot.protocol.session import Role, Session
from palmbot.simulation.clock import NodeClock
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.node import Node
from palmbot.simulation.trace import Trace
from palmbot.units import HOUR_MS


class Speaker(asyncio.Protocol):
    """The smallest owner of a session: moves bytes and time, answers versions where it is the server."""

    def __init__(self, role: Role, loop: VirtualLoop) -> None:
        self.clock = NodeClock(loop, 0)
        self.session = Session(role, self.clock.monotonic_ms())
        self.told: list[Event] = []
        self._role, self._loop = role, loop
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.move()

    def data_received(self, data: bytes) -> None:
        self.session.receive_data(data, self.clock.monotonic_ms())
        self.move()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def move(self) -> None:
        while (event := self.session.next_event()) is not None:
            self.told.append(event)
            if self._role is Role.SERVER and isinstance(event, Received):
                self.session.send(pb.VersionRes(version="1"), self.clock.monotonic_ms(), event.client_msg_id)
        self._transport.write(self.session.data_to_send())
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self.session.next_timer()
        if due_ms is not None:
            self._timer = self._loop.call_later((due_ms - self.clock.monotonic_ms()) / 1_000, self.wake)

    def wake(self) -> None:
        self.session.handle_timer(self.clock.monotonic_ms())
        self.move()


def test_a_day_of_two_sessions_with_silence_answers_a_half_open_hour_and_a_deadline() -> None:
    loop = VirtualLoop()
    trace = Trace(loop)
    network = Network(loop, random.Random("1:network"), tap=trace.piece)
    servers: list[Speaker] = []

    def server() -> Speaker:
        servers.append(Speaker(Role.SERVER, loop))
        return servers[-1]

    async def story() -> None:
        Node("exchange").run(network.listen, "exchange", server)
        transport = await network.dial("exchange")(lambda: Speaker(Role.CLIENT, loop))
        client = cast("Speaker", transport.get_protocol())
        await asyncio.sleep(24 * HOUR_MS / 1_000)
        assert client.told == servers[0].told == []
        client.session.request(pb.VersionReq(), client.clock.monotonic_ms())
        client.move()
        await asyncio.sleep(1)
        assert [type(event) for event in client.told] == [Received]
        network.links[0].client.mute()
        client.session.request(pb.VersionReq(), client.clock.monotonic_ms())
        client.move()
        await asyncio.sleep(HOUR_MS / 1_000)
        assert [type(event) for event in client.told[1:]] == [Expired]
        assert [type(event) for event in servers[0].told] == [Received, Silent]
        transport.abort()
        network.links[0].cut()
        await asyncio.sleep(1)

    loop.run_until_complete(story())
    loop.close()
    counts = Counter(line.split()[2] for line in trace.lines if "bytes" not in line)
    assert counts.keys() == {"HeartbeatEvent", "VersionReq", "VersionRes"}
    assert counts["HeartbeatEvent"] == pytest.approx(24 * 360 + 25 * 144, abs=2)  # 10 s and 25 s
    assert trace.frames == counts.total()
