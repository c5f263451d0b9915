"""A book and a real exchange account beside each other: what the account does is told to the book and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.unit.exchange.single import Booking, Single, Strike

from palmbot.adapters.journal import Journal
from palmbot.core.types import Instrument, Reason
from palmbot.exchange.held import Held
from palmbot.instruments import PALM_OIL
from palmbot.model import IntentKind, JournalEvent, OrderEvent, OrderIntent, Trade
from palmbot.orders.book import Book, Closed
from palmbot.orders.identity import Owner
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import event_of_intent, event_of_order_event
from palmbot.units import HOUR_MS, PX, RATE_ONE_E8

OWNER = Owner("ab12", "rsi_sentiment", "PALMOIL", 3)
BALANCE = 10_000_000
SPREAD_PX, SLIPPAGE_PX = 2 * PX, PX // 2
START_MS = 1_704_682_800_000
FOREIGN = "manual"  # label of a position that is none of the bot's

Twist = Callable[[tuple[OrderEvent, ...]], tuple[OrderEvent, ...]]


def strike(ts_ms: int, price: float) -> Strike:
    return Strike(ts_ms, round(price * PX), RATE_ONE_E8, SPREAD_PX, SLIPPAGE_PX)


def run_started(run_id: str = "r", **changes: Any) -> JournalEvent:
    """Return a record that a run begins with."""
    texts = dict.fromkeys(("mode", "symbol", "profile", "version", "core_hash", "data_fingerprint"), "test")
    body = {**texts, "run_id": run_id, "instance": OWNER.instance, "start_balance_minor": BALANCE, "synthetic": True}
    return JournalEvent("run_started", START_MS, {**body, "params": {}, "instrument": {}, **changes})


class Ledger:
    """One bot's book and the account it trades on. Events reach the book as ``twist`` lets them through."""

    def __init__(self, twist: Twist = lambda events: events, **core: int) -> None:
        self.account = Single(replace(PALM_OIL, core=Instrument(**core)), BALANCE)
        self.book = Book(OWNER, BALANCE)
        self.records = [run_started()]
        self.closed: list[Closed] = []
        self.now_ms = START_MS
        self._twist = twist
        self._bar = 0

    def tell(self, *events: OrderEvent) -> None:
        """Let the book take in ``events`` and record them, as the bot does."""
        for event in self._twist(events):
            closed = self.book.apply(event)
            self.records.append(event_of_order_event(event, 0 if closed is None else closed.trade.exit_reason))
            if closed is not None:
                self.closed.append(closed)

    def booked(self, booking: Booking) -> tuple[OrderEvent, ...]:
        self.tell(*booking.events)
        return booking.events

    def sent(self, kind: IntentKind, side: int = 1, **fields: Any) -> OrderIntent:
        """Return a request that was journaled and sent; each belongs to a bar of its own."""
        self._bar += 1
        bar_end_ms = START_MS + self._bar * HOUR_MS
        leg = {IntentKind.ENTER: "E", IntentKind.AMEND: "A", IntentKind.CLOSE: "X"}[kind]
        name = OWNER.order_id(bar_end_ms, leg, 1)
        defaults = {"volume_cu": 2_500, "reason": 0, "ts_ms": self.now_ms, "bar_end_ms": bar_end_ms}
        intent = OrderIntent(kind, name, "PALMOIL", side, **(defaults | fields))
        self.records.append(event_of_intent(intent))
        self.book.intend(intent)
        self.book.happened(name, Happening.SUBMIT)
        return intent

    def asked_entry(self, side: int = 1, sl: float = 50, tp: float = 80, **fields: Any) -> OrderIntent:
        levels = {"sl_px": round(sl * PX), "tp_px": round(tp * PX), "risk_minor": 1_234.5}
        return self.sent(IntentKind.ENTER, side, **({"reason": int(Reason.ENTRY_LONG)} | levels | fields))

    def entered(self, side: int = 1, price: float = 4_000, **fields: Any) -> Held:
        """Open a position at ``price`` and return it."""
        self.booked(self.account.enter(self.asked_entry(side, **fields), strike(self.now_ms, price)))
        return self.held

    def amended(self, sl: float, tp: float) -> tuple[OrderEvent, ...]:
        """Move both levels of the newest position, as the bot asked."""
        levels = {"sl_px": round(sl * PX), "tp_px": round(tp * PX), "position_id": self.held.position_id}
        return self.booked(self.account.amend(self.held, self.sent(IntentKind.AMEND, **levels), self.now_ms))

    def foreign(self, side: int = 1, price: float = 4_000) -> Held:
        """Let somebody else open a position on the same account."""
        intent = OrderIntent(IntentKind.ENTER, FOREIGN, "PALMOIL", side, 2_500, 0, 0, 50 * PX, 80 * PX)
        events = self.account.enter(intent, strike(self.now_ms, price)).events
        self.tell(*(replace(event, request_id="theirs" if event.request_id else "") for event in events))
        return self.held

    @property
    def held(self) -> Held:
        """The account's newest position."""
        return list(self.account.positions.values())[-1]

    async def projected(self) -> tuple[Trade, ...]:
        """Return the trades that a journal makes of the same records."""
        journal = Journal.open("sqlite://", inline=True)
        await journal.append(self.records)
        trades = journal.trades()
        await journal.close()
        return trades


def levels(ledger: Ledger) -> tuple[float, float]:
    holding = ledger.book.holding
    assert holding is not None
    return holding.sl_px / PX, holding.tp_px / PX


def ended(ledger: Ledger) -> Closed:
    assert ledger.book.holding is None
    assert ledger.book.is_settled
    (closed,) = ledger.closed
    return closed
