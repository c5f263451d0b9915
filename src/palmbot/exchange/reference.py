"""What is listed and what an account is: assets, symbols, leverage, trader, margin, unrealized results (sheet 4.4)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, cast

from palmbot.exchange.account import Account
from palmbot.exchange.client import Client
from palmbot.exchange.desk import Desk, Reply, Route, Routes, no_entity
from palmbot.exchange.listing import CommissionType, Listing
from palmbot.exchange.refusals import invalid, no_symbol
from palmbot.exchange.values import Refused, Via
from palmbot.exchange.wire import call_message
from palmbot.protocol.messages import pb

BONUS = 0  # this broker gives none


# -- what is listed


def assets(desk: Desk, _client: Client, request: pb.AssetListReq) -> Reply:
    """Return all assets."""
    return pb.AssetListRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        asset=[
            pb.Asset(assetId=each.asset_id, name=each.name, displayName=each.name, digits=each.digits)
            for each in desk.engine.venue.catalogue.assets
        ],
    )


def asset_classes(desk: Desk, _client: Client, request: pb.AssetClassListReq) -> Reply:
    """Return all classes of assets."""
    return pb.AssetClassListRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        assetClass=[
            pb.AssetClass(id=each.class_id, name=each.name, sortingNumber=float(each.class_id))
            for each in desk.engine.venue.catalogue.classes
        ],
    )


def categories(desk: Desk, _client: Client, request: pb.SymbolCategoryListReq) -> Reply:
    """Return all categories of symbols."""
    return pb.SymbolCategoryListRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        symbolCategory=[
            pb.SymbolCategory(
                id=each.category_id,
                assetClassId=each.class_id,
                name=each.name,
                sortingNumber=float(each.category_id),
            )
            for each in desk.engine.venue.catalogue.categories
        ],
    )


def symbols(desk: Desk, _client: Client, request: pb.SymbolsListReq) -> Reply:
    """Return all symbols in brief, archived ones where that is asked for."""
    listings = desk.engine.venue.catalogue.listings
    return pb.SymbolsListRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        symbol=[light_symbol(each) for each in listings if each.archived_ms is None],
        archivedSymbol=_archived(listings) if request.includeArchivedSymbols else (),
    )


def symbols_by_id(desk: Desk, _client: Client, request: pb.SymbolByIdReq) -> Reply:
    """Return symbols in full; an id that nobody knows is missing from the answer, or refuses it by a knob."""
    catalogue = desk.engine.venue.catalogue
    found = [(symbol_id, catalogue.listing(symbol_id)) for symbol_id in dict.fromkeys(request.symbolId)]
    unknown = [symbol_id for symbol_id, listing in found if listing is None]
    if unknown and desk.knobs.unknown_symbol_is_error:
        return no_symbol(desk.engine.venue.conduct.knobs, unknown[0])
    listings = [listing for _, listing in found if listing is not None]
    return pb.SymbolByIdRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        symbol=[full_symbol(each) for each in listings if each.archived_ms is None],
        archivedSymbol=_archived(listings),
    )


def conversion(desk: Desk, _client: Client, request: pb.SymbolsForConversionReq) -> Reply:
    """Return the chain of symbols from one asset to another; none where both are one."""
    catalogue, ends = desk.engine.venue.catalogue, (request.firstAssetId, request.lastAssetId)
    known = [each.asset_id for each in catalogue.assets]
    chain = catalogue.chain(*ends)
    if any(each not in known for each in ends) or (not chain and ends[0] != ends[1]):
        return no_entity(f"No symbols convert asset {ends[0]} to asset {ends[1]}")
    return pb.SymbolsForConversionRes(
        ctidTraderAccountId=request.ctidTraderAccountId, symbol=[light_symbol(each) for each in chain]
    )


def dynamic_leverage(desk: Desk, _client: Client, request: pb.GetDynamicLeverageByIDReq) -> Reply:
    """Return the tiers of a leverage."""
    leverage = desk.engine.venue.catalogue.leverage(request.leverageId)
    if leverage is None:
        return no_entity(f"Dynamic leverage not found with id {request.leverageId}")
    tiers = [pb.DynamicLeverageTier(volume=each.exposure_max_cents, leverage=each.leverage) for each in leverage.tiers]
    return pb.GetDynamicLeverageByIDRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        leverage=pb.DynamicLeverage(leverageId=leverage.leverage_id, tiers=tiers),
    )


def light_symbol(listing: Listing) -> pb.LightSymbol:
    """Return a symbol in brief."""
    return pb.LightSymbol(
        symbolId=listing.symbol_id,
        symbolName=listing.name,
        enabled=listing.is_enabled,
        baseAssetId=listing.base_asset_id,
        quoteAssetId=listing.quote_asset_id,
        symbolCategoryId=listing.category_id,
        description=listing.description,
        sortingNumber=float(listing.symbol_id),
    )


def full_symbol(listing: Listing) -> pb.Symbol:
    """Return a symbol in full, its deprecated fields filled too."""
    core = listing.spec.core
    return pb.Symbol(
        symbolId=listing.symbol_id,
        digits=listing.spec.digits,
        pipPosition=listing.pip_position,
        enableShortSelling=listing.has_short_selling,
        guaranteedStopLoss=listing.has_guaranteed_stops,
        swapRollover3Days=cast("pb.DayOfWeek", listing.swap_triple_day),
        swapLong=listing.swap_long,
        swapShort=listing.swap_short,
        maxVolume=core.volume_max_cu,
        minVolume=core.volume_min_cu,
        stepVolume=core.volume_step_cu,
        maxExposure=listing.max_exposure_cu,  # None, and so absent, where there is no cap
        schedule=[pb.Interval(startSecond=each.start_s, endSecond=each.end_s) for each in listing.schedule],
        commission=core.commission_rate // _DEPRECATED[listing.commission_type],
        commissionType=cast("pb.CommissionType", listing.commission_type),
        slDistance=listing.sl_distance,
        tpDistance=listing.tp_distance,
        gslDistance=listing.gsl_distance,
        gslCharge=listing.gsl_charge,
        distanceSetIn=cast("pb.SymbolDistanceType", listing.distance_unit),
        minCommission=listing.commission_min_e8 // 10**6,
        minCommissionType=cast("pb.MinCommissionType", listing.commission_min_type),
        minCommissionAsset=listing.commission_min_asset,
        rolloverCommission=listing.rollover_commission,
        skipRolloverDays=listing.rollover_skip_days,
        scheduleTimeZone=listing.spec.session.time_zone,
        tradingMode=cast("pb.TradingMode", listing.trading_mode),
        rolloverCommission3Days=cast("pb.DayOfWeek", listing.rollover_triple_day),
        swapCalculationType=cast("pb.SwapCalculationType", listing.swap_type),
        lotSize=core.lot_cu,
        preciseTradingCommissionRate=core.commission_rate,
        preciseMinCommission=listing.commission_min_e8,
        holiday=[
            pb.Holiday(
                holidayId=each.holiday_id,
                name=each.name,
                scheduleTimeZone=each.time_zone,
                holidayDate=each.day,
                isRecurring=False,
            )
            for each in listing.holidays
        ],
        pnlConversionFeeRate=core.conversion_fee_bp,
        leverageId=listing.leverage_id,
        swapPeriod=listing.swap_period_hours,
        swapTime=listing.swap_time_minutes,
        skipSWAPPeriods=listing.swap_skip_periods,
        chargeSwapAtWeekends=listing.swap_at_weekends,
        measurementUnits=listing.spec.unit,
    )


_DEPRECATED: Final = {  # what a rate as it is kept is divided by to be the old field's, which is x 100
    each: 10**3 if each is CommissionType.PERCENTAGE_OF_VALUE else 10**6 for each in CommissionType
}


def _archived(listings: Iterable[Listing]) -> list[pb.ArchivedSymbol]:
    return [
        pb.ArchivedSymbol(
            symbolId=each.symbol_id,
            name=each.name,
            utcLastUpdateTimestamp=each.archived_ms,
            description=each.description,
        )
        for each in listings
        if each.archived_ms is not None
    ]


# -- what an account is


def trader_message(account: Account) -> pb.Trader:
    """Return an account's terms and balance."""
    terms = account.terms
    return pb.Trader(
        ctidTraderAccountId=terms.account_id,
        balance=account.balance_minor,
        balanceVersion=account.balance_version,
        managerBonus=BONUS,
        ibBonus=BONUS,
        nonWithdrawableBonus=BONUS,
        accessRights=cast("pb.AccessRights", terms.rights),
        depositAssetId=terms.deposit_asset_id,
        swapFree=terms.is_swap_free,
        leverageInCents=terms.leverage_in_cents,
        totalMarginCalculationType=cast("pb.TotalMarginCalculationType", terms.total_margin),
        maxLeverage=terms.max_leverage_in_cents or terms.leverage_in_cents,
        frenchRisk=terms.is_limited_risk,
        traderLogin=terms.login,
        accountType=cast("pb.AccountType", terms.type),
        brokerName=terms.broker,
        registrationTimestamp=None if terms.registered_ms == 0 else terms.registered_ms,
        isLimitedRisk=terms.is_limited_risk,
        limitedRiskMarginCalculationStrategy=cast("pb.LimitedRiskMarginCalculationStrategy", terms.limited_risk_margin),
        moneyDigits=terms.money_digits,
        fairStopOut=terms.is_fair_stop_out,
        stopOutStrategy=cast("pb.StopOutStrategy", terms.stop_out_order),
    )


