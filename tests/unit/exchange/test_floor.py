"""The floor does no more than a change asks for."""

from __future__ import annotations

import pytest
from tests.unit.exchange.house import LOT, House, brackets

from palmbot.exchange.account import Account


def test_a_step_of_a_trailing_stop_does_not_add_up_the_margin_of_the_whole_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand of them at one tick would look at a million positions."""
    house = House()
    for _ in range(3):
        house.open(1, LOT, brackets(50, trailing=True))
    added: list[int] = []
    remargin = Account.remargin

    def counted(account: Account) -> None:
        added.append(account.account_id)
        remargin(account)

    monkeypatch.setattr(Account, "remargin", counted)
    assert len(house.quote(4_010)) == 3
    assert added == []
    assert len(house.quote(3_900)) == 3
    assert len(added) >= 3
    assert house.account.used_margin_minor == 0
