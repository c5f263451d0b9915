"""Numbers, names and tolerance of the messages."""

from __future__ import annotations

import pytest

from palmbot.errors import InvariantError
from palmbot.protocol.messages import (
    CLASSES,
    REQUESTS,
    DecodeError,
    Message,
    message_class,
    missing,
    name,
    parse,
    payload_type,
    pb,
    serialise,
)

PAIRS = """
ApplicationAuth 2100 2101, AccountAuth 2102 2103, Version 2104 2105, AssetList 2112 2113, SymbolsList 2114 2115,
SymbolById 2116 2117, SymbolsForConversion 2118 2119, Trader 2121 2122, Reconcile 2124 2125, SubscribeSpots 2127 2128,
UnsubscribeSpots 2129 2130, DealList 2133 2134, GetTrendbars 2137 2138, ExpectedMargin 2139 2140,
CashFlowHistoryList 2143 2144, GetTickData 2145 2146, AssetClassList 2153 2154, SubscribeDepthQuotes 2156 2157,
UnsubscribeDepthQuotes 2158 2159, SymbolCategoryList 2160 2161, AccountLogout 2162 2163,
SubscribeLiveTrendbar 2135 2165, UnsubscribeLiveTrendbar 2136 2166, MarginCallList 2167 2168,
MarginCallUpdate 2169 2170, RefreshToken 2173 2174, OrderList 2175 2176, GetDynamicLeverageByID 2177 2178,
DealListByPositionId 2179 2180, OrderDetails 2181 2182, OrderListByPositionId 2183 2184, DealOffsetList 2185 2186,
GetPositionUnrealizedPnL 2187 2188, v1PnLChangeSubscribe 2190 2191, v1PnLChangeUnSubscribe 2192 2193,
GetAccountListByAccessToken 2149 2150, GetCtidProfileByToken 2151 2152
"""
SINGLES = """
CommonErrorRes 50, HeartbeatEvent 51, NewOrderReq 2106, CancelOrderReq 2108, AmendOrderReq 2109,
AmendPositionSLTPReq 2110, ClosePositionReq 2111, TrailingSLChangedEvent 2107, SymbolChangedEvent 2120,
TraderUpdatedEvent 2123, ExecutionEvent 2126, SpotEvent 2131, OrderErrorEvent 2132, MarginChangedEvent 2141,
ErrorRes 2142, AccountsTokenInvalidatedEvent 2147, ClientDisconnectEvent 2148, DepthEvent 2155,
AccountDisconnectEvent 2164, MarginCallUpdateEvent 2171, MarginCallTriggerEvent 2172, v1PnLChangeEvent 2189
"""


def numbered() -> dict[int, str]:
    """The whole table of payload types, as the protocol's documentation has it."""
    table = {}
    for entry in PAIRS.replace("\n", " ").split(","):
        kind, request, response = entry.split()
        table[int(request)], table[int(response)] = f"{kind}Req", f"{kind}Res"
    for entry in SINGLES.replace("\n", " ").split(","):
        kind, number = entry.split()
        table[int(number)] = kind
    return table


def test_every_payload_type_has_its_message() -> None:
    assert {number: kind.__name__ for number, kind in CLASSES.items()} == numbered()


def test_the_numbers_from_2100_to_2193_are_complete() -> None:
    assert [number for number in range(2100, 2194) if message_class(number) is None] == []


def test_the_enum_of_payload_types_is_the_same_table() -> None:
    assert set(pb.PayloadType.values()) == set(CLASSES)


def test_a_class_and_its_number_lead_to_each_other() -> None:
    for number, kind in CLASSES.items():
        assert payload_type(kind()) == number
        assert message_class(number) is kind


def test_requests_are_what_clients_send() -> None:
    assert payload_type(pb.NewOrderReq()) in REQUESTS
    assert payload_type(pb.ExecutionEvent()) not in REQUESTS
    assert payload_type(pb.HeartbeatEvent()) not in REQUESTS


def test_a_part_of_messages_has_no_number() -> None:
    for part in (pb.Position(), pb.Envelope()):
        with pytest.raises(InvariantError, match="MESSAGE_UNNUMBERED"):
            payload_type(part)


def test_names_are_for_logs() -> None:
    assert name(2106) == "NewOrderReq"
    assert name(4711) == "4711"


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (pb.Trendbar, [3, 4, 5, 6, 7, 8, 9]),
        (pb.Interval, [3, 4]),
        (pb.DepthQuote, [1, 3, 4, 5]),
        (pb.OrderErrorEvent, [1, 2, 3, 5, 6, 7]),
        (pb.AmendPositionSLTPReq, [1, 2, 3, 4, 5, 7, 8, 9]),
        (pb.Order, [1, 2, 3, 4, *range(6, 25)]),
        (pb.Position, list(range(1, 17))),
        (pb.Deal, list(range(1, 18))),
        (pb.Symbol, list(range(1, 41))),
        (pb.Trader, list(range(1, 23))),
        (pb.NewOrderReq, list(range(1, 24))),
        (pb.MarginCallListRes, [1, 2]),
    ],
)
def test_field_numbers_have_the_gaps_of_the_wire(kind: type[Message], numbers: list[int]) -> None:
    assert [field.number for field in kind.DESCRIPTOR.fields] == numbers


