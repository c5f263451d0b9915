"""The exchange itself: accounts and symbols, what is asked, what the market does, and what of it is told, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from palmbot.exchange.conduct import Conduct
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.terms import MarginCall, Terms
from palmbot.exchange.values import (
    CashKind,
    OrderView,
    PositionView,
    Refused,
    Request,
    Told,
)


class Unrealized(NamedTuple):
    """What an open position would bring now; ``net_minor`` is without the coming commission (sheet 4.4)."""

    position_id: int
    gross_minor: int
    net_minor: int


class AccountReads(Protocol):
    """What may be read of an account (``exchange.account.Account``)."""

    terms: Terms
    balance_minor: int
    balance_version: int
    margin_calls: tuple[MarginCall, ...]

    @property
    def used_margin_minor(self) -> int:
        """Margin in use, hedged legs combined as the terms say."""

    def position_views(self) -> list[PositionView]:
        """Return the open positions, by id."""

    def order_views(self, *, with_protection: bool) -> list[OrderView]:
        """Return the pending orders by id, then with them the protective orders of open positions."""


class VenueReads(Protocol):
    """The signatures of ``Venue``, while it is being built."""

    catalogue: Catalogue
    conduct: Conduct  # may be replaced at any time: that is how faults are played
    now_ms: int  # market time
    accounts: Mapping[int, AccountReads]

    def last(self, symbol_id: int) -> FeedTick | None:
        """Return the last tick of a symbol; None before the first."""

    def tick(self, symbol_id: int, tick: FeedTick) -> list[Told]:
        """Let the market of a symbol reach ``tick``; return what that did, in order."""

    def due_ms(self) -> int | None:
        """Return when time alone does something next; None where nothing is waiting."""

    def advance(self, now_ms: int) -> list[Told]:
        """Let time pass without a tick: delayed fills, protections, expiries, swaps and rolls up to ``now_ms``."""

    def request(self, account_id: int, request: Request, asked: str = "") -> list[Told] | Refused:
        """Carry out ``request`` at the last quotes, or say why not. ``asked`` comes back on what answers it."""

    def cash(self, account_id: int, kind: CashKind, delta_minor: int, note: str = "") -> list[Told] | Refused:
        """Change a balance by no trade; ``delta_minor`` < 0 takes. More than is free is refused."""

    def set_terms(self, terms: Terms) -> list[Told]:
        """Replace an account's terms: rights, leverage, ..."""

    def set_margin_call(self, account_id: int, kind: int, threshold_pct: float) -> list[Told] | Refused:
        """Move one threshold of an account (61, 62 or 63)."""

    def equity_minor(self, account_id: int) -> int:
        """Return balance and unrealized net result of an account at the last quotes."""

    def unrealized(self, account_id: int) -> list[Unrealized]:
        """Return what each open position would bring now, by position id."""

    def expected_margin(self, account_id: int, symbol_id: int, volume_cu: int) -> tuple[int, int] | Refused:
        """Return the margin that buying and that selling ``volume_cu`` would need, in minor units."""

    def reject_next(self, error_code: str) -> None:
        """Let the next good order be accepted and then rejected with ``error_code``: a fault to test with."""
