from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail, null
from keyring.errors import KeyringLocked
from tests.unit.adapters.ring_in_a_file import RingInAFile

from palmbot.adapters.token_key import GivenKey, KeyringKey
from palmbot.errors import ConfigError


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RingInAFile]:
    before = keyring.get_keyring()
    monkeypatch.setenv("RING_FILE", str(tmp_path / "ring"))
    ring = RingInAFile()  # type: ignore[no-untyped-call]  # as its base is
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def test_a_given_key_is_the_key() -> None:
    key = GivenKey("planted")
    assert (key.find(), key.make()) == ("planted", "planted")


def test_the_keyring_keeps_a_key_that_is_made_when_it_is_first_needed(ring: RingInAFile) -> None:
    key = KeyringKey()
    assert key.find() is None
    made = key.make()
    assert len(made) == 44  # 256 bits
    assert KeyringKey().find() == KeyringKey().make() == made
    ring.delete_password("palm-oil-bot", "token key")
    assert key.make() != made


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_a_keyring_that_keeps_nothing_is_refused(backend: type[keyring.backend.KeyringBackend]) -> None:
    keyring.set_keyring(backend())
    for ask in (KeyringKey().find, KeyringKey().make):
        with pytest.raises(ConfigError, match="TOKEN_KEY_MISSING"):
            ask()


def test_a_keyring_that_keeps_passwords_in_the_open_is_refused(
    ring: RingInAFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RingInAFile, "priority", 0.5)
    keyring.set_keyring(ring)
    with pytest.raises(ConfigError, match="TOKEN_KEY_MISSING"):
        KeyringKey().make()


def test_a_locked_keyring_says_what_to_do(ring: RingInAFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_service: str, _username: str) -> str:
        raise KeyringLocked("nobody is here to unlock it")

    monkeypatch.setattr(ring, "get_password", locked)
    with pytest.raises(ConfigError, match="TOKEN_KEY_MISSING") as missing:
        KeyringKey().find()
    assert missing.value.facts == {"keyring": "KeyringLocked"}
    assert "PALMBOT_TOKEN_KEY" in missing.value.todo


def test_a_keyring_that_forgets_is_noticed(ring: RingInAFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "set_password", lambda *_: None)
    with pytest.raises(ConfigError, match="TOKEN_KEY_MISSING"):
        KeyringKey().make()
