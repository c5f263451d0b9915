"""A session that lasts: connects, logs in, and comes back whatever takes it away, until somebody must change something.

::

    connect ── application ── account ══ READY ══ until something is lost
       ▲            ▲            └── the account's session only: log it in again over the same link ──┐
       └────────────┴───────────────── wait: 1-60 s with jitter, or the end of a maintenance ◀────────┘

What is lost is told at once, and so is what is ready again: in the very moment in which the broker's answer is read,
before anything that the new session brings. So whoever reads the events in order knows which of them belong together.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from palmbot.adapters import ctrader_login as login
from palmbot.adapters.ctrader_link import Dial, Link
from palmbot.errors import (
    ConfigError,
    HaltError,
    InvariantError,
    OutcomeUnknownError,
    PalmbotError,
    RetryError,
)
from palmbot.model import LinkState
from palmbot.ports import Clock
from palmbot.protocol.codec_errors import Declined
from palmbot.protocol.codes import Reaction
from palmbot.protocol.events import Received
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import pb
from palmbot.protocol.session import SessionConfig, named_accounts
from palmbot.settings import CtraderCredentials

REFRESH_EVERY_MS = 60_000  # at most one refresh of the token in this time
MAINTENANCE_MAX_MS = 3_600_000  # how long the broker's word about the end of a maintenance is believed
_CUTTING = ("CH_CLIENT_NOT_AUTHENTICATED", "CONNECTIONS_LIMIT_EXCEEDED")  # nothing more will come over this link
_LOCKED = "CHANNEL_IS_BLOCKED"
_ABOUT_SYMBOLS = ("SYMBOL_NOT_FOUND", "UNKNOWN_SYMBOL")
_TRADING = (pb.NewOrderReq, pb.AmendPositionSLTPReq, pb.ClosePositionReq)
_TEXT_MAX = 200
_SECRET_LENGTH_MIN = 4


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take."""

    connect_ms: int = 10_000
    answer_ms: int = 10_000
    silence_ms: int = 60_000  # of the broker, who says something every 30 s
    pause_min_ms: int = 1_000  # before the next attempt
    pause_max_ms: int = 60_000
    steady_ms: int = 60_000  # a session that lived so long was a good one
    per_second: int = 50  # requests, as the broker allows
    historical_per_second: int = 5


@dataclass(frozen=True, slots=True)
class KeeperWires:
    """The outside of a keeper."""

    dial: Dial
    clock: Clock
    rng: random.Random
    tokens: login.TokenSource


