"""From journal events to the rows of the projections: one function a kind, the same for writing and for rebuilding.

A projection depends on the events and their order alone, not on how they were batched. An event kind without a
function here (``state``, ``command``, ``note``, ...) has no projection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from palmbot.adapters import tables
from palmbot.model import Execution, IntentKind, JournalEvent, OrderKind

INTENDED: Final = "INTENDED"
_OPEN: Final = (INTENDED, Execution.ERROR.name, Execution.ACCEPTED.name, Execution.PARTIAL_FILL.name)
# statuses that an execution may follow; a late or repeated event never takes an order back from its end
_BEFORE: Final = {Execution.ACCEPTED: (INTENDED, Execution.ERROR.name)}

_RUN = select(tables.runs.c.run_id).order_by(tables.runs.c.seq.desc()).limit(1)
_DEAL = select(tables.deals.c.deal_id).where(tables.deals.c.deal_id == bindparam("id"))
_DEALS = select(tables.deals).where(tables.deals.c.position_id == bindparam("id")).order_by(tables.deals.c.seq)
_POSITION = select(tables.positions).where(tables.positions.c.position_id == bindparam("id"))
_TRADE = select(tables.trades.c.position_id).where(tables.trades.c.position_id == bindparam("id"))
_RISK = select(tables.orders.c.risk_minor).where(
    tables.orders.c.client_order_id == bindparam("id"), tables.orders.c.kind == IntentKind.ENTER.value
)
_SET_ORDER = update(tables.orders).where(
    tables.orders.c.client_order_id == bindparam("id"),
    tables.orders.c.status.in_(bindparam("before", expanding=True)),
)
_SET_POSITION = update(tables.positions).where(tables.positions.c.position_id == bindparam("id"))
_SET_TRADE = update(tables.trades).where(tables.trades.c.position_id == bindparam("id"))

Row = dict[str, Any]

_UNKNOWN: Final[Row] = {  # a position of which nothing was told yet
    **dict.fromkeys(("symbol", "label"), ""),
    **dict.fromkeys(("side", "volume_cu", "entry_px", "open_ms", "sl_first_px", "tp_first_px"), 0),
    **dict.fromkeys(("sl_px", "tp_px")),
}


class Stored(NamedTuple):
    """An event with its place in the journal."""

    seq: int
    event: JournalEvent


def project(connection: Connection, stored: Iterable[Stored]) -> None:
    """Bring every projection up to date with ``stored``, the events that follow those projected before.

    Raises:
        KeyError: the body of an event lacks a field of its kind.
        sqlalchemy.exc.IntegrityError: a second intent of one client order id.
    """
    projection = _Projection(connection)
    for seq, event in stored:
        handle = _HANDLERS.get(event.kind)
        if handle is not None:
            handle(projection, seq, event)
    projection.flush()


class _Projection:
    """The rows of one batch: appended ones wait for their table's single ``executemany``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.run_id: str = connection.execute(_RUN).scalar() or ""
        self._waiting: dict[Table, list[Row]] = {}

    def add(self, table: Table, seq: int, row: Row) -> None:
        """Append ``row`` to ``table`` at the next flush."""
        self._waiting.setdefault(table, []).append({"seq": seq, "run_id": self.run_id, **row})

    def insert(self, table: Table, seq: int, row: Row) -> None:
        """Append ``row`` to ``table`` now."""
        self.connection.execute(insert(table), {"seq": seq, "run_id": self.run_id, **row})

    def flush(self) -> None:
        """Write what waits."""
        for table, rows in self._waiting.items():
            self.connection.execute(insert(table), rows)
        self._waiting.clear()


def _copied(body: Row, *names: str) -> Row:
    return {name: body[name] for name in names}


def _run_started(projection: _Projection, seq: int, event: JournalEvent) -> None:
    projection.run_id = event.body["run_id"]
    texts = ("mode", "symbol", "profile", "version", "core_hash", "data_fingerprint")
    row = _copied(event.body, "start_balance_minor", *texts)
    projection.add(tables.runs, seq, {"started_ms": event.ts_ms, "synthetic": bool(event.body["synthetic"]), **row})


