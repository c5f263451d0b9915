"""Spotware's own client holds a whole session with ``palmbot exchange``, and every message is what it expects.

Exchange and client are two processes; the client lives in an environment of its own, with the versions that its maker
pinned. One session is held for the whole module (``session.py`` says what happens in it); a test looks at a part of it.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.sdk.expected import ANSWERS, BY_ITSELF, CENSUS, EXECUTIONS, IN_FORCE, PROTECTION, YOUNGER
from tests.sdk.transcript import Receipt, Transcript, hold_session, summary

pytestmark = pytest.mark.timeout(300)  # the first test waits for the session, on a new machine for a compiler too

PX = 100_000
HOUR_MINUTES = 60


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    """The transcript of the one session."""
    return hold_session(tmp_path_factory.mktemp("sdk"))


# --- the wire ---------------------------------------------------------------------------------------------------------


def test_every_message_is_complete_under_the_clients_own_classes(told: Transcript) -> None:
    faulty = {f"{receipt['asked']}: {summary(receipt)}": receipt["faults"] for receipt in told.receipts}
    assert {what: faults for what, faults in faulty.items() if faults} == {}


def test_what_the_clients_schema_does_not_know_is_only_what_is_younger_than_it(told: Transcript) -> None:
    assert {name for receipt in told.receipts for name in receipt["newer"]} <= YOUNGER


def test_nothing_failed_inside_the_client(told: Transcript) -> None:
    assert told.told("failure") == []


def test_one_connection_lasts_the_whole_session_and_ends_cleanly(told: Transcript) -> None:
    assert told.told("disconnected") == ["Connection was closed cleanly."]


def test_messages_leave_the_inner_payload_type_out(told: Transcript) -> None:
    assert [summary(receipt) for receipt in told.receipts if "payloadType" in receipt["body"]] == []


def test_heartbeats_are_not_answered(told: Transcript) -> None:
    # the client sends one at once and echoes each that it receives: an exchange that answers would never stop
    assert sum(receipt["type"] == 51 for receipt in told.receipts) <= 1


@pytest.mark.parametrize("step", ANSWERS)
def test_a_step_is_answered(told: Transcript, step: str) -> None:
    assert [summary(receipt) for receipt in told.answers(step)] == ANSWERS[step]


def test_every_answer_carries_the_id_of_a_step(told: Transcript) -> None:
    assert {receipt["asked"] for receipt in told.receipts} == {"", *ANSWERS}


def test_the_census_holds_what_the_steps_imply(told: Transcript) -> None:
    (census,) = told.told("census")
    counts = {int(kind): count for kind, count in census.items()}
    assert {kind: counts.pop(kind, 0) for kind in CENSUS} == CENSUS
    assert counts.keys() <= BY_ITSELF
    assert counts[2131] >= 2


@pytest.mark.parametrize(("name", "value"), [("ctidTraderAccountId", "account_id"), ("moneyDigits", 2)])
def test_account_and_digits_are_the_same_wherever_they_stand(told: Transcript, name: str, value: Any) -> None:
    assert set(told.everywhere(name)) == {told.given.get(value, value)}


# --- access -----------------------------------------------------------------------------------------------------------


def test_the_account_list_names_the_account_and_may_trade(told: Transcript) -> None:
    body = told.body("account_list")
    assert body["accessToken"] == told.given["access_token"]
    assert body["permissionScope"] == "SCOPE_TRADE"
    assert [one["ctidTraderAccountId"] for one in body["ctidTraderAccount"]] == [told.given["account_id"]]


def test_a_refresh_gives_a_new_pair(told: Transcript) -> None:
    body = told.body("refresh")
    assert body["tokenType"] == "bearer"
    assert body["expiresIn"] == 2_628_000
    assert body["accessToken"] not in ("", told.given["access_token"])
    assert body["refreshToken"] not in ("", told.given["refresh_token"])


@pytest.mark.parametrize("since", ["refresh", "used_token"])
def test_a_refresh_ends_the_account_session_and_says_so(told: Transcript, since: str) -> None:
    account_id = told.given["account_id"]
    assert told.events("AccountsTokenInvalidatedEvent", since)[0]["ctidTraderAccountIds"] == [account_id]
    assert told.events("AccountDisconnectEvent", since)[0] == {"ctidTraderAccountId": account_id}


@pytest.mark.parametrize("what", ["refresh", "code"])
def test_the_token_endpoint_gives_a_new_pair(told: Transcript, what: str) -> None:
    reply = told.http(what)
    assert (reply["tokenType"], reply["expiresIn"], reply["errorCode"]) == ("bearer", 2_628_000, None)
    assert reply["accessToken"] not in ("", told.body("refresh")["accessToken"])
    assert reply["refreshToken"] not in ("", told.body("refresh")["refreshToken"])


@pytest.mark.parametrize(
    ("what", "code"), [("used_refresh", "CH_ACCESS_TOKEN_INVALID"), ("used_code", "ACCESS_DENIED")]
)
def test_the_token_endpoint_says_errors_in_the_body(told: Transcript, what: str, code: str) -> None:
    reply = told.http(what)
    assert reply["errorCode"] == code
    assert reply["description"]
    assert "accessToken" not in reply


# --- reference data and market ----------------------------------------------------------------------------------------


def test_the_account_says_what_it_holds(told: Transcript) -> None:
    trader = told.body("trader")["trader"]
    assert trader["ctidTraderAccountId"] == told.given["account_id"]
    assert trader["balance"] > 0
    assert (trader["moneyDigits"], trader["leverageInCents"] > 0) == (2, True)
    assert trader["depositAssetId"] in [asset["assetId"] for asset in told.body("assets")["asset"]]


def test_the_traded_symbol_is_listed_with_a_category_and_a_class(told: Transcript) -> None:
    (symbol,) = [one for one in told.body("symbols")["symbol"] if one["symbolId"] == told.given["symbol_id"]]
    assert symbol["symbolName"]
    assert symbol["enabled"]
    classes = {one["id"]: one["assetClassId"] for one in told.body("categories")["symbolCategory"]}
    assert classes[symbol["symbolCategoryId"]] in [one["id"] for one in told.body("asset_classes")["assetClass"]]


def test_the_traded_symbol_says_how_it_is_traded(told: Transcript) -> None:
    (symbol,) = told.body("symbol")["symbol"]
    assert symbol["symbolId"] == told.given["symbol_id"]
    assert 0 < symbol["minVolume"] <= symbol["maxVolume"]
    assert symbol["minVolume"] % symbol["stepVolume"] == 0
    assert symbol["lotSize"] > 0
    assert 0 <= symbol["digits"] <= 5
    assert symbol["schedule"]
    assert all(0 <= one["startSecond"] < one["endSecond"] <= 7 * 86_400 for one in symbol["schedule"])


def test_a_conversion_chain_leads_to_the_deposit_asset(told: Transcript) -> None:
    assets = {asset["name"]: asset["assetId"] for asset in told.body("assets")["asset"]}
    chain = told.body("conversion")["symbol"]
    at = assets["EUR"]
    for symbol in chain:
        ends = {symbol["baseAssetId"], symbol["quoteAssetId"]}
        assert at in ends
        (at,) = ends - {at}
    assert at == told.body("trader")["trader"]["depositAssetId"]
    assert chain


def test_the_first_quote_comes_after_its_subscription_and_has_both_sides_and_a_time(told: Transcript) -> None:
    kinds = [receipt["name"] for receipt in told.receipts]
    assert kinds.index("ProtoOASubscribeSpotsRes") < kinds.index("ProtoOASpotEvent")
    spot = told.events("SpotEvent")[0]
    assert 0 < spot["bid"] <= spot["ask"]
    assert spot["timestamp"] > 0


def test_quotes_follow_in_order_of_time(told: Transcript) -> None:
    spots = told.events("SpotEvent")
    times = [spot["timestamp"] for spot in spots]
    assert times == sorted(times)
    assert times[-1] > times[0]
    assert all(spot.keys() & {"bid", "ask", "trendbar"} for spot in spots)


def test_live_bars_come_inside_quotes_with_their_period(told: Transcript) -> None:
    bars = [bar for spot in told.events("SpotEvent") for bar in spot.get("trendbar", [])]
    assert {bar["period"] for bar in bars} == {"H1"}
    assert all(bar["utcTimestampInMinutes"] % HOUR_MINUTES == 0 for bar in bars)


def test_history_is_whole_bars_of_the_window(told: Transcript) -> None:
    body = told.body("bars")
    bars = body["trendbar"]
    assert len(bars) > 20
    starts = [bar["utcTimestampInMinutes"] for bar in bars]
    assert all(start % HOUR_MINUTES == 0 for start in starts)
    assert len(set(starts)) == len(starts)
    assert all(bar["volume"] > 0 for bar in bars)
    # high >= open and close; both are counted from the low, so neither is below it
    assert all(bar.get("deltaHigh", 0) >= max(bar.get("deltaOpen", 0), bar.get("deltaClose", 0)) for bar in bars)
    last_ms = told.events("SpotEvent")[0]["timestamp"]
    assert all(0 <= last_ms - start * 60_000 <= 7 * 86_400_000 for start in starts)


def test_ticks_count_back_from_the_newest(told: Transcript) -> None:
    ticks = told.body("ticks")["tickData"]
    assert ticks[0]["tick"] > 0
    assert all(tick["timestamp"] <= 0 for tick in ticks[1:])
    assert sum(tick["tick"] for tick in ticks) > 0  # the oldest: all but the first are differences


def test_the_expected_margin_grows_with_the_volume(told: Transcript) -> None:
    one, ten = told.body("margin")["margin"]
    assert ten["volume"] == 10 * one["volume"]
    for side in ("buyMargin", "sellMargin"):
        assert one[side] > 0
        assert ten[side] == pytest.approx(10 * one[side], abs=10)


# --- orders from their request to their money -------------------------------------------------------------------------


def row(told: Transcript, receipt: Receipt) -> tuple[Any, ...]:
    """Return an execution event as a row of ``EXECUTIONS``."""
    body = receipt["body"]
    order, position = body["order"], body["position"]
    asked, opened = order["tradeData"], position["tradeData"]
    volumes = [volume / told.least for volume in (asked["volume"], order["executedVolume"], opened["volume"])]
    return (
        *(receipt["asked"], body["executionType"], body["isServerEvent"]),
        *(order["orderType"], asked["tradeSide"], order["orderStatus"].removeprefix("ORDER_STATUS_")),
        *(order["closingOrder"], *volumes[:2]),
        *(position["positionStatus"].removeprefix("POSITION_STATUS_"), volumes[2]),
    )


def test_executions_come_as_recorded_event_for_event(told: Transcript) -> None:
    assert [row(told, receipt) for receipt in told.executions] == EXECUTIONS


def test_an_execution_is_of_one_position_and_one_symbol(told: Transcript) -> None:
    for body in (receipt["body"] for receipt in told.executions):
        order, position = body["order"], body["position"]
        assert order["positionId"] == position["positionId"]
        assert {part["tradeData"]["symbolId"] for part in (order, position)} == {told.given["symbol_id"]}
        assert position["tradeData"]["tradeSide"] == "BUY"
        assert order["timeInForce"] == IN_FORCE[order["orderType"]]
    ids = [receipt["body"]["position"]["positionId"] for receipt in told.executions]
    assert (len({*ids[:10]}), len({*ids[10:]}), len({*ids})) == (1, 1, 2)


def test_only_fills_carry_a_deal_and_only_closing_ones_its_money(told: Transcript) -> None:
    for body in (receipt["body"] for receipt in told.executions):
        assert ("deal" in body) is (body["executionType"] == "ORDER_FILLED")
        if "deal" in body:
            deal, order = body["deal"], body["order"]
            assert (deal["dealStatus"], deal["filledVolume"]) == ("FILLED", order["executedVolume"])
            assert (deal["orderId"], deal["executionPrice"]) == (order["orderId"], order["executionPrice"])
            assert deal["tradeSide"] == order["tradeData"]["tradeSide"]
            assert ("closePositionDetail" in deal) is order["closingOrder"]


def test_a_market_order_keeps_what_was_asked_of_it(told: Transcript) -> None:
    order, position = told.body("entry", 0)["order"], told.body("entry", 1)["position"]
    assert order["clientOrderId"] == "entry-1"
    assert order["relativeTakeProfit"] == 2 * order["relativeStopLoss"] > 0
    assert (position["tradeData"]["label"], position["tradeData"]["comment"]) == ("certified", "a comment")
    assert position["price"] == told.body("entry", 1)["deal"]["executionPrice"] > 0
    assert position["commission"] <= 0
    assert position["usedMargin"] > 0


def test_its_levels_come_with_the_protection_and_count_from_the_fill(told: Transcript) -> None:
    for index in (0, 1):
        assert not {"stopLoss", "takeProfit"} & told.body("entry", index)["position"].keys()
    asked, order, position = told.body("entry", 0)["order"], told.protected["order"], told.protected["position"]
    fill = told.body("entry", 1)["deal"]["executionPrice"]
    assert order["orderId"] != asked["orderId"]
    assert order["stopPrice"] == position["stopLoss"] == pytest.approx(fill - asked["relativeStopLoss"] / PX)
    assert order["limitPrice"] == position["takeProfit"] == pytest.approx(fill + asked["relativeTakeProfit"] / PX)


def test_fill_and_protection_come_after_the_recorded_delays_of_market_time(told: Transcript) -> None:
    deal, order = told.body("entry", 1)["deal"], told.protected["order"]
    assert deal["executionTimestamp"] - deal["createTimestamp"] == 130
    assert order["utcLastUpdateTimestamp"] - deal["executionTimestamp"] == 20


def test_a_reconcile_shows_the_position_and_its_protection_only_when_asked(told: Transcript) -> None:
    position = told.protected["position"]
    for step in ("positions", "protections"):
        assert told.body(step)["position"] == [position]
    assert "order" not in told.body("positions")
    (order,) = told.body("protections")["order"]
    assert order["orderId"] == told.protected["order"]["orderId"]


def test_the_unrealised_result_is_the_positions(told: Transcript) -> None:
    (result,) = told.body("unrealized")["positionUnrealizedPnL"]
    assert result["positionId"] == told.protected["position"]["positionId"]
    commission = told.protected["position"]["commission"]
    assert result["netUnrealizedPnL"] == result["grossUnrealizedPnL"] + commission


def test_an_amend_that_leaves_a_leg_out_drops_it(told: Transcript) -> None:
    before, body = told.protected, told.body("drop_target")
    assert body["order"]["orderId"] == before["order"]["orderId"]
    assert body["order"]["stopPrice"] == before["order"]["stopPrice"]
    assert "limitPrice" not in body["order"]
    assert "takeProfit" not in body["position"]
    (found,) = told.body("after_drop")["position"]
    assert found["stopLoss"] == before["position"]["stopLoss"]
    assert "takeProfit" not in found


def test_the_protection_is_one_order_from_the_first_fill_to_the_last(told: Transcript) -> None:
    orders = [receipt["body"]["order"] for receipt in told.executions]
    protections = [order for order in orders if order["orderType"] == PROTECTION]
    assert len({order["orderId"] for order in protections}) == 1
    assert {order["stopPrice"] for order in protections} == {told.protected["position"]["stopLoss"]}


def test_each_close_moves_the_balance_by_its_own_money(told: Transcript) -> None:
    trader = told.body("trader")["trader"]
    balance, version = trader["balance"], trader["balanceVersion"]
    for step in ("close_half", "close"):
        deal = told.body(step, 1)["deal"]
        detail = deal["closePositionDetail"]
        assert (detail["closedVolume"], detail["entryPrice"]) == (
            told.least,
            told.body("entry", 1)["position"]["price"],
        )
        price = deal["executionPrice"] - detail["entryPrice"]
        gross = price * detail["closedVolume"] / 100 * detail["quoteToDepositConversionRate"] * 100
        assert detail["grossProfit"] == pytest.approx(gross, abs=1)
        assert detail["commission"] <= deal["commission"] <= 0
        balance += sum(detail.get(name, 0) for name in ("grossProfit", "swap", "commission", "pnlConversionFee"))
        version += 1
        assert (detail["balance"], detail["balanceVersion"]) == (balance, version)
    after = told.body("trader_after")["trader"]
    assert (after["balance"], after["balanceVersion"]) == (balance, version)


# --- what lists say of it ---------------------------------------------------------------------------------------------


def test_nothing_is_open_in_the_end(told: Transcript) -> None:
    assert told.body("nothing_open") == {"ctidTraderAccountId": told.given["account_id"]}


@pytest.mark.parametrize("step", ["deals", "position_deals"])
def test_deal_lists_have_the_deals_as_they_were_told_newest_first(told: Transcript, step: str) -> None:
    assert told.body(step)["deal"] == [told.body(each, 1)["deal"] for each in ("close", "close_half", "entry")]
    assert not told.body(step)["hasMore"]


@pytest.mark.parametrize("step", ["orders", "position_orders"])
def test_order_lists_have_every_order_as_it_was_told_last_newest_first(told: Transcript, step: str) -> None:
    ended = told.events("ExecutionEvent", "close")[0]["order"]
    steps = ("close", "close_half", "entry")
    assert told.body(step)["order"] == [ended, *(told.body(each, 1)["order"] for each in steps)]
    assert not told.body(step)["hasMore"]


def test_details_of_an_order_hold_its_deals(told: Transcript) -> None:
    body = told.body("order_details")
    assert body["order"] == told.body("close", 1)["order"]
    assert body["deal"] == [told.body("close", 1)["deal"]]


def test_the_offsets_of_a_closing_deal_lead_to_the_deal_that_opened(told: Transcript) -> None:
    body = told.body("offsets")
    (offset,) = body.get("offsetBy", []) + body.get("offsetting", [])
    assert (offset["dealId"], offset["volume"]) == (told.body("entry", 1)["deal"]["dealId"], told.least)


# --- an order that rests ----------------------------------------------------------------------------------------------


def test_a_pending_order_shows_its_absolute_levels_as_distances(told: Transcript) -> None:
    order = told.body("limit")["order"]
    assert order["clientOrderId"] == "limit-1"
    assert order["relativeStopLoss"] > 0
    assert order["relativeTakeProfit"] > 0
    assert not {"stopLoss", "takeProfit"} & order.keys()


def test_an_amended_order_keeps_its_id_and_is_found_pending(told: Transcript) -> None:
    before, after = told.body("limit")["order"], told.body("amend_limit")["order"]
    assert after["orderId"] == before["orderId"]
    assert after["limitPrice"] < before["limitPrice"]
    assert told.body("pending") == {"ctidTraderAccountId": told.given["account_id"], "order": [after]}


def test_a_cancelled_order_cannot_be_cancelled_again(told: Transcript) -> None:
    assert told.body("cancel_limit")["order"]["orderId"] == told.body("limit")["order"]["orderId"]
    assert told.body("cancel_again")["orderId"] == told.body("limit")["order"]["orderId"]
