"""What the broker says of the symbol, before anything is built that trades by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from palmbot.adapters.ctrader_terms import read_statement
from palmbot.config.terms import differences
from palmbot.errors import ConfigError, RefusedError, RejectedError, RetryError
from palmbot.instruments import InstrumentSpec
from palmbot.model import AccountSnapshot, Difference, TermsEvent
from palmbot.ports import Clock, Inbox
from palmbot.protocol.messages import Message
from palmbot.protocol.statement import NOT_STATED, Statement, instrument_of, refusals
from palmbot.settings import Settings

LASTING: Final = ("step_px", "lot_cu", "money_digits", "day_start_ms")  # what running values were computed by
CURRENCIES: Final = ("quote_currency", "deposit_currency")
LOOK_AGAIN_S: Final = 5.0


class Asks(Protocol):
    """A client that runs and is, or soon will be, logged in."""

    async def need(self, request: Message) -> Message:
        """Return the broker's answer to ``request``, which is no error."""

    async def standing(self) -> AccountSnapshot:
        """Return the account."""


class Watched(Asks, Protocol):
    """A client that also says when the broker may state other terms than before."""

    on_terms: Callable[[], None]


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


@dataclass(frozen=True, slots=True)
class Watch:
    """What looks again when the broker may state other terms; from when it is made on, nothing is missed.

    Args:
        asks: whom to ask; it says when.
        configured: settings as they were before the broker was asked.
        first: what was told then.
        inbox: where changes go.
        clock: to wait on.
        on_note: is told what a person should know.
        is_mirrored: orders are filled under the first terms; others only forbid.
    """

    asks: Watched
    configured: Settings
    first: Told
    inbox: Inbox
    clock: Clock
    on_note: Callable[[str], None]
    is_mirrored: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.asks.on_terms = self._changed.set

    async def run(self) -> None:
        """Run beside the bot, until cancelled.

        Raises:
            HaltError: the bot cannot keep up.
        """
        newest = self._event("", self.first.settings.instrument)
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                event = self._compared((await told(self.asks, self.configured)).settings.instrument)
            except RetryError:
                self._changed.set()
                await self.clock.sleep(LOOK_AGAIN_S)
                continue
            except (RefusedError, ConfigError, RejectedError) as refusal:
                event = self._event(str(refusal).replace("\n", " "), self.first.settings.instrument)
            if event != newest:
                newest = event
                self.inbox.put(event)
                self.on_note(f"The broker changed its terms. {event.barred or 'Entries go on under them.'}")

    def _compared(self, spec: InstrumentSpec) -> TermsEvent:
        first = self.first.settings.instrument
        lasting = [name for name in LASTING if getattr(spec.core, name) != getattr(first.core, name)]
        lasting += [name for name in CURRENCIES if getattr(spec, name) != getattr(first, name)]
        if lasting:
            return self._event(f"TERMS_CHANGED: {', '.join(lasting)}. Start again with another data_dir.", first)
        return self._event("", first if self.is_mirrored else spec)

    @staticmethod
    def _event(barred: str, spec: InstrumentSpec) -> TermsEvent:
        return TermsEvent(barred, spec.core, spec.session)


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
