"""The limiter at and beside its thresholds."""

from __future__ import annotations

import pytest

from palmbot.errors import InvariantError
from palmbot.protocol.limits import Limiter
from palmbot.protocol.messages import pb


def test_fifty_go_at_once_and_the_next_waits_a_second() -> None:
    limiter = Limiter()
    for _ in range(50):
        limiter.take(pb.TRADER_REQ, 1_000)
    assert limiter.wait_ms(pb.NEW_ORDER_REQ, 1_000) == 1_000
    assert limiter.wait_ms(pb.NEW_ORDER_REQ, 1_999) == 1
    assert limiter.wait_ms(pb.NEW_ORDER_REQ, 2_000) == 0


@pytest.mark.parametrize(
    "historical", [pb.GET_TRENDBARS_REQ, pb.GET_TICK_DATA_REQ, pb.DEAL_LIST_REQ, pb.CASH_FLOW_HISTORY_LIST_REQ]
)
def test_five_historical_requests_fill_their_own_window(historical: int) -> None:
    limiter = Limiter()
    for _ in range(5):
        limiter.take(historical, 0)
    assert limiter.wait_ms(historical, 400) == 600
    assert limiter.wait_ms(pb.TRADER_REQ, 400) == 0


def test_the_window_slides() -> None:
    limiter = Limiter(per_second=2)
    limiter.take(pb.TRADER_REQ, 0)
    limiter.take(pb.TRADER_REQ, 900)
    assert limiter.wait_ms(pb.TRADER_REQ, 950) == 50
    limiter.take(pb.TRADER_REQ, 1_000)
    assert limiter.wait_ms(pb.TRADER_REQ, 1_000) == 900


def test_what_counts_as_historical_is_a_choice() -> None:
    limiter = Limiter(historical_per_second=1, historical=frozenset({pb.DEAL_LIST_REQ}))
    limiter.take(pb.DEAL_LIST_REQ, 0)
    assert limiter.wait_ms(pb.DEAL_LIST_REQ, 0) == 1_000
    assert limiter.wait_ms(pb.CASH_FLOW_HISTORY_LIST_REQ, 0) == 0


def test_heartbeats_are_free() -> None:
    limiter = Limiter(per_second=1)
    limiter.take(pb.HEARTBEAT_EVENT, 0)
    limiter.take(pb.TRADER_REQ, 0)
    limiter.take(pb.HEARTBEAT_EVENT, 0)
    assert limiter.wait_ms(pb.HEARTBEAT_EVENT, 0) == 0


def test_taking_too_early_is_a_bug() -> None:
    limiter = Limiter(per_second=1)
    limiter.take(pb.TRADER_REQ, 0)
    with pytest.raises(InvariantError, match="TOO_FAST"):
        limiter.take(pb.TRADER_REQ, 999)
    limiter.take(pb.TRADER_REQ, 1_000)


def test_a_blocked_type_waits_and_the_others_do_not() -> None:
    limiter = Limiter()
    limiter.block(pb.GET_TRENDBARS_REQ, 30_000)
    assert limiter.wait_ms(pb.GET_TRENDBARS_REQ, 10_000) == 20_000
    assert limiter.wait_ms(pb.DEAL_LIST_REQ, 10_000) == 0
    assert limiter.wait_ms(pb.GET_TRENDBARS_REQ, 30_000) == 0
