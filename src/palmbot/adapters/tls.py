"""Who may be talked to, and how it is made sure that it is them. There is no switch that verifies less."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from types import MappingProxyType

from palmbot.errors import ConfigError, RefusedError

HOSTS = MappingProxyType({"demo": "demo.ctraderapi.com", "live": "live.ctraderapi.com"})
PORT = 5035  # protobuf over TLS
# Forward secrecy and authenticated encryption; TLS 1.3 has nothing else. The default would be this system's own taste.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine by its very name, without asking anybody."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def client_context(host: str, ca_file: Path | None = None) -> ssl.SSLContext:
    """Return the context for a connection to ``host``: certificate and name are checked, TLS 1.2 or newer.

    Args:
        host: one of cTrader's, or this machine.
        ca_file: the only authority that is trusted, PEM, for this machine alone; None trusts the system's.

    Raises:
        RefusedError: ``host`` is nobody we know, or another machine with an authority of its own.
        ConfigError: ``ca_file`` cannot be read, or the system has no authorities.
    """
    if not is_loopback(host):
        if host not in HOSTS.values():
            raise RefusedError("HOST_NOT_ALLOWED", f"Use one of {', '.join(HOSTS.values())}, or loopback.", host=host)
        if ca_file is not None:
            raise RefusedError("CA_NOT_LOOPBACK", "Leave the CA file out: it is for this machine alone.", host=host)
    return verified_context(ca_file)


def verified_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a client's context: certificate and name are checked, TLS 1.2 or newer, strong ciphers.

    Args:
        ca_file: the only authority that is trusted, PEM; None trusts the system's, whatever the environment says.

    Raises:
        ConfigError: ``ca_file`` cannot be read, or the system has no authorities.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name; reads no key-log setting
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    authorities = (ca_file, None) if ca_file is not None else _system_authorities()
    try:
        context.load_verify_locations(*authorities)
    except OSError as failure:  # ssl.SSLError is one
        raise ConfigError("CA_UNREADABLE", "Name a PEM file of certificates.", file=authorities[0]) from failure
    return context


def _system_authorities() -> tuple[str | None, str | None]:
    """Return file and folder of the system's authorities; ``load_default_certs`` would believe ``SSL_CERT_FILE``."""
    paths = ssl.get_default_verify_paths()
    file, folder = (path if Path(path).exists() else None for path in (paths.openssl_cafile, paths.openssl_capath))
    if file is None and folder is None:
        todo = "Install the system's certificates of authorities, for instance the package ca-certificates."
        raise ConfigError("CA_MISSING", todo, file=paths.openssl_cafile, folder=paths.openssl_capath)
    return file, folder
