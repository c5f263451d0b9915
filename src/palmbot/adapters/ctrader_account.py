"""Reading the account: the broker's answers carry no version, so they are read until they agree (SAFETY 17)."""

from __future__ import annotations

from typing import cast

from palmbot.adapters.ctrader_link import Link
from palmbot.errors import RetryError
from palmbot.model import AccountSnapshot, Fill, OrderEvent
from palmbot.ports import Clock
from palmbot.protocol.codec import Terms, fills_of, snapshot_of
from palmbot.protocol.messages import pb

READS_MAX = 8
DOUBT_READS = 4  # so often an account that is suddenly empty is read again
DOUBT_PAUSE_S = 0.5
PAGES_MAX = 100


class Holdings:
    """Which positions were open by all that was heard: what makes an empty answer doubtful (sheet 7.9)."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}

    def hear(self, event: OrderEvent) -> None:
        """Note what an event shows of its position."""
        if event.position is None:
            return
        if event.position.volume_cu > 0:
            self._open[event.position.position_id] = None
        else:
            self._open.pop(event.position.position_id, None)

    def read(self, snapshot: AccountSnapshot) -> None:
        """Believe ``snapshot``."""
        self._open = {each.position_id: None for each in snapshot.positions if each.volume_cu > 0}

    def doubts(self, snapshot: AccountSnapshot) -> bool:
        """Return whether ``snapshot`` shows nothing where something was open."""
        return bool(self._open) and not snapshot.positions


async def read_account(link: Link, clock: Clock, terms: Terms, holdings: Holdings) -> AccountSnapshot:
    """Return the account as two answers in a row show it.

    Raises:
        RetryError: the link was lost, or the account does not come to rest.
    """
    before: AccountSnapshot | None = None
    doubts = 0
    for _ in range(READS_MAX + DOUBT_READS):
        snapshot = await _read(link, terms)
        if holdings.doubts(snapshot) and doubts < DOUBT_READS:
            doubts += 1
            await clock.sleep(DOUBT_PAUSE_S)
        elif before is not None and _gist(before) == _gist(snapshot):
            holdings.read(snapshot)
            return snapshot
        before = snapshot
    raise RetryError("ACCOUNT_UNSTEADY", "Look again later: the account changes faster than it can be read.")


async def _read(link: Link, terms: Terms) -> AccountSnapshot:
    account_id = terms.account_id
    trader = cast("pb.TraderRes", await link.need(pb.TraderReq(ctidTraderAccountId=account_id)))
    asked = pb.ReconcileReq(ctidTraderAccountId=account_id, returnProtectionOrders=True)
    state = cast("pb.ReconcileRes", await link.need(asked))
    return snapshot_of(trader.trader, state, terms)


def _gist(snapshot: AccountSnapshot) -> tuple[object, ...]:
    """Return what must agree: all but what swaps and prices move."""
    positions = [(each.position_id, each.volume_cu, each.sl_px, each.tp_px) for each in snapshot.positions]
    orders = [(each.order_id, each.executed_cu, each.sl_px, each.tp_px, each.volume_cu) for each in snapshot.orders]
    return snapshot.balance_minor, sorted(map(repr, positions)), sorted(map(repr, orders))


async def read_deals(link: Link, terms: Terms, position_id: int) -> list[Fill]:
    """Return all deals of a position that moved volume, oldest first; the broker lists them newest first, in pages.

    Raises:
        RetryError: the link was lost, or the list does not end.
    """
    deals: dict[int, pb.Deal] = {}
    until_ms: int | None = None
    for _ in range(PAGES_MAX):
        asked = pb.DealListByPositionIdReq(
            ctidTraderAccountId=terms.account_id, positionId=position_id, toTimestamp=until_ms
        )
        page = cast("pb.DealListByPositionIdRes", await link.need(asked))
        new = {each.dealId: each for each in page.deal if each.dealId not in deals}
        deals |= new
        if not page.hasMore or not page.deal:
            fills = fills_of((each for each in deals.values() if each.positionId == position_id), terms)
            return sorted(fills, key=lambda fill: (fill.ts_ms, fill.deal_id))
        oldest_ms = min(each.executionTimestamp for each in page.deal)
        until_ms = oldest_ms if new else oldest_ms - 1  # several may share the oldest millisecond
    raise RetryError("DEALS_ENDLESS", "Ask again later: the list of deals does not end.", position_id=position_id)
