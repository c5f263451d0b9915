"""The guards of conftest hold: no test leaves this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.conftest import NetworkForbiddenError, is_here

ELSEWHERE = "192.0.2.1"  # TEST-NET-1 of RFC 5737: belongs to nobody


def test_a_connection_to_another_machine_is_refused() -> None:
    with socket.socket() as sock, pytest.raises(NetworkForbiddenError):
        sock.connect((ELSEWHERE, 443))


def test_a_datagram_to_another_machine_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(NetworkForbiddenError):
        sock.sendto(b"", (ELSEWHERE, 53))


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(NetworkForbiddenError):
        socket.create_connection(("palmbot.invalid", 443))


async def test_asyncio_is_refused_too() -> None:
    with pytest.raises(NetworkForbiddenError):
        await asyncio.open_connection(ELSEWHERE, 443)


async def test_loopback_is_open() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "localhost", 0) as server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("host", [None, "", "localhost", "127.0.0.1", "127.8.8.8", "::1", b"127.0.0.1"])
def test_this_machine_is_known_by_all_its_names(host: object) -> None:
    assert is_here(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.1", "fe80::1%eth0", "localhost.example.org", b"192.0.2.1"])
def test_other_machines_are_known_as_others(host: object) -> None:
    assert not is_here(host)
