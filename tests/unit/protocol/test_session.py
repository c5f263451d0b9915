"""One session, both roles: correlation, authorisation, and what breaks a link."""

from __future__ import annotations

import pytest
from tests.unit.protocol.peer import ACCOUNT_ID, account_auth, application_auth, carry, execution, order, pair, taken

from palmbot.errors import InvariantError, RetryError
from palmbot.protocol.events import Broken, Received, Unknown
from palmbot.protocol.frames import encode, encode_payload
from palmbot.protocol.messages import Message, pb
from palmbot.protocol.session import Role, Session, SessionConfig
from palmbot.protocol.state import Stage

TRADER = pb.TraderReq(ctidTraderAccountId=ACCOUNT_ID)
SPOT = pb.SpotEvent(ctidTraderAccountId=ACCOUNT_ID, symbolId=1, bid=1)


def received(session: Session, message: Message, client_msg_id: str = "") -> Received:
    """Hand ``message`` to ``session`` and return the one event that it becomes."""
    session.receive_data(encode(message, client_msg_id), 0)
    (event,) = taken(session)
    assert isinstance(event, Received)
    return event


def granted(accounts: int = 1) -> tuple[Session, Session]:
    """Return both ends with the application and so many accounts authorised."""
    client, server = pair()
    server.send(pb.ApplicationAuthRes(), 0)
    for number in range(accounts):
        server.send(pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT_ID + number), 0)
    carry(server, client)
    return client, server


def test_a_request_travels_with_its_id_and_the_answer_finds_it() -> None:
    client, server = pair(config=SessionConfig(id_prefix="palm"))
    asked = application_auth()
    assert client.request(asked, 0) == "palm-1"
    (heard,) = carry(client, server)
    assert heard == Received(asked, pb.APPLICATION_AUTH_REQ, "palm-1")
    server.send(pb.ApplicationAuthRes(), 0, "palm-1")
    (answer,) = carry(server, client)
    assert answer == Received(pb.ApplicationAuthRes(), pb.APPLICATION_AUTH_RES, "palm-1", asked, is_final=True)
    assert client.waiting_requests == 0


def test_ids_count_up() -> None:
    client, _ = pair(config=SessionConfig(id_prefix="p"))
    assert [client.request(TRADER, 0) for _ in range(3)] == ["p-1", "p-2", "p-3"]


def test_an_error_answers_its_request() -> None:
    client, _ = pair()
    asked = client.request(TRADER, 0)
    refusal = received(client, pb.ErrorRes(errorCode="INVALID_REQUEST"), asked)
    assert refusal.request == TRADER
    assert refusal.is_final


def test_a_market_order_is_remembered_from_accepted_to_filled() -> None:
    client, _ = pair()
    wanted = order()
    asked = client.request(wanted, 0)
    steps = [(pb.ORDER_ACCEPTED, 0), (pb.ORDER_PARTIAL_FILL, 400), (pb.ORDER_FILLED, 1_000)]
    answers = [received(client, execution(kind, executed_cu), asked) for kind, executed_cu in steps]
    assert all(answer.request is wanted for answer in answers)
    assert [answer.is_final for answer in answers] == [False, False, True]


def test_after_its_last_answer_an_id_is_a_strangers() -> None:
    client, _ = pair()
    asked = client.request(order(), 0)
    received(client, execution(pb.ORDER_FILLED, 1_000), asked)
    late = received(client, execution(pb.ORDER_FILLED, 1_000), asked)
    assert late.request is None
    assert not late.is_final
    assert late.client_msg_id == asked


def test_an_unknown_id_makes_an_event() -> None:
    client, _ = pair()
    client.request(order(), 0)
    foreign = received(client, execution(pb.ORDER_FILLED, 1_000), "somebody-1")
    assert (foreign.request, foreign.is_final, foreign.client_msg_id) == (None, False, "somebody-1")
    assert client.waiting_requests == 1


