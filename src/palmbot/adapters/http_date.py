"""What time a web server has: the only clock of cTrader's that may be asked without an account."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final

from palmbot.adapters.tls_reason import handshake_failure
from palmbot.errors import RetryError
from palmbot.units import SECOND_MS

_HEAD_MAX_BYTES: Final = 16_384


async def read_date_ms(address: str, port: int, host: str, context: ssl.SSLContext) -> int:
    """Return the UTC time in the answer's ``Date``, which is a whole second that has begun.

    Args:
        address: where the server is.
        port: its port.
        host: its name.
        context: of a client that verifies.

    Raises:
        OSError: nobody answers.
        ConfigError: no secure connection came about, and none will.
        RetryError: none came about this time, or the answer says no time.
    """
    try:
        reader, writer = await asyncio.open_connection(
            address, port, ssl=context, server_hostname=host, limit=_HEAD_MAX_BYTES
        )
    except ssl.SSLError as failure:
        raise handshake_failure(failure, host) from failure
    try:
        writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "date":
            with suppress(ValueError):
                return int(parsedate_to_datetime(value.strip()).timestamp()) * SECOND_MS
    raise RetryError("NO_DATE", "Try again later: the server did not say what time it is.", host=host)
