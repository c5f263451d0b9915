"""The journal's tables.

``events`` is the truth and only ever grows (``seq`` has no gaps). Every other table is a projection: it holds nothing
that cannot be computed again from the events, and each of its rows names the event it came from. Enums are their
integers; money, prices, volumes and times are integers in the units their names end in.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    event,
)

SCHEMA = "0001"  # newest migration; a new database is made so at once and needs no Alembic

metadata = MetaData()

_ID = BigInteger().with_variant(Integer, "sqlite")  # INTEGER is SQLite's rowid: no second tree for the key


def _key(name: str) -> Column[int]:
    return Column(name, _ID, primary_key=True, autoincrement=False)


def _event_key() -> Column[int]:
    return Column("seq", _ID, ForeignKey("events.seq"), primary_key=True, autoincrement=False)


def _event() -> Column[int]:
    return Column("seq", BigInteger, ForeignKey("events.seq"), nullable=False)


def _run() -> Column[str]:
    return Column("run_id", Text, nullable=False)


def _integers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


events = Table(
    "events",
    metadata,
    _key("seq"),
    *_integers("ts_ms"),
    *_texts("kind", "body"),
    Index("events_kind", "kind", "seq"),
)

for _verb in ("UPDATE", "DELETE"):
    _guard = DDL(  # type: ignore[no-untyped-call]  # SQLAlchemy forgot to
        f"CREATE TRIGGER events_no_{_verb.lower()} BEFORE {_verb} ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    )
    event.listen(events, "after_create", _guard.execute_if(dialect="sqlite"))

runs = Table(
    "runs",
    metadata,
    _event_key(),
    _run(),
    *_integers("started_ms", "start_balance_minor"),
    *_texts("mode", "symbol", "profile", "version", "core_hash", "data_fingerprint"),
    Column("synthetic", Boolean, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    _event_key(),
    _run(),
    *_integers("end_ms", "action", "reason", "side", "volume_cu"),
    Column("rsi", Double),
    Column("sentiment", Double),
)

equity = Table(
    "equity",
    metadata,
    _event_key(),
    _run(),
    *_integers("end_ms", "equity_minor", "equity_low_minor", "balance_minor"),
)

refusals = Table(
    "refusals",
    metadata,
    _event_key(),
    _run(),
    *_integers("bar_end_ms", "side", "reason"),
)

breakers = Table(
    "breakers",
    metadata,
    _event_key(),
    _run(),
    *_integers("ts_ms", "reason", "until_ms"),
    *_texts("detail"),
)

orders = Table(
    "orders",
    metadata,
    # the key makes the journal refuse a second intent of one id: it could only be a second send
    Column("client_order_id", Text, primary_key=True),
    _event(),
    _run(),
    *_texts("kind", "symbol", "status", "error_code"),
    *_integers("side", "volume_cu", "reason", "sl_px", "tp_px", "bar_end_ms"),
    *_integers("position_id", "order_id", "executed_cu", "updated_ms"),
    Column("risk_minor", Double, nullable=False),
)

deals = Table(
    "deals",
    metadata,
    _key("deal_id"),
    _event(),
    _run(),
    *_integers("order_id", "position_id", "side", "volume_cu", "price_px", "ts_ms", "commission_minor"),
    # of a closing deal; closed_cu is 0 for one that opened
    *_integers("entry_px", "gross_minor", "swap_minor", "closing_commission_minor", "fee_minor"),
    *_integers("closed_cu", "balance_minor", "exit_reason"),
    Index("deals_position", "position_id"),
)

positions = Table(
    "positions",
    metadata,
    _key("position_id"),
    _event(),
    _run(),
    *_texts("symbol", "label"),
    *_integers("side", "volume_cu", "entry_px", "open_ms", "sl_first_px", "tp_first_px"),
    Column("sl_px", BigInteger),
    Column("tp_px", BigInteger),
)

trades = Table(
    "trades",
    metadata,
    _key("position_id"),
    _event(),
    _run(),
    *_integers("entry_ms", "exit_ms", "side", "volume_cu", "entry_px", "sl_px", "tp_px"),
    Column("exit_px", Double, nullable=False),
    *_integers("exit_reason", "pnl_minor", "gross_minor", "swap_minor", "commission_minor", "fee_minor"),
    Column("risk_minor", Double, nullable=False),
)

PROJECTIONS = (runs, decisions, equity, refusals, breakers, orders, deals, positions, trades)
