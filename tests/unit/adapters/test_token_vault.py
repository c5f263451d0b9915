from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from palmbot.adapters.private_file import read_private, remove_private, write_private
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.errors import ConfigError, HaltError, RefusedError, RetryError
from palmbot.model import Granted, GrantedAccount, Renewal, Scope, Tokens

KEY = "planted-key-of-many-letters"
ACCOUNT = GrantedAccount(1_000_001, is_live=False, login=5_001, broker="Häus")
TOKENS = Tokens(
    access_token="planted-access",  # noqa: S106 - planted on purpose
    refresh_token="planted-refresh",  # noqa: S106 - planted on purpose
    granted_ms=1_790_000_000_000,
    expires_ms=1_792_628_000_000,
    granted=Granted(Scope.TRADING, (ACCOUNT, replace(ACCOUNT, account_id=2, is_live=True))),
    account_id=1_000_001,
    asked_ms=1_790_000_000_001,
    renewal=Renewal.ASKED,
)

HOLDER = """
import sys
from pathlib import Path
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
with TokenVault(Path(sys.argv[1]), "demo", TokenSeal("demo", GivenKey("k"))).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def vault(folder: Path, environment: str = "demo", key: str = KEY) -> TokenVault:
    return TokenVault(folder, environment, TokenSeal(environment, GivenKey(key)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tokens"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_environment_has_its_own(folder: Path) -> None:
    vault(folder, "demo").save(TOKENS)
    assert vault(folder, "live").load() is None
    vault(folder, "live").save(replace(TOKENS, account_id=7))
    assert vault(folder, "demo").load() == TOKENS


def test_what_is_on_disk_shows_nothing(folder: Path) -> None:
    store = vault(folder)
    store.save(TOKENS)
    first = (folder / "demo.tokens").read_bytes()
    assert not [word for word in (b"planted", b"1000001", b"trading", b"1790000000000") if word in first]
    store.save(TOKENS)
    assert json.loads((folder / "demo.tokens").read_bytes())["nonce"] != json.loads(first)["nonce"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_them_whatever_the_umask_says(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with vault(folder).locked():
            vault(folder).save(TOKENS)
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {"demo.tokens": 0o600, "demo.lock": 0o600}


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o620, 0o610])
def test_tokens_that_others_can_reach_are_refused(folder: Path, bits: int) -> None:
    vault(folder).save(TOKENS)
    (folder / "demo.tokens").chmod(bits)
    with pytest.raises(RefusedError, match="FILE_EXPOSED") as exposed:
        vault(folder).load()
    assert exposed.value.exit_code == 3
    assert exposed.value.facts["mode"] == f"{bits:o}"
    (folder / "demo.tokens").chmod(0o600)
    assert vault(folder).load() == TOKENS


def test_a_folder_that_others_can_write_is_refused(folder: Path) -> None:
    vault(folder).save(TOKENS)
    folder.chmod(0o777)
    for work in (vault(folder).load, lambda: vault(folder).save(TOKENS), vault(folder).locked().__enter__):
        with pytest.raises(RefusedError, match="FILE_EXPOSED"):
            work()


def test_tokens_of_another_user_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault(folder).save(TOKENS)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(RefusedError, match="FILE_EXPOSED") as exposed:
        vault(folder).load()
    assert exposed.value.facts["owner"] == user


def test_a_link_in_the_place_of_the_tokens_is_not_followed(folder: Path) -> None:
    vault(folder).save(TOKENS)
    (folder / "demo.tokens").rename(folder / "elsewhere")
    (folder / "demo.tokens").symlink_to(folder / "elsewhere")
    with pytest.raises(HaltError, match="FILE_UNREADABLE"):
        vault(folder).load()


@pytest.mark.parametrize("key", ["planted-key-of-many-letterS", KEY + " "])
def test_another_key_opens_nothing(folder: Path, key: str) -> None:
    vault(folder).save(TOKENS)
    with pytest.raises(ConfigError, match="TOKENS_UNREADABLE") as unreadable:
        vault(folder, key=key).load()
    assert "planted" not in str(unreadable.value)


def test_demo_tokens_are_not_passed_off_as_live_ones(folder: Path) -> None:
    vault(folder, "demo").save(TOKENS)
    (folder / "demo.tokens").rename(folder / "live.tokens")
    with pytest.raises(ConfigError, match="TOKENS_UNREADABLE"):
        vault(folder, "live").load()


def test_a_damaged_file_is_named_as_one(folder: Path) -> None:
    vault(folder).save(TOKENS)
    file = folder / "demo.tokens"
    good = file.read_bytes()
    middle = good.index(b'"sealed"') + 20
    other = b"A" if good[middle : middle + 1] != b"A" else b"B"
    for bad in (b"", b"{}", b"[]", b"\xff", good[:-20], good[:middle] + other + good[middle + 1 :]):
        write_private(file, bad)
        with pytest.raises(ConfigError, match="TOKENS_UNREADABLE"):
            vault(folder).load()


def test_a_second_process_cannot_change_them_meanwhile_and_death_lets_go(folder: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RetryError, match="TOKENS_BUSY"), vault(folder).locked():
            pass
        with vault(folder, "live").locked():  # each environment has its own lock
            pass
        process.kill()
        process.wait()
    with vault(folder).locked(), pytest.raises(RetryError, match="TOKENS_BUSY"), vault(folder).locked():
        pass
    with vault(folder).locked():
        pass


def test_a_file_and_its_name_are_on_disk_before_it_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault(folder).save(TOKENS)
    done: list[str] = []
    sync, replace_ = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        done.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        sync(handle)

    def rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace_(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    vault(folder).save(TOKENS)
    assert done == ["sync file", "rename", "sync folder"]
    vault(folder).clear()
    assert done[3:] == ["sync folder"]


def test_what_a_crash_left_behind_is_in_nobodys_way(folder: Path) -> None:
    vault(folder).save(TOKENS)
    left = folder / "demo.tokens.new"
    left.write_bytes(b"half")
    left.chmod(0o666)
    vault(folder).save(replace(TOKENS, account_id=9))
    loaded = vault(folder).load()
    assert loaded is not None
    assert loaded.account_id == 9
    assert not left.exists()
    left.write_bytes(b"half")
    vault(folder).clear()
    assert not left.exists()


def test_a_folder_that_cannot_be_written_keeps_the_old_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault(folder).save(TOKENS)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HaltError, match="FILE_UNWRITABLE") as unwritable:
        vault(folder).save(replace(TOKENS, account_id=9))
    assert unwritable.value.facts["reason"] == "No space left on device"
    assert vault(folder).load() == TOKENS


def test_private_files_of_any_kind_are_kept_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "x" / "note"
    assert read_private(file) is None
    assert not remove_private(file)
    write_private(file, b"abc")
    assert read_private(file) == b"abc"
    assert remove_private(file)
    (tmp_path / "x" / "folder").mkdir(0o700)
    os.mkfifo(tmp_path / "x" / "pipe", 0o600)
    for name in ("folder", "pipe"):
        with pytest.raises(HaltError, match="FILE_UNREADABLE"):
            read_private(tmp_path / "x" / name)


def test_tokens_show_no_secret_when_they_are_printed() -> None:
    assert "planted" not in repr(TOKENS)
