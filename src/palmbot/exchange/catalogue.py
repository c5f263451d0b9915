"""What the simulated exchange lists for a configured instrument: it, its conversion pair, and a few SYNTHETIC pairs.

The synthetic pairs have quotes that never move. They are there so that a client meets more than one symbol, chains of
conversion, every kind of commission and swap, and tiers of leverage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from palmbot.calendar import Session
from palmbot.core.types import CommissionKind, Instrument, SwapKind
from palmbot.errors import ConfigError
from palmbot.exchange.listing import (
    OPEN_END,
    Asset,
    AssetClass,
    Catalogue,
    Category,
    CommissionType,
    DynamicLeverage,
    Listing,
    SwapType,
    Tier,
)
from palmbot.instruments import InstrumentSpec, pair_convention
from palmbot.units import PX, step_px

FOREX, COMMODITIES = 1, 2  # ids of an asset class and of its one category
FLAT_LEVERAGE, FX_LEVERAGE = 1, 2
TRADED_ID = 1
CONVERSION_DIGITS = 5  # a conversion pair says all that the wire can
CURRENCIES: Final = ("USD", "EUR", "GBP", "AUD", "NZD", "CAD", "CHF", "JPY", "MYR")
WHOLE_CURRENCIES: Final = frozenset({"JPY"})  # without a smaller unit
MILLION_USD_CENTS = 100_000_000
FX_WEEK: Final = Session("America/New_York", ((6 * 1_440 + 17 * 60, 11 * 1_440 + 17 * 60),))  # Sunday to Friday, 17:00
FX_LOT_CU = 10_000_000
FX: Final = Instrument(
    lot_cu=FX_LOT_CU,
    volume_step_cu=FX_LOT_CU // 100,
    volume_min_cu=FX_LOT_CU // 100,
    volume_max_cu=FX_LOT_CU * 100,
    slippage=0,
    swap_time_ms=21 * 3_600_000,
    day_start_ms=0,
)


class _Pair(NamedTuple):
    """A SYNTHETIC pair: its terms beside those that all pairs share."""

    symbol_id: int
    base: str
    quote: str
    digits: int
    bid_px: int
    spread_points: int
    commission_type: CommissionType
    commission_rate: int
    swap_type: SwapType
    swap_long: int  # as the core counts it
    swap_short: int


# 2.50 USD a lot, 25 USD a million, 0.003 %; swaps of pips, percent a year, points.
_PAIRS: Final = (
    _Pair(2, "EUR", "USD", 5, 111_984, 3, CommissionType.USD_PER_LOT, 250_000_000, SwapType.PIPS, -650_000, 210_000),
    _Pair(
        *(3, "USD", "JPY", 3, 15_712_300, 8, CommissionType.USD_PER_MILLION_USD, 2_500_000_000),
        *(SwapType.PERCENTAGE, 310_000, -540_000),
    ),
    _Pair(
        *(4, "USD", "MYR", 5, 447_120, 60, CommissionType.PERCENTAGE_OF_VALUE, 300),
        *(SwapType.POINTS, -12_000_000, 1_500_000),
    ),
)
_CONVERSION: Final = _Pair(
    5, "", "", CONVERSION_DIGITS, 0, 60, CommissionType.PERCENTAGE_OF_VALUE, 300, SwapType.POINTS, 0, 0
)
_COMMISSION_KINDS: Final = {
    CommissionType.USD_PER_MILLION_USD: CommissionKind.PER_LOT_DEPOSIT,
    CommissionType.USD_PER_LOT: CommissionKind.PER_LOT_DEPOSIT,
    CommissionType.PERCENTAGE_OF_VALUE: CommissionKind.PERCENT_OF_VALUE,
    CommissionType.QUOTE_CCY_PER_LOT: CommissionKind.PER_LOT_QUOTE,
}


def catalogue_of(spec: InstrumentSpec) -> Catalogue:
    """Return what an exchange lists that trades ``spec`` and keeps its accounts in ``spec.deposit_currency``.

    Raises:
        ConfigError: ``COMMISSION_NOT_ON_WIRE``, no commission of the wire is in that currency.
    """
    base = _base_of(spec)
    names = dict.fromkeys((*CURRENCIES, spec.quote_currency, spec.deposit_currency, base))
    asset_ids = {name: number for number, name in enumerate(names, start=1)}
    listings = {spec.symbol: _traded(spec, base, asset_ids)}
    conversion = None
    if spec.quote_currency != spec.deposit_currency:
        pair = _conversion_pair(spec)
        name = "".join(pair[1:3])
        name = f"{name}.RATE" if name == spec.symbol else name
        conversion = replace(_fx_listing(pair, name, spec, asset_ids), fixed_bid_px=None)
        listings[name] = conversion
    for pair in _PAIRS:
        name = pair.base + pair.quote
        if name not in listings:
            listings[name] = _fx_listing(pair, name, spec, asset_ids)
    return Catalogue(
        assets=tuple(Asset(number, name, 0 if name in WHOLE_CURRENCIES else 2) for name, number in asset_ids.items()),
        classes=(AssetClass(FOREX, "Forex"), AssetClass(COMMODITIES, "Commodities")),
        categories=(Category(FOREX, FOREX, "Forex"), Category(COMMODITIES, COMMODITIES, "Commodities")),
        leverages=(
            DynamicLeverage(FLAT_LEVERAGE, (Tier(OPEN_END, spec.core.leverage),)),
            DynamicLeverage(
                FX_LEVERAGE,
                (Tier(MILLION_USD_CENTS, 500), Tier(5 * MILLION_USD_CENTS, 200), Tier(OPEN_END, 50)),
            ),
        ),
        listings=tuple(listings.values()),
        traded_id=TRADED_ID,
        deposit_asset_id=asset_ids[spec.deposit_currency],
        conversion_id=None if conversion is None else conversion.symbol_id,
    )


def _base_of(spec: InstrumentSpec) -> str:
    """Return what the symbol is made of: the base of a pair of currencies, else the symbol itself."""
    base = spec.symbol.removesuffix(spec.quote_currency)
    return base if base in CURRENCIES else spec.symbol


def _traded(spec: InstrumentSpec, base: str, asset_ids: dict[str, int]) -> Listing:
    core = spec.core
    return Listing(
        symbol_id=TRADED_ID,
        spec=spec,
        description=f"{spec.name}, SYNTHETIC",
        base_asset_id=asset_ids[base],
        quote_asset_id=asset_ids[spec.quote_currency],
        category_id=FOREX if base in CURRENCIES else COMMODITIES,
        leverage_id=FLAT_LEVERAGE,
        pip_position=max(spec.digits - 1, 0),
        commission_type=_commission_type(spec),
        commission_min_e8=core.commission_min_minor * 10**8 // 10**core.money_digits,
        commission_min_asset=spec.deposit_currency,
        swap_type=SwapType.PERCENTAGE if core.swap_kind == SwapKind.PERCENT_PER_YEAR else SwapType.POINTS,
        sl_distance=-(-core.sl_min_px // core.step_px),
        tp_distance=-(-core.tp_min_px // core.step_px),
    )


def _commission_type(spec: InstrumentSpec) -> CommissionType:
    kind = CommissionKind(spec.core.commission_kind)
    if kind is CommissionKind.PERCENT_OF_VALUE:
        return CommissionType.PERCENTAGE_OF_VALUE
    if kind is CommissionKind.PER_LOT_QUOTE or spec.quote_currency == spec.deposit_currency:
        return CommissionType.QUOTE_CCY_PER_LOT
    if spec.deposit_currency == "USD":
        return CommissionType.USD_PER_LOT
    raise ConfigError(
        "COMMISSION_NOT_ON_WIRE",
        "State the commission in points or in percent: the protocol knows none in this deposit currency.",
        instrument=spec.name,
        deposit=spec.deposit_currency,
    )


def _conversion_pair(spec: InstrumentSpec) -> _Pair:
    base, quote = pair_convention(spec.quote_currency, spec.deposit_currency)
    known = next((pair for pair in _PAIRS if (pair.base, pair.quote) == (base, quote)), _CONVERSION)
    return known._replace(base=base, quote=quote, digits=CONVERSION_DIGITS)


def _fx_listing(pair: _Pair, name: str, spec: InstrumentSpec, asset_ids: dict[str, int]) -> Listing:
    step = step_px(pair.digits)
    in_percent = pair.swap_type is SwapType.PERCENTAGE
    core = FX._replace(
        step_px=step,
        money_digits=spec.core.money_digits,
        leverage=spec.core.leverage,
        spread=pair.spread_points * step,
        commission_kind=int(_COMMISSION_KINDS[pair.commission_type]),
        commission_rate=pair.commission_rate,
        swap_kind=int(SwapKind.PERCENT_PER_YEAR if in_percent else SwapKind.PRICE),
        swap_long=pair.swap_long,
        swap_short=pair.swap_short,
    )
    return Listing(
        symbol_id=pair.symbol_id,
        spec=InstrumentSpec(
            name=name.lower(),
            symbol=name,
            digits=pair.digits,
            time_zone=FX_WEEK.time_zone,
            quote_currency=pair.quote,
            deposit_currency=spec.deposit_currency,
            unit="",
            balance=spec.balance,
            session=FX_WEEK,
            core=core,
            price_hint=max(pair.bid_px // PX, 1),
            day_start_ms=0,
            roll_day=0,
        ),
        description=f"{pair.base} against {pair.quote}, SYNTHETIC",
        base_asset_id=asset_ids[pair.base],
        quote_asset_id=asset_ids[pair.quote],
        category_id=FOREX,
        leverage_id=FX_LEVERAGE,
        pip_position=max(pair.digits - 1, 0),
        commission_type=pair.commission_type,
        swap_type=pair.swap_type,
        fixed_bid_px=pair.bid_px,
    )
