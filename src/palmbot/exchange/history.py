"""What the books remember of an account, for the lists of the wire: newest first, at most ``limit`` rows.

For "is there more" ask for one row more than is shown. Windows include both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from palmbot.exchange import tables
from palmbot.exchange.offsets import Offset, paired
from palmbot.exchange.values import CashView, DealView, OrderView

Rows: TypeAlias = Callable[..., list[tuple[Any, ...]]]  # a query and its values; the rows that it finds


@dataclass(frozen=True, slots=True)
class Window:
    """A span of market time, both ends included, and how many rows of it."""

    from_ms: int = 0
    to_ms: int = 1 << 62
    limit: int = 1_000_000


EVERYTHING = Window()
_DEALS = "SELECT * FROM deals WHERE account_id = ? AND"
_ORDERS = "SELECT * FROM orders WHERE account_id = ? AND"
_CASH = "SELECT * FROM cash WHERE account_id = ? AND"
_IN_WINDOW = "BETWEEN ? AND ? ORDER BY"


class History:
    """The lists of the books."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def deals(self, account_id: int, window: Window) -> list[DealView]:
        """Return deals by the time of their execution."""
        query = f"{_DEALS} ts_ms {_IN_WINDOW} ts_ms DESC, deal_id DESC LIMIT ?"
        rows = self._rows(query, account_id, window.from_ms, window.to_ms, window.limit)
        return list(map(tables.DEAL.value, rows))

    def deals_of_position(self, account_id: int, position_id: int, window: Window = EVERYTHING) -> list[DealView]:
        """Return the deals of a position, open or closed."""
        query = f"{_DEALS} position_id = ? AND ts_ms {_IN_WINDOW} ts_ms DESC, deal_id DESC LIMIT ?"
        rows = self._rows(query, account_id, position_id, window.from_ms, window.to_ms, window.limit)
        return list(map(tables.DEAL.value, rows))

    def deals_of_order(self, account_id: int, order_id: int) -> list[DealView]:
        """Return the deals of an order."""
        rows = self._rows(f"{_DEALS} order_id = ? ORDER BY deal_id DESC", account_id, order_id)
        return list(map(tables.DEAL.value, rows))

    def orders(self, account_id: int, window: Window) -> list[OrderView]:
        """Return open and finished orders by the time of their last change."""
        query = f"{_ORDERS} updated_ms {_IN_WINDOW} updated_ms DESC, order_id DESC LIMIT ?"
        rows = self._rows(query, account_id, window.from_ms, window.to_ms, window.limit)
        return list(map(tables.ORDER.value, rows))

    def orders_of_position(self, account_id: int, position_id: int, window: Window = EVERYTHING) -> list[OrderView]:
        """Return the orders of a position, protective ones too."""
        query = f"{_ORDERS} position_id = ? AND updated_ms {_IN_WINDOW} updated_ms DESC, order_id DESC LIMIT ?"
        rows = self._rows(query, account_id, position_id, window.from_ms, window.to_ms, window.limit)
        return list(map(tables.ORDER.value, rows))

    def order(self, account_id: int, order_id: int) -> OrderView | None:
        """Return an order in its last state; None where there was none."""
        rows = self._rows(f"{_ORDERS} order_id = ?", account_id, order_id)
        return tables.ORDER.value(rows[0]) if rows else None

    def offsets(self, account_id: int, deal_id: int) -> tuple[list[Offset], list[Offset]] | None:
        """Return what closed a deal and what it closed, first in first out; None where there is no such deal."""
        rows = self._rows(f"{_DEALS} deal_id = ?", account_id, deal_id)
        if not rows:
            return None
        deal = tables.DEAL.value(rows[0])
        return paired(deal, self.deals_of_position(account_id, deal.position_id)[::-1])

    def cash(self, account_id: int, window: Window) -> list[CashView]:
        """Return deposits, withdrawals and charges by their time."""
        query = f"{_CASH} ts_ms {_IN_WINDOW} ts_ms DESC, cash_id DESC LIMIT ?"
        rows = self._rows(query, account_id, window.from_ms, window.to_ms, window.limit)
        return list(map(tables.CASH.value, rows))
