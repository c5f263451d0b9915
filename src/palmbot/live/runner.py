"""The loop: one task reads the inbox, lets the trader decide, writes the journal, sends.

A request is durable in the journal before it is sent. What the broker did is journaled before the next request. When
the journal cannot be written nothing new is entered: closes still go out, then the run ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palmbot.errors import HaltError
from palmbot.live import startup
from palmbot.live.inbox import Inbox
from palmbot.live.trader import Trader
from palmbot.model import CashEvent, IntentKind, JournalEvent, OrderEvent, OrderIntent, Quote
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import event_of_intent
from palmbot.ports import Clock, Journal, Pacer, Quotes, Trading

PROTECTION_WAIT_MS = 2_000  # for the server's protective order after a fill
ANSWER_WAIT_MS = 10_000  # for the final answer to a request


@dataclass(frozen=True, slots=True)
class Wires:
    """The outside, as ports."""

    quotes: Quotes
    trading: Trading
    journal: Journal
    pacer: Pacer
    clock: Clock


class Runner:
    """One account, one symbol, one task. ``run`` returns when the feed ends or ``stop`` was called."""

    def __init__(self, trader: Trader, wires: Wires, inbox: Inbox, about: dict[str, object]) -> None:
        self.trader = trader
        self.inbox = inbox
        self.stop_reason = ""
        self.started_seq = 0  # of this run's first record
        self.start_balance_minor = 0
        self._wires = wires
        self._about = about  # body of the run_started record
        self._unflushed = False
        self._waits_since_ms: int | None = None
        self._quoted_ms: int | None = None

    def stop(self, reason: str) -> None:
        """Ask the loop to end after the event it is at. Safe to call from a signal handler of the loop."""
        self.stop_reason = self.stop_reason or reason
        self.inbox.wake()

    async def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Recover, subscribe, then trade until told to stop.

        Raises:
            HaltError: the journal failed, or the bot cannot keep up. Open positions keep the broker's stop.
        """
        self.started_seq = await startup.recover(self.trader, self._wires, self._about)
        self.start_balance_minor = self.trader.book.balance_minor
        await self._send(self.trader.owed(self._clock_ms()))
        if on_started is not None:
            on_started()
        await self._wires.quotes.subscribe(self.trader.book.owner.symbol)
        while not self.stop_reason:
            if self.inbox.is_empty and self._is_idle():
                await self._flush()
                if self.inbox.is_empty:
                    self._wires.pacer.idle()
            event = await self.inbox.get(self._patience_s())
            if event is None:
                await self._look_if_overdue()
            elif isinstance(event, Quote):
                await self._take(self.trader.on_quote(event, self._silence_ms()))
            elif isinstance(event, OrderEvent):
                self.trader.on_order_event(event)
                await self._take([])
                self._unflushed = True
            elif isinstance(event, CashEvent):
                self.trader.on_cash(event)
            elif event.ended:
                self.stop_reason = "end of data"
            else:
                self.trader.on_link(event)
        await self._finish()

    async def _take(self, requests: list[OrderIntent]) -> None:
        """Hand the trader's records to the journal, then send its requests."""
        outbox = self.trader.outbox
        if outbox:
            self._wires.journal.defer(tuple(outbox))
            outbox.clear()
        await self._send(requests)

    async def _send(self, requests: list[OrderIntent]) -> None:
        for intent in requests:
            failure = await self._journaled(intent)
            if failure is not None and intent.kind is IntentKind.ENTER:
                raise failure
            book = self.trader.book
            book.intend(intent)
            book.happened(intent.client_order_id, Happening.SUBMIT)
            await self._wires.trading.submit(intent)
            self._unflushed = True
            if failure is not None:  # what reduces risk needs no journal; then the run ends
                raise failure

    async def _journaled(self, intent: OrderIntent) -> HaltError | None:
        try:
            await self._wires.journal.append([event_of_intent(intent)])
        except HaltError as failure:
            return failure
        return None

    def _is_idle(self) -> bool:
        return self.trader.book.is_settled or self.trader.parked

    async def _flush(self) -> None:
        if self._unflushed:
            self._unflushed = False
            await self._wires.journal.flush()

    # -- silence

    def _patience_s(self) -> float | None:
        """Return how long to wait for the next event before looking at the broker; None = as long as it takes."""
        if self._is_idle():
            self._waits_since_ms = None
            return None
        now_ms = self._wires.clock.monotonic_ms()
        if self._waits_since_ms is None:
            self._waits_since_ms = now_ms
        return max(0.001, (self._waits_since_ms + self._limit_ms() - now_ms) / 1_000)

    def _silence_ms(self) -> int:
        """Return the machine time since the last quote."""
        before_ms, self._quoted_ms = self._quoted_ms, self._wires.clock.monotonic_ms()
        return 0 if before_ms is None else self._quoted_ms - before_ms

    def _limit_ms(self) -> int:
        return ANSWER_WAIT_MS if self.trader.book.in_flight else PROTECTION_WAIT_MS

    async def _look_if_overdue(self) -> None:
        """After silence ask the broker; settle what its answer proves and never send an entry again."""
        since_ms, now_ms = self._waits_since_ms, self._wires.clock.monotonic_ms()
        if since_ms is None or now_ms < since_ms + self._limit_ms():
            return
        self._waits_since_ms = None
        await self._send(await startup.look(self.trader, self._wires, self._clock_ms()))

    def _clock_ms(self) -> int:
        mark = self.trader.feed.mark
        return 0 if mark is None else mark.ts_ms

    async def _finish(self) -> None:
        equity, low, held = self.trader.last_curve()
        forming = self.trader.feed.forming
        body = {
            "reason": self.stop_reason,
            "end_ms": 0 if forming is None else int(forming.end_ms),
            "equity_minor": equity,
            "equity_low_minor": low,
            "held": held,
            "balance_minor": self.trader.book.balance_minor,
        }
        self._wires.journal.defer([*self.trader.outbox, JournalEvent("run_stopped", self._clock_ms(), body)])
        self.trader.outbox.clear()
        await self._wires.journal.flush()
