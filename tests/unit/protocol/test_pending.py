"""When a request has its last answer, and how many are remembered."""

from __future__ import annotations

import pytest
from tests.unit.protocol.peer import ACCOUNT_ID, execution, order

from palmbot.errors import RetryError
from palmbot.protocol.messages import Message, pb
from palmbot.protocol.pending import Pending, is_final

CLOSE = pb.ClosePositionReq(ctidTraderAccountId=ACCOUNT_ID, positionId=1, volume=1_000)
AMEND = pb.AmendPositionSLTPReq(ctidTraderAccountId=ACCOUNT_ID, positionId=1, stopLoss=1.0)
CANCEL = pb.CancelOrderReq(ctidTraderAccountId=ACCOUNT_ID, orderId=1)
REPLACE = pb.AmendOrderReq(ctidTraderAccountId=ACCOUNT_ID, orderId=1)
REFUSED = pb.OrderErrorEvent(ctidTraderAccountId=ACCOUNT_ID, errorCode="NOT_ENOUGH_MONEY")


def at_once(request: pb.NewOrderReq) -> pb.NewOrderReq:
    """Return the order with no time to rest."""
    request.timeInForce = pb.IMMEDIATE_OR_CANCEL
    return request


@pytest.mark.parametrize(
    ("request_", "is_last"),
    [
        (order(pb.MARKET), False),
        (order(pb.MARKET_RANGE), False),
        (order(pb.LIMIT), True),
        (order(pb.STOP), True),
        (order(pb.STOP_LIMIT), True),
        (at_once(order(pb.LIMIT)), False),
        (CLOSE, False),
        (CANCEL, False),
        (REPLACE, False),
        (AMEND, True),
    ],
)
def test_accepted_is_the_last_word_on_what_rests(request_: Message, is_last: bool) -> None:
    assert is_final(request_, execution(pb.ORDER_ACCEPTED)) is is_last


@pytest.mark.parametrize(
    ("answer", "is_last"),
    [
        (execution(pb.ORDER_PARTIAL_FILL, 400), False),
        (execution(pb.ORDER_FILLED, 400), False),
        (execution(pb.ORDER_FILLED, 1_000), True),
        (execution(pb.ORDER_FILLED), True),
        (execution(pb.ORDER_CANCELLED, 0), True),
        (execution(pb.ORDER_CANCELLED, 400), True),
        (execution(pb.ORDER_REJECTED), True),
        (execution(pb.ORDER_EXPIRED), True),
        (execution(pb.ORDER_REPLACED), True),
        (execution(pb.ORDER_CANCEL_REJECTED), True),
        (pb.ExecutionEvent(ctidTraderAccountId=ACCOUNT_ID), False),
        (REFUSED, True),
        (pb.ErrorRes(errorCode="UNKNOWN_ERROR"), True),
    ],
)
def test_the_answers_to_a_market_order_end_by_what_they_say(answer: Message, is_last: bool) -> None:
    assert is_final(order(), answer) is is_last


def test_a_filled_event_without_an_order_is_the_last() -> None:
    assert is_final(order(), pb.ExecutionEvent(ctidTraderAccountId=ACCOUNT_ID, executionType=pb.ORDER_FILLED))


def test_too_many_waiting_requests_are_refused() -> None:
    pending = Pending(most=2)
    pending.add("a", CLOSE, 10)
    pending.add("b", CLOSE, 10)
    with pytest.raises(RetryError, match="TOO_MANY_REQUESTS: waiting=2"):
        pending.add("c", CLOSE, 10)
    pending.answer("a", REFUSED)
    pending.add("c", CLOSE, 10)


def test_of_those_answered_in_part_the_oldest_is_forgotten() -> None:
    pending = Pending(most=2)
    for client_msg_id in "abc":
        pending.add(client_msg_id, CLOSE, 10)
        pending.answer(client_msg_id, execution(pb.ORDER_ACCEPTED))
    assert len(pending) == 2
    assert pending.answer("a", REFUSED) == (None, False)
    assert pending.answer("b", REFUSED) == (CLOSE, True)
    assert pending.answer("c", REFUSED) == (CLOSE, True)


def test_an_answer_in_part_makes_a_request_young_again() -> None:
    pending = Pending(most=2)
    for client_msg_id in "ab":
        pending.add(client_msg_id, CLOSE, 10)
        pending.answer(client_msg_id, execution(pb.ORDER_ACCEPTED))
    pending.answer("a", execution(pb.ORDER_PARTIAL_FILL, 1))
    pending.add("c", CLOSE, 10)
    pending.answer("c", execution(pb.ORDER_ACCEPTED))
    assert pending.answer("b", REFUSED) == (None, False)
    assert pending.answer("a", REFUSED) == (CLOSE, True)


def test_answered_requests_have_no_deadline() -> None:
    pending = Pending(most=9)
    pending.add("a", CLOSE, 10)
    pending.add("b", CLOSE, 20)
    pending.answer("a", execution(pb.ORDER_ACCEPTED))
    assert pending.due_ms() == 20
    assert pending.expire(20) == [("b", CLOSE)]
    assert pending.due_ms() is None
