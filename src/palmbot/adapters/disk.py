"""Whether a folder takes what is written: room, and a file that is really written and removed again."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from palmbot.errors import HaltError


def try_folder(folder: Path) -> int:
    """Write, sync and remove a small file where ``folder`` is or would be made; return the free bytes there.

    Raises:
        HaltError: ``FOLDER_UNWRITABLE``.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        with tempfile.NamedTemporaryFile(prefix=".palmbot-", dir=there) as file:
            file.write(b"palmbot")
            file.flush()
            os.fsync(file.fileno())
        return shutil.disk_usage(there).free
    except OSError as error:
        todo = "Make the folder writable for this user, free space on its disk, or set data_dir elsewhere."
        raise HaltError("FOLDER_UNWRITABLE", todo, folder=there, reason=error.strerror) from error
