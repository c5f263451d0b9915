"""An exchange for tests of its sequences: real venue, any accounts and conduct, prices in points, time in ms.

Palm oil, always open, spread 2, slippage 0.5, one lot of 2,500 cu, 25 MYR a lot and side, leverage 20: one lot at 4,000
holds 5,000 MYR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.unit.exchange.desk import BALANCE, OPEN, SPREAD, spec, tick

from palmbot.exchange.catalogue import TRADED_ID, catalogue_of
from palmbot.exchange.changes import Kept, Standing
from palmbot.exchange.conduct import Conduct, Delays, VenueKnobs
from palmbot.exchange.feed import Rolls
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.opening import plain_account
from palmbot.exchange.terms import DEFAULT_MARGIN_CALLS
from palmbot.exchange.values import (
    NO_BRACKETS,
    AccountType,
    Brackets,
    NewOrder,
    Refused,
    Report,
    Request,
    TimeInForce,
    Told,
)
from palmbot.exchange.venue import Venue
from palmbot.instruments import InstrumentSpec
from palmbot.model import OrderKind
from palmbot.units import PX

LOT = 2_500
ACCOUNT = 1
FILL, PROTECT = 130, 20
TRADED = spec(always_open=True)


def px(price: float) -> int:
    return round(price * PX)


def brackets(sl: float | None = None, tp: float | None = None, **more: Any) -> Brackets:
    """Distances from the fill."""
    sl_px, tp_px = (None if distance is None else px(distance) for distance in (sl, tp))
    return Brackets(sl_distance_px=sl_px, tp_distance_px=tp_px, **more)


def levels(sl: float | None = None, tp: float | None = None, **more: Any) -> Brackets:
    """Absolute levels."""
    return Brackets(None if sl is None else px(sl), None if tp is None else px(tp), **more)


def market(side: int = 1, volume_cu: int = LOT, asked: Brackets = NO_BRACKETS, **more: Any) -> NewOrder:
    return NewOrder(TRADED_ID, OrderKind.MARKET, side, volume_cu, asked, **more)


def limit(side: int, price: float, volume_cu: int = LOT, asked: Brackets = NO_BRACKETS, **more: Any) -> NewOrder:
    return NewOrder(TRADED_ID, OrderKind.LIMIT, side, volume_cu, asked, limit_px=px(price), **more)


def stop(side: int, price: float, volume_cu: int = LOT, asked: Brackets = NO_BRACKETS, **more: Any) -> NewOrder:
    return NewOrder(TRADED_ID, OrderKind.STOP, side, volume_cu, asked, stop_px=px(price), **more)


def good_till(at_ms: int) -> dict[str, Any]:
    return {"time_in_force": TimeInForce.GOOD_TILL_DATE, "expires_ms": at_ms}


class House:
    """One venue and what it has told, newest operation only. The market has quoted 4,000 once."""

    def __init__(
        self,
        of: InstrumentSpec = TRADED,
        delays: Delays | None = None,
        accounts: Sequence[Standing] = (),
        catalogue: Catalogue | None = None,
        rolls: Rolls = (),
        **knobs: Any,
    ) -> None:
        self.catalogue = catalogue_of(of) if catalogue is None else catalogue
        self.conduct = Conduct(Delays(FILL, PROTECT) if delays is None else delays, VenueKnobs(**knobs))
        self.rolls = rolls
        standings = tuple(accounts) or (self.standing(),)
        self.venue = self.made(Kept(standings))
        self.tick(0, 4_000)

    def made(self, kept: Kept) -> Venue:
        return Venue(self.catalogue, kept, self.conduct, {TRADED_ID: self.rolls})

    def standing(self, account_id: int = ACCOUNT, balance_minor: int = BALANCE, **terms: Any) -> Standing:
        return standing(self.catalogue, account_id, balance_minor, **terms)

    def restart(self) -> None:
        """Go on as another process would, from what the books have."""
        self.venue = self.made(self.venue.kept())

    def knobs(self, **knobs: Any) -> None:
        self.venue.conduct = replace(self.venue.conduct, knobs=replace(self.venue.conduct.knobs, **knobs))

    @property
    def now(self) -> int:
        """Milliseconds since the first tick."""
        return self.venue.now_ms - OPEN

    def tick(self, at: int, bid: float, *, jump: bool = False, spread: int = SPREAD) -> list[Any]:
        return list(self.venue.tick(TRADED_ID, tick(OPEN + at, bid, jump=jump, spread=spread)))

    def quote(self, bid: float, *, jump: bool = False) -> list[Any]:
        """A tick one second later."""
        return self.tick(self.now + 1_000, bid, jump=jump)

    def passes(self, ms: int) -> list[Any]:
        return list(self.venue.advance(self.venue.now_ms + ms))

    def ask(self, request: Request, account_id: int = ACCOUNT, asked: str = "m1") -> list[Any]:
        told = self.venue.request(account_id, request, asked)
        assert not isinstance(told, Refused), told
        return list(told)

    def refused(self, request: Request, account_id: int = ACCOUNT) -> Refused:
        before = self.venue.kept()
        told = self.venue.request(account_id, request, "m1")
        assert isinstance(told, Refused), told
        assert self.venue.kept() == before
        return told

    def open(
        self, side: int = 1, volume_cu: int = LOT, asked: Brackets | None = None, account_id: int = ACCOUNT
    ) -> int:
        """Open a position, protected 50 and 80 away unless told otherwise; return its id."""
        wanted = brackets(50, 80) if asked is None else asked
        accepted = self.ask(market(side, volume_cu, wanted), account_id)[0]
        self.passes(FILL + PROTECT)
        return int(accepted.order.position_id)

    @property
    def account(self) -> Any:
        return self.venue.accounts[ACCOUNT]

    def position(self, position_id: int) -> Any:
        return self.account.positions[position_id]


def standing(catalogue: Catalogue, account_id: int = ACCOUNT, balance_minor: int = BALANCE, **terms: Any) -> Standing:
    made = plain_account(account_id, catalogue, balance_minor)
    return replace(made, terms=replace(made.terms, **terms), margin_calls=DEFAULT_MARGIN_CALLS)


def netted(of: InstrumentSpec = TRADED, **more: Any) -> House:
    return House(of, accounts=(standing(catalogue_of(of), type=AccountType.NETTED),), **more)


def said(told: Sequence[Told]) -> list[str]:
    """Each event in a line: execution, kind and status of its order, what was executed, status of its position."""
    lines = []
    for each in told:
        if not isinstance(each, Report):
            lines.append(type(each).__name__)
            continue
        words = [each.execution.name]
        if each.order is not None:
            order = each.order
            words += [order.kind.name, order.status.name, f"{order.executed_cu}/{order.volume_cu}"]
        if each.position is not None:
            words += [each.position.status.name, str(each.position.volume_cu)]
        if each.error_code:
            words.append(each.error_code)
        words.append("server" if each.server_made else each.asked or "unasked")
        lines.append(" ".join(words))
    return lines
