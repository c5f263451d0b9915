"""The exchange in one process, the official client in another, and the transcript of their session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PALMBOT = Path(sys.executable).with_name("palmbot")
SDK = Path(sys.executable).parents[1] / "sdk" / "bin" / "python"
SESSION_S = 90
SPEED = "120"  # a new quote every few seconds; the session of a minute at most fits between two breaks of the market

Receipt = dict[str, Any]


class Transcript:
    """What the client's process printed, line by line."""

    def __init__(self, given: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        self.given = given
        self.lines = lines
        self.receipts: list[Receipt] = [line for line in lines if "asked" in line]

    def told(self, key: str) -> list[Any]:
        """Return what the lines of this kind say."""
        return [line[key] for line in self.lines if key in line]

    def answers(self, step: str) -> list[Receipt]:
        """Return every message with the id of ``step``."""
        return [receipt for receipt in self.receipts if receipt["asked"] == step]

    def body(self, step: str, index: int = 0) -> dict[str, Any]:
        """Return what an answer to ``step`` says."""
        body: dict[str, Any] = self.answers(step)[index]["body"]
        return body

    def events(self, name: str, since: str = "before_app") -> list[dict[str, Any]]:
        """Return what messages of this name say that nobody asked for, from the first answer to ``since`` on."""
        first = self.receipts.index(self.answers(since)[0])
        return [
            receipt["body"]
            for receipt in self.receipts[first:]
            if receipt["asked"] == "" and receipt["name"] == f"ProtoOA{name}"
        ]

    def everywhere(self, name: str) -> Iterator[Any]:
        """Yield the value of each field of this name, at any depth of any message."""
        pending: list[Any] = [receipt["body"] for receipt in self.receipts]
        while pending:
            part = pending.pop()
            if isinstance(part, dict):
                yield from (value for key, value in part.items() if key == name)
            if isinstance(part, dict | list):
                pending += part.values() if isinstance(part, dict) else part

    @property
    def executions(self) -> list[Receipt]:
        """Every execution event, in order."""
        return [receipt for receipt in self.receipts if receipt["name"] == "ProtoOAExecutionEvent"]

    @property
    def least(self) -> int:
        """The smallest volume: half of the one that is traded."""
        return int(self.body("symbol")["symbol"][0]["minVolume"])

    @property
    def protected(self) -> dict[str, Any]:
        """The event that protects the new position."""
        return self.events("ExecutionEvent", "entry")[0]

    def http(self, what: str) -> dict[str, Any]:
        """Return what the token endpoint replied."""
        reply: dict[str, Any] = next(line["reply"] for line in self.lines if line.get("http") == what)
        return reply


def summary(receipt: Receipt) -> str:
    """Return name and kind of a message."""
    body = receipt["body"]
    words = (receipt["name"].removeprefix("ProtoOA"), body.get("executionType"), body.get("errorCode"))
    return " ".join(word for word in words if word)


@contextmanager
def exchange(folder: Path) -> Iterator[Path]:
    """Serve ``palmbot exchange`` from a process of its own; yield the file with its line; end it as it wants to be."""
    command = [str(PALMBOT), "exchange", "--port", "0", "--speed", SPEED]
    with (folder / "exchange.txt").open("w+") as err:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=err, text=True
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()  # nothing at all when it ends before it is ready
            assert line, f"the exchange ended by itself: {(folder / 'exchange.txt').read_text()}"
            (folder / "exchange.json").write_text(line)
            yield folder / "exchange.json"
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, (folder / "exchange.txt").read_text()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def environment() -> dict[str, str]:
    """Return the environment of both processes: no settings of this bot's, and no proxy, which leads off loopback."""
    ours = ("PALMBOT_", "CTRADER_")
    return {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(ours) and not name.lower().endswith("_proxy")
    }


def run_official(module: str, *words: str) -> str:
    """Return what a module prints that runs in the official client's environment."""
    assert SDK.exists(), f"the official client's environment ({SDK.parents[1]}) is missing; `make test` makes it"
    command = [str(SDK), "-m", module, *words]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=SESSION_S, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout[-3_000:]}\n{ran.stderr}"
    return ran.stdout


def hold_session(folder: Path) -> Transcript:
    """Return the transcript of one session; its exchange lives as long as it does, in ``folder``."""
    with exchange(folder) as file:
        lines = [json.loads(line) for line in run_official("tests.sdk.session", str(file)).splitlines()]
        return Transcript(json.loads(file.read_text()), lines)
