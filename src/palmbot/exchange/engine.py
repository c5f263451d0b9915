"""The exchange's clockwork: runs the market, commits what it did, then tells everybody who listens."""

from __future__ import annotations

from typing import Protocol

from palmbot.exchange.books import Books
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.pacer import Pace
from palmbot.exchange.terms import Terms
from palmbot.exchange.values import CashKind, Refused, Request, Told
from palmbot.exchange.venue import VenueReads


class Listener(Protocol):
    """Who is told. Calls come in the order of events, after the commit; none may block or raise."""

    def told(self, account_id: int, told: Told) -> None:
        """Take in an event of an account."""

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Take in a tick of a symbol, after everything that it did to accounts."""

    def ended(self) -> None:
        """The feed has no more ticks."""


class EngineSignatures(Protocol):
    """The signatures of ``Engine(venue, feed, books, pacer)``, while it is being built."""

    venue: VenueReads
    books: Books

    def add_listener(self, listener: Listener) -> None:
        """Tell ``listener`` everything from now on."""

    def remove_listener(self, listener: Listener) -> None:
        """Tell it nothing any more."""

    def start(self) -> None:
        """Let the market move; until then it stands still. More calls do nothing."""

    async def run(self, pace: Pace | None = None) -> None:
        """Run the market from ``start`` until the feed ends. ``pace`` None is as fast as the pacer lets it."""

    def request(self, account_id: int, request: Request, asked: str = "") -> Refused | None:
        """Carry out ``request`` now: what it does is told to the listeners before this returns; None is no refusal.

        Synchronous: validation, commit and telling happen without letting anybody else run.

        Raises:
            HaltError: the books cannot be written; nothing was told.
        """

    def cash(self, account_id: int, kind: CashKind, delta_minor: int, note: str = "") -> Refused | None:
        """Deposit or withdraw, as ``Venue.cash``."""

    def set_terms(self, terms: Terms) -> None:
        """Change an account's terms, as ``Venue.set_terms``."""

    def set_margin_call(self, account_id: int, kind: int, threshold_pct: float) -> Refused | None:
        """Move a threshold, as ``Venue.set_margin_call``."""
