"""Small files for one pair of eyes: replaced as a whole and durably, and refused when others could read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from palmbot.errors import HaltError, RefusedError

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_SIZE_MAX: Final = 1_000_000


def read_private(path: Path) -> bytes | None:
    """Return what ``path`` holds, or None where there is no such file.

    Raises:
        RefusedError: ``FILE_EXPOSED``, others can read it or put another in its place.
        HaltError: ``FILE_UNREADABLE``.
    """
    try:
        # a link would let whoever may write the folder choose what is read; a pipe would never end
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _unreadable(path, "no plain file")
        _refuse_exposed(path, status, _OTHERS)
        _refuse_exposed(path.parent, path.parent.stat(), _OTHERS_WRITE)
        return os.read(handle, _SIZE_MAX)
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    finally:
        os.close(handle)


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``; when this returns, data and name are on the disk.

    A crash at any instant leaves the old file or the new one.

    Raises:
        RefusedError: ``FILE_EXPOSED``, others may write its folder.
        HaltError: ``FILE_UNWRITABLE``, the old file is still there.
    """
    fresh = path.with_name(f"{path.name}.new")
    make_private_folder(path.parent)
    try:
        fresh.unlink(missing_ok=True)  # left by a crash, perhaps with another mode
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def remove_private(path: Path) -> bool:
    """Remove ``path`` durably, with what a crash left of a newer one; return whether it was there.

    Raises:
        HaltError: ``FILE_UNWRITABLE``.
    """
    try:
        path.with_name(f"{path.name}.new").unlink(missing_ok=True)
        path.unlink()
        _sync_folder(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def make_private_folder(folder: Path) -> None:
    """Make ``folder``, for its owner alone, unless it is there.

    Raises:
        RefusedError: ``FILE_EXPOSED``, it is there and others may write it.
        HaltError: ``FILE_UNWRITABLE``.
    """
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(FOLDER_MODE, exist_ok=True)
            _sync_folder(folder.parent)
        status = folder.stat()
    except OSError as error:
        raise _unwritable(folder, error) from error
    _refuse_exposed(folder, status, _OTHERS_WRITE)


def _refuse_exposed(path: Path, status: os.stat_result, banned: int) -> None:
    if status.st_uid != os.geteuid():
        todo = "Run palmbot as the user who owns this, or give it to this user (chown)."
        raise RefusedError("FILE_EXPOSED", todo, file=path, owner=status.st_uid, user=os.geteuid())
    if stat.S_IMODE(status.st_mode) & banned:
        mode = FOLDER_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE
        todo = f"chmod {mode:o} it; if somebody may have read it, log in again: that makes new tokens."
        raise RefusedError("FILE_EXPOSED", todo, file=path, mode=f"{stat.S_IMODE(status.st_mode):o}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unreadable(path: Path, reason: str | None) -> HaltError:
    todo = "Make it a plain file that this user can read; or move it away and log in again."
    return HaltError("FILE_UNREADABLE", todo, file=path, reason=reason)


def _unwritable(path: Path, error: OSError) -> HaltError:
    todo = "Make its folder writable for this user, on a disk that has space."
    return HaltError("FILE_UNWRITABLE", todo, file=path, reason=error.strerror)
