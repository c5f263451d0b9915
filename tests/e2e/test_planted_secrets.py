"""Secrets are planted, then everything that is said, logged and written is searched for them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.exchange_house import House

from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.exchange.faults import Fault
from palmbot.exchange.grants import Application

CLIENT_SECRET = "planted-secret/with+signs"  # noqa: S105 - planted on purpose
KEY = "planted-key-of-many-letters"
# every line of every library's log goes to stderr, unless the program itself sees to it that it does not
LOUD = """
import logging
logging.basicConfig(level=1)
logging.getLogger("numba").setLevel("WARNING")  # it tells of nothing but compiling, at length
from palmbot.cli.main import main
main()
"""
VISIT = """
import os, sys
del os.environ["SSLKEYLOGFILE"]
import httpx
httpx.get(sys.argv[1], follow_redirects=True, trust_env=False)
"""


class Bench:
    """A person's folder beside an exchange, and everything that was said there."""

    def __init__(self, house: House, folder: Path, inputs: Path) -> None:
        self.house = house
        self.folder = folder
        self.said: list[str] = []
        self.secrets = [CLIENT_SECRET, KEY]
        ready = inputs / "ready.json"
        ready.write_text(json.dumps(house.ready.to_json()))
        visit = inputs / "visit.py"
        visit.write_text(VISIT)
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("PALMBOT_", "CTRADER_"))}
        self.environ = clean | {
            "CTRADER_CLIENT_ID_DEMO": "client",
            "CTRADER_CLIENT_SECRET_DEMO": CLIENT_SECRET,
            "CTRADER_ACCOUNT_ID_DEMO": "1",
            "CTRADER_EXCHANGE_DEMO": str(ready),
            "PALMBOT_TOKEN_KEY": KEY,
            "BROWSER": f"{sys.executable} {visit} %s &",
            "SSLKEYLOGFILE": str(folder / "keys-of-connections"),
        }

    def new_text(self) -> str:
        """Return a token or code that is searched for."""
        self.secrets.append(f"planted-text-{len(self.secrets):03d}-0123456789abcdef")
        return self.secrets[-1]

    async def run(self, *words: str) -> int:
        """Run ``palmbot words``, as loud as it gets; keep what it says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LOUD, *words, cwd=self.folder, env=self.environ, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        self.said += [out.decode(), err.decode()]
        assert process.returncode is not None
        return process.returncode

    def let_a_minute_pass(self) -> None:
        """Let the tokens have been asked for long ago."""
        vault = TokenVault(self.folder / "palmbot-data" / "tokens", "demo", TokenSeal("demo", GivenKey(KEY)))
        tokens = vault.load()
        assert tokens is not None
        vault.save(replace(tokens, asked_ms=0))

    def found(self) -> Iterator[str]:
        """Yield where a secret is, in any form in which it could have been said or written."""
        written = {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        said = {f"what was said, {number}": text.encode() for number, text in enumerate(self.said)}
        for secret in self.secrets:
            for form in {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}:
                yield from (f"{form} in {place}" for place, data in (written | said).items() if form.encode() in data)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    for name in ("exchange", "inputs", "person"):
        (tmp_path / name).mkdir()
    house = await House.open(tmp_path / "exchange")
    running = Bench(house, tmp_path / "person", tmp_path / "inputs")
    house.grants._new_text = running.new_text
    house.grants.register(Application("client", CLIENT_SECRET, None))
    yield running
    await house.close()


async def test_no_secret_is_ever_said_or_written_but_into_the_vault(bench: Bench) -> None:
    login = ("auth", "login", "--env", "demo", "-v")
    assert await bench.run(*login) == 0, bench.said
    assert await bench.run("auth", "refresh", "-v") == 0, bench.said
    assert len(bench.secrets) == 2 + 1 + 2 + 2  # a code, and two pairs

    bench.let_a_minute_pass()
    bench.house.faults.once(Fault.LOSE_TOKEN_REPLY)
    assert await bench.run("auth", "refresh", "-v") == 1
    assert "TOKEN_ANSWER_LOST" in bench.said[-1]
    bench.let_a_minute_pass()
    assert await bench.run("auth", "refresh", "-v", "--json") == 1
    assert "LOGIN_NEEDED" in bench.said[-1]
    assert await bench.run("auth", "status", "-v") == 0
    assert "dead" in bench.said[-2]

    bench.environ["CTRADER_ACCOUNT_ID_DEMO"] = "99"
    assert await bench.run(*login) == 3
    bench.environ["CTRADER_CLIENT_SECRET_DEMO"] = f"{CLIENT_SECRET}x"
    assert await bench.run(*login) == 1
    assert "CODE_REFUSED" in bench.said[-1]

    assert len(bench.secrets) == 13
    assert list(bench.found()) == []
    assert not (bench.folder / "keys-of-connections").exists()
    tokens = bench.folder / "palmbot-data" / "tokens"
    assert {path.name for path in tokens.iterdir()} == {"redirect_uri", "demo.tokens", "demo.lock"}


async def test_a_secret_that_is_said_or_written_is_found(bench: Bench) -> None:
    secret = bench.new_text()
    bench.said.append(f"GET /apps/token?client_secret={quote(CLIENT_SECRET, safe='')}")
    (bench.folder / "log").write_text(secret)
    assert len(list(bench.found())) == 2
