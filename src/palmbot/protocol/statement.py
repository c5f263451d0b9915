"""What the broker says of a symbol and of the account that trades it, as an instrument; and what it forbids. Pure.

The inverse of what the exchange lists: an instrument that went over the wire comes back as it was. What the broker
leaves unsaid stays as it is configured; spread and slippage it never states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from palmbot.core.types import CostKind, Instrument
from palmbot.errors import ConfigError, RefusedError
from palmbot.instruments import InstrumentSpec
from palmbot.protocol.charges import Money, commission_of, swap_of
from palmbot.protocol.messages import pb, unread
from palmbot.protocol.schedule import session_of
from palmbot.units import step_px

DIGITS_MAX = 5  # what prices of 1e-5 can hold
MONEY_DIGITS, MONEY_DIGITS_MAX = 2, 8  # usual, and the most that a broker is known to use
NOT_STATED = "not stated: the configured one is an assumption"
_VOLUME_MAX_CU = 2**53
_NEAR_MAX = 8  # names that are shown instead of the one that is not there
_RIGHTS = MappingProxyType(
    {
        pb.CLOSE_ONLY: "The broker lets this account close positions only: ask the broker why.",
        pb.NO_TRADING: "The broker lets this account not trade: ask the broker why.",
        pb.NO_LOGIN: "The broker lets nobody log in to this account: ask the broker why.",
    }
)
_KINDS = MappingProxyType(
    {
        pb.NETTED: ("ACCOUNT_NETTED", "Use a hedged account: on a netted one a position is not one's own."),
        pb.SPREAD_BETTING: ("ACCOUNT_SPREAD_BETTING", "Use a hedged account: bets a point are not counted here."),
    }
)
_DISABLED = "The broker does not trade this symbol now: trade another, or wait."
_MODES = MappingProxyType(
    {
        pb.CLOSE_ONLY_MODE: "The broker takes closing orders only, as for a symbol that expires: trade another.",
        pb.DISABLED_WITHOUT_PENDINGS_EXECUTION: _DISABLED,
        pb.DISABLED_WITH_PENDINGS_EXECUTION: _DISABLED,
    }
)
_TRADER_ENUMS = frozenset({"accessRights", "accountType"})  # the others change nothing here
_UNUSED_ENUMS = frozenset({"rolloverCommission3Days"})


@dataclass(frozen=True, slots=True)
class Statement:
    """What the broker says.

    ``assets`` are names by id, ``tiers`` the leverages of the symbol by exposure, ``has_chain`` whether its money can
    be converted into the account's.
    """

    trader: pb.Trader
    light: pb.LightSymbol
    full: pb.Symbol
    assets: Mapping[int, str]
    tiers: tuple[int, ...] = ()
    has_chain: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """The broker's instrument, and what else is to be said of its settings, by their name."""

    spec: InstrumentSpec
    remarks: Mapping[str, str] = field(default_factory=dict)


class Volumes(NamedTuple):
    """Volumes of orders in cu."""

    lot_cu: int
    volume_step_cu: int
    volume_min_cu: int
    volume_max_cu: int


# -- what is listed


def listed_as(symbol: str, listed: pb.SymbolsListRes) -> pb.LightSymbol:
    """Return the entry of ``symbol`` in a list of all, archived ones too.

    Raises:
        ConfigError: there is none.
        RefusedError: the broker has retired it, or is about to: a symbol on its way out may stand in both lists;
            or several that are traded bear that name.
    """
    named = [each for each in listed.symbol if each.symbolName == symbol]
    found = [each for each in named if each.enabled or not each.HasField("enabled")] or named
    numbers = [each.symbolId for each in named]
    gone = [each for each in listed.archivedSymbol if each.name == symbol]
    if gone and (not numbers or any(each.symbolId in numbers for each in gone)):  # else it was listed anew
        raise _archived(symbol, since_ms=gone[0].utcLastUpdateTimestamp)
    if len(found) > 1:
        todo = "Trade another symbol: the broker lists several by this name, and nobody can say which is meant."
        raise RefusedError("SYMBOL_AMBIGUOUS", todo, symbol=symbol, ids=",".join(str(each.symbolId) for each in found))
    if not found:
        near = sorted(each.symbolName for each in listed.symbol if each.symbolName[:3].upper() == symbol[:3].upper())
        todo = "Name it as this broker does (instrument.symbol); another broker may offer it."
        raise ConfigError("SYMBOL_NOT_FOUND", todo, symbol=symbol, near=",".join(near[:_NEAR_MAX]))
    return found[0]


def full_of(light: pb.LightSymbol, answer: pb.SymbolByIdRes) -> pb.Symbol:
    """Return the symbol of an answer that was asked for it alone.

    Raises:
        RefusedError: the broker has retired it.
    """
    if not answer.symbol:
        raise _archived(light.symbolName)
    return answer.symbol[0]


