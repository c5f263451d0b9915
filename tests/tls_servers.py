"""TLS servers on loopback: a good one and every kind of bad one, and a careless client that reaches them all."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from tests.fakes import FakeClock
from tests.scripted_peer import Peer
from trustme import KeyType

from palmbot.adapters.clock import SystemClock

HERE = "127.0.0.1"
ROOT = trustme.CA()  # the one authority that the clients of these tests trust
CHILD = ROOT.create_child_ca()
STRANGER = trustme.CA()
DAY = timedelta(days=1)
NOW = datetime.fromtimestamp(SystemClock().utc_ms() // 1_000, UTC)
Tuning = Callable[[ssl.SSLContext], None]


@dataclass(frozen=True, slots=True)
class Presented:
    """What a server shows: its key and certificates in PEM."""

    pem: bytes

    @classmethod
    def of(cls, leaf: trustme.LeafCert, *more: trustme.CA, count: int | None = None) -> Presented:
        """Return ``leaf`` with the ``count`` first certificates of its chain (None: all), and ``more`` after them."""
        chain = [blob.bytes() for blob in leaf.cert_chain_pems[:count]]
        return cls(b"".join([leaf.private_key_pem.bytes(), *chain, *(each.cert_pem.bytes() for each in more)]))

    @classmethod
    def handmade(cls, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, by: trustme.CA | None = None) -> Presented:
        """Return a certificate of this machine for ``key``, signed by a CA; None: by itself."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "handmade")])
        issuer, signing = (name, key) if by is None else (_subject(by), _key(by))
        builder = x509.CertificateBuilder(issuer, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
        named = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HERE))]), critical=False)
        certificate = named.sign(signing, hashes.SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(private + certificate.public_bytes(Encoding.PEM))


def _subject(ca: trustme.CA) -> x509.Name:
    return x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject


def _key(ca: trustme.CA) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def as_is(_: ssl.SSLContext) -> None:
    """Leave a server with its defaults."""


def only_version(version: ssl.TLSVersion, context: ssl.SSLContext) -> None:
    """Let a server speak one old version alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as it should be
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
    context.set_ciphers("ALL:@SECLEVEL=0")


def only_cipher(cipher: str, context: ssl.SSLContext) -> None:
    """Let a server speak one cipher of TLS 1.2 alone."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of server. ``code`` is what our refusal is called; empty where we connect."""

    name: str
    code: str
    presented: Callable[[], Presented]
    tuned: Tuning = as_is

    def context(self) -> ssl.SSLContext:
        """Return the server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tuned(context)
        self.show(context)
        return context

    def show(self, context: ssl.SSLContext) -> None:
        """Let ``context`` show this kind's certificate from now on."""
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.presented().pem)
            file.flush()
            context.load_cert_chain(file.name)


def issued(
    ca: trustme.CA, *names: str, from_days: int = -1, to_days: int = 10, key: KeyType = KeyType.ECDSA
) -> Presented:
    """Return a certificate of ``ca`` for ``names``, good between two days from now."""
    return Presented.of(_leaf(ca, names or (HERE, "localhost"), from_days, to_days, key))


@cache  # keys take time
def _leaf(ca: trustme.CA, names: tuple[str, ...], from_days: int, to_days: int, key: KeyType) -> trustme.LeafCert:
    begin, end = (NOW + days * DAY for days in (from_days, to_days))
    return ca.issue_cert(*names, not_before=begin, not_after=end, key_type=key)


def _whole() -> Presented:
    return issued(ROOT)


def _rsa() -> Presented:
    return issued(ROOT, key=KeyType.RSA)


def _by_child(count: int | None) -> Presented:
    return Presented.of(_leaf(CHILD, (HERE,), -1, 10, KeyType.ECDSA), count=count)


def _stranger_with_root() -> Presented:
    return Presented.of(_leaf(STRANGER, (HERE,), -1, 10, KeyType.ECDSA), STRANGER)


@cache
def _self_signed() -> Presented:
    return Presented.handmade(ec.generate_private_key(ec.SECP256R1()))


@cache
def _weak_key() -> Presented:
    return Presented.handmade(rsa.generate_private_key(65_537, 1_024), ROOT)  # noqa: S505 - that is the point


