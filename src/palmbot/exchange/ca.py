"""The certificates of the simulated exchange: a CA that lives for one signature, and the server's own certificate.

The CA's key is thrown away once it has signed, and the CA is good for this machine's own addresses alone: whoever
installs it has trusted nothing else. What is kept on disk is the CA's certificate, for clients, and the server's
certificate with its key.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from palmbot.errors import DataError
from palmbot.exchange.private_files import write_private

LIFE: Final = timedelta(days=825)
RENEWED_BEFORE: Final = timedelta(days=30)
HOUSE: Final = "palmbot simulated exchange (SYNTHETIC)"
_HERE: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(IPv4Address("127.0.0.1")),
    x509.IPAddress(IPv6Address("::1")),
)
_ONLY: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(IPv4Network("127.0.0.0/8")),
    x509.IPAddress(IPv6Network("::1/128")),
)
_NO_USAGE: Final = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def server_context(ca_file: Path, server_file: Path, utc_ms: int) -> ssl.SSLContext:
    """Return the server's TLS context; make both files unless they are there and good for a while.

    Args:
        ca_file: what clients verify with.
        server_file: the server's certificate and its key.
        utc_ms: now.

    Raises:
        DataError: ``CERTIFICATES_UNREADABLE``, the files are something else.
        HaltError: ``STATE_UNWRITABLE``.
    """
    now = datetime.fromtimestamp(utc_ms / 1_000, UTC)
    if not (ca_file.exists() and server_file.exists() and _are_good(ca_file, server_file, now)):
        ca_pem, server_pem = make_certificates(now)
        write_private(server_file, server_pem)
        write_private(ca_file, ca_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(server_file)
    except ssl.SSLError as error:
        raise _unreadable(server_file) from error
    return context


def make_certificates(now: datetime) -> tuple[bytes, bytes]:
    """Return the PEM text of a new CA's certificate, and of a server's certificate of it with its key."""
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, ca_id = _name("test CA"), x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _begun(ca_name, ca_name, ca_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(_ONLY, None), critical=True)
        .add_extension(x509.KeyUsage(**(_NO_USAGE | {"key_cert_sign": True, "crl_sign": True})), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _begun(_name("server"), ca_name, server_key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**(_NO_USAGE | {"digital_signature": True})), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_HERE), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key_pem = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ca.public_bytes(Encoding.PEM), server.public_bytes(Encoding.PEM) + key_pem


def _name(what: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, HOUSE), (NameOID.COMMON_NAME, f"{HOUSE} {what}"))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _are_good(ca_file: Path, server_file: Path, now: datetime) -> bool:
    """Return whether the server's certificate is the CA's and both have a while to live."""
    try:
        ca, server = (x509.load_pem_x509_certificate(each.read_bytes()) for each in (ca_file, server_file))
        server.verify_directly_issued_by(ca)
    except InvalidSignature:
        return False
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(ca_file) from error
    return all(each.not_valid_before_utc <= now < each.not_valid_after_utc - RENEWED_BEFORE for each in (ca, server))


def _unreadable(file: Path) -> DataError:
    todo = "Remove the exchange's certificate files beside its state, so that new ones are made."
    return DataError("CERTIFICATES_UNREADABLE", todo, file=file)
