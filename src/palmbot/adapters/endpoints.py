"""Where cTrader is reached: constants. Only an exchange on this machine may stand in for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from palmbot.adapters.tls import HOSTS, PORT, is_loopback
from palmbot.errors import ConfigError, RefusedError

CONSENT_URL: Final = "https://id.ctrader.com/my/settings/openapi/grantingaccess/"
TOKEN_URL: Final = "https://openapi.ctrader.com/apps/token"  # noqa: S105 - an address, no token


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of one environment.

    ``consent_url`` is where a person says yes, ``token_url`` where codes and refresh tokens are turned into tokens.
    """

    host: str
    port: int
    consent_url: str
    token_url: str
    ca_file: Path | None = None


ENDPOINTS: Final[Mapping[str, Endpoints]] = MappingProxyType(
    {environment: Endpoints(host, PORT, CONSENT_URL, TOKEN_URL) for environment, host in HOSTS.items()}
)


def endpoints_of(environment: str, exchange_file: Path | None = None) -> Endpoints:
    """Return the addresses of ``environment``, or of the exchange whose ready line ``exchange_file`` holds.

    Raises:
        ConfigError: ``EXCHANGE_FILE_UNREADABLE``, that is no ready line.
        RefusedError: ``EXCHANGE_NOT_LOOPBACK``, it names another machine.
    """
    if exchange_file is None:
        return ENDPOINTS[environment]
    try:
        ready = json.loads(exchange_file.read_bytes())
        host, port, token_url, ca_file = (
            str(ready["host"]),
            int(ready["port"]),
            str(ready["token_url"]),
            ready["ca_file"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        todo = "Name a file that holds the line which an exchange on this machine printed when it was ready."
        raise ConfigError("EXCHANGE_FILE_UNREADABLE", todo, file=exchange_file, error=type(error).__name__) from error
    for name in (host, urlsplit(token_url).hostname or ""):
        if not is_loopback(name):
            todo = "Only an exchange on this machine may stand in for cTrader's servers."
            raise RefusedError("EXCHANGE_NOT_LOOPBACK", todo, host=name, file=exchange_file)
    consent = urlsplit(token_url)._replace(path=urlsplit(CONSENT_URL).path).geturl()
    return Endpoints(host, port, consent, token_url, Path(ca_file))
