"""A whole exchange in this process, over real TLS; its market moves when a test says so."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.wire_client import PATIENCE_S, WireClient

from palmbot.adapters.clock import SystemClock
from palmbot.calendar import Session
from palmbot.errors import HaltError
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.changes import Standing
from palmbot.exchange.conduct import Conduct
from palmbot.exchange.engine import Engine
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning
from palmbot.exchange.premises import Files, Ready, Surroundings, open_to_clients, server_of
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.model import HistoryBar
from palmbot.units import RATE_ONE_E8

SPEC = replace(PALM_OIL, session=Session())  # always open
START_MS = 1_704_708_000_000  # Monday, 8 January 2024, 10:00 UTC
BALANCE = 10_000_000
BID, ASK = 400_000_000, 400_200_000
LOT = SPEC.core.lot_cu


@asynccontextmanager
async def house_in(folder: Path, plan: Plan | None = None) -> AsyncIterator[House]:
    """Give an exchange that listens, and close it in order."""
    house = await House.open(folder, plan)
    try:
        yield house
    finally:
        await house.close()


class StillFeed:
    """A market that does not move by itself."""

    rolls = ()
    at_boundary = True

    def __init__(self, history: Sequence[HistoryBar] = ()) -> None:
        self.history = history

    def next_tick(self, side: int) -> FeedTick | None:  # noqa: ARG002 - it has none for any side
        return None

    def position_state(self) -> dict[str, Any]:
        return {}


@dataclass
class Plan:
    """What a house is built of."""

    knobs: Knobs = field(default_factory=lambda: Knobs(per_second=None))
    conduct: Conduct = field(default_factory=Conduct)
    spec: InstrumentSpec = SPEC
    catalogue: Catalogue | None = None
    accounts: tuple[int, ...] = (1, 2)
    standings: tuple[Standing, ...] = ()  # instead of plain accounts
    history: Sequence[HistoryBar] = ()


class House:
    """An exchange, and the line that says where it is."""

    def __init__(self, engine: Engine, files: Files, plan: Plan) -> None:
        secrets = itertools.count(1)
        self.engine = engine
        self.clock = SystemClock()
        self.faults = Faults(Random(1))
        self.failures: list[HaltError] = []
        self.farewells: dict[int, str] = {}
        self.server = server_of(
            engine, files, Surroundings(self.clock, lambda: f"text-{next(secrets)}"), plan.knobs, self.faults
        )
        self.server.on_failure = self.failures.append
        self.server.on_farewell = self._left
        self._someone_left = asyncio.Event()
        self.clients: list[WireClient] = []  # hung up at the end
        self.grants = self.server.desk.grants
        self.now_ms = START_MS
        self._files = files
        self.ready: Ready

    @classmethod
    async def open(cls, folder: Path, plan: Plan | None = None) -> House:
        """Build a house and let it listen."""
        plan = plan or Plan()
        catalogue = plan.catalogue or catalogue_of(plan.spec)
        standings = plan.standings or tuple(plain_account(each, catalogue, BALANCE) for each in plan.accounts)
        opening = Opening(catalogue, standings, plan.conduct)
        engine = opened(opening, StillFeed(plan.history), Books(":memory:"), FreeRunning())
        house = cls(engine, Files.beside(folder / "books"), plan)
        house.ready = await open_to_clients(house.server, house._files)
        return house

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        await self.server.close()
        self.engine.books.close()

    def _left(self, number: int, why: str) -> None:
        self.farewells[number] = why
        self._someone_left.set()

    async def until_left(self, *numbers: int) -> list[str]:
        """Wait until these connections are gone; return why."""
        async with asyncio.timeout(PATIENCE_S):
            while not all(each in self.farewells for each in numbers):
                self._someone_left.clear()
                await self._someone_left.wait()
        return [self.farewells[each] for each in numbers]

    # -- the market

    def tick(self, bid_px: int = BID, ask_px: int | None = None, after_ms: int = 1_000) -> None:
        """Let the traded symbol tick."""
        self.now_ms += after_ms
        ask_px = bid_px + ASK - BID if ask_px is None else ask_px
        self.engine._settle(
            FeedTick(self.now_ms, bid_px, ask_px, is_jump=False, bar_open_px=bid_px, rate_e8=RATE_ONE_E8)
        )

    def later(self, after_ms: int = 500) -> None:
        """Let time pass without a tick."""
        self.now_ms += after_ms
        self.engine._pass(self.now_ms)

    # -- clients

    async def dial(self, prefix: str = "t") -> WireClient:
        """Connect, and nothing more."""
        client = await WireClient.dial(self.ready.port, Path(self.ready.ca_file), prefix)
        self.clients.append(client)
        return client

    async def client(self, *account_ids: int, prefix: str = "t") -> WireClient:
        """Connect, and authorise the application and accounts."""
        client = await self.dial(prefix)
        await client.log_in(self.ready.client_id, self.ready.client_secret)
        for account_id in account_ids:
            await client.open_account(account_id, self.ready.access_token)
        return client
