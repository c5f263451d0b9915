"""``palmbot data fetch`` as a person runs it: killed, stopped, run again, and used."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.exchange_house import BID, START_MS, House, Plan, house_in

from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.token_store import store_of
from palmbot.exchange.periods import Period
from palmbot.exchange.prices import BarsPage, Query
from palmbot.exchange.values import Refused
from palmbot.model import Granted, HistoryBar, Scope, Tokens
from palmbot.protocol.messages import pb
from palmbot.settings import Environment, TokenSettings
from palmbot.units import DAY_MS, HOUR_MS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PALMBOT = Path(sys.executable).with_name("palmbot")
KEY = "a-key-of-more-than-thirty-two-characters"
HOURS = 6_100  # two windows
FIRST_MS = START_MS - HOURS * HOUR_MS
PATIENCE_S = 120


def past() -> list[HistoryBar]:
    """Return hours of a price that swings enough to be traded."""
    bars = []
    for number in range(HOURS):
        px = BID + 500_000 * (abs(number % 120 - 60) - 30)
        bars.append(HistoryBar(FIRST_MS + number * HOUR_MS, px, px + 400_000, px - 400_000, px))
    return bars


@dataclass
class Fetched:
    """How a fetch ended."""

    code: int
    out: str
    err: str

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.out)
        return body


@dataclass
class Home:
    """A person's folder, and an exchange whose every question about bars is seen."""

    house: House
    folder: Path
    windows: list[tuple[int, int]] = field(default_factory=list)
    on_bars: Callable[[int], None] = lambda _count: None

    def __post_init__(self) -> None:
        prices = self.house.server.desk.prices[self.house.ready.symbol_id]
        serve = prices.trendbars

        def watched(period: Period, query: Query) -> BarsPage | Refused:
            if query.count is None and query.from_ms is not None and query.to_ms is not None:
                self.windows.append((query.from_ms, query.to_ms))
                self.on_bars(len(self.windows))
            return serve(period, query)

        prices.trendbars = watched  # type: ignore[method-assign]

    async def start(self, *words: str, at_most_bytes: int | None = None, **environ: str) -> asyncio.subprocess.Process:
        """Start ``palmbot``."""

        def limit() -> None:
            if at_most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (at_most_bytes, at_most_bytes))

        clean = {name: text for name, text in os.environ.items() if not name.startswith(("PALMBOT_", "CTRADER_"))}
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            PALMBOT, *words, cwd=self.folder, env=clean | environ, stdout=pipe, stderr=pipe, preexec_fn=limit
        )

    async def run(self, *words: str, at_most_bytes: int | None = None, **environ: str) -> Fetched:
        """Run ``palmbot`` to its end."""
        return await ended(await self.start(*words, at_most_bytes=at_most_bytes, **environ))


async def ended(process: asyncio.subprocess.Process) -> Fetched:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Fetched(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    folder = tmp_path / "home"
    folder.mkdir()
    async with house_in(tmp_path, Plan(history=past())) as house:
        house.tick(after_ms=0)
        (folder / "ready.json").write_text(json.dumps(house.ready.to_json()))
        yield Home(house, folder)


FETCH = ("data", "fetch", "--exchange", "ready.json", "--from", str(FIRST_MS), "--json")


async def test_killed_in_the_middle_it_goes_on_where_it_was_and_the_result_is_traded(home: Home) -> None:
    process = await home.start(*FETCH)
    home.on_bars = lambda count: process.kill() if count == 2 else None
    assert (await ended(process)).code == -signal.SIGKILL
    first, second = home.windows

    home.windows.clear()
    home.on_bars = lambda _count: None
    fetched = await home.run(*FETCH)
    assert fetched.code == 0, fetched.err
    assert home.windows == [second]  # the first is there
    assert second[0] == first[1] + 1 - HOUR_MS  # one bar again, to compare
    body = fetched.body
    assert (body["rows"], body["missing_bars"], body["missing_days"]) == (HOURS, 0, 0)
    frame = pl.read_parquet(home.folder / body["path"])
    assert frame["close_px"].to_list() == [bar.close_px for bar in past()]

    traded = await home.run("backtest", "--data", body["path"], "--profile", "rsi_trend", "--json")
    assert traded.code == 0, traded.err
    assert traded.body["summary"]["trades"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_wait_for_the_quota_is_said_and_ended_by_a_signal_at_once(home: Home, number: signal.Signals) -> None:
    for _ in range(9):
        home.house.faults.refuse("REQUEST_FREQUENCY_EXCEEDED", pb.GET_TRENDBARS_REQ)
    process = await home.start(*FETCH)
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while b"asking again in 2 s" not in await process.stderr.readline():
            pass
    process.send_signal(number)
    stopped = await ended(process)
    assert "asking again" not in stopped.err  # not even once: this wait was cut short
    assert stopped.code == 130
    assert json.loads(stopped.out)["error"]["code"] == "INTERRUPTED"
    assert "Traceback" not in stopped.err


async def test_a_full_disk_is_one_error_and_the_next_fetch_goes_on(home: Home) -> None:
    full = await home.run(*FETCH, at_most_bytes=20_000)
    assert full.code == 1
    assert full.body["error"]["code"] == "DATA_NOT_WRITTEN"
    assert (await home.run(*FETCH)).body["rows"] == HOURS


async def test_a_real_account_is_asked_with_its_own_tokens(home: Home) -> None:
    ready, now_ms = home.house.ready, SystemClock().utc_ms()
    tokens = Tokens(
        ready.access_token, ready.refresh_token, now_ms, now_ms + 30 * DAY_MS, Granted(Scope.TRADING, ()), account_id=1
    )
    store_of(TokenSettings(home.folder / "palmbot-data" / "tokens", KEY), Environment.DEMO).save(tokens)
    fetched = await home.run(
        *("data", "fetch", "--env", "demo", "--period", "1d", "--json"),
        PALMBOT_TOKEN_KEY=KEY,
        CTRADER_CLIENT_ID_DEMO=ready.client_id,
        CTRADER_CLIENT_SECRET_DEMO=ready.client_secret,
        CTRADER_EXCHANGE_DEMO="ready.json",
    )
    assert fetched.code == 0, fetched.err
    assert fetched.body["path"].endswith("PALMOIL-demo-1-1d.parquet")
    assert not any(secret in fetched.out + fetched.err for secret in (KEY, ready.client_secret, ready.access_token))


async def test_a_symbol_that_the_broker_has_not_is_one_error(home: Home) -> None:
    failed = await home.run(*FETCH, "--set", "instrument.symbol=COCOA")
    assert (failed.code, failed.body["error"]["code"]) == (2, "SYMBOL_NOT_FOUND")
    assert failed.err.startswith("SYMBOL_NOT_FOUND: symbol=COCOA")
