"""Events, and the projections of runs, decisions, equity, orders, deals, positions, trades, refusals and breakers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _integers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _key(name: str, *constraints: Any) -> sa.Column[Any]:  # noqa: ANN401 - whatever a column takes
    return sa.Column(name, _ID, *constraints, primary_key=True, autoincrement=False)


def _of_event(name: str, *columns: sa.Column[Any]) -> None:
    """Create a projection with one row an event."""
    run = sa.Column("run_id", sa.Text, nullable=False)
    op.create_table(name, _key("seq", sa.ForeignKey("events.seq")), run, *columns)


def _of_thing(name: str, key: sa.Column[Any], *columns: sa.Column[Any]) -> None:
    """Create a projection with one row an order, a deal, a position or a trade."""
    seq = sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False)
    op.create_table(name, key, seq, sa.Column("run_id", sa.Text, nullable=False), *columns)


def upgrade() -> None:
    """Create everything."""
    op.create_table("events", _key("seq"), *_integers("ts_ms"), *_texts("kind", "body"))
    op.create_index("events_kind", "events", ["kind", "seq"])
    _append_only()
    _of_event(
        "runs",
        *_integers("started_ms", "start_balance_minor"),
        *_texts("mode", "symbol", "profile", "version", "core_hash", "data_fingerprint"),
        sa.Column("synthetic", sa.Boolean, nullable=False),
    )
    _of_event(
        "decisions",
        *_integers("end_ms", "action", "reason", "side", "volume_cu"),
        sa.Column("rsi", sa.Double),
        sa.Column("sentiment", sa.Double),
    )
    _of_event("equity", *_integers("end_ms", "equity_minor", "equity_low_minor", "balance_minor"))
    _of_event("refusals", *_integers("bar_end_ms", "side", "reason"))
    _of_event("breakers", *_integers("ts_ms", "reason", "until_ms"), *_texts("detail"))
    _trading()


def _append_only() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
            "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        )


def _trading() -> None:
    _of_thing(
        "orders",
        sa.Column("client_order_id", sa.Text, primary_key=True),
        *_texts("kind", "symbol", "status", "error_code"),
        *_integers("side", "volume_cu", "reason", "sl_px", "tp_px", "bar_end_ms"),
        *_integers("position_id", "order_id", "executed_cu", "updated_ms"),
        sa.Column("risk_minor", sa.Double, nullable=False),
    )
    _of_thing(
        "deals",
        _key("deal_id"),
        *_integers("order_id", "position_id", "side", "volume_cu", "price_px", "ts_ms", "commission_minor"),
        *_integers("entry_px", "gross_minor", "swap_minor", "closing_commission_minor", "fee_minor"),
        *_integers("closed_cu", "balance_minor", "exit_reason"),
    )
    op.create_index("deals_position", "deals", ["position_id"])
    _of_thing(
        "positions",
        _key("position_id"),
        *_texts("symbol", "label"),
        *_integers("side", "volume_cu", "entry_px", "open_ms", "sl_first_px", "tp_first_px"),
        sa.Column("sl_px", sa.BigInteger),
        sa.Column("tp_px", sa.BigInteger),
    )
    _of_thing(
        "trades",
        _key("position_id"),
        *_integers("entry_ms", "exit_ms", "side", "volume_cu", "entry_px", "sl_px", "tp_px"),
        sa.Column("exit_px", sa.Double, nullable=False),
        *_integers("exit_reason", "pnl_minor", "gross_minor", "swap_minor", "commission_minor", "fee_minor"),
        sa.Column("risk_minor", sa.Double, nullable=False),
    )
