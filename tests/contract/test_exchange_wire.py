"""Everything that a client may ask of the exchange is answered, and everything that it may be told is told (sheet 4.1).

Over real TLS, by a client that knows the messages alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import BID, LOT, SPEC, House, Plan, house_in
from tests.wire_client import WireClient

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.listing import TradingMode
from palmbot.exchange.values import CashKind
from palmbot.protocol.frames import encode_payload
from palmbot.protocol.messages import CLASSES, REQUESTS, Message, message_class, missing, payload_type, pb

ME: dict[str, Any] = {"ctidTraderAccountId": 1}
WEEK: dict[str, Any] = {"fromTimestamp": 1_704_700_000_000, "toTimestamp": 1_704_800_000_000}
MARKET: dict[str, Any] = {**ME, "symbolId": 1, "orderType": pb.MARKET, "tradeSide": pb.BUY, "volume": LOT}
RESTING: dict[str, Any] = {
    **ME,
    "symbolId": 1,
    "orderType": pb.LIMIT,
    "tradeSide": pb.BUY,
    "volume": LOT,
    "limitPrice": 3_900.0,
}

# what is asked with, once an application, an account, spots, a position 1 (order 1) and a pending order 2 are there
ASKED: dict[int, tuple[Message, type[Message]]] = {
    payload_type(request): (request, answer)
    for request, answer in (
        (pb.VersionReq(), pb.VersionRes),
        (pb.AssetListReq(**ME), pb.AssetListRes),
        (pb.AssetClassListReq(**ME), pb.AssetClassListRes),
        (pb.SymbolCategoryListReq(**ME), pb.SymbolCategoryListRes),
        (pb.SymbolsListReq(**ME), pb.SymbolsListRes),
        (pb.SymbolByIdReq(**ME, symbolId=[1, 2]), pb.SymbolByIdRes),
        (pb.SymbolsForConversionReq(**ME, firstAssetId=2, lastAssetId=9), pb.SymbolsForConversionRes),
        (pb.TraderReq(**ME), pb.TraderRes),
        (pb.ReconcileReq(**ME, returnProtectionOrders=True), pb.ReconcileRes),
        (pb.DealListReq(**ME, **WEEK), pb.DealListRes),
        (pb.OrderListReq(**ME, **WEEK), pb.OrderListRes),
        (pb.DealListByPositionIdReq(**ME, positionId=1), pb.DealListByPositionIdRes),
        (pb.OrderListByPositionIdReq(**ME, positionId=1), pb.OrderListByPositionIdRes),
        (pb.OrderDetailsReq(**ME, orderId=1), pb.OrderDetailsRes),
        (pb.DealOffsetListReq(**ME, dealId=1), pb.DealOffsetListRes),
        (pb.CashFlowHistoryListReq(**ME, **WEEK), pb.CashFlowHistoryListRes),
        (pb.GetPositionUnrealizedPnLReq(**ME), pb.GetPositionUnrealizedPnLRes),
        (pb.ExpectedMarginReq(**ME, symbolId=1, volume=[LOT, 2 * LOT]), pb.ExpectedMarginRes),
        (pb.GetDynamicLeverageByIDReq(**ME, leverageId=1), pb.GetDynamicLeverageByIDRes),
        (pb.MarginCallListReq(**ME), pb.MarginCallListRes),
        (
            pb.MarginCallUpdateReq(
                **ME, marginCall=pb.MarginCall(marginCallType=pb.MARGIN_LEVEL_THRESHOLD_1, marginLevelThreshold=90.0)
            ),
            pb.MarginCallUpdateRes,
        ),
        (pb.GetTrendbarsReq(**ME, **WEEK, period=pb.M1, symbolId=1), pb.GetTrendbarsRes),
        (pb.GetTickDataReq(**ME, **WEEK, type=pb.BID, symbolId=1), pb.GetTickDataRes),
        (pb.SubscribeSpotsReq(**ME, symbolId=[2]), pb.SubscribeSpotsRes),
        (pb.SubscribeLiveTrendbarReq(**ME, period=pb.H1, symbolId=2), pb.SubscribeLiveTrendbarRes),
        (pb.SubscribeDepthQuotesReq(**ME, symbolId=[2]), pb.SubscribeDepthQuotesRes),
        (pb.UnsubscribeDepthQuotesReq(**ME, symbolId=[2]), pb.UnsubscribeDepthQuotesRes),
        (pb.UnsubscribeLiveTrendbarReq(**ME, period=pb.H1, symbolId=2), pb.UnsubscribeLiveTrendbarRes),
        (pb.UnsubscribeSpotsReq(**ME, symbolId=[2]), pb.UnsubscribeSpotsRes),
        (pb.v1PnLChangeSubscribeReq(**ME), pb.v1PnLChangeSubscribeRes),
        (pb.v1PnLChangeUnSubscribeReq(**ME), pb.v1PnLChangeUnSubscribeRes),
        (pb.NewOrderReq(**MARKET), pb.ExecutionEvent),
        (pb.AmendOrderReq(**ME, orderId=2, limitPrice=3_950.0), pb.ExecutionEvent),
        (pb.CancelOrderReq(**ME, orderId=2), pb.ExecutionEvent),
        (pb.AmendPositionSLTPReq(**ME, positionId=1, stopLoss=3_900.0), pb.ExecutionEvent),
        (pb.ClosePositionReq(**ME, positionId=1, volume=LOT), pb.ExecutionEvent),
        (pb.AccountLogoutReq(**ME), pb.AccountLogoutRes),
    )
}
# asked by hand: they need credentials or tokens
AUTH = {
    pb.APPLICATION_AUTH_REQ,
    pb.ACCOUNT_AUTH_REQ,
    pb.GET_ACCOUNT_LIST_BY_ACCESS_TOKEN_REQ,
    pb.GET_CTID_PROFILE_BY_TOKEN_REQ,
    pb.REFRESH_TOKEN_REQ,
}


async def with_trades(house: House) -> WireClient:
    """Return a client whose account has position 1 of order 1, and order 2 that rests."""
    client = await house.client(1)
    await client.ask(pb.SubscribeSpotsReq(**ME, symbolId=[1]))
    house.tick()
    await client.ask(pb.NewOrderReq(**MARKET))
    house.later()
    await client.ask(pb.NewOrderReq(**RESTING))
    return client


async def test_every_request_of_the_protocol_gets_its_own_answer(tmp_path: Path) -> None:
    assert set(ASKED) | AUTH == REQUESTS
    async with house_in(tmp_path) as house:
        client = await with_trades(house)
        for request, answer in ASKED.values():
            got = await client.ask(request)
            assert isinstance(got, answer), got
            assert not missing(got)
            if "ctidTraderAccountId" in got.DESCRIPTOR.fields_by_name:
                assert getattr(got, "ctidTraderAccountId", None) == 1


async def test_no_message_carries_its_own_number_inside(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await with_trades(house)
        for request, _ in ASKED.values():
            await client.ask(request)
        assert len(client.heard) > len(ASKED)
        assert not [each.message for each in client.heard if each.message.HasField("payloadType")]


async def test_before_the_application_is_known_every_request_but_two_is_refused(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.dial()
        for number in sorted(REQUESTS - {pb.APPLICATION_AUTH_REQ, pb.VERSION_REQ}):
            kind = message_class(number)
            assert kind is not None
            refused = await client.ask(kind())
            assert isinstance(refused, pb.ErrorRes)
            assert refused.errorCode == "CH_CLIENT_NOT_AUTHENTICATED"


async def test_before_an_account_is_open_every_request_about_it_is_refused(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client()
        for request, _ in ASKED.values():
            if not isinstance(request, pb.VersionReq):
                refused = await client.ask(request)
                assert isinstance(refused, pb.ErrorRes)
                assert (refused.errorCode, refused.description) == (
                    "INVALID_REQUEST",
                    "Trading account is not authorized",
                )


async def test_a_request_without_its_required_fields_is_invalid(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        for number in sorted(REQUESTS):
            kind = message_class(number)
            assert kind is not None
            if missing(kind()):
                refused = await client.ask(kind())
                assert isinstance(refused, pb.ErrorRes), kind
                assert refused.errorCode == "INVALID_REQUEST"


@pytest.mark.parametrize("number", [9_999, pb.SPOT_EVENT, pb.TRADER_RES, 5, 0, 2**32 - 1])
async def test_what_is_no_request_is_unsupported(tmp_path: Path, number: int) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        client.raw(encode_payload(number, b"", "strange"))
        await client.until(lambda: client.heard[-1].client_msg_id == "strange")
        assert client.heard[-1].message.errorCode == "UNSUPPORTED_MESSAGE"


async def trailing(house: House, client: WireClient) -> None:
    await client.ask(pb.NewOrderReq(**MARKET, relativeStopLoss=1_000_000, trailingStopLoss=True))
    house.later()
    house.tick(BID + 2_000_000)


async def margin_call(house: House, client: WireClient) -> None:
    big = {**MARKET, "volume": 19 * LOT}
    await client.ask(pb.NewOrderReq(**big))
    house.later()
    house.tick(BID - 1_500_000)


async def leverage(house: House, client: WireClient) -> None:
    await client.ask(pb.NewOrderReq(**MARKET))
    house.later()
    terms = house.engine.venue.accounts[1].terms
    house.engine.set_terms(replace(terms, leverage_in_cents=terms.leverage_in_cents // 2))


async def told_by_request(request: Message, client: WireClient) -> None:
    await client.ask(request)


Scene = Callable[[House, WireClient], Awaitable[Any]]
THRESHOLD = pb.MarginCall(marginCallType=pb.MARGIN_LEVEL_THRESHOLD_2, marginLevelThreshold=70.0)


async def done(act: Callable[[], object]) -> None:
    act()


SCENES: dict[int, Scene] = {
    pb.TRAILING_SL_CHANGED_EVENT: trailing,
    pb.SYMBOL_CHANGED_EVENT: lambda house, _: done(lambda: house.server.symbols_changed([1, 2])),
    pb.TRADER_UPDATED_EVENT: leverage,
    pb.EXECUTION_EVENT: lambda house, _: done(lambda: house.engine.cash(1, CashKind.DEPOSIT, 500, "gift")),
    pb.SPOT_EVENT: lambda house, _: done(house.tick),
    pb.ORDER_ERROR_EVENT: lambda _, client: client.ask(pb.CancelOrderReq(**ME, orderId=77)),
    pb.MARGIN_CHANGED_EVENT: leverage,
    pb.ERROR_RES: lambda _, client: client.ask(pb.OrderDetailsReq(**ME, orderId=77)),
    pb.ACCOUNTS_TOKEN_INVALIDATED_EVENT: lambda house, client: client.ask(
        pb.RefreshTokenReq(refreshToken=house.ready.refresh_token)
    ),
    pb.CLIENT_DISCONNECT_EVENT: lambda house, _: done(
        lambda: house.server.end_application(house.ready.client_id, "blocked by administrator")
    ),
    pb.DEPTH_EVENT: lambda _, client: client.ask(pb.SubscribeDepthQuotesReq(**ME, symbolId=[1])),
    pb.ACCOUNT_DISCONNECT_EVENT: lambda house, _: done(house.server.drop_accounts),
    pb.MARGIN_CALL_UPDATE_EVENT: lambda _, client: client.ask(pb.MarginCallUpdateReq(**ME, marginCall=THRESHOLD)),
    pb.MARGIN_CALL_TRIGGER_EVENT: margin_call,
    pb.V1_PNL_CHANGE_EVENT: lambda _, client: client.ask(pb.v1PnLChangeSubscribeReq(**ME)),
}


@pytest.mark.parametrize("number", sorted(SCENES))
async def test_every_event_of_the_protocol_is_told(tmp_path: Path, number: int) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        await client.ask(pb.SubscribeSpotsReq(**ME, symbolId=[1]))
        house.tick()
        await SCENES[number](house, client)
        kind = message_class(number)
        assert kind is not None
        event = await client.take(kind)
        assert not missing(event)


def test_the_scenes_are_all_events_there_are() -> None:
    answers = {payload_type(answer()) for _, answer in ASKED.values()}
    others = {pb.COMMON_ERROR_RES, pb.HEARTBEAT_EVENT}  # told in maintenance, and by a timer
    granted = {number for number, kind in CLASSES.items() if kind.DESCRIPTOR.name.endswith("Res")}
    assert set(CLASSES) == REQUESTS | answers | granted | others | set(SCENES)


async def test_an_archived_symbol_is_listed_where_asked_for_and_cannot_be_used(tmp_path: Path) -> None:
    catalogue = catalogue_of(SPEC)
    gone = replace(catalogue.listings[1], archived_ms=1_600_000_000_000)
    shut = replace(catalogue.listings[2], trading_mode=TradingMode.CLOSE_ONLY_MODE)
    plan = Plan(catalogue=replace(catalogue, listings=(catalogue.listings[0], gone, shut, *catalogue.listings[3:])))
    async with house_in(tmp_path, plan) as house:
        client = await house.client(1)
        brief = await client.ask(pb.SymbolsListReq(**ME))
        assert gone.symbol_id not in [each.symbolId for each in brief.symbol]
        assert not brief.archivedSymbol
        whole = await client.ask(pb.SymbolsListReq(**ME, includeArchivedSymbols=True))
        assert [(each.symbolId, each.name) for each in whole.archivedSymbol] == [(gone.symbol_id, gone.name)]
        full = await client.ask(pb.SymbolByIdReq(**ME, symbolId=[gone.symbol_id, shut.symbol_id, 99]))
        assert [each.symbolId for each in full.symbol] == [shut.symbol_id]
        assert [each.symbolId for each in full.archivedSymbol] == [gone.symbol_id]
        assert full.symbol[0].tradingMode == pb.CLOSE_ONLY_MODE
        refused = await client.ask(pb.SubscribeSpotsReq(**ME, symbolId=[gone.symbol_id]))
        assert refused.errorCode == "SYMBOL_NOT_FOUND"
