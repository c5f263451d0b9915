"""State and history over the wire: newest first, page by page, and windows that are none (sheet 4.7 and 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import BID, LOT, START_MS, House, Plan, house_in
from tests.wire_client import WireClient

from palmbot.exchange.knobs import Knobs
from palmbot.exchange.values import CashKind
from palmbot.protocol.messages import pb
from palmbot.units import DAY_MS

ME: dict[str, Any] = {"ctidTraderAccountId": 1}
MARKET: dict[str, Any] = {**ME, "symbolId": 1, "orderType": pb.MARKET, "tradeSide": pb.BUY, "volume": LOT}
WINDOW: dict[str, Any] = {"fromTimestamp": START_MS - DAY_MS, "toTimestamp": START_MS + DAY_MS}
SMALL = Plan(Knobs(per_second=None, page_rows=2))


async def traded(house: House, count: int = 3) -> tuple[WireClient, list[int]]:
    """Open ``count`` positions, one a minute, and close the first; return the ids of the positions."""
    client = await house.client(1)
    house.tick()
    positions = []
    for number in range(count):
        house.tick(BID, after_ms=60_000)
        order = pb.NewOrderReq(**MARKET, relativeStopLoss=1_000_000, clientOrderId=f"c{number}", label=f"l{number}")
        positions.append((await client.ask(order)).order.positionId)
        house.later()
    house.tick(BID, after_ms=60_000)
    await client.ask(pb.ClosePositionReq(**ME, positionId=positions[0], volume=LOT))
    house.later()
    return client, positions


async def test_a_reconcile_shows_what_is_open_and_protective_orders_only_when_asked(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, positions = await traded(house)
        resting = await client.ask(
            pb.NewOrderReq(**{**MARKET, "orderType": pb.LIMIT, "limitPrice": 3_900.0, "clientOrderId": "rests"})
        )
        state = await client.ask(pb.ReconcileReq(**ME))
        assert [each.positionId for each in state.position] == positions[1:]
        assert {each.positionStatus for each in state.position} == {pb.POSITION_STATUS_OPEN}
        assert [each.tradeData.label for each in state.position] == ["l1", "l2"]
        assert [(each.orderId, each.clientOrderId) for each in state.order] == [(resting.order.orderId, "rests")]
        whole = await client.ask(pb.ReconcileReq(**ME, returnProtectionOrders=True))
        protective = [each for each in whole.order if each.orderType == pb.STOP_LOSS_TAKE_PROFIT]
        assert [each.positionId for each in protective] == positions[1:]
        assert {each.stopPrice for each in protective} == {each.stopLoss for each in whole.position}


async def test_a_lag_keeps_deals_from_lists_for_a_while_though_they_were_told(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, positions = await traded(house)
        house.faults.deal_lag_ms = 5_000
        questions = (pb.DealListReq(**ME, **WINDOW), pb.DealListByPositionIdReq(**ME, positionId=positions[0]))
        assert [len((await client.ask(each)).deal) for each in questions] == [3, 1]
        house.later(5_000)
        assert [len((await client.ask(each)).deal) for each in questions] == [4, 2]


async def test_deals_come_newest_first_and_page_by_page(tmp_path: Path) -> None:
    async with house_in(tmp_path, SMALL) as house:
        client, _ = await traded(house)
        found: list[Any] = []
        to_ms = WINDOW["toTimestamp"]
        while True:
            page = await client.ask(pb.DealListReq(**ME, fromTimestamp=WINDOW["fromTimestamp"], toTimestamp=to_ms))
            found += page.deal
            if not page.hasMore:
                break
            to_ms = page.deal[-1].executionTimestamp - 1
        assert [each.dealId for each in found] == [4, 3, 2, 1]
        assert [each.HasField("closePositionDetail") for each in found] == [True, False, False, False]
        few = await client.ask(pb.DealListReq(**ME, **WINDOW, maxRows=1))
        assert ([each.dealId for each in few.deal], few.hasMore) == ([4], True)
        many = await client.ask(pb.DealListReq(**ME, **WINDOW, maxRows=900))
        assert len(many.deal) == 2, "a page has an end whatever is asked for"
        assert (await client.ask(pb.DealListReq(**ME, **WINDOW, maxRows=0))).errorCode == "INVALID_REQUEST"


async def test_a_window_holds_both_its_ends(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, _ = await traded(house)
        every = (await client.ask(pb.DealListReq(**ME, **WINDOW))).deal
        first, last = every[-1].executionTimestamp, every[0].executionTimestamp
        exact = await client.ask(pb.DealListReq(**ME, fromTimestamp=first, toTimestamp=last))
        assert len(exact.deal) == len(every)
        inside = await client.ask(pb.DealListReq(**ME, fromTimestamp=first + 1, toTimestamp=last - 1))
        assert len(inside.deal) == len(every) - 2


async def test_without_a_window_deals_are_those_of_the_last_week(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, _ = await traded(house)
        assert len((await client.ask(pb.DealListReq(**ME))).deal) == 4
        house.tick(BID, after_ms=8 * DAY_MS)
        assert not (await client.ask(pb.DealListReq(**ME))).deal


async def test_the_lists_of_a_position_need_no_window(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, positions = await traded(house)
        house.tick(BID, after_ms=20 * DAY_MS)
        deals = await client.ask(pb.DealListByPositionIdReq(**ME, positionId=positions[0]))
        assert [each.tradeSide for each in deals.deal] == [pb.SELL, pb.BUY]
        orders = await client.ask(pb.OrderListByPositionIdReq(**ME, positionId=positions[0]))
        kinds = [(each.orderType, each.orderStatus) for each in orders.order]
        assert sorted(kinds) == [
            (pb.MARKET, pb.ORDER_STATUS_FILLED),
            (pb.MARKET, pb.ORDER_STATUS_FILLED),
            (pb.STOP_LOSS_TAKE_PROFIT, pb.ORDER_STATUS_CANCELLED),
        ]
        times = [each.utcLastUpdateTimestamp for each in orders.order]
        assert times == sorted(times, reverse=True)
        cut = await client.ask(pb.DealListByPositionIdReq(**ME, positionId=positions[0], **WINDOW))
        assert len(cut.deal) == 2
        early: dict[str, Any] = {"fromTimestamp": START_MS - 2, "toTimestamp": START_MS}
        assert not (await client.ask(pb.DealListByPositionIdReq(**ME, positionId=positions[0], **early))).deal
        assert not (await client.ask(pb.OrderListByPositionIdReq(**ME, positionId=777))).order


async def test_orders_of_a_window_lead_from_client_id_to_order_to_deals(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, positions = await traded(house)
        listed = await client.ask(pb.OrderListReq(**ME, **WINDOW))
        (mine,) = (each for each in listed.order if each.clientOrderId == "c1")
        details = await client.ask(pb.OrderDetailsReq(**ME, orderId=mine.orderId))
        assert details.order == mine
        assert [each.positionId for each in details.deal] == [positions[1]]
        unknown = await client.ask(pb.OrderDetailsReq(**ME, orderId=999))
        assert isinstance(unknown, pb.ErrorRes)
        assert unknown.errorCode == "ORDER_NOT_FOUND"


async def test_orders_page_like_deals(tmp_path: Path) -> None:
    async with house_in(tmp_path, SMALL) as house:
        client, positions = await traded(house)
        page = await client.ask(pb.OrderListReq(**ME, **WINDOW))
        assert (len(page.order), page.hasMore) == (2, True)
        of_position = await client.ask(pb.OrderListByPositionIdReq(**ME, positionId=positions[0]))
        assert (len(of_position.order), of_position.hasMore) == (2, True)


async def test_offsets_say_which_deal_closed_which(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, positions = await traded(house)
        closing, opening = (await client.ask(pb.DealListByPositionIdReq(**ME, positionId=positions[0]))).deal
        opened = await client.ask(pb.DealOffsetListReq(**ME, dealId=opening.dealId))
        closed = await client.ask(pb.DealOffsetListReq(**ME, dealId=closing.dealId))
        assert [(each.dealId, each.volume) for each in opened.offsetBy] == [(closing.dealId, LOT)]
        assert [(each.dealId, each.executionPrice) for each in closed.offsetting] == [
            (opening.dealId, opening.executionPrice)
        ]
        assert not opened.offsetting
        assert not closed.offsetBy
        assert (await client.ask(pb.DealOffsetListReq(**ME, dealId=999))).errorCode == "ENTITY_NOT_FOUND"


async def test_the_cash_flow_is_listed_without_pages(tmp_path: Path) -> None:
    async with house_in(tmp_path, SMALL) as house:
        client = await house.client(1)
        house.tick()
        for amount in (100, 200, 300):
            house.engine.cash(1, CashKind.DEPOSIT, amount, "gift")
            house.later()
        flow = await client.ask(pb.CashFlowHistoryListReq(**ME, **WINDOW))
        assert [each.delta for each in flow.depositWithdraw] == [300, 200, 100]
        assert [each.balanceVersion for each in flow.depositWithdraw] == [3, 2, 1]


BAD_WINDOWS: dict[str, dict[str, Any]] = {
    "backwards": {"fromTimestamp": START_MS, "toTimestamp": START_MS - 1},
    "below zero": {"fromTimestamp": -1, "toTimestamp": START_MS},
    "too wide": {"fromTimestamp": START_MS - 8 * DAY_MS, "toTimestamp": START_MS},
    "beyond all time": {"fromTimestamp": 2_147_483_646_001, "toTimestamp": 2_147_483_646_002},
    "hostile": {"fromTimestamp": -(2**63), "toTimestamp": 2**63 - 1},
}


@pytest.mark.parametrize("case", BAD_WINDOWS)
async def test_a_window_that_is_none_is_refused_by_every_list(tmp_path: Path, case: str) -> None:
    async with house_in(tmp_path) as house:
        client, window = await house.client(1), BAD_WINDOWS[case]
        for request in (
            pb.DealListReq(**ME, **window),
            pb.OrderListReq(**ME, **window),
            pb.DealListByPositionIdReq(**ME, positionId=1, **window),
            pb.OrderListByPositionIdReq(**ME, positionId=1, **window),
            pb.CashFlowHistoryListReq(**ME, **window),
            pb.GetTickDataReq(**ME, symbolId=1, type=pb.BID, **window),
        ):
            refused = await client.ask(request)
            assert isinstance(refused, pb.ErrorRes), request
            assert refused.errorCode == "INCORRECT_BOUNDARIES"


async def test_a_wide_window_is_cut_by_a_knob(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(Knobs(per_second=None, refuses_wide_windows=False))) as house:
        client, _ = await traded(house)
        listed = await client.ask(pb.DealListReq(**ME, fromTimestamp=0, toTimestamp=START_MS + DAY_MS))
        assert len(listed.deal) == 4
        late = await client.ask(pb.DealListReq(**ME, fromTimestamp=0, toTimestamp=START_MS + 9 * DAY_MS))
        assert not late.deal


async def test_one_account_never_sees_the_other(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client, positions = await traded(house)
        await client.open_account(2, house.ready.access_token)
        you: dict[str, Any] = {"ctidTraderAccountId": 2}
        assert not (await client.ask(pb.ReconcileReq(**you, returnProtectionOrders=True))).position
        assert not (await client.ask(pb.DealListReq(**you, **WINDOW))).deal
        assert not (await client.ask(pb.OrderListReq(**you, **WINDOW))).order
        assert not (await client.ask(pb.DealListByPositionIdReq(**you, positionId=positions[0]))).deal
        assert isinstance(await client.ask(pb.OrderDetailsReq(**you, orderId=1)), pb.ErrorRes)
        assert isinstance(await client.ask(pb.DealOffsetListReq(**you, dealId=1)), pb.ErrorRes)
        close = pb.ClosePositionReq(**you, positionId=positions[1], volume=LOT)
        assert (await client.ask(close)).errorCode == "POSITION_NOT_FOUND"
