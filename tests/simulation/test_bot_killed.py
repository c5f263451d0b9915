"""The bot's process is killed between two callbacks and another start goes on from its journal."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal, verify
from palmbot.errors import InvariantError
from palmbot.model import JournalEvent
from palmbot.simulation import invariants
from palmbot.simulation.bot_process import BotProcess, Machine, TracedJournal
from palmbot.simulation.clock import NodeClock
from palmbot.simulation.exchange_process import NAME, ExchangeProcess
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.node import Node
from palmbot.simulation.script import Concern, Script
from palmbot.simulation.trace import Trace
from palmbot.simulation.world import World

SCRIPT = Script(seed=1, bars=90)
DOWN_S = 2.0


class Killed:
    """A story in which the bot dies at a callback and is started again."""

    def __init__(self, url: str, crash_at_step: int) -> None:
        self.world = World(SCRIPT, url)
        self.crash_at_step = crash_at_step
        self.records = 0  # in the journal at the end of the story
        self.said: list[str] = []
        self._url = url

    def tell(self) -> None:
        self.world.loop.run_until_complete(self._story())
        self.said += invariants.nothing_left(self.world.loop, self.world.network)
        self.world.loop.close()

    async def _story(self) -> None:
        world, ids = self.world, SCRIPT.rng(Concern.IDS)
        clock = NodeClock(world.loop, SCRIPT.epoch_ms)
        node = Node(NAME)
        exchange = node.run(ExchangeProcess, SCRIPT, clock, world.network, ids)

        def start(home: Node, epoch: int) -> BotProcess:
            dial = world.network.dial(NAME)
            machine = Machine(clock, dial, ids, exchange.credentials, exchange.access_token, world.trace)
            return home.run(BotProcess, SCRIPT, machine, self._url, epoch)

        first = Node("bot 1")
        first.crash_at_step = self.crash_at_step
        died = asyncio.Event()
        first.at_crash(died.set)
        start(first, 1)
        await died.wait()
        await asyncio.sleep(DOWN_S)
        bot = start(Node("bot 2"), 2)
        await exchange.market
        await asyncio.sleep(SCRIPT.quiet_s)
        bot.runner.stop("the story is over")
        await bot.task
        self.said += invariants.books_agree(bot.trades, bot.fills, exchange.fills())
        self.said += invariants.money_agrees(bot.trader.book.balance_minor, bot.account, exchange.balance_minor)
        self.said += invariants.no_bar_entered_twice(bot.intents)
        await node.run(world.loop.create_task, exchange.close())
        await asyncio.sleep(1)
        self.records = self.count()

    def count(self) -> int:
        journal = Journal.open(self._url, inline=True)
        with closing(journal._connection):
            kinds = ("intent", "order_event", "bar_closed", "state", "run_started", "run_stopped")
            return sum(len(journal.events(kind)) for kind in kinds)


@pytest.mark.parametrize("crash_at_step", [20, 150, 250, 350, 450, 600])
def test_a_bot_that_is_killed_loses_no_trade_and_enters_no_bar_twice(tmp_path: Path, crash_at_step: int) -> None:
    url = sqlite_url(tmp_path / "journal.sqlite")
    story = Killed(url, crash_at_step)
    story.tell()
    assert story.said == []
    assert story.count() == story.records  # the dead write nothing, not even when they are buried
    assert verify(url) == ()
    assert "run_started" in story.world.trace.text()


def test_a_dead_journal_keeps_what_was_committed_and_takes_nothing_more(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "journal.sqlite")
    loop = VirtualLoop()
    journal = TracedJournal.open(url, inline=True)
    journal.trace = Trace(loop)
    loop.run_until_complete(journal.append([JournalEvent("note", 1, {"text": "kept"})]))
    journal.defer([JournalEvent("note", 2, {"text": "lost"})])
    journal.die()
    loop.run_until_complete(journal.close())  # when it is buried
    with pytest.raises(InvariantError, match="JOURNAL_CLOSED"):
        loop.run_until_complete(journal.flush())
    again = Journal.open(url, inline=True)
    assert [event.body["text"] for event in again.events("note")] == ["kept"]
    loop.run_until_complete(again.close())
    loop.close()
