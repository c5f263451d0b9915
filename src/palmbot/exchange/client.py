"""A connected client as the exchange knows it: what it may do, and what it wants to hear of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from palmbot.exchange.grants import Application, Scope
from palmbot.exchange.periods import Period
from palmbot.protocol.messages import Message
from palmbot.protocol.session import Session


class Outlet(Protocol):
    """Where messages for a client go. Nothing leaves before ``flush``."""

    @property
    def is_slow(self) -> bool:
        """Whether the client does not read fast enough: what may wait should."""

    def send(self, message: Message, client_msg_id: str = "") -> None:
        """Send a message."""

    def send_frame(self, frame: bytes) -> None:
        """Send an event that was encoded once for many."""

    def flush(self) -> None:
        """Write what was sent."""


@dataclass(slots=True)
class Subscription:
    """What a client hears of one symbol on one account, and what it heard last."""

    account_id: int
    symbol_id: int
    wants_time: bool = False
    bid_px: int | None = None  # None: nothing yet
    ask_px: int | None = None
    is_behind: bool = False  # the newest quote waits until the client reads again
    periods: list[Period] = field(default_factory=list)  # of live bars
    has_depth: bool = False
    book: tuple[int, int] | None = None  # bid and ask of the book that was shown last


@dataclass(frozen=True, slots=True)
class Key:
    """By which grant an account was authorised."""

    grant_id: int
    scope: Scope


class Client:
    """The state of one connection.

    Args:
        number: of the connection, never given twice by one server.
        session: its side of the protocol; says what is authorised.
        outlet: where its messages go.
    """

    def __init__(self, number: int, session: Session, outlet: Outlet) -> None:
        self.number = number
        self.session = session
        self.outlet = outlet
        self.application: Application | None = None
        self.keys: dict[int, Key] = {}  # by account
        self.subscriptions: dict[int, dict[int, Subscription]] = {}  # by symbol, then account
        self.results: dict[int, tuple[int, int] | None] = {}  # by account: unrealized gross and net as told last
        self.asking = ""  # token of the request that is being handled

    def subscription(self, account_id: int, symbol_id: int) -> Subscription | None:
        """Return what the client hears of a symbol on an account; None is nothing."""
        return self.subscriptions.get(symbol_id, {}).get(account_id)

    def subscribe(self, subscription: Subscription) -> None:
        """Begin to hear of a symbol."""
        self.subscriptions.setdefault(subscription.symbol_id, {})[subscription.account_id] = subscription

    def unsubscribe(self, account_id: int, symbol_id: int) -> None:
        """Hear of it no more."""
        of_symbol = self.subscriptions.get(symbol_id, {})
        of_symbol.pop(account_id, None)
        if not of_symbol:
            self.subscriptions.pop(symbol_id, None)

    def forget(self, account_id: int) -> None:
        """Drop everything that goes with the session of an account."""
        self.keys.pop(account_id, None)
        self.results.pop(account_id, None)
        for symbol_id in list(self.subscriptions):
            self.unsubscribe(account_id, symbol_id)

    def forget_all(self) -> None:
        """Drop everything that goes with the application."""
        self.application = None
        self.keys.clear()
        self.results.clear()
        self.subscriptions.clear()
