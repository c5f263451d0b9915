"""From a decision to the one request that carries it out."""

from __future__ import annotations

from palmbot.core.types import Decision
from palmbot.errors import InvariantError
from palmbot.model import BrokerPosition, IntentKind, OrderIntent
from palmbot.orders.identity import Owner


def entry(owner: Owner, decision: Decision, ts_ms: int, tries: int) -> OrderIntent:
    """Return the market order that opens what ``decision`` asks for, with its stop and target.

    Raises:
        InvariantError: the decision has no stop; no order leaves without one.
    """
    if decision.sl_px <= 0 or decision.tp_px <= 0 or decision.volume_cu <= 0:
        raise InvariantError(
            "ORDER_WITHOUT_STOP",
            "Report this: an entry without stop, target or volume was planned.",
            **decision._asdict(),
        )
    return OrderIntent(
        kind=IntentKind.ENTER,
        client_order_id=owner.order_id(decision.bar_end_ms, "E", tries),
        symbol=owner.symbol,
        side=decision.side,
        volume_cu=decision.volume_cu,
        reason=decision.reason,
        ts_ms=ts_ms,
        sl_px=decision.sl_px,
        tp_px=decision.tp_px,
        bar_end_ms=decision.bar_end_ms,
        risk_minor=float(decision.risk_minor),
    )


def amendment(
    owner: Owner, position: BrokerPosition, levels: tuple[int, int], reason: int, when: tuple[int, int, int]
) -> OrderIntent:
    """Return the request that moves both levels of ``position``.

    Args:
        owner: who sends.
        position: as the broker last reported it.
        levels: stop and target in px; always both, since an omitted leg would be removed.
        reason: why, a ``Reason``.
        when: time in ms, end of the bar it belongs to in ms, and the number of the try.
    """
    ts_ms, bar_end_ms, tries = when
    return OrderIntent(
        kind=IntentKind.AMEND,
        client_order_id=owner.order_id(bar_end_ms, "A", tries),
        symbol=position.symbol,
        side=position.side,
        volume_cu=0,
        reason=reason,
        ts_ms=ts_ms,
        sl_px=levels[0],
        tp_px=levels[1],
        position_id=position.position_id,
        bar_end_ms=bar_end_ms,
    )


def closing(owner: Owner, position: BrokerPosition, reason: int, when: tuple[int, int, int]) -> OrderIntent:
    """Return the request that closes all of ``position``; arguments as in ``amendment``."""
    ts_ms, bar_end_ms, tries = when
    return OrderIntent(
        kind=IntentKind.CLOSE,
        client_order_id=owner.order_id(bar_end_ms, "X", tries),
        symbol=position.symbol,
        side=-position.side,
        volume_cu=position.volume_cu,
        reason=reason,
        ts_ms=ts_ms,
        position_id=position.position_id,
        bar_end_ms=bar_end_ms,
    )
