"""A client and a scripted broker in virtual time: hours pass in milliseconds, and every run is the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from tests.scripted_peer import MYR, SECRET, TOKEN, Peer

from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_keeper import Patience
from palmbot.adapters.ctrader_login import TokenSource
from palmbot.errors import PalmbotError
from palmbot.live.inbox import Inbox
from palmbot.model import BrokerEvent, IntentKind, LinkEvent, LinkState, OrderEvent, OrderIntent
from palmbot.settings import CtraderCredentials, Environment
from palmbot.simulation.clock import NodeClock
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.pipe import Conditions

EPOCH_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00Z
START_MS = 777_000
CREDENTIALS = CtraderCredentials(Environment.DEMO, "app", SECRET)


class Wallet:
    """Tokens as a test wants them: ``refreshes`` counts, and ``next`` is what the next refresh brings."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.next: list[str | PalmbotError] = []
        self.refreshes: list[int] = []
        self.now_ms: Callable[[], int] = lambda: 0

    def current(self) -> str:
        return self.token

    async def refresh(self, refused: str, code: str) -> None:
        assert (refused, bool(code)) == (self.token, True)
        self.refreshes.append(self.now_ms())
        given = self.next.pop(0) if self.next else self.token
        if isinstance(given, PalmbotError):
            raise given
        self.token = given


class World:
    """``peer`` is the broker, ``ctrader`` the client, ``inbox`` what it told. ``play`` runs a story in virtual time."""

    def __init__(
        self,
        environment: Environment = Environment.DEMO,
        deposit_asset_id: int = MYR,
        patience: Patience | None = None,
        tokens: TokenSource | None = None,
        account: int | None = None,
        client: type[Ctrader] = Ctrader,
    ) -> None:
        self.loop = VirtualLoop()
        self.clock = NodeClock(self.loop, EPOCH_MS, start_ms=START_MS)
        self.network = Network(self.loop, random.Random("1:network"), Conditions(slice_share=0.5))
        self.peer = Peer(self.clock.monotonic_ms, deposit_asset_id)
        self.wallet = Wallet()
        self.wallet.now_ms = self.clock.monotonic_ms
        self.inbox = Inbox()
        self.batches = 0
        self._is_failure_heard = False
        self.running: asyncio.Task[None]
        credentials = CtraderCredentials(environment, "app", SECRET, account)
        config = CtraderConfig(credentials, "PALMOIL", 0, Patience() if patience is None else patience)
        wires = CtraderWires(
            dial=self.network.dial("ctrader"),
            clock=self.clock,
            rng=random.Random("1:ids"),
            tokens=self.wallet if tokens is None else tokens,
            inbox=self.inbox,
            on_received=self._count,
        )
        self.ctrader = client(config, wires)

    def _count(self) -> None:
        self.batches += 1

    def play(self, story: Callable[[World], Awaitable[None]]) -> None:
        """Run ``story`` beside the client; what the client fails with is for ``failure`` to hear, else it is raised."""

        async def told() -> None:
            self.network.listen("ctrader", self.peer.connection)
            self.running = asyncio.create_task(self.ctrader.run(), name="ctrader")
            await story(self)
            self.running.cancel()
            (outcome,) = await asyncio.gather(self.running, return_exceptions=True)
            if isinstance(outcome, Exception) and not self._is_failure_heard:
                raise outcome

        try:
            self.loop.run_until_complete(told())
        finally:
            self.loop.close()

    async def ready(self) -> None:
        """Wait until the session is there."""
        while not self.ctrader.is_ready and not self.running.done():  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.05)

    async def listening(self) -> None:
        """Wait until the session is there and quotes flow."""
        await self.ready()
        await self.ctrader.subscribe("PALMOIL")
        await asyncio.sleep(0.1)
        self.told()

    async def failure(self) -> BaseException | None:
        """Wait until the client gives up, and return why."""
        self._is_failure_heard = True
        await asyncio.wait([self.running])
        return self.running.exception()

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def told(self) -> list[BrokerEvent]:
        """Return what waits in the inbox and empty it."""
        return list(iter(self.inbox.take, None))

    def order_events(self) -> list[OrderEvent]:
        """Return what is told of orders, and empty the inbox."""
        return [event for event in self.told() if isinstance(event, OrderEvent)]

    def states(self) -> list[LinkState]:
        """Return the news of the link that wait in the inbox, and empty it."""
        return [event.state for event in self.told() if isinstance(event, LinkEvent)]


Story = Callable[[World], Awaitable[None]]


def story(
    environment: Environment = Environment.DEMO, deposit_asset_id: int = MYR, patience: Patience | None = None
) -> Callable[[Story], Callable[[], None]]:
    """Let pytest run an asynchronous story in a world of its own."""

    def decorate(tell: Story) -> Callable[[], None]:
        def test() -> None:
            World(environment, deposit_asset_id, patience).play(tell)

        test.__name__ = getattr(tell, "__name__", "test")
        return test

    return decorate


def entering(name: str = "ab12.rs.PALMOI.h8k2z.E1.3", **fields: int) -> OrderIntent:
    given = {"sl_px": 6_050_000, "tp_px": 8_000_000} | fields
    return OrderIntent(IntentKind.ENTER, name, "PALMOIL", 1, 2_500, 50, 1_000, **given)


def closing(name: str = "ab12.rs.PALMOI.h8k2z.X1.3", position_id: int = 501) -> OrderIntent:
    return OrderIntent(IntentKind.CLOSE, name, "PALMOIL", -1, 2_500, 60, 1_000, position_id=position_id)


def amending(
    sl_px: int = 395_000_000, tp_px: int = 409_050_000, name: str = "ab12.rs.PALMOI.h8k2z.A1.3"
) -> OrderIntent:
    return OrderIntent(IntentKind.AMEND, name, "PALMOIL", 1, 0, 62, 1_000, sl_px=sl_px, tp_px=tp_px, position_id=501)
