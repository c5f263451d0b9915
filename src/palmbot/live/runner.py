"""The loop: one task reads the inbox, lets the trader decide, writes the journal, sends.

A request is durable in the journal before it is sent. What the broker did is journaled before the next request. When
the journal cannot be written nothing new is entered: closes still go out, then the run ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from palmbot.errors import HaltError, OutcomeUnknownError, RetryError
from palmbot.live import startup
from palmbot.live.inbox import Inbox
from palmbot.live.trader import Trader
from palmbot.model import BrokerEvent, CashEvent, IntentKind, JournalEvent, OrderEvent, OrderIntent, Quote, TermsEvent
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import event_of_intent
from palmbot.ports import Clock, Journal, Pacer, Quotes, Trading

PROTECTION_WAIT_MS = 2_000  # for the server's protective order after a fill
ANSWER_WAIT_MS = 10_000  # for the final answer to a request, and until what was missed is asked for again
PARKED_WAIT_MS = 30_000  # until the next look for an order whose outcome stays unknown
LATE_TICKS_MS = 1_500  # after a bar's end its ticks are waited for, then the clock closes it (PARITY 30)
ASLEEP_MS = 60_000  # later than this the machine was suspended: what it slept through is read from the broker

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, slots=True)
class Wires:
    """The outside, as ports. ``market_ms`` is the market clock where it is more than the newest quote's time."""

    quotes: Quotes
    trading: Trading
    journal: Journal
    pacer: Pacer
    clock: Clock
    market_ms: Callable[[], int] | None = None