def test_answers_come_in_any_order_among_events() -> None:
    client, server = granted()
    asked = [client.request(pb.TraderReq(ctidTraderAccountId=number), 0) for number in (1, 2)]
    server.send(SPOT, 0)
    for client_msg_id in reversed(asked):
        server.send(pb.VersionRes(version="1"), 0, client_msg_id)
    spot, second, first = carry(server, client)
    assert isinstance(spot, Received)
    assert spot.request is None
    for event, account_id in ((second, 2), (first, 1)):
        assert isinstance(event, Received)
        assert event.request == pb.TraderReq(ctidTraderAccountId=account_id)


def test_a_heartbeat_is_no_event_and_is_never_answered() -> None:
    for here, there in (pair(), pair()[::-1]):
        there.send(pb.HeartbeatEvent(), 0)
        assert carry(there, here) == []
        assert here.data_to_send() == b""
        assert here.frames_received == 1


def test_a_heartbeat_may_come_before_any_authorisation() -> None:
    _, server = pair()
    server.receive_data(bytes.fromhex("00 00 00 02 08 33"), 0)
    assert taken(server) == []
    assert server.stage is Stage.NEW


def test_both_ends_agree_about_who_is_authorised() -> None:
    client, server = granted(accounts=3)
    for session in (client, server):
        assert session.is_app_authorised
        assert session.accounts == (ACCOUNT_ID, ACCOUNT_ID + 1, ACCOUNT_ID + 2)
        assert session.is_account_authorised(ACCOUNT_ID)
        assert not session.is_account_authorised(ACCOUNT_ID + 3)


@pytest.mark.parametrize(
    ("loss", "left"),
    [
        (pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT_ID), (ACCOUNT_ID + 1, ACCOUNT_ID + 2)),
        (pb.AccountLogoutRes(ctidTraderAccountId=ACCOUNT_ID + 1), (ACCOUNT_ID, ACCOUNT_ID + 2)),
        (
            pb.AccountsTokenInvalidatedEvent(ctidTraderAccountIds=[ACCOUNT_ID, ACCOUNT_ID + 2, 7]),
            (ACCOUNT_ID + 1,),
        ),
        (pb.AccountsTokenInvalidatedEvent(reason="nobody"), (ACCOUNT_ID, ACCOUNT_ID + 1, ACCOUNT_ID + 2)),
    ],
)
def test_accounts_are_lost_while_the_application_stays(loss: Message, left: tuple[int, ...]) -> None:
    client, server = granted(accounts=3)
    server.send(loss, 0)
    carry(server, client)
    assert client.accounts == server.accounts == left
    assert client.is_app_authorised


def test_with_the_application_all_accounts_go_and_late_losses_change_nothing() -> None:
    client, server = granted(accounts=2)
    server.send(pb.ClientDisconnectEvent(reason="cancelled"), 0)
    server.send(pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT_ID), 0)
    assert len(carry(server, client)) == 2
    assert (client.stage, client.accounts) == (Stage.NEW, ())
    assert (server.stage, server.accounts) == (Stage.NEW, ())


@pytest.mark.parametrize("kind", [pb.ErrorRes, pb.CommonErrorRes])
def test_refusals_that_say_it_is_granted_already_grant_it(kind: type[pb.ErrorRes | pb.CommonErrorRes]) -> None:
    client, _ = pair()
    for asked, code in ((application_auth(), "CH_CLIENT_ALREADY_AUTHENTICATED"), (account_auth(), "ALREADY_LOGGED_IN")):
        received(client, kind(errorCode=code), client.request(asked, 0))
    assert client.accounts == (ACCOUNT_ID,)


def test_such_a_refusal_of_nothing_that_we_asked_grants_nothing() -> None:
    client, _ = granted(accounts=0)
    received(client, pb.ErrorRes(errorCode="ALREADY_LOGGED_IN"), "somebody-1")
    received(client, pb.ErrorRes(errorCode="ALREADY_LOGGED_IN"), client.request(TRADER, 0))
    assert client.accounts == ()


def test_an_account_without_an_application_breaks_the_link() -> None:
    client, _ = pair()
    client.receive_data(encode(pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT_ID)), 0)
    assert taken(client) == [Broken("OUT_OF_ORDER", "a message 2103 in stage NEW")]


