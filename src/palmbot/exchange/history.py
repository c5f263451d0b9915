"""What the books remember of an account, for the lists of the wire: newest first, at most ``limit`` rows.

For "is there more" ask for one row more than is shown. Windows include both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from palmbot.exchange.values import CashView, DealView, OrderView


@dataclass(frozen=True, slots=True)
class Window:
    """A span of market time, both ends included, and how many rows of it."""

    from_ms: int = 0
    to_ms: int = 1 << 62
    limit: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Offset:
    """A part of a deal that another deal closed, or was closed by."""

    deal_id: int
    volume_cu: int
    ts_ms: int
    price_px: int


EVERYTHING = Window()


class HistorySignatures(Protocol):
    """The signatures of ``Books.history``, while it is being built."""

    def deals(self, account_id: int, window: Window) -> list[DealView]:
        """Return deals by the time of their execution."""

    def deals_of_position(self, account_id: int, position_id: int, window: Window = EVERYTHING) -> list[DealView]:
        """Return the deals of a position, open or closed."""

    def deals_of_order(self, account_id: int, order_id: int) -> list[DealView]:
        """Return the deals of an order."""

    def orders(self, account_id: int, window: Window) -> list[OrderView]:
        """Return open and finished orders by the time of their last change."""

    def orders_of_position(self, account_id: int, position_id: int, window: Window = EVERYTHING) -> list[OrderView]:
        """Return the orders of a position, protective ones too."""

    def order(self, account_id: int, order_id: int) -> OrderView | None:
        """Return an order in its last state; None where there was none."""

    def offsets(self, account_id: int, deal_id: int) -> tuple[list[Offset], list[Offset]] | None:
        """Return what closed a deal and what it closed, first in first out; None where there is no such deal."""

    def cash(self, account_id: int, window: Window) -> list[CashView]:
        """Return deposits, withdrawals and charges by their time."""
