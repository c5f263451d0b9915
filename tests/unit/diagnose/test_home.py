"""Looks at this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from palmbot.config import Sources, load_settings
from palmbot.diagnose.home import (
    FREE_MIN_BYTES,
    look_at_credentials,
    look_at_database,
    look_at_disk,
    look_at_settings,
    look_at_tokens,
)
from palmbot.errors import ConfigError
from palmbot.model import Granted, Renewal, Scope, Tokens
from palmbot.settings import CtraderCredentials, Environment, Settings
from palmbot.units import DAY_MS, HOUR_MS

NOW_MS = 1_790_000_000_000
TOKENS = Tokens(
    "access-token",
    "refresh-token",
    granted_ms=NOW_MS - 10 * DAY_MS - 3 * HOUR_MS,
    expires_ms=NOW_MS + 20 * DAY_MS,
    granted=Granted(Scope.TRADING, ()),
    account_id=1_000_001,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(Sources(folder=tmp_path, environ={}, sets=(f"data_dir={tmp_path}",)))


async def test_the_settings_that_other_lines_depend_on_are_named(settings: Settings, tmp_path: Path) -> None:
    found = await look_at_settings(lambda: settings)
    assert found.detail == f"symbol PALMOIL, profile rsi_sentiment, data_dir {tmp_path}"


@pytest.mark.parametrize(("account", "words"), [(None, "no account chosen yet"), (77, "account 77")])
async def test_credentials_are_shown_without_the_secret(account: int | None, words: str) -> None:
    found = await look_at_credentials(lambda: CtraderCredentials(Environment.DEMO, "my-app", "s3cret", account))
    assert found.detail == f"client id my-app, {words}"


async def test_a_disk_with_room_is_well(settings: Settings) -> None:
    assert "200 MB are free" in (await look_at_disk(lambda _: FREE_MIN_BYTES, settings)).detail


async def test_a_disk_without_room_is_not(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="DISK_ALMOST_FULL: free_mb=199 needed_mb=200"):
        await look_at_disk(lambda _: FREE_MIN_BYTES - 1, settings)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, "is made by the first run"),
        ("0002", "opens, schema 0002"),
        ("0001", "opens, schema 0001, migrated to 0002 by the next start"),
    ],
)
async def test_a_journal_of_this_version_or_an_older_one_is_well(
    settings: Settings, schema: str | None, words: str
) -> None:
    found = await look_at_database(lambda _: (schema, "0002"), settings)
    assert found.detail == f"{settings.data_dir / 'journal.sqlite'} {words}"


async def test_a_journal_of_a_newer_palmbot_is_not(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"JOURNAL_TOO_NEW: .*schema=0003 known=0002"):
        await look_at_database(lambda _: ("0003", "0002"), settings)


async def looked_at(tokens: Tokens | None) -> tuple[str, str, str]:
    """Return detail, todo and what was given of ``tokens``."""

    async def load() -> Tokens | None:
        return tokens

    found = await look_at_tokens("demo", load, lambda: NOW_MS)
    return found.detail, found.todo, found.value


async def test_good_tokens_are_told_by_age_scope_and_account() -> None:
    detail, todo, token = await looked_at(TOKENS)
    assert detail == "10 d 3 h old, good for 20 d 0 h, permit trading, account 1000001"
    assert (todo, token) == ("", "access-token")


@pytest.mark.parametrize(
    ("tokens", "advice"),
    [
        (replace(TOKENS, expires_ms=NOW_MS + 5 * DAY_MS - 1), "auth refresh --env demo"),
        (replace(TOKENS, granted=Granted(Scope.ACCOUNTS, ())), "enough for a dry run; to trade, palmbot auth login"),
    ],
)
async def test_tokens_that_will_do_for_now_come_with_advice(tokens: Tokens, advice: str) -> None:
    assert advice in (await looked_at(tokens))[1]


@pytest.mark.parametrize(
    ("tokens", "code", "todo"),
    [
        (None, "NO_TOKENS", "auth login --env demo"),
        (replace(TOKENS, expires_ms=NOW_MS), "TOKENS_EXPIRED", "auth refresh --env demo"),
        (replace(TOKENS, renewal=Renewal.ASKED), "TOKENS_DOUBTFUL", "auth refresh --env demo"),
        (replace(TOKENS, renewal=Renewal.REFUSED, expires_ms=NOW_MS), "TOKENS_DEAD", "auth login --env demo"),
    ],
)
async def test_tokens_that_will_not_do_say_how_to_come_by_others(tokens: Tokens | None, code: str, todo: str) -> None:
    with pytest.raises(ConfigError, match=code) as failure:
        await looked_at(tokens)
    assert todo in failure.value.todo
    assert "token" not in " ".join(map(str, failure.value.facts.values()))