def trader(desk: Desk, _client: Client, request: pb.TraderReq) -> Reply:
    """Return the account."""
    account_id = request.ctidTraderAccountId
    return pb.TraderRes(ctidTraderAccountId=account_id, trader=trader_message(desk.engine.venue.accounts[account_id]))


def expected_margin(desk: Desk, _client: Client, request: pb.ExpectedMarginReq) -> Reply:
    """Return what each volume would need, bought and sold."""
    account_id, venue = request.ctidTraderAccountId, desk.engine.venue
    listing = venue.catalogue.listing(request.symbolId)
    most_cu = 0 if listing is None else listing.spec.core.volume_max_cu
    margins = []
    for volume_cu in request.volume:
        if listing is not None and not 0 < volume_cu <= most_cu:
            return Refused("TRADING_BAD_VOLUME", f"Volume {volume_cu} is none of this symbol", Via.ERROR_RES)
        needed = venue.expected_margin(account_id, request.symbolId, volume_cu)
        if isinstance(needed, Refused):
            return needed
        margins.append(pb.ExpectedMargin(volume=volume_cu, buyMargin=needed[0], sellMargin=needed[1]))
    return pb.ExpectedMarginRes(
        ctidTraderAccountId=account_id,
        margin=margins,
        moneyDigits=venue.accounts[account_id].terms.money_digits,
    )


