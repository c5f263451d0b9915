"""The trading floor: all that the exchange is at one instant, and the few ways in which it changes.

Whatever changes here is noted for the books, and whatever is told is told in order. What should happen when is decided
by those who work on the floor: ``matching``, ``protection``, ``pending``, ``overnight``, ``stop_outs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from palmbot.errors import InvariantError
from palmbot.exchange.account import Account
from palmbot.exchange.agenda import Agenda, Work
from palmbot.exchange.changes import Changes, Kept
from palmbot.exchange.conduct import Conduct
from palmbot.exchange.feed import FeedTick, Rolls
from palmbot.exchange.held import Held
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.pit import Pit, put
from palmbot.exchange.prices import Prices
from palmbot.exchange.rates import Rates, rate_e8, rates_of
from palmbot.exchange.values import OrderView, Told
from palmbot.exchange.working import Stage, Working


class Floor:
    """Accounts, pits and plans of one exchange.

    Args:
        catalogue: what is listed.
        kept: where it goes on.
        conduct: delays and knobs.
        rolls: by symbol id.
        prices: knows the last bids, those that never move too.
    """

    def __init__(
        self, catalogue: Catalogue, kept: Kept, conduct: Conduct, rolls: Mapping[int, Rolls], prices: Prices
    ) -> None:
        self.catalogue = catalogue
        self.bid_px = prices.bid_px
        self.conduct = conduct
        self.now_ms = kept.now_ms
        self.counters = kept.counters
        self.agenda = Agenda(kept.tasks)
        self.changes = Changes()
        self.told: list[Told] = []
        self.rejects_next = ""  # the error code with which the next good order is rejected; empty = it is not
        ticks = dict(kept.ticks)
        self.pits = {
            each.symbol_id: Pit(each, rolls.get(each.symbol_id, ()), ticks.get(each.symbol_id))
            for each in catalogue.listings
        }
        self.accounts = {each.terms.account_id: Account(each) for each in kept.standings}
        for held in kept.positions:
            self._place(held)
        for working in kept.working:
            self._post(working)
        for account in self.accounts.values():
            account.remargin()
        self.changes = Changes()

    # -- ids and plans

    def order_id(self) -> int:
        """Return a new order id."""
        self.counters = self.counters._replace(order=self.counters.order + 1)
        return self.counters.order

    def position_id(self) -> int:
        """Return a new position id."""
        self.counters = self.counters._replace(position=self.counters.position + 1)
        return self.counters.position

    def deal_id(self) -> int:
        """Return a new deal id."""
        self.counters = self.counters._replace(deal=self.counters.deal + 1)
        return self.counters.deal

    def cash_id(self) -> int:
        """Return a new id of a cash operation."""
        self.counters = self.counters._replace(cash=self.counters.cash + 1)
        return self.counters.cash

    def plan(self, due_ms: int, work: Work, account_id: int, subject_id: int) -> None:
        """Plan what is to be done later."""
        task = self.agenda.plan(due_ms, work, account_id, subject_id)
        self.changes.tasks[task.key] = task

    def unplan(self, work: Work, subject_id: int) -> None:
        """Forget what was planned, if it was."""
        task = self.agenda.drop(work, subject_id)
        if task is not None:
            self.changes.tasks[task.key] = None

    # -- what accounts hold and ask for

    def hold(self, held: Held) -> Held:
        """Let an account hold a position as it is now."""
        account = self.accounts[held.account_id]
        before = account.positions.get(held.position_id)
        self._place(held)
        self.changes.positions[held.position_id] = held
        if before is None or (before.volume_cu, before.margin_minor) != (held.volume_cu, held.margin_minor):
            account.remargin()  # looks at all positions: not at every step of a trailing stop
        return held

    def release(self, held: Held) -> None:
        """Let a position go for good."""
        account = self.accounts[held.account_id]
        account.positions.pop(held.position_id, None)
        account.remargin()
        self.pits[held.symbol_id].drop(held.position_id)
        self.changes.positions[held.position_id] = None

    def work(self, working: Working) -> Working:
        """Let an order stand as it is now."""
        self._post(working)
        self.changes.working[working.order_id] = working
        self.changes.orders[working.order_id] = working.view
        return working

    def finish(self, working: Working, view: OrderView) -> OrderView:
        """Let an order end as ``view``."""
        self.accounts[view.account_id].orders.pop(view.order_id, None)
        self.pits[view.symbol_id].pending.pop(view.order_id, None)
        self.unplan(Work.EXECUTE, view.order_id)
        self.unplan(Work.EXPIRE, view.order_id)
        self.changes.working[working.order_id] = None
        self.changes.orders[view.order_id] = view
        return view

    def book(self, account: Account, delta_minor: int) -> None:
        """Change a balance."""
        account.book(delta_minor)
        self.note(account)

    def note(self, account: Account) -> None:
        """Let the books know that an account is not what it was."""
        self.changes.standings[account.account_id] = account.standing

    def _place(self, held: Held) -> None:
        account, pit = self.accounts[held.account_id], self.pits[held.symbol_id]
        put(account.positions, held.position_id, held)
        if held.volume_cu:
            pit.hold(held, self.now_ms)
        else:
            pit.drop(held.position_id)

    def _post(self, working: Working) -> None:
        view = working.view
        put(self.accounts[view.account_id].orders, view.order_id, working)
        pending = self.pits[view.symbol_id].pending
        if working.stage is Stage.RESTING:
            put(pending, view.order_id, working)
        else:
            pending.pop(view.order_id, None)

    # -- what things are worth

    def last(self, symbol_id: int) -> FeedTick:
        """Return the last tick of a symbol.

        Raises:
            InvariantError: it never quoted.
        """
        tick = self.pits[symbol_id].last
        if tick is None:
            raise InvariantError("NO_TICK_YET", "Report this: something traded in a market that never quoted.")
        return tick

    def rate_e8(self, pit: Pit) -> int:
        """Return the rate of a symbol's quote currency to the deposit currency; 0 where it is not known."""
        catalogue = self.catalogue
        if pit.listing.symbol_id == catalogue.traded_id and pit.last is not None:
            return pit.last.rate_e8
        return rate_e8(catalogue, self.bid_px, pit.listing.quote_asset_id, catalogue.deposit_asset_id)

    def rates(self, pit: Pit) -> Rates:
        """Return what charges in a symbol are converted with."""
        return rates_of(self.catalogue, pit.listing, self.rate_e8(pit), self.bid_px)

    def gross_minor(self, held: Held) -> int:
        """Return the unrealized profit of a position before charges."""
        if not held.volume_cu:
            return 0
        pit = self.pits[held.symbol_id]
        mark_px = held.mark_px(self.last(held.symbol_id))
        return held.gross_minor(mark_px, held.volume_cu, self.rate_e8(pit), pit.listing.spec.core.money_digits)

    def net_minor(self, held: Held) -> int:
        """Return what a position adds to the balance to give equity (PARITY 11)."""
        return self.gross_minor(held) + held.swap_minor + held.commission_minor

    def equity_minor(self, account: Account) -> int:
        """Return balance and floating result of an account."""
        return account.balance_minor + sum(map(self.net_minor, account.positions.values()))

    def retouched(self, held: Held, *, is_touched: bool) -> Held:
        """Remember whether the last tick touched a stop that needs two."""
        return held if held.is_touched == is_touched else self.hold(replace(held, is_touched=is_touched))
