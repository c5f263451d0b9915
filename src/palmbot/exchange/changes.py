"""What happened since the books were last written: whatever is in here is committed before any of it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from palmbot.exchange.agenda import Task, Work
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.held import Held
from palmbot.exchange.terms import MarginCall, Terms
from palmbot.exchange.values import CashView, DealView, OrderView
from palmbot.exchange.working import Working


class Counters(NamedTuple):
    """The last id given, by kind; ids are the exchange's, not an account's."""

    order: int = 0
    position: int = 0
    deal: int = 0
    cash: int = 0


NO_IDS = Counters()


class Mark(NamedTuple):
    """How far the exchange is: its time and its ids."""

    now_ms: int
    counters: Counters


@dataclass(frozen=True, slots=True)
class Standing:
    """An account but for what it holds and has asked for."""

    terms: Terms
    balance_minor: int
    balance_version: int = 0
    margin_calls: tuple[MarginCall, ...] = ()


class Dealt(NamedTuple):
    """A deal, and the spread and slippage in it as money <= 0; both are stated at the close, for both sides."""

    view: DealView
    spread_minor: int = 0
    slippage_minor: int = 0


@dataclass(slots=True)
class Changes:
    """The newest state of everything that changed, by id; None is gone."""

    standings: dict[int, Standing] = field(default_factory=dict)
    positions: dict[int, Held | None] = field(default_factory=dict)
    working: dict[int, Working | None] = field(default_factory=dict)
    orders: dict[int, OrderView] = field(default_factory=dict)
    tasks: dict[tuple[Work, int], Task | None] = field(default_factory=dict)
    deals: list[Dealt] = field(default_factory=list)
    cash: list[CashView] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (
            self.orders or self.positions or self.deals or self.cash or self.standings or self.working or self.tasks
        )

    def clear(self) -> None:
        """Begin anew: all of it is committed."""
        for part in (self.standings, self.positions, self.working, self.orders, self.tasks, self.deals, self.cash):
            part.clear()


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a venue goes on from, as the books have it."""

    standings: tuple[Standing, ...] = ()
    positions: tuple[Held, ...] = ()
    working: tuple[Working, ...] = ()
    tasks: tuple[Task, ...] = ()
    counters: Counters = NO_IDS
    now_ms: int = 0
    ticks: tuple[tuple[int, FeedTick], ...] = ()  # the last of each symbol
