"""Certificates of the simulated exchange: for whom they are good, and how they are kept."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from palmbot.adapters.clock import SystemClock
from palmbot.errors import DataError, HaltError
from palmbot.exchange.ca import LIFE, make_certificates, server_context
from palmbot.exchange.private_files import make_private, write_private

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
YEAR_MS = 365 * 86_400_000


async def greeted(server: ssl.SSLContext, ca_pem: str, host: str, name: str) -> bytes:
    """Return what a client reads that trusts ``ca_pem`` alone and expects ``name`` at ``host``."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ca_pem)
    async with await asyncio.start_server(greet, host, 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname=name)
        words = await reader.read()
        writer.close()
        return words


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
async def test_the_certificate_is_good_for_this_machines_names(tmp_path: Path, name: str) -> None:
    ca_file, server_file = tmp_path / "ca.pem", tmp_path / "server.pem"
    server = server_context(ca_file, server_file, SystemClock().utc_ms())
    assert await greeted(server, ca_file.read_text(), "127.0.0.1", name) == b"hello"


async def test_a_client_that_expects_another_name_or_trusts_another_ca_gets_nothing(tmp_path: Path) -> None:
    now_ms = SystemClock().utc_ms()
    server = server_context(tmp_path / "ca.pem", tmp_path / "server.pem", now_ms)
    ca_pem = (tmp_path / "ca.pem").read_text()
    with pytest.raises(ssl.SSLCertVerificationError):
        await greeted(server, ca_pem, "127.0.0.1", "demo.ctraderapi.com")
    other_pem, _ = make_certificates(datetime.fromtimestamp(now_ms / 1_000, UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        await greeted(server, other_pem.decode(), "127.0.0.1", "localhost")


def test_the_ca_can_vouch_for_this_machine_alone_and_its_key_is_nowhere(tmp_path: Path) -> None:
    server_context(tmp_path / "ca.pem", tmp_path / "server.pem", NOW_MS)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    allowed = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert allowed.critical
    assert {str(each.value) for each in allowed.value.permitted_subtrees or ()} == {
        "localhost",
        "127.0.0.0/8",
        "::1/128",
    }
    assert b"PRIVATE" not in (tmp_path / "ca.pem").read_bytes()
    assert "SYNTHETIC" in ca.subject.rfc4514_string()


def test_no_older_tls_than_1_2_is_spoken(tmp_path: Path) -> None:
    server = server_context(tmp_path / "ca.pem", tmp_path / "server.pem", NOW_MS)
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2


def test_both_files_are_private_and_survive_a_restart(tmp_path: Path) -> None:
    ca_file, server_file = files = tmp_path / "ca.pem", tmp_path / "server.pem"
    server_context(ca_file, server_file, NOW_MS)
    before = [each.read_bytes() for each in files]
    assert [each.stat().st_mode & 0o777 for each in files] == [0o600, 0o600]
    server_context(ca_file, server_file, NOW_MS + YEAR_MS)
    assert [each.read_bytes() for each in files] == before


@pytest.mark.parametrize("later", [LIFE - timedelta(days=29), -timedelta(days=2)])
def test_certificates_that_are_old_or_not_yet_valid_are_made_anew(tmp_path: Path, later: timedelta) -> None:
    ca_file, server_file = files = tmp_path / "ca.pem", tmp_path / "server.pem"
    server_context(ca_file, server_file, NOW_MS)
    before = [each.read_bytes() for each in files]
    server_context(ca_file, server_file, int((NOW + later).timestamp() * 1_000))
    assert all(each.read_bytes() != old for each, old in zip(files, before, strict=True))


def test_a_certificate_of_another_ca_is_made_anew(tmp_path: Path) -> None:
    ca_file, server_file = files = tmp_path / "ca.pem", tmp_path / "server.pem"
    server_context(ca_file, server_file, NOW_MS)
    files[0].write_bytes(make_certificates(NOW)[0])
    before = files[1].read_bytes()
    server_context(ca_file, server_file, NOW_MS)
    assert files[1].read_bytes() != before


@pytest.mark.parametrize("broken", [0, 1])
def test_files_that_are_no_certificates_are_refused_with_what_to_do(tmp_path: Path, broken: int) -> None:
    ca_file, server_file = files = tmp_path / "ca.pem", tmp_path / "server.pem"
    server_context(ca_file, server_file, NOW_MS)
    files[broken].write_text("not a certificate")
    with pytest.raises(DataError, match="CERTIFICATES_UNREADABLE"):
        server_context(ca_file, server_file, NOW_MS)


def test_a_server_file_without_its_key_is_refused(tmp_path: Path) -> None:
    ca_file, server_file = files = tmp_path / "ca.pem", tmp_path / "server.pem"
    server_context(ca_file, server_file, NOW_MS)
    files[1].write_bytes(files[1].read_bytes().split(b"-----BEGIN PRIVATE")[0])
    with pytest.raises(DataError, match="CERTIFICATES_UNREADABLE"):
        server_context(ca_file, server_file, NOW_MS)


def test_a_private_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    (tmp_path / "secret.new").write_text("left by a crash")
    write_private(path, b"one")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_public_file_is_taken_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "books"
    path.write_text("kept")
    path.chmod(0o644)
    make_private(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("kept", 0o600)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HaltError, match="STATE_UNWRITABLE"):
        write_private(tmp_path / "nowhere" / "secret", b"")
    with pytest.raises(HaltError, match="STATE_UNWRITABLE"):
        make_private(tmp_path / "nowhere" / "secret")
