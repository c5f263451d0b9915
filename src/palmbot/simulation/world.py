"""Tells one story: an exchange and a bot, each a process, over a network in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from palmbot.simulation import invariants
from palmbot.simulation.bot_process import BotProcess, Machine
from palmbot.simulation.clock import NodeClock
from palmbot.simulation.exchange_process import NAME, ExchangeProcess
from palmbot.simulation.loop import ViolationError, VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.node import Node
from palmbot.simulation.script import Concern, Script
from palmbot.simulation.trace import Trace

LAST_WORDS_S: Final = 1.0  # until what was written to the network has arrived


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a story. ``violations`` says what should not have been; empty when all was well."""

    violations: tuple[str, ...]
    trades: int  # closed positions
    orders: int  # requests of the bot
    frames: int  # messages, heartbeats included
    steps: int  # callbacks
    virtual_s: float
    trace: str


class World:
    """One story, to be told once.

    Args:
        script: the story.
        journal_url: where the bot remembers: in memory, or a file.
    """

    def __init__(self, script: Script, journal_url: str = "sqlite://") -> None:
        self.loop = VirtualLoop()
        self.trace = Trace(self.loop)
        self.network = Network(self.loop, script.rng(Concern.NETWORK), script.conditions, self.trace.piece)
        self._script = script
        self._journal_url = journal_url
        self._violations: list[str] = []
        self._trades = self._orders = 0

    def tell(self) -> Outcome:
        """Tell the story to its end."""
        try:
            self.loop.run_until_complete(self._story())
            self._violations += invariants.nothing_left(self.loop, self.network)
        except ViolationError as violation:
            self._violations.append(f"{violation}")
        finally:
            self.loop.close()
        return Outcome(
            violations=tuple(self._violations),
            trades=self._trades,
            orders=self._orders,
            frames=self.trace.frames,
            steps=self.loop.steps,
            virtual_s=self.loop.time(),
            trace=self.trace.text(),
        )

    async def _story(self) -> None:
        broker, home = Node(NAME), Node("bot")
        ids = self._script.rng(Concern.IDS)
        exchange = broker.run(ExchangeProcess, self._script, self._clock(start_ms=1_000_000), self.network, ids)
        machine = Machine(
            clock=self._clock(start_ms=5_000_000),
            dial=self.network.dial(NAME),
            ids=ids,
            credentials=exchange.credentials,
            access_token=exchange.access_token,
            trace=self.trace,
        )
        bot = home.run(BotProcess, self._script, machine, self._journal_url)
        ended = asyncio.Event()
        for task in (exchange.market, bot.task):
            task.add_done_callback(lambda _: ended.set())
        await ended.wait()
        await asyncio.sleep(self._script.quiet_s)
        bot.runner.stop("the story is over")
        await asyncio.gather(bot.task, return_exceptions=True)
        self._compare(bot, exchange)
        await broker.run(self.loop.create_task, exchange.close())
        await asyncio.sleep(LAST_WORDS_S)
        self._violations += invariants.nobody_died((bot.task, exchange.market))

    def _compare(self, bot: BotProcess, exchange: ExchangeProcess) -> None:
        """Hold the bot's memory against the exchange's."""
        self._trades, self._orders = len(bot.trades), len(bot.intents)
        self._violations += invariants.books_agree(bot.trades, bot.fills, exchange.fills())
        balance_minor = bot.trader.book.balance_minor
        self._violations += invariants.money_agrees(balance_minor, bot.account, exchange.balance_minor)
        self._violations += invariants.no_bar_entered_twice(bot.intents)

    def _clock(self, start_ms: int) -> NodeClock:
        return NodeClock(self.loop, self._script.epoch_ms, start_ms=start_ms)
