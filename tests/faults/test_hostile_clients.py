"""Clients that mean harm, or are very unlucky, over real sockets: the others are served all the same."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.exchange_house import ASK, BID, LOT, House, Plan, house_in
from tests.wire_client import PATIENCE_S, WireClient, trusting

from palmbot.exchange.knobs import Knobs
from palmbot.protocol.frames import encode, encode_payload
from palmbot.protocol.messages import CLASSES, REQUESTS, message_class, pb

ME: dict[str, Any] = {"ctidTraderAccountId": 1}
OPEN = Knobs(per_second=None)
SMALL_BYTES = 4_096
CROWD = 1_000
SPOTS = pb.SubscribeSpotsReq(**ME, symbolId=[1], subscribeToSpotTimestamp=True)
ORDER = pb.NewOrderReq(**ME, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=LOT)


async def slow(house: House) -> WireClient:
    """Return a client whose machine takes in little, with an account and spots."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
    sock.setblocking(False)  # noqa: FBT003 - the library's signature
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", house.ready.port))
    context = trusting(Path(house.ready.ca_file))
    _, client = await loop.create_connection(
        lambda: WireClient("slow"), sock=sock, ssl=context, server_hostname="localhost"
    )
    house.clients.append(client)
    await client.log_in(house.ready.client_id, house.ready.client_secret)
    await client.open_account(1, house.ready.access_token)
    await client.ask(SPOTS)
    return client


async def is_served(client: WireClient) -> bool:
    return isinstance(await client.ask(pb.ReconcileReq(**ME)), pb.ReconcileRes)


async def storm(house: House, reader: WireClient, ticks: int) -> None:
    """Let the market storm while ``reader`` reads."""
    for number in range(1, ticks + 1):
        house.tick(BID + 100 * (number % 1_000), after_ms=1)
        if number % 100 == 0:
            await reader.ask(pb.VersionReq())


async def test_a_client_that_stops_reading_hears_the_newest_quote_later_and_the_others_hear_all(tmp_path: Path) -> None:
    knobs = replace(OPEN, buffer_high_bytes=SMALL_BYTES, socket_buffer_bytes=SMALL_BYTES)
    async with house_in(tmp_path, Plan(knobs)) as house:
        good, bad = await house.client(1), await slow(house)
        await good.ask(SPOTS)
        bad.stop_reading()
        await storm(house, good, 2_000)
        assert len(good.all(pb.SpotEvent)) == 2_000
        stuck = house.server.connections[2]
        assert stuck.is_slow
        assert stuck._transport is not None
        assert stuck._transport.get_write_buffer_size() < 100_000
        house.tick(BID + 777, ASK + 777)
        bad.read_again()
        last = await bad.take(pb.SpotEvent, lambda spot: spot.timestamp == house.now_ms)
        assert (last.bid, last.ask) == (BID + 777, ASK + 777)
        assert len(bad.all(pb.SpotEvent)) < 2_000
        assert await is_served(bad)


async def test_executions_are_never_dropped_from_a_client_that_does_not_read(tmp_path: Path) -> None:
    knobs = replace(OPEN, buffer_high_bytes=SMALL_BYTES, socket_buffer_bytes=SMALL_BYTES)
    async with house_in(tmp_path, Plan(knobs)) as house:
        good, bad = await house.client(1), await slow(house)
        house.tick()
        bad.stop_reading()
        for _ in range(500):
            await good.ask(
                pb.NewOrderReq(**ME, symbolId=1, orderType=pb.LIMIT, tradeSide=pb.BUY, volume=25, limitPrice=1.0)
            )
            house.tick(after_ms=1)
        assert house.server.connections[2].is_slow
        bad.read_again()
        await bad.until(lambda: len(bad.all(pb.ExecutionEvent)) == 500)
        assert bad.all(pb.ExecutionEvent) == good.all(pb.ExecutionEvent)


async def test_a_client_that_lets_executions_pile_up_is_cut_off_instead_of_losing_one(tmp_path: Path) -> None:
    knobs = replace(OPEN, buffer_high_bytes=1_024, socket_buffer_bytes=SMALL_BYTES, buffer_max_bytes=50_000)
    async with house_in(tmp_path, Plan(knobs)) as house:
        good, bad = await house.client(1), await slow(house)
        house.tick()
        bad.stop_reading()
        order = pb.NewOrderReq(**ME, symbolId=1, orderType=pb.LIMIT, tradeSide=pb.BUY, volume=25, limitPrice=1.0)
        for _ in range(2_000):
            await good.ask(order)
            if 2 in house.farewells:
                break
        assert await house.until_left(2) == ["it does not read"]
        assert await is_served(good)


