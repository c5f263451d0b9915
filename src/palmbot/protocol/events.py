"""What a session tells its owner."""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.protocol.messages import Message


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the peer.

    ``request`` is the remembered request that it answers: None for the peer's own events, and for an id of somebody
    else's. ``is_final`` says that no further message about that request is expected.
    """

    message: Message
    payload_type: int
    client_msg_id: str = ""
    request: Message | None = None
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message whose number we do not know, or that the peer's role never sends."""

    payload_type: int
    payload: bytes
    client_msg_id: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The deadline of a request passed without any answer. One that comes late still finds its request."""

    client_msg_id: str
    request: Message


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing came from the peer for so long. Told once for each silence."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The peer sent what cannot be read on from: end the link. It is the last event of a session."""

    code: str
    text: str


Event = Received | Unknown | Expired | Silent | Broken
