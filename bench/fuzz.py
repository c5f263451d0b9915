"""``python -m bench.fuzz [megabytes] [seed]``: hostile bytes into both roles; prints one JSON object.

Whatever comes must end in events, at worst in a named ``Broken``: no exception leaves a session, what it holds stays
under its cap, and everything that it gives can be read.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

from bench.hostile import hostile
from palmbot.errors import InvariantError
from palmbot.protocol.events import Broken, Event, Received
from palmbot.protocol.frames import encode
from palmbot.protocol.messages import Message, missing, pb
from palmbot.protocol.session import Role, Session, SessionConfig
from palmbot.protocol.state import Stage

CAP_BYTES = 1_000_000  # far below the protocol's, so that frames over it occur
PIECE_MAX_BYTES = 65_536
ASKED = (
    pb.NewOrderReq(ctidTraderAccountId=1, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=1),
    pb.ClosePositionReq(ctidTraderAccountId=1, positionId=1, volume=1),
    pb.AccountAuthReq(ctidTraderAccountId=1, accessToken="t"),
)


@dataclass(slots=True)
class Tally:
    """What came of it all."""

    bytes: int = 0
    sessions: int = 0
    frames: int = 0
    held_max_bytes: int = 0
    slowest_ms: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)

    def add(self, session: Session, event: Event) -> None:
        """Count ``event``, having read all of it."""
        self.events[type(event).__name__] += 1
        if isinstance(event, Received):
            read(event.message)
            missing(event.message)
        elif isinstance(event, Broken):
            self.broken[event.code] += 1
            if session.stage is not Stage.CLOSED or session.next_event() is not None:
                raise InvariantError("BROKEN_NOT_LAST", "end the session at Broken", said=event.code)


def read(message: Message) -> None:
    """Touch every field that is set.

    Raises:
        InvariantError: a text is not a text.
    """
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in value if descriptor.is_repeated else (value,):
                read(part)
        elif descriptor.type == descriptor.TYPE_STRING and not isinstance(value, str):
            raise InvariantError("TEXT_IS_BYTES", "mend text when it is parsed", field=descriptor.full_name)


def connected(role: Role, rng: Random) -> Session:
    """Return a session in the middle of its life: perhaps authorised, perhaps with requests under way."""
    session = Session(role, 0, SessionConfig(frame_max_bytes=CAP_BYTES, pending_max=4))
    if rng.randrange(2):
        if role is Role.SERVER:
            session.send(pb.ApplicationAuthRes(), 0)
        else:
            session.receive_data(encode(pb.ApplicationAuthRes()), 0)
    if role is Role.CLIENT:
        for message in ASKED[: rng.randrange(4)]:
            session.request(message, 0, deadline_ms=rng.randrange(5_000))
    session.data_to_send()
    return session


def attack(role: Role, rng: Random, acts: int, tally: Tally) -> None:
    """Let a peer do ``acts`` hostile acts to a session of ``role``, in pieces of any size, while time passes.

    Raises:
        InvariantError: the session held more than it may, or gave what cannot be read.
    """
    session = connected(role, rng)
    tally.sessions += 1
    now_ms = 0
    for _ in range(acts):
        kind, data = hostile(rng)
        tally.sent[kind] += 1
        tally.bytes += len(data)
        while data and session.stage is not Stage.CLOSED:
            size = rng.choice([1, 3, 7, 100, PIECE_MAX_BYTES, PIECE_MAX_BYTES, PIECE_MAX_BYTES])
            piece, data = data[:size], data[size:]
            now_ms += rng.choice([0, 0, 1, 2_000])
            started = perf_counter()
            session.receive_data(piece, now_ms)
            if rng.randrange(4) == 0:
                session.handle_timer(now_ms)
            while (event := session.next_event()) is not None:
                tally.add(session, event)
            tally.slowest_ms = max(tally.slowest_ms, (perf_counter() - started) * 1e3)
            tally.held_max_bytes = max(tally.held_max_bytes, session.held_bytes)
            if session.held_bytes > CAP_BYTES + 4:
                raise InvariantError("HELD_TOO_MUCH", "refuse a frame by its head", held_bytes=session.held_bytes)
        session.data_to_send()
        if session.stage is Stage.CLOSED:
            break
    tally.frames += session.frames_received


def fuzz(bytes_min: int, seed: int) -> Tally:
    """Attack both roles in turn until ``bytes_min`` bytes were sent to them."""
    rng, tally = Random(seed), Tally()
    while tally.bytes < bytes_min:
        for role in Role:
            attack(role, rng, rng.randrange(1, 200), tally)
    return tally


def summary(megabytes: float, seed: int) -> dict[str, object]:
    """Return what ``fuzz`` found, as printed."""
    started = perf_counter()
    tally = fuzz(int(megabytes * 1e6), seed)
    return {
        "seed": seed,
        "seconds": round(perf_counter() - started, 1),
        "bytes": tally.bytes,
        "sessions": tally.sessions,
        "frames": tally.frames,
        "cap_bytes": CAP_BYTES,
        "held_max_bytes": tally.held_max_bytes,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "slowest_piece_ms": round(tally.slowest_ms, 2),
        "sent": dict(sorted(tally.sent.items())),
        "events": dict(sorted(tally.events.items())),
        "broken": dict(sorted(tally.broken.items())),
    }


if __name__ == "__main__":
    wanted_megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 50.0
    chosen_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(json.dumps(summary(wanted_megabytes, chosen_seed), indent=2))