def _archived(symbol: str, **facts: int) -> RefusedError:
    return RefusedError("SYMBOL_ARCHIVED", "Trade another: the broker has retired this symbol.", symbol=symbol, **facts)


def tiers_of(answer: pb.GetDynamicLeverageByIDRes) -> tuple[int, ...]:
    """Return the leverages of a symbol by growing exposure."""
    return tuple(each.leverage for each in answer.leverage.tiers if each.leverage > 0)


# -- what is forbidden


def refusals(statement: Statement, *, wants_shorts: bool) -> tuple[RefusedError, ...]:
    """Return every reason not to trade, the account's first.

    Args:
        statement: of the broker.
        wants_shorts: whether the rules sell short.
    """
    found = (
        *account_refusals(statement.trader),
        *symbol_refusals(statement.light, statement.full, wants_shorts=wants_shorts),
    )
    return found if statement.has_chain else (*found, no_conversion(statement.light.symbolName))


def no_conversion(symbol: str) -> RefusedError:
    """Return the refusal of a symbol whose money nothing converts into the account's."""
    todo = "Use an account in the symbol's currency: without a rate nothing can be sized."
    return RefusedError("NO_CONVERSION", todo, symbol=symbol)


def account_refusals(trader: pb.Trader) -> tuple[RefusedError, ...]:
    """Return why an account cannot be traded."""
    return tuple(_of_account(trader))


def _of_account(trader: pb.Trader) -> Iterator[RefusedError]:
    account = trader.traderLogin or trader.ctidTraderAccountId
    newer = sorted(_TRADER_ENUMS.intersection(unread(trader)))
    if newer:
        yield _unknown(",".join(newer), account=account)
    if trader.accessRights in _RIGHTS:
        rights = pb.AccessRights.Name(trader.accessRights)
        yield RefusedError("NO_FULL_ACCESS", _RIGHTS[trader.accessRights], account=account, rights=rights)
    if trader.accountType in _KINDS:
        code, todo = _KINDS[trader.accountType]
        yield RefusedError(code, todo, account=account)
    if trader.isLimitedRisk or trader.frenchRisk:
        todo = "Use an account without limited risk: on this one every order needs a guaranteed stop loss."
        yield RefusedError("LIMITED_RISK", todo, account=account)
    if trader.swapFree:
        todo = "Use an account with swaps: the fee that takes their place is not counted here."
        yield RefusedError("SWAP_FREE", todo, account=account)


def symbol_refusals(light: pb.LightSymbol, full: pb.Symbol, *, wants_shorts: bool) -> tuple[RefusedError, ...]:
    """Return why a symbol cannot be traded."""
    return tuple(_of_symbol(light, full, wants_shorts=wants_shorts))


def _of_symbol(light: pb.LightSymbol, full: pb.Symbol, *, wants_shorts: bool) -> Iterator[RefusedError]:
    symbol = light.symbolName
    newer = [each for each in unread(full) if each not in _UNUSED_ENUMS]
    if newer:
        yield _unknown(",".join(newer), symbol=symbol)
    if full.tradingMode in _MODES:
        mode = pb.TradingMode.Name(full.tradingMode)
        yield RefusedError("SYMBOL_NOT_TRADED", _MODES[full.tradingMode], symbol=symbol, mode=mode)
    elif light.HasField("enabled") and not light.enabled:
        yield RefusedError("SYMBOL_NOT_TRADED", _DISABLED, symbol=symbol, enabled=False)
    if wants_shorts and full.HasField("enableShortSelling") and not full.enableShortSelling:
        todo = "Trade long only (--set allow_short=false), or another symbol: the broker takes no shorts in this one."
        yield RefusedError("SHORTS_DISABLED", todo, symbol=symbol)


def _unknown(what: str, **facts: object) -> RefusedError:
    todo = "Update palmbot: the broker states terms that this version does not know."
    return RefusedError("TERMS_UNKNOWN", todo, terms=what, **facts)


# -- what is stated


def instrument_of(statement: Statement, configured: InstrumentSpec) -> Reading:
    """Return the broker's instrument; what it does not state is that of ``configured``.

    Raises:
        RefusedError: it states what cannot be counted here; the code says what.
    """
    trader, full, assets = statement.trader, statement.full, statement.assets
    digits = within("digits", full.digits, 0, DIGITS_MAX)
    session, remarks = session_of(full, configured.session)
    money = Money(
        assets.get(statement.light.quoteAssetId, configured.quote_currency),
        assets.get(trader.depositAssetId, configured.deposit_currency),
    )
    core = configured.core._replace(step_px=step_px(digits), money_digits=money_digits_of(trader))
    _refuse_off_grid(core)
    volumes, said = _volumes(full, core)
    remarks |= said
    leverage, said = _leverage(statement, core.leverage)
    remarks |= said
    core, said = swap_of(full, core._replace(leverage=leverage, **volumes._asdict(), **_distances(full, core)))
    remarks |= said
    core = commission_of(full, money, core._replace(conversion_fee_bp=_fee(full, money, core)))
    spec = replace(
        configured,
        digits=digits,
        time_zone=configured.time_zone if session == configured.session else session.time_zone,
        quote_currency=money.quote,
        deposit_currency=money.deposit,
        unit=full.measurementUnits or configured.unit,
        session=session,
        core=core,
    )
    return Reading(spec, remarks | {"spread": NOT_STATED, "slippage": NOT_STATED})


