"""What time a web server has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.tls_servers import BAD, GOOD, HERE, Kind, trust_in_root

from palmbot.adapters.http_date import read_date_ms
from palmbot.adapters.tls import client_context
from palmbot.errors import ConfigError, RetryError


@asynccontextmanager
async def web(answer: bytes, kind: Kind = GOOD) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Serve ``answer`` over TLS; yield the port, and what was asked."""
    asked: list[bytes] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(respond, HERE, 0, ssl=kind.context()) as server:
        yield server.sockets[0].getsockname()[1], asked


async def date_of(answer: bytes, folder: Path, kind: Kind = GOOD) -> int:
    async with web(answer, kind) as (port, _):
        return await read_date_ms(HERE, port, HERE, client_context(HERE, trust_in_root(folder)))


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"404 Not Found"])
async def test_the_date_is_read_whatever_else_is_said(status: bytes, tmp_path: Path) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nServer: x\r\ndate: Tue, 06 Oct 2026 07:08:09 GMT\r\n\r\n"
    assert await date_of(answer, tmp_path) == 1_791_270_489_000


async def test_nothing_is_told_but_the_name(tmp_path: Path) -> None:
    async with web(b"HTTP/1.1 200 OK\r\nDate: Tue, 06 Oct 2026 07:08:09 GMT\r\n\r\n") as (port, asked):
        await read_date_ms(HERE, port, HERE, client_context(HERE, trust_in_root(tmp_path)))
    assert asked == [b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: soon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: Tue, 06 Oct",
        b"x" * 100_000,
    ],
    ids=["nothing", "no date", "no time", "cut off", "endless"],
)
async def test_an_answer_without_a_date_is_none(answer: bytes, tmp_path: Path) -> None:
    with pytest.raises(RetryError, match="NO_DATE"):
        await date_of(answer, tmp_path)


async def test_a_server_that_is_not_trusted_is_not_asked(tmp_path: Path) -> None:
    async with web(b"", BAD[0]) as (port, asked):
        with pytest.raises(ConfigError, match="CERTIFICATE_EXPIRED"):
            await read_date_ms(HERE, port, HERE, client_context(HERE, trust_in_root(tmp_path)))
    assert asked == []
