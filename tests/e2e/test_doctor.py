"""``palmbot doctor`` through the command line: against exchanges, bad servers, nobody at all, and this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from tests.doctor_report import BROKER, SERVER, STOOD_IN, Practice, ready_of, write
from tests.exchange_process import PALMBOT, exchange
from tests.scripted_peer import SECRET, TOKEN, error
from tests.tls_servers import BAD, GOOD, HERE, Kind, serving, trust_in_root

from palmbot.adapters.database import engine_of, sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.adapters.tables import SCHEMA
from palmbot.bootstrap import doctor as wiring
from palmbot.cli.main import execute
from palmbot.diagnose import Limits
from palmbot.protocol.messages import pb

JOURNAL = Path("palmbot-data/journal.sqlite")


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Practice:
    return Practice(tmp_path / "home", monkeypatch, capsys)


def bytes_of(file: Path) -> bytes:
    """Return what a file holds."""
    return file.read_bytes()


# -- paper


async def test_paper_is_looked_at_from_end_to_end_with_nothing_configured(practice: Practice) -> None:
    report = await practice.look()
    assert (report.exit_code, report.failed, report.unchecked) == (0, {}, STOOD_IN)
    assert "built in (SYNTHETIC)" in report.checks["server"]["detail"]
    assert report.checks["TLS version"]["detail"] == "TLSv1.3"
    assert list(Path.cwd().iterdir()) == []  # looking changes nothing


def test_an_exchange_in_another_process_is_looked_at_from_end_to_end(tmp_path: Path) -> None:
    with exchange(tmp_path) as running:
        file = tmp_path / "ready.json"
        file.write_text(json.dumps(running.ready))
        done = subprocess.run(
            [PALMBOT, "doctor", "--exchange", file.name],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "21 ok, 2 not checked"
    assert [line for line in lines if line.startswith("failed")] == []
    assert f"127.0.0.1 port {running.ready['port']} answers" in done.stdout
    assert not any(running.ready[name] in done.stdout for name in ("client_secret", "access_token", "refresh_token"))


async def test_an_exchange_that_is_gone_is_one_failed_line(practice: Practice, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        report = await practice.look("--exchange", ready_of(taken.getsockname()[1], tmp_path))
    assert report.exit_code == 1
    assert list(report.failed) == ["connection"]
    assert "refused" in report.failed["connection"] or "Connect call failed" in report.failed["connection"]
    assert report.unchecked == {*SERVER[2:], *BROKER}
    assert {report.checks[name]["detail"] for name in BROKER} == {"not reached: needs connection"}


@pytest.mark.parametrize("text", [None, "", "{}", '{"host": "192.0.2.1"}'], ids=["no file", "empty", "other", "part"])
async def test_a_file_that_is_no_ready_line_is_one_failed_line(
    text: str | None, practice: Practice, tmp_path: Path
) -> None:
    file = tmp_path / "ready.json"
    if text is not None:
        file.write_text(text)
    report = await practice.look("--exchange", str(file))
    assert list(report.failed) == ["server"]


async def test_an_exchange_on_another_machine_is_refused(practice: Practice, tmp_path: Path) -> None:
    async with serving(GOOD) as served:
        report = await practice.look("--exchange", ready_of(served.port, tmp_path, host="192.0.2.1"))
    assert "EXCHANGE_NOT_LOOPBACK" in report.failed["server"]


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.name)
async def test_a_server_that_is_not_trusted_is_named_once_and_told_nothing(
    kind: Kind, practice: Practice, tmp_path: Path
) -> None:
    async with serving(kind) as served:
        report = await practice.look("--exchange", ready_of(served.port, trust_in_root(tmp_path)))
        assert served.peer.heard == []
    assert list(report.failed) == ["TLS handshake"]
    assert report.failed["TLS handshake"].startswith(f"{kind.code}: host={HERE}")
    assert report.exit_code == 1


# -- who does not answer


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "Limits", lambda: Limits(look_ms=300, all_ms=2_000))


@pytest.mark.usefixtures("in_a_hurry")
async def test_a_server_that_does_not_speak_is_given_up(practice: Practice, tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as mute:
        port = mute.getsockname()[1]
        report = await practice.look("--exchange", ready_of(port, trust_in_root(tmp_path)))
    assert report.failed == {"TLS handshake": "no answer in 0.3 s"}


@pytest.mark.usefixtures("in_a_hurry")
async def test_a_broker_that_does_not_answer_is_given_up(practice: Practice, tmp_path: Path) -> None:
    async with serving(GOOD) as served:
        served.peer.answers.clear()
        report = await practice.look("--exchange", ready_of(served.port, trust_in_root(tmp_path)))
    assert report.failed == {"round trip": "no answer in 0.3 s"}


async def test_without_a_network_it_says_what_to_do_and_ends(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    report = await practice.look("--env", "demo")
    assert report.exit_code == 1
    assert list(report.failed) == ["credentials", "token", "name resolution"]
    assert "CTRADER_CLIENT_ID_DEMO,CTRADER_CLIENT_SECRET_DEMO" in report.failed["credentials"]
    assert "docs/connect-ctrader.md" in report.checks["credentials"]["todo"]
    assert "palmbot auth login --env demo" in report.checks["token"]["todo"]
    assert "demo.ctraderapi.com" in report.failed["name resolution"]
    assert report.unchecked == {*SERVER[1:], *BROKER}


@pytest.mark.usefixtures("in_a_hurry")
async def test_a_look_up_that_hangs_holds_up_nothing(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, asked = threading.Event(), []

    def hang(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        let_go.wait(20)
        raise socket.gaierror(-3, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    report = await practice.look("--env", "live")
    is_held_up = let_go.is_set() or not [each for each in threading.enumerate() if each.name == "aside"]
    let_go.set()
    assert not is_held_up  # the look-up still hangs, and the report is there
    assert report.failed["name resolution"] == "no answer in 0.3 s"
    assert asked == ["live.ctraderapi.com"]  # nothing else is tried after that


async def test_what_a_server_repeats_of_our_secrets_is_hidden(practice: Practice, tmp_path: Path) -> None:
    async with serving(GOOD) as served:
        served.peer.answers[pb.VersionReq] = lambda _: [pb.VersionRes(version="1")]
        served.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [
            error("INVALID_REQUEST", f"you said {SECRET} and {TOKEN}")
        ]
        report = await practice.look("--exchange", ready_of(served.port, trust_in_root(tmp_path)))
    assert "you said [hidden] and [hidden]" in report.failed["account"]
    assert SECRET not in report.text
    assert TOKEN not in report.text


# -- this machine


@pytest.mark.parametrize("words", [("--env", "mars"), ("--env", "live", "--exchange", "ready.json")])
def test_what_cannot_be_meant_is_bad_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["doctor", *words]) == 2
    assert "UNEXPECTED" not in capsys.readouterr().err


async def test_a_journal_is_opened_and_not_touched(practice: Practice) -> None:
    await Journal.open(sqlite_url(JOURNAL)).close()
    before = bytes_of(JOURNAL)
    report = await practice.look()
    assert report.checks["database"]["detail"] == f"{JOURNAL} opens, schema {SCHEMA}"
    assert bytes_of(JOURNAL) == before


async def test_a_journal_of_a_newer_palmbot_is_named(practice: Practice) -> None:
    await Journal.open(sqlite_url(JOURNAL)).close()
    engine = engine_of(sqlite_url(JOURNAL))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    report = await practice.look()
    assert list(report.failed) == ["database"]
    assert report.failed["database"].startswith("JOURNAL_TOO_NEW")


async def test_a_file_that_is_no_journal_is_named(practice: Practice) -> None:
    write("palmbot-data/journal.sqlite", b"no database at all" * 100)
    report = await practice.look()
    assert list(report.failed) == ["database"]
    assert report.failed["database"].startswith("JOURNAL_UNREADABLE")


async def test_a_data_folder_that_cannot_be_is_named(practice: Practice) -> None:
    write("palmbot-data", "a file")
    report = await practice.look()
    assert report.failed["disk"].startswith("FOLDER_UNWRITABLE")
