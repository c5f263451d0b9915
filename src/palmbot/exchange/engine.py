"""The exchange's clockwork: runs the market, commits what it did, then tells everybody who listens.

Nothing is told before it is in the books. What could not be written is told to nobody until it is. What failed halfway
is never written at all: from then on the exchange refuses to move, and only a restart from its books goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from palmbot.core.fills import NEVER_MS
from palmbot.errors import HaltError, PalmbotError
from palmbot.exchange.books import Books, Place
from palmbot.exchange.feed import Feed, FeedTick
from palmbot.exchange.pacer import Pace
from palmbot.exchange.prices import Candle, Prices
from palmbot.exchange.rates import conversion_tick
from palmbot.exchange.terms import Terms
from palmbot.exchange.values import CashKind, Refused, Request, Told
from palmbot.exchange.venue import Venue
from palmbot.ports import Pacer
from palmbot.units import MINUTE_MS, RATE_ONE_E8


class Listener(Protocol):
    """Who is told. Calls come in the order of events, after the commit; none may block or raise."""

    def told(self, account_id: int, told: Told) -> None:
        """Take in an event of an account."""

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Take in a tick of a symbol, after everything that it did to accounts."""

    def ended(self) -> None:
        """The feed has no more ticks."""


class Engine:
    """One exchange in motion.

    Args:
        venue: the exchange.
        feed: the market of the traded symbol, standing where ``books.feed_state`` says.
        books: where it is all kept.
        pacer: lock-step or free running.
    """

    def __init__(self, venue: Venue, feed: Feed, books: Books, pacer: Pacer) -> None:
        self.venue = venue
        self.books = books
        self._feed = feed
        self._pacer = pacer
        self._pace: Pace | None = None
        self._coming_ms: int | None = None  # of the tick that is waited for
        self._awaited_ms = 0  # until when market time may pass without a look at what is due
        self._listeners: list[Listener] = []
        self._started = asyncio.Event()
        self._untold: list[Told] = []
        self._broken: HaltError | None = None  # why nothing may happen here any more
        # what moved since the market's place was last saved; no place before this process has sent a tick
        self._feed_state: dict[str, Any] | None = None
        self._ticks: dict[int, FeedTick] = {}
        self._candles: dict[tuple[int, int], Candle] = {}

    @property
    def prices(self) -> Prices:
        """What is served of the past."""
        return self.venue.prices

    # -- who listens

    def add_listener(self, listener: Listener) -> None:
        """Tell ``listener`` everything from now on."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Tell it nothing any more."""
        self._listeners = [each for each in self._listeners if each is not listener]

    # -- the market

    def start(self) -> None:
        """Let the market move; until then it stands still. More calls do nothing."""
        self._started.set()

    async def run(self, pace: Pace | None = None) -> None:
        """Run the market from ``start`` until the feed ends.

        Args:
            pace: how fast; None is as fast as the pacer lets it.

        Raises:
            InvariantError: ``PACER_STUCK``.
            HaltError: the books cannot be written, or ``EXCHANGE_BROKEN``.
        """
        self._pace = pace
        await self._started.wait()
        while (tick := self._feed.next_tick(self._side())) is not None:
            await self._reach(tick.ts_ms)
            self._settle(tick)
            await self._pacer.wait_idle()
            if self._feed.at_boundary:
                with self._whole():
                    self._commit()
        await self._finish()
        for listener in self._listeners:
            listener.ended()

    def tick(self, tick: FeedTick) -> None:
        """Let the market reach a tick that somebody brings, where the feed has none of its own.

        Raises:
            HaltError: the books cannot be written, or ``EXCHANGE_BROKEN``.
        """
        self._settle(tick)
        if self._feed.at_boundary:
            with self._whole():
                self._commit()

    def _side(self) -> int:
        """Return the side of the one account there is; with several the path of a bar is nobody's (PARITY 15)."""
        accounts = self.venue.accounts
        if len(accounts) != 1:
            return 0
        return next(iter(accounts.values())).side(self.venue.catalogue.traded_id)

    async def _reach(self, ts_ms: int) -> None:
        """Let market time reach ``ts_ms``; what falls due before it is done when its time has come."""
        self._coming_ms = ts_ms
        while True:
            due_ms = self.venue.due_ms()
            next_ms = ts_ms if due_ms is None else max(min(due_ms, ts_ms), self.venue.now_ms)
            self._awaited_ms = next_ms
            if self._pace is not None and not await self._pace.until(next_ms):
                continue  # something new is due
            if due_ms is None or due_ms > ts_ms:
                return
            self._pass(next_ms)

    def _pass(self, now_ms: int) -> None:
        """Let time pass without a tick."""
        with self._whole():
            self._tell(self.venue.advance(now_ms))

    async def _finish(self) -> None:
        """Do what is still due shortly after the last tick: delayed fills and protective orders."""
        delays = self.venue.conduct.delays
        last_ms = self.venue.now_ms + delays.fill_ms + delays.protect_ms
        if self.venue.now_ms and delays.fill_ms + delays.protect_ms:
            await self._reach(last_ms)

    def _settle(self, tick: FeedTick) -> None:
        """Let accounts meet a tick, then tell what happened and the quotes."""
        with self._whole():
            moved = self._moved(tick)
            told: list[Told] = []
            for symbol_id, each in moved:
                self._keep_minute(symbol_id, each.ts_ms)
                told += self.venue.tick(symbol_id, each)
                self._ticks[symbol_id] = each
            self._feed_state = self._feed.position_state()
            self._tell(told)
            for symbol_id, each in moved:
                for listener in self._listeners:
                    listener.spot(symbol_id, each)

    def _moved(self, tick: FeedTick) -> list[tuple[int, FeedTick]]:
        """Return what ticks with the traded symbol, itself last."""
        catalogue = self.venue.catalogue
        moved = self._fixed(tick.ts_ms) if self._feed_state is None else []
        pair = conversion_tick(catalogue, tick)
        if pair is not None:
            before = self.venue.last(pair[0])
            if before is None or before.bid_px != pair[1].bid_px:
                moved.append(pair)
        moved.append((catalogue.traded_id, tick))
        return moved

    def _fixed(self, ts_ms: int) -> list[tuple[int, FeedTick]]:
        """Return the one tick of each symbol whose quote never moves, where it has not come yet."""
        quotes = [(each.symbol_id, each.fixed_quote) for each in self.venue.catalogue.listings]
        return [
            (symbol_id, FeedTick(ts_ms, *quote, is_jump=True, bar_open_px=quote[0], rate_e8=RATE_ONE_E8))
            for symbol_id, quote in quotes
            if quote is not None and self.venue.last(symbol_id) is None
        ]

    def _keep_minute(self, symbol_id: int, until_ms: int) -> None:
        """Keep for the books the candle that a tick at ``until_ms`` would end, if ticks of it are not in them yet."""
        last = self._ticks.get(symbol_id)
        if last is not None and last.ts_ms // MINUTE_MS != until_ms // MINUTE_MS:
            minute = self.prices[symbol_id].minute
            if minute is not None:
                self._candles[symbol_id, minute.ts_ms] = minute

    # -- requests

    def request(self, account_id: int, request: Request, asked: str = "") -> Refused | None:
        """Carry out ``request`` now: what it does is told to the listeners before this returns; None is no refusal.

        Synchronous: validation, commit and telling happen without letting anybody else run.

        Raises:
            HaltError: the books cannot be written, or ``EXCHANGE_BROKEN``; nothing was told.
        """
        return self._done(lambda: self.venue.request(account_id, request, asked))

    def cash(self, account_id: int, kind: CashKind, delta_minor: int, note: str = "") -> Refused | None:
        """Deposit or withdraw, as ``Venue.cash``."""
        return self._done(lambda: self.venue.cash(account_id, kind, delta_minor, note))

    def set_terms(self, terms: Terms) -> None:
        """Change an account's terms, as ``Venue.set_terms``."""
        self._done(lambda: self.venue.set_terms(terms))

    def set_margin_call(self, account_id: int, kind: int, threshold_pct: float) -> Refused | None:
        """Move a threshold, as ``Venue.set_margin_call``."""
        return self._done(lambda: self.venue.set_margin_call(account_id, kind, threshold_pct))

    def _done(self, act: Callable[[], list[Told] | Refused]) -> Refused | None:
        """Let something happen now, between two ticks; commit it and tell it."""
        with self._whole():
            told = self._caught_up()
            outcome = act()
            if isinstance(outcome, Refused):
                self._tell(told)
                return outcome
            self._tell(told + outcome)
        due_ms = self.venue.due_ms()
        if self._pace is not None and due_ms is not None and due_ms < self._awaited_ms:
            self._pace.wake()
        return None

    def _caught_up(self) -> list[Told]:
        """Let market time reach this moment: between two ticks only the machine clock knows it."""
        now_ms = None if self._pace is None else self._pace.now_ms()
        if now_ms is None or self._coming_ms is None:
            return []
        now_ms = min(now_ms, self._coming_ms)
        return self.venue.advance(now_ms) if now_ms > self.venue.now_ms else []

    # -- commit, then tell

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Let what happens inside be the last thing, if it fails: half of it would be in the next commit.

        Books that cannot be written leave nothing half done, so another attempt may be made.
        """
        if self._broken is not None:
            raise self._broken
        try:
            yield
        except HaltError:
            raise
        except Exception as error:
            if isinstance(error, PalmbotError):
                self._broken = HaltError(error.code, error.todo, **error.facts)
            else:
                todo = "Report this, and start the exchange again: it goes on from its books."
                self._broken = HaltError("EXCHANGE_BROKEN", todo, error=f"{type(error).__name__}: {error}")
            raise self._broken from error

    def _tell(self, told: list[Told]) -> None:
        self._untold += told
        if not self.venue.changes.is_empty:
            self._commit()
        untold, self._untold = self._untold, []
        for each in untold:
            for listener in self._listeners:
                listener.told(each.account_id, each)

    def _commit(self) -> None:
        """Write what changed, and where the market is."""
        for symbol_id in self._ticks:
            self._keep_minute(symbol_id, NEVER_MS)
        place = Place(self._ticks, self._feed_state, self._candles) if self._feed_state is not None else None
        self.books.save(self.venue.changes, self.venue.mark, place)
        self.venue.changes.clear()
        self._ticks, self._candles = {}, {}
