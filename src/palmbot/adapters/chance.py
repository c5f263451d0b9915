"""The system's randomness: the only file that draws what no seed could give again."""

from __future__ import annotations

import secrets


def name_part() -> str:
    """Return four letters of 0-9 and a-f that no other install or run is likely to have."""
    return secrets.token_hex(2)


def secret_bytes(count: int) -> bytes:
    """Return bytes that nobody can guess: keys, salts, nonces, secret paths."""
    return secrets.token_bytes(count)
