"""How many trading requests an account may make in any minute, and what does not count."""

from __future__ import annotations

from palmbot.exchange.knobs import Knobs
from palmbot.exchange.trade_limits import PUBLISHED, TradeLimit, TradeMeter
from palmbot.exchange.values import Refused, Via
from palmbot.protocol.messages import pb
from palmbot.units import MINUTE_MS

AMEND = pb.AMEND_POSITION_SLTP_REQ


def taken(meter: TradeMeter, at_ms: int, times: int, account_id: int = 1, kind: int = AMEND) -> int:
    """Ask many times at one instant; return how often that was right."""
    return sum(meter.take(account_id, kind, at_ms) is None for _ in range(times))


def test_the_published_figures_hold_in_any_minute_for_each_account_and_kind() -> None:
    meter = TradeMeter(PUBLISHED)
    most = {pb.NEW_ORDER_REQ: 500, pb.CANCEL_ORDER_REQ: 100, pb.AMEND_ORDER_REQ: 100, pb.CLOSE_POSITION_REQ: 2_000}
    for kind, number in most.items():
        assert taken(meter, 0, number - 1, kind=kind) == number - 1
        assert taken(meter, 30_000, 2, kind=kind) == 1
        assert taken(meter, MINUTE_MS - 1, 1, kind=kind) == 0
        assert taken(meter, MINUTE_MS, number, kind=kind) == number - 1
        assert taken(meter, 0, number, account_id=2, kind=kind) == number


def test_amends_of_positions_have_a_limit_of_a_quarter_of_an_hour_too() -> None:
    meter = TradeMeter(PUBLISHED)
    assert [taken(meter, minute * MINUTE_MS, 1_001) for minute in range(6)] == [1_000] * 5 + [0]
    assert taken(meter, 15 * MINUTE_MS, 1_001) == 1_000


def test_a_refused_request_does_not_count_and_says_so_as_an_order_error() -> None:
    meter = TradeMeter([TradeLimit(AMEND, 1, 100)])
    assert meter.take(1, AMEND, 0) is None
    refused = meter.take(1, AMEND, 99)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.via) == ("REQUEST_FREQUENCY_EXCEEDED", Via.ORDER_ERROR)
    assert meter.take(1, AMEND, 100) is None


def test_where_there_are_no_limits_there_are_none_of_these() -> None:
    assert Knobs().has_limits
    assert not Knobs(per_second=None).has_limits
    assert not Knobs(historical_per_second=None).has_limits
