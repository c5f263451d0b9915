"""Three messages that decline, one shape; and which of them prove that nothing happened."""

from __future__ import annotations

import pytest
from tests.scripted_peer import ACCOUNT, error

from palmbot.errors import ConfigError, PalmbotError, RejectedError, RetryError
from palmbot.model import Execution, OrderEvent
from palmbot.protocol.codec_errors import TEXT_MAX, declined_of, error_of, order_error_of
from palmbot.protocol.codes import CODES, Reaction, is_rejection
from palmbot.protocol.messages import Message, pb

# SAFETY 5, written out: rate limit, not enough money, bad volume, stops or prices, market closed, trading disabled
PROOF = {
    *("BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED", "NOT_ENOUGH_MONEY", "MAX_EXPOSURE_REACHED"),
    *("TOO_MANY_POSITIONS", "TRADING_BAD_VOLUME", "TRADING_BAD_STAKE", "TRADING_BAD_STOPS", "WORSE_GSL_NOT_ALLOWED"),
    *("PROTECTION_IS_TOO_CLOSE_TO_MARKET", "TRADING_BAD_PRICES", "TRADING_BAD_EXPIRATION_DATE", "MARKET_CLOSED"),
    *("SYMBOL_HAS_HOLIDAY", "NO_QUOTES", "TRADING_DISABLED", "TRADING_NOT_ALLOWED", "SHORT_SELLING_NOT_ALLOWED"),
}


@pytest.mark.parametrize(
    ("message", "until_ms", "retry_after_ms"),
    [
        (error("SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=1_700_000_000), 1_700_000_000_000, None),
        (pb.CommonErrorRes(errorCode="X", maintenanceEndTimestamp=1_700_000_000_000), 1_700_000_000_000, None),
        (error("X", maintenanceEndTimestamp=0), None, None),
        (error("X", maintenanceEndTimestamp=1_700_000_000_000), 2_147_483_646_000, None),  # ms where s are meant
        (error("BLOCKED_PAYLOAD_TYPE", retryAfter=3), None, 3_000),
        (pb.OrderErrorEvent(ctidTraderAccountId=ACCOUNT, errorCode="X"), None, None),
        (pb.CommonErrorRes(errorCode="X"), None, None),
    ],
)
def test_times_come_in_ms_whatever_the_message_counts_in(
    message: Message, until_ms: int | None, retry_after_ms: int | None
) -> None:
    declined = declined_of(message)
    assert declined is not None
    assert (declined.until_ms, declined.retry_after_ms) == (until_ms, retry_after_ms)


def test_a_maintenance_is_one_with_and_without_an_end() -> None:
    for message in (error("SERVER_IS_UNDER_MAINTENANCE"), error("X", maintenanceEndTimestamp=9)):
        declined = declined_of(message)
        assert declined is not None
        assert declined.is_maintenance
    other = declined_of(error("X"))
    assert other is not None
    assert not other.is_maintenance


def test_what_declines_nothing_is_nothing_and_long_words_are_cut() -> None:
    assert declined_of(pb.HeartbeatEvent()) is None
    declined = declined_of(error("X", "n" * 10_000))
    assert declined is not None
    assert len(declined.text) == TEXT_MAX


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("CH_CLIENT_AUTH_FAILURE", "", ConfigError),
        ("NOT_ENOUGH_MONEY", "", RejectedError),
        ("UNKNOWN_ERROR", "", RetryError),
        ("INVALID_REQUEST", "not authorized", RetryError),
        ("SOMETHING_NEW", "", RetryError),
    ],
)
def test_a_declined_question_fails_by_what_the_asker_must_do(code: str, text: str, kind: type[PalmbotError]) -> None:
    declined = declined_of(error(code, text))
    assert declined is not None
    failure = error_of(declined, "TraderReq")
    assert type(failure) is kind
    assert (failure.code, failure.facts["asked"]) == (code, "TraderReq")


@pytest.mark.parametrize("code", [*CODES, "SOMETHING_NEW"])
def test_an_order_is_answered_only_by_what_proves_that_it_did_not_happen(code: str) -> None:
    declined = declined_of(pb.OrderErrorEvent(ctidTraderAccountId=ACCOUNT, errorCode=code, description="why"))
    assert declined is not None
    event = order_error_of(declined, 77, "mine")
    answered = "mine" if code in PROOF else ""
    assert event == OrderEvent(Execution.ERROR, 77, error_code=code, error_text="why", request_id=answered)
    assert is_rejection(code) is (code in PROOF)
    assert declined.reaction is Reaction.UNKNOWN or code in CODES
