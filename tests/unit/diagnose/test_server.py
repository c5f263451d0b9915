"""Looks at who answers, over ways that do what a test says."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from tests.fakes import FakeClock

from palmbot.diagnose import server as looks
from palmbot.diagnose.server import Server, Way
from palmbot.errors import ConfigError, PalmbotError
from palmbot.model import Certificate, Handshake
from palmbot.protocol.messages import Message
from palmbot.settings import CtraderCredentials, Environment
from palmbot.units import DAY_MS

NOW_MS = 1_790_000_000_000
DEMO, LIVE = Server("demo.ctraderapi.com", 5035), Server("live.ctraderapi.com", 5035)
STAND_IN = Server("127.0.0.1", 5035, Path("ca.pem"))
CREDENTIALS = CtraderCredentials(Environment.DEMO, "my-app", "s3cret")
LEAF = Certificate("CN=demo", "CN=middle", NOW_MS - DAY_MS, NOW_MS + 40 * DAY_MS)
MIDDLE = Certificate("CN=middle", "CN=root", NOW_MS - DAY_MS, NOW_MS + 20 * DAY_MS)
ROOT = Certificate("CN=root", "CN=root", NOW_MS - DAY_MS, NOW_MS + 900 * DAY_MS)
HANDS = Handshake("TLSv1.3", "TLS_AES_256_GCM_SHA384", (LEAF, MIDDLE, ROOT))
REFUSED = OSError(errno.ECONNREFUSED, "Connection refused")


class FakeLine:
    """A line that notes what is asked, each question taking a while."""

    def __init__(self, clock: FakeClock, refusal: PalmbotError | None) -> None:
        self.asked: list[str] = []
        self.is_open = False
        self._clock = clock
        self._refusal = refusal

    async def __aenter__(self) -> Self:
        self.is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_open = False

    async def greet(self) -> None:
        self._clock.now_ms += 7
        self.asked.append("greet")

    async def application(self, credentials: CtraderCredentials) -> None:
        self.asked.append(credentials.client_id)
        if self._refusal is not None:
            raise self._refusal

    async def choose_account(self, credentials: CtraderCredentials, access_token: str) -> int:
        raise AssertionError(f"nobody asks for accounts here: {credentials} {access_token}")

    async def open_account(self, account_id: int, access_token: str) -> None:
        raise AssertionError(f"nobody opens accounts here: {account_id} {access_token}")

    async def need(self, request: Message) -> Message:
        raise AssertionError(f"nobody asks here: {request}")


@dataclass
class FakeNetwork:
    """Ways that lead where a test says."""

    names: tuple[str, ...] | OSError = ("192.0.2.1",)
    dead: tuple[str, ...] = ()
    hands: Handshake = HANDS
    told_ms: int = NOW_MS
    refusal: PalmbotError | None = None
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW_MS))
    tried: list[str] = field(default_factory=list)
    lines: list[FakeLine] = field(default_factory=list)

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        self.tried.append(f"{host}:{port}")
        if isinstance(self.names, OSError):
            raise self.names
        return self.names

    async def connect(self, address: str, port: int) -> int:
        self.tried.append(f"{address}:{port}")
        if address in self.dead:
            raise REFUSED
        return 12

    async def shake_hands(self, server: Server, address: str) -> Handshake:
        self.tried.append(f"{server.host} at {address}")
        return self.hands

    def visit(self, server: Server, address: str) -> FakeLine:
        self.tried.append(f"{server.host} at {address}")
        self.lines.append(FakeLine(self.clock, self.refusal))
        return self.lines[-1]

    async def date_ms(self) -> tuple[str, int]:
        self.clock.now_ms += 100
        return "web.example", self.told_ms


async def test_a_name_is_turned_into_its_addresses() -> None:
    found = await looks.look_up(FakeNetwork(("192.0.2.1", "2001:db8::1")), DEMO)
    assert found.detail == "demo.ctraderapi.com is 192.0.2.1, 2001:db8::1"


async def test_a_name_that_nobody_knows_is_named() -> None:
    with pytest.raises(ConfigError, match=r"NAME_NOT_FOUND: host=demo.ctraderapi.com reason='no such name'"):
        await looks.look_up(FakeNetwork(OSError(-2, "no such name")), DEMO)


async def test_the_next_address_is_tried_where_the_first_is_dead() -> None:
    network = FakeNetwork(dead=("192.0.2.1",))
    found = await looks.look_at_connection(network, DEMO, ("192.0.2.1", "192.0.2.2", "192.0.2.3"))
    assert found.value == Way(DEMO, "192.0.2.2", 12)
    assert network.tried == ["192.0.2.1:5035", "192.0.2.2:5035"]


@pytest.mark.parametrize(("server", "advice"), [(DEMO, "firewall"), (STAND_IN, "start it")])
async def test_a_port_where_nobody_is_says_what_to_do(server: Server, advice: str) -> None:
    with pytest.raises(ConfigError, match=r"NOT_REACHABLE: server=.*:5035 reason='Connection refused'") as failure:
        await looks.look_at_connection(FakeNetwork(dead=("192.0.2.1",)), server, ("192.0.2.1",))
    assert advice in failure.value.todo


async def test_a_handshake_that_fails_says_why_and_what_was_shown() -> None:
    failure = ConfigError("CERTIFICATE_EXPIRED", "Wait.", host="demo")
    network = FakeNetwork(hands=Handshake("", "", (LEAF,), failure))
    with pytest.raises(ConfigError, match="CERTIFICATE_EXPIRED: host=demo shown='CN=demo' of 'CN=middle'"):
        await looks.look_at_handshake(network, Way(DEMO, "192.0.2.1", 1))
    network.hands = Handshake("", "", (), failure)
    with pytest.raises(ConfigError, match="shown=no certificate"):
        await looks.look_at_handshake(network, Way(DEMO, "192.0.2.1", 1))


async def test_a_handshake_says_how_it_is_spoken_and_who_vouches_for_whom() -> None:
    hands = (await looks.look_at_handshake(FakeNetwork(), Way(DEMO, "192.0.2.1", 1))).value
    assert (await looks.look_at_version(hands)).detail == "TLSv1.3"
    assert (await looks.look_at_cipher(hands)).detail == "TLS_AES_256_GCM_SHA384"
    assert (await looks.look_at_chain(hands)).detail == "'CN=demo' by 'CN=middle' by 'CN=root'"
    without_root = Handshake("", "", (LEAF, MIDDLE))
    assert (await looks.look_at_chain(without_root)).detail == "'CN=demo' by 'CN=middle' by 'CN=root'"


async def test_the_first_certificate_to_expire_counts() -> None:
    found = await looks.look_at_expiry(lambda: NOW_MS, HANDS)
    assert (found.detail, found.todo) == ("20 days, until 2026-10-11", "")
    later = await looks.look_at_expiry(lambda: NOW_MS + 6 * DAY_MS, HANDS)
    assert later.detail == "14 days, until 2026-10-11"
    assert "renew" in later.todo


async def test_a_round_trip_is_measured_and_the_line_stays_open() -> None:
    network = FakeNetwork()
    async with AsyncExitStack() as stack:
        found = await looks.look_at_round_trip(network, stack, network.clock, Way(DEMO, "192.0.2.1", 12), HANDS)
        assert found.detail == "7 ms for a question, 12 ms for a connection"
        assert network.lines[0].is_open
    assert not network.lines[0].is_open


@pytest.mark.parametrize(
    ("told_ms", "is_well"),
    [
        (NOW_MS, True),
        (NOW_MS - 1_000, True),  # a second that had begun then
        (NOW_MS - 3_000, True),
        (NOW_MS - 4_000, False),
        (NOW_MS + 2_000, True),
        (NOW_MS + 3_000, False),
    ],
)
async def test_a_clock_that_is_seconds_off_is_wrong(told_ms: int, *, is_well: bool) -> None:
    network = FakeNetwork(told_ms=told_ms)
    if is_well:
        assert (await looks.look_at_clock(network, network.clock)).detail == "agrees with web.example within 3 s"
    else:
        with pytest.raises(ConfigError, match=r"CLOCK_WRONG: ahead_s=(3\.0|-2\.9) compared_with=web.example"):
            await looks.look_at_clock(network, network.clock)


async def test_the_other_server_is_asked_for_the_application_where_there_is_one() -> None:
    network = FakeNetwork()
    assert (await looks.look_at_other(network, LIVE, CREDENTIALS)).detail == (
        "live.ctraderapi.com knows this application too"
    )
    assert (await looks.look_at_other(network, LIVE, None)).detail == "live.ctraderapi.com answers too"
    assert [line.asked for line in network.lines] == [["my-app"], ["greet"]]
    assert not any(line.is_open for line in network.lines)
    assert network.tried[:2] == ["live.ctraderapi.com:5035", "live.ctraderapi.com at 192.0.2.1"]


async def test_what_the_other_server_refuses_is_said_of_it() -> None:
    network = FakeNetwork(refusal=ConfigError("CH_CLIENT_AUTH_FAILURE", "Look.", text="no"))
    with pytest.raises(ConfigError, match=r"CH_CLIENT_AUTH_FAILURE: server=live.ctraderapi.com:5035 text=no"):
        await looks.look_at_other(network, LIVE, CREDENTIALS)