async def test_a_client_that_reads_nothing_for_too_long_is_cut_off(tmp_path: Path) -> None:
    knobs = replace(OPEN, buffer_high_bytes=1_024, socket_buffer_bytes=SMALL_BYTES, silence_ms=300, heartbeat_ms=50)
    async with house_in(tmp_path, Plan(knobs)) as house:
        bad = await slow(house)
        bad.stop_reading()
        for number in range(2_000):
            house.tick(BID + number, after_ms=1)
        (why,) = await house.until_left(1)
        assert why == "it does not read" or why.startswith("silent")


async def test_one_who_asks_without_reading_is_not_heard_until_it_reads(tmp_path: Path) -> None:
    knobs = replace(OPEN, buffer_high_bytes=SMALL_BYTES, socket_buffer_bytes=SMALL_BYTES)
    async with house_in(tmp_path, Plan(knobs)) as house:
        good, bad = await house.client(1), await slow(house)
        bad.stop_reading()
        for number in range(3_000):
            bad.send(pb.SymbolsListReq(**ME), f"{number}")
        assert await is_served(good)
        bad.read_again()
        await bad.until(lambda: len(bad.all(pb.SymbolsListRes)) == 3_000)
        assert await is_served(good)


async def test_a_flood_of_requests_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(Knobs())) as house:
        good, bad = await house.client(1), await house.dial()
        flood = b"".join(encode(pb.VersionReq(), "f") for _ in range(20_000))
        bad.raw(flood)
        assert await is_served(good)
        handled = house.server.connections[2].session.frames_received
        await bad.until(lambda: len(bad.heard) == 20_000)
        assert handled < 5_000, "the others have their turn long before the flood is over"
        assert len(bad.all(pb.ErrorRes)) > 19_000
        assert await is_served(good)


