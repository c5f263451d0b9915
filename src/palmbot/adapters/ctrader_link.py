"""One connection to the broker: a transport, the protocol's session, its timers, and the answers that are awaited.

A link dies once, for one reason, and never comes back: ``ctrader_keeper`` makes the next. Everything that arrives is
handed on while the bytes are read, so what is told first is also done first. What arrives after its death is not read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, cast

from palmbot.adapters.tls_reason import handshake_failure
from palmbot.errors import OutcomeUnknownError, PalmbotError, RetryError
from palmbot.ports import Clock
from palmbot.protocol.codec_errors import Declined, declined_of, error_of
from palmbot.protocol.events import Broken, Expired, Received, Silent
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import Message, name, payload_type, pb
from palmbot.protocol.session import Role, Session, SessionConfig

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]

UNSENT_MAX_MS = 5_000  # how long what was written may stay unacknowledged where the system can be told so
BLOCK_MAX_MS = 120_000  # how long the broker's word that a kind of request is blocked is believed
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


def real_dial(host: str, port: int, context: ssl.SSLContext) -> Dial:
    """Return what opens a connection over TCP and TLS; ``context`` from ``tls.client_context`` for the same host.

    It raises ``OSError`` where nobody answers, and what ``tls_reason.handshake_failure`` says where no secure
    connection comes about.
    """

    async def dial(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(factory, host, port, ssl=context)
        except ssl.SSLError as failure:
            raise handshake_failure(failure, host) from failure
        return transport

    return dial


class Audience(Protocol):
    """Whoever lives on a link. What it raises ends the link."""

    def on_spot(self, spot: pb.SpotEvent) -> None:
        """Take in a quote: the hot path."""

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Take in any other message, answers included; ``declined`` is what it declines."""

    def on_batch(self) -> None:
        """Everything that arrived together was taken in."""

    def on_lost(self, reason: str, failure: PalmbotError | None) -> None:
        """The link is dead; ``failure`` is what the audience itself raised."""

    def without_secrets(self, text: str) -> str:
        """Return words of the broker without the secrets that were told to it."""


@dataclass(slots=True)
class _Answer:
    """What one request waits for."""

    request: Message
    future: asyncio.Future[Message]


