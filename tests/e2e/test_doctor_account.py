"""``palmbot doctor --env demo|live``: somebody's account, at an exchange that stands in for cTrader."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.doctor_report import BROKER, KEY, STOOD_IN, Practice, write
from tests.exchange_house import BALANCE, SPEC, House, Plan, house_in

from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.token_store import store_of
from palmbot.config import Sources
from palmbot.config.credentials import load_token_settings
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.opening import plain_account
from palmbot.exchange.values import AccessRights, AccountType
from palmbot.model import Granted, Scope, Tokens
from palmbot.settings import Environment
from palmbot.units import DAY_MS


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Practice:
    return Practice(tmp_path / "home", monkeypatch, capsys)


@dataclass
class Person:
    """Somebody with an account at a house that stands in for cTrader."""

    house: House
    monkeypatch: pytest.MonkeyPatch
    environment: Environment = Environment.DEMO

    def configure(self, **changed: str) -> None:
        """Write the credentials into the environment."""
        ready, end = self.house.ready, self.environment.value.upper()
        values = {"client_id": ready.client_id, "client_secret": ready.client_secret, "account_id": "1"} | changed
        for name, value in values.items():
            self.monkeypatch.setenv(f"CTRADER_{name.upper()}_{end}", value)
        self.monkeypatch.setenv(f"CTRADER_EXCHANGE_{end}", "ready.json")
        write("ready.json", json.dumps(ready.to_json()))

    def log_in(self, access_token: str = "", days_left: int = 30) -> None:
        """Keep tokens."""
        now_ms = SystemClock().utc_ms()
        tokens = Tokens(
            access_token or self.house.ready.access_token,
            self.house.ready.refresh_token,
            granted_ms=now_ms - DAY_MS,
            expires_ms=now_ms + days_left * DAY_MS,
            granted=Granted(Scope.TRADING, ()),
            account_id=1,
        )
        settings = load_token_settings(Sources(), Path("palmbot-data"))
        store_of(settings, self.environment).save(tokens)


@pytest.fixture
async def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, practice: Practice) -> AsyncIterator[Person]:
    assert practice  # its folder is the current one
    async with house_in(tmp_path) as house:
        yield Person(house, monkeypatch)


async def test_an_account_is_looked_at_from_end_to_end(person: Person, practice: Practice) -> None:
    person.configure()
    person.log_in()
    report = await practice.look("--env", "demo")
    assert (report.exit_code, report.failed, report.unchecked) == (0, {}, STOOD_IN)
    assert report.checks["token"]["detail"] == "1 d 0 h old, good for 29 d 23 h, permit trading, account 1"
    assert report.checks["account"]["detail"] == "login 1 is a demo account, and the token permits trading"
    secrets = (person.house.ready.client_secret, person.house.ready.access_token, KEY)
    assert not any(secret in report.text for secret in secrets)


async def test_a_live_account_is_refused_under_demo(person: Person, practice: Practice) -> None:
    person.house.engine.venue.accounts[1].terms = replace(person.house.engine.venue.accounts[1].terms, is_live=True)
    person.configure()
    person.log_in()
    report = await practice.look("--env", "demo")
    assert list(report.failed) == ["account"]
    assert report.failed["account"].startswith("ACCOUNT_OF_OTHER_ENVIRONMENT")
    assert report.unchecked == STOOD_IN | {*BROKER[2:]}


async def test_credentials_without_a_login_say_what_comes_next(person: Person, practice: Practice) -> None:
    person.configure()
    report = await practice.look("--env", "demo")
    assert list(report.failed) == ["token"]
    assert report.checks["application"]["ok"]
    assert {report.checks[name]["detail"] for name in BROKER[1:]} == {"not reached: needs token"}


async def test_a_wrong_secret_is_said_by_the_server_and_shown_to_nobody(person: Person, practice: Practice) -> None:
    person.configure(client_secret="planted-wrong-secret")  # noqa: S106 - it is planted
    person.log_in()
    report = await practice.look("--env", "demo")
    assert list(report.failed) == ["application"]
    assert "CH_CLIENT_AUTH_FAILURE" in report.failed["application"]
    assert "planted" not in report.text


async def test_tokens_that_the_server_does_not_take_are_named(person: Person, practice: Practice) -> None:
    person.configure()
    person.log_in("planted-dead-token")
    report = await practice.look("--env", "demo")
    assert list(report.failed) == ["account"]
    assert "CH_ACCESS_TOKEN_INVALID" in report.failed["account"]
    assert "planted" not in report.text


async def test_tokens_that_expired_are_not_shown_to_anybody(person: Person, practice: Practice) -> None:
    person.configure()
    person.log_in(days_left=-1)
    report = await practice.look("--env", "demo")
    assert list(report.failed) == ["token"]
    assert "palmbot auth refresh --env demo" in report.checks["token"]["todo"]


async def test_tokens_without_their_key_say_so(
    person: Person, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.configure()
    person.log_in()
    monkeypatch.setenv("PALMBOT_TOKEN_KEY", "another-key-of-many-letters")
    report = await practice.look("--env", "demo")
    assert "TOKENS_UNREADABLE" in report.failed["token"]


@pytest.mark.parametrize(
    ("terms", "name", "code"),
    [
        ({"rights": AccessRights.CLOSE_ONLY}, "access rights", "NO_FULL_ACCESS"),
        ({"type": AccountType.NETTED}, "account type", "ACCOUNT_NETTED"),
        ({"is_limited_risk": True}, "account type", "LIMITED_RISK"),
        ({"is_swap_free": True}, "account type", "SWAP_FREE"),
    ],
)
async def test_an_account_that_is_not_traded_is_named_and_the_rest_is_looked_at(
    terms: dict[str, Any], name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    practice: Practice,
) -> None:  # fmt: skip
    plain = plain_account(1, catalogue_of(SPEC), BALANCE)
    standing = replace(plain, terms=replace(plain.terms, **terms))
    async with house_in(tmp_path, Plan(standings=(standing,))) as house:
        person = Person(house, monkeypatch)
        person.configure()
        person.log_in()
        report = await practice.look("--env", "demo")
    assert list(report.failed) == [name]
    assert report.failed[name].startswith(code)
    assert report.checks["conversion"]["ok"]


async def test_a_live_account_is_looked_at_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, practice: Practice
) -> None:
    plain = plain_account(1, catalogue_of(SPEC), BALANCE)
    standing = replace(plain, terms=replace(plain.terms, is_live=True))
    plan = Plan(knobs=Knobs(per_second=None, is_live=True), standings=(standing,))
    async with house_in(tmp_path, plan) as house:
        person = Person(house, monkeypatch, Environment.LIVE)
        person.configure()
        person.log_in()
        report = await practice.look("--env", "live")
    assert (report.exit_code, report.failed) == (0, {})
    assert report.checks["account"]["detail"] == "login 1 is a live account, and the token permits trading"


async def test_an_instrument_that_the_broker_states_otherwise_is_compared(person: Person, practice: Practice) -> None:
    person.configure()
    person.log_in()
    write("palmbot.toml", "[instrument.palm_oil]\nvolume_min = 0.05\n")
    report = await practice.look("--env", "demo")
    assert report.failed == {}
    assert "volume_min 0.01, configured 0.05" in report.checks["instrument"]["detail"]
    assert report.checks["instrument"]["todo"]


async def test_a_symbol_that_the_broker_does_not_have_is_named(person: Person, practice: Practice) -> None:
    person.configure()
    person.log_in()
    write("palmbot.toml", '[instrument.palm_oil]\nsymbol = "PALM.XX"\n')
    report = await practice.look("--env", "demo")
    assert list(report.failed) == ["symbol"]
    assert "near=PALMOIL" in report.failed["symbol"]
    assert report.unchecked == STOOD_IN | {"instrument", "conversion"}


async def test_settings_that_are_wrong_are_a_finding_and_the_rest_is_looked_at(
    person: Person, practice: Practice
) -> None:
    person.configure()
    write("palmbot.toml", "[sizing]\nrsk = 1\n")
    report = await practice.look("--env", "demo")
    assert report.failed["configuration"].startswith("UNKNOWN_SETTING")
    assert report.checks["application"]["ok"]
    assert list(report.failed) == ["configuration"]
    assert {"disk", "database", "token"} <= report.unchecked