def lenient(context: ssl.SSLContext) -> None:
    """Let a server show a weak key."""
    context.set_ciphers("ALL:@SECLEVEL=0")


GOOD = Kind("good", "", _whole)
GOOD_BY_CHILD = Kind("good, with an intermediate", "", partial(_by_child, None))
OLD = tuple(
    Kind(f"{version.name} only", "TLS_TOO_OLD", _whole, partial(only_version, version))
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
)
WEAK = tuple(
    Kind(f"{cipher} only", "TLS_CIPHERS_WEAK", presented, partial(only_cipher, cipher))
    for cipher, presented in (
        ("AES128-GCM-SHA256", _rsa),  # no forward secrecy
        ("ECDHE-ECDSA-AES128-SHA", _whole),  # SHA-1, MAC then encrypt
        ("ECDHE-ECDSA-AES256-SHA384", _whole),  # MAC then encrypt
        ("AES256-SHA", _rsa),
        ("NULL-SHA256", _rsa),  # no encryption
        ("ECDHE-ECDSA-NULL-SHA", _whole),
        ("AECDH-AES128-SHA", _whole),  # no certificate at all
    )
)
BAD = (
    Kind("expired", "CERTIFICATE_EXPIRED", partial(issued, ROOT, from_days=-9, to_days=-1)),
    Kind("not yet valid", "CERTIFICATE_NOT_YET_VALID", partial(issued, ROOT, from_days=1)),
    Kind("of another host", "CERTIFICATE_OF_ANOTHER_HOST", partial(issued, ROOT, "elsewhere.example", "127.0.0.2")),
    Kind("of an unknown CA", "CERTIFICATE_AUTHORITY_UNKNOWN", _stranger_with_root),
    Kind("of an unknown CA, sent alone", "CERTIFICATE_ISSUER_MISSING", partial(issued, STRANGER)),
    Kind("self-signed", "CERTIFICATE_SELF_SIGNED", _self_signed),
    Kind("without its intermediate", "CERTIFICATE_ISSUER_MISSING", partial(_by_child, 1)),
    Kind("of a weak key", "CERTIFICATE_WEAK", _weak_key, lenient),
    *OLD,
    *WEAK,
)


def trust_in_root(folder: Path) -> Path:
    """Return a file with the authority that clients trust."""
    file = folder / "root.pem"
    ROOT.cert_pem.write_to_path(str(file))
    return file


def careless_context() -> ssl.SSLContext:
    """Return a client's context that takes everything: what it cannot reach is no server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    return context


class Front(asyncio.Protocol):
    """The server's end of TLS over a plain connection. Unlike asyncio's own it tells a client why it hangs up."""

    def __init__(self, context: ssl.SSLContext, inner: asyncio.Protocol) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._inner = inner
        self._is_open = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._in.write(data)
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._is_open = True
                self._inner.connection_made(Back(self))
            while text := self._tls.read(65_536):
                self._inner.data_received(text)
        except ssl.SSLWantReadError:
            self.flush()
        except ssl.SSLError:
            self.flush()
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_open:
            self._inner.connection_lost(exc)

    def write(self, data: bytes) -> None:
        self._tls.write(data)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self._out.read())


class Back(asyncio.Transport):
    """What a broker behind a `Front` writes to."""

    def __init__(self, front: Front) -> None:
        super().__init__()
        self._front = front

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self._front.write(bytes(data))

    def abort(self) -> None:
        self._front.transport.abort()


@dataclass
class Served:
    """A server that runs: where, and who was there."""

    peer: Peer
    port: int = 0
    calls: int = 0  # connections, whatever became of them


@asynccontextmanager
async def serving(kind: Kind, context: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """Run a broker behind such a server, or behind ``context``."""
    served, context = Served(Peer(FakeClock().monotonic_ms)), context or kind.context()
    fronts: list[Front] = []

    def front() -> Front:
        served.calls += 1
        fronts.append(Front(context, served.peer.connection()))
        return fronts[-1]

    server = await asyncio.get_running_loop().create_server(front, HERE, 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for each in fronts:
            each.transport.abort()
        await server.wait_closed()
