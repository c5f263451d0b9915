"""Looks at a server's TLS and tells it nothing: the same checks as always, and what it showed where they fail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, cast

from cryptography import x509

from palmbot.adapters.tls_reason import handshake_failure
from palmbot.model import Certificate, Handshake
from palmbot.units import SECOND_MS

_READ_BYTES: Final = 65_536
_CHAIN_MAX: Final = 10
_DER: Final = 2  # what the private method below calls this form


async def shake_hands(address: str, port: int, host: str, context: ssl.SSLContext) -> Handshake:
    """Return what the server at ``address`` shows to somebody who asks for ``host``; hang up without a word.

    Args:
        address: where it is.
        port: its port.
        host: the name that its certificate must bear.
        context: of a client that verifies.

    Raises:
        OSError: nobody answers, or the connection broke.
    """
    reader, writer = await asyncio.open_connection(address, port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    try:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                if data := await reader.read(_READ_BYTES):
                    incoming.write(data)
                else:
                    incoming.write_eof()
            else:
                cipher = tls.cipher()
                return Handshake(tls.version() or "", cipher[0] if cipher else "", _chain(tls, is_verified=True))
    except ssl.SSLError as error:
        return Handshake("", "", _chain(tls, is_verified=False), handshake_failure(error, host))
    finally:
        writer.write(outgoing.read())  # the end of the handshake, or the alert that says why not
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _chain(tls: ssl.SSLObject, *, is_verified: bool) -> tuple[Certificate, ...]:
    """Return the chain that was verified, or the one that was sent; what cannot be read is left out."""
    found = []
    for der in _sent(tls, "get_verified_chain" if is_verified else "get_unverified_chain")[:_CHAIN_MAX]:
        with suppress(ValueError):
            found.append(_certificate(x509.load_der_x509_certificate(der)))
    return tuple(found)


def _sent(tls: ssl.SSLObject, method: str) -> list[bytes]:
    if hasattr(tls, method):  # from Python 3.13 on
        return list(cast("Iterable[bytes]", getattr(tls, method)() or ()))
    inner: Any = tls._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - until then the same method is private
    return [each.public_bytes(_DER) for each in getattr(inner, method)() or ()]


def _certificate(read: x509.Certificate) -> Certificate:
    times_ms = (int(each.timestamp()) * SECOND_MS for each in (read.not_valid_before_utc, read.not_valid_after_utc))
    return Certificate(read.subject.rfc4514_string(), read.issuer.rfc4514_string(), *times_ms)
