"""The simulated transport behaves as asyncio's own: the same scenes on virtual and on real connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine

import pytest
from tests.unit.simulation.ear import Ear

from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network

BIG = 8_000_000  # more than any window
Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]
Scene = Callable[[Ear, Ear], Coroutine[None, None, None]]


def on_virtual_connections(scene: Scene) -> tuple[list[str], list[str]]:
    loop = VirtualLoop()
    network = Network(loop, random.Random("1:network"))

    async def story() -> tuple[list[str], list[str]]:
        return await played(scene, network.dial("server"), lambda factory: listening(network, factory))

    async def listening(network: Network, factory: Callable[[], asyncio.Protocol]) -> None:
        network.listen("server", factory)

    try:
        return loop.run_until_complete(story())
    finally:
        loop.close()


def on_real_connections(scene: Scene) -> tuple[list[str], list[str]]:
    async def story() -> tuple[list[str], list[str]]:
        loop = asyncio.get_running_loop()
        ports: list[int] = []
        servers: list[asyncio.Server] = []

        async def listen(factory: Callable[[], asyncio.Protocol]) -> None:
            servers.append(await loop.create_server(factory, "127.0.0.1", 0))
            ports.append(servers[0].sockets[0].getsockname()[1])

        async def dial(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
            transport, _ = await loop.create_connection(factory, "127.0.0.1", ports[0])
            return transport

        try:
            return await played(scene, dial, listen)
        finally:
            servers[0].close()
            await servers[0].wait_closed()

    return asyncio.run(story())


async def played(
    scene: Scene, dial: Dial, listen: Callable[[Callable[[], asyncio.Protocol]], Awaitable[None]]
) -> tuple[list[str], list[str]]:
    """Play ``scene`` between two ends; return what each was told."""
    accepted: asyncio.Queue[Ear] = asyncio.Queue()

    def factory() -> Ear:
        accepted.put_nowait(ear := Ear())
        return ear

    await listen(factory)
    client = (await dial(Ear)).get_protocol()
    assert isinstance(client, Ear)
    server = await accepted.get()
    await server.until(lambda: "made" in server.events)
    await scene(client, server)
    for ear in (client, server):
        await ear.until_over()
    return client.events, server.events


async def close(client: Ear, server: Ear) -> None:
    client.transport.write(b"goodbye")
    client.transport.close()
    client.transport.close()
    client.transport.write(b"never")
    assert client.transport.is_closing()
    assert not client.transport.is_reading()
    await server.until_over()
    assert server.heard == b"goodbye"


async def close_what_is_still_being_sent(client: Ear, server: Ear) -> None:
    client.transport.write(bytes(BIG))
    assert client.transport.get_write_buffer_size() > 0
    client.transport.close()
    await server.until_over()
    assert len(server.heard) == BIG


async def abort(client: Ear, server: Ear) -> None:
    client.transport.write(bytes(BIG))
    client.transport.abort()
    assert client.transport.is_closing()
    assert client.transport.get_write_buffer_size() == 0
    assert "lost" not in client.events  # told soon, not now
    await server.until_over()
    assert len(server.heard) < BIG
    server.events[1:] = ["lost"]  # how much arrived, and whether a reset was seen, is the kernel's affair


async def let_the_writer_wait_for_the_reader(client: Ear, server: Ear) -> None:
    server.transport.pause_reading()
    assert not server.transport.is_reading()
    client.transport.set_write_buffer_limits(high=1_000, low=100)
    assert client.transport.get_write_buffer_limits() == (100, 1_000)
    client.transport.write(bytes(BIG))
    assert client.events == ["made", "pause"]
    await asyncio.sleep(0.05)
    assert server.heard == b""
    server.transport.resume_reading()
    await server.until(lambda: len(server.heard) == BIG)
    assert client.transport.get_write_buffer_size() == 0
    assert client.events == ["made", "pause", "resume"]
    server.transport.close()


async def pause_inside_a_reading(client: Ear, server: Ear) -> None:
    server.transport.pause_reading()
    client.transport.write(b"one")
    client.transport.close()
    await client.until_over()
    await asyncio.sleep(0.05)
    assert server.events == ["made"]
    server.transport.resume_reading()
    await server.until_over()
    assert server.heard == b"one"


async def write_many_kinds(client: Ear, server: Ear) -> None:
    client.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    client.transport.write(b"")
    client.transport.write(memoryview(b"d"))
    with pytest.raises(TypeError):
        client.transport.write("text")  # type: ignore[arg-type]
    for wrong in ({"high": 1, "low": 2}, {"high": 1, "low": -1}):
        with pytest.raises(ValueError, match="must be"):
            client.transport.set_write_buffer_limits(**wrong)
    client.transport.set_write_buffer_limits(low=500)
    assert client.transport.get_write_buffer_limits() == (500, 2_000)
    client.transport.set_write_buffer_limits()
    assert client.transport.get_write_buffer_limits() == (16_384, 65_536)
    await server.until(lambda: server.heard == b"abcd")
    client.transport.close()


async def change_the_protocol(client: Ear, server: Ear) -> None:
    other = Ear()
    server.transport.set_protocol(other)
    assert server.transport.get_protocol() is other
    client.transport.write(b"for the other")
    await other.until(lambda: other.heard == b"for the other")
    server.transport.set_protocol(server)
    server.transport.close()


async def know_each_other(client: Ear, server: Ear) -> None:
    near, far = client.transport, server.transport
    assert near.get_extra_info("peername") == far.get_extra_info("sockname")
    assert near.get_extra_info("sockname") == far.get_extra_info("peername")
    assert near.get_extra_info("unheard of", 7) == 7
    client.transport.close()


SCENES = [
    close,
    close_what_is_still_being_sent,
    abort,
    let_the_writer_wait_for_the_reader,
    pause_inside_a_reading,
    write_many_kinds,
    change_the_protocol,
    know_each_other,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_virtual_ends_are_told_what_real_ends_are_told(scene: Scene) -> None:
    assert on_virtual_connections(scene) == on_real_connections(scene)


def test_there_is_no_half_closed_connection_as_there_is_none_over_tls() -> None:
    async def scene(client: Ear, _server: Ear) -> None:
        assert not client.transport.can_write_eof()
        client.transport.close()

    on_virtual_connections(scene)
