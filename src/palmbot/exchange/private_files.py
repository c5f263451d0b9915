"""Small files that nobody else on the machine may read, replaced as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from palmbot.errors import HaltError

MODE = 0o600


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``, readable by its owner alone, and only return when it is on disk.

    Raises:
        HaltError: ``STATE_UNWRITABLE``, the old file is still there.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)  # left by a crash, perhaps with another mode
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        fresh.replace(path)
    except OSError as error:
        todo = "Make the folder of the exchange's state writable for this user, and free disk space there."
        raise HaltError("STATE_UNWRITABLE", todo, file=path, error=error.strerror) from error


def make_private(path: Path) -> None:
    """Create ``path`` empty if it does not exist, and take it from everybody but its owner.

    Raises:
        HaltError: ``STATE_UNWRITABLE``.
    """
    try:
        path.touch(MODE)
        path.chmod(MODE)
    except OSError as error:
        todo = "Name a file in a folder that exists and is writable for this user."
        raise HaltError("STATE_UNWRITABLE", todo, file=path, error=error.strerror) from error
