"""The servers themselves: exchanges on loopback always, cTrader's own with ``pytest -m live``. No account is needed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from tests.exchange_house import BALANCE, SPEC, Plan, house_in
from tests.tls_servers import HERE, ROOT, Kind, issued, only_cipher, serving, trust_in_root
from trustme import KeyType

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_visit import Target, Visit
from palmbot.adapters.tls import HOSTS, PORT, client_context
from palmbot.adapters.tls_probe import shake_hands
from palmbot.errors import ConfigError, RefusedError, RetryError
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.changes import Standing
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.opening import plain_account
from palmbot.exchange.premises import Ready
from palmbot.model import Handshake
from palmbot.settings import CtraderCredentials, Environment

NOBODY = CtraderCredentials(Environment.DEMO, "0_nobody", "nothing")
ENVIRONMENTS = (Environment.DEMO, Environment.LIVE)
WHOSE = ("ours", pytest.param("ctrader's", marks=pytest.mark.live))


@dataclass(frozen=True)
class Place:
    """A server of one environment; ``ready`` is what is known of it where it is ours."""

    environment: Environment
    host: str
    port: int
    ca_file: Path | None = None
    ready: Ready | None = None

    def context(self) -> ssl.SSLContext:
        return client_context(self.host, self.ca_file)

    def address(self) -> str:
        return str(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][4][0])

    def visit(self) -> Visit:
        target = Target(self.address(), self.port, self.host, self.context())
        return Visit(target, SystemClock(), 10_000)

    async def hands(self) -> Handshake:
        return await shake_hands(self.address(), self.port, self.host, self.context())


@pytest.fixture(params=WHOSE)
async def places(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[Environment, Place]]:
    """Servers of demo and live: two exchanges, or the real ones."""
    if request.param != "ours":
        yield {each: Place(each, HOSTS[each], PORT) for each in ENVIRONMENTS}
        return
    async with AsyncExitStack() as stack:
        found = {}
        for each in ENVIRONMENTS:
            folder = tmp_path / each
            folder.mkdir()
            is_live = each is Environment.LIVE
            plan = Plan(knobs=Knobs(per_second=None, is_live=is_live), standings=accounts(home_is_live=is_live))
            ready = (await stack.enter_async_context(house_in(folder, plan))).ready
            found[each] = Place(each, ready.host, ready.port, Path(ready.ca_file), ready)
        yield found


def accounts(*, home_is_live: bool) -> tuple[Standing, ...]:
    """Return an account of each environment, that of the server first; every server lists both."""
    catalogue = catalogue_of(SPEC)
    plain = [plain_account(number, catalogue, BALANCE) for number in (1, 2)]
    first, second = (
        replace(each, terms=replace(each.terms, is_live=is_live))
        for each, is_live in zip(plain, (home_is_live, not home_is_live), strict=True)
    )
    return first, second


async def test_live_server_connection(places: dict[Environment, Place]) -> None:
    place = places[Environment.LIVE]
    async with place.visit() as line:
        await line.greet()
        with pytest.raises(ConfigError, match=r"CH_\w*CLIENT"):  # it speaks the protocol, and knows its own
            await line.application(NOBODY)


async def test_tls_certificate_chain(places: dict[Environment, Place]) -> None:
    for place in places.values():
        hands = await place.hands()
        assert hands.failure is None
        assert len(hands.chain) >= 2
        for lower, upper in zip(hands.chain, hands.chain[1:], strict=False):
            assert lower.issuer == upper.subject
        now_ms = SystemClock().utc_ms()
        assert all(each.from_ms <= now_ms < each.until_ms for each in hands.chain)
        misnamed = await shake_hands(place.address(), place.port, "elsewhere.example", place.context())
        assert misnamed.failure is not None  # the name is checked as well
        assert place.ready is None or misnamed.failure.code == "CERTIFICATE_OF_ANOTHER_HOST"


async def test_tls_cipher_suites(places: dict[Environment, Place]) -> None:
    for place in places.values():
        context = place.context()
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        hands = await place.hands()
        assert hands.version in {"TLSv1.2", "TLSv1.3"}
        assert hands.cipher in {each["name"] for each in context.get_ciphers()}
        assert "GCM" in hands.cipher or "CHACHA20" in hands.cipher
        assert hands.cipher.startswith(("TLS_", "ECDHE-"))


async def test_demo_vs_live_connection(places: dict[Environment, Place]) -> None:
    for environment, place in places.items():
        async with place.visit() as line:
            await line.greet()
            with pytest.raises(ConfigError, match=r"CH_\w*CLIENT"):
                await line.application(NOBODY)
        if place.ready is None:
            continue
        other = next(each for each in ENVIRONMENTS if each is not environment)
        assert await outcome(place, environment, account=1) == ""
        assert await outcome(place, environment, account=2) == "ACCOUNT_OF_OTHER_ENVIRONMENT"
        assert await outcome(place, other, account=1) == "ACCOUNT_OF_OTHER_ENVIRONMENT"
        assert await outcome(place, other, account=2) == "CANT_ROUTE_REQUEST"  # it lives at the other server


async def outcome(place: Place, environment: Environment, account: int) -> str:
    """Return why an account is not opened at one of our servers by somebody who means ``environment``."""
    ready = place.ready
    assert ready is not None
    credentials = CtraderCredentials(environment, ready.client_id, ready.client_secret, account)
    async with place.visit() as line:
        await line.application(credentials)
        try:
            await line.open_account(await line.choose_account(credentials, ready.access_token), ready.access_token)
        except (RefusedError, RetryError) as refused:
            return refused.code
    return ""


# -- every cipher that we offer is one that we speak

OFFERED = sorted(each["name"] for each in client_context(HERE).get_ciphers() if each["protocol"] == "TLSv1.2")


@pytest.mark.parametrize("cipher", OFFERED)
async def test_each_cipher_that_is_offered_is_spoken(cipher: str, tmp_path: Path) -> None:
    key = KeyType.RSA if "RSA" in cipher else KeyType.ECDSA
    kind = Kind(cipher, "", partial(issued, ROOT, key=key), partial(only_cipher, cipher))
    async with serving(kind) as served:
        hands = await shake_hands(HERE, served.port, HERE, client_context(HERE, trust_in_root(tmp_path)))
    assert (hands.failure, hands.version, hands.cipher) == (None, "TLSv1.2", cipher)