class Runner:
    """One account, one symbol, one task. ``run`` returns when the feed ends or ``stop`` was called."""

    def __init__(self, trader: Trader, wires: Wires, inbox: Inbox, about: dict[str, object]) -> None:
        self.trader = trader
        self.inbox = inbox
        self.stop_reason = ""
        self.is_started = False  # recovered: from here on it stops in order
        self.started_seq = 0  # of this run's first record
        self.start_balance_minor = 0
        self._wires = wires
        self._about = about  # body of the run_started record
        self._unflushed = False
        self._awaited: tuple[object, ...] = ()
        self._waits_since_ms = 0  # for what is awaited, on the machine clock
        self._quoted_ms: int | None = None
        self._stops_by_ms = 0  # when told to stop: until then what is not answered is waited for
        self._look_task: asyncio.Task[object] | None = None  # that goes on now

    def stop(self, reason: str) -> None:
        """Ask the loop to end when it has heard what has happened so far. Safe in a signal handler of the loop."""
        if not self.stop_reason:
            self.stop_reason = reason
            self._stops_by_ms = self._wires.clock.monotonic_ms() + ANSWER_WAIT_MS
            self._hurry()
        self.inbox.wake()

    async def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Recover, subscribe, then trade until told to stop; ``on_started`` is called when quotes may come.

        Raises:
            HaltError: the journal failed, or the bot cannot keep up. Open positions keep the broker's stop.
        """
        self.started_seq = await startup.recover(self.trader, self._wires, self._about)
        won_minor = sum(trade.pnl_minor for trade in self.trader.trades)  # while the bot was down: this run counts them
        self.start_balance_minor = self.trader.book.balance_minor - won_minor
        await self._take(self.trader.owed(self._clock_ms()))
        await startup.patiently(self._wires.clock, lambda: self._wires.quotes.subscribe(self.trader.book.owner.symbol))
        self.is_started = True
        if on_started is not None:
            on_started()
        while not self._is_over():
            if self.inbox.is_empty and self._is_idle():
                await self._flush()
                if self._is_over():  # told so meanwhile
                    break
                if self.inbox.is_empty:
                    self._wires.pacer.idle()
            event = await self.inbox.get(self._patience_s())
            if event is None:
                self._let_time_pass()
            was_lost = bool(self.trader.watch.link_lost)
            await self._take([] if event is None else self._heard(event))
            if was_lost and not self.trader.watch.link_lost:
                await self._look()
            else:
                await self._look_if_overdue()
        await self._finish()

    def _heard(self, event: BrokerEvent) -> list[OrderIntent]:
        """Let the trader take in ``event``; return its requests."""
        if isinstance(event, Quote):
            return self.trader.on_quote(event, self._silence_ms())
        if isinstance(event, OrderEvent):
            self._unflushed = True
            self.trader.on_order_event(event)
        elif isinstance(event, CashEvent):
            self.trader.on_cash(event)
        elif isinstance(event, TermsEvent):
            self.trader.on_terms(event)
        elif event.ended:
            self.stop("end of data")
        else:
            self.trader.on_link(event)
        return []

    async def _take(self, requests: list[OrderIntent]) -> None:
        """Hand the trader's records to the journal, then send its requests.

        Raises:
            HaltError: the journal cannot be written. What reduces risk needs none and was sent; then the run ends.
        """
        failure: HaltError | None = None
        records, self.trader.outbox = tuple(self.trader.outbox), []
        try:
            if records:
                self._wires.journal.defer(records)
        except HaltError as broken:
            failure = broken
        for intent in requests:
            failure = await self._journaled(intent) or failure
            if failure is None or intent.kind is not IntentKind.ENTER:
                await self._submit(intent)
        if failure is not None:
            raise failure

    async def _journaled(self, intent: OrderIntent) -> HaltError | None:
        try:
            await self._wires.journal.append([event_of_intent(intent)])
        except HaltError as failure:
            return failure
        return None

    async def _submit(self, intent: OrderIntent) -> None:
        book = self.trader.book
        book.intend(intent)
        book.happened(intent.client_order_id, Happening.SUBMIT)
        self._unflushed = True
        try:
            await self._wires.trading.submit(intent)
        except OutcomeUnknownError:
            return  # the same as silence: a look will tell
        except RetryError:  # certainly not sent; a close or an amend is settled by the look that follows a lost link
            if intent.kind is IntentKind.ENTER:
                self.trader.on_unsent(intent)

    def _is_over(self) -> bool:
        """Return whether to end: told to, and everything was heard that happened until now."""
        if not self.stop_reason or not self.inbox.is_empty:
            return False
        return self._is_idle() or self._wires.clock.monotonic_ms() >= self._stops_by_ms

    def _is_idle(self) -> bool:
        return self.trader.book.is_settled or self.trader.parked

    async def _flush(self) -> None:
        if self._unflushed:
            self._unflushed = False
            await self._wires.journal.flush()

    # -- silence

    def _patience_s(self) -> float | None:
        """Return how long to wait for the next event before looking at the broker; None = as long as it takes."""
        stop_ms = self._stops_by_ms - self._wires.clock.monotonic_ms() if self.stop_reason else None
        left_ms = min((each for each in (self._left_ms(), stop_ms, self._bar_ms()) if each is not None), default=None)
        return None if left_ms is None else max(0.001, left_ms / 1_000)

    def _bar_ms(self) -> int | None:
        """Return how long until the clock closes the forming bar; None where only quotes do.

        Nor does it close one whose ticks went by unheard: the broker's history has them, and is read when it can be.
        """
        forming, market_ms = self.trader.feed.forming, self._wires.market_ms
        if self.trader.watch.link_lost or self.trader.behind:
            return None
        return None if forming is None or market_ms is None else int(forming.end_ms) + LATE_TICKS_MS - market_ms()

    def _let_time_pass(self) -> None:
        """Let the market clock close the bar that no quote has closed."""
        left_ms, market_ms = self._bar_ms(), self._wires.market_ms
        if left_ms is not None and left_ms < -ASLEEP_MS:
            self.trader.behind = True
        elif market_ms is not None and left_ms is not None and left_ms <= 0:
            self.trader.advance(market_ms() - LATE_TICKS_MS)
            self._unflushed = True

    def _left_ms(self) -> int | None:
        """Return how long to be patient with what is awaited, counted anew when that changes; None = for nothing."""
        book = self.trader.book
        is_known = book.is_settled and not self.trader.astray and not self.trader.behind
        if is_known or self.trader.watch.link_lost:
            self._awaited = ()
            return None
        bare = None if book.holding is None or book.holding.is_protected else book.holding.position.position_id
        awaited = (*(each.client_order_id for each in book.in_flight), bare, self.trader.astray, self.trader.behind)
        now_ms = self._wires.clock.monotonic_ms()
        if awaited != self._awaited:
            self._awaited, self._waits_since_ms = awaited, now_ms
        return self._waits_since_ms + self._limit_ms() - now_ms

    def _silence_ms(self) -> int:
        """Return the machine time since the last quote."""
        before_ms, self._quoted_ms = self._quoted_ms, self._wires.clock.monotonic_ms()
        return 0 if before_ms is None else self._quoted_ms - before_ms

    def _limit_ms(self) -> int:
        if self.trader.parked or self.trader.astray:
            return PARKED_WAIT_MS
        book = self.trader.book
        return ANSWER_WAIT_MS if book.in_flight or book.is_settled else PROTECTION_WAIT_MS

    async def _look_if_overdue(self) -> None:
        """After silence ask the broker."""
        left_ms = self._left_ms()
        if left_ms is not None and left_ms <= 0:
            await self._look()

    async def _look(self) -> None:
        """Ask the broker what was missed; settle what its answer proves and never send an entry again."""
        self._awaited = ()
        self._unflushed = True
        try:
            requests = await self._found(startup.look(self.trader, self._wires, self._clock_ms()))
        except RetryError:  # no answer, or the link went meanwhile: time or its return brings the next look
            requests = []
        await self._take(requests)

    async def _found(self, look: Coroutine[Any, Any, FoundT]) -> FoundT:
        """Return what ``look`` finds: a broker's quota may keep it for minutes, a stop does not wait for that.

        Raises:
            RetryError: the broker did not answer, or not before the run must stop.
        """
        self._look_task = task = asyncio.ensure_future(look)
        self._hurry()
        try:
            return await task
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is None or own.cancelling() or not self.stop_reason:
                raise
            raise RetryError("STOPPED", "Start again: the next run looks once more.") from None
        finally:
            self._look_task = None

    def _hurry(self) -> None:
        """When told to stop, end a look: at once where nothing depends on it, else when no answer is waited for."""
        task = self._look_task
        if task is None or not self.stop_reason:
            return
        left_ms = 0 if self._is_idle() else self._stops_by_ms - self._wires.clock.monotonic_ms()
        asyncio.get_running_loop().call_later(max(left_ms, 0) / 1_000, task.cancel)

    def _clock_ms(self) -> int:
        mark = self.trader.feed.mark
        return 0 if mark is None else mark.ts_ms

    async def _finish(self) -> None:
        self.trader.keep_state(self._clock_ms())
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
