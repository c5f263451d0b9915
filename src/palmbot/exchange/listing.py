"""What the exchange lists: assets, symbols with their terms as the wire states them, and tiers of leverage.

Whatever the core charges with stands in ``Listing.spec.core`` and is stated on the wire from there; a listing adds what
the core does not know. Numbers of enums are the wire's (protocol sheet 4.4, 4.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from types import MappingProxyType

from palmbot.calendar import EPOCH, WEEK_MINUTES, Session
from palmbot.core.fills import spread_px
from palmbot.core.rounding import half_away
from palmbot.instruments import InstrumentSpec
from palmbot.units import HOUR_MS, MINUTE_MS

DAY_S = 86_400
WEEK_S = 7 * DAY_S
OPEN_END = 2**62  # upper bound of the last tier


class CommissionType(IntEnum):
    """How a commission is stated; each a side of a trade (protocol sheet 5.5)."""

    USD_PER_MILLION_USD = 1
    USD_PER_LOT = 2
    PERCENTAGE_OF_VALUE = 3
    QUOTE_CCY_PER_LOT = 4


class MinCommissionType(IntEnum):
    """Currency of the least commission: the named one, or the symbol's quote currency."""

    CURRENCY = 1
    QUOTE_CURRENCY = 2


class SwapType(IntEnum):
    """What a swap rate counts."""

    PIPS = 0
    PERCENTAGE = 1  # a year
    POINTS = 2


class SwapRounding(IntEnum):
    """Where what is less than the money's last digit goes: nobody has established it (sheet 12)."""

    NEAREST = 0  # halves away from zero, as all money here
    TOWARDS_ZERO = 1
    DOWN = 2  # against whoever holds the position


class DistanceUnit(IntEnum):
    """What a least distance of a level from the price counts. A unit of PERCENTAGE is 0.01 %: a knob, see sheet 12."""

    POINTS = 1
    PERCENTAGE = 2


class TradingMode(IntEnum):
    """What may be done with a symbol."""

    ENABLED = 0
    DISABLED_WITHOUT_PENDINGS_EXECUTION = 1
    DISABLED_WITH_PENDINGS_EXECUTION = 2
    CLOSE_ONLY_MODE = 3


class Weekday(IntEnum):
    """A day of the week, or none."""

    NONE = 0
    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


@dataclass(frozen=True, slots=True)
class Asset:
    """A currency, or whatever a symbol is made of. ``digits`` are the decimals it is shown with."""

    asset_id: int
    name: str
    digits: int = 2


@dataclass(frozen=True, slots=True)
class AssetClass:
    """A family of categories."""

    class_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Category:
    """A family of symbols."""

    category_id: int
    class_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Tier:
    """Leverage 1:``leverage`` up to an exposure of ``exposure_max_cents`` USD cents on one side of a symbol."""

    exposure_max_cents: int
    leverage: int


@dataclass(frozen=True, slots=True)
class DynamicLeverage:
    """Leverage by exposure: tiers by growing bound, the last one open-ended."""

    leverage_id: int
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """Open from ``start_s`` inclusive to ``end_s`` exclusive, seconds from Sunday 00:00 in the schedule's time zone."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Holiday:
    """A local date on which the symbol is closed all day."""

    holiday_id: int
    name: str
    time_zone: str
    day: int  # since 1970-01-01


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol as the exchange knows it.

    ``spec.core`` holds sizes, spread, slippage, swap rates and times, conversion fee, and commission rate (scaled as on
    the wire, for every ``commission_type``); the rest of the terms stands here. ``spec.core.leverage`` is the
    account's business.
    """

    symbol_id: int
    spec: InstrumentSpec
    description: str
    base_asset_id: int
    quote_asset_id: int
    category_id: int
    leverage_id: int
    pip_position: int
    commission_type: CommissionType
    commission_min_e8: int = 0  # least charge of one side of a trade, x 10^8
    commission_min_type: MinCommissionType = MinCommissionType.CURRENCY
    commission_min_asset: str = "USD"
    swap_type: SwapType = SwapType.POINTS
    swap_at_weekends: bool = False
    swap_skip_periods: int = 0
    swap_rounding: SwapRounding = SwapRounding.NEAREST  # a knob, see sheet 12
    swap_year_days: int = 360  # of a yearly rate: a knob, see sheet 12
    rollover_commission: int = 0  # USD a lot and day, on accounts without swaps
    rollover_skip_days: int = 0
    rollover_triple_day: Weekday = Weekday.WEDNESDAY
    distance_unit: DistanceUnit = DistanceUnit.POINTS
    sl_distance: int = 0
    tp_distance: int = 0
    gsl_distance: int = 0
    has_guaranteed_stops: bool = False
    gsl_charge: int = 0  # points of the price, on the position's volume: a knob, see sheet 12
    max_exposure_cu: int | None = None  # open volume of one account; None = no limit
    trading_mode: TradingMode = TradingMode.ENABLED
    has_short_selling: bool = True
    is_enabled: bool = True
    fixed_bid_px: int | None = None  # of a SYNTHETIC symbol whose quote never moves; None = the feed quotes it
    archived_ms: int | None = None  # since when it is gone; None = it is not

    @property
    def name(self) -> str:
        """The broker's spelling."""
        return self.spec.symbol

    @property
    def fixed_quote(self) -> tuple[int, int] | None:
        """Bid and ask of a symbol whose quote never moves."""
        if self.fixed_bid_px is None:
            return None
        return self.fixed_bid_px, self.fixed_bid_px + spread_px(self.spec.core, self.fixed_bid_px)

    @property
    def swap_long(self) -> float:
        """Swap rate of longs in units of ``swap_type``; negative is a charge."""
        return self.spec.core.swap_long / self._swap_scale

    @property
    def swap_short(self) -> float:
        """Swap rate of shorts in units of ``swap_type``; negative is a charge."""
        return self.spec.core.swap_short / self._swap_scale

    @property
    def _swap_scale(self) -> int:
        if self.swap_type is SwapType.PERCENTAGE:
            return 10**5
        return int(10 ** (10 - (self.pip_position if self.swap_type is SwapType.PIPS else self.spec.digits)))

    @property
    def swap_time_minutes(self) -> int:
        """Minutes from 00:00 UTC to the first swap of a day."""
        return self.spec.core.swap_time_ms // MINUTE_MS

    @property
    def swap_period_hours(self) -> int:
        """Hours between swaps."""
        return self.spec.core.swap_period_ms // HOUR_MS

    @property
    def swap_triple_day(self) -> Weekday:
        """Weekday with three swaps."""
        day = self.spec.core.swap_triple_weekday  # Monday = 0
        return Weekday(day + 1) if 0 <= day < 7 else Weekday.NONE

    @property
    def schedule(self) -> tuple[Interval, ...]:
        """Weekly open intervals, ordered and disjoint."""
        return schedule_of(self.spec.session)

    @property
    def holidays(self) -> tuple[Holiday, ...]:
        """Closed dates, oldest first."""
        return holidays_of(self.spec.session)

    def distance_px(self, distance: int, price_px: int) -> int:
        """Return a least distance (``sl_distance``, say) in px at a price."""
        if self.distance_unit is DistanceUnit.POINTS:
            return distance * self.spec.core.step_px
        return half_away(price_px * distance, 10_000)


