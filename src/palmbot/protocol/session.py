"""One connection of the protocol, seen from either end, without input, output or a clock.

The owner moves bytes and time; the session keeps everything that the protocol remembers about a connection::

    bytes came     session.receive_data(data, now_ms)    then take next_event() until it gives None
    time passed    session.handle_timer(now_ms)          at next_timer() or later; then take next_event() likewise
    to say         session.request(message, now_ms)      in the client's role; answers come with the request they are to
                   session.send(message, now_ms, id)     in both roles; the server repeats the id that it answers
    after each     transport.write(session.data_to_send())

A session begins in ``NEW`` and moves as ``state.py`` draws: what the server says moves both ends, so a client that
hears "account authorised" and the server that says it agree. After ``Broken`` it is ``CLOSED``: nothing more is read,
and the link must end; a server may still say why. A lost link needs a new session, for all of this is lost with it.

What it remembers, and for how long:

- a request until its last answer. Trading requests have several under one id (``pending.py``); the deadline is for the
  first. An id that it does not know is somebody else's: the message is an event.
- the last time of a byte in either direction. A heartbeat goes when nothing was said for ``heartbeat_ms``. One that
  comes is never answered, in no role: an echo of an echo has no end. ``Silent`` is told after ``silence_ms``.

A peer may send anything: what comes of it is an event, at worst ``Broken``, and never an exception. Each role reads
only what the other one says; the rest is ``Unknown``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from palmbot.errors import InvariantError, RetryError
from palmbot.protocol.events import Broken, Event, Expired, Received, Silent, Unknown
from palmbot.protocol.frames import FRAME_MAX_BYTES, FrameReader, FrameTooLongError, encode_payload
from palmbot.protocol.messages import CLASSES, REQUESTS, DecodeError, Message, name, parse, payload_type, pb, serialise
from palmbot.protocol.pending import Pending
from palmbot.protocol.state import CUES, Change, Cue, Stage, apply


class Role(Enum):
    """Which end of the connection this is."""

    CLIENT = "client"
    SERVER = "server"


HEARTBEAT_MS: Mapping[Role, int] = {Role.CLIENT: 10_000, Role.SERVER: 25_000}
READS: Mapping[Role, frozenset[int]] = {
    Role.CLIENT: frozenset(CLASSES) - REQUESTS,
    Role.SERVER: REQUESTS | {pb.HEARTBEAT_EVENT},
}


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What may differ from connection to connection."""

    frame_max_bytes: int = FRAME_MAX_BYTES
    heartbeat_ms: int | None = None  # the longest silence of our own; None: the role's usual one
    silence_ms: int = 60_000  # the longest silence of the peer that is not worth telling
    deadline_ms: int = 10_000  # of a request that names none
    id_prefix: str = ""  # of request ids; a random one a process keeps clients of one account apart
    pending_max: int = 10_000  # requests that wait for their first answer, and as many that wait for more
    may_send: frozenset[int] | None = None  # payload types; None: all


