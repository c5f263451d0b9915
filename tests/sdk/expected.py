"""What the official client has to receive in the session of ``session.py``."""

from __future__ import annotations

# What the client's schema is too old to know (sheet 10.1); it keeps such fields and reads on.
YOUNGER = {
    *("ProtoOACtidTraderAccount.6", "ProtoOALightSymbol.8", "ProtoOASymbolCategory.4", "ProtoOAAssetClass.3"),
    *("ProtoOATrader.21", "ProtoOATrader.22", "ProtoOASymbol.40", "ProtoOATradeData.8", "ProtoOATradeData.9"),
    *("ProtoOAGetTrendbarsRes.7", "ProtoOAErrorRes.6", "ProtoOAReconcileReq.3"),
}

# Every message that answers a step, in order: its name, and what kind of execution or error it is.
ANSWERS = {
    "before_app": ["ErrorRes CH_CLIENT_NOT_AUTHENTICATED"],
    "wrong_secret": ["ErrorRes CH_CLIENT_AUTH_FAILURE"],
    "app": ["ApplicationAuthRes"],
    "app_again": ["ErrorRes CH_CLIENT_ALREADY_AUTHENTICATED"],
    "version": ["VersionRes"],
    "account_list": ["GetAccountListByAccessTokenRes"],
    "profile": ["GetCtidProfileByTokenRes"],
    "before_account": ["ErrorRes INVALID_REQUEST"],
    "account": ["AccountAuthRes"],
    "account_again": ["ErrorRes ALREADY_LOGGED_IN"],
    "trader": ["TraderRes"],
    "assets": ["AssetListRes"],
    "symbols": ["SymbolsListRes"],
    "categories": ["SymbolCategoryListRes"],
    "asset_classes": ["AssetClassListRes"],
    "symbol": ["SymbolByIdRes"],
    "conversion": ["SymbolsForConversionRes"],
    "bars_before_spots": ["ErrorRes INVALID_REQUEST"],
    "spots": ["SubscribeSpotsRes"],
    "spots_again": ["ErrorRes ALREADY_SUBSCRIBED"],
    "live_bars": ["SubscribeLiveTrendbarRes"],
    "bars": ["GetTrendbarsRes"],
    "ticks": ["GetTickDataRes"],
    "margin": ["ExpectedMarginRes"],
    "margin_calls": ["MarginCallListRes"],
    "leverage": ["GetDynamicLeverageByIDRes"],
    "bad_volume": ["OrderErrorEvent TRADING_BAD_VOLUME"],
    "absolute_stop": ["ErrorRes INVALID_REQUEST"],
    "entry": ["ExecutionEvent ORDER_ACCEPTED", "ExecutionEvent ORDER_FILLED"],
    "positions": ["ReconcileRes"],
    "protections": ["ReconcileRes"],
    "unrealized": ["GetPositionUnrealizedPnLRes"],
    "drop_target": ["ExecutionEvent ORDER_REPLACED"],
    "after_drop": ["ReconcileRes"],
    "close_half": ["ExecutionEvent ORDER_ACCEPTED", "ExecutionEvent ORDER_FILLED"],
    "close": ["ExecutionEvent ORDER_ACCEPTED", "ExecutionEvent ORDER_FILLED"],
    "close_again": ["OrderErrorEvent POSITION_NOT_FOUND"],
    "trader_after": ["TraderRes"],
    "nothing_open": ["ReconcileRes"],
    "deals": ["DealListRes"],
    "orders": ["OrderListRes"],
    "position_deals": ["DealListByPositionIdRes"],
    "position_orders": ["OrderListByPositionIdRes"],
    "order_details": ["OrderDetailsRes"],
    "offsets": ["DealOffsetListRes"],
    "cash_flow": ["CashFlowHistoryListRes"],
    "no_order": ["ErrorRes ORDER_NOT_FOUND"],
    "limit": ["ExecutionEvent ORDER_ACCEPTED"],
    "amend_limit": ["ExecutionEvent ORDER_REPLACED"],
    "pending": ["ReconcileRes"],
    "cancel_limit": ["ExecutionEvent ORDER_CANCELLED"],
    "cancel_again": ["OrderErrorEvent ORDER_NOT_FOUND"],
    "unsubscribe_bars": ["UnsubscribeLiveTrendbarRes"],
    "unsubscribe": ["UnsubscribeSpotsRes"],
    "refresh": ["RefreshTokenRes"],
    "used_token": ["ErrorRes CH_ACCESS_TOKEN_INVALID"],
    "used_refresh": ["ErrorRes CH_ACCESS_TOKEN_INVALID"],
    "new_token": ["AccountAuthRes"],
    "trader_renewed": ["TraderRes"],
    "http_used_token": ["ErrorRes CH_ACCESS_TOKEN_INVALID"],
    "http_token": ["AccountAuthRes"],
    "code_token": ["GetAccountListByAccessTokenRes"],
    "logout": ["AccountLogoutRes"],
}