@pytest.mark.parametrize("seed", range(5))
async def test_garbage_ends_its_own_connection_alone(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    async with house_in(tmp_path) as house:
        good = await house.client(1)
        for _ in range(10):
            bad = await house.client(1)
            size = rng.randint(1, 5_000)
            bad.raw(size.to_bytes(4, "big") + rng.randbytes(size))
            bad.raw(rng.randbytes(rng.randint(1, 5_000)))
            bad.transport.write_eof() if bad.transport.can_write_eof() else bad.transport.close()
            async with asyncio.timeout(PATIENCE_S):
                await bad.lost
        assert await is_served(good)


async def test_hostile_values_in_every_field_break_nothing(tmp_path: Path) -> None:
    """Every request with extreme numbers, prices and texts: each is answered, and the account is what it was."""
    rng = Random(7)
    async with house_in(tmp_path) as house:
        good, bad = await house.client(1), await house.client(1)
        house.tick()
        await good.ask(SPOTS)
        before = await good.ask(pb.TraderReq(**ME))
        skipped = {pb.ACCOUNT_LOGOUT_REQ}
        for number in sorted(REQUESTS - skipped):
            for _ in range(30):
                answer = await bad.ask(hostile(number, rng))
                assert type(answer) in CLASSES.values()
        house.tick(BID + 100)
        house.later(60_000)
        assert await is_served(good)
        after = await good.ask(pb.TraderReq(**ME))
        assert after.trader.balance == before.trader.balance
        assert not house.failures


@pytest.mark.parametrize("side", [pb.BUY, pb.SELL])
@pytest.mark.parametrize("leg", ["relativeStopLoss", "relativeTakeProfit"])
async def test_a_distance_that_leads_to_no_price_is_refused_and_the_exchange_goes_on(
    tmp_path: Path, leg: str, side: pb.TradeSide
) -> None:
    """The level would be beyond 64 bits, or below nothing; as a pending order it would be found out at the fill."""
    async with house_in(tmp_path) as house:
        bad, good = await house.client(1), await house.client(2)
        house.tick()
        order: dict[str, Any] = {**ME, "symbolId": 1, "tradeSide": side, "volume": LOT, leg: 9_223_372_036_854_700_000}
        kinds: tuple[dict[str, Any], ...] = ({"orderType": pb.MARKET}, {"orderType": pb.LIMIT, "limitPrice": 4_000.0})
        for kind in kinds:
            answer = await bad.ask(pb.NewOrderReq(**order, **kind))
            assert answer.errorCode == "TRADING_BAD_PRICES", answer
        house.later()
        house.tick()
        bought = await good.ask(
            pb.NewOrderReq(ctidTraderAccountId=2, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=LOT)
        )
        assert isinstance(bought, pb.ExecutionEvent)


NUMBERS = (0, 1, -1, 2, 25, 99, 2_500, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 1_704_708_000_000)
PRICES = (0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"), 4_000.0, 4_000.123, 1e-5, 99_999_999.0)
TEXTS = ("", "x", "x" * 5_000, "\x00", "é" * 40, "'; DROP TABLE deals; --")


def hostile(number: int, rng: Random) -> Any:
    """Return a request of account 1 with required fields set and everything drawn from extremes."""
    kind = message_class(number)
    assert kind is not None
    message: Any = kind()
    fill(message, rng)
    if "ctidTraderAccountId" in message.DESCRIPTOR.fields_by_name:
        message.ctidTraderAccountId = 1
    return message


def fill(message: Any, rng: Random) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.name == "payloadType" or (not field.is_required and rng.random() < 0.4):
            continue
        if field.message_type is not None:
            fill(getattr(message, field.name), rng)
            continue
        value = extreme(field, rng)
        if field.is_repeated:
            getattr(message, field.name).extend([value] * rng.choice((1, 2, 300)))
        else:
            setattr(message, field.name, value)


def extreme(field: Any, rng: Random) -> Any:
    if field.enum_type is not None:
        return rng.choice([each.number for each in field.enum_type.values])
    if field.cpp_type == field.CPPTYPE_STRING:
        return rng.choice(TEXTS)
    if field.cpp_type in {field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT}:
        return rng.choice(PRICES)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    low, high = {
        field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        field.CPPTYPE_UINT32: (0, 2**32 - 1),
        field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
        field.CPPTYPE_UINT64: (0, 2**64 - 1),
    }[field.cpp_type]
    return min(max(rng.choice(NUMBERS), low), high)


async def test_a_list_or_an_id_without_end_is_refused_at_once(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        good, bad = await house.client(1), await house.client(1)
        house.tick()
        for request in (
            pb.SymbolByIdReq(**ME, symbolId=[1] * 1_000_000),
            pb.SubscribeSpotsReq(**ME, symbolId=[1] * 1_000_000),
            pb.ExpectedMarginReq(**ME, symbolId=1, volume=[25] * 1_000_000),
        ):
            assert (await bad.ask(request)).errorCode == "INVALID_REQUEST"
            assert await is_served(good)
        heard = len(bad.heard)
        bad.send(pb.VersionReq(), "x" * 1_000_000)
        await bad.until(lambda: len(bad.heard) > heard)
        assert (bad.heard[-1].message.errorCode, bad.heard[-1].client_msg_id) == ("INVALID_REQUEST", "")


async def test_frames_that_never_end_hold_little_and_hurt_nobody(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        good = await house.client(1)
        endless = [await house.dial() for _ in range(20)]
        for bad in endless:
            bad.raw((14_000_000).to_bytes(4, "big") + bytes(50_000))
        assert await is_served(good)
        for bad in endless:
            bad.raw(bytes(500_000))
        assert set(await house.until_left(*range(2, 22))) == {"a long frame before application auth"}
        known = await house.client(1)
        known.raw(encode_payload(pb.VERSION_REQ, bytes(14_000_000), "big"))
        async with asyncio.timeout(PATIENCE_S):
            await known.lost
        assert known.heard[-1].message.errorCode == "INVALID_REQUEST", "it was read to its end"
        assert await is_served(good)


async def test_half_open_connections_and_unfinished_handshakes_are_let_go(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, silence_ms=200))) as house:
        mute = []
        for _ in range(20):
            raw = socket.create_connection(("127.0.0.1", house.ready.port))
            raw.send(b"\x16\x03\x01")
            mute.append(raw)
        half = await house.dial()
        await half.ask(pb.VersionReq())
        half.stop_reading()
        (number,) = house.server.connections
        (why,) = await house.until_left(number)
        assert why.startswith("silent")
        good = await house.client(1)
        assert await is_served(good)
        for raw in mute:
            raw.close()
        await half.close()


async def test_what_is_not_tls_gets_nothing(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ready.port)
        writer.write(encode(pb.VersionReq(), "plain"))
        with suppress(ConnectionResetError):
            assert encode(pb.VersionRes(version="")) not in await reader.read()
        writer.close()
        assert await is_served(await house.client(1))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process hold both ends of a crowd's connections."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.mark.usefixtures("many_files")
async def test_a_crowd_comes_and_goes(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        good = await house.client(1)
        await good.ask(SPOTS)
        crowd = list(await asyncio.gather(*(house.client(1) for _ in range(CROWD))))
        await asyncio.gather(*(each.ask(SPOTS) for each in crowd))
        house.tick()
        for each in crowd:
            assert (await each.take(pb.SpotEvent)).bid == BID
        for each in crowd:
            each.transport.abort()
        house.tick(BID + 100)
        assert await is_served(good)
        await house.until_left(*range(2, CROWD + 2))
        assert len(house.server.clients) == 1
