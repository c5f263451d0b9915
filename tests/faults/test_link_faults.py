"""Everything that can take a link away: what the client tells, how it comes back, and what must not matter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.scripted_peer import ACCOUNT, entry, error, silence, spot
from tests.unit.adapters.ctrader_world import World, entering, story

from palmbot.adapters.ctrader_keeper import Patience
from palmbot.errors import InvariantError, RetryError
from palmbot.live.inbox import Inbox
from palmbot.model import BrokerEvent, LinkEvent, LinkState, OrderEvent, Quote
from palmbot.protocol.frames import FRAME_MAX_BYTES
from palmbot.protocol.messages import pb
from palmbot.units import HOUR_MS

LOST, READY = LinkState.LOST, LinkState.READY


def cut(world: World) -> None:
    world.network.links[0].cut()


def close(world: World) -> None:
    world.peer.last.transport.close()


def send_garbage(world: World) -> None:
    world.peer.last.transport.write(b"\x00\x00\x00\x03\xff\xff\xff")


def send_a_frame_over_the_cap(world: World) -> None:
    world.peer.last.transport.write((FRAME_MAX_BYTES + 1).to_bytes(4, "big"))


def die_in_a_frame(world: World) -> None:
    world.peer.last.session.send(spot(1, 2, 3), 0)
    world.peer.last.transport.write(world.peer.last.session.data_to_send()[:9])
    world.peer.last.transport.close()


def disconnect_the_client(world: World) -> None:
    world.peer.last.send(pb.ClientDisconnectEvent(reason="idle"))


def send_a_price_that_is_none(world: World) -> None:
    event = entry("x")[1]
    event.deal.executionPrice = float("nan")
    world.peer.last.send(event)


def forget_the_application(world: World) -> None:
    world.peer.last.send(error("CH_CLIENT_NOT_AUTHENTICATED"))


def lose_the_backend(world: World) -> None:
    world.peer.last.send(error("UNKNOWN_ERROR", "No pooled connection to main server"))


@pytest.mark.parametrize(
    "fault",
    [
        cut,
        close,
        send_garbage,
        send_a_frame_over_the_cap,
        die_in_a_frame,
        disconnect_the_client,
        send_a_price_that_is_none,
        forget_the_application,
        lose_the_backend,
    ],
)
def test_a_link_that_is_lost_is_told_comes_back_and_is_subscribed_again(fault: Callable[[World], None]) -> None:
    async def tell(world: World) -> None:
        world.peer.first_spots = [spot(400_000_000, 400_200_000, 1_000)]
        await world.listening()
        fault(world)
        await world.passes(0.5)
        assert world.states() == [LOST]
        assert not world.ctrader.is_ready
        await world.passes(5)
        back, quote = world.told()
        assert isinstance(back, LinkEvent)
        assert back.state is READY
        assert quote == Quote("PALMOIL", 1_000, 400_000_000, 400_200_000)
        assert len(world.peer.connections) == 2
        assert len(world.peer.asked(pb.SymbolsListReq)) == 1  # what the first login learned is still known
        assert (await world.ctrader.account()).account_id == ACCOUNT

    World().play(tell)


@story()
async def test_all_that_is_told_of_the_new_session_comes_after_the_word_that_it_is_there(world: World) -> None:
    await world.listening()
    granted = [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT), *entry("x"), spot(1, 2, 3)]
    early = [spot(5, 6, 7), *entry("y")]
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [pb.ApplicationAuthRes(), *early]
    world.peer.answers[pb.AccountAuthReq] = lambda _: granted
    world.ctrader.abort("the test")
    world.peer.last.send(*early)  # of the old session, too late
    await world.passes(5)
    kinds = [event.state if isinstance(event, LinkEvent) else type(event) for event in world.told()]
    assert kinds == [LOST, READY, OrderEvent, OrderEvent, OrderEvent, Quote]


@story()
async def test_a_side_that_an_old_session_told_is_not_joined_with_one_of_the_new(world: World) -> None:
    world.peer.first_spots = [spot(400_000_000, 400_200_000, 1_000)]
    await world.listening()
    world.peer.first_spots = [spot(None, 500_200_000, 2_000)]
    cut(world)
    await world.passes(5)
    assert not [event for event in world.told() if isinstance(event, Quote)]


@story()
async def test_requests_that_a_lost_link_left_open_fail_at_once_and_orders_stay_open(world: World) -> None:
    await world.ready()
    world.peer.answers[pb.ReconcileReq] = silence
    reading = asyncio.create_task(world.ctrader.account())
    await world.ctrader.submit(entering())
    await world.passes(1)
    cut(world)
    with pytest.raises(RetryError, match="LINK_LOST"):
        await reading
    await world.passes(0.5)
    assert [type(event) for event in world.told()] == [LinkEvent]


@story()
async def test_an_answer_that_comes_over_the_next_link_is_known_by_the_orders_own_name(world: World) -> None:
    await world.ready()
    await world.ctrader.submit(entering())
    await world.passes(0.2)
    cut(world)
    await world.passes(5)
    world.told()
    world.peer.last.send(*entry(entering().client_order_id))
    await world.passes(1)
    assert [event.request_id for event in world.order_events()] == [entering().client_order_id] * 2 + [""]


@story()
async def test_no_two_links_number_their_requests_alike(world: World) -> None:
    await world.ready()
    first = set(world.peer.last.ids_heard)
    cut(world)
    await world.passes(5)
    second = set(world.peer.last.ids_heard)
    assert len(first) == 6
    assert second
    assert not first & second


def test_a_bug_ends_the_client_instead_of_the_link_alone() -> None:
    class BrokenInbox(Inbox):
        def put(self, event: BrokerEvent) -> None:
            if isinstance(event, OrderEvent):
                raise InvariantError("A_BUG", "Report this.")
            super().put(event)

    async def tell(world: World) -> None:
        await world.ready()
        world.ctrader._wires = replace(world.ctrader._wires, inbox=BrokenInbox())
        world.peer.last.send(*entry("x"))
        failure = await world.failure()
        assert isinstance(failure, InvariantError)
        assert failure.code == "A_BUG"
        assert len(world.peer.connections) == 1

    World().play(tell)


@story()
async def test_whoever_reads_while_the_link_is_away_waits_for_it(world: World) -> None:
    await world.ready()
    cut(world)
    await world.passes(0.5)
    assert not world.ctrader.is_ready
    assert (await world.ctrader.account()).account_id == ACCOUNT
    assert world.states() == [LOST, READY]


@story()
async def test_a_blocked_kind_of_request_waits_as_long_as_the_broker_said_and_no_longer_than_two_minutes(
    world: World,
) -> None:
    await world.ready()
    reconciled = world.peer.answers[pb.ReconcileReq]
    for told_s, waited_s in ((5, 5), (10_000, 120)):
        world.peer.answers[pb.ReconcileReq] = lambda _, told_s=told_s: [  # type: ignore[misc]
            error("BLOCKED_PAYLOAD_TYPE", retryAfter=told_s)
        ]
        with pytest.raises(RetryError, match="BLOCKED_PAYLOAD_TYPE"):
            await world.ctrader.account()
        start_ms = world.clock.monotonic_ms()
        world.peer.answers[pb.ReconcileReq] = reconciled
        await world.ctrader.account()
        assert waited_s - 0.1 <= (world.clock.monotonic_ms() - start_ms) / 1_000 <= waited_s + 0.5
    assert world.ctrader.is_ready


# -- silence


@story()
async def test_hours_without_a_quote_are_no_silence_and_heartbeats_are_not_echoed(world: World) -> None:
    await world.listening()
    await world.passes(2 * HOUR_MS / 1_000)
    assert world.told() == []
    assert len(world.peer.connections) == 1
    beats = [each for each in world.peer.heard if isinstance(each, pb.HeartbeatEvent)]
    assert beats == []  # the session takes them for life alone
    assert 700 < world.peer.last.session.frames_received < 740  # every ten seconds


@story()
async def test_a_half_open_link_is_given_up_after_a_minute_of_silence(world: World) -> None:
    await world.listening()
    world.network.links[0].server.mute()
    await world.passes(59)
    assert world.told() == []
    await world.passes(10)
    (lost, ready) = (event for event in world.told() if isinstance(event, LinkEvent))
    assert (lost.state, lost.detail, ready.state) == (LOST, "nothing came for 60000 ms", READY)


@story()
async def test_a_broker_that_does_not_answer_a_login_is_called_again(world: World) -> None:
    world.peer.answers[pb.AccountAuthReq] = silence
    await world.passes(11)
    world.peer.answers[pb.AccountAuthReq] = lambda _: [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT)]
    await world.ready()
    assert len(world.peer.connections) == 2


@story()
async def test_a_connection_that_does_not_come_is_given_up_after_ten_seconds(world: World) -> None:
    attempts: list[int] = []

    async def hanging(_: object) -> asyncio.Transport:
        attempts.append(world.clock.monotonic_ms())
        await asyncio.sleep(1_000)
        raise AssertionError("nobody waits so long")

    await world.ready()
    keeper = world.ctrader._keeper
    keeper._wires = keeper._wires.__class__(hanging, world.clock, keeper._wires.rng, keeper._wires.tokens)
    cut(world)
    await world.passes(30)
    first, second, *_ = attempts
    assert 11_000 <= second - first <= 12_000
    with pytest.raises(RetryError, match="LINK_DOWN"):
        await world.ctrader.submit(entering())


# -- what must not matter


@story()
async def test_what_nobody_knows_is_passed_over(world: World) -> None:
    await world.listening()
    world.peer.last.raw(9_999, b"\x08\x01")
    world.peer.last.raw(pb.NEW_ORDER_REQ, b"")  # a request from the server
    unknown = pb.SymbolChangedEvent(ctidTraderAccountId=ACCOUNT, symbolId=[1])
    world.peer.last.send(unknown, pb.TraderUpdatedEvent(ctidTraderAccountId=ACCOUNT, trader=world.peer.trader().trader))
    world.peer.last.send(spot(400_000_000, 400_200_000, 1_000))
    await world.passes(1)
    assert len(world.told()) == 1


@story()
async def test_an_execution_of_a_kind_that_nobody_knows_is_told_by_what_it_shows(world: World) -> None:
    await world.ready()
    _, filled, guarded = entry("x")
    for event in (filled, guarded):
        body = event.SerializeToString().replace(bytes([0x18, event.executionType]), bytes([0x18, 77]), 1)
        world.peer.last.raw(pb.EXECUTION_EVENT, body)
    await world.passes(1)
    first, second = world.order_events()
    assert (first.execution, first.fill is not None, first.request_id) == (3, True, "")
    assert (second.execution, second.fill, second.position is not None) == (2, None, True)


@story(patience=Patience(answer_ms=2_000))
async def test_a_read_that_is_not_answered_ends_and_the_link_goes_on(world: World) -> None:
    await world.ready()
    world.peer.answers[pb.DealListByPositionIdReq] = silence
    start_ms = world.clock.monotonic_ms()
    with pytest.raises(RetryError, match="NO_ANSWER"):
        await world.ctrader.deals(501)
    assert world.clock.monotonic_ms() - start_ms == 2_000
    assert world.ctrader.is_ready


@story()
async def test_an_application_and_an_account_that_are_logged_in_already_are_logged_in(world: World) -> None:
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: [error("CH_CLIENT_ALREADY_AUTHENTICATED")]
    world.peer.answers[pb.AccountAuthReq] = lambda _: [error("ALREADY_LOGGED_IN")]
    await world.ready()
    assert len(world.peer.connections) == 1
    cut(world)
    await world.passes(5)
    assert world.states() == [LOST, READY]


@story()
async def test_an_end_that_was_asked_for_is_clean(world: World) -> None:
    await world.ready()
    world.running.cancel()
    await world.passes(1)
    assert world.peer.last.is_lost
    with pytest.raises(RetryError, match="LINK_CLOSED"):
        await world.ctrader.account()
