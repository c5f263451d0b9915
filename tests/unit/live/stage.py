"""A trader on a stage: real core, real book, real exchange matching, one bar or tick at a time, no wires."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.unit.exchange.single import Booking, Single

from palmbot.calendar import Session
from palmbot.core.types import Action, Decision, Instrument, Params, Reason
from palmbot.exchange.feed import FeedTick
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.live.rules import Rules
from palmbot.live.trader import Trader
from palmbot.model import Execution, JournalEvent, OrderEvent, OrderIntent, Quote
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import event_of_intent
from palmbot.sentiment.timeline import Timeline
from palmbot.units import DAY_MS, HOUR_MS, PX, RATE_ONE_E8

OWNER = Owner("ab12", "rsi_trend", "PALMOIL", 3)
BALANCE = 10_000_000
START_MS = 1_704_672_000_000  # Monday 2024-01-08 00:00Z
SPREAD_PX = 2 * PX
TICK_MS = 15_000

# Buys after any bar that closed higher; stop 60, target 80 at a price of 4000; breakers wide open.
EAGER = Params(
    profile=1,
    rsi_period=2,
    rsi_low=0.0,
    rsi_high=50.0,
    allow_short=0,
    warmup_bars=3,
    sl_ppm=15_000,
    tp_ppm=20_000,
    losses_max=0,
    spike_bp=0,
)


def spec_of(**core: int) -> InstrumentSpec:
    """Return palm oil that trades at any time, its trading day beginning at midnight unless told otherwise."""
    return replace(PALM_OIL, core=Instrument(**({"day_start_ms": 0} | core)), session=Session())


def quote_at(ts_ms: int, bid: float, spread_px: int = SPREAD_PX) -> Quote:
    bid_px = round(bid * PX)
    return Quote("PALMOIL", ts_ms, bid_px, bid_px + spread_px)


def buying(bar_end_ms: int, close: float = 4_000, volume_cu: int = 2_500, **fields: int) -> Decision:
    """Return a decision to buy at the end of a bar."""
    made = Decision(
        action=int(Action.ENTER),
        reason=int(Reason.ENTRY_LONG),
        side=1,
        volume_cu=volume_cu,
        sl_px=60 * PX,
        tp_px=80 * PX,
        bar_end_ms=bar_end_ms,
        close_px=round(close * PX),
        signal=1,
        risk_minor=160_000,
    )
    return made._replace(**fields)


def through_text(event: JournalEvent) -> JournalEvent:
    """Return ``event`` as it comes back from a database."""
    return JournalEvent(event.kind, event.ts_ms, json.loads(json.dumps(event.body)))


class Stage:
    """A trader and the exchange's matching behind it, without anything that waits.

    ``records`` is what the journal would hold, in order; ``sent`` the requests among it.
    """

    def __init__(
        self,
        params: Params = EAGER,
        spec: InstrumentSpec | None = None,
        rows: Sequence[tuple[int, float]] = (),
        balance_minor: int = BALANCE,
    ) -> None:
        self.spec = spec_of() if spec is None else spec
        self.matching = Single(self.spec, balance_minor)
        rules = Rules(params, self.spec.core, HOUR_MS, self.spec.session)
        self.trader = Trader(rules, Book(OWNER, balance_minor), Timeline(rows))
        self.records: list[JournalEvent] = []
        self.sent: list[OrderIntent] = []
        self.is_shut = False  # the exchange refuses everything

    def tick(self, ts_ms: int, bid: float, *, jump: bool = False, spread_px: int = SPREAD_PX) -> None:
        """Let the market reach a tick: the exchange first, then its events, then the quote."""
        bid_px = round(bid * PX)
        self.meet(FeedTick(ts_ms, bid_px, bid_px + spread_px, jump, bid_px, RATE_ONE_E8))

    def meet(self, tick: FeedTick) -> None:
        self.tell(*self.matching.tick(tick).events)
        requests = self.trader.on_quote(Quote("PALMOIL", tick.ts_ms, tick.bid_px, tick.ask_px, tick.rate_e8))
        self.ask(requests)

    def bar(self, start_ms: int, *prices: float) -> None:
        """Play open, first and second extreme and close of the bar that begins at ``start_ms``."""
        for index, price in enumerate(prices):
            self.tick(start_ms + index * TICK_MS, price, jump=index == 0)

    def tell(self, *events: OrderEvent) -> None:
        for event in events:
            self.trader.on_order_event(event)
            self.take()

    def ask(self, requests: Sequence[OrderIntent]) -> None:
        """Journal and send ``requests``, as the runner does."""
        self.take()
        for intent in requests:
            self.records.append(event_of_intent(intent))
            self.sent.append(intent)
            self.trader.book.intend(intent)
            self.trader.book.happened(intent.client_order_id, Happening.SUBMIT)
            self.tell(*self.answered(intent).events)

    def answered(self, intent: OrderIntent) -> Booking:
        """Return what the exchange does about ``intent``."""
        if not self.is_shut:
            return self.matching.request(intent)
        name = intent.client_order_id
        return Booking((OrderEvent(Execution.ERROR, intent.ts_ms, error_code="MARKET_CLOSED", request_id=name),))

    def take(self) -> None:
        self.records += self.trader.outbox
        self.trader.outbox = []

    def open(self, ts_ms: int, bid: float, decision: Decision | None, spread_px: int = SPREAD_PX) -> None:
        """Play the first tick of a bar, with ``decision`` pending whatever the bar before decided."""
        if self.trader.state is not None:
            self.trader.advance(ts_ms)
        self.trader.pending = decision
        self.tick(ts_ms, bid, jump=True, spread_px=spread_px)

    def enter(self, ts_ms: int, bid: float = 4_000, **fields: int) -> None:
        """Ask for a long position, unless told otherwise, at the first tick of the bar that begins at ``ts_ms``."""
        self.open(ts_ms, bid, buying(ts_ms, bid, **fields))

    def kinds(self, after: int = 0) -> list[str]:
        """Return the kinds of the records from place ``after`` on."""
        return [record.kind for record in self.records[after:]]

    def of(self, kind: str) -> list[JournalEvent]:
        return [record for record in self.records if record.kind == kind]

    def last(self, kind: str) -> dict[str, Any]:
        return self.of(kind)[-1].body

    def reasons(self, kind: str) -> list[Reason]:
        return [Reason(record.body["reason"]) for record in self.of(kind)]


def hour(number: int) -> int:
    """Return the start of the hour ``number`` of the first day."""
    return START_MS + number * HOUR_MS


def day(number: int) -> int:
    return START_MS + number * DAY_MS
