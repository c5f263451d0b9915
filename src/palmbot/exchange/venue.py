"""The exchange itself: accounts and symbols, what is asked, what the market does, and what of it is told, in order.

On a tick, in this order (PARITY 20-21): what time brought since the tick before, by time; then the protective orders of
the symbol, by position id; its pending orders, by id; its trailing stops; margin calls and stop-outs by account. The
quote itself is the engine's to tell, after all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from palmbot.core.fills import NEVER_MS
from palmbot.exchange import cash, margining, matching, overnight, pending, protection, requests, stop_outs
from palmbot.exchange.account import Account
from palmbot.exchange.agenda import Task, Work
from palmbot.exchange.changes import Changes, Kept, Mark
from palmbot.exchange.conduct import Conduct
from palmbot.exchange.feed import FeedTick, Rolls
from palmbot.exchange.floor import Floor
from palmbot.exchange.listing import Catalogue, TradingMode
from palmbot.exchange.margin import position_minor
from palmbot.exchange.pit import Pit
from palmbot.exchange.prices import Prices
from palmbot.exchange.refusals import no_symbol
from palmbot.exchange.terms import Terms
from palmbot.exchange.values import (
    CashKind,
    MarginCallSet,
    MarginMoved,
    Refused,
    Request,
    Told,
    TraderChanged,
    Via,
)

NO_ROLLS: Mapping[int, Rolls] = MappingProxyType({})


class Unrealized(NamedTuple):
    """What an open position would bring now; ``net_minor`` is without the coming commission (sheet 4.4)."""

    position_id: int
    gross_minor: int
    net_minor: int


class Venue:
    """One simulated broker.

    Args:
        catalogue: what is listed.
        kept: where it goes on, from ``Books.kept``.
        conduct: delays and knobs.
        rolls: of each symbol whose contracts roll, by symbol id.
        prices: what is served of the past; None begins with nothing.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        kept: Kept,
        conduct: Conduct | None = None,
        rolls: Mapping[int, Rolls] = NO_ROLLS,
        prices: Prices | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.prices = Prices(catalogue) if prices is None else prices
        chosen = Conduct() if conduct is None else conduct
        self._floor = Floor(catalogue, kept, chosen, rolls, self.prices)

    # -- reading

    @property
    def conduct(self) -> Conduct:
        """Delays and knobs. They may be replaced at any time: that is how faults are played."""
        return self._floor.conduct

    @conduct.setter
    def conduct(self, conduct: Conduct) -> None:
        self._floor.conduct = conduct

    @property
    def now_ms(self) -> int:
        """Market time; 0 before the first tick."""
        return self._floor.now_ms

    @property
    def accounts(self) -> Mapping[int, Account]:
        """All accounts by id."""
        return self._floor.accounts

    @property
    def mark(self) -> Mark:
        """How far it is."""
        return Mark(self._floor.now_ms, self._floor.counters)

    @property
    def changes(self) -> Changes:
        """What is to be committed before any of it is told; whoever has done so clears it."""
        return self._floor.changes

    def last(self, symbol_id: int) -> FeedTick | None:
        """Return the last tick of a symbol; None before the first, and of what is not listed."""
        pit = self._floor.pits.get(symbol_id)
        return None if pit is None else pit.last

    def kept(self) -> Kept:
        """Return all that it is, as the books would have it after a commit."""
        floor = self._floor
        accounts = floor.accounts.values()
        positions = (held for account in accounts for held in account.positions.values())
        orders = (working for account in accounts for working in account.orders.values())
        return Kept(
            standings=tuple(account.standing for account in accounts),
            positions=tuple(sorted(positions, key=lambda held: held.position_id)),
            working=tuple(sorted(orders, key=lambda working: working.order_id)),
            tasks=tuple(sorted(floor.agenda.tasks.values(), key=lambda task: task.seq)),
            counters=floor.counters,
            now_ms=floor.now_ms,
            ticks=tuple((number, pit.last) for number, pit in sorted(floor.pits.items()) if pit.last is not None),
        )

    def equity_minor(self, account_id: int) -> int:
        """Return balance and unrealized net result of an account at the last quotes."""
        return self._floor.equity_minor(self._floor.accounts[account_id])

    def unrealized(self, account_id: int) -> list[Unrealized]:
        """Return what each open position would bring now, by position id."""
        floor = self._floor
        return [
            Unrealized(held.position_id, floor.gross_minor(held), floor.net_minor(held))
            for held in floor.accounts[account_id].open
        ]

    def expected_margin(self, account_id: int, symbol_id: int, volume_cu: int) -> tuple[int, int] | Refused:
        """Return the margin that buying and that selling ``volume_cu`` would need, in minor units."""
        floor = self._floor
        pit, account = floor.pits.get(symbol_id), floor.accounts[account_id]
        if pit is None:
            return no_symbol(floor.conduct.knobs, symbol_id)
        if pit.last is None:
            return Refused("NO_QUOTES", "There is no quote yet", Via.ERROR_RES)
        rates = floor.rates(pit)
        buy, sell = (
            margining.margin_minor(floor, account, symbol_id, (side, volume_cu), (price_px, rates))
            for side, price_px in ((1, pit.last.ask_px), (-1, pit.last.bid_px))
        )
        return buy, sell

    # -- time

    def tick(self, symbol_id: int, tick: FeedTick) -> list[Told]:
        """Let the market of a symbol reach ``tick``; return what that did, in order."""
        floor = self._floor
        due_ms = self.due_ms()
        if due_ms is not None and due_ms <= tick.ts_ms:
            self._let_pass(tick.ts_ms)
        floor.now_ms = max(floor.now_ms, tick.ts_ms)
        pit = floor.pits[symbol_id]
        pit.last = tick
        self.prices[symbol_id].add(tick)
        if pit.positions or pit.pending:
            self._meet(pit, tick)
        return self._told()

    def _meet(self, pit: Pit, tick: FeedTick) -> None:
        floor, mode = self._floor, pit.listing.trading_mode
        if mode is not TradingMode.DISABLED_WITHOUT_PENDINGS_EXECUTION:
            for held in tuple(pit.positions.values()):
                protection.meet(floor, pit, held, tick)
            for working in tuple(pit.pending.values()):
                pending.meet(floor, pit, working, tick)
        watched: dict[int, None] = {}
        for held in tuple(pit.positions.values()):
            watched[held.account_id] = None
            if held.levels.trailing:
                protection.trail(floor, held, tick)
        for account_id in watched:
            stop_outs.watch(floor, floor.accounts[account_id])

    def due_ms(self) -> int | None:
        """Return when time alone does something next; None where nothing is waiting."""
        task = self._floor.agenda.next()
        due_ms = NEVER_MS if task is None else task.due_ms
        for pit in self._floor.pits.values():
            due_ms = min(due_ms, pit.due_ms)
        return None if due_ms == NEVER_MS else due_ms

    def advance(self, now_ms: int) -> list[Told]:
        """Let time pass without a tick: delayed fills, protections, expiries, swaps and rolls up to ``now_ms``."""
        self._let_pass(now_ms)
        self._floor.now_ms = max(self._floor.now_ms, now_ms)
        return self._told()

    def _let_pass(self, until_ms: int) -> None:
        """Do what falls due, by time; at one instant charges before tasks (PARITY 20)."""
        floor = self._floor
        while True:
            task = floor.agenda.next()
            pit = min(floor.pits.values(), key=lambda pit: pit.due_ms)
            task_ms = NEVER_MS if task is None else task.due_ms
            due_ms = min(task_ms, pit.due_ms)
            if due_ms > until_ms:
                return
            floor.now_ms = max(floor.now_ms, due_ms)
            if pit.due_ms == due_ms:
                overnight.charge(floor, pit)
            elif task is not None:
                self._do(task)

    def _do(self, task: Task) -> None:
        floor = self._floor
        floor.unplan(task.work, task.subject_id)
        account = floor.accounts[task.account_id]
        if task.work is Work.PROTECT:
            held = account.positions.get(task.subject_id)
            if held is not None:
                protection.settle(floor, held)
            return
        working = account.orders.get(task.subject_id)
        if working is None:
            return
        if task.work is Work.EXECUTE:
            matching.execute_due(floor, working)
        else:
            pending.expire(floor, working)

    # -- requests

    def request(self, account_id: int, request: Request, asked: str = "") -> list[Told] | Refused:
        """Carry out ``request`` at the last quotes, or say why not: then nothing has changed.

        Args:
            account_id: whose; it must exist.
            request: what is asked for.
            asked: comes back on whatever answers it.
        """
        refused = requests.handle(self._floor, self._floor.accounts[account_id], request, asked)
        return self._told() if refused is None else refused

    def reject_next(self, error_code: str) -> None:
        """Let the next good order be accepted and then rejected with ``error_code``: a fault to test with."""
        self._floor.rejects_next = error_code

    # -- what the broker does

    def cash(self, account_id: int, kind: CashKind, delta_minor: int, note: str = "") -> list[Told] | Refused:
        """Change a balance by no trade; ``delta_minor`` < 0 takes. What is not free cannot be withdrawn."""
        floor = self._floor
        account = floor.accounts[account_id]
        free = min(floor.equity_minor(account) - account.used_margin_minor, account.balance_minor)
        if kind is CashKind.WITHDRAW and -delta_minor > free:
            return Refused("NOT_ENOUGH_MONEY", f"{-delta_minor} is more than the free {free}, in minor units")
        cash.book(floor, account, kind, delta_minor, note)
        return self._told()

    def set_terms(self, terms: Terms) -> list[Told]:
        """Replace an account's terms; another leverage changes the margin of its positions."""
        floor = self._floor
        account = floor.accounts[terms.account_id]
        is_other = terms.leverage_in_cents != account.terms.leverage_in_cents
        account.terms = terms
        floor.note(account)
        floor.told.append(TraderChanged(terms.account_id))
        for held in account.open if is_other else ():
            pit = floor.pits[held.symbol_id]
            price = (round(held.entry_px), floor.rates(pit))
            leverage = margining.leverage_of(floor, account, held.symbol_id, (held.side, 0), price)
            margin = position_minor(pit.listing, price[0], held.volume_cu, price[1].quote_e8, leverage)
            if margin != held.margin_minor:
                floor.hold(replace(held, margin_minor=margin))
                floor.told.append(MarginMoved(terms.account_id, held.position_id, margin))
        account.remargin()
        return self._told()

    def set_margin_call(self, account_id: int, kind: int, threshold_pct: float) -> list[Told] | Refused:
        """Move one threshold of an account (61, 62 or 63)."""
        floor = self._floor
        account = floor.accounts[account_id]
        if not any(call.kind == kind for call in account.margin_calls) or threshold_pct < 0:
            return Refused("INVALID_REQUEST", f"There is no margin call {kind} at {threshold_pct} %", Via.ERROR_RES)
        account.margin_calls = tuple(
            replace(call, threshold_pct=threshold_pct, updated_ms=floor.now_ms, told_ms=None)
            if call.kind == kind
            else call
            for call in account.margin_calls
        )
        floor.note(account)
        floor.told.append(MarginCallSet(account_id, kind, threshold_pct, floor.now_ms))
        return self._told()

    def _told(self) -> list[Told]:
        for account_id in tuple(self._floor.changes.standings):
            stop_outs.forgive(self._floor, self._floor.accounts[account_id])
        told, self._floor.told = self._floor.told, []
        return told
