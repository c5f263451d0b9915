"""How many trading requests of a kind an account may make: published limits of the trading server (sheet 1.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from palmbot.exchange.values import Refused
from palmbot.protocol.messages import pb
from palmbot.units import MINUTE_MS


class TradeLimit(NamedTuple):
    """So many requests of a type within any span of so many milliseconds."""

    payload_type: int
    most: int
    span_ms: int = MINUTE_MS


PUBLISHED: Final = (
    TradeLimit(pb.NEW_ORDER_REQ, 500),
    TradeLimit(pb.CANCEL_ORDER_REQ, 100),
    TradeLimit(pb.AMEND_ORDER_REQ, 100),
    TradeLimit(pb.CLOSE_POSITION_REQ, 2_000),
    TradeLimit(pb.AMEND_POSITION_SLTP_REQ, 1_000),
    TradeLimit(pb.AMEND_POSITION_SLTP_REQ, 5_000, 15 * MINUTE_MS),
)


class TradeMeter:
    """Counts the trading requests of all accounts, on whatever connections they come.

    Args:
        limits: what may be asked how often.
    """

    def __init__(self, limits: Iterable[TradeLimit]) -> None:
        self._limits: dict[int, list[TradeLimit]] = {}
        for limit in limits:
            self._limits.setdefault(limit.payload_type, []).append(limit)
        self._taken: dict[tuple[int, TradeLimit], deque[int]] = {}  # times of the newest requests, oldest first

    def take(self, account_id: int, payload_type: int, now_ms: int) -> Refused | None:
        """Count a request; return the refusal of one too many, which does not count."""
        windows = []
        for limit in self._limits.get(payload_type, ()):
            window = self._taken.setdefault((account_id, limit), deque(maxlen=limit.most))
            if len(window) == limit.most and now_ms - window[0] < limit.span_ms:
                text = f"More than {limit.most} requests of type {payload_type} in {limit.span_ms} ms"
                return Refused("REQUEST_FREQUENCY_EXCEEDED", text)
            windows.append(window)
        for window in windows:
            window.append(now_ms)
        return None
