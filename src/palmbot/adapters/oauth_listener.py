"""The door on loopback where the browser brings the code: open for one visit, to the one address that is registered."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from palmbot.adapters.oauth_redirect import Redirect
from palmbot.errors import InvariantError, RejectedError, RetryError

HEAD_MAX_BYTES: Final = 16_384
PATIENCE_S: Final = 10.0  # browsers open connections that they may never use
_STATUS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_DONE: Final = "palmbot has what it needs. You can close this page and go back to the terminal."
_REFUSED: Final = "Access was not given. Go back to the terminal."


class Door:
    """Listens at ``redirect``, one that listens. A context manager: open inside, closed outside."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._brought: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        """Open the door.

        Raises:
            RetryError: ``REDIRECT_PORT_BUSY``.
        """
        loop, parts = asyncio.get_running_loop(), self._redirect.parts
        if parts.port is None:
            raise InvariantError("REDIRECT_WITHOUT_PORT", "Ask whether the redirect listens first.")
        try:
            self._server = await loop.create_server(
                lambda: _Visit(self._redirect, self._brought), parts.hostname, parts.port
            )
        except OSError as error:
            todo = "End the program that has this port, or paste the address that the browser ends at."
            raise RetryError("REDIRECT_PORT_BUSY", todo, port=parts.port, reason=repr(error.strerror)) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._brought.cancel()

    async def code(self) -> str:
        """Return the code that a browser brings.

        Raises:
            RejectedError: ``CONSENT_REFUSED``.
        """
        return await asyncio.shield(self._brought)


class _Visit(asyncio.Protocol):
    """One connection: one request, one page."""

    def __init__(self, redirect: Redirect, brought: asyncio.Future[str]) -> None:
        self._redirect = redirect
        self._brought = brought
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._answer(*self._page(self._head.decode("latin-1").split("\r\n")))
        elif len(self._head) > HEAD_MAX_BYTES:
            self._answer(400, "The request is too long.")

    def connection_lost(self, _error: Exception | None) -> None:
        self._timer.cancel()

    def _page(self, lines: list[str]) -> tuple[int, str]:
        """Return status and text of the page for this request; take its code."""
        method, _, rest = lines[0].partition(" ")
        target, _, protocol = rest.rpartition(" ")
        hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
        if not protocol.startswith("HTTP/1.") or not target.startswith("/"):
            return 400, "This is not HTTP."
        if hosts != [self._redirect.parts.netloc] or target.partition("?")[0] != self._redirect.parts.path:
            return 404, "There is no such page."  # also for names that were made to point here
        if method != "GET":
            return 405, "This is asked with GET."
        try:
            code = self._redirect.code_of(f"http://{hosts[0]}{target}")
        except RejectedError as refused:
            if not self._brought.done():
                self._brought.set_exception(refused)
            return 200, _REFUSED
        if code is None:
            return 400, "There is no code in this address."
        if not self._brought.done():
            self._brought.set_result(code)
        return 200, _DONE

    def _answer(self, status: int, text: str) -> None:
        if self._transport.is_closing():
            return
        body = f"{text}\n".encode()
        lines = (
            f"HTTP/1.1 {status} {_STATUS[status]}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Referrer-Policy: no-referrer",  # the address holds the code
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            "",
            "",
        )
        self._transport.write("\r\n".join(lines).encode() + body)
        self._transport.close()