# How often each payload type comes, at least where it may come by itself.
ONCE = (
    *(2101, 2105, 2113, 2115, 2117, 2119, 2128, 2130, 2134, 2138, 2140, 2144, 2146, 2152, 2154, 2161, 2163, 2165),
    *(2166, 2168, 2174, 2176, 2178, 2180, 2182, 2184, 2186, 2188),
)
CENSUS = dict.fromkeys(ONCE, 1) | {2103: 3, 2122: 3, 2125: 5, 2126: 13, 2132: 3, 2142: 12, 2147: 2, 2150: 2, 2164: 3}
BY_ITSELF = {51, 2131, 2141}

# Every execution event of the session, as recorded of the real server (sheet 6.1, 6.3, 6.5, 6.6): the step that it
# answers, if any, its type, and whether the exchange made it; its order's type, side, status, whether it closes, volume
# and executed volume; its position's status and volume. Volumes are in smallest ones.
PROTECTION = "STOP_LOSS_TAKE_PROFIT"
EXECUTIONS = [
    ("entry", "ORDER_ACCEPTED", False, "MARKET", "BUY", "ACCEPTED", False, 2, 0, "CREATED", 0),
    ("entry", "ORDER_FILLED", False, "MARKET", "BUY", "FILLED", False, 2, 2, "OPEN", 2),
    ("", "ORDER_ACCEPTED", True, PROTECTION, "SELL", "ACCEPTED", True, 2, 0, "OPEN", 2),
    ("drop_target", "ORDER_REPLACED", False, PROTECTION, "SELL", "ACCEPTED", True, 2, 0, "OPEN", 2),
    ("close_half", "ORDER_ACCEPTED", False, "MARKET", "SELL", "ACCEPTED", True, 1, 0, "OPEN", 2),
    ("close_half", "ORDER_FILLED", False, "MARKET", "SELL", "FILLED", True, 1, 1, "OPEN", 1),
    ("", "ORDER_REPLACED", True, PROTECTION, "SELL", "ACCEPTED", True, 1, 0, "OPEN", 1),
    ("close", "ORDER_ACCEPTED", False, "MARKET", "SELL", "ACCEPTED", True, 1, 0, "OPEN", 1),
    ("close", "ORDER_FILLED", False, "MARKET", "SELL", "FILLED", True, 1, 1, "CREATED", 0),
    ("", "ORDER_CANCELLED", True, PROTECTION, "SELL", "CANCELLED", True, 1, 0, "CLOSED", 0),
    ("limit", "ORDER_ACCEPTED", False, "LIMIT", "BUY", "ACCEPTED", False, 1, 0, "CREATED", 0),
    ("amend_limit", "ORDER_REPLACED", False, "LIMIT", "BUY", "ACCEPTED", False, 2, 0, "CREATED", 0),
    ("cancel_limit", "ORDER_CANCELLED", False, "LIMIT", "BUY", "CANCELLED", False, 2, 0, "CLOSED", 0),
]
IN_FORCE = {"MARKET": "IMMEDIATE_OR_CANCEL", PROTECTION: "GOOD_TILL_CANCEL", "LIMIT": "GOOD_TILL_CANCEL"}
