"""Who may be talked to, and how it is made sure that it is them. There is no switch that verifies less."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from types import MappingProxyType

from palmbot.errors import ConfigError, RefusedError

HOSTS = MappingProxyType({"demo": "demo.ctraderapi.com", "live": "live.ctraderapi.com"})
PORT = 5035  # protobuf over TLS


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
        ConfigError: ``ca_file`` cannot be read.
    """
    if not is_loopback(host):
        if host not in HOSTS.values():
            raise RefusedError("HOST_NOT_ALLOWED", f"Use one of {', '.join(HOSTS.values())}, or loopback.", host=host)
        if ca_file is not None:
            raise RefusedError("CA_NOT_LOOPBACK", "Leave the CA file out: it is for this machine alone.", host=host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name; reads no key-log setting
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as failure:  # ssl.SSLError is one
        raise ConfigError("CA_UNREADABLE", "Name a PEM file of certificates.", file=ca_file) from failure
    return context
