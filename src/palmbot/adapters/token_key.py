"""The key that encrypts tokens: given by a person, or kept by the system's keyring."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Final, Protocol

from palmbot.adapters.chance import secret_bytes
from palmbot.errors import ConfigError

SERVICE: Final = "palm-oil-bot"
USER: Final = "token key"
_SAFE_FROM: Final = 1  # keyring's own priority: below it a backend keeps its passwords in the open


class Key(Protocol):
    """Where the key comes from."""

    def find(self) -> str | None:
        """Return the key, or None while there is none."""

    def make(self) -> str:
        """Return the key, a new one if there is none."""


class GivenKey:
    """The key of ``PALMBOT_TOKEN_KEY``."""

    def __init__(self, text: str) -> None:
        self._text = text

    def find(self) -> str:
        """Return the key."""
        return self._text

    def make(self) -> str:
        """Return the key."""
        return self._text


class KeyringKey:
    """A key of 256 bits that the system's keyring keeps, made when it is first needed; one for all environments.

    Every method raises ``ConfigError`` with ``TOKEN_KEY_MISSING`` where there is no keyring that keeps a secret.
    """

    def find(self) -> str | None:
        """Return the key, or None while there is none."""
        return self._asked()

    def make(self) -> str:
        """Return the key, a new one if there is none."""
        # what the keyring says back counts: a second process may have made one at the same moment
        key = self._asked() or self._asked(urlsafe_b64encode(secret_bytes(32)).decode())
        if not key:
            raise _missing("it forgot the new key")
        return key

    def _asked(self, new: str | None = None) -> str | None:
        """Return what the keyring holds, after giving it ``new`` to keep."""
        import keyring  # noqa: PLC0415 - slow, and not needed where a key was given
        from keyring.errors import KeyringError  # noqa: PLC0415 - as above

        try:
            ring = keyring.get_keyring()
            if ring.priority < _SAFE_FROM:
                raise _missing(type(ring).__name__)
            if new is not None:
                ring.set_password(SERVICE, USER, new)
            return ring.get_password(SERVICE, USER)
        except KeyringError as error:
            raise _missing(type(error).__name__) from error


def _missing(reason: str) -> ConfigError:
    todo = (
        "Set PALMBOT_TOKEN_KEY to a long random text, in the environment rather than beside the tokens; "
        "or unlock the system's keyring."
    )
    return ConfigError("TOKEN_KEY_MISSING", todo, keyring=reason)
