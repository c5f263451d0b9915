"""What ``palmbot doctor --json`` answers in a folder of a test's own, run in this process beside the test's loop."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.scripted_peer import ACCOUNT, SECRET, TOKEN
from tests.tls_servers import HERE

from palmbot.cli.main import execute

HOME = ("configuration", "disk", "database", "server", "credentials", "token")
SERVER = (
    *("name resolution", "connection", "TLS handshake", "TLS version", "TLS cipher", "certificate chain"),
    *("certificate expiry", "round trip", "clock", "demo against live"),
)
BROKER = ("application", "account", "access rights", "account type", "symbol", "instrument", "conversion")
NAMES = (*HOME, *SERVER, *BROKER)
STOOD_IN = {"clock", "demo against live"}
KEY = "a-key-of-many-planted-letters"


@dataclass(frozen=True)
class Report:
    """What the command answered."""

    exit_code: int
    checks: dict[str, dict[str, Any]]
    text: str

    @property
    def failed(self) -> dict[str, str]:
        """The details of what is wrong, by name."""
        return {name: each["detail"] for name, each in self.checks.items() if each["ok"] is False}

    @property
    def unchecked(self) -> set[str]:
        return {name for name, each in self.checks.items() if each["ok"] is None}


class Practice:
    """A person's folder, and the doctor to be called there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PALMBOT_TOKEN_KEY", KEY)
        self._capsys = capsys

    async def look(self, *words: str) -> Report:
        """Run the command; every report has the same lines, each failed one with what to do."""
        code = await asyncio.to_thread(execute, ["doctor", "--json", *words])
        out, err = self._capsys.readouterr()
        assert err == ""
        checks = json.loads(out)["checks"]
        assert [each["name"] for each in checks] == list(NAMES)
        assert all(list(each) == ["name", "ok", "detail", "todo"] for each in checks)
        assert all(each["todo"] for each in checks if each["ok"] is False)
        assert (code == 1) == any(each["ok"] is False for each in checks)
        return Report(code, {each["name"]: each for each in checks}, out)


def write(name: str, text: str | bytes) -> None:
    """Write a file in the person's folder."""
    file = Path(name)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def ready_of(port: int, root: Path, host: str = HERE) -> str:
    """Write the ready line of a scripted broker; return the file."""
    line = {
        "host": host,
        "port": port,
        "token_url": f"http://{HERE}:1/apps/token",
        "client_id": "app",
        "client_secret": SECRET,
        "access_token": TOKEN,
        "refresh_token": "refresh-token",
        "account_id": ACCOUNT,
        "symbol_id": 22,
        "ca_file": str(root),
    }
    write("ready.json", json.dumps(line))
    return "ready.json"
