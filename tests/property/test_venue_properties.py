"""The venue under random requests, ticks and restarts: nothing is lost, nothing is doubled, the books always agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.exchange.desk import BALANCE, OPEN, spec, tick
from tests.unit.exchange.house import standing

from palmbot.exchange.books import Books, Place
from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.conduct import Conduct, Delays, VenueKnobs
from palmbot.exchange.history import Window
from palmbot.exchange.values import (
    AccountType,
    AmendOrder,
    AmendPosition,
    Brackets,
    CancelOrder,
    CashKind,
    ClosePosition,
    NewOrder,
    OrderStatus,
    Refused,
    Report,
    Request,
    StopOutOrder,
    TimeInForce,
    Told,
    TotalMargin,
    Trigger,
)
from palmbot.exchange.venue import Venue
from palmbot.exchange.working import Stage
from palmbot.model import OrderKind
from palmbot.units import HOUR_MS, PX

HEDGED, NETTED, POOR = 1, 2, 3
SPEC = spec(always_open=True, swap_long=-(10**9), swap_short=-(10**8), swap_time_ms=3 * HOUR_MS, conversion_fee_bp=7)
CATALOGUE = catalogue_of(SPEC)
STANDINGS = (
    standing(CATALOGUE, HEDGED, BALANCE),
    standing(CATALOGUE, NETTED, BALANCE, type=AccountType.NETTED, total_margin=TotalMargin.NET),
    standing(CATALOGUE, POOR, 560_000, is_fair_stop_out=False, stop_out_order=StopOutOrder.MOST_LOSING_FIRST),
)
STARTS = {each.terms.account_id: each.balance_minor for each in STANDINGS}
OVER = frozenset({OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.CANCELLED})

accounts = st.sampled_from([HEDGED, HEDGED, NETTED, POOR])
sides = st.sampled_from([1, -1])
volumes = st.sampled_from([1, 2, 40, 100, 250]).map(lambda steps: 25 * steps)
distances = st.none() | st.integers(1, 80).map(lambda points: points * PX)
offsets = st.integers(-30, 30).map(lambda points: points * PX)  # from the bid
picks = st.integers(0, 99)  # which of what there is


@st.composite
def asked_brackets(draw: st.DrawFn) -> Brackets:
    sl_distance_px = draw(distances)
    trailing = sl_distance_px is not None and draw(st.booleans())
    trigger = draw(st.sampled_from(Trigger))
    return Brackets(sl_distance_px=sl_distance_px, tp_distance_px=draw(distances), trailing=trailing, trigger=trigger)


@st.composite
def new_orders(draw: st.DrawFn) -> NewOrder:
    """An order whose prices are still offsets from the bid, and whose position is a pick among those there are."""
    kind = draw(st.sampled_from([OrderKind.MARKET, OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP,
                                 OrderKind.STOP_LIMIT, OrderKind.MARKET_RANGE]))  # fmt: skip
    in_force = draw(st.sampled_from([None] * 4 + [TimeInForce.GOOD_TILL_DATE, TimeInForce.FILL_OR_KILL]))
    side = draw(sides)
    return NewOrder(
        symbol_id=TRADED_ID,
        kind=kind,
        side=side,
        volume_cu=draw(volumes),
        brackets=draw(asked_brackets()),
        limit_px=draw(offsets),
        stop_px=side * abs(draw(offsets)) if kind in {OrderKind.STOP, OrderKind.STOP_LIMIT} else None,
        base_px=draw(offsets),
        slippage_points=draw(st.integers(0, 30_000)),
        time_in_force=in_force,
        expires_ms=draw(st.integers(-1, 60)) * 1_000,
        position_id=draw(st.none() | picks),
    )


class Exchange(RuleBasedStateMachine):
    """A venue and its books, which are read back after every step."""

    @initialize(delays=st.sampled_from([Delays(), Delays(0, 0), Delays(130, 0)]), keeps=st.booleans())
    def begin(self, delays: Delays, keeps: bool) -> None:
        self.books = Books(":memory:")
        self.conduct = Conduct(delays, VenueKnobs(flip_keeps_position=keeps))
        kept = self.books.kept(CATALOGUE, STANDINGS)
        self.venue = Venue(CATALOGUE, kept, self.conduct)
        self.bid = 4_000
        self.ended: set[int] = set()
        self.moves(0, 1_000)

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()

    def settle(self, told: Sequence[Told] | Refused) -> None:
        """Commit, and look at what is told."""
        if isinstance(told, Refused):
            assert self.venue.changes.is_empty
            return
        last = self.venue.last(TRADED_ID)
        place = None if last is None else Place({TRADED_ID: last}, {}, {})
        self.books.save(self.venue.changes, self.venue.mark, place)
        self.venue.changes.clear()
        for each in told:
            if not isinstance(each, Report):
                continue
            assert each.ts_ms <= self.venue.now_ms
            if each.order is not None:
                assert each.order.order_id not in self.ended, "an event of an order that was over"
                assert 0 <= each.order.executed_cu <= each.order.volume_cu
                if each.order.status in OVER:
                    self.ended.add(each.order.order_id)

    @rule(points=st.integers(-40, 40) | st.sampled_from([-150, 150]), ms=st.integers(1, 40_000))
    def moves(self, points: int, ms: int) -> None:
        self.bid = min(max(self.bid + points, 3_500), 4_500)
        at_ms = max(self.venue.now_ms, OPEN) + ms
        self.settle(self.venue.tick(TRADED_ID, tick(at_ms, self.bid, jump=points % 7 == 0)))

    @rule(ms=st.sampled_from([1, 20, 130, 60_000, 4 * HOUR_MS]))
    def waits(self, ms: int) -> None:
        self.settle(self.venue.advance(self.venue.now_ms + ms))

    def asks(self, account_id: int, request: Request) -> None:
        self.settle(self.venue.request(account_id, request, "m"))

    def pending(self) -> list[tuple[int, int]]:
        accounts_ = self.venue.accounts.items()
        return sorted((account_id, number) for account_id, account in accounts_ for number in account.orders)

    def held(self) -> list[tuple[int, int]]:
        accounts_ = self.venue.accounts.items()
        return sorted((account_id, number) for account_id, account in accounts_ for number in account.positions)

    def at(self, offset: int | None) -> int | None:
        return None if offset is None else self.bid * PX + offset

    @rule(account_id=accounts, order=new_orders())
    def orders(self, account_id: int, order: NewOrder) -> None:
        placed = replace(
            order,
            limit_px=self.at(order.limit_px),
            stop_px=self.at(order.stop_px),
            base_px=self.at(order.base_px),
            expires_ms=self.venue.now_ms + (order.expires_ms or 0),
            position_id=None,
        )
        held = self.held()
        if held and order.position_id is not None:
            account_id, position_id = held[order.position_id % len(held)]
            placed = replace(placed, position_id=position_id)
        self.asks(account_id, placed)

    @precondition(lambda self: self.pending())
    @rule(pick=picks, asked=asked_brackets(), offset=offsets, volume_cu=st.none() | volumes)
    def amends(self, pick: int, asked: Brackets, offset: int, volume_cu: int | None) -> None:
        account_id, order_id = self.pending()[pick % len(self.pending())]
        side, price = self.venue.accounts[account_id].orders[order_id].view.side, self.at(offset)
        stop_px = self.at(side * abs(offset) + side * 3 * PX)
        self.asks(account_id, AmendOrder(order_id, asked, volume_cu, price, stop_px, slippage_points=100))

    @precondition(lambda self: self.pending())
    @rule(pick=picks)
    def cancels(self, pick: int) -> None:
        account_id, order_id = self.pending()[pick % len(self.pending())]
        self.asks(account_id, CancelOrder(order_id))

    @precondition(lambda self: self.held())
    @rule(pick=picks, sl=st.none() | offsets, tp=st.none() | offsets)
    def guards(self, pick: int, sl: int | None, tp: int | None) -> None:
        account_id, position_id = self.held()[pick % len(self.held())]
        side = self.venue.accounts[account_id].positions[position_id].side
        sl_px = None if sl is None else self.at(-side * abs(sl))
        self.asks(account_id, AmendPosition(position_id, sl_px, None if tp is None else self.at(side * abs(tp))))

    @precondition(lambda self: self.held())
    @rule(pick=picks, volume_cu=volumes, is_all=st.booleans())
    def closes(self, pick: int, volume_cu: int, is_all: bool) -> None:
        account_id, position_id = self.held()[pick % len(self.held())]
        held = self.venue.accounts[account_id].positions[position_id]
        self.asks(account_id, ClosePosition(position_id, held.volume_cu if is_all else volume_cu))

    @rule(account_id=accounts, delta=st.sampled_from([-700_000, -100, 1_000]))
    def pays(self, account_id: int, delta: int) -> None:
        kind = CashKind.DEPOSIT if delta > 0 else CashKind.WITHDRAW
        self.settle(self.venue.cash(account_id, kind, delta))

    @rule(slice_cu=st.sampled_from([None, 500]), liquidity_cu=st.sampled_from([None, 1_000, 0]))
    def turns(self, slice_cu: int | None, liquidity_cu: int | None) -> None:
        knobs = replace(self.conduct.knobs, slice_cu=slice_cu, liquidity_cu=liquidity_cu)
        self.venue.conduct = replace(self.conduct, knobs=knobs)

    @rule()
    def restarts(self) -> None:
        self.venue = Venue(CATALOGUE, self.books.kept(CATALOGUE, ()), self.conduct)

    # -- what holds at any time

    @invariant()
    def the_books_are_the_venue(self) -> None:
        if hasattr(self, "books"):
            kept = self.books.kept(CATALOGUE, ())
            assert kept == self.venue.kept()
            again = Venue(CATALOGUE, kept, self.conduct)
            assert again.kept() == kept
            assert again.due_ms() == self.venue.due_ms()
            for account_id, account in self.venue.accounts.items():
                assert again.accounts[account_id].used_margin_minor == account.used_margin_minor
                assert again.equity_minor(account_id) == self.venue.equity_minor(account_id)

    @invariant()
    def the_money_adds_up(self) -> None:
        if not hasattr(self, "books"):
            return
        for account_id, account in self.venue.accounts.items():
            closes = [each.close for each in self.books.history.deals(account_id, Window()) if each.close is not None]
            cash = self.books.history.cash(account_id, Window())
            booked = sum(each.gross_minor + each.swap_minor + each.commission_minor + each.fee_minor for each in closes)
            assert account.balance_minor == STARTS[account_id] + booked + sum(each.delta_minor for each in cash)
            assert account.balance_version == len(closes) + len(cash)
            assert account.used_margin_minor >= 0

    @invariant()
    def volumes_are_the_sum_of_deals(self) -> None:
        if not hasattr(self, "books"):
            return
        for account_id, account in self.venue.accounts.items():
            net: Counter[int] = Counter()
            for deal in self.books.history.deals(account_id, Window()):
                net[deal.position_id] += deal.side * deal.filled_cu
            for held in account.positions.values():
                assert held.side * held.volume_cu == net.pop(held.position_id, 0)
                assert held.volume_cu % SPEC.core.volume_step_cu == 0
            assert not +net
            assert not -net

    @invariant()
    def a_position_has_one_protective_order_at_most_and_the_books_know_it(self) -> None:
        if not hasattr(self, "books"):
            return
        for account_id, account in self.venue.accounts.items():
            found = Counter(
                order.position_id
                for order in self.books.history.orders(account_id, Window())
                if order.kind is OrderKind.PROTECTION and order.status is OrderStatus.ACCEPTED
            )
            assert found == Counter(held.position_id for held in account.positions.values() if held.protection_id)
            open_ids = [order.order_id for order in account.order_views(with_protection=True)]
            assert len(set(open_ids)) == len(open_ids)

    @invariant()
    def what_locks_a_position_is_an_order_that_is_being_executed(self) -> None:
        if not hasattr(self, "books"):
            return
        for account in self.venue.accounts.values():
            for held in account.positions.values():
                if held.closing_id and held.volume_cu:
                    assert account.orders[held.closing_id].stage is Stage.EXECUTING


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
