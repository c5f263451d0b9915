"""What the broker says of the symbol, before anything is built that trades by it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from palmbot.adapters.ctrader_terms import read_statement
from palmbot.config.terms import differences
from palmbot.model import AccountSnapshot, Difference
from palmbot.protocol.messages import Message
from palmbot.protocol.statement import NOT_STATED, Statement, instrument_of, refusals
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
    account_id = (await client.standing()).account_id
    return told_by(await read_statement(client.need, account_id, settings.instrument.symbol), settings)


def noted(differences: tuple[Difference, ...]) -> list[str]:
    """Return the lines that tell a person what the broker states otherwise."""
    return [
        f"{each.name}: configured {each.configured}, the broker's {each.broker}"
        for each in differences
        if each.broker != NOT_STATED
    ]


def told_by(statement: Statement, settings: Settings) -> Told:
    """Return ``settings`` under the broker's terms.

    Raises:
        RefusedError: this symbol or account cannot be traded, and why.
    """
    for refusal in refusals(statement, wants_shorts=settings.params.allow_short == 1):
        raise refusal
    configured = settings.instrument
    reading = instrument_of(statement, configured)
    finer = reading.spec.core.money_digits - configured.core.money_digits
    balance_minor = settings.balance_minor * 10**finer if finer >= 0 else settings.balance_minor // 10**-finer
    return Told(
        replace(settings, instrument=reading.spec, balance_minor=balance_minor),
        differences(configured, reading),
    )
