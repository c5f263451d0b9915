"""An exchange in a process of its own, for the measurements of the wire: ``python -m bench.exchange PLAN``.

It is the server of ``palmbot exchange`` with its limits off and a market that the plan names. It prints the line that
tells clients where it is, does the next thing of its plan at each line that it is sent, and at the end of its input
prints what it measured. ``opened_beside`` starts one, and ends it whatever happens.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.exchange import new_text
from palmbot.calendar import Session
from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.engine import Engine
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import Feed, FeedTick, GeneratedFeed
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.market_arrays import history
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning, Pace
from palmbot.exchange.premises import Files, Ready, Surroundings, open_to_clients, server_of
from palmbot.exchange.server import Server
from palmbot.exchange.values import NewOrder, Told
from palmbot.instruments import PALM_OIL
from palmbot.model import HistoryBar, OrderKind
from palmbot.protocol.frames import encode
from palmbot.protocol.messages import pb
from palmbot.units import HOUR_MS, RATE_ONE_E8, SECOND_MS

ROOT = Path(__file__).parents[1]
SPEC = replace(PALM_OIL, session=Session())  # always open
BALANCE_MINOR = 10_000_000
START_MS = 1_704_708_000_000  # Monday, 8 January 2024, 10:00 UTC
BID_PX, ASK_PX = 400_000_000, 400_200_000
PULSE_S = 0.005  # a flood is written so often
KNOBS = Knobs(starts_market=False, per_second=None, historical_per_second=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an exchange is for. ``speed`` 0 is a market of ``ticks`` ticks, one a second; else the generated one.

    ``floods`` are so many spot events at so many a second each, 0 for as fast as the client reads, written as bytes
    that were made before: one flood a line of input instead of a market.
    """

    accounts: int = 1
    has_positions: bool = False  # each account holds one
    speed: float = 0.0
    ticks: int = 1
    floods: tuple[tuple[int, int], ...] = ()


class Beside:
    """An exchange in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ready = Ready(**self._line())

    def go_on(self) -> None:
        """Let it do the next thing of its plan."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def report(self) -> dict[str, Any]:
        """End it; return what it measured."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        return self._line()

    def _line(self) -> dict[str, Any]:
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise RuntimeError("the exchange beside ended by itself")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def opened_beside(plan: Plan) -> Iterator[Beside]:
    """Give an exchange in a process of its own."""
    words = [sys.executable, "-m", "bench.exchange", json.dumps(asdict(plan))]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Beside(process)
        finally:
            process.kill()


class Steady:
    """The feed of a market that ticks once a second."""

    rolls: Sequence[tuple[int, int]] = ()
    history: Sequence[HistoryBar] = ()
    at_boundary = True

    def __init__(self, ticks: int) -> None:
        self._left = ticks
        self._ts_ms = START_MS

    def next_tick(self, side: int) -> FeedTick | None:  # noqa: ARG002 - it has none for any side
        """Return the next tick."""
        if self._left == 0:
            return None
        self._left -= 1
        self._ts_ms += SECOND_MS
        bid_px = BID_PX + self._left % 7 * 100_000
        return FeedTick(self._ts_ms, bid_px, bid_px + ASK_PX - BID_PX, False, bid_px, RATE_ONE_E8)  # noqa: FBT003 - a tuple

    def position_state(self) -> dict[str, Any]:
        """Return nothing: nobody goes on from here."""
        return {}


class Stamps:
    """Hears of each tick before anybody else: when it was in the books."""

    def __init__(self) -> None:
        self.settled_ns: dict[int, int] = {}
        self.cpu_s: list[float] = []  # of this process at each tick

    def told(self, account_id: int, told: Told) -> None:
        """Nothing."""

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Note a tick's time on the machine's clock, which all processes share."""
        if symbol_id == 1:
            self.settled_ns[tick.ts_ms] = time.monotonic_ns()
            self.cpu_s.append(time.process_time())

    def ended(self) -> None:
        """Nothing."""


