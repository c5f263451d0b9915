from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from palmbot.config import Sources, resolve
from palmbot.config.credentials import VARIABLES, load_credentials, load_token_settings
from palmbot.config.sources import NO_SETTINGS, read_dotenv
from palmbot.errors import ConfigError, RefusedError
from palmbot.settings import CtraderCredentials, Environment, TokenSettings

DEMO, LIVE = Environment.DEMO, Environment.LIVE
BOTH = {
    "CTRADER_CLIENT_ID_DEMO": "demo-id",
    "CTRADER_CLIENT_SECRET_DEMO": "planted-demo",
    "CTRADER_ACCOUNT_ID_DEMO": "11",
    "CTRADER_CLIENT_ID_LIVE": "live-id",
    "CTRADER_CLIENT_SECRET_LIVE": "planted-live",
    "CTRADER_ACCOUNT_ID_LIVE": "22",
}
KEY = "planted-key-of-many-letters"


def sources(folder: Path, environ: Mapping[str, str], dotenv: Mapping[str, str] | None = None) -> Sources:
    if dotenv is not None:
        (folder / ".env").write_text("".join(f"{name}={text}\n" for name, text in dotenv.items()))
    return Sources(folder, environ)


def test_every_environment_has_its_own(tmp_path: Path) -> None:
    given = sources(tmp_path, BOTH)
    assert load_credentials(given, DEMO) == CtraderCredentials(DEMO, "demo-id", "planted-demo", 11)
    assert load_credentials(given, LIVE) == CtraderCredentials(LIVE, "live-id", "planted-live", 22)


def test_the_environment_is_stronger_than_the_file(tmp_path: Path) -> None:
    given = sources(tmp_path, {"CTRADER_CLIENT_SECRET_DEMO": "planted-newer"}, BOTH)
    found = load_credentials(given, DEMO)
    assert (found.client_id, found.client_secret) == ("demo-id", "planted-newer")


def test_the_account_may_be_left_out(tmp_path: Path) -> None:
    given = {name: text for name, text in BOTH.items() if "ACCOUNT" not in name}
    assert load_credentials(sources(tmp_path, given), DEMO).account is None


@pytest.mark.parametrize("environment", [DEMO, LIVE])
def test_nothing_of_the_other_environment_stands_in(tmp_path: Path, environment: Environment) -> None:
    other = LIVE if environment is DEMO else DEMO
    given = {name: text for name, text in BOTH.items() if name.endswith(other.upper())}
    with pytest.raises(ConfigError, match="CREDENTIALS_MISSING") as missing:
        load_credentials(sources(tmp_path, given), environment)
    names = VARIABLES[environment]
    assert missing.value.facts["missing"] == f"{names.client_id},{names.client_secret}"


def test_empty_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing=CTRADER_CLIENT_SECRET_DEMO"):
        load_credentials(sources(tmp_path, BOTH | {"CTRADER_CLIENT_SECRET_DEMO": ""}), DEMO)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CTRADER_CLIENT_SECRET_DEMO", "planted secret"),
        ("CTRADER_CLIENT_SECRET_DEMO", "planted\x1b"),
        ("CTRADER_CLIENT_ID_DEMO", "plantéd"),
        ("CTRADER_ACCOUNT_ID_DEMO", "planted-1"),
        ("CTRADER_ACCOUNT_ID_DEMO", "1.5"),
        ("CTRADER_ACCOUNT_ID_DEMO", "٣"),
    ],
)
def test_what_cannot_be_right_is_named_and_not_shown(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match="CREDENTIALS_WRONG") as wrong:
        load_credentials(sources(tmp_path, BOTH | {name: text}), DEMO)
    assert wrong.value.facts == {"variable": name}


def test_paper_has_no_credentials(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="NO_LOGIN_ON_PAPER"):
        load_credentials(sources(tmp_path, BOTH), Environment.PAPER)


def test_what_stands_in_for_a_server_is_named_an_environment(tmp_path: Path) -> None:
    given = sources(tmp_path, BOTH | {"CTRADER_EXCHANGE_DEMO": "ready.json"})
    assert load_credentials(given, DEMO).exchange_file == Path("ready.json")
    assert load_credentials(given, LIVE).exchange_file is None


def test_nothing_that_is_printed_shows_a_secret(tmp_path: Path) -> None:
    given = sources(tmp_path, BOTH | {"PALMBOT_TOKEN_KEY": KEY, "DATABASE_URL": "postgresql://me:planted@h/d"})
    shown = repr((load_credentials(given, DEMO), load_token_settings(given, tmp_path)))
    assert "planted" not in shown


def test_the_key_comes_from_the_environment_or_the_file_and_it_is_known_which(tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    assert load_token_settings(sources(tmp_path, {}), tmp_path) == TokenSettings(folder)
    assert load_token_settings(sources(tmp_path, {"PALMBOT_TOKEN_KEY": KEY}), tmp_path) == TokenSettings(folder, KEY)
    beside = load_token_settings(sources(tmp_path, {}, {"PALMBOT_TOKEN_KEY": KEY}), tmp_path)
    assert beside == TokenSettings(folder, KEY, is_key_beside=True)


def test_a_short_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOKEN_KEY_WEAK") as weak:
        load_token_settings(sources(tmp_path, {"PALMBOT_TOKEN_KEY": "planted"}), tmp_path)
    assert "planted" not in str(weak.value)


def test_secrets_are_no_settings(tmp_path: Path) -> None:
    given = sources(tmp_path, {"PALMBOT_LIVE_ACCOUNT": "22"}, BOTH | {"PALMBOT_TOKEN_KEY": KEY})
    assert "planted" not in str(resolve(given).values)


# --- the example ------------------------------------------------------------------------------------------------------

EXAMPLE = Path(__file__).parents[3] / ".env.example"
DOCUMENTED = (
    *(name for names in VARIABLES.values() for name in (names.client_id, names.client_secret, names.account)),
    *NO_SETTINGS,
    *("PERPLEXITY_API_KEY", "DATABASE_URL", "PORT", "PALMBOT_DATA_DIR"),
    *(names.exchange for names in VARIABLES.values()),
)


def test_the_example_documents_every_variable_and_sets_none(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert sorted(re.findall(r"(?m)^#([A-Z_]+)=$", text)) == sorted(DOCUMENTED)
    (tmp_path / ".env").write_text(text)
    assert read_dotenv(tmp_path / ".env") == {}


def test_the_example_filled_in_is_understood(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#([A-Z_]+)=$", r"\1=", EXAMPLE.read_text())
    for name, value in (BOTH | {"PALMBOT_TOKEN_KEY": KEY, "PALMBOT_DATA_DIR": "there"}).items():
        text = re.sub(rf"(?m)^{name}=$", f"{name}={value}", text)
    (tmp_path / ".env").write_text(text)
    given = Sources(tmp_path, {})
    assert load_credentials(given, LIVE).account == 22
    assert load_token_settings(given, resolve(given).settings.data_dir) == TokenSettings(
        Path("there/tokens"), KEY, is_key_beside=True
    )
