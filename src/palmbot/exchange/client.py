"""A connected client as the exchange knows it: what it may do, and what it wants to hear of."""

from __future__ import annotations

from collections.abc import Mapping
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


class Index:
    """Clients by what they hear of: an account, or a symbol."""

    def __init__(self) -> None:
        self._hearers: dict[int, dict[int, Client]] = {}

    def of(self, key: int) -> Mapping[int, Client]:
        """Return who hears of ``key``, by number of the client; it may change with the next request."""
        return self._hearers.get(key, {})

    def add(self, key: int, client: Client) -> None:
        """Let a client hear of ``key``."""
        self._hearers.setdefault(key, {})[client.number] = client

    def drop(self, key: int, client: Client) -> None:
        """Let it hear of that no more."""
        hearers = self._hearers.get(key, {})
        hearers.pop(client.number, None)
        if not hearers:
            self._hearers.pop(key, None)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who hears of what: kept by the clients, so that telling costs what is heard, however many are connected."""

    accounts: Index = field(default_factory=Index)
    symbols: Index = field(default_factory=Index)
    results: dict[int, Client] = field(default_factory=dict)  # who hears unrealized results, by number


class Client:
    """The state of one connection.

    Args:
        number: of the connection, never given twice by one server.
        session: its side of the protocol; says what is authorised.
        outlet: where its messages go.
        audience: where others look for who hears of what.
    """

    def __init__(self, number: int, session: Session, outlet: Outlet, audience: Audience) -> None:
        self.number = number
        self.session = session
        self.outlet = outlet
        self._audience = audience
        self.application: Application | None = None
        self.keys: dict[int, Key] = {}  # by account
        self.subscriptions: dict[int, dict[int, Subscription]] = {}  # by symbol, then account
        self.results: dict[int, tuple[int, int] | None] = {}  # by account: unrealized gross and net as told last
        self.asking = ""  # token of the request that is being handled

    def open(self, account_id: int, key: Key) -> None:
        """Begin the session of an account."""
        self.keys[account_id] = key
        self._audience.accounts.add(account_id, self)

    def subscription(self, account_id: int, symbol_id: int) -> Subscription | None:
        """Return what the client hears of a symbol on an account; None is nothing."""
        return self.subscriptions.get(symbol_id, {}).get(account_id)

    def subscribe(self, subscription: Subscription) -> None:
        """Begin to hear of a symbol."""
        self.subscriptions.setdefault(subscription.symbol_id, {})[subscription.account_id] = subscription
        self._audience.symbols.add(subscription.symbol_id, self)

    def unsubscribe(self, account_id: int, symbol_id: int) -> None:
        """Hear of it no more."""
        of_symbol = self.subscriptions.get(symbol_id, {})
        of_symbol.pop(account_id, None)
        if not of_symbol:
            self.subscriptions.pop(symbol_id, None)
            self._audience.symbols.drop(symbol_id, self)

    def watch(self, account_id: int) -> None:
        """Begin to hear the unrealized results of an account."""
        self.results[account_id] = None
        self._audience.results[self.number] = self

    def unwatch(self, account_id: int) -> None:
        """Hear them no more."""
        self.results.pop(account_id, None)
        if not self.results:
            self._audience.results.pop(self.number, None)

    def forget(self, account_id: int) -> None:
        """Drop everything that goes with the session of an account."""
        self.keys.pop(account_id, None)
        self._audience.accounts.drop(account_id, self)
        self.unwatch(account_id)
        for symbol_id in list(self.subscriptions):
            self.unsubscribe(account_id, symbol_id)

    def forget_all(self) -> None:
        """Drop everything that goes with the application."""
        self.application = None
        for account_id in list(self.keys):
            self.forget(account_id)
