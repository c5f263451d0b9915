"""``palmbot auth`` in this process, against the simulated exchange: its token endpoint and its Open API."""

from __future__ import annotations

import asyncio
import json
import os
import webbrowser
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.exchange_house import House

from palmbot.adapters.oauth_redirect import redirect_of
from palmbot.cli import auth
from palmbot.cli.main import execute
from palmbot.cli.standing import Picture
from palmbot.errors import HaltError
from palmbot.model import Granted, GrantedAccount, Renewal, Scope, Tokens
from palmbot.units import DAY_MS, HOUR_MS

KEY = "planted-key-of-many-letters"
NOW_MS = 1_790_000_000_000
TOKENS = Tokens(
    access_token="planted-access",  # noqa: S106 - planted on purpose
    refresh_token="planted-refresh",  # noqa: S106 - planted on purpose
    granted_ms=NOW_MS - 3 * DAY_MS,
    expires_ms=NOW_MS + 27 * DAY_MS + 2 * HOUR_MS,
    granted=Granted(Scope.TRADING, (GrantedAccount(11, is_live=False, login=5, broker="House"),)),
    account_id=11,
)


class Window(webbrowser.BaseBrowser):
    """A browser of a person who says yes at once."""

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002 - the base's
        httpx.get(url, follow_redirects=True, trust_env=False)
        return True


