"""What the broker says of the symbol, before anything is built that trades by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from palmbot.model import AccountSnapshot, Difference
from palmbot.protocol.messages import Message
from palmbot.settings import Settings


class Asks(Protocol):
    """A client that runs and is, or soon will be, logged in."""

    async def need(self, request: Message) -> Message:
        """Return the broker's answer to ``request``, which is no error."""

    async def standing(self) -> AccountSnapshot:
        """Return the account."""


@dataclass(frozen=True, slots=True)
class Told:
    """``settings`` with the broker's instrument in place of the configured one, and where the two differ."""

    settings: Settings
    differences: tuple[Difference, ...] = ()


async def told(client: Asks, settings: Settings) -> Told:
    """Ask the broker for its terms.

    Raises:
        RefusedError: this symbol or account cannot be traded, and why.
        ConfigError: there is no such symbol.
        RetryError: the link is down, or there is no answer.
    """
    await client.standing()
    return Told(settings)
