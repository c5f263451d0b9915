"""Requests whose answers may still come, and when one is the last.

A trading request is answered several times under one id, and what the answers say decides, not their number: a market
order is accepted, perhaps filled in slices, then filled, cancelled or rejected. Any other request has one answer.
"""

from __future__ import annotations

from heapq import heappop, heappush

from palmbot.errors import RetryError
from palmbot.protocol.messages import Message, pb

RESTING = {pb.LIMIT, pb.STOP, pb.STOP_LIMIT}
AT_ONCE = {pb.IMMEDIATE_OR_CANCEL, pb.FILL_OR_KILL}


def is_final(request: Message, answer: Message) -> bool:
    """Return whether ``answer`` is the last that ``request`` gets."""
    if not isinstance(answer, pb.ExecutionEvent):
        return True
    if not answer.HasField("executionType"):
        return False  # a type that we do not know: more may come
    match answer.executionType:
        case pb.ORDER_ACCEPTED:
            return ends_accepted(request)
        case pb.ORDER_PARTIAL_FILL:
            return False
        case pb.ORDER_FILLED:
            # some servers call slices "filled" too, so volumes decide
            order = answer.order
            return not order.HasField("executedVolume") or order.executedVolume >= order.tradeData.volume
    return True


def ends_accepted(request: Message) -> bool:
    """Return whether ``request`` is done once it is accepted: an order that rests, or levels on a bare position."""
    if isinstance(request, pb.NewOrderReq):
        return request.orderType in RESTING and request.timeInForce not in AT_ONCE
    return isinstance(request, pb.AmendPositionSLTPReq)


class Pending:
    """Requests by their ids: those whose deadline runs, and those that were answered in part or too late so far.

    Args:
        most: so many of each are remembered. Beyond it a new request is refused, and of the others the oldest is
            forgotten: its further answers then count as events.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, Message] = {}
        self._open: dict[str, Message] = {}
        self._deadlines: list[tuple[int, int, str]] = []  # a heap; answered requests leave it when they come to the top
        self._count = 0

    def add(self, client_msg_id: str, request: Message, due_ms: int) -> None:
        """Remember ``request``, which wants an answer before ``due_ms``.

        Raises:
            RetryError: too many wait already.
        """
        if len(self._waiting) >= self._most:
            raise RetryError("TOO_MANY_REQUESTS", "wait for answers first", waiting=len(self._waiting))
        self._count += 1
        self._waiting[client_msg_id] = request
        heappush(self._deadlines, (due_ms, self._count, client_msg_id))

    def answer(self, client_msg_id: str, answer: Message) -> tuple[Message | None, bool]:
        """Return the request that ``answer`` belongs to, None for a stranger's, and whether it is the last."""
        request = self._waiting.pop(client_msg_id, None)
        if request is None:
            request = self._open.pop(client_msg_id, None)
        if request is None:
            return None, False
        final = is_final(request, answer)
        if not final:
            self._keep(client_msg_id, request)
        return request, final

    def expire(self, now_ms: int) -> list[tuple[str, Message]]:
        """Return the requests whose deadline has passed at ``now_ms``, earliest first."""
        expired = []
        while (due_ms := self.due_ms()) is not None and due_ms <= now_ms:
            client_msg_id = heappop(self._deadlines)[2]
            request = self._waiting.pop(client_msg_id)
            self._keep(client_msg_id, request)
            expired.append((client_msg_id, request))
        return expired

    def due_ms(self) -> int | None:
        """Return the earliest deadline, or None."""
        while self._deadlines and self._deadlines[0][2] not in self._waiting:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._open)

    def _keep(self, client_msg_id: str, request: Message) -> None:
        self._open[client_msg_id] = request
        if len(self._open) > self._most:
            del self._open[next(iter(self._open))]
