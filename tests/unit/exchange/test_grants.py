"""Applications, grants and their tokens: rotation, expiry, codes, restarts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from palmbot.errors import DataError
from palmbot.exchange.grants import (
    BAD_CODE,
    BAD_SECRET,
    DEAD_TOKEN,
    NO_CLIENT,
    NOT_ACTIVE,
    OLD_TOKEN,
    Application,
    Grant,
    Grants,
    Scope,
)
from palmbot.exchange.knobs import ACCESS_TOKEN_MS, Knobs
from palmbot.exchange.values import Refused

NOW_MS = 1_700_000_000_000
HERE = "http://127.0.0.1:7777/back"


class Registry(Grants):
    """Grants of one application and one user, with countable texts, and what was kept and ended."""

    def __init__(self, knobs: Knobs | None = None) -> None:
        self.kept: list[dict[str, Any]] = []
        self.over: list[tuple[int, str]] = []
        self._made = 0
        super().__init__(self._text, knobs or Knobs(), self.kept.append, self._ended)
        self.register(Application("cid", "sec", (HERE,)))
        self.add_user(7, (1, 2))

    def _text(self) -> str:
        self._made += 1
        return f"text-{self._made}"

    def _ended(self, grant: Grant, reason: str) -> None:
        self.over.append((grant.grant_id, reason))


def granted(outcome: Grant | Refused) -> Grant:
    assert isinstance(outcome, Grant)
    return outcome


def code_of(registry: Registry) -> str:
    code = registry.authorize("cid", HERE, "trading", 7, NOW_MS)
    assert isinstance(code, str)
    return code


def test_credentials_are_right_wrong_unknown_or_not_active_yet() -> None:
    registry = Registry()
    registry.register(Application("new", "sec", is_active=False))
    assert isinstance(registry.application("cid", "sec"), Application)
    assert registry.application("cid", "other") == BAD_SECRET
    assert registry.application("nobody", "sec") == NO_CLIENT
    assert registry.application("new", "sec") == NOT_ACTIVE
    assert BAD_SECRET.code == NOT_ACTIVE.code == "CH_CLIENT_AUTH_FAILURE"


def test_a_code_becomes_a_grant_of_all_accounts_once() -> None:
    registry = Registry()
    code = code_of(registry)
    grant = granted(registry.redeem(code, HERE, "cid", NOW_MS + 59_999))
    assert (grant.account_ids, grant.scope) == ((1, 2), Scope.TRADE)
    assert registry.by_access(grant.access_token, NOW_MS) == grant
    assert registry.redeem(code, HERE, "cid", NOW_MS) == BAD_CODE


@pytest.mark.parametrize(("later_ms", "uri", "client"), [(60_000, HERE, "cid"), (0, f"{HERE}/", "cid"), (0, HERE, "x")])
def test_a_code_is_for_a_minute_one_address_and_one_application(later_ms: int, uri: str, client: str) -> None:
    registry = Registry()
    code = code_of(registry)
    assert registry.redeem(code, uri, client, NOW_MS + later_ms) == BAD_CODE
    assert registry.redeem(code, HERE, "cid", NOW_MS) == BAD_CODE, "a wrong try uses it up"


def test_nothing_is_authorized_for_an_address_scope_or_application_that_is_not_known() -> None:
    registry = Registry()
    for client_id, uri, scope in (("cid", f"{HERE}?x=1", "trading"), ("cid", HERE, "all"), ("x", HERE, "trading")):
        assert isinstance(registry.authorize(client_id, uri, scope, 7, NOW_MS), Refused)


def test_a_refresh_kills_the_old_pair_at_once_and_says_so_after_it_was_kept() -> None:
    registry = Registry()
    old = registry.new_grant("cid", 7, Scope.VIEW, NOW_MS)
    told: list[int] = []
    registry.ended = lambda grant, _: told.append(len(registry.kept) * (grant == old))
    new = granted(registry.refresh(old.refresh_token, "cid", NOW_MS + 1))
    assert told == [len(registry.kept)]
    assert registry.kept[-1]["grants"][0]["access_token"] == new.access_token
    assert registry.by_access(old.access_token, NOW_MS + 1) == DEAD_TOKEN
    assert registry.by_access(new.access_token, NOW_MS + 1) == new
    assert (new.grant_id, new.scope, new.account_ids) == (old.grant_id, old.scope, old.account_ids)
    assert new.expires_in_s(NOW_MS + 1) == ACCESS_TOKEN_MS // 1_000


def test_a_used_refresh_token_is_dead_and_hurts_nothing_else() -> None:
    registry = Registry()
    old = registry.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    new = granted(registry.refresh(old.refresh_token, "cid", NOW_MS))
    assert registry.refresh(old.refresh_token, "cid", NOW_MS) == DEAD_TOKEN
    assert registry.refresh(new.refresh_token, "other", NOW_MS) == DEAD_TOKEN
    assert registry.by_access(new.access_token, NOW_MS) == new
    assert len(registry.over) == 1


def test_an_access_token_expires_but_its_refresh_token_does_not() -> None:
    registry = Registry()
    grant = registry.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    assert registry.by_access(grant.access_token, NOW_MS + ACCESS_TOKEN_MS - 1) == grant
    assert registry.by_access(grant.access_token, NOW_MS + ACCESS_TOKEN_MS) == OLD_TOKEN
    assert grant.expires_in_s(NOW_MS + ACCESS_TOKEN_MS + 5_000) == 0
    granted(registry.refresh(grant.refresh_token, "cid", NOW_MS + 9 * ACCESS_TOKEN_MS))


@pytest.mark.parametrize("one_grant", [False, True])
def test_authorizing_again_ends_the_older_grant_only_by_a_knob(one_grant: bool) -> None:
    registry = Registry(Knobs(one_grant_per_user=one_grant))
    first = registry.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    second = registry.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    assert (registry.by_access(first.access_token, NOW_MS) == DEAD_TOKEN) is one_grant
    assert registry.by_access(second.access_token, NOW_MS) == second
    assert [each for each, _ in registry.over] == ([first.grant_id] if one_grant else [])


def test_a_revoked_grant_opens_nothing() -> None:
    registry = Registry()
    grant = registry.new_grant("cid", 7, Scope.TRADE, NOW_MS)
    registry.revoke(grant.grant_id)
    assert registry.by_access(grant.access_token, NOW_MS) == DEAD_TOKEN
    assert registry.refresh(grant.refresh_token, "cid", NOW_MS) == DEAD_TOKEN
    assert registry.over == [(grant.grant_id, "Access was revoked by the user")]


def test_a_restart_knows_everything_but_the_codes() -> None:
    before = Registry()
    grant, code = before.new_grant("cid", 7, Scope.VIEW, NOW_MS), code_of(before)
    after = Registry()
    after.restore(json.loads(json.dumps(before.kept[-1])))
    assert after.grants == (grant,)
    assert isinstance(after.application("cid", "sec"), Application)
    assert after.redeem(code, HERE, "cid", NOW_MS) == BAD_CODE
    assert after.new_grant("cid", 7, Scope.VIEW, NOW_MS).grant_id == grant.grant_id + 1


@pytest.mark.parametrize("body", [None, [], {}, {"last_id": 1}, {"last_id": "x"}])
def test_another_file_is_refused_without_its_content(body: Any) -> None:
    with pytest.raises(DataError, match="GRANTS_UNREADABLE"):
        Registry().restore(body)


def test_no_token_code_or_secret_shows_in_a_repr() -> None:
    registry = Registry()
    grant, code = registry.new_grant("cid", 7, Scope.TRADE, NOW_MS), code_of(registry)
    shown = f"{grant!r} {registry.application('cid', 'sec')!r} {registry._codes[code]!r}"
    assert not any(secret in shown for secret in (grant.access_token, grant.refresh_token, f"{code!r}", "'sec'"))