def money_digits_of(trader: pb.Trader) -> int:
    """Return the decimals of an account's money.

    Raises:
        RefusedError: ``TERMS_ABSURD``, too many.
    """
    digits = trader.moneyDigits if trader.HasField("moneyDigits") else MONEY_DIGITS
    return within("money_digits", digits, 0, MONEY_DIGITS_MAX)


def within(name: str, value: int, low: int, high: int) -> int:
    """Return ``value``.

    Raises:
        RefusedError: ``TERMS_ABSURD``, it is less than ``low`` or more than ``high``.
    """
    if not low <= value <= high:
        todo = f"Trade another symbol or account: {low} to {high} can be counted here."
        raise RefusedError("TERMS_ABSURD", todo, term=name, value=value)
    return value


def _refuse_off_grid(core: Instrument) -> None:
    """Refuse assumed costs between two of the broker's price steps: a fill would lie there."""
    costs = (("spread", core.spread_kind, core.spread), ("slippage", core.slippage_kind, core.slippage))
    for name, kind, cost_px in costs:
        if kind == CostKind.POINTS and cost_px % core.step_px:
            todo = f"Make instrument.{name} a multiple of the broker's price step."
            raise RefusedError("COST_OFF_GRID", todo, setting=f"instrument.{name}", step_px=core.step_px)


def _volumes(full: pb.Symbol, core: Instrument) -> tuple[Volumes, dict[str, str]]:
    """Return the volumes of a symbol; the largest is no more than its exposure may be, which one order could reach."""
    stated = Volumes(
        _said(full, "lotSize", core.lot_cu),
        _said(full, "stepVolume", core.volume_step_cu),
        _said(full, "minVolume", core.volume_min_cu),
        _said(full, "maxVolume", core.volume_max_cu),
    )
    remarks = {}
    if 0 < full.maxExposure < stated.volume_max_cu:
        stated = stated._replace(volume_max_cu=full.maxExposure)
        remarks["volume_max"] = "the largest exposure"
    for name, volume_cu in stated._asdict().items():
        within(name.removesuffix("_cu"), volume_cu, 1, _VOLUME_MAX_CU)
    if stated.volume_min_cu > stated.volume_max_cu:
        todo = "Trade another symbol: no volume is large and small enough for this one."
        raise RefusedError("VOLUMES_UNFIT", todo, min_cu=stated.volume_min_cu, max_cu=stated.volume_max_cu)
    return stated, remarks


def _distances(full: pb.Symbol, core: Instrument) -> dict[str, int]:
    """Return the least distances of stop and target in px.

    The configured one stays where it is the same on the price grid, the only place where levels are.
    """
    found = {}
    for name, stated in (("sl_min_px", "slDistance"), ("tp_min_px", "tpDistance")):
        before_px = getattr(core, name)
        points = _said(full, stated, -(-before_px // core.step_px))
        if points and full.distanceSetIn == pb.SYMBOL_DISTANCE_IN_PERCENTAGE:
            todo = "Trade another symbol: its least distances are in percent, which are not counted here."
            raise RefusedError("DISTANCE_IN_PERCENT", todo, distance=stated, value=points)
        found[name] = before_px if points == -(-before_px // core.step_px) else points * core.step_px
    return found


def _leverage(statement: Statement, configured: int) -> tuple[int, dict[str, str]]:
    """Return the leverage: the account's or the lowest that exposure may lead to, so that margin is never too small."""
    hundredths = _said(statement.trader, "leverageInCents", configured * 100)
    leverage = min([hundredths // 100, *statement.tiers])
    remarks = {}
    if leverage == hundredths // 100:
        if hundredths % 100:
            remarks["leverage"] = f"rounded down from {hundredths / 100:g}"
    elif len(statement.tiers) > 1:
        remarks["leverage"] = f"the lowest of {', '.join(map(str, statement.tiers))} by exposure"
    return within("leverage", leverage, 1, 10**6), remarks


def _fee(full: pb.Symbol, money: Money, core: Instrument) -> int:
    fee_bp = _said(full, "pnlConversionFeeRate", core.conversion_fee_bp)
    return 0 if money.is_one else within("conversion_fee", fee_bp, 0, 10_000)


def _said(message: Any, field_name: str, unsaid: int) -> int:  # noqa: ANN401 - any of the broker's messages
    """Return a field of a message; ``unsaid`` where it is absent."""
    return int(getattr(message, field_name)) if message.HasField(field_name) else unsaid