class Link(asyncio.Protocol):
    """See above. Requests are numbered, limited to what the broker allows, and expire.

    Args:
        audience: hears what happens.
        clock: the machine's.
        config: of the session.
        limiter: what the broker allows; None: the published figures.
    """

    def __init__(self, audience: Audience, clock: Clock, config: SessionConfig, limiter: Limiter | None = None) -> None:
        self.lost_reason: str | None = None  # None while it lives
        self._audience = audience
        self._clock = clock
        self._session = Session(Role.CLIENT, clock.monotonic_ms(), config)
        self._limiter = limiter or Limiter()
        self._transport: asyncio.Transport | None = None
        self._answers: dict[str, _Answer] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._is_paused = False

    @property
    def is_alive(self) -> bool:
        """Whether requests may be written to it."""
        return self.lost_reason is None and self._transport is not None and not self._transport.is_closing()

    @property
    def is_congested(self) -> bool:
        """Whether bytes wait to leave: what is written now would go late, or after the link was given up."""
        return self._is_paused or (self._transport is not None and self._transport.get_write_buffer_size() > 0)

    @property
    def frames_received(self) -> int:
        """Frames that came over this link."""
        return self._session.frames_received

    # -- to the broker

    async def ask(self, request: Message, deadline_ms: int | None = None) -> Message | Declined:
        """Send ``request`` as soon as the limits allow; return its answer.

        Raises:
            RetryError: no answer came: ``NO_ANSWER`` in time, or the link is dead.
        """
        number = payload_type(request)
        while (wait_ms := self._limiter.wait_ms(number, self._clock.monotonic_ms())) > 0:
            await self._clock.sleep(wait_ms / 1_000)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        client_msg_id = self._request(request, deadline_ms)
        self._answers[client_msg_id] = _Answer(request, future)
        try:
            answer = await future
        finally:
            self._answers.pop(client_msg_id, None)
        declined = self._declined(answer)
        return answer if declined is None else declined

    async def need(self, request: Message, deadline_ms: int | None = None) -> Message:
        """Return the answer to ``request``, which is no error.

        Raises:
            ConfigError: a person must change something.
            RejectedError: the broker said no.
            RetryError: there is no answer, or an error that may pass.
        """
        answer = await self.ask(request, deadline_ms)
        if isinstance(answer, Declined):
            raise error_of(answer, name(payload_type(request)))
        return answer

    def tell(self, request: Message) -> str:
        """Write ``request`` now and return the id of its answers, which the audience will hear.

        Raises:
            RetryError: it was not written.
            OutcomeUnknownError: the link died while it was written.
        """
        now_ms = self._clock.monotonic_ms()
        if self._limiter.wait_ms(payload_type(request), now_ms) > 0:
            raise RetryError("RATE_LIMITED", "Send it again later: too many requests went in the last second.")
        client_msg_id = self._request(request, None)
        if not self.is_alive:
            raise OutcomeUnknownError("LINK_LOST", "Look: the link died while a request was written.")
        return client_msg_id

    def _request(self, request: Message, deadline_ms: int | None) -> str:
        if not self.is_alive:
            raise RetryError("LINK_DOWN", "Wait until the link is back.", reason=self.lost_reason)
        now_ms = self._clock.monotonic_ms()
        client_msg_id = self._session.request(request, now_ms, deadline_ms)
        self._limiter.take(payload_type(request), now_ms)
        self._flush()
        self._arm()
        return client_msg_id

    def abort(self, reason: str, failure: PalmbotError | None = None) -> None:
        """End it now: nothing that was written and has not left will (SAFETY 6)."""
        if self.lost_reason is not None:
            return
        if self._transport is not None:
            peer = self._transport.get_extra_info("socket")
            if peer is not None:
                with suppress(OSError):  # it is closed already
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        self._end(reason, failure)

    def close(self, reason: str) -> None:
        """End it when what was written has left."""
        if self._transport is not None and self.lost_reason is None:
            self._transport.close()
        self._end(reason)

    def _end(self, reason: str, failure: PalmbotError | None = None) -> None:
        if self.lost_reason is not None:
            return
        self.lost_reason = reason
        if self._timer is not None:
            self._timer.cancel()
        for answer in self._answers.values():
            self._fail(answer, "LINK_LOST", reason)
        self._audience.on_lost(reason, failure)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. A link that was given up meanwhile ends at once."""
        self._transport = cast("asyncio.Transport", transport)
        if self.lost_reason is not None:
            self._transport.abort()
            return
        peer = transport.get_extra_info("socket")
        if peer is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # asyncio itself sets TCP_NODELAY
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MAX_MS)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Take in what came, all of it, before anybody else has a turn."""
        if self.lost_reason is not None:
            return
        self._session.receive_data(data, self._clock.monotonic_ms())
        self._drain()
        self._flush()
        self._audience.on_batch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; the peer or the network did it."""
        self._end("the peer closed the connection" if exc is None else type(exc).__name__)

    def pause_writing(self) -> None:
        """Note that the peer takes nothing."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Note that it does again."""
        self._is_paused = False

    # -- what the session says

    def _drain(self) -> None:
        while self.lost_reason is None and (event := self._session.next_event()) is not None:
            try:
                if isinstance(event, Received):
                    self._hear(event)
                elif isinstance(event, Expired):
                    self._expire(event)
                elif isinstance(event, Silent):
                    self.abort(f"nothing came for {event.for_ms} ms")
                elif isinstance(event, Broken):
                    self.abort(event.code)
            except PalmbotError as failure:  # an event that cannot be taken in must not be missed in silence
                self.abort(failure.code, failure)

    def _hear(self, event: Received) -> None:
        if event.payload_type == pb.SPOT_EVENT:
            self._audience.on_spot(cast("pb.SpotEvent", event.message))
            return
        declined = self._declined(event.message)
        if declined is not None and event.request is not None and declined.retry_after_ms is not None:
            blocked_ms = min(declined.retry_after_ms, BLOCK_MAX_MS)
            self._limiter.block(payload_type(event.request), self._clock.monotonic_ms() + blocked_ms)
        answer = self._answers.get(event.client_msg_id) if event.request is not None else None
        self._audience.on_message(event, declined)
        if answer is not None and not answer.future.done():
            answer.future.set_result(event.message)

    def _declined(self, message: Message) -> Declined | None:
        declined = declined_of(message)
        return None if declined is None else replace(declined, text=self._audience.without_secrets(declined.text))

    def _expire(self, event: Expired) -> None:
        answer = self._answers.get(event.client_msg_id)
        if answer is not None:  # else an order: its outcome is looked for
            self._fail(answer, "NO_ANSWER", "the deadline passed")

    def _fail(self, answer: _Answer, code: str, reason: str) -> None:
        if not answer.future.done():
            asked = name(payload_type(answer.request))
            answer.future.set_exception(
                RetryError(code, "Ask again when the link is back.", asked=asked, reason=reason)
            )

    def _flush(self) -> None:
        data = self._session.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    # -- time

    def _arm(self) -> None:
        """Let the loop call when the session has something to do. What only comes later moves no timer forward."""
        due_ms = self._session.next_timer()
        if self.lost_reason is not None or due_ms is None:
            return
        if self._timer is not None:
            if self._timer_ms <= due_ms:
                return
            self._timer.cancel()
        self._timer_ms = due_ms
        delay_ms = max(due_ms - self._clock.monotonic_ms(), 1)
        self._timer = asyncio.get_running_loop().call_later(delay_ms / 1_000, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._session.handle_timer(self._clock.monotonic_ms())
        self._drain()
        self._flush()
        self._arm()
