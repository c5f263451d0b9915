"""A PostgreSQL server of its own, in a folder of its own, reached through a socket there and nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres"  # the server refuses to run as root


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs, or None."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(installed[-1]) if installed else None)


def run(*words: str) -> None:
    """Run one of its programs, as the user that it wants to be."""
    as_user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **as_user)  # type: ignore[call-overload]  # a dict


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server; yield the URL of its database. Skips the test where PostgreSQL is not installed."""
    initdb, control = program("initdb"), program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("PostgreSQL is not on this machine")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's own folders are closed to other users
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        data = str(folder / "data")
        run(initdb, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C", "-U", USER, "-D", data)
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run(control, "-D", data, "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://{USER}:planted@/postgres?host={folder}"
        finally:
            run(control, "-D", data, "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
