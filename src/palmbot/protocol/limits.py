"""How many requests a second one connection may send, counted in the same way by both ends.

Two windows slide over the last second: one of historical requests, one of all others. Heartbeats are free.
"""

from __future__ import annotations

from collections import deque

from palmbot.errors import InvariantError
from palmbot.protocol.messages import pb
from palmbot.units import SECOND_MS

HISTORICAL = frozenset({pb.GET_TRENDBARS_REQ, pb.GET_TICK_DATA_REQ, pb.DEAL_LIST_REQ, pb.CASH_FLOW_HISTORY_LIST_REQ})


class Limiter:
    """Says when a request may go, and remembers those that went.

    Args:
        per_second: requests of all other types that may go within any second, at least 1.
        historical_per_second: the same of historical ones.
        historical: payload types that count as historical. Servers differ about cash flow; counting it is safe.
    """

    def __init__(
        self, per_second: int = 50, historical_per_second: int = 5, historical: frozenset[int] = HISTORICAL
    ) -> None:
        self._historical = historical
        self._slow: deque[int] = deque(maxlen=historical_per_second)  # times of the newest requests, oldest first
        self._fast: deque[int] = deque(maxlen=per_second)
        self._blocked_until_ms: dict[int, int] = {}

    def wait_ms(self, payload_type: int, now_ms: int) -> int:
        """Return how long after ``now_ms`` a request of ``payload_type`` must wait; 0: it may go."""
        if payload_type == pb.HEARTBEAT_EVENT:
            return 0
        window = self._window(payload_type)
        free_ms = window[0] + SECOND_MS if len(window) == window.maxlen else now_ms
        return max(free_ms, self._blocked_until_ms.get(payload_type, now_ms), now_ms) - now_ms

    def take(self, payload_type: int, now_ms: int) -> None:
        """Count a request of ``payload_type`` that goes at ``now_ms``.

        Raises:
            InvariantError: it must wait.
        """
        if wait_ms := self.wait_ms(payload_type, now_ms):
            raise InvariantError("TOO_FAST", "wait before you take", payload_type=payload_type, wait_ms=wait_ms)
        if payload_type != pb.HEARTBEAT_EVENT:
            self._window(payload_type).append(now_ms)

    def block(self, payload_type: int, until_ms: int) -> None:
        """Let no request of ``payload_type`` go before ``until_ms``: the server said when it opens again."""
        self._blocked_until_ms[payload_type] = until_ms

    def _window(self, payload_type: int) -> deque[int]:
        return self._slow if payload_type in self._historical else self._fast
