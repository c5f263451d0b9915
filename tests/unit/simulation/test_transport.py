"""The corners of a simulated transport that real ones do not reach on demand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from tests.unit.simulation.ear import Ear

from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.node import NODE, Node
from palmbot.simulation.pipe import Conditions

NARROW = Conditions(delay_min_ms=10, delay_max_ms=10, slice_share=0, window_bytes=10)
Scene = Callable[[Ear, Ear], Awaitable[None]]


def play(scene: Scene, client_factory: Callable[[], Ear] = Ear) -> None:
    """Play ``scene`` between the client in a process called bot and the server in one called exchange."""
    loop = VirtualLoop()
    network = Network(loop, random.Random("1:network"), NARROW)
    servers: list[Ear] = []

    def server() -> Ear:
        servers.append(Ear())
        return servers[-1]

    async def dial() -> Ear:
        transport = await network.dial("exchange")(client_factory)
        ear = transport.get_protocol()
        assert isinstance(ear, Ear)
        return ear

    async def story() -> None:
        Node("exchange").run(network.listen, "exchange", server)
        client = await Node("bot").run(loop.create_task, dial())
        await scene(client, servers[0])

    loop.run_until_complete(story())
    loop.close()


def test_what_the_window_has_no_room_for_waits_with_the_writer_until_the_reader_reads() -> None:
    async def scene(client: Ear, server: Ear) -> None:
        server.transport.pause_reading()
        client.transport.write(bytes(100))
        assert client.transport.get_write_buffer_size() == 90
        await asyncio.sleep(60)
        assert client.transport.get_write_buffer_size() == 90
        server.transport.resume_reading()
        await asyncio.sleep(0.0101)
        assert client.transport.get_write_buffer_size() == 70
        await asyncio.sleep(1)
        assert client.transport.get_write_buffer_size() == 0
        assert server.heard == bytes(100)

    play(scene)


def test_lower_limits_pause_a_writer_whose_buffer_is_above_them_already() -> None:
    async def scene(client: Ear, _server: Ear) -> None:
        client.transport.write(bytes(100))
        assert client.events == ["made"]
        client.transport.set_write_buffer_limits(high=50)
        assert client.events == ["made", "pause"]

    play(scene)


def test_what_is_written_after_a_close_is_not_sent_though_earlier_bytes_still_are() -> None:
    async def scene(client: Ear, server: Ear) -> None:
        client.transport.write(bytes(100))
        client.transport.close()
        client.transport.write(b"never")
        await asyncio.sleep(1)
        assert server.heard == bytes(100)
        assert (client.events[-1], server.events[-1]) == ("lost", "lost")

    play(scene)


def test_a_writer_that_gives_up_while_it_is_paused_is_not_resumed() -> None:
    async def scene(client: Ear, server: Ear) -> None:
        server.transport.pause_reading()
        client.transport.set_write_buffer_limits(high=0)
        client.transport.write(bytes(15))
        await asyncio.sleep(1)
        server.transport.resume_reading()
        asyncio.get_running_loop().call_soon(client.transport.abort)  # after the reading, before the room is used
        await asyncio.sleep(1)
        assert client.events == ["made", "pause", "lost"]
        assert server.heard == bytes(10)

    play(scene)


def test_a_protocol_is_called_in_its_own_process_whoever_touches_its_transport() -> None:
    class Placed(Ear):
        def _tell(self, event: str) -> None:
            node = NODE.get()
            super()._tell(f"{event} in {node.name if node is not None else 'no process'}")

    async def scene(client: Ear, server: Ear) -> None:
        assert NODE.get() is None
        server.transport.pause_reading()
        client.transport.set_write_buffer_limits(high=0, low=0)
        Node("another").run(client.transport.write, bytes(15))
        server.transport.write(b"hello")
        server.transport.resume_reading()
        await asyncio.sleep(1)
        client.transport.pause_reading()
        server.transport.write(b"again")
        await asyncio.sleep(1)
        Node("another").run(client.transport.resume_reading)
        await asyncio.sleep(1)
        Node("another").run(client.transport.abort)
        await asyncio.sleep(1)
        assert client.events == [
            "made in bot",
            "pause in another",  # at once, as asyncio does
            "data in bot",
            "resume in bot",
            "lost in bot",
        ]

    play(scene, Placed)
