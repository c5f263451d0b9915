from __future__ import annotations

import asyncio
import socket

import pytest

from palmbot.adapters.oauth_listener import HEAD_MAX_BYTES, Door
from palmbot.adapters.oauth_redirect import Redirect
from palmbot.errors import RejectedError, RetryError


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture
def redirect() -> Redirect:
    return Redirect(f"http://127.0.0.1:{free_port()}/palmbot/secret")


async def page(redirect: Redirect, request: str) -> str:
    """Send ``request``, in which PORT stands for the port, and return everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", redirect.parts.port)
    writer.write(request.replace("PORT", str(redirect.parts.port)).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


def get(target: str, host: str = "127.0.0.1:PORT", method: str = "GET") -> str:
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: test\r\n\r\n"


async def test_the_code_of_the_visit_is_handed_over_and_the_page_does_not_show_it(redirect: Redirect) -> None:
    async with Door(redirect) as door:
        shown = await page(redirect, get("/palmbot/secret?code=abc123"))
        assert await door.code() == "abc123"
    assert shown.startswith("HTTP/1.1 200 OK\r\n")
    assert "Cache-Control: no-store" in shown
    assert "Referrer-Policy: no-referrer" in shown
    assert "abc123" not in shown


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (get("/palmbot/other?code=bad"), 404),
        (get("/palmbot/secret/?code=bad"), 404),
        (get("/?code=bad"), 404),
        (get("/favicon.ico"), 404),
        (get("/palmbot/secret?code=bad", host="evil.example.org:PORT"), 404),
        (get("/palmbot/secret?code=bad", host="127.0.0.1"), 404),
        (get("/palmbot/secret?code=bad", host="127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT"), 404),
        ("GET /palmbot/secret?code=bad HTTP/1.1\r\n\r\n", 404),
        (get("/palmbot/secret?code=bad", method="HEAD"), 405),
        (get("/palmbot/secret?code=bad", method="POST"), 405),
        (get("/palmbot/secret"), 400),
        (get("/palmbot/secret?code="), 400),
        (get("http://127.0.0.1:PORT/palmbot/secret?code=bad"), 400),
        ("GET /palmbot/secret?code=bad\r\n\r\n", 400),
        ("\r\n\r\n", 400),
        ("\x16\x03\x01 hello\r\n\r\n", 400),
        ("GET /" + "x" * HEAD_MAX_BYTES, 400),
    ],
)
async def test_no_other_visit_counts_and_the_right_one_still_does(
    redirect: Redirect, request_text: str, status: int
) -> None:
    async with Door(redirect) as door:
        assert (await page(redirect, request_text)).startswith(f"HTTP/1.1 {status} ")
        await page(redirect, get("/palmbot/secret?code=good"))
        assert await door.code() == "good"


async def test_only_the_first_code_counts(redirect: Redirect) -> None:
    async with Door(redirect) as door:
        await page(redirect, get("/palmbot/secret?code=first"))
        await page(redirect, get("/palmbot/secret?code=second"))
        assert await door.code() == "first"


async def test_a_request_may_come_in_pieces(redirect: Redirect) -> None:
    async with Door(redirect) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", redirect.parts.port)
        for piece in get("/palmbot/secret?code=abc").replace("PORT", str(redirect.parts.port)):
            writer.write(piece.encode())
            await writer.drain()
        await reader.read()
        assert await door.code() == "abc"
        writer.close()
        await writer.wait_closed()


async def test_a_person_who_said_no_ends_the_wait(redirect: Redirect) -> None:
    async with Door(redirect) as door:
        assert "Access was not given" in await page(redirect, get("/palmbot/secret?error=access_denied"))
        with pytest.raises(RejectedError, match="CONSENT_REFUSED"):
            await door.code()


async def test_a_silent_connection_keeps_nobody_out(redirect: Redirect) -> None:
    async with Door(redirect) as door:
        _, silent = await asyncio.open_connection("127.0.0.1", redirect.parts.port)
        await page(redirect, get("/palmbot/secret?code=abc"))
        assert await door.code() == "abc"
        silent.close()
        await silent.wait_closed()


async def test_the_door_is_closed_afterwards(redirect: Redirect) -> None:
    async with Door(redirect):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", redirect.parts.port)


async def test_a_port_that_somebody_has_is_named(redirect: Redirect) -> None:
    async with Door(redirect):
        with pytest.raises(RetryError, match="REDIRECT_PORT_BUSY") as busy:
            async with Door(redirect):
                pass
    assert busy.value.facts["port"] == redirect.parts.port


async def test_other_machines_do_not_reach_it(redirect: Redirect) -> None:
    async with Door(redirect) as door:
        sockets = door._server.sockets
        assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
