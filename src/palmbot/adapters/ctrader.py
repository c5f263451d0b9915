"""The broker behind the ports ``Quotes`` and ``Trading``: a cTrader account over the Open API, or our own exchange.

It reads as ``ctrader_reader`` does, and trades. Orders and deals of this account come into the same inbox as quotes, in
the order in which the broker told them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from palmbot.adapters.ctrader_account import Holdings, read_account, read_deals
from palmbot.adapters.ctrader_login import Facts
from palmbot.adapters.ctrader_reader import CtraderConfig, CtraderReader, CtraderWires
from palmbot.errors import HaltError, RetryError
from palmbot.model import AccountSnapshot, CashEvent, Fill, IntentKind, OrderEvent, OrderIntent
from palmbot.protocol.codec import event_of, request_of
from palmbot.protocol.codec_errors import Declined, order_error_of
from palmbot.protocol.events import Received
from palmbot.protocol.messages import pb

__all__ = ["Ctrader", "CtraderConfig", "CtraderWires"]

HELD_MAX = 10_000  # events that may come before the first login is complete


class Ctrader(CtraderReader):
    """One account, one symbol, one inbox. ``run`` must run beside whoever calls the ports."""

    may_send: ClassVar[frozenset[int] | None] = None

    def __init__(self, config: CtraderConfig, wires: CtraderWires) -> None:
        super().__init__(config, wires)
        self._held: list[tuple[Received, Declined | None]] = []  # what came before the first login was complete
        self._asked: dict[str, str] = {}  # message id of this link's open requests -> client order id
        self._holdings = Holdings()

    # -- ports.Trading

    async def account(self) -> AccountSnapshot:
        """Return the account, read until two answers agree.

        Raises:
            RetryError: the link is down, or no two answers agree.
        """
        link = await self._keeper.ready()
        return await read_account(link, self._wires.clock, self._known()[1].terms, self._holdings)

    async def deals(self, position_id: int) -> Sequence[Fill]:
        """Return all deals of a position, oldest first.

        Raises:
            RetryError: the link is down.
        """
        link = await self._keeper.ready()
        return await read_deals(link, self._known()[1].terms, position_id)

    async def submit(self, intent: OrderIntent) -> None:
        """Write ``intent`` at once, or not at all: there is no await between the call and the bytes.

        Raises:
            RetryError: it was certainly not written: the link is down, or an entry would not leave at once.
            OutcomeUnknownError: the link died while it was written.
            InvariantError: it has no stop, or a price off the symbol's grid.
        """
        link = self._keeper.link()
        if link.is_congested and intent.kind is IntentKind.ENTER:
            raise RetryError("LINK_CONGESTED", "Send it again later: what was written before has not left.")
        client_msg_id = link.tell(request_of(intent, self._known()[1].terms))
        self._asked[client_msg_id] = intent.client_order_id

    # -- what the session tells

    def on_facts(self, facts: Facts) -> None:
        """Take in what the first login learned, then everything that came meanwhile."""
        super().on_facts(facts)
        held, self._held = self._held, []
        for event, declined in held:
            self.on_message(event, declined)

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Take in what is about orders, positions and money of this account."""
        if self._facts is None:
            if len(self._held) >= HELD_MAX:
                raise HaltError("LOGIN_FLOODED", "Connect again: too much came before the login was complete.")
            self._held.append((event, declined))
            return
        super().on_message(event, declined)
        request_id = self._asked.get(event.client_msg_id, "")
        if event.is_final:
            self._asked.pop(event.client_msg_id, None)
        message = event.message
        if isinstance(message, pb.ExecutionEvent):
            self._hear(message, request_id)
        elif declined is not None and (request_id or self._is_order_error(message)):
            self._put(order_error_of(declined, self._now_ms(), request_id))

    def _is_order_error(self, message: object) -> bool:
        return isinstance(message, pb.OrderErrorEvent) and message.ctidTraderAccountId == self._keeper.account_id

    def _hear(self, message: pb.ExecutionEvent, request_id: str) -> None:
        terms = self._known()[1].terms
        if message.ctidTraderAccountId != terms.account_id:
            return
        event = event_of(message, terms, self._now_ms(), request_id)
        if event is None:
            return
        if isinstance(event, OrderEvent):
            self._holdings.hear(event)
        if isinstance(event, CashEvent) or self._concerns(event):
            self._put(event)

    def _concerns(self, event: OrderEvent) -> bool:
        """Return whether an event is about the traded symbol, or moved the account's balance."""
        named = [each.symbol for each in (event.order, event.position) if each is not None]
        moved = event.fill is not None and event.fill.close is not None
        return moved or not named or self._config.symbol in named

    def _forget(self) -> None:
        self._held.clear()
        self._asked.clear()
