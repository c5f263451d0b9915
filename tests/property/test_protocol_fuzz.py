"""Whatever a peer sends ends in events, at worst in a named ``Broken``; ``make fuzz`` does the long run."""

from __future__ import annotations

import struct
from itertools import pairwise
from random import Random

import pytest
from bench.fuzz import Tally, attack, fuzz, read
from bench.hostile import KINDS, hostile
from hypothesis import given
from hypothesis import strategies as st

from palmbot.protocol.events import Broken, Event, Received, Silent, Unknown
from palmbot.protocol.frames import encode_payload
from palmbot.protocol.messages import CLASSES
from palmbot.protocol.session import READS, Role, Session, SessionConfig
from palmbot.protocol.state import Stage

CAP_BYTES = 2_000
roles = st.sampled_from(Role)
randoms = st.randoms(use_true_random=False)
NAMES = {"BAD_FRAME", "BAD_PAYLOAD", "FRAME_TOO_LONG", "OUT_OF_ORDER"}


def fed(session: Session, pieces: list[bytes]) -> list[Event]:
    """Hand ``pieces`` to ``session``, holding it to its cap; return all events."""
    events = []
    for piece in pieces:
        session.receive_data(piece, 0)
        assert session.held_bytes <= CAP_BYTES + 4 + len(piece)
        while (event := session.next_event()) is not None:
            events.append(event)
        assert session.held_bytes <= CAP_BYTES + 4
    return events


def small(role: Role) -> Session:
    """Return a session with a small cap."""
    return Session(role, 0, SessionConfig(frame_max_bytes=CAP_BYTES))


@given(roles, randoms, st.integers(1, 40))
def test_hostile_acts_end_in_events(role: Role, rng: Random, acts: int) -> None:
    attack(role, rng, acts, Tally())


@given(roles, st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_ends_in_events_and_broken_is_the_last(role: Role, pieces: list[bytes]) -> None:
    session = small(role)
    events = fed(session, pieces)
    broken = [event for event in events if isinstance(event, Broken)]
    assert broken == [event for event in events[-1:] if isinstance(event, Broken)]
    assert {event.code for event in broken} <= NAMES
    assert (session.stage is Stage.CLOSED) == bool(broken)


@given(roles, st.sampled_from(sorted(CLASSES)), st.binary(max_size=300))
def test_any_payload_of_any_type_is_one_event_or_breaks_the_link(role: Role, number: int, payload: bytes) -> None:
    events = fed(small(role), [encode_payload(number, payload, "-1")])
    if number not in READS[role]:
        assert events == [Unknown(number, payload, "-1")]
    elif events and isinstance(events[0], Received):
        read(events[0].message)
    elif events:
        assert isinstance(events[0], Broken)
    assert len(events) <= 1


@given(roles, st.integers(CAP_BYTES + 1, 2**32 - 1), st.binary(max_size=50))
def test_a_length_over_the_cap_ends_the_link_by_its_head_alone(role: Role, length: int, more: bytes) -> None:
    events = fed(small(role), [struct.pack(">I", length), more])
    assert events == [Broken("FRAME_TOO_LONG", f"a frame of {length} bytes")]


@given(roles, st.integers(0, 2**32 - 1).filter(lambda number: number not in CLASSES), st.binary(max_size=50))
def test_a_number_of_the_future_is_unknown_and_the_link_lives(role: Role, number: int, payload: bytes) -> None:
    session = small(role)
    assert fed(session, [encode_payload(number, payload)]) == [Unknown(number, payload, "")]
    assert session.stage is Stage.NEW


@given(randoms, st.data())
def test_the_cuts_of_a_hostile_stream_change_nothing(rng: Random, data: st.DataObject) -> None:
    stream = b"".join(hostile(rng)[1] for _ in range(10))[:5_000]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    for role in Role:
        whole = [event for event in fed(small(role), [stream]) if not isinstance(event, Silent)]
        assert repr(fed(small(role), pieces)) == repr(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_act_occurs(kind: str) -> None:
    assert kind in {hostile(Random(seed))[0] for seed in range(2_000)}


def test_a_megabyte_of_hostile_bytes_reaches_every_outcome() -> None:
    tally = fuzz(1_000_000, seed=7)
    assert tally.broken.keys() == NAMES
    assert tally.events.keys() == {"Received", "Unknown", "Expired", "Broken"}


def test_a_frame_that_drips_in_costs_linear_time_and_no_more_than_itself() -> None:
    session = Session(Role.SERVER, 0)
    frame = encode_payload(4_711, bytes(300_000))
    for start in range(0, len(frame), 3):
        session.receive_data(frame[start : start + 3], 0)
        event = session.next_event()
        assert session.held_bytes <= len(frame)
    assert isinstance(event, Unknown)
    assert session.held_bytes == 0
