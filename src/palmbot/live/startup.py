"""Start is recovery: the journal says what was meant, the broker says what is.

A fresh start and a start after ``kill -9`` run the same lines: restore the newest state, ask the broker for the
account, take over the own position, let the bars missed meanwhile pass through the same update with orders off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from palmbot.core.bars import Forming
from palmbot.errors import RefusedError
from palmbot.live import records
from palmbot.model import HistoryBar, IntentKind, JournalEvent, OrderIntent
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import intent_of

if TYPE_CHECKING:
    from palmbot.live.runner import Wires
    from palmbot.live.trader import Trader

HISTORY_BARS = 500


async def recover(trader: Trader, wires: Wires, about: dict[str, object]) -> None:
    """Bring ``trader`` to where the journal and the broker together say it is.

    Raises:
        RefusedError: the account cannot be traded safely (netted, or several own positions).
        HaltError: the journal cannot be written.
    """
    newest = _newest_state(wires)
    account = await wires.trading.account()
    if not account.hedged:
        raise RefusedError("ACCOUNT_NETTED", "Use a hedged account.", account_id=account.account_id)
    intents = {each.client_order_id: each for each in _entries(wires)}
    own = trader.book.adopt(account, intents)
    if len(own) > 1:
        ids = ",".join(str(each.position_id) for each in own)
        raise RefusedError("SEVERAL_POSITIONS", "Close all but one of them by hand, then start again.", positions=ids)
    after_ms = -1
    if newest is not None:
        trader.state, closes, trader.bars_held = records.state_of(newest)
        trader.feed.closes.extend(closes)
        after_ms = newest.ts_ms
        if trader.book.holding is None:
            trader.bars_held = 0
    start = JournalEvent("run_started", max(after_ms, 0), about)
    await wires.journal.append([start])
    await _catch_up(trader, wires, after_ms)
    wires.journal.defer(tuple(trader.outbox))
    trader.outbox.clear()


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


async def _catch_up(trader: Trader, wires: Wires, after_ms: int) -> None:
    """Let the broker's closed bars since ``after_ms`` pass through; its forming bar goes on forming."""
    feed = trader.feed
    history = await wires.quotes.history(trader.book.owner.symbol, feed.period_ms, HISTORY_BARS)
    for bar in sorted({feed.end_of(each.ts_ms): each for each in history}.items()):
        _absorb(trader, bar[0], bar[1], after_ms)


def _absorb(trader: Trader, end_ms: int, bar: HistoryBar, after_ms: int) -> None:
    if end_ms <= after_ms:
        return
    if bar.is_forming:
        prices = (bar.open_px, bar.high_px, bar.low_px, bar.close_px)
        trader.feed.forming = Forming(bar.ts_ms, end_ms, *prices)
    else:
        trader.absorb(bar)
