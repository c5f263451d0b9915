"""The simulated network: late, sliced, cut, half open, and closed by a crash; always as the seed says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from tests.unit.simulation.ear import Ear

from palmbot.errors import InvariantError
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network
from palmbot.simulation.node import Node
from palmbot.simulation.pipe import Conditions

STEADY = Conditions(delay_min_ms=10, delay_max_ms=10, slice_share=0)
SEEDS = range(40)


class Stage:
    """An exchange process that listens and a bot process that dials it."""

    def __init__(self, conditions: Conditions = STEADY, seed: int = 1) -> None:
        self.loop = VirtualLoop()
        self.arrivals: list[tuple[float, str, bytes]] = []
        self.network = Network(self.loop, random.Random(f"{seed}:network"), conditions, self.tapped)
        self.exchange, self.bot = Node("exchange"), Node("bot")
        self.ears: list[Ear] = []  # of the exchange, by connection
        self.echoes = False

    def tapped(self, way: str, data: bytes) -> None:
        self.arrivals.append((self.loop.time(), way, data))

    def ear(self) -> Ear:
        self.ears.append(Ear(echoes=self.echoes))
        return self.ears[-1]

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        """Let the exchange listen and the bot tell ``story``, for up to a minute."""

        async def world() -> None:
            self.exchange.run(self.network.listen, "exchange", self.ear)
            await asyncio.wait_for(self.bot.run(self.loop.create_task, bot()), 60)

        async def bot() -> None:
            await story()

        try:
            self.loop.run_until_complete(world())
        finally:
            self.loop.close()

    async def dial(self) -> Ear:
        transport = await self.network.dial("exchange")(Ear)
        ear = transport.get_protocol()
        assert isinstance(ear, Ear)
        return ear


def test_both_ends_are_told_in_order_and_a_round_trip_takes_two_delays() -> None:
    stage = Stage()
    stage.echoes = True

    async def story() -> None:
        ear = await stage.dial()
        assert stage.loop.time() == pytest.approx(0.02)
        ear.transport.write(b"order")
        await asyncio.sleep(0.0199)
        assert ear.events == ["made"]
        await asyncio.sleep(0.0002)
        assert ear.heard == b"order"
        ear.transport.close()
        await asyncio.sleep(1)
        assert ear.events == ["made", "data", "lost"]
        assert stage.ears[0].events == ["made", "data", "eof", "lost"]

    stage.play(story)
    assert [(way, data) for _, way, data in stage.arrivals] == [
        ("bot>exchange#1", b"order"),
        ("bot<exchange#1", b"order"),
    ]
    assert [at_s for at_s, _, _ in stage.arrivals] == pytest.approx([0.03, 0.04])
    assert stage.network.links == []


@pytest.mark.parametrize("seed", SEEDS)
def test_bytes_arrive_in_order_however_they_are_delayed_and_cut(seed: int) -> None:
    stage = Stage(Conditions(delay_min_ms=0, delay_max_ms=500, slice_share=0.5), seed)
    sent = [f"message {number};".encode() for number in range(100)]

    async def story() -> None:
        ear = await stage.dial()
        for each in sent:
            ear.transport.write(each)
            await asyncio.sleep(0.001)
        ear.transport.close()
        await asyncio.sleep(10)
        assert stage.ears[0].heard == b"".join(sent)
        assert stage.ears[0].events == ["made", "data", "eof", "lost"]

    stage.play(story)


def test_some_writes_arrive_in_pieces_and_some_together() -> None:
    stage = Stage(Conditions(delay_min_ms=0, delay_max_ms=20, slice_share=0.3))

    async def story() -> None:
        ear = await stage.dial()
        for _ in range(200):
            ear.transport.write(b"[message]")
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)

    stage.play(story)
    pieces = stage.ears[0].pieces
    assert any(not piece.endswith(b"]") for piece in pieces)
    assert any(piece.count(b"[message]") > 1 for piece in pieces)


def arrivals(seed: int) -> list[tuple[float, str, bytes]]:
    stage = Stage(Conditions(delay_min_ms=0, delay_max_ms=500, slice_share=0.5), seed)
    stage.echoes = True

    async def story() -> None:
        ears = [await stage.dial() for _ in range(3)]
        for number in range(30):
            ears[number % 3].transport.write(b"message %d" % number)
            await asyncio.sleep(0.1)

    stage.play(story)
    return stage.arrivals


def test_one_seed_is_one_story_and_another_seed_is_another() -> None:
    assert arrivals(7) == arrivals(7)
    assert arrivals(7) != arrivals(8)


def test_where_nobody_listens_the_connection_is_refused_after_a_round_trip() -> None:
    stage = Stage()

    async def story() -> None:
        with pytest.raises(ConnectionRefusedError):
            await stage.network.dial("nowhere")(Ear)
        assert stage.loop.time() == pytest.approx(0.02)

    stage.play(story)
    assert stage.network.links == []


def test_a_name_is_listened_to_by_one_living_process() -> None:
    stage = Stage()

    async def story() -> None:
        with pytest.raises(InvariantError, match="NAME_TAKEN"):
            stage.network.listen("exchange", Ear)
        stage.exchange.crash()
        with pytest.raises(ConnectionRefusedError):
            await stage.dial()
        Node("exchange again").run(stage.network.listen, "exchange", stage.ear)
        assert (await stage.dial()).events == ["made"]

    stage.play(story)


def test_an_attempt_that_is_given_up_leaves_nothing_behind() -> None:
    stage = Stage()

    async def story() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.dial(), 0.015)
        await asyncio.sleep(1)
        assert stage.ears[0].events == ["made", "ConnectionResetError"]

    stage.play(story)
    assert stage.network.links == []


# -- faults


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_reaches_both_ends_and_what_was_in_flight_arrives_before_it_or_never(seed: int) -> None:
    stage = Stage(seed=seed)

    async def story() -> None:
        ear = await stage.dial()
        await asyncio.sleep(1)
        ear.transport.write(b"in flight")
        stage.network.links[0].cut()
        ear.transport.write(b"never")
        await asyncio.sleep(1)
        assert ear.events == ["made", "ConnectionResetError"]
        assert stage.ears[0].events in (["made", "ConnectionResetError"], ["made", "data", "ConnectionResetError"])
        assert stage.ears[0].heard in (b"", b"in flight")

    stage.play(story)


def test_seeds_differ_in_whether_bytes_in_flight_survive_a_crash() -> None:
    survived: list[bytes] = []
    for seed in SEEDS:
        stage = Stage(seed=seed)

        async def story(stage: Stage = stage) -> None:
            ear = await stage.dial()
            await asyncio.sleep(1)
            ear.transport.write(b"order")

        async def world(stage: Stage = stage) -> None:
            stage.exchange.run(stage.network.listen, "exchange", stage.ear)
            await stage.bot.run(stage.loop.create_task, story(stage))
            stage.bot.crash()
            await asyncio.sleep(1)
            survived.append(stage.ears[0].heard)

        stage.loop.run_until_complete(world())
        stage.loop.close()
    assert {bytes(each) for each in survived} == {b"", b"order"}


def test_a_half_open_connection_tells_nobody() -> None:
    stage = Stage()
    stage.echoes = True

    async def story() -> None:
        ear = await stage.dial()
        await asyncio.sleep(1)
        stage.network.links[0].client.mute()
        ear.transport.write(b"lost")
        stage.ears[0].transport.write(b"heard")
        await asyncio.sleep(30)
        assert ear.heard == b"heard"
        assert ear.events == ["made", "data"]
        assert stage.ears[0].events == ["made"]
        ear.transport.abort()
        await asyncio.sleep(1)
        assert ear.events == ["made", "data", "lost"]
        assert stage.ears[0].events == ["made"]
        assert len(stage.network.links) == 1  # the exchange does not know

    stage.play(story)


def test_the_crash_of_one_process_resets_its_connections_and_silences_it() -> None:
    stage = Stage()

    async def story() -> None:
        ear = await stage.dial()
        await asyncio.sleep(1)
        ear.transport.write(b"too late")
        stage.exchange.crash()
        await asyncio.sleep(1)
        assert ear.events == ["made", "ConnectionResetError"]
        assert stage.ears[0].events == ["made"]

    stage.play(story)
    assert stage.network.links == []


def test_the_exchange_s_half_survives_the_bot_that_dialled_it() -> None:
    stage = Stage()

    async def world() -> None:
        stage.exchange.run(stage.network.listen, "exchange", stage.ear)
        await stage.bot.run(stage.loop.create_task, stage.dial())
        stage.bot.crash()
        await asyncio.sleep(1)
        assert stage.ears[0].events == ["made", "ConnectionResetError"]

    stage.loop.run_until_complete(world())
    stage.loop.close()


def test_a_process_that_dies_while_it_is_dialled_refuses() -> None:
    stage = Stage()

    async def story() -> None:
        dialling = asyncio.create_task(stage.dial())
        await asyncio.sleep(0.005)
        stage.exchange.crash()
        with pytest.raises(ConnectionRefusedError):
            await dialling

    stage.play(story)


def test_a_protocol_that_fails_ends_the_story() -> None:
    stage = Stage()

    class Fragile(Ear):
        def data_received(self, data: bytes) -> None:
            raise ValueError(data)

    async def story() -> None:
        transport = await stage.network.dial("exchange")(Fragile)
        stage.ears[0].transport.write(b"hello")
        await asyncio.sleep(1)
        transport.close()

    with pytest.raises(InvariantError, match=r"UNHANDLED.*ValueError"):
        stage.play(story)


@pytest.mark.parametrize(
    "wrong", [{"delay_min_ms": 5, "delay_max_ms": 4}, {"delay_min_ms": -1}, {"slice_share": 2}, {"window_bytes": 0}]
)
def test_impossible_conditions_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvariantError, match="CONDITIONS_IMPOSSIBLE"):
        Conditions(**wrong)
