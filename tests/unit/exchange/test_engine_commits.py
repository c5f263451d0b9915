"""Commit, then tell: what is told is in the books, and what went wrong half-way is neither."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.exchange.engine_rig import Ear, Rig, falls, rig
from tests.unit.exchange.house import FILL, PROTECT, brackets, market

from palmbot.errors import HaltError, RefusedError
from palmbot.exchange.conduct import Conduct, Delays
from palmbot.exchange.values import CashKind, OrderStatus, Report, Told


async def test_a_request_is_committed_before_it_is_told() -> None:
    async with rig() as at:
        seen = []

        class Reader(Ear):
            def told(self, account_id: int, told: Told) -> None:
                assert isinstance(told, Report)
                assert told.order is not None
                stored = at.books.history.order(account_id, told.order.order_id)
                assert stored is not None
                seen.append(stored.status)

        at.engine.add_listener(Reader())
        at.engine.request(1, market(asked=brackets(50)), "m")
        assert seen == [OrderStatus.FILLED, OrderStatus.FILLED, OrderStatus.ACCEPTED]  # the state after all of it


async def test_what_could_not_be_committed_is_told_later_and_once() -> None:
    async with rig() as at:
        at.books._database.execute("PRAGMA query_only = ON")
        with pytest.raises(HaltError, match="BOOKS_UNWRITABLE"):
            at.engine.request(1, market(), "m1")
        with pytest.raises(HaltError, match="BOOKS_UNWRITABLE"):
            at.engine.request(1, market(), "m2")
        assert at.ear.events == []
        at.books._database.execute("PRAGMA query_only = OFF")
        at.engine.cash(1, CashKind.DEPOSIT, 5)
        assert [each.execution for each in at.ear.events if isinstance(each, Report)] == [2, 3, 2, 3, 10]
        kept = at.books.kept(at.opening.catalogue, ())
        assert kept == at.engine.venue.kept()


@pytest.mark.parametrize(
    ("bug", "happen"),
    [
        ("matching.start", lambda at: at.engine.request(1, market(), "m2")),
        (
            "account.Account.remargin",
            falls,
        ),
        ("matching.execute_due", lambda at: at.engine._pass(at.engine.venue.now_ms + 2 * FILL)),
    ],
    ids=["a request", "a tick", "time"],
)
async def test_what_a_bug_did_halfway_is_never_written_and_nothing_happens_after_it(
    bug: str, happen: Callable[[Rig], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(conduct=Conduct(Delays(FILL, PROTECT))) as at:
        at.engine.request(1, market(asked=brackets(50)), "m0")
        at.engine._pass(at.engine.venue.now_ms + FILL + PROTECT)
        at.engine.request(1, market(), "m1")
        before, told = at.books.kept(at.opening.catalogue, ()), len(at.ear.events)

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(f"palmbot.exchange.{bug}", fail)
        with pytest.raises(HaltError, match="EXCHANGE_BROKEN: error=ZeroDivisionError"):
            happen(at)
        monkeypatch.undo()
        assert not at.engine.venue.changes.is_empty
        with pytest.raises(HaltError, match="EXCHANGE_BROKEN"):
            at.engine.cash(1, CashKind.DEPOSIT, 5)
        assert at.books.kept(at.opening.catalogue, ()) == before
        assert len(at.ear.events) == told


async def test_books_that_another_program_holds_are_a_halt_in_their_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig() as at:

        def refuse(*_: object) -> None:
            raise RefusedError("BOOKS_IN_USE", "Stop the other palmbot.", books="here")

        monkeypatch.setattr(at.books, "save", refuse)
        with pytest.raises(HaltError, match=r"BOOKS_IN_USE: books=here"):
            at.engine.cash(1, CashKind.DEPOSIT, 5)
