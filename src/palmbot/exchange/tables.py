"""The tables of the exchange's books, and what a row of each is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from palmbot.exchange.agenda import Task
from palmbot.exchange.changes import Dealt, Standing
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.held import Held
from palmbot.exchange.prices import Candle
from palmbot.exchange.rows import Columns
from palmbot.exchange.terms import MarginCall, Terms
from palmbot.exchange.values import CashView, DealView, OrderView
from palmbot.exchange.working import Working

SCHEMA: Final = 2
TERMS: Final = Columns(Terms)
CALL: Final = Columns(MarginCall)
HELD: Final = Columns(Held)
ORDER: Final = Columns(OrderView)
WORKING: Final = Columns(Working, frozenset({"view", "asked"}))  # its view lies among the orders
TASK: Final = Columns(Task)
DEAL: Final = Columns(DealView)
CASH: Final = Columns(CashView)
TICK: Final = Columns(FeedTick)
CANDLE: Final = Columns(Candle)


def _table(name: str, columns: Sequence[str], key: str) -> str:
    return f"CREATE TABLE {name} ({', '.join(columns)}, PRIMARY KEY ({key})) STRICT;"


_MARK: Final = [f"{name} INTEGER" for name in ("now_ms", "last_order", "last_position", "last_deal", "last_cash")]
CREATE: Final = "".join(
    (
        _table("exchange", ["id INTEGER", "symbol TEXT", "currency TEXT", "money_digits INTEGER", *_MARK], "id"),
        _table(
            "accounts",
            [*TERMS.declarations, "balance_minor INTEGER", "balance_version INTEGER", "margin_calls TEXT"],
            "account_id",
        ),
        _table("positions", HELD.declarations, "position_id"),
        _table("orders", ORDER.declarations, "order_id"),
        "CREATE INDEX orders_of_account ON orders (account_id, updated_ms);",
        "CREATE INDEX orders_of_position ON orders (position_id);",
        _table("working", ["order_id INTEGER", *WORKING.declarations], "order_id"),
        _table("tasks", TASK.declarations, "work, subject_id"),
        _table("deals", [*DEAL.declarations, "spread_minor INTEGER", "slippage_minor INTEGER"], "deal_id"),
        "CREATE INDEX deals_of_account ON deals (account_id, ts_ms);",
        "CREATE INDEX deals_of_position ON deals (position_id);",
        "CREATE INDEX deals_of_order ON deals (order_id);",
        _table("cash", CASH.declarations, "cash_id"),
        "CREATE INDEX cash_of_account ON cash (account_id, ts_ms);",
        _table("ticks", ["symbol_id INTEGER", *TICK.declarations], "symbol_id"),
        _table("candles", ["symbol_id INTEGER", *CANDLE.declarations], "symbol_id, ts_ms"),
        _table("feed", ["id INTEGER", "state TEXT"], "id"),
    )
)


def _insert(table: str, width: int, otherwise: str = "") -> str:
    return f"INSERT {otherwise} INTO {table} VALUES ({', '.join('?' * width)})"  # noqa: S608 - a table of our own


def _replace(table: str, width: int) -> str:
    return _insert(table, width, "OR REPLACE")


REPLACE_ACCOUNT: Final = _replace("accounts", len(TERMS.names) + 3)
REPLACE_POSITION: Final = _replace("positions", len(HELD.names))
REPLACE_ORDER: Final = _replace("orders", len(ORDER.names))
REPLACE_WORKING: Final = _replace("working", len(WORKING.names) + 1)
REPLACE_TASK: Final = _replace("tasks", len(TASK.names))
INSERT_DEAL: Final = _insert("deals", len(DEAL.names) + 2)
INSERT_CASH: Final = _insert("cash", len(CASH.names))
REPLACE_TICK: Final = _replace("ticks", len(TICK.names) + 1)
REPLACE_CANDLE: Final = _replace("candles", len(CANDLE.names) + 1)


def row_of_standing(standing: Standing) -> tuple[Any, ...]:
    """Return an account as a row."""
    calls = json.dumps([CALL.row(call) for call in standing.margin_calls])
    return (*TERMS.row(standing.terms), standing.balance_minor, standing.balance_version, calls)


def standing_of(row: Sequence[Any]) -> Standing:
    """Return the account of a row."""
    balance_minor, balance_version, calls = row[-3:]
    return Standing(TERMS.value(row), balance_minor, balance_version, tuple(map(CALL.value, json.loads(calls))))


def row_of_working(working: Working) -> tuple[Any, ...]:
    """Return an unfinished order as a row, but for its view."""
    return (working.order_id, *WORKING.row(working))


def row_of_deal(dealt: Dealt) -> tuple[Any, ...]:
    """Return a deal as a row."""
    return (*DEAL.row(dealt.view), dealt.spread_minor, dealt.slippage_minor)
