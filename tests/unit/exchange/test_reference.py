"""Reference data over the wire: assets, symbols, chains, leverage, margin, results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import BID, LOT, SPEC, Plan, house_in

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import Conduct, VenueKnobs
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.listing import CommissionType
from palmbot.exchange.reference import full_symbol
from palmbot.protocol.messages import pb

ME: dict[str, Any] = {"ctidTraderAccountId": 1}


async def test_assets_classes_and_categories_hang_together(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        assets = {each.assetId: each for each in (await client.ask(pb.AssetListReq(**ME))).asset}
        classes = {each.id: each.name for each in (await client.ask(pb.AssetClassListReq(**ME))).assetClass}
        categories = {each.id: each for each in (await client.ask(pb.SymbolCategoryListReq(**ME))).symbolCategory}
        symbols = (await client.ask(pb.SymbolsListReq(**ME))).symbol
        assert {each.name: each.digits for each in assets.values()}["JPY"] == 0
        assert {each.assetClassId for each in categories.values()} <= set(classes)
        for symbol in symbols:
            assert {symbol.baseAssetId, symbol.quoteAssetId} <= set(assets)
            assert symbol.symbolCategoryId in categories
            assert symbol.enabled
        assert "SYNTHETIC" in symbols[0].description


async def test_a_symbol_says_its_terms_in_the_units_of_the_wire(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        (symbol,) = (await client.ask(pb.SymbolByIdReq(**ME, symbolId=[1]))).symbol
        assert (symbol.digits, symbol.lotSize, symbol.minVolume, symbol.stepVolume) == (3, 2_500, 25, 25)
        assert symbol.commissionType == pb.QUOTE_CCY_PER_LOT
        assert symbol.preciseTradingCommissionRate == SPEC.core.commission_rate
        assert [(each.startSecond, each.endSecond) for each in symbol.schedule] == [(0, 7 * 86_400)]
        assert symbol.scheduleTimeZone == "UTC"
        assert symbol.measurementUnits == "t"


@pytest.mark.parametrize("is_error", [False, True])
async def test_an_unknown_symbol_is_missing_or_refused_by_a_knob(tmp_path: Path, is_error: bool) -> None:
    async with house_in(tmp_path, Plan(Knobs(per_second=None, unknown_symbol_is_error=is_error))) as house:
        client = await house.client(1)
        answer = await client.ask(pb.SymbolByIdReq(**ME, symbolId=[1, 99]))
        if is_error:
            assert answer.errorCode == "SYMBOL_NOT_FOUND"
        else:
            assert [each.symbolId for each in answer.symbol] == [1]


async def test_a_symbol_that_is_asked_for_many_times_is_told_once(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        answer = await client.ask(pb.SymbolByIdReq(**ME, symbolId=[2, 1, 2] * 300))
        assert [each.symbolId for each in answer.symbol] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "rate", "old"),
    [(CommissionType.PERCENTAGE_OF_VALUE, 10_000, 10), (CommissionType.USD_PER_LOT, 3 * 10**8, 300)],
    ids=["0.1 %", "3 USD"],
)
def test_the_old_field_of_a_commission_is_a_hundred_times_the_rate(kind: CommissionType, rate: int, old: int) -> None:
    listing = catalogue_of(SPEC).traded
    spec = replace(listing.spec, core=listing.spec.core._replace(commission_rate=rate))
    symbol = full_symbol(replace(listing, spec=spec, commission_type=kind))
    assert (symbol.commission, symbol.preciseTradingCommissionRate) == (old, rate)


async def test_an_unknown_symbol_has_one_code_everywhere_which_is_a_knob(tmp_path: Path) -> None:
    conduct = Conduct(knobs=VenueKnobs(unknown_symbol_code="UNKNOWN_SYMBOL"))
    async with house_in(tmp_path, Plan(Knobs(per_second=None, unknown_symbol_is_error=True), conduct)) as house:
        client = await house.client(1)
        for request in (
            pb.SymbolByIdReq(**ME, symbolId=[99]),
            pb.SubscribeSpotsReq(**ME, symbolId=[99]),
            pb.ExpectedMarginReq(**ME, symbolId=99, volume=[LOT]),
            pb.NewOrderReq(**ME, symbolId=99, orderType=pb.MARKET, tradeSide=pb.BUY, volume=LOT),
        ):
            assert (await client.ask(request)).errorCode == "UNKNOWN_SYMBOL"


async def test_a_chain_leads_from_one_asset_to_the_other(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        ids = {each.name: each.assetId for each in (await client.ask(pb.AssetListReq(**ME))).asset}

        async def chain(first: int, last: int) -> Any:
            return await client.ask(pb.SymbolsForConversionReq(**ME, firstAssetId=first, lastAssetId=last))

        links = (await chain(ids["EUR"], ids["MYR"])).symbol
        assert [each.symbolName for each in links] == ["EURUSD", "USDMYR"]
        assert not (await chain(ids["MYR"], ids["MYR"])).symbol
        assert (await chain(ids["EUR"], 999)).errorCode == "ENTITY_NOT_FOUND"


async def test_tiers_of_leverage_grow_and_unknown_ones_are_not_there(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        leverage = (await client.ask(pb.GetDynamicLeverageByIDReq(**ME, leverageId=2))).leverage
        bounds = [each.volume for each in leverage.tiers]
        assert bounds == sorted(bounds)
        assert leverage.leverageId == 2
        assert (await client.ask(pb.GetDynamicLeverageByIDReq(**ME, leverageId=77))).errorCode == "ENTITY_NOT_FOUND"


async def test_the_expected_margin_is_the_margin_that_a_fill_takes(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        early = await client.ask(pb.ExpectedMarginReq(**ME, symbolId=1, volume=[LOT]))
        assert (type(early), early.errorCode) == (pb.ErrorRes, "NO_QUOTES")
        house.tick()
        (expected,) = (await client.ask(pb.ExpectedMarginReq(**ME, symbolId=1, volume=[LOT]))).margin
        order = pb.NewOrderReq(**ME, symbolId=1, orderType=pb.MARKET, tradeSide=pb.SELL, volume=LOT)
        await client.ask(order)
        house.later()
        filled = await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)
        slippage = abs(filled.position.usedMargin - expected.sellMargin)
        assert slippage <= expected.sellMargin // 1_000
        assert expected.buyMargin >= expected.sellMargin
        unknown = await client.ask(pb.ExpectedMarginReq(**ME, symbolId=99, volume=[LOT]))
        assert isinstance(unknown, pb.ErrorRes), "no order is refused here"


async def test_thresholds_are_listed_moved_and_told(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, other = await house.client(1), await house.client(1)
        calls = (await client.ask(pb.MarginCallListReq(**ME))).marginCall
        assert [each.marginCallType for each in calls] == [61, 62, 63]
        moved = pb.MarginCall(marginCallType=pb.MARGIN_LEVEL_THRESHOLD_2, marginLevelThreshold=77.5)
        await client.ask(pb.MarginCallUpdateReq(**ME, marginCall=moved))
        assert (await other.take(pb.MarginCallUpdateEvent)).marginCall.marginLevelThreshold == 77.5
        calls = (await client.ask(pb.MarginCallListReq(**ME))).marginCall
        assert [each.marginLevelThreshold for each in calls] == [100.0, 77.5, 60.0]


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -1.0])
async def test_a_threshold_that_is_no_level_is_refused(tmp_path: Path, threshold: float) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        moved = pb.MarginCall(marginCallType=pb.MARGIN_LEVEL_THRESHOLD_2, marginLevelThreshold=threshold)
        refused = await client.ask(pb.MarginCallUpdateReq(**ME, marginCall=moved))
        assert refused.errorCode == "INVALID_REQUEST"


async def test_unrealized_results_follow_the_quote(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.tick()
        await client.ask(pb.NewOrderReq(**ME, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=LOT))
        house.later()

        async def result() -> Any:
            (only,) = (await client.ask(pb.GetPositionUnrealizedPnLReq(**ME))).positionUnrealizedPnL
            return only

        before = await result()
        house.tick(BID + 100_000)  # one ringgit more for 25 t
        after = await result()
        assert after.grossUnrealizedPnL - before.grossUnrealizedPnL == 2_500
        assert before.netUnrealizedPnL < before.grossUnrealizedPnL
