"""One connection: limits, timers, faults that are played on it, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import BID, LOT, House, Plan, house_in
from tests.wire_client import WireClient

from palmbot.errors import HaltError
from palmbot.exchange.faults import Fault, Maintenance
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.values import CashKind, Via
from palmbot.protocol.frames import encode, encode_payload
from palmbot.protocol.messages import missing, pb

ME: dict[str, Any] = {"ctidTraderAccountId": 1}
OPEN = Knobs(per_second=None)
ORDER = pb.NewOrderReq(**ME, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=LOT)
SPOTS = pb.SubscribeSpotsReq(**ME, symbolId=[1])


# -- limits and timers


async def test_the_fifty_first_request_of_a_second_is_blocked_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(Knobs())) as house:
        client = await house.dial()
        for number in range(60):
            client.send(pb.VersionReq(), f"v{number}")
        await client.until(lambda: len(client.heard) == 60)
        blocked = client.all(pb.ErrorRes)
        assert len(client.all(pb.VersionRes)) == 50
        assert {(each.errorCode, each.retryAfter) for each in blocked} == {("BLOCKED_PAYLOAD_TYPE", 1)}


async def test_a_limit_may_be_told_by_its_other_code_which_says_no_time(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(Knobs(per_second=1, rate_limit_code="REQUEST_FREQUENCY_EXCEEDED"))) as house:
        client = await house.dial()
        client.send(pb.VersionReq())
        blocked = await client.ask(pb.VersionReq())
        assert (blocked.errorCode, blocked.HasField("retryAfter")) == ("REQUEST_FREQUENCY_EXCEEDED", False)


async def test_history_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(Knobs())) as house:
        client = await house.client(1)
        house.tick()
        for number in range(8):
            client.send(pb.GetTrendbarsReq(**ME, symbolId=1, period=pb.H1), f"h{number}")
        client.send(pb.TraderReq(**ME), "free")
        await client.until(lambda: client.heard[-1].client_msg_id == "free")
        assert len(client.all(pb.GetTrendbarsRes)) == 5
        assert len(client.all(pb.ErrorRes)) == 3
        assert isinstance(client.heard[-1].message, pb.TraderRes)


async def test_a_request_is_refused_by_any_code_on_demand_and_not_carried_out(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.tick()
        house.faults.refuse("PENDING_EXECUTION", pb.NEW_ORDER_REQ, Via.ORDER_ERROR)
        house.faults.refuse("CHANNEL_IS_BLOCKED")
        blocked, refused = await client.ask(pb.TraderReq(**ME)), await client.ask(ORDER)
        assert (type(blocked), blocked.errorCode) == (pb.ErrorRes, "CHANNEL_IS_BLOCKED")
        assert (type(refused), refused.errorCode) == (pb.OrderErrorEvent, "PENDING_EXECUTION")
        assert not house.engine.venue.accounts[1].orders
        assert isinstance(await client.ask(ORDER), pb.ExecutionEvent)


async def test_an_idle_server_sends_heartbeats_and_a_silent_client_is_disconnected(tmp_path: Path) -> None:
    knobs = replace(OPEN, heartbeat_ms=40, silence_ms=200)
    async with house_in(tmp_path, Plan(knobs)) as house:
        client = await house.dial()
        (why,) = await house.until_left(1)
        assert why.startswith("silent for ")
        assert await client.lost is None
        assert client.data == bytes.fromhex("0000000408331200") * client.session.frames_received
        assert client.session.frames_received >= 1


async def test_a_client_that_says_nothing_but_heartbeats_stays(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, silence_ms=300))) as house:
        client, silent = await house.dial(), await house.dial()
        while not silent.lost.done():
            client.raw(encode(pb.HeartbeatEvent()))
            await asyncio.wait([silent.lost], timeout=0.05)
        assert isinstance(await client.ask(pb.VersionReq()), pb.VersionRes)


# -- what breaks it


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x7f\xff\xff\xff", "FRAME_TOO_LONG"),
        (b"\x00\x00\x00\x04\xff\xff\xff\xff", "INVALID_REQUEST"),
        (b"\x00\x00\x00\x00", "INVALID_REQUEST"),
        (encode_payload(pb.APPLICATION_AUTH_REQ, b"\x12\xff", "x"), "INVALID_REQUEST"),
    ],
)
async def test_bytes_that_cannot_be_read_are_answered_once_and_end_the_connection(
    tmp_path: Path, data: bytes, code: str
) -> None:
    async with house_in(tmp_path) as house:
        client, other = await house.dial(), await house.dial()
        client.raw(data + encode(pb.VersionReq(), "never"))
        await client.lost
        assert [each.message.errorCode for each in client.heard] == [code]
        assert isinstance(await other.ask(pb.VersionReq()), pb.VersionRes)


async def test_a_request_may_come_byte_by_byte_and_many_at_once(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.dial()
        for byte in encode(pb.VersionReq(), "slowly"):
            client.raw(bytes([byte]))
            await asyncio.sleep(0)
        client.raw(b"".join(encode(pb.VersionReq(), f"{number}") for number in range(1_000)))
        await client.until(lambda: len(client.heard) == 1_001)
        assert [each.client_msg_id for each in client.heard] == ["slowly", *map(str, range(1_000))]


async def test_the_session_counts_what_it_sent(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        await client.ask(SPOTS)
        house.tick()
        await client.take(pb.SpotEvent)
        (connection,) = house.server.connections.values()
        assert connection.session.frames_sent == client.session.frames_received == 4


async def test_books_that_cannot_be_written_end_every_connection_and_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_in(tmp_path) as house:
        client, other = await house.client(1), await house.client(1)
        house.tick()

        def fail(*_: object) -> None:
            raise HaltError("BOOKS_UNWRITABLE", "Free the disk.")

        monkeypatch.setattr(house.engine.books, "save", fail)
        client.send(ORDER)
        await client.lost
        await other.lost
        assert [each.code for each in house.failures] == ["BOOKS_UNWRITABLE"]
        assert not client.all(pb.ExecutionEvent)
        monkeypatch.undo()


async def test_a_bug_in_a_request_ends_the_exchange_and_one_in_a_question_only_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    async with house_in(tmp_path) as house:
        asking, other = await house.client(1), await house.client(1)
        house.tick()
        with monkeypatch.context() as broken:
            broken.setattr("palmbot.exchange.account.Account.position_views", fail)
            asking.send(pb.ReconcileReq(**ME))
            await asking.lost
        assert [type(each["exception"]) for each in complaints] == [ZeroDivisionError]
        assert isinstance(await other.ask(pb.ReconcileReq(**ME)), pb.ReconcileRes)
        assert not house.failures
        with monkeypatch.context() as broken:
            broken.setattr("palmbot.exchange.matching.start", fail)
            other.send(ORDER)
            await other.lost
        assert [each.code for each in house.failures] == ["EXCHANGE_BROKEN"]
        assert not other.all(pb.ExecutionEvent)


async def test_telling_walks_over_nobody_who_does_not_hear_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crowd(dict[int, Any]):
        def values(self) -> Any:
            raise AssertionError("everybody was looked at")

    async with house_in(tmp_path) as house:
        hearing = await ready(house)
        await house.client(2)
        crowd = Crowd(house.server.clients)
        with monkeypatch.context() as walked:
            walked.setattr(house.server, "clients", crowd)
            house.engine.cash(1, CashKind.DEPOSIT, 100)
            house.tick()
            await hearing.take(pb.SpotEvent)
        assert hearing.all(pb.ExecutionEvent)
        assert not house.failures


# -- faults


async def ready(house: House) -> WireClient:
    client = await house.client(1)
    await client.ask(SPOTS)
    house.tick()
    await client.take(pb.SpotEvent)
    return client


async def test_a_refused_connection_ends_at_once_and_the_next_is_taken(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        house.faults.once(Fault.REFUSE_CONNECTION)
        client = await house.dial()
        await client.lost
        assert not client.data
        assert isinstance(await (await house.dial()).ask(pb.VersionReq()), pb.VersionRes)


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE_ACCEPT, Fault.DROP_AFTER_ACCEPT])
async def test_a_drop_at_an_order_leaves_its_outcome_to_be_found(tmp_path: Path, fault: Fault) -> None:
    async with house_in(tmp_path) as house:
        client, watching = await ready(house), await ready(house)
        house.faults.once(fault, pb.NEW_ORDER_REQ)
        client.send(ORDER, "lost")
        await client.lost
        assert not client.all(pb.ExecutionEvent)
        house.later()
        state = await watching.ask(pb.ReconcileReq(**ME))
        happened = fault is Fault.DROP_AFTER_ACCEPT
        assert len(state.position) == happened
        assert len(watching.all(pb.ExecutionEvent)) == 2 * happened


async def test_a_swallowed_answer_never_comes_though_the_request_was_carried_out(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client()
        house.faults.once(Fault.SWALLOW_RESPONSE, pb.ACCOUNT_AUTH_RES)
        client.send(pb.AccountAuthReq(ctidTraderAccountId=1, accessToken=house.ready.access_token), "never")
        await client.ask(pb.TraderReq(**ME))
        house.faults.once(Fault.SWALLOW_RESPONSE, pb.TRADER_RES)
        client.send(pb.TraderReq(**ME), "never either")
        await client.ask(pb.VersionReq())
        assert [type(each.message) for each in client.heard] == [pb.ApplicationAuthRes, pb.TraderRes, pb.VersionRes]
        (connection,) = house.server.connections.values()
        assert connection.session.frames_sent == client.session.frames_received


async def test_a_duplicated_event_comes_twice_the_same(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        house.faults.once(Fault.DUPLICATE_EVENT)
        first, second = await client.asked(ORDER, 2)
        assert first == second
        house.later()
        await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)


async def test_lists_are_empty_though_there_is_something(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        await client.ask(ORDER)
        house.later()
        house.faults.always(Fault.EMPTY_LIST)
        for request in (
            pb.ReconcileReq(**ME),
            pb.DealListReq(**ME),
            pb.OrderListReq(**ME),
            pb.SymbolsListReq(**ME),
            pb.GetAccountListByAccessTokenReq(accessToken=house.ready.access_token),
        ):
            answer = await client.ask(request)
            rows = [field.name for field, _ in answer.ListFields() if field.is_repeated]
            assert rows == []
            assert not missing(answer)
            assert not getattr(answer, "hasMore", False)
        house.faults.never(Fault.EMPTY_LIST)
        assert len((await client.ask(pb.ReconcileReq(**ME))).position) == 1


@pytest.mark.parametrize("common", [False, True])
async def test_maintenance_names_its_end_in_the_unit_of_its_message(tmp_path: Path, common: bool) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        house.faults.maintenance = Maintenance(1_800_000_000_123, by_common_error=common)
        refused = await client.ask(pb.TraderReq(**ME))
        assert isinstance(refused, pb.CommonErrorRes if common else pb.ErrorRes)
        assert refused.errorCode == "SERVER_IS_UNDER_MAINTENANCE"
        assert refused.maintenanceEndTimestamp == (1_800_000_000_123 if common else 1_800_000_000)
        assert (await client.ask(ORDER)).errorCode == "SERVER_IS_UNDER_MAINTENANCE"
        house.faults.maintenance = None
        assert isinstance(await client.ask(pb.TraderReq(**ME)), pb.TraderRes)


async def test_a_weekend_ends_account_sessions_and_keeps_the_connection(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        house.faults.is_weekend = True
        house.server.drop_accounts()
        await client.take(pb.AccountDisconnectEvent)
        again = pb.AccountAuthReq(ctidTraderAccountId=1, accessToken=house.ready.access_token)
        refused = await client.ask(again)
        assert (refused.errorCode, refused.description) == ("UNKNOWN_ERROR", "No pooled connection to main server")
        house.tick()
        house.faults.is_weekend = False
        assert isinstance(await client.ask(again), pb.AccountAuthRes)
        assert len(client.all(pb.SpotEvent)) == 1, "subscriptions went with the session"


async def test_newer_fields_come_in_every_part_of_a_message_and_hide_nothing(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        plain = await client.ask(pb.TraderReq(**ME))
        house.faults.always(Fault.EXTRA_FIELDS)
        grown = await client.ask(pb.TraderReq(**ME))
        assert grown.ByteSize() - plain.ByteSize() >= 2 * 11
        assert grown.trader.balance == plain.trader.balance
        await client.ask(ORDER)
        assert isinstance(client.heard[-1].message, pb.ExecutionEvent)


async def test_an_event_of_an_unknown_type_lacks_its_type_and_nothing_else(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        house.faults.once(Fault.UNKNOWN_ENUM)
        event = await client.ask(ORDER)
        assert missing(event) == ("executionType",)
        assert event.order.tradeData.volume == LOT


async def test_a_message_of_an_unknown_type_comes_before_the_answer(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        house.faults.once(Fault.UNKNOWN_PAYLOAD)
        await client.ask(pb.TraderReq(**ME))
        assert [each.payload_type for each in client.unknown] == [9_999]


async def test_writes_in_small_pieces_and_in_heaps_say_the_same(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        whole = await client.ask(pb.SymbolsListReq(**ME))
        for fault in (Fault.FRAGMENT_WRITES, Fault.COALESCE_WRITES):
            house.faults.always(fault, 0.7)
            for _ in range(5):
                assert await client.ask(pb.SymbolsListReq(**ME)) == whole
            house.faults.never(fault)


async def test_late_messages_keep_their_order(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        house.faults.delay_ms = (0, 30)
        for number in range(20):
            client.send(pb.VersionReq(), f"{number}")
            house.tick(BID + number)
            await asyncio.sleep(0)
        await client.until(lambda: len(client.all(pb.VersionRes)) == 20 and len(client.all(pb.SpotEvent)) == 21)
        answers = [each.client_msg_id for each in client.heard if isinstance(each.message, pb.VersionRes)]
        assert answers == [str(number) for number in range(20)]
        bids = [each.bid for each in client.all(pb.SpotEvent)]
        assert bids == sorted(bids)


async def test_whoever_hangs_up_is_forgotten(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await ready(house)
        await client.close()
        assert await house.until_left(1) == ["the client left"]
        house.tick()
        house.later()
        assert not house.server.clients
        assert not house.server.connections