class Session:
    """One end of one connection.

    Args:
        role: which end.
        now_ms: time of the connection's start, on the clock of all later times.
        config: deadlines and caps.
    """

    def __init__(self, role: Role, now_ms: int, config: SessionConfig | None = None) -> None:
        self._role = role
        self._config = config or SessionConfig()
        usual_ms = HEARTBEAT_MS[role]
        self._heartbeat_ms = usual_ms if self._config.heartbeat_ms is None else self._config.heartbeat_ms
        self._reads = READS[role]
        self._reader = FrameReader(self._config.frame_max_bytes)
        self._pending = Pending(self._config.pending_max)
        self._told: deque[Event] = deque()  # events that wait to be taken before any frame that was not read yet
        self._outbound: list[bytes] = []
        self._stage = Stage.NEW
        self._accounts: dict[int, None] = {}
        self._requests_count = 0
        self._sent_ms = now_ms
        self._received_ms = now_ms
        self._is_silence_told = False
        self.frames_sent = 0
        self.frames_received = 0

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """How far the connection has come."""
        return self._stage

    @property
    def is_app_authorised(self) -> bool:
        """Whether the application is authorised."""
        return self._stage is Stage.APP

    @property
    def accounts(self) -> tuple[int, ...]:
        """The authorised accounts, in the order of their authorisation."""
        return tuple(self._accounts)

    def is_account_authorised(self, account_id: int) -> bool:
        """Return whether the account is authorised on this connection."""
        return account_id in self._accounts

    @property
    def held_bytes(self) -> int:
        """Bytes that came and were not read yet: at most one frame and one read, when events are taken in time."""
        return self._reader.held_bytes

    @property
    def waiting_requests(self) -> int:
        """Requests that may still be answered."""
        return len(self._pending)

    # --- from the peer ------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now_ms: int) -> None:
        """Take bytes of the peer, in pieces of any size. Take all events before the next ones."""
        if self._stage is Stage.CLOSED:
            return
        self._received_ms = now_ms
        self._is_silence_told = False
        self._reader.feed(data)

    def next_event(self) -> Event | None:
        """Return the next event in the order of arrival, or None until more bytes or time come."""
        return self._told.popleft() if self._told else self._read()

    def _read(self) -> Event | None:
        if self._stage is Stage.CLOSED:
            return None
        try:
            while (frame := self._reader.next()) is not None:
                self.frames_received += 1
                event = self._event(frame)
                if event is not None:
                    return event
        except FrameTooLongError as error:
            return self._break(error.code, f"a frame of {error.length_bytes} bytes")
        return None

    def _event(self, frame: bytes) -> Event | None:
        """Return what ``frame`` tells, None for a heartbeat."""
        try:
            envelope = pb.Envelope.FromString(frame)
        except DecodeError:
            return self._break("BAD_FRAME", "a frame is no envelope")
        number = envelope.payloadType
        if number == pb.HEARTBEAT_EVENT:
            return None
        if number == 0 and not envelope.HasField("payloadType"):
            return self._break("BAD_FRAME", "an envelope without a payload type")
        client_msg_id = envelope.clientMsgId
        if not isinstance(client_msg_id, str):  # not UTF-8, which proto2 does not check
            client_msg_id = bytes(client_msg_id).decode("utf-8", "replace")
        if number not in self._reads:
            return Unknown(number, envelope.payload, client_msg_id)
        try:
            message = parse(number, envelope.payload)
        except DecodeError:
            return self._break("BAD_PAYLOAD", f"the payload of a message {number} cannot be read")
        if message is None:
            raise InvariantError("MESSAGE_UNREADABLE", "give every number that a role reads a class", number=number)
        if self._role is Role.SERVER:
            return Received(message, number, client_msg_id)
        request, is_final = self._pending.answer(client_msg_id, message) if client_msg_id else (None, False)
        try:
            self._hear(number, message, request)
        except InvariantError as error:
            return self._break(error.code, f"a message {number} in stage {self._stage.name}")
        return Received(message, number, client_msg_id, request, is_final)

    def _hear(self, number: int, message: Message, request: Message | None) -> None:
        """Move on by what the server says."""
        cue = CUES.get(number)
        if cue is not None:
            self._move(cue, message)
        elif request is not None and isinstance(message, pb.ErrorRes | pb.CommonErrorRes):
            self._hear_refusal(message.errorCode, request)

    def _hear_refusal(self, code: str, request: Message) -> None:
        """A request for what was granted before is refused, but says that it is granted."""
        if code == "CH_CLIENT_ALREADY_AUTHENTICATED":
            self._move(Cue.APP_GRANTED, request)
        elif code == "ALREADY_LOGGED_IN" and isinstance(request, pb.AccountAuthReq):
            self._move(Cue.ACCOUNT_GRANTED, request)

    def _move(self, cue: Cue, message: Message) -> None:
        self._stage, change = apply(self._stage, cue)
        if change is Change.CLEAR:
            self._accounts.clear()
        elif change is not Change.KEEP:
            for account_id in named_accounts(message):
                if change is Change.ADD:
                    self._accounts[account_id] = None
                else:
                    self._accounts.pop(account_id, None)

    def _break(self, code: str, text: str) -> Broken:
        self._stage, _ = apply(self._stage, Cue.ENDED)
        self._accounts.clear()
        self._pending = Pending(0)
        self._reader = FrameReader(0)
        return Broken(code, text)

    # --- to the peer --------------------------------------------------------------------------------------------------

    def request(self, message: Message, now_ms: int, deadline_ms: int | None = None) -> str:
        """Send ``message`` and remember it; return the id that its answers carry.

        Args:
            message: a request.
            now_ms: the time.
            deadline_ms: how long its first answer may take; None: as configured.

        Raises:
            InvariantError: in the server's role, or the message is incomplete, longer than the cap or not allowed.
            RetryError: the link is broken, or too many requests wait.
        """
        if self._role is not Role.CLIENT:
            raise InvariantError("REQUEST_OF_SERVER", "only a client asks", kind=type(message).__name__)
        if self._stage is Stage.CLOSED:
            raise RetryError("LINK_BROKEN", "connect again first")
        client_msg_id = f"{self._config.id_prefix}-{self._requests_count + 1}"
        frame = self._frame(payload_type(message), serialise(message), client_msg_id)
        due_ms = now_ms + (self._config.deadline_ms if deadline_ms is None else deadline_ms)
        self._pending.add(client_msg_id, message, due_ms)
        self._requests_count += 1
        self._put(frame, now_ms)
        return client_msg_id

    def send(self, message: Message, now_ms: int, client_msg_id: str = "") -> None:
        """Send ``message``, with the id of the request that it answers, if any.

        Raises:
            InvariantError: it is incomplete, longer than the cap, or grants an account without an application.
        """
        number = payload_type(message)
        frame = self._frame(number, serialise(message), client_msg_id)
        if self._role is Role.SERVER and self._stage is not Stage.CLOSED and (cue := CUES.get(number)) is not None:
            self._move(cue, message)
        self._put(frame, now_ms)

    def send_payload(self, payload_type: int, payload: bytes, now_ms: int, client_msg_id: str = "") -> None:
        """Send a payload as it is: one that no class of ours can hold."""
        self._put(self._frame(payload_type, payload, client_msg_id), now_ms)

    def send_frame(self, frame: bytes, now_ms: int) -> None:
        """Send an event's frame, from ``frames.encode``, that was made once for many peers.

        Raises:
            InvariantError: this session may not send everything, and nobody knows what this is.
        """
        if self._config.may_send is not None:
            raise _not_allowed("a frame")
        self._put(frame, now_ms)

    def data_to_send(self) -> bytes:
        """Return the bytes to write now, once."""
        data = b"".join(self._outbound)
        self._outbound.clear()
        return data

    def _frame(self, number: int, payload: bytes, client_msg_id: str) -> bytes:
        allowed = self._config.may_send
        if allowed is not None and number not in allowed:
            raise _not_allowed(name(number))
        frame = encode_payload(number, payload, client_msg_id)
        if len(frame) > self._config.frame_max_bytes + 4:
            raise InvariantError("MESSAGE_TOO_LONG", "say less at once", payload_type=number, bytes=len(frame))
        return frame

    def _put(self, frame: bytes, now_ms: int) -> None:
        self._outbound.append(frame)
        self._sent_ms = now_ms
        self.frames_sent += 1

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_timer(self) -> int | None:
        """Return the time at which ``handle_timer`` has something to do, or None when it never will."""
        if self._stage is Stage.CLOSED:
            return None
        due_ms = self._sent_ms + self._heartbeat_ms
        if not self._is_silence_told:
            due_ms = min(due_ms, self._received_ms + self._config.silence_ms)
        deadline_ms = self._pending.due_ms()
        return due_ms if deadline_ms is None else min(due_ms, deadline_ms)

    def handle_timer(self, now_ms: int) -> None:
        """Do what is due at ``now_ms``: a heartbeat, tell silence, let requests expire. Early calls do nothing."""
        while (event := self._read()) is not None:  # an answer that is here already is no late one
            self._told.append(event)
        if self._stage is Stage.CLOSED:
            return
        if now_ms >= self._sent_ms + self._heartbeat_ms:
            self.send(pb.HeartbeatEvent(), now_ms)
        silent_ms = now_ms - self._received_ms
        if silent_ms >= self._config.silence_ms and not self._is_silence_told:
            self._is_silence_told = True
            self._told.append(Silent(silent_ms))
        self._told.extend(Expired(*expired) for expired in self._pending.expire(now_ms))


def _not_allowed(what: str) -> InvariantError:
    todo = "Report this: it was kept from leaving. This session may not send such a message."
    return InvariantError("NOT_ALLOWED_TO_SEND", todo, message=what)


def named_accounts(message: Message) -> tuple[int, ...]:
    """Return the accounts that ``message`` is about."""
    if isinstance(message, pb.AccountsTokenInvalidatedEvent):
        return tuple(message.ctidTraderAccountIds)
    return (getattr(message, "ctidTraderAccountId", 0),)