def test_only_deleted_quotes_are_packed() -> None:
    packed = [
        f"{kind.name}.{field.name}"
        for kind in pb.DESCRIPTOR.message_types_by_name.values()
        for field in kind.fields
        if field.is_packed
    ]
    assert packed == ["DepthEvent.deletedQuotes"]


def test_repeated_numbers_are_read_packed_or_not() -> None:
    plain, packed = bytes.fromhex("10 01 18 05 18 06"), bytes.fromhex("10 01 1a 02 05 06")
    for payload in (plain, packed):
        message = parse(pb.SUBSCRIBE_SPOTS_REQ, payload)
        assert isinstance(message, pb.SubscribeSpotsReq)
        assert list(message.symbolId) == [5, 6]


def test_a_delta_of_ticks_is_two_ten_byte_varints() -> None:
    wire = bytes.fromhex("08 8c fc ff ff ff ff ff ff ff 01 10 fd ff ff ff ff ff ff ff ff 01")
    assert pb.TickData(timestamp=-500, tick=-3).SerializeToString() == wire


def test_absent_is_not_zero() -> None:
    spot = parse(pb.SPOT_EVENT, pb.SpotEvent(ctidTraderAccountId=1, symbolId=1, bid=0).SerializeToString())
    assert isinstance(spot, pb.SpotEvent)
    assert spot.HasField("bid")
    assert not spot.HasField("ask")


def test_unknown_fields_survive() -> None:
    newer = pb.Deal().SerializePartialToString() + bytes.fromhex("9a 01 03 61 62 63")  # field 19, three bytes
    message = parse(pb.DEAL_LIST_RES, pb.DealListRes(deal=[pb.Deal.FromString(newer)]).SerializePartialToString())
    assert isinstance(message, pb.DealListRes)
    assert message.deal[0].SerializePartialToString() == newer


def test_an_unknown_enum_value_survives_and_its_field_counts_as_missing() -> None:
    wire = bytes.fromhex("10 01 18 63")  # account 1, execution type 99
    event = parse(pb.EXECUTION_EVENT, wire)
    assert isinstance(event, pb.ExecutionEvent)
    assert missing(event) == ("executionType",)
    assert event.executionType == pb.ORDER_ACCEPTED, "what it would read as"
    assert event.SerializePartialToString() == wire


def test_missing_names_the_path() -> None:
    event = pb.ExecutionEvent(ctidTraderAccountId=1, executionType=pb.ORDER_FILLED)
    assert missing(event) == ()
    event.order.orderId = 7
    assert missing(event) == ("order.tradeData", "order.orderType", "order.orderStatus")


def test_an_incomplete_message_is_not_sent_and_says_what_it_lacks() -> None:
    with pytest.raises(InvariantError, match="kind=ClosePositionReq missing=positionId,volume"):
        serialise(pb.ClosePositionReq(ctidTraderAccountId=1))


def test_text_that_is_not_utf_8_is_read_with_replacement_characters() -> None:
    wire = pb.ErrorRes(errorCode="BAD?").SerializeToString().replace(b"?", b"\xff")
    message = parse(pb.ERROR_RES, wire)
    assert isinstance(message, pb.ErrorRes)
    assert message.errorCode == "BAD\ufffd"


def test_text_inside_parts_is_mended_too() -> None:
    trade = pb.TradeData(symbolId=1, volume=1, tradeSide=pb.BUY, label="x?")
    position = pb.Position(positionId=1, tradeData=trade, positionStatus=pb.POSITION_STATUS_OPEN, swap=0)
    wire = pb.ReconcileRes(ctidTraderAccountId=1, position=[position, position]).SerializeToString()
    message = parse(pb.RECONCILE_RES, wire.replace(b"x?", b"x\xfe"))
    assert isinstance(message, pb.ReconcileRes)
    assert [each.tradeData.label for each in message.position] == ["x\ufffd", "x\ufffd"]


def test_no_text_is_repeated_so_mending_sees_all_of_it() -> None:
    fields = [field for kind in pb.DESCRIPTOR.message_types_by_name.values() for field in kind.fields]
    assert not [field.full_name for field in fields if field.type == field.TYPE_STRING and field.is_repeated]


def test_an_unknown_number_has_no_message() -> None:
    assert parse(4711, b"anything") is None


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(DecodeError):
        parse(pb.SPOT_EVENT, b"\xff")
