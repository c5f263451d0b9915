"""From a decision to its one request: always with a stop, always both levels, always the whole position."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palmbot.core.types import Action, Decision, Reason
from palmbot.errors import InvariantError
from palmbot.model import BrokerPosition, IntentKind, OrderIntent
from palmbot.orders import plan
from palmbot.orders.identity import Owner

OWNER = Owner("ab12", "rsi_sentiment", "PALMOIL", 3)
BAR_END_MS = 1_704_682_800_000
BUY = Decision(
    action=int(Action.ENTER),
    reason=int(Reason.ENTRY_LONG),
    side=1,
    volume_cu=775,
    sl_px=6_000_000,
    tp_px=8_000_000,
    bar_end_ms=BAR_END_MS,
    close_px=400_000_000,
    signal=1,
    risk_minor=48_624,
)
HELD = BrokerPosition(7, "PALMOIL", 1, 775, 400_250_000, 394_250_000, 408_250_000, -12, -775, 0, "label", 5)


def test_an_entry_carries_everything_the_decision_asked_for() -> None:
    assert plan.entry(OWNER, BUY, BAR_END_MS + 9, 2) == OrderIntent(
        kind=IntentKind.ENTER,
        client_order_id="ab12.rs.PALMOI.gwyd0.E2.3",
        symbol="PALMOIL",
        side=1,
        volume_cu=775,
        reason=50,
        ts_ms=BAR_END_MS + 9,
        sl_px=6_000_000,
        tp_px=8_000_000,
        position_id=0,
        bar_end_ms=BAR_END_MS,
        risk_minor=48_624.0,
    )


@pytest.mark.parametrize("lacking", ["sl_px", "tp_px", "volume_cu"])
@pytest.mark.parametrize("value", [0, -1])
def test_no_entry_is_made_without_stop_target_or_volume(lacking: str, value: int) -> None:
    with pytest.raises(InvariantError, match="ORDER_WITHOUT_STOP"):
        plan.entry(OWNER, BUY._replace(**{lacking: value}), BAR_END_MS, 1)


def test_an_amendment_names_both_levels_and_its_position() -> None:
    made = plan.amendment(OWNER, HELD, (395_000_000, 408_250_000), Reason.TRAIL, (BAR_END_MS + 1, BAR_END_MS, 1))
    assert (made.kind, made.client_order_id) == (IntentKind.AMEND, "ab12.rs.PALMOI.gwyd0.A1.3")
    assert (made.position_id, made.sl_px, made.tp_px) == (7, 395_000_000, 408_250_000)
    assert (made.symbol, made.side, made.volume_cu, made.reason) == ("PALMOIL", 1, 0, Reason.TRAIL)
    assert (made.ts_ms, made.bar_end_ms) == (BAR_END_MS + 1, BAR_END_MS)


@pytest.mark.parametrize("side", [1, -1])
def test_a_close_asks_for_the_whole_position_from_the_other_side(side: int) -> None:
    made = plan.closing(OWNER, replace(HELD, side=side), Reason.TIME, (BAR_END_MS + 1, BAR_END_MS, 4))
    assert (made.kind, made.client_order_id) == (IntentKind.CLOSE, "ab12.rs.PALMOI.gwyd0.X4.3")
    assert (made.position_id, made.volume_cu, made.side, made.reason) == (7, 775, -side, Reason.TIME)
    assert (made.sl_px, made.tp_px) == (0, 0)