def margin_calls(desk: Desk, _client: Client, request: pb.MarginCallListReq) -> Reply:
    """Return the thresholds of the account."""
    calls = desk.engine.venue.accounts[request.ctidTraderAccountId].margin_calls
    return pb.MarginCallListRes(
        marginCall=[call_message(each.kind, each.threshold_pct, each.updated_ms) for each in calls]
    )


def margin_call_update(desk: Desk, _client: Client, request: pb.MarginCallUpdateReq) -> Reply:
    """Move a threshold; everybody on the account is told."""
    asked = request.marginCall
    if not math.isfinite(asked.marginLevelThreshold):
        return invalid("marginLevelThreshold is no level")
    refused = desk.engine.set_margin_call(
        request.ctidTraderAccountId, int(asked.marginCallType), asked.marginLevelThreshold
    )
    return pb.MarginCallUpdateRes() if refused is None else refused


def unrealized(desk: Desk, _client: Client, request: pb.GetPositionUnrealizedPnLReq) -> Reply:
    """Return what each open position would bring now."""
    account_id, venue = request.ctidTraderAccountId, desk.engine.venue
    return pb.GetPositionUnrealizedPnLRes(
        ctidTraderAccountId=account_id,
        positionUnrealizedPnL=[
            pb.PositionUnrealizedPnL(
                positionId=each.position_id, grossUnrealizedPnL=each.gross_minor, netUnrealizedPnL=each.net_minor
            )
            for each in venue.unrealized(account_id)
        ],
        moneyDigits=venue.accounts[account_id].terms.money_digits,
    )


ROUTES: Routes = {
    pb.ASSET_LIST_REQ: Route(assets, is_list=True),
    pb.ASSET_CLASS_LIST_REQ: Route(asset_classes, is_list=True),
    pb.SYMBOL_CATEGORY_LIST_REQ: Route(categories, is_list=True),
    pb.SYMBOLS_LIST_REQ: Route(symbols, is_list=True),
    pb.SYMBOL_BY_ID_REQ: Route(symbols_by_id, is_list=True),
    pb.SYMBOLS_FOR_CONVERSION_REQ: Route(conversion, is_list=True),
    pb.GET_DYNAMIC_LEVERAGE_BY_ID_REQ: Route(dynamic_leverage),
    pb.TRADER_REQ: Route(trader),
    pb.EXPECTED_MARGIN_REQ: Route(expected_margin),
    pb.MARGIN_CALL_LIST_REQ: Route(margin_calls, is_list=True),
    pb.MARGIN_CALL_UPDATE_REQ: Route(margin_call_update),
    pb.GET_POSITION_UNREALIZED_PNL_REQ: Route(unrealized, is_list=True),
}
