"""The trading pit of one symbol: its last tick, who has an interest in the next, and what time brings there."""

from __future__ import annotations

from bisect import bisect_right
from typing import TypeVar

from palmbot.calendar import is_open
from palmbot.core import fills
from palmbot.exchange.charges import next_rollover_ms, next_swap_ms
from palmbot.exchange.feed import FeedTick, Rolls
from palmbot.exchange.held import Held
from palmbot.exchange.listing import Listing
from palmbot.exchange.working import Working

Kind = TypeVar("Kind")


def put(by_id: dict[int, Kind], number: int, value: Kind) -> None:
    """Put ``value`` in its place: ids mostly grow, but a reserved one may come late."""
    is_late = bool(by_id) and number not in by_id and number < next(reversed(by_id))
    by_id[number] = value
    if is_late:
        ordered = sorted(by_id.items())
        by_id.clear()
        by_id.update(ordered)


class Pit:
    """One symbol of the exchange.

    Args:
        listing: the symbol.
        rolls: charged to positions that are open at their time.
        last: the last tick before, where this goes on from stored books.
    """

    def __init__(self, listing: Listing, rolls: Rolls = (), last: FeedTick | None = None) -> None:
        self.listing = listing
        self.last = last
        self.positions: dict[int, Held] = {}  # open ones of all accounts, by id
        self.pending: dict[int, Working] = {}  # orders of all accounts that wait for a tick, by id
        self.rolls = rolls
        self.due_ms = fills.NEVER_MS  # when the next charge is, while anything is open
        self.swap_ms = fills.NEVER_MS
        self.rollover_ms = fills.NEVER_MS  # the fee of accounts without swaps
        self.roll = len(rolls)
        self._slippage = (0, 0)  # (bar open it belongs to, px)

    def is_open(self, now_ms: int) -> bool:
        """Return whether the symbol is traded now."""
        return is_open(now_ms, self.listing.spec.session)

    def slippage_px(self, tick: FeedTick) -> int:
        """Return the slippage of the bar that ``tick`` belongs to."""
        if self._slippage[0] != tick.bar_open_px:
            self._slippage = (tick.bar_open_px, fills.slippage_px(self.listing.spec.core, tick.bar_open_px))
        return self._slippage[1]

    # -- positions

    def hold(self, held: Held, now_ms: int) -> None:
        """Take in a position; the first one begins to wait for charges."""
        if not self.positions:
            self._await_charges(now_ms)
        put(self.positions, held.position_id, held)

    def drop(self, position_id: int) -> None:
        """Let a position go; without any there are no charges, and none are made up for."""
        self.positions.pop(position_id, None)
        if not self.positions:
            self.due_ms = fills.NEVER_MS

    # -- charges

    def _await_charges(self, after_ms: int) -> None:
        self.swap_ms = next_swap_ms(self.listing, after_ms)
        self.rollover_ms = next_rollover_ms(self.listing, after_ms)
        self.roll = bisect_right(self.rolls, after_ms, key=lambda roll: roll[0])
        self._next()

    def passed(self) -> None:
        """Go on to the charge after the one that was due: a swap before the fee before a roll (PARITY 20)."""
        if self.swap_ms == self.due_ms:
            self.swap_ms = next_swap_ms(self.listing, self.due_ms)
        elif self.rollover_ms == self.due_ms:
            self.rollover_ms = next_rollover_ms(self.listing, self.due_ms)
        else:
            self.roll += 1
        self._next()

    def _next(self) -> None:
        roll_ms = self.rolls[self.roll][0] if self.roll < len(self.rolls) else fills.NEVER_MS
        self.due_ms = min(self.swap_ms, self.rollover_ms, roll_ms)