def test_a_server_cannot_grant_an_account_without_an_application() -> None:
    _, server = pair()
    with pytest.raises(InvariantError, match="OUT_OF_ORDER"):
        server.send(pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT_ID), 0)
    assert server.data_to_send() == b""


def test_what_a_client_sends_moves_nobody() -> None:
    client, server = pair()
    client.send(pb.ApplicationAuthRes(), 0)
    (event,) = carry(client, server)
    assert isinstance(event, Unknown)
    assert (client.stage, server.stage) == (Stage.NEW, Stage.NEW)


@pytest.mark.parametrize(
    ("role", "wire", "code"),
    [
        (Role.CLIENT, bytes.fromhex("00 00 00 02 ff ff"), "BAD_FRAME"),
        (Role.SERVER, bytes.fromhex("00 00 00 00"), "BAD_FRAME"),
        (Role.SERVER, bytes.fromhex("00 00 00 02 12 00"), "BAD_FRAME"),
        (Role.CLIENT, encode_payload(pb.SPOT_EVENT, b"\xff"), "BAD_PAYLOAD"),
        (Role.SERVER, encode_payload(pb.NEW_ORDER_REQ, b"\xff"), "BAD_PAYLOAD"),
        (Role.SERVER, bytes.fromhex("00 e4 e1 c1"), "FRAME_TOO_LONG"),
        (Role.CLIENT, b"HTTP/1.1 400 Bad Request\r\n", "FRAME_TOO_LONG"),
    ],
)
def test_garbage_ends_the_link_with_a_named_event(role: Role, wire: bytes, code: str) -> None:
    session = Session(role, 0)
    session.receive_data(wire, 0)
    (event,) = taken(session)
    assert isinstance(event, Broken)
    assert event.code == code
    assert session.stage is Stage.CLOSED


def test_what_came_before_the_garbage_is_told_and_nothing_after_it() -> None:
    client, _ = granted()
    client.request(TRADER, 0)
    client.receive_data(encode(SPOT) + b"\xff" * 4 + encode(SPOT), 0)
    spot, broken = taken(client)
    assert isinstance(spot, Received)
    assert isinstance(broken, Broken)
    client.receive_data(encode(SPOT), 0)
    client.handle_timer(1_000_000)
    assert taken(client) == []
    assert client.next_timer() is None
    assert (client.accounts, client.waiting_requests) == ((), 0)


def test_no_request_goes_over_a_broken_link() -> None:
    client, _ = pair()
    client.receive_data(b"\xff" * 4, 0)
    taken(client)
    with pytest.raises(RetryError, match="LINK_BROKEN"):
        client.request(TRADER, 0)


def test_a_server_may_say_why_the_link_ends() -> None:
    client, server = pair()
    server.receive_data(b"\xff" * 4, 0)
    taken(server)
    server.send(pb.ErrorRes(errorCode="FRAME_TOO_LONG"), 0)
    server.send(pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT_ID), 0)
    assert server.accounts == ()
    client.receive_data(server.data_to_send(), 0)
    event = client.next_event()
    assert isinstance(event, Received)
    assert event.message == pb.ErrorRes(errorCode="FRAME_TOO_LONG")


def test_a_number_that_nobody_knows_is_an_event_of_its_own() -> None:
    client, server = pair()
    server.send_payload(4711, b"what is this", 0, "p-1")
    assert carry(server, client) == [Unknown(4711, b"what is this", "p-1")]


def test_each_role_reads_only_what_the_other_says() -> None:
    client, server = pair()
    server.send(TRADER, 0)
    client.send(SPOT, 0)
    assert carry(server, client) == [Unknown(pb.TRADER_REQ, TRADER.SerializeToString(), "")]
    assert carry(client, server) == [Unknown(pb.SPOT_EVENT, SPOT.SerializeToString(), "")]


