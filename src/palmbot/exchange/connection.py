"""One connection: bytes in, bytes out, and all that may go wrong between them. No task of its own, no thread.

A client gets its turn in slices, so that one who floods does not keep the others waiting, and one who does not read its
answers is not heard until it does. Quotes wait for a slow client, the newest of each symbol; answers and execution
events are written always, and where a client lets too many of them pile up it is cut off: nothing of them is lost in
silence, for a lost connection is what a client recovers from.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Final, Protocol

from palmbot.errors import HaltError
from palmbot.exchange.client import Client
from palmbot.exchange.desk import Desk, Needs
from palmbot.exchange.dispatch import ROUTES, answer, too_often, under_maintenance
from palmbot.exchange.faults import Fault
from palmbot.exchange.mishaps import UNKNOWN_PAYLOAD_TYPE, overgrown, sliced, unheard_of
from palmbot.protocol.events import Broken, Event, Received, Silent, Unknown
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import Message, payload_type, pb
from palmbot.protocol.session import Role, Session, SessionConfig
from palmbot.units import SECOND_MS

EVENTS_A_TURN: Final = 64
ID_MAX: Final = 1_000  # characters of a clientMsgId: it is kept with what it asked for
COALESCED_S: Final = 0.02
BROKEN_CODES: Final = {"FRAME_TOO_LONG": "FRAME_TOO_LONG"}  # any other break is an invalid request


class House(Protocol):
    """Who keeps the connections."""

    def opened(self, connection: Connection) -> None:
        """Take in a new client."""

    def closed(self, connection: Connection, why: str) -> None:
        """Let a client go."""

    def failed(self, error: HaltError) -> None:
        """Learn that the exchange cannot go on."""


class Connection(asyncio.Protocol):
    """The protocol of one client.

    Args:
        desk: the exchange.
        number: of this connection.
        house: who keeps it.
    """

    def __init__(self, desk: Desk, number: int, house: House) -> None:
        knobs = desk.knobs
        config = SessionConfig(heartbeat_ms=knobs.heartbeat_ms, silence_ms=knobs.silence_ms)
        self._desk = desk
        self._house = house
        self.session = Session(Role.SERVER, desk.clock.monotonic_ms(), config)
        self.client = Client(number, self.session, self, desk.audience)
        limits = (knobs.per_second, knobs.historical_per_second)
        self._limiter = None if limits[0] is None or limits[1] is None else Limiter(limits[0], limits[1])
        self._transport: asyncio.Transport | None = None
        self._why = "the client left"
        self._is_slow = False
        self._slow_ms = 0  # since when
        self._is_held = False  # writes are coalesced
        self._turn: asyncio.Handle | None = None  # when the client's turn goes on
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._late: deque[bytes] = deque()  # what a fault delays, in order
        self._unframed = 0  # bytes that came since the last whole frame

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless a fault refuses it."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        transport.set_write_buffer_limits(high=self._desk.knobs.buffer_high_bytes)
        raw = transport.get_extra_info("socket")  # None where there is none, in a simulation
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._desk.knobs.socket_buffer_bytes)
        self._house.opened(self)
        if self._desk.faults.take(Fault.REFUSE_CONNECTION):
            self.cut("refused by a fault")
        else:
            self._arm()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer what they ask. A stranger may not make us keep much."""
        frames = self.session.frames_received
        self.session.receive_data(data, self._desk.clock.monotonic_ms())
        self._take_turn()
        self._unframed = 0 if self.session.frames_received > frames else self._unframed + len(data)
        if self.client.application is None and self._unframed > self._desk.knobs.stranger_max_bytes:
            self.cut("a long frame before application auth")

    def pause_writing(self) -> None:
        """The client does not read: hear it no more until it does."""
        self._is_slow, self._slow_ms = True, self._desk.clock.monotonic_ms()

    def resume_writing(self) -> None:
        """The client reads again: tell it what waited, then go on with what it asks."""
        self._is_slow = False
        if self._transport is not None and not self._transport.is_closing():
            self._desk.fan.catch_up(self.client)
            self._take_turn()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget everything: it all went with the connection."""
        for handle in (self._timer, self._turn):
            if handle is not None:
                handle.cancel()
        self._late.clear()
        self.client.forget_all()
        self._house.closed(self, self._why if error is None else f"{self._why}: {type(error).__name__}")

    # -- client.Outlet

    @property
    def is_slow(self) -> bool:
        """Whether more is written than the client reads."""
        return self._is_slow

    def send(self, message: Message, client_msg_id: str = "") -> None:
        """Send a message; one with an id is an answer."""
        now_ms, number = self._desk.clock.monotonic_ms(), payload_type(message)
        faults = self._desk.faults
        if faults.is_calm:
            self.session.send(message, now_ms, client_msg_id)
            return
        if client_msg_id and faults.take(Fault.SWALLOW_RESPONSE, number):
            self._swallow(message, now_ms)
            return
        if client_msg_id and faults.take(Fault.UNKNOWN_PAYLOAD, number):
            self.session.send_payload(UNKNOWN_PAYLOAD_TYPE, b"", now_ms)
        if faults.take(Fault.EXTRA_FIELDS, number):
            message = overgrown(message)
        if isinstance(message, pb.ExecutionEvent) and faults.take(Fault.UNKNOWN_ENUM, number):
            self.session.send_payload(number, unheard_of(message), now_ms, client_msg_id)
            return
        self.session.send(message, now_ms, client_msg_id)
        if isinstance(message, pb.ExecutionEvent) and faults.take(Fault.DUPLICATE_EVENT, number):
            self.session.send(message, now_ms, client_msg_id)

    def send_frame(self, frame: bytes) -> None:
        """Send an event that was encoded once for many."""
        self.session.send_frame(frame, self._desk.clock.monotonic_ms())

    def flush(self) -> None:
        """Write what was sent, at once unless a fault holds it back."""
        if self._is_held:
            return
        faults = self._desk.faults
        if not faults.is_calm and faults.take(Fault.COALESCE_WRITES):
            self._is_held = True
            asyncio.get_running_loop().call_later(COALESCED_S, self._release)
            return
        data = self.session.data_to_send()
        if not data:
            return
        delay_ms = faults.delay()
        if delay_ms > 0 or self._late:
            self._write_later(data, delay_ms)
        else:
            self._write(data)

    def end(self, why: str) -> None:
        """Write what was sent, then close."""
        self._why = why
        if self._transport is not None and not self._transport.is_closing():
            self.flush()
            self._transport.close()

    def cut(self, why: str) -> None:
        """Close at once, also what is closing; what was not written is lost."""
        if self._transport is not None:
            self._why = why
            self._transport.abort()

    # -- in

    def _take_turn(self) -> None:
        """Handle what has arrived, some of it; the rest after the others had their turn."""
        transport = self._transport
        if transport is None or self._turn is not None:
            return
        taken = 0
        while not (transport.is_closing() or self._is_slow) and taken < EVENTS_A_TURN:
            event = self.session.next_event()
            if event is None:
                transport.resume_reading()
                break
            self._handle(event)
            taken += 1
        else:
            transport.pause_reading()
            if taken == EVENTS_A_TURN:
                self._turn = asyncio.get_running_loop().call_soon(self._go_on)
        self.flush()
        self._arm()

    def _go_on(self) -> None:
        self._turn = None
        self._take_turn()

    def _handle(self, event: Event) -> None:
        match event:
            case Received(message, number, client_msg_id):
                self._serve(number, message, client_msg_id)
            case Unknown(number, _, client_msg_id):
                self._serve(number, None, client_msg_id)
            case Broken(code, text):
                code = BROKEN_CODES.get(code, "INVALID_REQUEST")
                self.send(pb.ErrorRes(errorCode=code, description=text))
                self.end(f"broken: {text}")
            case Silent(for_ms):
                self.cut(f"silent for {for_ms} ms")

    def _serve(self, number: int, message: Message | None, client_msg_id: str) -> None:
        """Answer a request, or let a fault do so."""
        desk, now_ms = self._desk, self._desk.clock.monotonic_ms()
        if len(client_msg_id) > ID_MAX:
            self.send(pb.ErrorRes(errorCode="INVALID_REQUEST", description=f"clientMsgId is longer than {ID_MAX}"))
            return
        barred = under_maintenance(desk)
        if barred is None and self._limiter is not None:
            barred = too_often(self._limiter, number, now_ms, desk.knobs.rate_limit_code)
        if barred is not None:
            self.send(barred, client_msg_id)
            return
        route = ROUTES.get(number)
        is_trading = route is not None and route.needs is Needs.TRADING
        if is_trading and desk.faults.take(Fault.DROP_BEFORE_ACCEPT, number):
            self.cut("dropped before a request by a fault")
            return
        if is_trading and desk.faults.take(Fault.DROP_AFTER_ACCEPT, number):
            self.cut("dropped after a request by a fault")  # what is told from here on reaches the others alone
        self.client.asking = f"{self.client.number}:{client_msg_id}"
        try:
            reply = answer(desk, self.client, number, message)
        except HaltError as error:
            self._house.failed(error)
            return
        except Exception as error:  # noqa: BLE001 - of what only reads: a change that fails halts the exchange
            self.cut(f"a bug: {type(error).__name__}")
            context = {"message": "a request could not be answered", "exception": error, "protocol": self}
            asyncio.get_running_loop().call_exception_handler(context)
            return
        if reply is not None:
            self.send(reply.message, client_msg_id)
            if reply.after is not None:
                reply.after()

    # -- out

    def _write(self, data: bytes) -> None:
        transport, faults = self._transport, self._desk.faults
        if transport is None or transport.is_closing():
            return
        if faults.is_calm or not faults.take(Fault.FRAGMENT_WRITES):
            transport.write(data)
        else:
            for piece in sliced(data, faults.rng):
                transport.write(piece)
        if transport.get_write_buffer_size() > self._desk.knobs.buffer_max_bytes:
            self.cut("it does not read")

    def _write_later(self, data: bytes, delay_ms: int) -> None:
        self._late.append(data)
        asyncio.get_running_loop().call_later(delay_ms / SECOND_MS, self._write_late)

    def _write_late(self) -> None:
        """Write what has waited longest: whatever the delays are, the order stays."""
        if self._late:
            self._write(self._late.popleft())

    def _release(self) -> None:
        self._is_held = False
        self.flush()

    def _swallow(self, message: Message, now_ms: int) -> None:
        """Let the session say ``message`` to nobody."""
        self._release()
        self.session.send(message, now_ms)
        self.session.data_to_send()
        self.session.frames_sent -= 1

    # -- time

    def _arm(self) -> None:
        """See to it that the session's timer is heard. It moves with every message, so it is followed lazily."""
        due_ms = self.session.next_timer()
        if due_ms is None or (self._timer is not None and self._timer_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_ms = max(due_ms - self._desk.clock.monotonic_ms(), 0)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / SECOND_MS, self._ring)
        self._timer_ms = due_ms

    def _ring(self) -> None:
        self._timer = None
        now_ms = self._desk.clock.monotonic_ms()
        self.session.handle_timer(now_ms)
        if self._is_slow and now_ms - self._slow_ms >= self._desk.knobs.silence_ms:
            self.cut("it does not read")
        self._take_turn()
