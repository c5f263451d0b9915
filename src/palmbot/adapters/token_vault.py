"""Tokens in a folder: an encrypted file for each environment, and the lock beside it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palmbot.adapters.private_file import FILE_MODE, make_private_folder, read_private, remove_private, write_private
from palmbot.adapters.token_seal import TokenSeal
from palmbot.errors import HaltError, RetryError
from palmbot.model import Tokens


class TokenVault:
    """The ``palmbot.ports.TokenStore`` of one machine.

    Args:
        folder: of all environments' tokens.
        environment: whose tokens.
        seal: of that environment.
    """

    def __init__(self, folder: Path, environment: str, seal: TokenSeal) -> None:
        self._file = folder / f"{environment}.tokens"
        self._lock = folder / f"{environment}.lock"
        self._environment = environment
        self._seal = seal

    def load(self) -> Tokens | None:
        """Return the newest tokens, or None.

        Raises:
            RefusedError: ``FILE_EXPOSED``.
            ConfigError: ``TOKENS_UNREADABLE`` or ``TOKEN_KEY_MISSING``.
            HaltError: ``FILE_UNREADABLE``.
        """
        data = read_private(self._file)
        return None if data is None else self._seal.open(data)

    def save(self, tokens: Tokens) -> None:
        """Replace the tokens; they are on disk when this returns.

        Raises:
            RefusedError: ``FILE_EXPOSED``.
            ConfigError: ``TOKEN_KEY_MISSING``.
            HaltError: ``FILE_UNWRITABLE``.
        """
        write_private(self._file, self._seal.seal(tokens))

    def clear(self) -> bool:
        """Remove the tokens and return whether there were any. The lock stays: others may be waiting at it."""
        return remove_private(self._file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, which the process's death releases too.

        Raises:
            RetryError: ``TOKENS_BUSY``.
            HaltError: ``FILE_UNWRITABLE``, there can be no lock.
        """
        make_private_folder(self._lock.parent)
        try:
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        except OSError as error:
            raise self._no_lock(error) from error
        try:
            self._take(handle)
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to a child forked meanwhile
            os.close(handle)

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            todo = "Another process is just changing these tokens: try again in a minute."
            raise RetryError("TOKENS_BUSY", todo, environment=self._environment) from None
        except OSError as error:
            raise self._no_lock(error) from error

    def _no_lock(self, error: OSError) -> HaltError:
        todo = "Keep the tokens in a folder that this user can write, on a disk that can lock files."
        return HaltError("FILE_UNWRITABLE", todo, file=self._lock, reason=error.strerror)