def _bar_closed(projection: _Projection, seq: int, event: JournalEvent) -> None:
    decision = ("end_ms", "action", "reason", "side", "volume_cu", "rsi", "sentiment")
    projection.add(tables.decisions, seq, _copied(event.body, *decision))
    equity = ("end_ms", "equity_minor", "equity_low_minor", "balance_minor")
    projection.add(tables.equity, seq, _copied(event.body, *equity))


def _refusal(projection: _Projection, seq: int, event: JournalEvent) -> None:
    projection.add(tables.refusals, seq, _copied(event.body, "bar_end_ms", "side", "reason"))


def _breaker(projection: _Projection, seq: int, event: JournalEvent) -> None:
    row = _copied(event.body, "reason", "until_ms", "detail")
    projection.add(tables.breakers, seq, {"ts_ms": event.ts_ms, **row})


def _intent(projection: _Projection, seq: int, event: JournalEvent) -> None:
    asked = ("client_order_id", "kind", "symbol", "side", "volume_cu", "reason", "sl_px", "tp_px", "position_id")
    row = _copied(event.body, *asked, "bar_end_ms", "risk_minor")
    answered = {"status": INTENDED, "error_code": "", "order_id": 0, "executed_cu": 0, "updated_ms": event.ts_ms}
    projection.add(tables.orders, seq, row | answered)


def _order_event(projection: _Projection, seq: int, event: JournalEvent) -> None:
    projection.flush()  # the intent this answers may wait in the same batch
    body = event.body
    fill, position = body["fill"], body["position"]
    if fill is not None:
        if projection.connection.execute(_DEAL, {"id": fill["deal_id"]}).first() is not None:
            return  # told before: a repeated event changes nothing
        _add_deal(projection, seq, fill, body["exit_reason"])
    _set_order(projection, body)
    if fill is not None or position is not None:
        _set_position(projection, seq, body)


def _set_order(projection: _Projection, body: Row) -> None:
    order, client_order_id = body["order"], body["request_id"]
    if not client_order_id and order is not None and order["kind"] != OrderKind.PROTECTION:
        client_order_id = order["client_order_id"]
    if not client_order_id:
        return  # the server's own doing: its protective orders carry ids of its invention
    execution = Execution(body["execution"])
    if execution is Execution.FILLED and order is not None and order["executed_cu"] < order["volume_cu"]:
        execution = Execution.PARTIAL_FILL  # some servers report slices as FILLED: the volumes decide
    row: Row = {"status": execution.name, "error_code": body["error_code"], "updated_ms": body["ts_ms"]}
    if order is not None:
        row |= _copied(order, "order_id", "executed_cu", "position_id")
    before = _BEFORE.get(execution, _OPEN)
    projection.connection.execute(_SET_ORDER, {**row, "id": client_order_id, "before": before})


def _add_deal(projection: _Projection, seq: int, fill: Row, exit_reason: int) -> None:
    ids = ("deal_id", "order_id", "position_id")
    row = _copied(fill, *ids, "side", "volume_cu", "price_px", "ts_ms", "commission_minor")
    money = ("entry_px", "gross_minor", "swap_minor", "fee_minor", "closed_cu", "balance_minor")
    close = fill["close"]
    if close is None:
        row |= dict.fromkeys((*money, "closing_commission_minor", "exit_reason"), 0)
    else:
        row |= _copied(close, *money)
        row |= {"closing_commission_minor": close["commission_minor"], "exit_reason": exit_reason}
    projection.insert(tables.deals, seq, row)


def _set_position(projection: _Projection, seq: int, body: Row) -> None:
    connection, fill, position = projection.connection, body["fill"], body["position"]
    position_id = position["position_id"] if position is not None else fill["position_id"]
    found = connection.execute(_POSITION, {"id": position_id}).mappings().first()
    known = None if found is None else dict(found)
    if known is None and fill is None and position["volume_cu"] == 0:
        return  # the empty shell of an order that has not filled
    closed = known is not None and known["volume_cu"] == 0
    if closed and fill is None:
        return
    row = _position_row(body, known)
    if closed:
        row["volume_cu"] = 0  # for good: a late deal adds to the trade, it opens nothing
    if known is None:
        projection.insert(tables.positions, seq, {"position_id": position_id, **row})
    else:
        connection.execute(_SET_POSITION, {**row, "id": position_id})
    if row["volume_cu"] == 0:
        _set_trade(projection, seq, {"position_id": position_id, **row})


