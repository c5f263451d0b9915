from __future__ import annotations

import re
from pathlib import Path

import pytest

from palmbot.adapters.oauth_redirect import FILE_NAME, Redirect, redirect_of
from palmbot.errors import ConfigError, RefusedError, RejectedError

URI = "http://127.0.0.1:25000/palmbot/path"


def test_the_address_is_made_once_an_install(tmp_path: Path) -> None:
    first = redirect_of(tmp_path / "tokens")
    assert redirect_of(tmp_path / "tokens") == first
    assert redirect_of(tmp_path / "others").parts.path != first.parts.path


def test_it_is_on_loopback_with_a_path_that_nobody_guesses(tmp_path: Path) -> None:
    redirect = redirect_of(tmp_path / "tokens")
    assert re.fullmatch(r"http://127\.0\.0\.1:2\d{4}/palmbot/[\w-]{24}", redirect.uri)
    assert redirect.listens
    assert ((tmp_path / "tokens" / FILE_NAME).stat().st_mode & 0o777) == 0o600


def test_a_person_may_put_a_registered_address_in_its_place(tmp_path: Path) -> None:
    redirect_of(tmp_path)
    (tmp_path / FILE_NAME).write_text(" https://example.org/back \n")
    redirect = redirect_of(tmp_path)
    assert redirect == Redirect("https://example.org/back")
    assert not redirect.listens


@pytest.mark.parametrize(
    "text", ["", "nonsense", "ftp://127.0.0.1/x", "http:///x", "http://[::1", "http://127.0.0.1:0/x", "\udcff"]
)
def test_a_file_that_holds_no_address_is_refused(tmp_path: Path, text: str) -> None:
    redirect_of(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="REDIRECT_UNUSABLE"):
        redirect_of(tmp_path)


def test_an_address_that_others_can_read_is_refused(tmp_path: Path) -> None:
    redirect_of(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o644)
    with pytest.raises(RefusedError, match="FILE_EXPOSED"):
        redirect_of(tmp_path)


@pytest.mark.parametrize("uri", ["http://127.0.0.1/x", "https://127.0.0.1:25000/x", "http://192.0.2.1:25000/x"])
def test_only_a_plain_address_of_this_machine_with_its_port_can_be_listened_at(uri: str) -> None:
    assert not Redirect(uri).listens


def test_the_code_is_taken_from_this_very_address() -> None:
    assert Redirect(URI).code_of(f"  {URI}?code=abc%2Fdef&other=1\n") == "abc/def"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "abc",
        URI,
        f"{URI}?code=",
        f"{URI}?code={'x' * 5_000}",
        f"{URI}x?code=abc",
        f"{URI.replace('path', 'Path')}?code=abc",
        f"{URI.replace('25000', '25001')}?code=abc",
        f"{URI.replace('http', 'https')}?code=abc",
        f"{URI.replace('127.0.0.1', 'localhost')}?code=abc",
        f"{URI.replace('127.0.0.1', 'x@127.0.0.1')}?code=abc",
        "http://[::1?code=abc",
    ],
)
def test_from_any_other_address_no_code_is_taken(address: str) -> None:
    assert Redirect(URI).code_of(address) is None


@pytest.mark.parametrize("query", ["error=access_denied", "errorCode=ACCESS_DENIED"])
def test_a_person_who_said_no_is_understood(query: str) -> None:
    with pytest.raises(RejectedError, match="CONSENT_REFUSED"):
        Redirect(URI).code_of(f"{URI}?{query}")
