"""Tokens as bytes that nobody reads without the key: JSON under AES-256-GCM, the key stretched by scrypt.

The environment is authenticated with the text, so that a file of demo tokens cannot be passed off as live ones.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from palmbot.adapters.chance import secret_bytes
from palmbot.adapters.token_key import Key
from palmbot.errors import ConfigError
from palmbot.model import Granted, GrantedAccount, Renewal, Scope, Tokens

VERSION: Final = 1
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_SCRYPT_COST: Final = 2**15  # 32 MiB and about 0.1 s


class TokenSeal:
    """Seals and opens the tokens of one environment.

    Args:
        environment: whose tokens.
        key: asked only when something is sealed or opened.
    """

    def __init__(self, environment: str, key: Key) -> None:
        self._environment = environment
        self._key = key
        self._stretched: tuple[bytes, AESGCM] | None = None  # for the newest salt: stretching is slow on purpose

    def seal(self, tokens: Tokens) -> bytes:
        """Return ``tokens`` encrypted, as one line of JSON.

        Raises:
            ConfigError: ``TOKEN_KEY_MISSING``.
        """
        nonce = secret_bytes(_NONCE_BYTES)
        salt = secret_bytes(_SALT_BYTES) if self._stretched is None else self._stretched[0]
        text = json.dumps(asdict(tokens)).encode()
        sealed = self._cipher(self._key.make(), salt).encrypt(nonce, text, self._associated())
        parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
        head = {"palmbot": "tokens", "version": VERSION, "environment": self._environment}
        return json.dumps(head | {name: b64encode(part).decode() for name, part in parts.items()}).encode() + b"\n"

    def open(self, data: bytes) -> Tokens:
        """Return the tokens inside ``data``.

        Raises:
            ConfigError: ``TOKENS_UNREADABLE``, another key sealed them, or they are damaged; ``TOKEN_KEY_MISSING``.
        """
        key = self._key.find()
        if key is None:
            raise self._unreadable("the keyring has no key")
        try:
            body = json.loads(data)
            salt, nonce, sealed = (b64decode(body[name], validate=True) for name in ("salt", "nonce", "sealed"))
            text = self._cipher(key, salt).decrypt(nonce, sealed, self._associated())
        except InvalidTag:
            raise self._unreadable("another key or environment, or damaged") from None
        except (ValueError, KeyError, TypeError):
            raise self._unreadable("damaged") from None
        return _tokens(json.loads(text))

    def _cipher(self, key: str, salt: bytes) -> AESGCM:
        if self._stretched is None or self._stretched[0] != salt:
            stretched = Scrypt(salt, length=32, n=_SCRYPT_COST, r=8, p=1).derive(key.encode())
            self._stretched = (salt, AESGCM(stretched))
        return self._stretched[1]

    def _associated(self) -> bytes:
        return f"palmbot tokens {VERSION} {self._environment}".encode()

    def _unreadable(self, reason: str) -> ConfigError:
        todo = "Give back the key that they were sealed with; or log in again, which replaces them."
        return ConfigError("TOKENS_UNREADABLE", todo, environment=self._environment, reason=repr(reason))


def _tokens(body: dict[str, Any]) -> Tokens:
    granted = body["granted"]
    accounts = tuple(GrantedAccount(**each) for each in granted["accounts"])
    enums = {"granted": Granted(Scope(granted["scope"]), accounts), "renewal": Renewal(body["renewal"])}
    return Tokens(**(body | enums))
