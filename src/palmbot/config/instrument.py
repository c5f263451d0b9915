"""An instrument as settings, and settings as an instrument: one table each way, exact in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from palmbot.calendar import Session
from palmbot.config.values import Amount, plain
from palmbot.core.types import CommissionKind, CostKind, Instrument, SwapKind
from palmbot.errors import ConfigError
from palmbot.instruments import InstrumentSpec
from palmbot.units import CU, PX, minor_of_money, money_of_minor, step_px

PPM_OF_PERCENT = 10_000
RATE_OF_UNIT = 10**8  # of a commission a lot (wire scale)
RATE_OF_PERCENT = 10**5  # of a commission or swap in percent (wire scale)
SWAP_OF_PRICE = 10**10
# What an instrument without a base has to say itself; the rest has an answer that is right for everyone.
REQUIRED = (
    "symbol",
    "digits",
    "quote_currency",
    "lot",
    "leverage",
    "spread",
    "slippage",
    "commission",
)
DEFAULTS = {
    "time_zone": "UTC",
    "session": "always",
    "holidays": "none",
    "day_start": "00:00",
    "money_digits": "2",
    "unit": "unit",
    "balance": "100000",
    "price_hint": "100",
    "roll_day": "0",
    "volume_step": "0.01",
    "volume_min": "0.01",
    "volume_max": "1000",
    "commission_min": "0",
    "conversion_fee": "0%",
    "sl_min": "0",
    "tp_min": "0",
    "swap_long": "0",
    "swap_short": "0",
    "swap_time": "00:00",
    "swap_period": "1d",
    "swap_triple": "wed",
}


def instrument_of(name: str, value: Mapping[str, Any]) -> InstrumentSpec:
    """Return the instrument of the parsed settings ``value`` (by leaf; ``deposit_currency`` may be absent).

    Raises:
        ConfigError: the settings do not fit together, or are finer than the core's units.
    """
    lot_cu = _exact("lot", value["lot"] * CU)
    volumes = {leaf: _exact(leaf, value[leaf] * lot_cu) for leaf in ("volume_step", "volume_min", "volume_max")}
    step_cu, min_cu, max_cu = volumes.values()
    if min_cu % step_cu or not step_cu <= min_cu <= max_cu:
        raise ConfigError(
            "BAD_VOLUMES",
            "Make volume_min a multiple of volume_step and at most volume_max.",
            **{leaf: value[leaf] for leaf in volumes},
        )
    spread_kind, spread = _price_cost("spread", value["spread"])
    slippage_kind, slippage = _price_cost("slippage", value["slippage"])
    _refuse_off_grid(value["digits"], {"spread": (spread_kind, spread), "slippage": (slippage_kind, slippage)})
    commission_kind, commission_rate = _commission(value["commission"], lot_cu)
    swap_kind, swap_long, swap_short = _swaps(value["swap_long"], value["swap_short"])
    return InstrumentSpec(
        name=name,
        symbol=value["symbol"],
        digits=value["digits"],
        time_zone=value["time_zone"],
        quote_currency=value["quote_currency"],
        deposit_currency=value.get("deposit_currency", value["quote_currency"]),
        unit=value["unit"],
        balance=value["balance"],
        session=Session(value["time_zone"], value["session"], value["holidays"]),
        price_hint=value["price_hint"],
        day_start_ms=value["day_start"],
        roll_day=value["roll_day"],
        core=Instrument(
            step_px=step_px(value["digits"]),
            money_digits=value["money_digits"],
            lot_cu=lot_cu,
            volume_step_cu=step_cu,
            volume_min_cu=min_cu,
            volume_max_cu=max_cu,
            leverage=value["leverage"],
            spread_kind=spread_kind,
            spread=spread,
            slippage_kind=slippage_kind,
            slippage=slippage,
            commission_kind=commission_kind,
            commission_rate=commission_rate,
            commission_min_minor=minor_of_money(value["commission_min"], value["money_digits"]),
            conversion_fee_bp=value["conversion_fee"],
            sl_min_px=value["sl_min"],
            tp_min_px=value["tp_min"],
            swap_kind=swap_kind,
            swap_long=swap_long,
            swap_short=swap_short,
            swap_time_ms=value["swap_time"],
            swap_period_ms=value["swap_period"],
            swap_triple_weekday=value["swap_triple"],
            day_start_ms=value["day_start"],
        ),
    )


def values_of(spec: InstrumentSpec) -> dict[str, Any]:
    """Return the settings (by leaf) that `instrument_of` turns into ``spec``."""
    core = spec.core
    swap_scale = RATE_OF_PERCENT if core.swap_kind == SwapKind.PERCENT_PER_YEAR else SWAP_OF_PRICE
    lot = Decimal(core.lot_cu)
    return {
        "symbol": spec.symbol,
        "digits": spec.digits,
        "time_zone": spec.time_zone,
        "session": spec.session.intervals,
        "holidays": spec.session.holidays,
        "day_start": spec.day_start_ms,
        "quote_currency": spec.quote_currency,
        "deposit_currency": spec.deposit_currency,
        "money_digits": core.money_digits,
        "unit": spec.unit,
        "balance": spec.balance,
        "price_hint": spec.price_hint,
        "roll_day": spec.roll_day,
        "lot": lot / CU,
        "volume_step": core.volume_step_cu / lot,
        "volume_min": core.volume_min_cu / lot,
        "volume_max": core.volume_max_cu / lot,
        "leverage": core.leverage,
        "spread": _amount_of(core.spread_kind, core.spread),
        "slippage": _amount_of(core.slippage_kind, core.slippage),
        "commission": _commission_amount(core),
        "commission_min": money_of_minor(core.commission_min_minor, core.money_digits),
        "conversion_fee": core.conversion_fee_bp,
        "sl_min": core.sl_min_px,
        "tp_min": core.tp_min_px,
        "swap_long": Amount(Decimal(core.swap_long) / swap_scale, swap_scale == RATE_OF_PERCENT),
        "swap_short": Amount(Decimal(core.swap_short) / swap_scale, swap_scale == RATE_OF_PERCENT),
        "swap_time": core.swap_time_ms,
        "swap_period": core.swap_period_ms,
        "swap_triple": core.swap_triple_weekday,
    }


def _exact(leaf: str, number: Decimal) -> int:
    """Return ``number`` as an integer >= 0 of the core's units."""
    if number != number.to_integral_value():
        raise ConfigError(
            "TOO_FINE",
            "Write it with fewer decimals: it is finer than the program can count.",
            setting=f"instrument.{leaf}",
            excess=plain(number % 1),
        )
    if number < 1 and leaf in {"lot", "volume_step"}:
        raise ConfigError("OUT_OF_RANGE", "Write a larger value.", setting=f"instrument.{leaf}")
    return int(number)


