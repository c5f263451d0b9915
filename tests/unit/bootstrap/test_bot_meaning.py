"""What a journal may not go on with."""

from __future__ import annotations

from typing import Any

from palmbot.bootstrap.bot import _meaning


def test_a_journal_of_one_account_does_not_go_on_at_the_quotes_of_another() -> None:
    about: dict[str, Any] = {"symbol": "PALMOIL", "account_id": 1, "instrument": {}, "params": {}}
    now, then = _meaning({**about, "account_id": 2}, is_told=True), _meaning(about, is_told=True)
    assert [name for name in now if now[name] != then[name]] == ["account_id"]