@dataclass
class Said:
    """What a command said."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command line as a person in an empty folder would; the loop of the test goes on meanwhile."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PALMBOT_", "CTRADER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PALMBOT_TOKEN_KEY", KEY)
    monkeypatch.setattr(webbrowser, "get", Window)

    async def run(*words: str) -> Said:
        exit_code = await asyncio.to_thread(execute, words)
        captured = capsys.readouterr()
        return Said(exit_code, captured.out, captured.err)

    return run


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """An exchange that stands in for demo, with its application configured and no account chosen yet."""
    (tmp_path / "exchange").mkdir()
    running = await House.open(tmp_path / "exchange")
    ready = running.ready
    (tmp_path / "ready.json").write_text(json.dumps(ready.to_json()))
    monkeypatch.setenv("CTRADER_EXCHANGE_DEMO", str(tmp_path / "ready.json"))
    monkeypatch.setenv("CTRADER_CLIENT_ID_DEMO", ready.client_id)
    monkeypatch.setenv("CTRADER_CLIENT_SECRET_DEMO", ready.client_secret)
    yield running
    await running.close()


# --- the whole way ----------------------------------------------------------------------------------------------------


async def test_from_login_to_logout(run: Run, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRADER_ACCOUNT_ID_DEMO", "2")
    said = await run("auth", "login", "--env", "demo", "--json")
    assert said.exit_code == 0, said.err
    assert {name: said.json[name] for name in ("environment", "state", "todo", "scope", "account_id", "renewal")} == {
        "environment": "demo",
        "state": "valid",
        "todo": "",
        "scope": "trading",
        "account_id": 2,
        "renewal": "never",
    }
    assert [each["account_id"] for each in said.json["accounts"]] == [1, 2]
    assert "Allow the access at this address:" in said.err
    expires_ms = said.json["expires_ms"]

    said = await run("auth", "status")
    assert said.exit_code == 0
    assert "demo: valid\n" in said.out
    assert "permit trading, used for account 2; they open\n" in said.out
    assert "live: no tokens\n  -> palmbot auth login --env live" in said.out

    said = await run("auth", "refresh", "--json")
    assert (said.exit_code, said.json["renewal"]) == (0, "done")
    assert said.json["expires_ms"] >= expires_ms
    said = await run("auth", "refresh")
    assert (said.exit_code, said.out) == (1, "")
    assert said.err.startswith("REFRESH_TOO_SOON: environment=demo wait_s=")

    said = await run("auth", "logout")
    assert (said.exit_code, said.out.splitlines()[0]) == (0, "Removed the tokens for demo.")
    said = await run("auth", "logout", "--json")
    assert said.json == {"environment": "demo", "removed": False}
    assert (await run("auth", "refresh")).err.startswith("LOGIN_NEEDED: environment=demo")
    assert len(house.grants.grants) == 2  # its own, and what a person allowed: that ends only there


async def test_a_login_that_only_reads(run: Run, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRADER_ACCOUNT_ID_DEMO", str(house.ready.account_id))
    said = await run("auth", "login", "--read-only")
    assert said.exit_code == 0, said.err
    assert said.out.startswith("Logged in.\ndemo: valid\n")
    assert "permit accounts" in said.out


async def test_without_a_browser_the_address_is_pasted(
    run: Run, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect = redirect_of(tmp_path / "palmbot-data" / "tokens")
    code = house.grants.authorize(house.ready.client_id, redirect.uri, "trading", 1, house.clock.utc_ms())
    reading, writing = os.pipe()
    monkeypatch.setattr(auth, "_typed", lambda: reading)
    os.write(writing, f"{redirect.uri}?code={code}\n".encode())
    os.close(writing)
    said = await run("auth", "login", "--no-browser")
    os.close(reading)
    assert "paste it here" in said.err
    assert (said.exit_code, said.out) == (3, "")  # nobody is there to choose between the accounts
    assert "ACCOUNT_NOT_CHOSEN: accounts=1,2\n" in said.err


async def test_an_account_that_the_tokens_do_not_open_stores_nothing(
    run: Run, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTRADER_ACCOUNT_ID_DEMO", "99")
    said = await run("auth", "login", "--json")
    assert (said.exit_code, said.json["error"]["code"]) == (3, "ACCOUNT_NOT_GRANTED")
    said = await run("auth", "status", "--env", "demo", "--json")
    assert said.json["environments"][0]["state"] == "no tokens"
    assert house.ready.access_token not in said.out


# --- what is asked wrongly --------------------------------------------------------------------------------------------


async def test_nothing_is_needed_to_see_how_it_stands(run: Run, tmp_path: Path) -> None:
    said = await run("auth", "status", "--json")
    assert said.exit_code == 0
    redirect = redirect_of(tmp_path / "palmbot-data" / "tokens")
    assert said.json == {
        "redirect_uri": redirect.uri,
        "environments": [
            {"environment": name, "state": "no tokens", "todo": f"palmbot auth login --env {name}"}
            for name in ("demo", "live")
        ],
    }


@pytest.mark.parametrize("word", ["login", "refresh"])
async def test_missing_credentials_are_named(run: Run, word: str) -> None:
    said = await run("auth", word, "--env", "live")
    assert (said.exit_code, said.out) == (2, "")
    missing = "CTRADER_CLIENT_ID_LIVE,CTRADER_CLIENT_SECRET_LIVE"
    assert said.err.startswith(f"CREDENTIALS_MISSING: environment=live missing={missing}\n")


@pytest.mark.parametrize("word", ["login", "status", "refresh", "logout"])
async def test_paper_has_no_account(run: Run, word: str) -> None:
    said = await run("auth", word, "--env", "paper")
    assert said.exit_code == 3
    assert said.err.startswith("NO_LOGIN_ON_PAPER: ")


async def test_an_environment_that_does_not_exist_is_bad_usage(run: Run) -> None:
    assert (await run("auth", "status", "--env", "mars")).exit_code == 2


async def test_the_settings_may_say_whose_tokens(run: Run, tmp_path: Path) -> None:
    (tmp_path / "palmbot.toml").write_text('[run]\nenv = "live"\n')
    assert (await run("auth", "logout", "--json")).json["environment"] == "live"
    assert (await run("auth", "logout", "--json", "--env", "demo")).json["environment"] == "demo"


async def test_one_environments_trouble_does_not_hide_the_other(run: Run, tmp_path: Path) -> None:
    await run("auth", "status")
    file = tmp_path / "palmbot-data" / "tokens" / "live.tokens"
    file.write_text("{}")
    file.chmod(0o644)
    said = await run("auth", "status")
    assert said.exit_code == 3
    assert "demo: no tokens\n" in said.out
    assert "live: unusable: FILE_EXPOSED\n  -> chmod 600 it" in said.out
    file.chmod(0o600)
    said = await run("auth", "status", "--json")
    assert (said.exit_code, said.json["environments"][1]["state"]) == (2, "unusable: TOKENS_UNREADABLE")


async def test_a_key_that_lies_beside_everything_else_is_remarked_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PALMBOT_TOKEN_KEY" not in (await run("auth", "status")).out
    monkeypatch.delenv("PALMBOT_TOKEN_KEY")
    (tmp_path / ".env").write_text(f"PALMBOT_TOKEN_KEY={KEY}\n")
    said = await run("auth", "status")
    assert said.out.endswith("whoever can read that file can read the tokens.\n")
    assert KEY not in said.out


# --- words for it -----------------------------------------------------------------------------------------------------


def test_valid_tokens_in_words() -> None:
    assert Picture("demo", NOW_MS, TOKENS).text().splitlines() == [
        "demo: valid",
        "  3d old, expire in 27d 2h (2026-10-18 16:13 UTC)",
        "  permit trading, used for account 11; they open",
        "    11  demo  login 5  House",
    ]


@pytest.mark.parametrize(
    ("changed", "state", "todo"),
    [
        ({"expires_ms": NOW_MS + DAY_MS}, "due for renewal", "palmbot auth refresh --env demo"),
        ({"expires_ms": NOW_MS - DAY_MS}, "expired", "palmbot auth refresh --env demo"),
        (
            {"renewal": Renewal.ASKED},
            "in doubt: a new pair was asked for and no answer came",
            "palmbot auth refresh --env demo",
        ),
        ({"renewal": Renewal.REFUSED}, "dead: log in again", "palmbot auth login --env demo"),
    ],
)
def test_what_is_to_be_done_is_said(changed: dict[str, Any], state: str, todo: str) -> None:
    picture = Picture("demo", NOW_MS, replace(TOKENS, **changed))
    assert picture.text().startswith(f"demo: {state}\n")
    assert picture.text().endswith(f"\n  -> {todo}")
    body = picture.to_json()
    assert (body["state"], body["todo"], picture.exit_code) == (state, todo, 0)


def test_a_renewal_that_failed_is_mentioned() -> None:
    failed = replace(TOKENS, renewal=Renewal.FAILED, asked_ms=NOW_MS - HOUR_MS)
    assert Picture("demo", NOW_MS, failed).text().endswith("UTC failed; nothing is lost")


def test_no_picture_shows_a_token() -> None:
    picture = Picture("demo", NOW_MS, TOKENS)
    assert "planted" not in f"{picture} {picture.text()} {picture.to_json()}"


def test_trouble_has_the_exit_code_of_its_error() -> None:
    picture = Picture("demo", NOW_MS, None, HaltError("FILE_UNREADABLE", "Look."))
    assert (picture.exit_code, picture.todo) == (1, "Look.")
