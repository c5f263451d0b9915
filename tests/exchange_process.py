"""``palmbot exchange`` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.wire_client import WireClient

PALMBOT = Path(sys.executable).with_name("palmbot")
PATIENCE_S = 60


class Running:
    """An exchange in its own process."""

    def __init__(self, folder: Path, *words: str, port: int = 0) -> None:
        clean = {name: text for name, text in os.environ.items() if not name.startswith("PALMBOT_")}
        command: list[str | Path] = [PALMBOT, "exchange", "--port", str(port), *words]
        self.process = subprocess.Popen(
            command, cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.ready: dict[str, Any] = json.loads(line)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return exit code and what was printed after the ready line."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    async def client(self) -> WireClient:
        """Return a client that trades the account."""
        client = await WireClient.dial(self.ready["port"], Path(self.ready["ca_file"]))
        await client.log_in(self.ready["client_id"], self.ready["client_secret"])
        await client.open_account(self.ready["account_id"], self.ready["access_token"])
        return client

    async def get(self, url: str) -> tuple[str, str]:
        """Return head and body of a page."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return head, body


@contextmanager
def exchange(folder: Path, *words: str, port: int = 0) -> Iterator[Running]:
    """Start an exchange; kill it in the end if it still runs."""
    running = Running(folder, *words, port=port)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
