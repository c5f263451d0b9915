"""Whom our client talks to: against real servers on loopback, each of which a careless client reaches first."""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from tests.tls_servers import (
    BAD,
    GOOD,
    GOOD_BY_CHILD,
    HERE,
    STRANGER,
    Kind,
    careless_context,
    issued,
    serving,
    trust_in_root,
)
from tests.wire_client import WireClient
from typer.core import TyperGroup
from typer.main import get_command

from palmbot.adapters import tls
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_keeper import Patience
from palmbot.adapters.ctrader_link import real_dial
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.tls import HOSTS, client_context
from palmbot.cli.main import app
from palmbot.config.credentials import VARIABLES
from palmbot.config.keys import ANYWHERE
from palmbot.errors import ConfigError, PalmbotError, RefusedError
from palmbot.live.inbox import Inbox
from palmbot.model import LinkEvent, LinkState
from palmbot.settings import CtraderCredentials, Environment

PACKAGE = Path(tls.__file__).parents[1]
TEXT = Path(tls.__file__).read_text()
KINDS = (GOOD, GOOD_BY_CHILD, *BAD)
ContextOf = Callable[[str, Path | None], ssl.SSLContext]


def name_of(kind: Kind) -> str:
    """Return the name of ``kind`` for pytest's output."""
    return kind.name


async def reached(port: int, context: ssl.SSLContext) -> None:
    """Connect, and have a request answered."""
    _, client = await asyncio.get_running_loop().create_connection(WireClient, HERE, port, ssl=context)
    await client.log_in("anybody", "anything")
    await client.close()


async def judged(kind: Kind, root: Path, context_of: ContextOf) -> str:
    """Return why our client does not connect to a server of ``kind``; nothing where it does."""
    async with serving(kind) as served:
        await reached(served.port, careless_context())  # else the refusal below would not be ours
        try:
            transport = await real_dial(HERE, served.port, context_of(HERE, root))(asyncio.Protocol)
        except ConfigError as refused:
            return refused.code
        transport.abort()
        return ""


def client_of(port: int, root: Path, inbox: Inbox) -> Ctrader:
    """Return the whole client of a broker on loopback."""
    clock, credentials = SystemClock(), CtraderCredentials(Environment.DEMO, "app", "secret")
    patience = Patience(pause_min_ms=1, pause_max_ms=1)
    dial = real_dial(HERE, port, client_context(HERE, root))
    wires = CtraderWires(dial, clock, Random(1), FixedToken("token"), inbox, lambda: None)
    return Ctrader(CtraderConfig(credentials, "PALMOIL", 0, patience), wires)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
async def test_we_connect_to_the_good_server_only_and_name_the_reason(kind: Kind, tmp_path: Path) -> None:
    assert await judged(kind, trust_in_root(tmp_path), client_context) == kind.code


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
async def test_the_client_itself_logs_in_at_the_good_server_only(kind: Kind, tmp_path: Path) -> None:
    async with serving(kind) as served:
        ctrader = client_of(served.port, trust_in_root(tmp_path), Inbox())
        running = asyncio.create_task(ctrader.run())
        try:
            await ctrader.account()
            code = ""
        except PalmbotError as failure:
            code = failure.code
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert code == kind.code
        assert bool(served.peer.heard) == (not kind.code)  # to a server that is refused nothing is said


async def test_a_certificate_that_turns_bad_after_the_first_login_is_waited_for(tmp_path: Path) -> None:
    context = GOOD.context()
    inbox = Inbox()

    async def next_state() -> LinkState:
        while True:
            event = await inbox.get(10.0)
            assert event is not None
            if isinstance(event, LinkEvent):
                return event.state

    async with serving(GOOD, context) as served:
        ctrader = client_of(served.port, trust_in_root(tmp_path), inbox)
        running = asyncio.create_task(ctrader.run())
        await ctrader.account()
        BAD[0].show(context)  # it has expired
        served.peer.last.transport.abort()
        assert await next_state() is LinkState.LOST
        before = served.calls
        # nobody tells of a handshake that failed
        while served.calls < before + 3 and not running.done():  # noqa: ASYNC110 - as just said
            await asyncio.sleep(0)
        assert not running.done()
        GOOD.show(context)
        assert await next_state() is LinkState.READY
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


# -- nothing verifies less


@pytest.mark.parametrize(
    "host",
    ["localhost.example.org", "127.0.0.1.example.org", "0.0.0.0", "10.0.0.1", "2130706433", *HOSTS.values()],  # noqa: S104 - to be refused
)
def test_an_authority_of_ones_own_is_for_this_machine_alone(host: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"HOST_NOT_ALLOWED|CA_NOT_LOOPBACK"):
        client_context(host, trust_in_root(tmp_path))


@pytest.mark.parametrize(
    "host", ["", "ctraderapi.com", "demo.ctraderapi.com.example.org", "DEMO.ctraderapi.com", "::2"]
)
def test_other_hosts_are_refused(host: str) -> None:
    with pytest.raises(RefusedError, match="HOST_NOT_ALLOWED"):
        client_context(host)


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_an_authority_that_cannot_be_read_is_no_reason_to_trust_everybody(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match="CA_UNREADABLE"):
        client_context(HERE, file)


def test_a_system_without_authorities_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ssl.DefaultVerifyPaths("", "", "", "/nowhere/cert.pem", "", "/nowhere/certs")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    with pytest.raises(ConfigError, match="CA_MISSING"):
        client_context(HOSTS["demo"])


CHILD = """
import socket, ssl, sys
from pathlib import Path
from palmbot.adapters.tls import client_context
kind, port, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
name = "127.0.0.1" if kind == "here" else "demo.ctraderapi.com"
context = ssl.create_default_context() if kind == "careless" else client_context(name, root if kind == "here" else None)
try:
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name):
        print("connected")
except ssl.SSLError as error:
    print(error.reason)
"""