class Guest(Protocol):
    """Whoever trades over the session. What it raises while it hears something ends the link."""

    @property
    def may_send(self) -> frozenset[int] | None:
        """What its sessions may say, as payload types; None: everything."""

    def on_spot(self, spot: pb.SpotEvent) -> None:
        """Take in a quote."""

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Take in any other message that is not about the session itself."""

    def on_batch(self) -> None:
        """Everything that arrived together was taken in."""

    def on_state(self, state: LinkState, reason: str) -> None:
        """The account is logged in, or not any more; nothing of a session is told on the other side of this."""

    def on_facts(self, facts: login.Facts) -> None:
        """The first login is complete."""

    async def on_ready(self, link: Link) -> None:
        """Ask over ``link`` for what a new session must bring again."""


class Keeper:
    """See above. ``run`` is the only task; everything else is called by it, by the link or by a guest that asks."""

    def __init__(
        self, guest: Guest, wires: KeeperWires, credentials: CtraderCredentials, symbol: str, patience: Patience
    ) -> None:
        self._guest = guest
        self._wires = wires
        self._credentials = credentials
        self._symbol = symbol
        self._patience = patience
        self._process = f"{wires.rng.randrange(16**6):06x}"  # keeps our ids apart from those of other clients
        self._links = 0
        self._link: Link | None = None
        self._account_id: int | None = None
        self._token = ""  # that was used last
        self._facts: login.Facts | None = None
        self._is_granted = False  # the account is logged in
        self._lost: asyncio.Event = asyncio.Event()  # what was granted is gone
        self._opened: asyncio.Event = asyncio.Event()  # ready, or never will be
        self._failure: PalmbotError | None = None
        self._why = "the first connection is being made"
        self._granted_ms = 0
        self._refreshed_ms: int | None = None
        self._not_before_ms = 0  # UTC: the end of a maintenance
        self._attempts = 0

    # -- what a guest asks

    @property
    def account_id(self) -> int | None:
        """The account, once it is known."""
        return self._account_id

    @property
    def is_ready(self) -> bool:
        """Whether requests may go."""
        return self._is_granted and self._facts is not None and self._link is not None and self._link.is_alive

    @property
    def frames_received(self) -> int:
        """Frames that came over the present link."""
        return 0 if self._link is None else self._link.frames_received

    def link(self) -> Link:
        """Return the link if the session is ready now.

        Raises:
            RetryError: it is not.
            PalmbotError: it never will be, and why.
        """
        if self._failure is not None:
            raise self._failure
        if not self.is_ready or self._link is None:
            raise RetryError("LINK_DOWN", "Wait until the link is back.", reason=self._why)
        return self._link

    async def ready(self) -> Link:
        """Return the link, waiting for it as long as an answer may take.

        Raises:
            RetryError: it did not come.
            PalmbotError: it never will, and why.
        """
        if self._failure is None and not self.is_ready:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience.answer_ms / 1_000):
                    await self._opened.wait()
        return self.link()

    def abort(self, reason: str) -> None:
        """Cut the link at once; it comes back by itself."""
        if self._link is not None:
            self._link.abort(reason)

    # -- the task

    async def run(self) -> None:
        """Keep the session until cancelled.

        Raises:
            ConfigError: a person must change a setting.
            RejectedError: a person must log in again.
            RefusedError: the account is of another environment.
            HaltError: the broker has locked us out.
            InvariantError: a bug.
        """
        try:
            while True:
                await self._live()
                if self._failure is not None:
                    raise self._failure
                await self._pause()
        except PalmbotError as failure:
            self._failure = failure
            raise
        finally:
            self._failure = self._failure or RetryError("LINK_CLOSED", "Start again: the session was ended.")
            self._opened.set()
            if self._link is not None:
                self._link.close("the session was ended")

    async def _live(self) -> None:
        """Live through one link."""
        link = self._link = self._new_link()
        try:
            await self._connect(link)
            await login.authorise_app(link, self._credentials)
            while link.is_alive and self._failure is None:
                await self._attend(link)
                if link.is_alive and self._failure is None:
                    await self._pause()
        except RetryError as failure:
            self._why = f"{failure.code} {failure.facts.get('reason', '')}".strip()
        finally:
            link.close(self._why)

    def _new_link(self) -> Link:
        self._links += 1
        config = SessionConfig(
            silence_ms=self._patience.silence_ms,
            deadline_ms=self._patience.answer_ms,
            id_prefix=f"{self._process}-{self._links}",
            may_send=self._guest.may_send,
        )
        limiter = Limiter(self._patience.per_second, self._patience.historical_per_second)
        return Link(self, self._wires.clock, config, limiter)

    async def _connect(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self._patience.connect_ms / 1_000):
                await self._wires.dial(lambda: link)
        except TimeoutError as late:
            raise RetryError("CONNECT_TIMEOUT", "Try again later.") from late
        except ConfigError as wrong:
            if self._facts is None:
                raise
            # what was right at the first login is now somebody else's mishap, and that may pass
            raise RetryError(wrong.code, "Try again later.", **wrong.facts) from wrong
        except OSError as failure:
            raise RetryError("CONNECT_FAILED", "Try again later.", reason=failure.strerror or str(failure)) from failure

    async def _attend(self, link: Link) -> None:
        """Live through one session of the account; the link may outlive it."""
        self._lost.clear()
        try:
            self._token = token = self._wires.tokens.current()
            if self._account_id is None:
                self._account_id = await login.choose_account(link, self._credentials, token)
            await login.authorise_account(link, self._account_id, token)
            if self._facts is None:
                facts = await login.read_facts(link, self._account_id, self._symbol)
                if not self._lost.is_set():
                    self._facts = facts
                    self._guest.on_facts(facts)
            if not self._lost.is_set():
                self._opened.set()
                await self._guest.on_ready(link)
            await self._lost.wait()
        except login.DeadTokenError as dead:
            await self._refresh(dead.code)
        except RetryError as failure:
            self._why = failure.code
            link.abort(failure.code)
        finally:
            self._account_lost(self._why)

    async def _refresh(self, code: str) -> None:
        """Get another token, at most once a minute; ``code`` is why."""
        now_ms = self._wires.clock.monotonic_ms()
        self._why = code
        if self._refreshed_ms is None or now_ms - self._refreshed_ms >= REFRESH_EVERY_MS:
            self._refreshed_ms = now_ms
            try:
                await self._wires.tokens.refresh(self._token, code)
            except (RetryError, OutcomeUnknownError) as failure:
                self._why = failure.code

    async def _pause(self) -> None:
        """Wait before the next attempt: longer each time, each client differently, and until a maintenance is over."""
        patience, clock = self._patience, self._wires.clock
        if self._granted_ms and clock.monotonic_ms() - self._granted_ms >= patience.steady_ms:
            self._attempts = 0
        self._granted_ms = 0
        longest_ms = min(patience.pause_min_ms * 2**self._attempts, patience.pause_max_ms)
        self._attempts = min(self._attempts + 1, 16)
        pause_ms = max(patience.pause_min_ms, longest_ms * self._wires.rng.uniform(0.5, 1.0))
        closed_ms = min(self._not_before_ms - clock.utc_ms(), MAINTENANCE_MAX_MS)
        if closed_ms > 0:
            pause_ms += closed_ms
        self._not_before_ms = 0
        await clock.sleep(pause_ms / 1_000)

    # -- what the link tells

    def on_spot(self, spot: pb.SpotEvent) -> None:
        """Hand a quote on."""
        if self._is_granted:
            self._guest.on_spot(spot)

    def on_batch(self) -> None:
        """Hand it on."""
        self._guest.on_batch()

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Take in what is about the session; hand everything on that may be about orders."""
        message = event.message
        if isinstance(message, pb.AccountAuthRes):
            if message.ctidTraderAccountId == self._account_id:
                self._account_granted()
        elif isinstance(message, pb.AccountDisconnectEvent | pb.AccountsTokenInvalidatedEvent):
            if self._account_id in named_accounts(message):
                self._account_lost(type(message).__name__)
        elif isinstance(message, pb.ClientDisconnectEvent):
            self._client_lost(self.without_secrets(message.reason))
        else:
            if self._is_granted:
                self._guest.on_message(event, declined)
            if declined is not None:
                self._on_declined(event, declined)

    def _on_declined(self, event: Received, declined: Declined) -> None:
        """React to an error as far as it is about the session."""
        if isinstance(event.message, pb.OrderErrorEvent):
            return
        request, reaction = event.request, declined.reaction
        if declined.is_maintenance:
            self._not_before_ms = declined.until_ms or 0
            self._cut(declined.code)
        elif isinstance(request, pb.AccountAuthReq):
            if reaction is Reaction.SUCCESS:
                self._account_granted()
        elif declined.code in _CUTTING or (reaction is Reaction.UNKNOWN and not isinstance(request, _TRADING)):
            self._cut(declined.code)
        elif reaction is Reaction.REAUTHORISE:
            self._account_lost(declined.code)
        elif reaction is Reaction.FATAL and request is None and not event.client_msg_id:
            self._on_verdict(declined)

    def _on_verdict(self, declined: Declined) -> None:
        """React to what nobody asked for: the answer to the next login says whether it is so."""
        if declined.code == _LOCKED:
            self._lock_out(declined.code, declined.text)
        elif declined.code not in _ABOUT_SYMBOLS:
            self._account_lost(declined.code)

    def _account_granted(self) -> None:
        if self._is_granted:
            return
        self._is_granted = True
        self._lost.clear()  # what was lost before is granted again
        self._granted_ms = self._wires.clock.monotonic_ms()
        self._guest.on_state(LinkState.READY, "")
        if self._facts is not None:
            self._opened.set()

    def _account_lost(self, reason: str) -> None:
        self._lost.set()
        if not self._is_granted:
            return
        self._is_granted = False
        self._opened.clear()
        self._why = reason
        self._guest.on_state(LinkState.LOST, reason)

    def _client_lost(self, reason: str) -> None:
        if "blocked" in reason.lower():
            self._lock_out("CLIENT_BLOCKED", reason)
        else:
            self._cut(f"ClientDisconnectEvent {reason[:_TEXT_MAX]}".strip())

    def _lock_out(self, code: str, text: str) -> None:
        todo = "Talk to the broker: it has locked this application out. Open positions keep the broker's stop."
        self._failure = HaltError(code, todo, text=text[:_TEXT_MAX])
        self._cut(code)

    def _cut(self, reason: str) -> None:
        if self._link is not None:
            self._link.abort(reason)

    def on_lost(self, reason: str, failure: PalmbotError | None) -> None:
        """Note that the link is dead. A bug is no reason to connect again."""
        if isinstance(failure, InvariantError) and self._failure is None:
            self._failure = failure
        self._why = reason
        self._account_lost(reason)

    def without_secrets(self, text: str) -> str:
        """Return ``text`` without what was sent to the broker in confidence, which it may repeat."""
        for secret in (self._credentials.client_secret, self._token):
            if len(secret) >= _SECRET_LENGTH_MIN:
                text = text.replace(secret, "[hidden]")
        return text
