"""What holds of the protocol however the bytes are cut, whatever is said in which order, and whenever time is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.protocol.peer import execution, order, taken

from palmbot.protocol.events import Event, Expired, Received, Silent
from palmbot.protocol.frames import FrameReader, encode
from palmbot.protocol.limits import HISTORICAL, Limiter
from palmbot.protocol.messages import CLASSES, Message, pb
from palmbot.protocol.session import HEARTBEAT_MS, Role, Session, SessionConfig
from palmbot.protocol.state import Stage

ACCOUNTS = st.integers(1, 4)


@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_frames_are_the_same_wherever_the_stream_is_cut(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(len(content).to_bytes(4, "big") + content for content in contents)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    reader, frames = FrameReader(max_bytes=40), []
    for start, end in pairwise([0, *cuts, len(stream)]):
        reader.feed(stream[start:end])
        assert reader.held_bytes <= 44 + end - start
        while (frame := reader.next()) is not None:
            frames.append(frame)
    assert frames == contents
    assert reader.held_bytes == 0


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=10)), max_size=10), st.data())
def test_messages_are_the_same_wherever_the_stream_is_cut(said: list[tuple[str, str]], data: st.DataObject) -> None:
    sent = [(pb.ErrorRes(errorCode=code), client_msg_id) for code, client_msg_id in said]
    stream = b"".join(encode(message, client_msg_id) for message, client_msg_id in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    client, events = Session(Role.CLIENT, 0), []
    for start, end in pairwise([0, *cuts, len(stream)]):
        client.receive_data(stream[start:end], 0)
        events += taken(client)
    assert events == [Received(message, pb.ERROR_RES, client_msg_id) for message, client_msg_id in sent]


@dataclass
class Wire:
    """Bytes under way in one direction."""

    sender: Session
    receiver: Session
    bytes_: bytearray = field(default_factory=bytearray)

    def move(self, size: int, now_ms: int) -> list[Event]:
        """Let the receiver have the next ``size`` bytes; return what it makes of them."""
        self.bytes_ += self.sender.data_to_send()
        piece = bytes(self.bytes_[:size])
        del self.bytes_[:size]
        if piece:
            self.receiver.receive_data(piece, now_ms)
        return taken(self.receiver)


class Connection(RuleBasedStateMachine):
    """A client and a server joined by a wire that loses nothing and is never whole."""

    def __init__(self) -> None:
        super().__init__()
        config = SessionConfig(id_prefix="p", deadline_ms=3_000)
        self.client, self.server = Session(Role.CLIENT, 0, config), Session(Role.SERVER, 0, config)
        self.up, self.down = Wire(self.client, self.server), Wire(self.server, self.client)
        self.now_ms = 0
        self.sent: dict[str, Message] = {}
        self.heard: list[tuple[str, Message]] = []  # requests that the server has not answered
        self.answers: list[tuple[str, bool]] = []  # what the client will receive: id, is final
        self.expired: list[str] = []
        self.spots = 0

    # --- what either end does -----------------------------------------------------------------------------------------

    def ask(self, message: Message) -> None:
        client_msg_id = self.client.request(message, self.now_ms)
        assert client_msg_id not in self.sent
        self.sent[client_msg_id] = message

    def answer(self, message: Message, client_msg_id: str, *, is_final: bool = True) -> None:
        self.server.send(message, self.now_ms, client_msg_id)
        self.answers.append((client_msg_id, is_final))

    @rule(account_id=ACCOUNTS)
    def client_asks_for_an_account(self, account_id: int) -> None:
        self.ask(pb.AccountAuthReq(ctidTraderAccountId=account_id, accessToken="t"))

    @rule()
    def client_asks_for_the_application(self) -> None:
        self.ask(pb.ApplicationAuthReq(clientId="c", clientSecret="s"))

    @rule()
    def client_orders(self) -> None:
        self.ask(order())

    @precondition(lambda self: self.heard)
    @rule(index=st.integers(0, 9))
    def server_answers(self, index: int) -> None:
        client_msg_id, message = self.heard.pop(index % len(self.heard))
        if isinstance(message, pb.ApplicationAuthReq):
            self.answer(pb.ApplicationAuthRes(), client_msg_id)
        elif isinstance(message, pb.NewOrderReq):
            self.answer(execution(pb.ORDER_ACCEPTED, 0), client_msg_id, is_final=False)
            self.answer(execution(pb.ORDER_FILLED, 400), client_msg_id, is_final=False)
            self.answer(execution(pb.ORDER_CANCELLED, 400), client_msg_id)
        elif isinstance(message, pb.AccountAuthReq) and self.server.is_app_authorised:
            self.answer(pb.AccountAuthRes(ctidTraderAccountId=message.ctidTraderAccountId), client_msg_id)
        else:
            self.answer(pb.ErrorRes(errorCode="CH_CLIENT_NOT_AUTHENTICATED"), client_msg_id)

    @rule(account_id=ACCOUNTS)
    def server_drops_an_account(self, account_id: int) -> None:
        self.server.send(pb.AccountDisconnectEvent(ctidTraderAccountId=account_id), self.now_ms)

    @rule(account_ids=st.lists(ACCOUNTS, max_size=3))
    def server_invalidates_tokens(self, account_ids: list[int]) -> None:
        self.server.send(pb.AccountsTokenInvalidatedEvent(ctidTraderAccountIds=account_ids), self.now_ms)

    @rule()
    def server_drops_the_application(self) -> None:
        self.server.send(pb.ClientDisconnectEvent(reason="r"), self.now_ms)

    @rule()
    def server_tells_a_price(self) -> None:
        self.spots += 1
        self.server.send(pb.SpotEvent(ctidTraderAccountId=1, symbolId=1, bid=self.spots), self.now_ms)

    # --- wire and time ------------------------------------------------------------------------------------------------

    @rule(size=st.integers(1, 60))
    def bytes_go_up(self, size: int) -> None:
        for event in self.up.move(size, self.now_ms):
            assert isinstance(event, Received)
            assert event.message == self.sent[event.client_msg_id]
            self.heard.append((event.client_msg_id, event.message))

    @rule(size=st.integers(1, 200))
    def bytes_go_down(self, size: int) -> None:
        self.hear(self.down.move(size, self.now_ms))

    def hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Expired):
                self.expired.append(event.client_msg_id)
            elif isinstance(event, Received):
                if event.client_msg_id:
                    assert (event.client_msg_id, event.is_final) == self.answers.pop(0)
                    assert event.request is self.sent[event.client_msg_id]
                else:
                    assert event.request is None
            else:
                assert isinstance(event, Silent)

    @rule(passed_ms=st.integers(1, 2_000))
    def time_passes(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.client.handle_timer(self.now_ms)
        self.server.handle_timer(self.now_ms)
        self.hear(taken(self.client))
        assert all(isinstance(event, Silent) for event in taken(self.server))

    @invariant()
    def nobody_is_authorised_without_an_application(self) -> None:
        for session in (self.client, self.server):
            assert session.is_app_authorised or session.accounts == ()

    @invariant()
    def a_request_expires_at_most_once(self) -> None:
        assert len(set(self.expired)) == len(self.expired)

    def teardown(self) -> None:
        self.bytes_go_up(10**9)
        while self.heard:
            self.server_answers(0)
        self.bytes_go_down(10**9)
        assert self.answers == []
        assert self.client.waiting_requests == 0
        assert (self.client.stage, self.client.accounts) == (self.server.stage, self.server.accounts)
        assert self.client.stage is not Stage.CLOSED
        assert self.client.frames_received == self.server.frames_sent
        assert self.server.frames_received == self.client.frames_sent


TestConnection = Connection.TestCase


@given(st.sampled_from(Role), st.lists(st.tuples(st.integers(0, 40_000), st.booleans()), max_size=20))
def test_an_end_whose_timer_is_kept_is_never_silent_for_too_long(role: Role, story: list[tuple[int, bool]]) -> None:
    session = Session(role, 0)
    now_ms, said = 0, [0]
    for passed_ms, speaks in story:
        now_ms += passed_ms
        while (due_ms := session.next_timer()) is not None and due_ms <= now_ms:
            session.handle_timer(due_ms)
            taken(session)
            if session.data_to_send():
                said.append(due_ms)
            after_ms = session.next_timer()
            assert after_ms is not None
            assert after_ms > due_ms, "a timer that was handled is due later"
        if speaks:
            session.send(pb.VersionReq(), now_ms)
            session.data_to_send()
            said.append(now_ms)
    assert all(later - earlier <= HEARTBEAT_MS[role] for earlier, later in pairwise(said))


@given(st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 9_000), st.integers(0, 9_000)), max_size=15))
def test_a_request_expires_at_its_deadline_and_only_without_an_answer(story: list[tuple[int, int, int]]) -> None:
    """Each request is asked at a time, with a deadline, and answered so long after it."""
    client = Session(Role.CLIENT, 0)
    moments = [(asked_ms, 0, index) for index, (asked_ms, _, _) in enumerate(story)]
    moments += [(asked_ms + answered_ms, 1, index) for index, (asked_ms, _, answered_ms) in enumerate(story)]
    ids: dict[int, str] = {}
    expired: list[tuple[str, int]] = []
    for now_ms, is_answer, index in sorted(moments):
        while (due_ms := client.next_timer()) is not None and due_ms <= now_ms:
            client.handle_timer(due_ms)
            expired += [(event.client_msg_id, due_ms) for event in taken(client) if isinstance(event, Expired)]
        if is_answer:
            client.receive_data(encode(pb.VersionRes(version="1"), ids[index]), now_ms)
            assert [event.request for event in taken(client) if isinstance(event, Received)] == [pb.VersionReq()]
        else:
            ids[index] = client.request(pb.VersionReq(), now_ms, deadline_ms=story[index][1])
    late = [
        (ids[index], asked_ms + due_ms) for index, (asked_ms, due_ms, took_ms) in enumerate(story) if took_ms >= due_ms
    ]
    assert sorted(expired) == sorted(late)


@given(st.lists(st.tuples(st.integers(0, 700), st.sampled_from(sorted(CLASSES))), max_size=60))
def test_no_second_ever_holds_more_than_its_limit(story: list[tuple[int, int]]) -> None:
    limiter, now_ms = Limiter(per_second=4, historical_per_second=2), 0
    went: dict[bool, list[int]] = {True: [], False: []}
    for passed_ms, number in story:
        now_ms += passed_ms
        wait_ms = limiter.wait_ms(number, now_ms)
        if wait_ms > 0:
            assert limiter.wait_ms(number, now_ms + wait_ms - 1) == 1, "not a millisecond too long"
            now_ms += wait_ms
        limiter.take(number, now_ms)
        if number != pb.HEARTBEAT_EVENT:
            went[number in HISTORICAL].append(now_ms)
    for historical, times in went.items():
        limit = 2 if historical else 4
        assert all(later - earlier >= 1_000 for earlier, later in zip(times, times[limit:], strict=False))
