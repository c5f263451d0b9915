"""What the bot needs of the outside, as small protocols; each has, or is about to have, two implementations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from palmbot.core.types import Sentiment
from palmbot.model import AccountSnapshot, BrokerEvent, Fill, HistoryBar, JournalEvent, OrderIntent, Tokens


class Inbox(Protocol):
    """The one bounded queue in front of the task that owns all trading state."""

    def put(self, event: BrokerEvent) -> None:
        """Append ``event``; quotes may be conflated, everything else never drops."""


class Quotes(Protocol):
    """Market data. Live quotes arrive in the inbox."""

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:
        """Return up to ``count`` bars before now, oldest first; the last one may still be forming."""

    async def subscribe(self, symbol: str) -> None:
        """Begin to deliver quotes of ``symbol`` to the inbox."""


class SentimentSource(Protocol):
    """What is known about the mood of the news, point in time."""

    def at(self, instant_ms: int) -> Sentiment:
        """Return the newest sentiment that was known at ``instant_ms``; ``known_ms`` -1 when there is none."""


class Trading(Protocol):
    """Orders. Their outcomes arrive in the inbox, never as a return value."""

    async def account(self) -> AccountSnapshot:
        """Return the broker's account with its open positions and orders."""

    async def deals(self, position_id: int) -> Sequence[Fill]:
        """Return all deals of a position, oldest first, also of one that has been closed."""

    async def submit(self, intent: OrderIntent) -> None:
        """Send ``intent`` once. Never resends.

        Raises:
            OutcomeUnknownError: nobody knows whether it was sent.
        """


class Journal(Protocol):
    """The append-only memory."""

    async def append(self, events: Sequence[JournalEvent]) -> int:
        """Write ``events`` durably and return the sequence number of the last.

        Raises:
            HaltError: the journal cannot be written; no new entry may be sent.
        """

    def defer(self, events: Sequence[JournalEvent]) -> None:
        """Write ``events`` with the next append or flush: for what may be computed again after a crash."""

    async def flush(self) -> None:
        """Write everything deferred, durably."""

    def last(self, kind: str) -> JournalEvent | None:
        """Return the newest event of ``kind``, or None."""

    def events(self, kind: str, after_seq: int = 0) -> Sequence[JournalEvent]:
        """Return the events of ``kind`` in order, from after ``after_seq``."""

    async def close(self) -> None:
        """Flush and release everything."""


class Lease(Protocol):
    """The right to trade with one journal."""

    def acquire(self) -> int:
        """Take the lease and return its epoch, higher than any before.

        Raises:
            RefusedError: another process holds it.
        """

    def release(self) -> None:
        """Give the lease back."""


class Clock(Protocol):
    """The machine clock. Monotonic; for deadlines, grace periods and rates, never for bars or days."""

    def monotonic_ms(self) -> int:
        """Return milliseconds since an arbitrary start."""

    def utc_ms(self) -> int:
        """Return wall time; the market clock on demo and live only."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long on this clock."""


class Pacer(Protocol):
    """Lock-step between the bot and the embedded exchange. Carries no trading data."""

    def idle(self) -> None:
        """The bot has processed everything and awaits nothing."""

    async def wait_idle(self) -> None:
        """Wait (the exchange) until the bot has nothing left to do.

        Raises:
            InvariantError: no idle in 30 s; the facts name what is awaited.
        """


class TokenStore(Protocol):
    """The tokens of one environment, encrypted where they are kept. Plain calls: what is durable cannot be awaited."""

    def load(self) -> Tokens | None:
        """Return the newest tokens, or None.

        Raises:
            RefusedError: others can read them.
            ConfigError: they cannot be decrypted.
        """

    def save(self, tokens: Tokens) -> None:
        """Replace the tokens as a whole, durably. Only under the lock."""

    def clear(self) -> bool:
        """Remove the tokens and return whether there were any. Only under the lock."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep every other process from changing these tokens.

        Raises:
            RetryError: one is just changing them.
        """
