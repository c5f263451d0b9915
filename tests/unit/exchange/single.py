"""One account in one symbol on a real exchange, asked with the bot's requests and read with the bot's values.

``tick`` and ``request`` go the whole way. ``enter``, ``close``, ``hit``, ``amend``, ``charge`` and ``reject`` skip the
checks and take any price: what an account does when it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from palmbot.exchange import matching, overnight, protection
from palmbot.exchange.account import Account
from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.changes import Counters, Dealt, Kept
from palmbot.exchange.conduct import LOCK_STEP, Conduct
from palmbot.exchange.deals import Strike as Struck
from palmbot.exchange.feed import FeedTick, Rolls
from palmbot.exchange.held import Held, Levels
from palmbot.exchange.opening import plain_account
from palmbot.exchange.rates import Rates
from palmbot.exchange.terms import DEFAULT_MARGIN_CALLS
from palmbot.exchange.translation import bot_fill, event_of, refusal_of, request_of, snapshot_of
from palmbot.exchange.values import NewOrder, Refused, Report, Told
from palmbot.exchange.venue import Venue
from palmbot.instruments import InstrumentSpec
from palmbot.model import AccountSnapshot, Fill, OrderEvent, OrderIntent, OrderKind

ACCOUNT_ID = 1


class Strike(NamedTuple):
    """How an order meets the market, given by a test."""

    ts_ms: int
    price_px: int
    rate_e8: int
    spread_px: int
    slippage_px: int


@dataclass(frozen=True, slots=True)
class Deal:
    """A fill, and the spread and slippage in it as money."""

    fill: Fill
    spread_minor: int = 0
    slippage_minor: int = 0


@dataclass(frozen=True, slots=True)
class Booking:
    """What one request or one tick did, in order."""

    events: tuple[OrderEvent, ...] = ()
    deals: tuple[Deal, ...] = ()


NOTHING = Booking()


class Single:
    """One account and its exchange."""

    def __init__(
        self,
        spec: InstrumentSpec,
        balance_minor: int,
        rolls: Rolls = (),
        conduct: Conduct = LOCK_STEP,
        kept: Kept | None = None,
    ) -> None:
        self.symbol = spec.symbol
        catalogue = catalogue_of(spec)
        standing = replace(plain_account(ACCOUNT_ID, catalogue, balance_minor), margin_calls=DEFAULT_MARGIN_CALLS)
        begun = Kept((standing,)) if kept is None else kept
        self.venue = Venue(catalogue, begun, conduct, {TRADED_ID: rolls})
        self.commit: Callable[[], None] = lambda: None  # called while what changed is still known

    @property
    def account(self) -> Account:
        return self.venue.accounts[ACCOUNT_ID]

    @property
    def positions(self) -> Mapping[int, Held]:
        return self.account.positions

    @property
    def balance_minor(self) -> int:
        return self.account.balance_minor

    @property
    def used_margin_minor(self) -> int:
        return self.account.used_margin_minor

    @property
    def counters(self) -> Counters:
        return self.venue.mark.counters

    @property
    def last(self) -> FeedTick | None:
        return self.venue.last(TRADED_ID)

    @property
    def side(self) -> int:
        return self.account.side(TRADED_ID)

    def snapshot(self) -> AccountSnapshot:
        return snapshot_of(self.account, self.symbol)

    # -- the whole way

    def tick(self, tick: FeedTick) -> Booking:
        return self.booked(self.venue.tick(TRADED_ID, tick))

    def request(self, intent: OrderIntent) -> Booking:
        told = self.venue.request(ACCOUNT_ID, request_of(intent, self.venue.catalogue), intent.client_order_id)
        if isinstance(told, Refused):
            ts_ms = intent.ts_ms if self.last is None else self.venue.now_ms
            return Booking((refusal_of(told, ts_ms, intent.client_order_id),))
        return self.booked(told)

    def booked(self, told: list[Told]) -> Booking:
        """Commit; return what was told, and the deals of it."""
        self.commit()
        deals = tuple(map(_deal, self.venue.changes.deals))
        self.venue.changes.clear()
        return Booking(tuple(event_of(each, self.symbol) for each in told if isinstance(each, Report)), deals)

    # -- without checks

    def enter(self, intent: OrderIntent, strike: Strike) -> Booking:
        self._at(strike)
        order = request_of(intent, self.venue.catalogue)
        assert isinstance(order, NewOrder)
        self._fill(order, None, intent.client_order_id, strike)
        return self._told()

    def reject(self, intent: OrderIntent, ts_ms: int, error_code: str) -> Booking:
        floor = self.venue._floor
        floor.now_ms = ts_ms
        order = request_of(intent, self.venue.catalogue)
        assert isinstance(order, NewOrder)
        working = matching.accept(floor, self.account, matching.Ask(order, asked=intent.client_order_id))
        matching.reject(floor, working, error_code)
        return self._told()

    def close(self, held: Held, volume_cu: int, client_order_id: str, strike: Strike) -> Booking:
        self._at(strike)
        order = NewOrder(
            TRADED_ID,
            OrderKind.MARKET,
            -held.side,
            volume_cu,
            position_id=held.position_id,
            client_order_id=client_order_id,
        )
        self._fill(order, held, client_order_id, strike)
        return self._told()

    def hit(self, held: Held, strike: Strike) -> Booking:
        self._at(strike)
        protection.hit(self.venue._floor, held, _struck(strike))
        return self._told()

    def amend(self, held: Held, intent: OrderIntent, ts_ms: int) -> Booking:
        floor = self.venue._floor
        floor.now_ms = ts_ms
        levels = Levels(intent.sl_px, intent.tp_px)
        protection.place(floor, held, levels, asked=intent.client_order_id, server_made=False)
        return self._told()

    def charge(self, held: Held, amount_minor: int, ts_ms: int) -> Booking:
        floor = self.venue._floor
        floor.now_ms = ts_ms
        overnight.accrue(floor, held, amount_minor)
        return self._told()

    def _fill(self, order: NewOrder, target: Held | None, asked: str, strike: Strike) -> None:
        floor = self.venue._floor
        ask = matching.Ask(order, target, asked, closes=target is not None)
        matching.fill(floor, matching.accept(floor, self.account, ask), order.volume_cu, _struck(strike))

    def _at(self, strike: Strike) -> None:
        floor = self.venue._floor
        floor.now_ms = strike.ts_ms
        bid_px = strike.price_px
        floor.pits[TRADED_ID].last = FeedTick(
            strike.ts_ms, bid_px, bid_px + strike.spread_px, is_jump=False, bar_open_px=bid_px, rate_e8=strike.rate_e8
        )

    def _told(self) -> Booking:
        return self.booked(self.venue._told())


def _struck(strike: Strike) -> Struck:
    return Struck(strike.price_px, Rates(strike.rate_e8), strike.spread_px, strike.slippage_px)


def _deal(dealt: Dealt) -> Deal:
    return Deal(bot_fill(dealt.view), dealt.spread_minor, dealt.slippage_minor)