def test_an_id_that_is_not_utf_8_is_read_with_replacement_characters() -> None:
    _, server = pair()
    server.receive_data(encode(TRADER, "id?").replace(b"id?", b"id\xff"), 0)
    (event,) = taken(server)
    assert isinstance(event, Received)
    assert event.client_msg_id == "id\ufffd"


def test_a_message_that_lacks_a_required_field_is_received() -> None:
    client, _ = pair()
    client.receive_data(encode_payload(pb.EXECUTION_EVENT, b""), 0)
    (event,) = taken(client)
    assert event == Received(pb.ExecutionEvent(), pb.EXECUTION_EVENT)


def test_frames_are_counted_in_both_directions() -> None:
    client, server = pair()
    client.request(TRADER, 0)
    client.send(pb.HeartbeatEvent(), 0)
    server.send_payload(4711, b"", 0)
    carry(client, server)
    carry(server, client)
    assert (client.frames_sent, server.frames_received) == (2, 2)
    assert (server.frames_sent, client.frames_received) == (1, 1)


def test_bytes_to_send_are_given_once() -> None:
    client, _ = pair()
    client.send(pb.HeartbeatEvent(), 0)
    client.send(TRADER, 0, "x")
    assert client.data_to_send() == encode(pb.HeartbeatEvent()) + encode(TRADER, "x")
    assert client.data_to_send() == b""


def test_only_a_client_asks() -> None:
    _, server = pair()
    with pytest.raises(InvariantError, match="REQUEST_OF_SERVER"):
        server.request(TRADER, 0)


def test_a_message_over_the_cap_is_not_sent() -> None:
    client, _ = pair(config=SessionConfig(frame_max_bytes=20))
    long = pb.VersionRes(version="v" * 20)
    with pytest.raises(InvariantError, match="MESSAGE_TOO_LONG"):
        client.send(long, 0)
    with pytest.raises(InvariantError, match="MESSAGE_TOO_LONG"):
        client.request(pb.RefreshTokenReq(refreshToken="t" * 20), 0)
    assert (client.data_to_send(), client.frames_sent, client.waiting_requests) == (b"", 0, 0)


def test_an_incomplete_request_leaves_no_trace() -> None:
    client, _ = pair()
    with pytest.raises(InvariantError, match="MESSAGE_INCOMPLETE"):
        client.request(pb.TraderReq(), 0)
    assert (client.data_to_send(), client.waiting_requests) == (b"", 0)
    assert client.request(TRADER, 0) == "-1"


def test_a_request_too_many_leaves_no_trace_either() -> None:
    client, _ = pair(config=SessionConfig(pending_max=1))
    client.request(TRADER, 0)
    client.data_to_send()
    with pytest.raises(RetryError, match="TOO_MANY_REQUESTS"):
        client.request(TRADER, 0)
    assert (client.data_to_send(), client.frames_sent) == (b"", 1)
    received(client, pb.VersionRes(version="1"), "-1")
    assert client.request(TRADER, 0) == "-2"


# -- a session that may not say everything

NEW_ORDER = pb.NewOrderReq(
    ctidTraderAccountId=ACCOUNT_ID, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=100
)


def test_what_a_session_may_not_send_becomes_no_bytes() -> None:
    client, server = pair(config=SessionConfig(may_send=frozenset({pb.TRADER_REQ, pb.HEARTBEAT_EVENT})))
    forbidden = (
        lambda: client.request(NEW_ORDER, 0),
        lambda: client.send(NEW_ORDER, 0),
        lambda: client.send_payload(pb.NEW_ORDER_REQ, b"", 0),
        lambda: client.send_frame(encode(NEW_ORDER), 0),
        lambda: client.send_frame(encode(TRADER), 0),  # nobody looks into a frame
    )
    for act in forbidden:
        with pytest.raises(InvariantError, match="NOT_ALLOWED_TO_SEND"):
            act()
    assert client.data_to_send() == b""
    assert (client.frames_sent, client.waiting_requests) == (0, 0)
    client.request(TRADER, 0)
    client.handle_timer(10**6)
    (heard,) = carry(client, server)
    assert isinstance(heard, Received)
    assert heard.message == TRADER
