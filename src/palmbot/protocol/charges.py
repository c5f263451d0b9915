"""The broker's commission and swap as the core counts them (protocol sheet 5.5). Pure.

What the core can count comes over exactly; what it cannot is refused, for a charge that is guessed is paid in the end.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import NamedTuple

from palmbot.core.types import CommissionKind, Instrument, SwapKind
from palmbot.errors import RefusedError
from palmbot.protocol.messages import pb
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

_E8 = 10**8
_PERCENT_OF_MILLION = 10**7  # a dollar a million is 0.0001 %: its 10^8 are 10 of the core's 10^5 a percent
_SWAP_OF_PRICE = 10
_RATE_OF_PERCENT = 10**5
_SWAP_MAX = 10**16  # of what the core counts
_PER_LOT = (CommissionKind.PER_LOT_DEPOSIT, CommissionKind.PER_LOT_QUOTE)


class Money(NamedTuple):
    """In whose money a symbol is quoted and the account is kept."""

    quote: str
    deposit: str

    @property
    def is_one(self) -> bool:
        """Whether nothing is converted."""
        return self.quote == self.deposit


def commission_of(full: pb.Symbol, money: Money, core: Instrument) -> Instrument:
    """Return ``core`` with the commission of a symbol, whose money digits it has; unchanged where none is stated.

    Raises:
        RefusedError: ``COMMISSION_UNFIT``, the core cannot count it.
    """
    kind = full.commissionType
    if full.HasField("preciseTradingCommissionRate"):
        rate = full.preciseTradingCommissionRate
    elif full.HasField("commission"):
        rate = full.commission * (10**3 if kind == pb.PERCENTAGE_OF_VALUE else 10**6)
    else:
        return core
    if rate < 0:
        raise _unfit(full, "it is negative")
    if kind == pb.USD_PER_MILLION_USD:
        # value in dollars x rate / 10^6: a share of the value, whatever currency that is counted in
        core_kind, (rate, rest) = CommissionKind.PERCENT_OF_VALUE, divmod(rate, _PERCENT_OF_MILLION)
        if rest:
            raise _unfit(full, "it is finer than 0.1 USD a million")
    elif kind == pb.PERCENTAGE_OF_VALUE:
        core_kind = CommissionKind.PERCENT_OF_VALUE
    else:
        core_kind = _per_lot_kind(full, "USD" if kind == pb.USD_PER_LOT else money.quote, money, core)
    least = _minimum(full, money, core.money_digits)
    return core._replace(commission_kind=int(core_kind), commission_rate=rate, commission_min_minor=least)


def _per_lot_kind(full: pb.Symbol, currency: str, money: Money, core: Instrument) -> CommissionKind:
    if currency == money.quote:
        as_before = CommissionKind(core.commission_kind)
        return as_before if money.is_one and as_before in _PER_LOT else CommissionKind.PER_LOT_QUOTE
    if currency == money.deposit:
        return CommissionKind.PER_LOT_DEPOSIT
    raise _unfit(full, f"it is in {currency}, neither the symbol's currency nor the account's")


def _minimum(full: pb.Symbol, money: Money, money_digits: int) -> int:
    """Return the least commission of one side in minor units: rounded as a charge is, so that the greater one stays."""
    e8 = full.preciseMinCommission if full.HasField("preciseMinCommission") else full.minCommission * 10**6
    currency = money.quote if full.minCommissionType == pb.QUOTE_CURRENCY else full.minCommissionAsset
    if e8 == 0:
        return 0
    if e8 < 0 or currency != money.deposit:
        raise _unfit(full, f"its minimum is in {currency}, the account in {money.deposit}")
    return int((Decimal(e8).scaleb(money_digits) / _E8).quantize(Decimal(1), ROUND_HALF_UP))


def _unfit(full: pb.Symbol, why: str) -> RefusedError:
    kind = pb.CommissionType.Name(full.commissionType)
    todo = "Trade another symbol or account: the bot cannot count this commission, and would size by a wrong one."
    return RefusedError("COMMISSION_UNFIT", todo, kind=kind, why=why)


def swap_of(full: pb.Symbol, core: Instrument) -> tuple[Instrument, dict[str, str]]:
    """Return ``core`` with the swap of a symbol and remarks by setting; unchanged where none is stated.

    Raises:
        RefusedError: ``SWAP_UNFIT``, the core cannot count it.
    """
    if not full.HasField("swapLong") and not full.HasField("swapShort"):
        return core, {}
    rates, remarks = {}, {}
    for name, told in (("swap_long", full.swapLong), ("swap_short", full.swapShort)):
        rates[name], is_exact = _swap_rate(full, told)
        if not is_exact:
            remarks[name] = "rounded against us: it is finer than the bot can count"
    is_yearly = full.swapCalculationType == pb.PERCENTAGE
    if not any(rates.values()):  # how nothing is charged does not matter
        return core._replace(swap_long=0, swap_short=0), remarks
    if full.chargeSwapAtWeekends:
        raise _unfit_swap("it is charged at weekends too")
    if full.skipSWAPPeriods:
        raise _unfit_swap(f"the first {full.skipSWAPPeriods} of a position are free")
    period_ms = full.swapPeriod * HOUR_MS if full.HasField("swapPeriod") else core.swap_period_ms
    time_ms = full.swapTime * MINUTE_MS if full.HasField("swapTime") else core.swap_time_ms
    if not (0 < period_ms <= DAY_MS and DAY_MS % period_ms == 0 and 0 <= time_ms < DAY_MS):
        raise _unfit_swap(f"it is charged every {full.swapPeriod} hours from minute {full.swapTime} of a day on")
    kind = SwapKind.PERCENT_PER_YEAR if is_yearly else SwapKind.PRICE
    core = core._replace(
        swap_kind=int(kind),
        swap_time_ms=time_ms,
        swap_period_ms=period_ms,
        swap_triple_weekday=full.swapRollover3Days - pb.MONDAY,  # -1 where there is none
        **rates,
    )
    return core, remarks


def _swap_rate(full: pb.Symbol, told: float) -> tuple[int, bool]:
    """Return a swap rate as the core counts it, and whether that is exact. The double stands for its shortest decimal.

    Raises:
        RefusedError: it is no number.
    """
    if not abs(told) < _SWAP_MAX:  # so that it is also false for what is no number
        raise _unfit_swap(f"its rate is {told}")
    if full.swapCalculationType == pb.PERCENTAGE:
        exact = Decimal(repr(told)) * _RATE_OF_PERCENT
    else:
        decimals = full.pipPosition if full.swapCalculationType == pb.PIPS else full.digits
        exact = Decimal(repr(told)).scaleb(_SWAP_OF_PRICE - decimals)
    counted = int(exact.to_integral_value(ROUND_FLOOR))
    if abs(counted) > _SWAP_MAX:
        raise _unfit_swap(f"its rate is {told}")
    return counted, counted == exact


def _unfit_swap(why: str) -> RefusedError:
    todo = "Trade another symbol: the bot cannot count this swap, and its results would not be yours."
    return RefusedError("SWAP_UNFIT", todo, why=why)
