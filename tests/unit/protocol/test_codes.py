"""Every error code, walked against what may count as a rejection."""

from __future__ import annotations

import pytest

from palmbot.protocol.codes import CODES, Reaction, Via, is_rejection, reaction_of

# What proves that a request did not happen; nothing else does.
ALLOWED = {
    "rate limit": {"BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED"},
    "not enough money": {"NOT_ENOUGH_MONEY", "MAX_EXPOSURE_REACHED", "TOO_MANY_POSITIONS"},
    "bad volume": {"TRADING_BAD_VOLUME", "TRADING_BAD_STAKE"},
    "bad stops": {"TRADING_BAD_STOPS", "PROTECTION_IS_TOO_CLOSE_TO_MARKET", "WORSE_GSL_NOT_ALLOWED"},
    "bad prices": {"TRADING_BAD_PRICES", "TRADING_BAD_EXPIRATION_DATE"},
    "market closed": {"MARKET_CLOSED", "SYMBOL_HAS_HOLIDAY", "NO_QUOTES"},
    "trading disabled": {"TRADING_DISABLED", "TRADING_NOT_ALLOWED", "SHORT_SELLING_NOT_ALLOWED"},
}
REACTIONS = {
    Reaction.SUCCESS: {
        "ALREADY_LOGGED_IN",
        "CH_CLIENT_ALREADY_AUTHENTICATED",
        "ALREADY_SUBSCRIBED",
        "NOT_SUBSCRIBED_TO_PNL",
    },
    Reaction.REJECTED: set[str]().union(*ALLOWED.values()) - ALLOWED["rate limit"],
    Reaction.WAIT: ALLOWED["rate limit"] | {"CONNECTIONS_LIMIT_EXCEEDED", "SERVER_IS_UNDER_MAINTENANCE"},
    Reaction.REAUTHORISE: {"ACCOUNT_NOT_AUTHORIZED", "CH_CLIENT_NOT_AUTHENTICATED"},
    Reaction.TOKEN: {"OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID"},
    Reaction.FATAL: {
        "RET_NO_SUCH_LOGIN",
        "RET_ACCOUNT_DISABLED",
        "CH_CTID_TRADER_ACCOUNT_NOT_FOUND",
        "CH_CLIENT_AUTH_FAILURE",
        "CH_OA_CLIENT_NOT_FOUND",
        "CHANNEL_IS_BLOCKED",
        "SYMBOL_NOT_FOUND",
        "UNKNOWN_SYMBOL",
    },
    Reaction.LOOK: {
        "ENTITY_NOT_FOUND",
        "CONCURRENT_MODIFICATION",
        "PENDING_EXECUTION",
        "POSITION_LOCKED",
        "POSITION_NOT_FOUND",
        "POSITION_NOT_OPEN",
        "ORDER_NOT_FOUND",
        "UNABLE_TO_CANCEL_ORDER",
        "UNABLE_TO_AMEND_ORDER",
    },
    Reaction.BUG: {
        "UNSUPPORTED_MESSAGE",
        "FRAME_TOO_LONG",
        "INVALID_REQUEST",
        "INCORRECT_BOUNDARIES",
        "NOT_SUBSCRIBED_TO_SPOTS",
    },
    Reaction.UNKNOWN: {"UNKNOWN_ERROR", "TIMEOUT_ERROR", "CANT_ROUTE_REQUEST", "CH_SERVER_NOT_REACHABLE"},
}


@pytest.mark.parametrize("reaction", Reaction)
def test_codes_ask_for_the_reaction_that_the_protocol_documents(reaction: Reaction) -> None:
    assert {name for name, code in CODES.items() if code.reaction is reaction} == REACTIONS[reaction]


@pytest.mark.parametrize("name", sorted(CODES))
def test_only_the_allow_list_is_a_rejection(name: str) -> None:
    assert is_rejection(name) == any(name in names for names in ALLOWED.values())


def test_every_allowed_code_is_in_the_table() -> None:
    assert set[str]().union(*ALLOWED.values()) <= set(CODES)


@pytest.mark.parametrize("name", ["", "0", "SOMETHING_NEW", "market_closed", "118"])
def test_an_unlisted_code_is_unknown_and_no_rejection(name: str) -> None:
    assert reaction_of(name) is Reaction.UNKNOWN
    assert not is_rejection(name)


@pytest.mark.parametrize("name", ["POSITION_NOT_FOUND", "POSITION_LOCKED", "PENDING_EXECUTION"])
def test_a_position_that_is_busy_or_gone_means_look(name: str) -> None:
    assert reaction_of(name) is Reaction.LOOK
    assert not is_rejection(name)


def test_an_invalid_request_is_a_lost_account_session_by_its_text() -> None:
    assert reaction_of("INVALID_REQUEST", "Nothing to amend.") is Reaction.BUG
    assert reaction_of("INVALID_REQUEST", "Trading account is not authorized") is Reaction.REAUTHORISE


def test_numbers_are_unique_within_each_of_the_two_official_enums() -> None:
    common = [code.number for code in CODES.values()][:10]
    special = [code.number for code in CODES.values()][10:]
    assert common == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert len(set(special)) == len(special)


def test_business_refusals_of_orders_come_as_order_errors() -> None:
    assert CODES["NOT_ENOUGH_MONEY"].via is Via.ORDER
    assert CODES["CH_CLIENT_NOT_AUTHENTICATED"].via is Via.ERROR
    assert CODES["TIMEOUT_ERROR"].via == Via.ERROR | Via.ORDER | Via.EXECUTION