async def test_no_environment_variable_verifies_less(tmp_path: Path) -> None:
    authority, keys, settings = (tmp_path / name for name in ("stranger.pem", "keys.log", "openssl.cnf"))
    STRANGER.cert_pem.write_to_path(str(authority))
    root = trust_in_root(tmp_path)
    settings.write_text(
        "openssl_conf = all\n[all]\nssl_conf = tls\n[tls]\nsystem_default = less\n[less]\nMinProtocol = None\n"
        f"CipherString = ALL:@SECLEVEL=0\nVerifyMode = Request\nVerifyCAFile = {authority}\n"
    )
    environment = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), str(authority)) | {
        "SSLKEYLOGFILE": str(keys),
        "OPENSSL_CONF": str(settings),
        "PYTHONHTTPSVERIFY": "0",
    }

    async def child(which: str, port: int) -> str:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, which, str(port), str(root), stdout=asyncio.subprocess.PIPE, env=environment
        )
        out, _ = await started.communicate()
        return out.decode().strip()

    stranger = Kind("a stranger who calls himself demo", "", lambda: issued(STRANGER, "demo.ctraderapi.com"))
    async with serving(stranger) as served:
        assert await child("careful", served.port) == "CERTIFICATE_VERIFY_FAILED"
        assert not keys.exists()
        assert await child("careless", served.port) == "connected"  # so the environment is one that could
        assert keys.exists()
        keys.unlink()
    async with serving(GOOD) as served:
        assert await child("here", served.port) == "connected"
        assert not keys.exists()
    async with serving(BAD[0]) as served:
        assert await child("here", served.port) == "CERTIFICATE_VERIFY_FAILED"


def test_no_setting_variable_or_option_is_about_verifying() -> None:
    names = [
        *ANYWHERE,
        *(name for each in VARIABLES.values() for name in (each.client_id, each.account, each.exchange)),
    ]
    pending = [get_command(app)]
    while pending:
        command = pending.pop()
        names += [option for parameter in command.params for option in parameter.opts]
        pending += command.commands.values() if isinstance(command, TyperGroup) else ()
    assert "--json" in names
    about = re.compile(r"tls|ssl|cert|verif|insecure|trust|cipher|\bca\b", re.IGNORECASE)
    assert [name for name in names if about.search(name)] == []


def test_one_function_makes_every_context_of_a_client_and_nothing_takes_back_what_it_checks() -> None:
    making, loosening = (
        re.compile(r"SSLContext\("),
        re.compile(
            r"CERT_(NONE|OPTIONAL)|check_hostname|verify_mode|verify_flags|_create_\w*context|create_default_context"
            r"|load_default_certs|verify\s*=\s*(False|None)|keylog|PROTOCOL_TLSv1|PROTOCOL_TLS\b"
        ),
    )
    makers = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        text = "\n".join(line for line in file.read_text().splitlines() if "``" not in line)
        assert not loosening.search(text), f"{file.name}: {loosening.search(text)}"
        makers[file.name] = len(making.findall(text))
    assert {name: count for name, count in makers.items() if count} == {"tls.py": 1, "ca.py": 1}  # client, server


# -- each line of it is needed

VERSION, NAMED_CIPHERS = "context.minimum_version = ssl.TLSVersion.TLSv1_2", "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
ALL_VERSIONS, ALL_CIPHERS = "context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED", "ALL:eNULL:@SECLEVEL=0"
OLD_ONES = {"TLSv1 only", "TLSv1_1 only"}
UNTRUSTED = {
    "expired",
    "not yet valid",
    "of another host",
    "of an unknown CA",
    "self-signed",
    "without its intermediate",
}
# what is changed to what, and the servers that are then let in, or refused for another reason
LOOSENED = {
    "no certificate is checked": (
        {VERSION: f"context.check_hostname, context.verify_mode = False, ssl.CERT_NONE; {VERSION}"},
        UNTRUSTED,
        set(),
    ),
    "no name is checked": ({VERSION: f"context.check_hostname = False; {VERSION}"}, {"of another host"}, set()),
    "old versions are spoken": ({VERSION: ALL_VERSIONS}, set(), OLD_ONES),
    "old versions are spoken, in every cipher": ({VERSION: ALL_VERSIONS, NAMED_CIPHERS: ALL_CIPHERS}, OLD_ONES, set()),
    "every cipher is taken": (
        {NAMED_CIPHERS: ALL_CIPHERS},
        {"AES128-GCM-SHA256 only", "ECDHE-ECDSA-AES128-SHA only", "NULL-SHA256 only", "of a weak key"},
        set(),
    ),
    "ciphers are the system's choice": (
        {"context.set_ciphers(CIPHERS)": "context.set_ciphers('DEFAULT')"},
        {"ECDHE-ECDSA-AES256-SHA384 only"},
        set(),
    ),
}


@pytest.mark.parametrize("name", LOOSENED)
async def test_a_check_that_is_loosened_is_noticed(name: str, tmp_path: Path) -> None:
    changes, let_in, misnamed = LOOSENED[name]
    text = TEXT
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    loose = ModuleType("loose")
    exec(text, loose.__dict__)  # noqa: S102 - our own file, changed on purpose
    root = trust_in_root(tmp_path)
    verdicts = {kind: await judged(kind, root, loose.client_context) for kind in KINDS}
    assert verdicts[GOOD] == ""
    assert {kind.name for kind in BAD if verdicts[kind] == ""} >= let_in
    assert {kind.name for kind in BAD if verdicts[kind] not in {"", kind.code}} >= misnamed
