"""Start is recovery: the journal says what was meant, the broker says what is.

A fresh start and a start after ``kill -9`` run the same lines: restore the newest state, ask the broker for the
account, take over the own position, let the bars missed meanwhile pass through the same update with orders off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from palmbot.core.bars import Forming
from palmbot.errors import RefusedError
from palmbot.live import records
from palmbot.model import AccountSnapshot, Execution, HistoryBar, IntentKind, JournalEvent, OrderEvent, OrderIntent
from palmbot.orders.book import Holding
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import intent_of

if TYPE_CHECKING:
    from palmbot.live.runner import Wires
    from palmbot.live.trader import Trader

HISTORY_BARS = 500


async def recover(trader: Trader, wires: Wires, about: dict[str, object]) -> int:
    """Bring ``trader`` to where the journal and the broker together say it is; return the number of the first record.

    Raises:
        RefusedError: the account cannot be traded safely (netted, or several own positions).
        HaltError: the journal cannot be written.
    """
    newest = _newest_state(wires)
    if newest is not None:
        trader.restore(records.kept_of(newest))
    known = trader.book.holding
    account = await wires.trading.account()
    if not account.hedged:
        raise RefusedError("ACCOUNT_NETTED", "Use a hedged account.", account_id=account.account_id)
    missed = await _missed_closes(known, account, wires)
    if not missed:
        _adopt(trader, account, wires)
    after_ms = -1 if newest is None else newest.ts_ms
    started = await wires.journal.append([JournalEvent("run_started", max(after_ms, 0), about)])
    history = await wires.quotes.history(trader.book.owner.symbol, trader.feed.period_ms, HISTORY_BARS)
    _catch_up(trader, history, missed, after_ms)
    if missed:
        _adopt(trader, account, wires)
    wires.journal.defer(tuple(trader.outbox))
    trader.outbox.clear()
    return started


async def look(trader: Trader, wires: Wires, now_ms: int) -> list[OrderIntent]:
    """Ask the broker what became of requests it did not answer and of a stop it did not confirm.

    Returns:
        The amend that puts a missing stop back; never an entry.
    """
    book = trader.book
    unanswered = book.in_flight
    for intent in unanswered:
        book.happened(intent.client_order_id, Happening.LOSE)
    wanted = book.holding
    account = await wires.trading.account()
    own = book.adopt(account, {each.client_order_id: each for each in _entries(wires)})
    labels = {each.label for each in own}
    for intent in unanswered:
        entered = intent.kind is IntentKind.ENTER and intent.client_order_id in labels
        closed = intent.kind is IntentKind.CLOSE and intent.position_id not in {each.position_id for each in own}
        if entered or closed:
            book.happened(intent.client_order_id, Happening.FIND)
    trader.parked = bool(book.in_flight)
    trader.outbox.append(
        records.note(now_ms, f"looked: {len(unanswered)} unanswered, {len(book.in_flight)} still open")
    )
    holding = book.holding
    if holding is None or holding.is_protected or wanted is None:
        return []
    return trader.amend((wanted.sl_wanted_px, wanted.tp_wanted_px), wanted.reason, now_ms)


def _newest_state(wires: Wires) -> JournalEvent | None:
    """Return the newest record that carries the state; at one instant the bar closed before the rest happened."""
    found = [each for each in (wires.journal.last("state"), wires.journal.last("bar_closed")) if each is not None]
    return max(found, key=lambda event: event.ts_ms, default=None)


def _entries(wires: Wires) -> list[OrderIntent]:
    """Return the journaled entries; an own position at the broker carries the id of one of them as its label."""
    return [intent_of(each) for each in wires.journal.events("intent") if each.body["kind"] == IntentKind.ENTER.value]


async def _missed_closes(known: Holding | None, account: AccountSnapshot, wires: Wires) -> list[OrderEvent]:
    """Return the closing deals of a position that was open when the journal last spoke and is gone now."""
    if known is None or known.position.position_id in {each.position_id for each in account.positions}:
        return []
    deals = await wires.trading.deals(known.position.position_id)
    gone = replace(known.position, volume_cu=0)
    return [
        OrderEvent(Execution.FILLED, fill.ts_ms, position=gone, fill=fill, server_made=True)
        for fill in deals
        if fill.close is not None
    ]


def _adopt(trader: Trader, account: AccountSnapshot, wires: Wires) -> None:
    own = trader.book.adopt(account, {each.client_order_id: each for each in _entries(wires)})
    if len(own) > 1:
        ids = ",".join(str(each.position_id) for each in own)
        raise RefusedError("SEVERAL_POSITIONS", "Close all but one of them by hand, then start again.", positions=ids)
    if not own:
        trader.bars_held = 0


def _catch_up(trader: Trader, history: Sequence[HistoryBar], missed: list[OrderEvent], after_ms: int) -> None:
    """Let closes and bars missed since ``after_ms`` pass through in order of time; a forming bar goes on forming."""
    feed = trader.feed
    by_end = {feed.end_of(bar.ts_ms): bar for bar in history}  # one bar a bucket
    for end_ms, bar in sorted(by_end.items()):
        if end_ms <= after_ms:
            continue
        while missed and missed[0].ts_ms < end_ms:
            trader.on_order_event(missed.pop(0))
        if bar.is_forming:
            feed.forming = Forming(bar.ts_ms, end_ms, bar.open_px, bar.high_px, bar.low_px, bar.close_px)
        else:
            trader.absorb(bar)
    while missed:
        trader.on_order_event(missed.pop(0))
