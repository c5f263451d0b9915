"""What a deal does to a position and to the money: opening, raising, reducing. Money is ``core/fills`` alone.

Opening leaves the balance as it is; a deal that closes something books everything at once (PARITY 8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from palmbot.core import fills
from palmbot.core.rounding import mul_div_half_away
from palmbot.errors import InvariantError
from palmbot.exchange.changes import Dealt
from palmbot.exchange.charges import base_e8, commission_minor, fee_minor
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held
from palmbot.exchange.margining import margin_minor
from palmbot.exchange.pit import Pit
from palmbot.exchange.rates import Rates
from palmbot.exchange.values import CloseView, DealStatus, DealView, OrderView
from palmbot.units import RATE_ONE_E8


class Strike(NamedTuple):
    """How an order meets the market. ``price_px`` includes both costs; they are told apart for the cost report only."""

    price_px: int
    rates: Rates
    spread_px: int
    slippage_px: int


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an order that one deal is to fill."""

    order: OrderView  # before it
    asked_cu: int  # of the liquidity provider
    volume_cu: int  # what it gives
    strike: Strike
    sent_ms: int


def opened(floor: Floor, part: Slice) -> tuple[Held, DealView]:
    """Open the position of the order."""
    order, strike = part.order, part.strike
    held = Held(
        position_id=order.position_id,
        account_id=order.account_id,
        symbol_id=order.symbol_id,
        side=order.side,
        volume_cu=0,
        cost_pxcu=0,
        open_ms=floor.now_ms,
        updated_ms=floor.now_ms,
        label=order.label,
        comment=order.comment,
        margin_rate_e8=base_e8(strike.price_px, strike.rates),
    )
    return raised(floor, held, part)


def raised(floor: Floor, held: Held, part: Slice) -> tuple[Held, DealView]:
    """Add to a position; its price becomes the volume-weighted mean."""
    pit, strike, volume = floor.pits[held.symbol_id], part.strike, part.volume_cu
    commission = commission_minor(pit.listing, strike.price_px, volume, strike.rates)
    account = floor.accounts[held.account_id]
    margin = margin_minor(floor, account, held.symbol_id, (held.side, volume), (strike.price_px, strike.rates))
    held = replace(
        held,
        volume_cu=held.volume_cu + volume,
        cost_pxcu=held.cost_pxcu + strike.price_px * volume,
        commission_minor=held.commission_minor + commission,
        margin_minor=held.margin_minor + margin,
        spread_pxcu=held.spread_pxcu + strike.spread_px * volume,
        slippage_pxcu=held.slippage_pxcu + strike.slippage_px * volume,
        updated_ms=floor.now_ms,
    )
    deal = _deal(floor, pit, part, commission)
    floor.changes.deals.append(Dealt(deal))
    return floor.hold(held), deal


def reduced(floor: Floor, held: Held, part: Slice) -> tuple[Held, DealView]:
    """Close a part of a position, or all of it: then its volume is 0, and the caller lets it go.

    Raises:
        InvariantError: the part is larger than the position.
    """
    pit, strike, volume = floor.pits[held.symbol_id], part.strike, part.volume_cu
    if not 0 < volume <= held.volume_cu:
        raise InvariantError("CLOSED_TOO_MUCH", "Report this: a deal exceeds its position.", volume_cu=volume)
    digits, quote_e8 = pit.listing.spec.core.money_digits, strike.rates.quote_e8
    gross = held.gross_minor(strike.price_px, volume, quote_e8, digits)
    closing = commission_minor(pit.listing, strike.price_px, volume, strike.rates)
    opening, swap = held.share(held.commission_minor, volume), held.share(held.swap_minor, volume)
    fee = fee_minor(pit.listing, gross)
    account = floor.accounts[held.account_id]
    floor.book(account, gross + swap + opening + closing + fee)
    close = CloseView(
        entry_px=held.entry_px,
        gross_minor=gross,
        swap_minor=swap,
        commission_minor=opening + closing,
        fee_minor=fee,
        closed_cu=volume,
        balance_minor=account.balance_minor,
        balance_version=account.balance_version,
        rate_e8=quote_e8,
    )
    # longs pay the spread when they enter, shorts when they leave
    spread = held.share(held.spread_pxcu, volume) if held.side > 0 else strike.spread_px * volume
    slippage = held.share(held.slippage_pxcu, volume) + strike.slippage_px * volume
    deal = replace(_deal(floor, pit, part, closing), close=close)
    costs = (-fills.money_minor(spread, quote_e8, digits), -fills.money_minor(slippage, quote_e8, digits))
    floor.changes.deals.append(Dealt(deal, *costs))
    return floor.hold(held.without(volume, floor.now_ms)), deal


def missed(floor: Floor, order: OrderView, asked_cu: int, sent_ms: int) -> DealView:
    """Note that a liquidity provider gave nothing; such an attempt appears in lists."""
    pit = floor.pits[order.symbol_id]
    tick = floor.last(order.symbol_id)
    price_px = tick.quote_px(order.side)
    part = Slice(order, asked_cu, 0, Strike(price_px, floor.rates(pit), 0, 0), sent_ms)
    deal = replace(_deal(floor, pit, part, 0), status=DealStatus.MISSED)
    floor.changes.deals.append(Dealt(deal))
    return deal


def _deal(floor: Floor, pit: Pit, part: Slice, commission: int) -> DealView:
    order, strike = part.order, part.strike
    margin_rate_e8 = base_e8(strike.price_px, strike.rates)
    usd_e8 = strike.rates.usd_e8
    return DealView(
        deal_id=floor.deal_id(),
        order_id=order.order_id,
        position_id=order.position_id,
        account_id=order.account_id,
        symbol_id=pit.listing.symbol_id,
        side=order.side,
        volume_cu=part.asked_cu,
        filled_cu=part.volume_cu,
        price_px=strike.price_px,
        status=DealStatus.FILLED if part.volume_cu == part.asked_cu else DealStatus.PARTIALLY_FILLED,
        created_ms=part.sent_ms,
        ts_ms=floor.now_ms,
        commission_minor=commission,
        margin_rate_e8=margin_rate_e8,
        base_to_usd_e8=mul_div_half_away(margin_rate_e8, RATE_ONE_E8, usd_e8) if usd_e8 else 0,
    )
