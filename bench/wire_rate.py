"""How many spot events a second the client keeps up with, and what they cost, while its consumer is slow.

The sender is a process of its own: the exchange's server, which the real client logs in to over verified TLS, and then
one flood of spot events that were encoded before, past the server's own session. Here run the real ``Ctrader`` with its
link, session and decoder, and the real ``Inbox`` whose reader takes one event every ten milliseconds, a hundred a
second: everything else is conflated. Market time goes at its real pace, fifty events a millisecond.

``paced`` offers 50,000 events a second for six seconds: ``events_a_second`` is what arrived between the first and the
last of them, ``core_share`` the processor time of this process by wall time, ``late_s`` how long after the sender was
done the last one was taken in. ``flat_out`` offers as much as is read, which two processes on a machine with less than
two free cores do not show: ``events_a_cpu_second`` is what one core could do. Memory is this process's resident set at
the start, half and end, and its greatest value. Aims: 50,000 events a second with flat memory.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.exchange import SPEC, Beside, Plan, opened_beside
from bench.figures import machine, rss_mb
from bench.visitor import credentials_of
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_link import real_dial
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.tls import client_context
from palmbot.live.inbox import Inbox

PER_SECOND = 50_000
FLOODS = {"warm_up": (5_000, 0), "paced": (300_000, PER_SECOND), "flat_out": (200_000, 0)}
CONSUMED_EVERY_S = 0.01
LIMIT_S = 60.0


class _Count:
    """Counts what arrives in one flood; called after every batch, when all of it is in the inbox."""

    def __init__(self) -> None:
        self.client: Ctrader | None = None
        self._before = 0
        self._expected = 0
        self._begun: tuple[float, float] | None = None
        self._done = asyncio.Event()
        self.memory_mb: dict[str, float] = {}

    def expect(self, events: int) -> None:
        """Begin a flood."""
        self._before, self._expected, self._begun = self._received(), events, None
        self.memory_mb = {"start": rss_mb()}
        self._done.clear()

    def came(self) -> None:
        """Look at how far it is."""
        count = self._received() - self._before
        if self._expected == 0 or count <= 0:
            return
        if self._begun is None:
            self._begun = time.perf_counter(), time.process_time()
        if count >= self._expected // 2 and "half" not in self.memory_mb:
            self.memory_mb["half"] = rss_mb()
        if count >= self._expected:
            self._done.set()

    async def ended(self) -> dict[str, Any]:
        """Wait for the end of the flood; return its figures."""
        most = 0.0
        async with asyncio.timeout(LIMIT_S):
            while not self._done.is_set():
                most = max(most, rss_mb())
                await asyncio.sleep(CONSUMED_EVERY_S * 10)
        begun_s, begun_cpu_s = self._begun or (0.0, 0.0)
        wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
        self.memory_mb["end"] = rss_mb()
        return {
            "events": self._expected,
            "events_a_second": round(self._expected / wall_s),
            "core_share": round(cpu_s / wall_s, 2),
            "events_a_cpu_second": round(self._expected / cpu_s),
            "memory_mb": {**self.memory_mb, "most": max(most, self.memory_mb["end"])},
            "seconds": wall_s,
        }

    def _received(self) -> int:
        return 0 if self.client is None else self.client.frames_received


def measure() -> dict[str, Any]:
    """Return rates, shares of a core and memory of both floods."""
    with opened_beside(Plan(floods=tuple(FLOODS.values()))) as exchange:
        figures, consumed = asyncio.run(_flooded(exchange))
        poured_s = exchange.report()["poured_s"]
    for each, sent_s in zip(figures.values(), poured_s, strict=True):
        each["late_s"] = round(each.pop("seconds") - sent_s, 3)
    del figures["warm_up"]  # it loads what is compiled
    aim = f"{PER_SECOND} events a second, flat memory"
    return {**figures, "events_consumed": consumed, "aim": aim, "machine": machine()}


async def _flooded(exchange: Beside) -> tuple[dict[str, dict[str, Any]], int]:
    inbox, count = Inbox(), _Count()
    consumed = 0

    async def consume() -> None:
        nonlocal consumed
        while True:
            await inbox.get()
            consumed += 1
            await asyncio.sleep(CONSUMED_EVERY_S)

    async with _client(exchange, inbox, count) as client:
        await client.subscribe(SPEC.symbol)
        consumer = asyncio.create_task(consume())
        figures = {}
        for name, (events, _) in FLOODS.items():
            count.expect(events)
            exchange.go_on()
            figures[name] = await count.ended()
        consumer.cancel()
    return figures, consumed


@asynccontextmanager
async def _client(exchange: Beside, inbox: Inbox, count: _Count) -> AsyncIterator[Ctrader]:
    ready = exchange.ready
    dial = real_dial(ready.host, ready.port, client_context(ready.host, Path(ready.ca_file)))
    token = FixedToken(ready.access_token)
    wires = CtraderWires(dial, SystemClock(), random.Random(1), token, inbox, count.came)
    config = CtraderConfig(credentials_of(ready, None), SPEC.symbol, SPEC.core.day_start_ms)
    count.client = client = Ctrader(config, wires)
    session = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