def _refuse_off_grid(digits: int, costs: Mapping[str, tuple[int, int]]) -> None:
    """Refuse costs between two price steps: a fill would lie there, and no broker takes a level that does."""
    for leaf, (kind, amount_px) in costs.items():
        if kind == CostKind.POINTS and amount_px % step_px(digits) != 0:
            raise ConfigError(
                "COST_OFF_GRID",
                f"Make instrument.{leaf} a multiple of the price step, or give the instrument more digits.",
                setting=f"instrument.{leaf}",
                points=amount_px / PX,
                step=step_px(digits) / PX,
            )


def _price_cost(leaf: str, amount: Amount) -> tuple[int, int]:
    if amount.percent:
        return int(CostKind.PPM), _exact(leaf, amount.value * PPM_OF_PERCENT)
    return int(CostKind.POINTS), _exact(leaf, amount.value * PX)


def _amount_of(kind: int, cost: int) -> Amount:
    in_percent = kind == CostKind.PPM
    return Amount(Decimal(cost) / (PPM_OF_PERCENT if in_percent else PX), in_percent)


def _commission(amount: Amount, lot_cu: int) -> tuple[int, int]:
    if amount.percent:
        return int(CommissionKind.PERCENT_OF_VALUE), _exact("commission", amount.value * RATE_OF_PERCENT)
    # a point is the quote currency's one a unit: on a lot it costs the lot's units
    return int(CommissionKind.PER_LOT_QUOTE), _exact("commission", amount.value * lot_cu * RATE_OF_UNIT / CU)


def _commission_amount(core: Instrument) -> Amount:
    rate = Decimal(core.commission_rate)
    if core.commission_kind == CommissionKind.PERCENT_OF_VALUE:
        return Amount(rate / RATE_OF_PERCENT, percent=True)
    return Amount(rate * CU / (core.lot_cu * RATE_OF_UNIT), percent=False)


def _swaps(long: Amount, short: Amount) -> tuple[int, int, int]:
    in_percent = long.percent or short.percent
    if any(amount.value and amount.percent != in_percent for amount in (long, short)):
        raise ConfigError(
            "BAD_SWAP",
            "Write both swaps in points or both in percent a year.",
            swap_long=plain(long.value),
            swap_short=plain(short.value),
        )
    scale = RATE_OF_PERCENT if in_percent else SWAP_OF_PRICE
    kind = SwapKind.PERCENT_PER_YEAR if in_percent else SwapKind.PRICE
    return int(kind), _exact("swap_long", long.value * scale), _exact("swap_short", short.value * scale)
