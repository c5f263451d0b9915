"""The bot as a process of a story: the real trader, runner, journal and cTrader client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from palmbot import CORE_HASH, __version__
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.journal import Journal
from palmbot.errors import InvariantError
from palmbot.exchange.pacer import FreeRunning
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.model import AccountSnapshot, BrokerEvent, Fill, JournalEvent, OrderIntent, Quote, Trade
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.orders.records import intent_of, order_event_of
from palmbot.ports import Clock
from palmbot.settings import CtraderCredentials
from palmbot.simulation.network import Dial
from palmbot.simulation.node import NODE
from palmbot.simulation.script import Script
from palmbot.simulation.trace import Trace

PROFILE: Final = "rsi_sentiment"


@dataclass(frozen=True, slots=True)
class Machine:
    """What one start of the bot is given by the world."""

    clock: Clock
    dial: Dial
    ids: random.Random
    credentials: CtraderCredentials
    access_token: str
    trace: Trace


class TracedJournal(Journal):
    """The real journal; what it is given is traced."""

    trace: Trace

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Write ``events`` durably."""
        for event in events:
            self.trace.record("bot", "append", event)
        return await super().append(events)

    def defer(self, events: Sequence[JournalEvent]) -> None:
        """Write ``events`` some time."""
        for event in events:
            self.trace.record("bot", "defer", event)
        super().defer(events)

    def die(self) -> None:
        """Let go of the database as the death of the process does: what was not committed is lost."""
        self._failed = InvariantError("JOURNAL_CLOSED", "The dead do not write.")
        self._connection.close()
        self._engine.dispose()


class TracedInbox(Inbox):
    """The real inbox; what is put in is traced, but for quotes: their frames are."""

    trace: Trace

    def put(self, event: BrokerEvent) -> None:
        """Append ``event``."""
        if not isinstance(event, Quote):
            self.trace.add("bot", f"hears {event!r}")
        super().put(event)


class BotProcess:
    """One start of the bot, to be made inside its node.

    Args:
        script: the story.
        machine: where it runs.
        journal_url: where it remembers; every start of one install has the same.
        epoch: of its lease.
    """

    def __init__(self, script: Script, machine: Machine, journal_url: str = "sqlite://", epoch: int = 1) -> None:
        spec = script.spec
        self.journal = TracedJournal.open(journal_url, inline=True)
        self.journal.trace = machine.trace
        node = NODE.get()
        if node is not None:
            node.at_crash(self.journal.die)
        inbox = TracedInbox(period_ms=script.period_ms, day_start_ms=spec.core.day_start_ms)
        inbox.trace = machine.trace
        self.client = Ctrader(
            CtraderConfig(machine.credentials, spec.symbol, spec.core.day_start_ms),
            CtraderWires(machine.dial, machine.clock, machine.ids, FixedToken(machine.access_token), inbox, inbox.wake),
        )
        started = self.journal.last("run_started")
        instance = f"{machine.ids.getrandbits(16):04x}" if started is None else str(started.body["instance"])
        owner = Owner(instance, PROFILE, spec.symbol, epoch)
        rules = Rules(script.params, spec.core, script.period_ms, spec.session, roll_day=spec.roll_day)
        self.trader = Trader(rules, Book(owner, script.balance_minor), script.timeline())
        wires = Wires(self.client, self.client, self.journal, FreeRunning(), machine.clock)
        self.runner = Runner(self.trader, wires, inbox, _about(script, owner))
        self.account: AccountSnapshot | None = None  # what the broker said at the end, and
        self.fills: list[Fill] = []  # the deals that it listed of every position that the journal knows
        self.trades: tuple[Trade, ...] = ()  # of the journal, as are
        self.intents: list[OrderIntent] = []
        self.task = asyncio.get_running_loop().create_task(self._run(), name="bot")

    async def _run(self) -> None:
        session = asyncio.get_running_loop().create_task(self.client.run(), name="session")
        session.add_done_callback(lambda _: self.runner.stop("the session ended"))
        try:
            await self.runner.run()
            await self._reconcile()
        finally:
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)
            await self.journal.close()

    async def _reconcile(self) -> None:
        """Ask the broker how it stands, over the wire."""
        self.trades = self.journal.trades()
        self.intents = [intent_of(record) for record in self.journal.events("intent")]
        self.account = await self.client.account()
        events = (order_event_of(record) for record in self.journal.events("order_event"))
        numbers = dict.fromkeys(event.position.position_id for event in events if event.position is not None)
        for number in numbers:
            self.fills += await self.client.deals(number)


def _about(script: Script, owner: Owner) -> dict[str, object]:
    """Return the body of the record of a start."""
    return {
        "run_id": f"{owner.instance}-{owner.epoch}",
        "instance": owner.instance,
        "epoch": owner.epoch,
        "mode": "simulation",
        "symbol": owner.symbol,
        "profile": owner.profile,
        "version": __version__,
        "period_ms": script.period_ms,
        "core_hash": CORE_HASH,
        "params": script.params._asdict(),
        "instrument": script.spec.core._asdict(),
        "start_balance_minor": script.balance_minor,
        "synthetic": True,
        "data_fingerprint": "",
    }