def schedule_of(session: Session) -> tuple[Interval, ...]:
    """Return the open hours of ``session`` as the wire states them; no intervals at all are always open."""
    spans: list[tuple[int, int]] = []
    for start, end in session.intervals or ((0, WEEK_MINUTES),):
        start_s = (start * 60 + DAY_S) % WEEK_S  # the wire's week begins a day before ours
        end_s = start_s + (end - start) * 60
        spans.append((start_s, min(end_s, WEEK_S)))
        if end_s > WEEK_S:
            spans.append((0, end_s - WEEK_S))
    merged: list[tuple[int, int]] = []
    for start_s, end_s in sorted(spans):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_s, merged[-1][1]))
        else:
            merged.append((start_s, end_s))
    return tuple(Interval(*span) for span in merged)


def holidays_of(session: Session) -> tuple[Holiday, ...]:
    """Return the closed dates of ``session`` as the wire states them."""
    days: list[date] = sorted(session.holidays)
    return tuple(
        Holiday(number, f"Closed on {day}", session.time_zone, (day - EPOCH).days)
        for number, day in enumerate(days, start=1)
    )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that the exchange lists. Its accounts are kept in one currency, ``deposit_asset_id``.

    ``conversion_id`` is the pair whose quote says what the feed calls ``rate_e8``; None where the traded symbol's quote
    currency is the deposit currency.
    """

    assets: tuple[Asset, ...]
    classes: tuple[AssetClass, ...]
    categories: tuple[Category, ...]
    leverages: tuple[DynamicLeverage, ...]
    listings: tuple[Listing, ...]
    traded_id: int
    deposit_asset_id: int
    conversion_id: int | None = None
    _by_id: Mapping[int, Listing] = field(init=False, repr=False, compare=False)
    _asset_ids: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _chains: dict[tuple[int, int], tuple[Listing, ...]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )  # found so far

    def __post_init__(self) -> None:
        by_id = {listing.symbol_id: listing for listing in self.listings}
        object.__setattr__(self, "_by_id", MappingProxyType(by_id))
        asset_ids = {asset.name: asset.asset_id for asset in self.assets}
        object.__setattr__(self, "_asset_ids", MappingProxyType(asset_ids))

    @property
    def traded(self) -> Listing:
        """The symbol that the feed quotes."""
        return self._by_id[self.traded_id]

    def listing(self, symbol_id: int) -> Listing | None:
        """Return the symbol of this id, archived or not; None where there is none."""
        return self._by_id.get(symbol_id)

    def named(self, name: str) -> Listing | None:
        """Return the symbol of this name; None where there is none."""
        return next((listing for listing in self.listings if listing.name == name), None)

    def asset_id(self, name: str) -> int | None:
        """Return the id of the asset of this name; None where there is none."""
        return self._asset_ids.get(name)

    def leverage(self, leverage_id: int) -> DynamicLeverage | None:
        """Return the tiers of this id; None where there are none."""
        return next((each for each in self.leverages if each.leverage_id == leverage_id), None)

    def chain(self, first_asset_id: int, last_asset_id: int) -> tuple[Listing, ...]:
        """Return the shortest chain of symbols that converts one asset into another, the conversion pair preferred.

        Empty where there is nothing to convert, and where no chain leads there.
        """
        ends = first_asset_id, last_asset_id
        chain = self._chains.get(ends, ())
        if not chain and (chain := self._found_chain(*ends)):
            self._chains[ends] = chain
        return chain

    def _found_chain(self, first_asset_id: int, last_asset_id: int) -> tuple[Listing, ...]:
        symbols = [listing for listing in self.listings if listing.archived_ms is None]
        symbols.sort(key=lambda listing: listing.symbol_id != self.conversion_id)
        chains: dict[int, tuple[Listing, ...]] = {first_asset_id: ()}
        reached = [first_asset_id]
        for asset_id in reached:  # grows while it is walked: breadth first
            for listing in symbols:
                ends = (listing.base_asset_id, listing.quote_asset_id)
                if asset_id in ends:
                    other = ends[ends[0] == asset_id]
                    if other not in chains:
                        chains[other] = (*chains[asset_id], listing)
                        reached.append(other)
        return chains.get(last_asset_id, ())
