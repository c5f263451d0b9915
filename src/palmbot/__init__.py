"""palm-oil-bot: one decision core for backtest, paper and live trading on cTrader.

This file is sure to run before numba: it points numba's cache at a writable folder that is keyed by the text of the
compiled core. Numba does not notice an edited callee behind a cached caller, so a stale key could trade an old rule.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
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
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    wanted = root / "palmbot" / "numba" / key
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError:
        return Path(tempfile.mkdtemp(prefix="palmbot-numba-"))


CORE_HASH = core_hash()
os.environ.setdefault("NUMBA_CACHE_DIR", str(_cache_dir(CORE_HASH)))

try:
    __version__ = version("palm-oil-bot")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
