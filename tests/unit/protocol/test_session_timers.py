"""Time is an argument: heartbeats, silence and deadlines at and beside their moments."""

from __future__ import annotations

import pytest
from tests.unit.protocol.peer import ACCOUNT_ID, execution, order, pair, taken

from palmbot.protocol.events import Broken, Event, Expired, Received, Silent
from palmbot.protocol.frames import encode
from palmbot.protocol.messages import pb
from palmbot.protocol.session import Role, Session, SessionConfig

TRADER = pb.TraderReq(ctidTraderAccountId=ACCOUNT_ID)
BEAT = encode(pb.HeartbeatEvent())


def at(session: Session, now_ms: int) -> list[Event]:
    """Let the time be ``now_ms`` and return what comes of it."""
    session.handle_timer(now_ms)
    return taken(session)


@pytest.mark.parametrize(("role", "heartbeat_ms"), [(Role.CLIENT, 10_000), (Role.SERVER, 25_000)])
def test_a_heartbeat_goes_after_the_roles_own_silence(role: Role, heartbeat_ms: int) -> None:
    session = Session(role, 500)
    assert session.next_timer() == 500 + heartbeat_ms
    session.handle_timer(500 + heartbeat_ms - 1)
    assert session.data_to_send() == b""
    session.handle_timer(500 + heartbeat_ms)
    assert session.data_to_send() == BEAT
    assert session.next_timer() == 500 + 2 * heartbeat_ms


def test_anything_that_is_said_puts_the_heartbeat_off() -> None:
    client, _ = pair()
    client.send(TRADER, 9_999)
    assert client.next_timer() == 19_999
    client.data_to_send()
    client.handle_timer(10_000)
    assert client.data_to_send() == b""


def test_what_is_heard_does_not_put_the_heartbeat_off() -> None:
    client, _ = pair()
    client.receive_data(BEAT, 9_999)
    assert client.next_timer() == 10_000


def test_a_chosen_heartbeat_takes_the_place_of_the_usual_one() -> None:
    assert Session(Role.SERVER, 0, SessionConfig(heartbeat_ms=7)).next_timer() == 7


def test_silence_is_told_once_until_bytes_come() -> None:
    client, _ = pair()
    assert at(client, 59_999) == []
    assert at(client, 60_000) == [Silent(60_000)]
    assert at(client, 300_000) == []
    client.receive_data(BEAT, 300_000)
    assert at(client, 359_999) == []
    assert at(client, 360_001) == [Silent(60_001)]


def test_half_a_frame_is_life_too() -> None:
    client, _ = pair()
    client.receive_data(BEAT[:3], 30_000)
    assert at(client, 60_000) == []


def test_the_timer_is_the_next_thing_that_is_due() -> None:
    client, _ = pair(config=SessionConfig(heartbeat_ms=1_000_000))
    assert client.next_timer() == 60_000
    client.request(TRADER, 0, deadline_ms=70_000)
    client.request(TRADER, 0)
    client.request(TRADER, 0, deadline_ms=40_000)
    assert client.next_timer() == 10_000
    at(client, 10_000)
    assert client.next_timer() == 40_000
    at(client, 40_000)
    assert client.next_timer() == 60_000
    at(client, 60_000)
    assert client.next_timer() == 70_000
    at(client, 70_000)
    assert client.next_timer() == 1_000_000


def test_a_request_without_an_answer_expires_once() -> None:
    client, _ = pair()
    asked = client.request(TRADER, 1_000)
    assert at(client, 10_999) == []
    assert at(client, 11_000) == [Expired(asked, TRADER)]
    assert at(client, 50_000) == []


def test_requests_expire_in_the_order_of_their_deadlines() -> None:
    client, _ = pair()
    late, early, same = (client.request(TRADER, 0, deadline_ms) for deadline_ms in (900, 100, 900))
    assert at(client, 1_000) == [Expired(early, TRADER), Expired(late, TRADER), Expired(same, TRADER)]


def test_the_first_answer_ends_the_deadline() -> None:
    client, _ = pair()
    asked = client.request(order(), 0)
    client.receive_data(encode(execution(pb.ORDER_ACCEPTED), asked), 9_999)
    (accepted,) = taken(client)
    assert isinstance(accepted, Received)
    assert not accepted.is_final
    assert at(client, 10_000) == []
    assert client.waiting_requests == 1


def test_an_answer_that_is_here_but_was_not_taken_is_no_late_one() -> None:
    client, _ = pair()
    asked = client.request(TRADER, 0)
    client.receive_data(encode(pb.VersionRes(version="1"), asked), 9_999)
    (event,) = at(client, 10_000)
    assert isinstance(event, Received)
    assert event.request is TRADER


def test_garbage_that_was_not_taken_stops_the_timers() -> None:
    client, _ = pair()
    client.request(TRADER, 0)
    client.receive_data(b"\xff" * 4, 1)
    client.data_to_send()
    (event,) = at(client, 100_000)
    assert isinstance(event, Broken)
    assert client.data_to_send() == b""


def test_a_late_answer_still_finds_its_request() -> None:
    client, _ = pair()
    asked = client.request(order(), 0)
    assert at(client, 10_000) == [Expired(asked, order())]
    client.receive_data(encode(execution(pb.ORDER_FILLED, 1_000), asked), 20_000)
    (event,) = taken(client)
    assert isinstance(event, Received)
    assert event.request == order()
    assert event.is_final
    assert client.waiting_requests == 0


def test_what_a_timer_told_comes_before_what_arrived_after_it() -> None:
    client, _ = pair()
    asked = client.request(TRADER, 0)
    client.handle_timer(10_000)
    client.receive_data(encode(pb.VersionRes(version="1"), asked), 10_001)
    expired, late = taken(client)
    assert isinstance(expired, Expired)
    assert isinstance(late, Received)
