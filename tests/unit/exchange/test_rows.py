"""Frozen values as rows: every kind of value of the books comes back as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.exchange import tables
from palmbot.exchange.agenda import Task, Work
from palmbot.exchange.changes import Dealt, Standing
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.held import Held, Levels
from palmbot.exchange.prices import Candle
from palmbot.exchange.rows import Columns
from palmbot.exchange.terms import DEFAULT_MARGIN_CALLS, Terms
from palmbot.exchange.values import (
    AccountType,
    Brackets,
    CashKind,
    CashView,
    CloseView,
    DealStatus,
    DealView,
    OrderStatus,
    OrderView,
    TimeInForce,
    Trigger,
)
from palmbot.exchange.working import Binding, Stage, Working
from palmbot.model import OrderKind


class Colour(IntEnum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Inner:
    number: int
    colour: Colour | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    must: Inner
    may: Inner | None = None
    share: float | None = None
    is_on: bool = False
    left_out: str = "default"


class Pair(NamedTuple):
    one: int
    other: float


COLUMNS = Columns(Outer, frozenset({"left_out"}))


def test_columns_are_the_fields_in_their_order_and_values_inside_lie_flat() -> None:
    assert COLUMNS.names == ["name", "must_number", "must_colour", "may_number", "may_colour", "share", "is_on"]
    assert COLUMNS.declarations == [
        "name TEXT",
        "must_number INTEGER",
        "must_colour INTEGER",
        "may_number INTEGER",
        "may_colour INTEGER",
        "share REAL",
        "is_on INTEGER",
    ]
    assert Columns(Pair).row(Pair(1, 2.5)) == (1, 2.5)


@given(st.builds(Outer, st.text(), st.builds(Inner, st.integers(), st.none() | st.sampled_from(Colour)),
                 st.none() | st.builds(Inner, st.integers(), st.none() | st.sampled_from(Colour)),
                 st.none() | st.floats(allow_nan=False), st.booleans()))  # fmt: skip
def test_a_value_comes_back_of_its_row(value: Outer) -> None:
    again = COLUMNS.value(COLUMNS.row(value))
    assert again == value
    assert [type(part) for part in (again.must.colour, again.is_on)] == [type(value.must.colour), bool]


def test_what_follows_a_row_is_not_looked_at_and_what_is_skipped_is_its_default() -> None:
    value = Outer("x", Inner(1, Colour.BLUE), left_out="gone")
    assert COLUMNS.value((*COLUMNS.row(value), "more", 7)) == replace(value, left_out="default")


ORDER = OrderView(
    *(7, 1, 1, OrderKind.STOP_LIMIT, OrderStatus.ACCEPTED, -1, 2_500, 25, 3, False, TimeInForce.GOOD_TILL_DATE),
    *(10, 20, "c", "label", "comment", 400_000.25, 5, 6, None, 8, 9),
    Brackets(sl_distance_px=4, guaranteed=True, trigger=Trigger.DOUBLE_OPPOSITE),
    is_stop_out=True,
    closed_ms=30,
)
DEAL = DealView(1, 2, 3, 4, 1, -1, 50, 25, 400_000, DealStatus.PARTIALLY_FILLED, 10, 20, -5, 6, 7)
VALUES: list[tuple[str, Columns[Any], Any]] = [
    ("terms", tables.TERMS, Terms(1, 2, type=AccountType.NETTED, is_live=True, broker="b")),
    ("held", tables.HELD, Held(1, 2, 3, -1, 25, 10**13, 5, 6, "l", "c", Levels(9), Levels(None, 8, trailing=True), 4)),
    ("bare", tables.HELD, Held(1, 2, 3, 1, 0, 0, 5, 6, is_touched=True, is_gsl_charged=True)),
    ("order", tables.ORDER, ORDER),
    ("task", tables.TASK, Task(1, 2, Work.EXPIRE, 3, 4)),
    ("deal", tables.DEAL, DEAL),
    ("close", tables.DEAL, replace(DEAL, close=CloseView(400_000.3333, 1, 0, -2, 0, 25, 3, 4, 5))),
    ("cash", tables.CASH, CashView(1, 2, CashKind.GSL_CHARGE, -3, 4, 5, 6, 7, "note")),
    ("tick", tables.TICK, FeedTick(1, 2, 3, is_jump=True, bar_open_px=4, rate_e8=5)),
    ("candle", tables.CANDLE, Candle(1, 2, 3, 4, 5, 6)),
]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.executescript(tables.CREATE)
        yield opened


@pytest.mark.parametrize(("name", "columns", "value"), VALUES, ids=[name for name, _, _ in VALUES])
def test_everything_that_is_kept_survives_the_database(
    name: str, columns: Columns[Any], value: Any, database: sqlite3.Connection
) -> None:
    database.execute(f"CREATE TABLE kept_{name} ({', '.join(columns.declarations)}) STRICT")
    database.execute(tables._insert(f"kept_{name}", len(columns.names)), columns.row(value))
    (row,) = database.execute(f"SELECT * FROM kept_{name}")  # noqa: S608 - a name of this test's own
    assert columns.value(row) == value


def test_accounts_unfinished_orders_and_deals_have_rows_of_their_own(database: sqlite3.Connection) -> None:
    standing = Standing(Terms(1, 2), -5, 6, DEFAULT_MARGIN_CALLS)
    database.execute(tables.REPLACE_ACCOUNT, tables.row_of_standing(standing))
    (row,) = database.execute("SELECT * FROM accounts")
    assert tables.standing_of(row) == standing
    working = Working(
        ORDER,
        Binding.CLOSES,
        Stage.EXECUTING,
        5,
        is_reached=True,
        is_touched=True,
        opens_ms=9,
        cost_pxcu=10,
        asked="m1",
    )
    database.execute(tables.REPLACE_WORKING, tables.row_of_working(working))
    (row,) = database.execute("SELECT * FROM working")
    assert row[0] == ORDER.order_id
    assert replace(Working(ORDER), **tables.WORKING.found(row[1:])) == working
    database.execute(tables.INSERT_DEAL, tables.row_of_deal(Dealt(DEAL, -1, -2)))
    assert database.execute("SELECT spread_minor, slippage_minor FROM deals").fetchall() == [(-1, -2)]