def _feed(plan: Plan) -> Feed:
    if plan.speed == 0.0:
        return Steady(plan.ticks)
    past, state = history(SPEC, 1, 500, HOUR_MS)
    return GeneratedFeed(SPEC, state, 0, past)


def _hold_positions(engine: Engine) -> None:
    """Let each account buy the least there is."""
    catalogue = engine.venue.catalogue
    order = NewOrder(catalogue.traded_id, OrderKind.MARKET, 1, SPEC.core.volume_min_cu)
    for account_id in engine.venue.accounts:
        engine.request(account_id, order)


def _flood_of(count: int, start_ms: int) -> list[bytes]:
    """Return so many spot events as one piece of bytes for each pulse; fifty a millisecond of market time."""
    rng = Random(start_ms)
    moved_px = [rng.randrange(-200, 200) * 100_000 for _ in range(1_000)]
    frames = [
        encode(
            pb.SpotEvent(
                ctidTraderAccountId=1,
                symbolId=1,
                bid=BID_PX + moved_px[index % 997],
                ask=ASK_PX + moved_px[index % 991] + 40_000_000,
                timestamp=start_ms + index // 50,
            )
        )
        for index in range(count)
    ]
    a_pulse = 250
    return [b"".join(frames[at : at + a_pulse]) for at in range(0, count, a_pulse)]


async def _pour(server: Server, pieces: Sequence[bytes], count: int, per_second: int) -> float:
    """Write a flood to the one client there is; return how many seconds it took."""
    connection = next(iter(server.connections.values()))
    transport = connection._transport  # noqa: SLF001 - past the session, which would encode each event
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for index, piece in enumerate(pieces, 1):
        while connection.is_slow:  # noqa: ASYNC110 - it tells nobody when it is not any more
            await asyncio.sleep(PULSE_S / 10)
        if transport is not None:
            transport.write(piece)
        due = begun + index / len(pieces) * count / per_second if per_second else 0.0
        if per_second == 0 or due > loop.time():
            await asyncio.sleep(max(due - loop.time(), 0.0))
    return loop.time() - begun


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _serve(plan: Plan, books: Books, folder: Path) -> None:
    clock, catalogue, stamps = SystemClock(), catalogue_of(SPEC), Stamps()
    accounts = tuple(plain_account(number, catalogue, BALANCE_MINOR) for number in range(1, plan.accounts + 1))
    engine = opened(Opening(catalogue, accounts, LOCK_STEP), _feed(plan), books, FreeRunning())
    engine.add_listener(stamps)
    files = Files.beside(folder / "exchange")
    server = server_of(engine, files, Surroundings(clock, new_text), KNOBS, Faults(Random(1)))
    if plan.has_positions:
        engine.start()
        await engine.run()
        _hold_positions(engine)
    floods = [
        (_flood_of(count, START_MS + HOUR_MS * at), count, speed) for at, (count, speed) in enumerate(plan.floods)
    ]
    poured: list[float] = []
    market: asyncio.Task[None] | None = None
    ready = await open_to_clients(server, files)
    print(json.dumps(ready.to_json()), flush=True)
    lines = await _lines()
    while await lines.readline():
        if floods:
            poured.append(await _pour(server, *floods.pop(0)))
        else:
            market = asyncio.create_task(engine.run(Pace(clock, plan.speed or 1.0, SPEC.session)))
            engine.start()
    report = {"settled_ns": stamps.settled_ns, "cpu_s": stamps.cpu_s, "poured_s": poured}
    print(json.dumps(report), flush=True)
    if market is not None:
        market.cancel()
    await server.close()


def main(plan: Plan) -> None:
    """Serve clients until the input ends."""
    with TemporaryDirectory() as folder, closing(Books(":memory:")) as books:
        asyncio.run(_serve(plan, books, Path(folder)))


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
