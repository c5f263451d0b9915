"""A runner with fakes for wires and a real exchange's matching for a broker that answers, or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from tests.fakes import FakeClock, FakeJournal, FakePacer, FakeQuotes, FakeTrading, Script, Step
from tests.unit.exchange.single import Booking, Single
from tests.unit.live.stage import BALANCE, EAGER, OWNER, buying, hour, quote_at, spec_of, through_text
from tests.unit.orders.ledger import run_started

from palmbot.core.types import Decision, Params
from palmbot.exchange.feed import FeedTick
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.model import BrokerEvent, HistoryBar, IntentKind, JournalEvent, OrderIntent
from palmbot.orders.book import Book
from palmbot.sentiment.timeline import Timeline
from palmbot.units import HOUR_MS, PX, RATE_ONE_E8

ABOUT: dict[str, object] = dict(run_started().body)


class Bot:
    """One bot, its journal and its broker. ``log`` holds what they did, in order."""

    def __init__(self, params: Params = EAGER, written: Sequence[JournalEvent] = (), **core: int) -> None:
        self.log: list[str] = []
        self.spec = spec_of(**core)
        self.clock = FakeClock()
        self.journal = FakeJournal(self.log, written)
        self.quotes = FakeQuotes(self.log)
        self.trading = FakeTrading(self.log)
        self.matching = Single(self.spec, BALANCE)
        self.trader = Trader(
            Rules(params, self.spec.core, HOUR_MS, self.spec.session), Book(OWNER, BALANCE), Timeline()
        )
        self.inbox = Script()
        self.wires = Wires(self.quotes, self.trading, self.journal, FakePacer(self.log), self.clock)
        self.runner = Runner(self.trader, self.wires, self.inbox, ABOUT)
        self.trading.answer = self.answered

    async def run(self, *steps: Step) -> None:
        """Run the bot through ``steps``, each played when it would wait, then stop it."""
        self.inbox.steps += [*steps, self.stop()]
        await self.runner.run()

    # -- what the broker does

    def asked(self, intent: OrderIntent) -> Booking:
        """Let the exchange carry out ``intent``; nobody is told yet."""
        booked = self.matching.request(intent)
        self.trading.shown = self.matching.snapshot()
        return self.kept(booked)

    def kept(self, booked: Booking) -> Booking:
        for deal in booked.deals:
            number = deal.fill.position_id
            self.trading.fills[number] = (*self.trading.fills.get(number, ()), deal.fill)
        self.trading.shown = self.matching.snapshot()
        return booked

    def answered(self, intent: OrderIntent) -> None:
        """Carry out ``intent`` and tell everything."""
        for event in self.asked(intent).events:
            self.inbox.put(event)

    def silent(self, intent: OrderIntent) -> None:
        """Carry out ``intent`` and tell nothing."""
        self.asked(intent)

    def deaf(self, intent: OrderIntent) -> None:
        """Do nothing about ``intent``, and say nothing."""

    def tells(self, *places: int) -> Callable[[OrderIntent], None]:
        """Return an answer that tells only the events at ``places``."""

        def answer(intent: OrderIntent) -> None:
            events = self.asked(intent).events
            for place in places:
                self.inbox.put(events[place])

        return answer

    # -- steps of a script

    def play(self, ts_ms: int, bid: float, decision: Decision | None = None) -> None:
        """Play a tick at the exchange and tell it; with ``decision`` pending whatever the bar before decided."""
        bid_px = round(bid * PX)
        tick = FeedTick(ts_ms, bid_px, bid_px + 2 * PX, decision is not None, bid_px, RATE_ONE_E8)
        for event in self.kept(self.matching.tick(tick)).events:
            self.inbox.put(event)
        self.inbox.put(quote_at(ts_ms, bid))
        if decision is not None:
            if self.trader.state is not None:
                self.trader.advance(ts_ms)
            self.trader.pending = decision

    def quote(self, ts_ms: int, bid: float, decision: Decision | None = None) -> Step:
        """Return the step that plays a tick."""

        def step() -> BrokerEvent | None:
            self.play(ts_ms, bid, decision)
            return self.inbox.take()

        return step

    def buys(self, number: int, bid: float = 4_000, answer: Callable[[OrderIntent], None] | None = None) -> Step:
        """Let the bot buy on the first tick of the hour ``number``; ``answer`` is how the broker takes it."""
        play = self.quote(hour(number), bid, buying(hour(number), bid))

        def step() -> BrokerEvent | None:
            self.trading.answer = self.answered if answer is None else answer
            return play()

        return step

    def passes(self, ms: int) -> Step:
        """Let machine time pass in silence."""

        def step() -> None:
            self.clock.now_ms += ms

        return step

    def does(self, act: Callable[[], object]) -> Step:
        """Do something between two events."""

        def step() -> None:
            act()

        return step

    def hears(self, event: Callable[[], BrokerEvent]) -> Step:
        return event

    def stop(self, reason: str = "the test is over") -> Step:
        return self.does(lambda: self.runner.stop(reason))

    # -- what came of it

    def sent(self) -> list[str]:
        return [line.removeprefix("send ") for line in self.log if line.startswith("send ")]

    def written(self, kind: str) -> list[JournalEvent]:
        return [event for event in self.journal.written if event.kind == kind]

    def stopped(self) -> JournalEvent:
        (event,) = self.written("run_stopped")
        return event


def flat_bar(ts_ms: int, price: float, *, forming: bool = False) -> HistoryBar:
    px = round(price * PX)
    return HistoryBar(ts_ms, px, px, px, px, is_forming=forming)


async def lived(
    params: Params = EAGER, answer: Callable[[Bot], Callable[[OrderIntent], None]] | None = None
) -> tuple[Bot, Bot]:
    """Return a bot that bought at hour 1 and was killed, and the next one with what the first had written."""
    first = Bot(params)
    buy = first.buys(1, answer=None if answer is None else answer(first))
    first.inbox.steps = [first.quote(hour(0), 4_000), buy, first.does(killed)]
    with pytest.raises(KeyboardInterrupt):
        await first.runner.run()
    return first, successor(first, params)


def killed() -> None:
    raise KeyboardInterrupt


def successor(first: Bot, params: Params = EAGER) -> Bot:
    """Return the next bot at the same exchange; what the first had not written is lost."""
    second = Bot(params, [through_text(event) for event in first.journal.written])
    second.matching = first.matching
    second.trading.shown, second.trading.fills = first.matching.snapshot(), first.trading.fills
    return second


def dies(_: OrderIntent) -> None:
    raise KeyboardInterrupt


def close_it(bot: Bot, how: str) -> None:
    """Let the position end while the bot is down."""
    if how in {"stop", "target"}:
        bot.play(hour(2), 3_930 if how == "stop" else 4_090)
    else:
        bot.play(hour(2), 4_010)
        held = next(iter(bot.matching.positions.values()))
        parts = (1_000, 1_500) if how == "parts" else (2_500,)
        for volume_cu in parts:
            name = f"by hand {volume_cu}"
            bot.asked(OrderIntent(IntentKind.CLOSE, name, "PALMOIL", -1, volume_cu, 0, 0, position_id=held.position_id))
    assert bot.matching.positions == {}
    bot.inbox._events.clear()  # nobody was there to hear it
    bot.trading.shown = bot.matching.snapshot()
