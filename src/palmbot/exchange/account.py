"""An account: what its holder agreed to, owns, holds and has asked for. It obeys; ``admission`` checks."""

from __future__ import annotations

from palmbot.exchange.changes import Standing
from palmbot.exchange.held import Held
from palmbot.exchange.margin import Leg, used_minor
from palmbot.exchange.values import AccountType, OrderView, PositionView, TotalMargin
from palmbot.exchange.working import Working


class Account:
    """One account. ``positions`` also holds what was closed and still waits for the end of its protective order."""

    def __init__(self, standing: Standing) -> None:
        self.terms = standing.terms
        self.balance_minor = standing.balance_minor
        self.balance_version = standing.balance_version
        self.margin_calls = standing.margin_calls
        self.positions: dict[int, Held] = {}  # by id, for ids only grow
        self.orders: dict[int, Working] = {}  # those that are not finished
        self.used_margin_minor = 0  # hedged legs combined as the terms say

    @property
    def account_id(self) -> int:
        """Its key in every request."""
        return self.terms.account_id

    @property
    def watched_pct(self) -> float:
        """Margin level above which nothing can happen for lack of margin."""
        return max([self.terms.stop_out_pct, *(call.threshold_pct for call in self.margin_calls)])

    @property
    def is_netted(self) -> bool:
        """Whether it has one position a symbol."""
        return self.terms.type is AccountType.NETTED

    @property
    def standing(self) -> Standing:
        """What is kept of it beside its positions and orders."""
        return Standing(self.terms, self.balance_minor, self.balance_version, self.margin_calls)

    @property
    def open(self) -> list[Held]:
        """Open positions by id."""
        return [held for held in self.positions.values() if held.volume_cu]

    def book(self, delta_minor: int) -> None:
        """Change the balance."""
        self.balance_minor += delta_minor
        self.balance_version += 1

    def remargin(self) -> None:
        """Add up the margin again, after a change of positions or terms."""
        kind = self.terms.total_margin
        if kind is TotalMargin.SUM:
            self.used_margin_minor = sum(held.margin_minor for held in self.positions.values())
        else:
            self.used_margin_minor = used_minor(map(leg_of, self.open), kind)

    def net_of(self, symbol_id: int) -> Held | None:
        """Return the open position of a netted account in a symbol."""
        return next((held for held in self.open if held.symbol_id == symbol_id), None)

    def side(self, symbol_id: int) -> int:
        """Return the side of the net volume in a symbol: 1, -1, or 0 where it is flat or balanced."""
        net = sum(held.side * held.volume_cu for held in self.positions.values() if held.symbol_id == symbol_id)
        return (net > 0) - (net < 0)

    # -- what its holder sees

    def position_views(self) -> list[PositionView]:
        """Return the open positions, by id."""
        return [held.view() for held in self.open]

    def order_views(self, *, with_protection: bool) -> list[OrderView]:
        """Return the pending orders by id, then with them the protective orders by position."""
        pending = [working.view for working in self.orders.values() if working.is_pending]
        if with_protection:
            pending += [held.protection() for held in self.positions.values() if held.protection_id]
        return pending


def leg_of(held: Held, net_minor: int = 0, step_cu: int = 1, min_cu: int = 1) -> Leg:
    """Return a position as margin sees it."""
    return Leg(
        held.position_id, held.symbol_id, held.side, held.volume_cu, held.margin_minor, net_minor, step_cu, min_cu
    )
