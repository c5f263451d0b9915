"""palm-oil-bot: one decision core for backtest, paper and live trading on cTrader.

This file is sure to run before numba: it points numba's cache at a writable folder that is keyed by the text of the
compiled core. Numba does not notice an edited callee behind a cached caller, so a stale key could trade an old rule.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_CORE = Path(__file__).parent / "core"


def core_hash() -> str:
    """Return a hash of the text of ``core/*.py``; journaled with every run."""
    digest = hashlib.sha256()
    for file in sorted(_CORE.glob("*.py")):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _cache_dir(key: str) -> Path:
    """Return a writable cache folder for ``key``; a temporary one where the usual place cannot be written."""
    import tempfile  # noqa: PLC0415 - only where it is used

    asked = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(asked) if asked else home / "palmbot" / "numba"
    if root.name.partition("-")[0] == key.partition("-")[0]:  # a child process inherits a folder that is keyed already
        root = root.parent
    wanted = root / key
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError:
        return Path(tempfile.mkdtemp(prefix="palmbot-numba-"))


CORE_HASH = core_hash()
NUMBA_CACHE = _cache_dir(CORE_HASH)
os.environ["NUMBA_CACHE_DIR"] = str(NUMBA_CACHE)


def key_by_rule(text: bytes) -> None:
    """Let the key of what is compiled from now on, ``CORE_HASH``, hold the text of a user's rule too.

    To be called before anything imports numba, which looks for its cache but once.
    """
    global CORE_HASH, NUMBA_CACHE  # noqa: PLW0603 - they belong to the process, as the environment does
    CORE_HASH = f"{core_hash()}-{hashlib.sha256(text).hexdigest()[:16]}"
    NUMBA_CACHE = _cache_dir(CORE_HASH)
    os.environ["NUMBA_CACHE_DIR"] = str(NUMBA_CACHE)


def __getattr__(name: str) -> str:
    """Return ``__version__``, looked up when it is asked for."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow, and rarely asked for

    try:
        return version("palm-oil-bot")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+source"
