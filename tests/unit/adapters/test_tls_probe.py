"""What a server showed, trusted or not, without a word to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.tls_servers import BAD, GOOD, GOOD_BY_CHILD, HERE, NOW, Kind, serving, trust_in_root

from palmbot.adapters.tls import client_context
from palmbot.adapters.tls_probe import shake_hands
from palmbot.errors import RetryError
from palmbot.model import Handshake
from palmbot.units import DAY_MS


async def shown(kind: Kind, folder: Path) -> Handshake:
    """Return what a server of ``kind`` shows; it was told nothing."""
    async with serving(kind) as served:
        hands = await shake_hands(HERE, served.port, HERE, client_context(HERE, trust_in_root(folder)))
        assert served.peer.heard == []
        return hands


@pytest.mark.parametrize(
    ("kind", "length"), [(GOOD, 2), (GOOD_BY_CHILD, 3)], ids=["by the authority", "by an intermediate"]
)
async def test_a_good_server_shows_its_chain_up_to_the_authority(kind: Kind, length: int, tmp_path: Path) -> None:
    hands = await shown(kind, tmp_path)
    assert hands.failure is None
    assert hands.version == "TLSv1.3"
    assert hands.cipher.startswith("TLS_")
    assert len(hands.chain) == length
    for lower, upper in zip(hands.chain, hands.chain[1:], strict=False):
        assert lower.issuer == upper.subject
    assert hands.chain[-1].issuer == hands.chain[-1].subject


async def test_the_times_of_a_certificate_are_read(tmp_path: Path) -> None:
    leaf = (await shown(GOOD, tmp_path)).chain[0]
    now_ms = int(NOW.timestamp() * 1_000)
    assert (leaf.from_ms, leaf.until_ms) == (now_ms - DAY_MS, now_ms + 10 * DAY_MS)


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.name)
async def test_a_bad_server_is_refused_by_name_and_what_it_showed_is_kept(kind: Kind, tmp_path: Path) -> None:
    hands = await shown(kind, tmp_path)
    assert hands.failure is not None
    assert hands.failure.code == kind.code
    assert (hands.version, hands.cipher) == ("", "")
    assert bool(hands.chain) == kind.code.startswith("CERTIFICATE")


async def test_a_server_that_speaks_something_else_is_named(tmp_path: Path) -> None:
    assert await code_of(b"HTTP/1.1 400 Bad Request\r\n\r\n", tmp_path) == "TLS_NOT_SPOKEN"


async def test_a_server_that_hangs_up_may_do_better_another_time(tmp_path: Path) -> None:
    assert await code_of(b"", tmp_path) == "TLS_FAILED"


async def code_of(answer: bytes, folder: Path) -> str:
    """Return how it is called that a server answers the first message with ``answer`` and hangs up."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(respond, HERE, 0) as server:
        port = server.sockets[0].getsockname()[1]
        failure = (await shake_hands(HERE, port, HERE, client_context(HERE, trust_in_root(folder)))).failure
    assert failure is not None
    assert isinstance(failure, RetryError) == (failure.code == "TLS_FAILED")
    return failure.code
