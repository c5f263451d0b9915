"""Where the browser comes back to after a person said yes: an address that is made once an install and registered.

cTrader echoes no ``state``, so that a page could send a browser here with a code of its own. Two things stand against
it: the address has a secret path, and what a login stores is checked against the account that was asked for.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from palmbot.adapters.chance import secret_bytes
from palmbot.adapters.private_file import read_private, write_private
from palmbot.adapters.tls import is_loopback
from palmbot.errors import ConfigError, RejectedError

FILE_NAME: Final = "redirect_uri"
_PORTS: Final = (20_000, 10_000)  # first and count: below those that systems give to outgoing connections
_CODE_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Redirect:
    """The address, exactly as it is registered."""

    uri: str

    @property
    def parts(self) -> SplitResult:
        """The parts of the address."""
        return urlsplit(self.uri)

    @property
    def listens(self) -> bool:
        """Whether a listener on this machine can receive the browser."""
        parts = self.parts
        return parts.scheme == "http" and parts.port is not None and is_loopback(parts.hostname or "")

    def code_of(self, address: str) -> str | None:
        """Return the code in ``address``; None where it is not this redirect, or carries none.

        Raises:
            RejectedError: ``CONSENT_REFUSED``, the person or the server said no.
        """
        try:
            parts = urlsplit(address.strip())
        except ValueError:
            return None
        if (parts.scheme, parts.netloc, parts.path) != self.parts[:3]:
            return None
        query = parse_qs(parts.query)
        if "code" not in query and {"error", "errorCode"} & query.keys():
            todo = "Log in again and allow the access; see that the redirect address is registered exactly as it is."
            raise RejectedError("CONSENT_REFUSED", todo)
        code = query.get("code", [""])[0]
        return code if 0 < len(code) <= _CODE_MAX else None


def redirect_of(folder: Path) -> Redirect:
    """Return the redirect address of this install, made when it is first asked for and kept in ``folder``.

    A person may put another one into the file, for instance one that is registered already.

    Raises:
        ConfigError: ``REDIRECT_UNUSABLE``, the file holds something else.
        RefusedError: ``FILE_EXPOSED``.
        HaltError: ``FILE_UNREADABLE`` or ``FILE_UNWRITABLE``.
    """
    file = folder / FILE_NAME
    kept = read_private(file)
    if kept is None:
        kept = _new().encode()
        write_private(file, kept)
    redirect = Redirect(kept.decode("utf-8", "replace").strip())
    try:
        parts = redirect.parts
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        todo = "Write one address into it, as registered at cTrader; or remove it and register the new one."
        raise ConfigError("REDIRECT_UNUSABLE", todo, file=file)
    return redirect


def _new() -> str:
    first, count = _PORTS
    port = first + int.from_bytes(secret_bytes(4)) % count
    return f"http://127.0.0.1:{port}/palmbot/{urlsafe_b64encode(secret_bytes(18)).decode()}\n"
