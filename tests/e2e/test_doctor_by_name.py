"""``palmbot doctor`` where cTrader's own names lead to this machine: servers of both environments, and a clock."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from pathlib import Path

import pytest
from tests.doctor_report import Practice
from tests.scripted_peer import ACCOUNT, MYR, SECRET, TOKEN, error
from tests.tls_servers import HERE, ROOT, Kind, Served, issued, serving, trust_in_root

from palmbot.adapters import endpoints, tls
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.endpoints import Endpoints
from palmbot.bootstrap import doctor as wiring
from palmbot.bootstrap.token_store import store_of
from palmbot.config import Sources
from palmbot.config.credentials import load_token_settings
from palmbot.model import Granted, Scope, Tokens
from palmbot.protocol.messages import Message, pb
from palmbot.settings import Environment
from palmbot.units import DAY_MS

DEMO, LIVE, WEB = "demo.ctraderapi.com", "live.ctraderapi.com", "openapi.ctrader.com"
NEVER_ASKED = (pb.NewOrderReq, pb.CancelOrderReq, pb.ClosePositionReq, pb.AmendOrderReq, pb.RefreshTokenReq)


@dataclass
class World:
    """cTrader on loopback. ``ahead_s`` is by how much its web server's clock goes ahead."""

    demo: Served
    live: Served
    ahead_s: float = 0.0
    looked_up: list[str] = field(default_factory=list)

    def heard(self) -> list[Message]:
        return [*self.demo.peer.heard, *self.live.peer.heard]


def named(host: str) -> Kind:
    """Return a good server of that name."""
    return Kind(host, "", partial(issued, ROOT, host))


@asynccontextmanager
async def ctrader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Let cTrader's names, ports and authority be those of servers on loopback."""
    async with AsyncExitStack() as stack:
        demo, live = [await stack.enter_async_context(serving(named(host))) for host in (DEMO, LIVE)]
        world = World(demo, live)

        async def tell_time(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            date = formatdate(SystemClock().utc_ms() / 1_000 + world.ahead_s, usegmt=True)
            writer.write(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\n\r\n".encode())
            writer.close()

        web = await asyncio.start_server(tell_time, HERE, 0, ssl=named(WEB).context())
        await stack.enter_async_context(web)

        def look_up(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
            world.looked_up.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HERE, port))]

        for each in (demo, live):
            each.peer.answers[pb.VersionReq] = lambda _: [error("CH_CLIENT_NOT_AUTHENTICATED")]
            each.peer.answers[pb.AssetListReq] = lambda _: [
                pb.AssetListRes(ctidTraderAccountId=ACCOUNT, asset=[pb.Asset(assetId=MYR, name="MYR")])
            ]
        root = str(trust_in_root(folder))
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(tls, "_system_authorities", lambda: (root, None))
        monkeypatch.setattr(endpoints, "ENDPOINTS", {"demo": Endpoints(DEMO, demo.port, "", "")})
        monkeypatch.setattr(wiring, "PORT", live.port)
        monkeypatch.setattr(wiring, "HTTPS_PORT", web.sockets[0].getsockname()[1])
        yield world


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Practice:
    return Practice(tmp_path / "home", monkeypatch, capsys)


def log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure an application and keep tokens."""
    monkeypatch.setenv("CTRADER_CLIENT_ID_DEMO", "my-app")
    monkeypatch.setenv("CTRADER_CLIENT_SECRET_DEMO", SECRET)
    now_ms = SystemClock().utc_ms()
    granted = Granted(Scope.TRADING, ())
    tokens = Tokens(TOKEN, "refresh-token", now_ms, now_ms + 30 * DAY_MS, granted, account_id=ACCOUNT)
    store_of(load_token_settings(Sources(), Path("palmbot-data")), Environment.DEMO).save(tokens)


async def test_everything_is_looked_at_and_nothing_but_questions_is_asked(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch)
    async with ctrader(tmp_path, monkeypatch) as world:
        report = await practice.look("--env", "demo")
    assert (report.failed, report.unchecked) == ({}, set())
    assert report.checks["demo against live"]["detail"] == f"{LIVE} knows this application too"
    assert report.checks["clock"]["detail"] == f"agrees with {WEB} within 3 s"
    assert not any(isinstance(each, NEVER_ASKED) for each in world.heard())
    assert {type(each) for each in world.live.peer.heard} == {pb.ApplicationAuthReq}
    assert world.looked_up == [DEMO, WEB, LIVE]
    assert SECRET not in report.text
    assert TOKEN not in report.text


async def test_with_nothing_configured_the_servers_are_looked_at_without_a_word_of_who_asks(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ctrader(tmp_path, monkeypatch) as world:
        report = await practice.look("--env", "demo")
    assert list(report.failed) == ["credentials", "token"]
    assert report.checks["demo against live"]["detail"] == f"{LIVE} answers too"
    assert {type(each) for each in world.heard()} == {pb.VersionReq}


@pytest.mark.parametrize("ahead_s", [-60.0, 60.0])
async def test_a_clock_that_is_wrong_is_one_failed_line(
    ahead_s: float, practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch)
    async with ctrader(tmp_path, monkeypatch) as world:
        world.ahead_s = ahead_s
        report = await practice.look("--env", "demo")
    assert list(report.failed) == ["clock"]
    assert report.failed["clock"].startswith(f"CLOCK_WRONG: ahead_s={'5' if ahead_s < 0 else '-5'}")


async def test_what_only_the_other_server_refuses_is_one_failed_line(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch)
    async with ctrader(tmp_path, monkeypatch) as world:
        world.live.peer.answers[pb.ApplicationAuthReq] = lambda _: [error("CH_CLIENT_AUTH_FAILURE", SECRET)]
        report = await practice.look("--env", "demo")
    assert list(report.failed) == ["demo against live"]
    assert LIVE in report.failed["demo against live"]
    assert SECRET not in report.text