def _position_row(body: Row, known: Row | None) -> Row:
    """Return what is now known of a position: the broker's snapshot first, else what its deals add up to."""
    fill, position, order = body["fill"], body["position"], body["order"]
    row = dict(_UNKNOWN) if known is None else _copied(known, *_UNKNOWN)
    if position is not None:
        # a position that has just closed carries price 0 and no levels; those of its life are kept
        lasting = ("symbol", "label", "side", "entry_px", "open_ms")
        row |= {name: position[name] for name in lasting if position[name]}
        row["volume_cu"] = position["volume_cu"]
        if position["volume_cu"] > 0:
            row |= _copied(position, "sl_px", "tp_px")
            row["sl_first_px"] = row["sl_first_px"] or position["sl_px"] or 0
            row["tp_first_px"] = row["tp_first_px"] or position["tp_px"] or 0
        return row
    close = fill["close"]
    row["side"] = row["side"] or (fill["side"] if close is None else -fill["side"])
    row["entry_px"] = row["entry_px"] or (fill["price_px"] if close is None else close["entry_px"])
    row["open_ms"] = row["open_ms"] or fill["ts_ms"]
    moved_cu = fill["volume_cu"] if close is None else -close["closed_cu"]
    row["volume_cu"] = max(0, row["volume_cu"] + moved_cu)
    if order is not None:
        row["symbol"] = row["symbol"] or order["symbol"]
        if close is None:
            row["label"] = row["label"] or order["client_order_id"]
    return row


def _set_trade(projection: _Projection, seq: int, position: Row) -> None:
    connection, position_id = projection.connection, position["position_id"]
    deals = [dict(deal) for deal in connection.execute(_DEALS, {"id": position_id}).mappings()]
    closing = [deal for deal in deals if deal["closed_cu"] > 0]
    if not closing:
        return
    opening = [deal for deal in deals if deal["closed_cu"] == 0]
    row = _trade_row(closing)
    row["entry_ms"] = min((deal["ts_ms"] for deal in opening), default=position["open_ms"])
    row |= {"side": position["side"], "sl_px": position["sl_first_px"], "tp_px": position["tp_first_px"]}
    row["risk_minor"] = connection.execute(_RISK, {"id": position["label"]}).scalar() or 0.0
    if connection.execute(_TRADE, {"id": position_id}).first() is None:
        projection.insert(tables.trades, seq, {"position_id": position_id, **row})
    else:
        connection.execute(_SET_TRADE, {**row, "id": position_id})


def _trade_row(closing: Sequence[Row]) -> Row:
    """Return what the closing deals of one position, in the order they were told, say about its trade."""
    last = closing[-1]
    volume_cu = sum(deal["closed_cu"] for deal in closing)
    row: Row = {
        "exit_ms": max(deal["ts_ms"] for deal in closing),
        "volume_cu": volume_cu,
        "entry_px": last["entry_px"],
        "exit_px": sum(deal["price_px"] * deal["closed_cu"] for deal in closing) / volume_cu,
        "exit_reason": last["exit_reason"],
        "gross_minor": sum(deal["gross_minor"] for deal in closing),
        "swap_minor": sum(deal["swap_minor"] for deal in closing),
        "commission_minor": sum(deal["closing_commission_minor"] for deal in closing),
        "fee_minor": sum(deal["fee_minor"] for deal in closing),
    }
    parts = ("gross_minor", "swap_minor", "commission_minor", "fee_minor")
    row["pnl_minor"] = sum(row[part] for part in parts)
    return row


_HANDLERS: Final[dict[str, Callable[[_Projection, int, JournalEvent], None]]] = {
    "run_started": _run_started,
    "bar_closed": _bar_closed,
    "intent": _intent,
    "order_event": _order_event,
    "refusal": _refusal,
    "breaker": _breaker,
}
