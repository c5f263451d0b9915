"""A bot that was stopped anywhere and recovers decides as one that never stopped.

SYNTHETIC worlds are played twice: once through, and once with the process gone after some tick. What the journal had
written by then, what the exchange's books and its price history say, is all that the second bot begins with.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.broker_bars import joined
from tests.fakes import FakeClock, FakeJournal, FakePacer, FakeQuotes, FakeTrading
from tests.oracle.worlds import World, world_of
from tests.parity.pair import always_open
from tests.parity.test_parity_worlds import on_grid, series_of
from tests.unit.exchange.single import NOTHING, Single
from tests.unit.live.stage import OWNER, Stage, through_text

from palmbot.core.bars import Forming
from palmbot.core.types import CostKind
from palmbot.errors import InvariantError
from palmbot.exchange.feed import FeedTick, FileFeed
from palmbot.live.rules import Rules
from palmbot.live.runner import Wires
from palmbot.live.startup import recover
from palmbot.live.trader import Trader
from palmbot.model import Close, Execution, Fill, JournalEvent
from palmbot.orders.book import Book
from palmbot.sentiment.timeline import Timeline
from palmbot.units import DAY_MS


class Played(Stage):
    """A stage on which a world is played tick by tick; knows what a journal could hold at any moment."""

    def __init__(self, world: World, period_ms: int) -> None:
        super().__init__(world.run.params, always_open(world.run.instrument), balance_minor=world.balance_minor)
        self.world, self.period_ms = world, period_ms
        self.feed = FileFeed(self.spec.core, world.bars, world.rolls)
        self.matching = Single(self.spec, world.balance_minor, self.feed.rolls)
        self.trader = self.new_trader()
        self.ticks: list[FeedTick] = []
        self.deals: dict[int, list[Fill]] = {}
        self.durable = [0]  # places in the records where the journal may end
        self.flushed = 0  # up to here it was written when the bot last became idle
        self.eventful: list[int] = []  # ticks after which a position is open or was just closed
        self.stopped: list[int] = []  # ticks before one on which a stop or target was hit
        self.acted_on: set[int] = set()  # ticks on which a request was sent

    def new_trader(self) -> Trader:
        rows = zip(self.world.rows.known_ms.tolist(), self.world.rows.score.tolist(), strict=True)
        rules = Rules(self.world.run.params, self.spec.core, self.period_ms, self.spec.session)
        return Trader(rules, Book(OWNER, self.world.balance_minor), Timeline(rows))

    def play(self, ticks: int | None = None) -> None:
        """Play so many ticks, or all that are left."""
        while ticks is None or len(self.ticks) < ticks:
            tick = self.next_tick()
            if tick is None:
                return
            sent, trades = len(self.sent), self.trader.trades_count
            self.meet(tick)
            place = len(self.ticks)
            if len(self.sent) > sent:
                self.acted_on.add(place)
            elif self.trader.trades_count > trades:
                self.stopped.append(place - 1)
            if self.trader.book.holding is not None or self.has_news():
                self.eventful.append(place)

    def next_tick(self) -> FeedTick | None:
        """Return the next tick; by then the bot was idle, and flushed what had happened."""
        if self.has_news():
            self.flushed = len(self.records)
        tick = self.feed.next_tick(self.matching.side)
        if tick is not None:
            self.ticks.append(tick)
        return tick

    def play_unheard(self) -> bool:
        """Play one tick of which the bot hears nothing; return whether it brought a swap."""
        tick = self.next_tick()
        booked = NOTHING if tick is None else self.matching.tick(tick)
        for deal in booked.deals:
            self.deals.setdefault(deal.fill.position_id, []).append(deal.fill)
        return any(event.execution is Execution.SWAP for event in booked.events)

    def has_day_within_a_bar(self, lost: Sequence[JournalEvent]) -> bool:
        """Return whether a trading day began between two ticks of a bar: history does not say at which price."""
        day_start_ms, end_of = self.spec.core.day_start_ms, self.trader.feed.end_of
        days_ms = [record.ts_ms for record in lost if (record.ts_ms - day_start_ms) % DAY_MS == 0]
        return any(
            tick.ts_ms < day_ms and end_of(tick.ts_ms) == end_of(day_ms) for day_ms in days_ms for tick in self.ticks
        )

    def has_news(self) -> bool:
        """Return whether anything happened since the last flush that the bot flushes when it is idle."""
        return any(record.kind in {"intent", "order_event"} for record in self.records[self.flushed :])

    def take(self) -> None:
        for event in self.trader.outbox:
            fill = event.body.get("fill")
            if event.kind == "order_event" and fill is not None:
                close = fill["close"]
                self.deals.setdefault(fill["position_id"], []).append(
                    Fill(**{**fill, "close": None if close is None else Close(**close)})
                )
        super().take()
        self.durable.append(len(self.records))

    def written(self, choice: float) -> list[JournalEvent]:
        """Return what the journal holds: all that was flushed or came before a request, and some of the rest."""
        asked = (place for place, record in enumerate(self.records, 1) if record.kind == "intent")
        sure = max((self.flushed, *asked))
        ends = sorted({place for place in self.durable if place >= sure} | {sure})
        return [through_text(record) for record in self.records[: ends[int(choice * (len(ends) - 1))]]]

    async def restart(self, written: list[JournalEvent]) -> None:
        """Lose the trader; recover another from ``written`` and from what the exchange knows."""
        log: list[str] = []
        journal, trading = FakeJournal(log, written), FakeTrading(log, self.matching.snapshot())
        trading.fills = {number: tuple(fills) for number, fills in self.deals.items()}
        pieces = [Forming(tick.ts_ms, 0, *[tick.bid_px] * 4) for tick in self.ticks]
        now_ms = self.ticks[-1].ts_ms
        bars = joined(pieces, self.period_ms, self.spec.core.day_start_ms, now_ms)
        self.trader = self.new_trader()
        wires = Wires(FakeQuotes(log, bars), trading, journal, FakePacer(log), FakeClock())
        await recover(self.trader, wires, {})
        self.records = []
        self.sent = []
        self.ask(self.trader.owed(now_ms))


def plain(record: JournalEvent, *, first_bar: bool) -> tuple[object, ...]:
    """Return what must be equal of a record.

    Not its number, nor the time of the last mark, which history does not say, nor what the bar of the restart saw.
    """
    body = {name: value for name, value in record.body.items() if name != "serial"}
    if body.get("mark") is not None:
        body["mark"] = {**body["mark"], "ts_ms": 0}
    if first_bar:
        body.pop("equity_low_minor", None)
        body.pop("held", None)
    return record.kind, record.ts_ms, body


def compared(records: list[JournalEvent]) -> list[tuple[object, ...]]:
    bars = 0
    made = []
    for record in records:
        made.append(plain(record, first_bar=bars == 0))
        bars += record.kind == "bar_closed"
    return made


class Restart(NamedTuple):
    unbroken: Played
    broken: Played
    tail: list[JournalEvent]  # of the unbroken, from the restart on
    lost: list[JournalEvent]  # what the journal did not hold
    holding: bool  # when it broke off
    gone: bool  # a position that was held then was gone at the exchange


class Break(NamedTuple):
    """Where a run is broken off."""

    where: str  # anywhere, near a position, or just before an exit
    share: float  # of such ticks
    choice: float  # of what the journal may hold
    unheard: bool  # the exchange was one tick ahead

    def places(self, played: Played) -> Sequence[int]:
        if self.where == "exit":
            return played.stopped
        return played.eventful if self.where == "position" else range(1, len(played.ticks) - 1)


WHERE = ("anywhere", "position", "exit")


def restarted(seed: object, cut: Break) -> Restart | None:
    """Return the world of ``seed`` played through, and with a restart at ``cut``; None where it cannot be compared.

    History carries neither spreads nor rates, and swaps carry no time; a tick that was not heard was not acted on.
    """
    world = on_grid(world_of(Random(str(seed)), bars_max=40))
    series = series_of(world)
    if series is None or world.run.instrument.spread_kind != CostKind.POINTS or len(world.bars.rate_e8) > 0:
        return None
    unbroken, whole, broken = (Played(world, series.period_ms) for _ in range(3))
    try:
        unbroken.play()
    except InvariantError:  # a stop-out, which the exchange does not play
        return None
    places = cut.places(unbroken)
    if not places:
        return None
    place = places[int(cut.share * (len(places) - 1))]
    broken.play(place)
    whole.play(place + cut.unheard)
    was_holding = broken.trader.book.holding is not None
    if cut.unheard and (place + 1 in unbroken.acted_on or broken.play_unheard()):
        return None
    written = broken.written(cut.choice)
    heard = len(whole.records)
    lost, tail = unbroken.records[len(written) : heard], unbroken.records[heard:]
    if broken.has_day_within_a_bar(lost):
        return None
    gone = was_holding and not broken.matching.positions
    asyncio.run(broken.restart(written))
    broken.play()
    return Restart(unbroken, broken, tail, lost, was_holding, gone)


def difference(played: Restart) -> str:
    """Return the first difference in words; empty when the rest of both runs is the same."""
    one, other = compared(played.tail), compared(played.broken.records)
    for a, b in zip(one, other, strict=False):
        if a != b:
            return f"unbroken {a}\nbroken   {b}"
    return "" if len(one) == len(other) else f"{len(one)} and {len(other)} records"


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    cut=st.builds(Break, st.sampled_from(WHERE), st.floats(0, 1), st.floats(0, 1), st.booleans()),
)
def test_a_restart_anywhere_changes_nothing_that_comes_later(seed: int, cut: Break) -> None:
    played = restarted(seed, cut)
    if played is not None:
        assert difference(played) == ""


def test_seeded_restarts_meet_whatever_a_restart_can_meet() -> None:
    rng = Random("restarts")
    met: Counter[str] = Counter()
    for seed in range(400):
        cut = Break(WHERE[seed % 3], rng.random(), rng.choice((0.0, 1.0, rng.random())), seed % 2 == 0)
        played = restarted(f"restart:{seed}", cut)
        if played is None:
            continue
        assert difference(played) == "", (seed, cut)
        kinds = [record.kind for record in played.lost]
        is_holding = played.holding
        met["restarts"] += 1
        met["trades after"] += any(record.kind == "intent" for record in played.tail)
        met["bars lost"] += "bar_closed" in kinds
        met["entry lost"] += is_holding and not cut.unheard and "order_event" in kinds
        met["exit lost"] += not is_holding and "order_event" in kinds
        met["exit unheard"] += played.gone
        met["open position"] += is_holding
    assert len(met) == 7
    assert min(met.values()) > 0, met
