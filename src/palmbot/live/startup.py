"""Start is recovery: the journal says what was meant, the broker says what is.

A fresh start and a start after ``kill -9`` run the same lines: restore the newest state, ask the broker for the
account, take over the own position, let the bars missed meanwhile pass through the same update with orders off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from palmbot.core.types import Reason
from palmbot.errors import HaltError, RefusedError, RetryError
from palmbot.live import records
from palmbot.model import (
    AccountSnapshot,
    BrokerPosition,
    CashEvent,
    Execution,
    Fill,
    HistoryBar,
    IntentKind,
    JournalEvent,
    OrderEvent,
    OrderIntent,
)
from palmbot.orders.book import Book, Holding
from palmbot.orders.lifecycle import Happening
from palmbot.orders.records import intent_of
from palmbot.ports import Clock

if TYPE_CHECKING:
    from palmbot.live.runner import Wires
    from palmbot.live.trader import Trader

HISTORY_BARS = 500
TRIES = 3  # of what a start asks, while the link comes and goes; each try itself waits for the link
TRY_AGAIN_S = 1.0

AnswerT = TypeVar("AnswerT")


async def recover(trader: Trader, wires: Wires, about: dict[str, object]) -> int:
    """Bring ``trader`` to where the journal and the broker together say it is; return the number of the first record.

    Raises:
        RefusedError: the account cannot be traded safely (netted, or several own positions), or is in an older market.
        RetryError: the broker did not answer, several times.
        HaltError: the journal cannot be written.
    """
    clock = wires.clock
    newest, intents = _newest_state(wires), _intents(wires)
    trader.book.remember(intents)
    if newest is not None:
        trader.restore(records.kept_of(newest))
    if trader.pending is not None and trader.pending.bar_end_ms in _entered_bars(intents):
        trader.pending = None  # it may have been sent
    account = await patiently(clock, wires.trading.account)
    if not account.hedged:
        raise RefusedError("ACCOUNT_NETTED", "Use a hedged account.", account_id=account.account_id)
    _refuse_rivals(trader, account)
    own = trader.book.own(account)
    if len(own) > 1:
        ids = ",".join(str(each.position_id) for each in own)
        raise RefusedError("SEVERAL_POSITIONS", "Close all but one of them by hand, then start again.", positions=ids)
    unheard = await patiently(clock, lambda: _unheard(trader, account, wires))
    now_ms = 0 if newest is None else newest.ts_ms
    if newest is not None and _is_explained(trader.book.holding, account, unheard):
        _credit(trader, account, unheard, now_ms)
    trader.book.balance_minor = account.balance_minor - sum(_net_minor(event) for event in unheard)
    started = await wires.journal.append([JournalEvent("run_started", now_ms, about)])
    asked = (trader.book.owner.symbol, trader.feed.period_ms, HISTORY_BARS)
    history = await patiently(clock, lambda: wires.quotes.history(*asked))
    _refuse_older(trader, history)
    _catch_up(trader, history, unheard)
    known = trader.book.holding
    trader.book.adopt(account, intents)
    if known is None or not own or known.position.position_id != own[0].position_id:
        trader.bars_held = 0
    wires.journal.defer(tuple(trader.outbox))
    trader.outbox.clear()
    return started


async def patiently(clock: Clock, ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """Return the answer to what a start asks; a link that is lost meanwhile may come back a few times.

    Raises:
        RetryError: it did not.
    """
    for _ in range(TRIES - 1):
        try:
            return await ask()
        except RetryError:
            await clock.sleep(TRY_AGAIN_S)
    return await ask()


async def look(trader: Trader, wires: Wires, now_ms: int) -> list[OrderIntent]:
    """Ask the broker what became of requests it did not answer and of a stop it did not confirm.

    After the link was lost everything may have been missed: the price history is read too.

    Returns:
        What only reduces risk and may be asked for again: the close of a position that is still there, else the amend
        that puts a missing stop back; the close where nobody knows its place. Never an entry.

    Raises:
        HaltError: several positions are this bot's own.
    """
    book, known = trader.book, trader.book.holding
    unanswered = book.in_flight
    for intent in unanswered:
        book.happened(intent.client_order_id, Happening.LOSE)
    account = await wires.trading.account()
    unheard = await _unheard(trader, account, wires)
    if trader.behind:
        history = await wires.quotes.history(book.owner.symbol, trader.feed.period_ms, HISTORY_BARS)
        trader.behind = not _is_explained(known, account, unheard)
        if not trader.behind:
            _credit(trader, account, unheard, now_ms)
        _catch_up(trader, history, unheard)
    for event in unheard:
        trader.on_order_event(event)
    trader.astray = book.holding is not None and not _is_there(book.holding, account)
    _halt_if_several(book.own(account))
    if not trader.astray:  # else it is gone, and its deals are not listed yet
        own = book.adopt(account, _intents(wires))
        for intent in book.in_flight:
            happening = _found(intent, own)
            if happening is not None:
                book.happened(intent.client_order_id, happening)
    trader.parked = bool(book.in_flight)
    trader.outbox.append(
        records.note(now_ms, f"looked: {len(unanswered)} unanswered, {len(book.in_flight)} still open")
    )
    holding = book.holding
    if holding is None or known is None or trader.parked:
        return []
    closes = [each for each in unanswered if each.kind is IntentKind.CLOSE]
    if closes:
        return trader.close(closes[-1].reason, now_ms)
    if holding.is_protected:
        return []
    if holding.sl_wanted_px == 0:  # nobody knows where its stop should be, and without one it must not stay
        return trader.close(Reason.MANUAL, now_ms)
    return trader.amend((holding.sl_wanted_px, holding.tp_wanted_px), holding.reason, now_ms)


def _halt_if_several(own: Sequence[BrokerPosition]) -> None:
    if len(own) > 1:
        todo = "Close all but one of the own positions by hand, then start again; each has the broker's stop."
        raise HaltError("SEVERAL_POSITIONS", todo, positions=[each.position_id for each in own])


def _refuse_older(trader: Trader, history: Sequence[HistoryBar]) -> None:
    """Refuse a market whose time lies before that of the journal: no bar would close until it has caught up."""
    feed = trader.feed
    newest_ms = max((feed.end_of(bar.ts_ms) for bar in history), default=feed.closed_ms)
    if newest_ms + 2 * feed.period_ms < feed.closed_ms:  # a bar that has just closed may not be served yet
        raise RefusedError(
            "MARKET_WENT_BACK",
            "This exchange is not the one that the journal was written at: start with another data_dir.",
            newest_bar_ends_ms=newest_ms,
            journal_ends_ms=feed.closed_ms,
        )


def _refuse_rivals(trader: Trader, account: AccountSnapshot) -> None:
    rivals = [each for each in account.positions if trader.book.owner.rivals(each.label) and each.volume_cu > 0]
    if rivals:
        raise RefusedError(
            "FOREIGN_INSTANCE",
            "Another install holds a position here: start it again with its own journal, or close it by hand.",
            labels=",".join(each.label for each in rivals),
        )


def _is_there(holding: Holding, account: AccountSnapshot) -> bool:
    return holding.position.position_id in [each.position_id for each in account.positions if each.volume_cu > 0]


def _is_explained(known: Holding | None, account: AccountSnapshot, unheard: Sequence[OrderEvent]) -> bool:
    """Return whether the deals tell what became of what was held; until they are listed its money is nobody's."""
    if known is None:
        return True
    number = known.position.position_id
    left_cu = sum(each.volume_cu for each in account.positions if each.position_id == number)
    closes = [event.fill.close for event in unheard if event.fill is not None]
    return left_cu + sum(each.closed_cu for each in closes if each is not None) >= known.position.volume_cu


def _found(intent: OrderIntent, own: Sequence[BrokerPosition]) -> Happening | None:
    """Return what a look at the ``own`` positions proves about an unanswered request; None = nothing yet.

    That an entry is not there proves nothing, so it stays unknown. A close or an amend may be repeated: where the
    position does not show it, it counts as not executed.
    """
    if intent.kind is IntentKind.ENTER:
        return Happening.FIND if intent.client_order_id in [each.label for each in own] else None
    there = next((each for each in own if each.position_id == intent.position_id), None)
    if intent.kind is IntentKind.CLOSE:
        return Happening.FIND if there is None else Happening.MISS
    shown = None if there is None else (there.sl_px, there.tp_px)
    return Happening.FIND if shown == (intent.sl_px, intent.tp_px) else Happening.MISS


def _newest_state(wires: Wires) -> JournalEvent | None:
    """Return the newest record that carries the state."""
    found = [each for each in (wires.journal.last("state"), wires.journal.last("bar_closed")) if each is not None]
    return max(found, key=lambda event: int(event.body["serial"]), default=None)


def _intents(wires: Wires) -> dict[str, OrderIntent]:
    """Return the journaled requests by their id; an own position at the broker has that of its entry as its label."""
    made = (intent_of(each) for each in wires.journal.events("intent"))
    return {each.client_order_id: each for each in made}


def _entered_bars(intents: Mapping[str, OrderIntent]) -> set[int]:
    return {each.bar_end_ms for each in intents.values() if each.kind is IntentKind.ENTER}


async def _unheard(trader: Trader, account: AccountSnapshot, wires: Wires) -> list[OrderEvent]:
    """Return the deals of own positions that were not taken in yet, as the events that were not heard, oldest first.

    Deals carry neither label nor reason. An opening one belongs to the position with the label of its entry. A closing
    one of the protective order tells itself by its order id; any other may be the close that this bot asked for last.
    """
    book, known, intents = trader.book, trader.book.holding, _intents(wires)
    events: list[OrderEvent] = []
    if known is not None:
        number = known.position.position_id
        asked = [each for each in intents.values() if each.kind is IntentKind.CLOSE and each.position_id == number]
        left_cu = sum(each.volume_cu for each in account.positions if each.position_id == number)
        for fill in reversed(await wires.trading.deals(number)):
            if fill.close is None or book.has_counted(fill.deal_id):
                continue
            request = asked[-1] if asked and fill.order_id != known.protection_id else None
            events.append(_event(book, fill, replace(known.position, volume_cu=left_cu), request))
            left_cu += fill.close.closed_cu
    events.reverse()
    for position in book.own(account):
        if known is None or known.position.position_id != position.position_id:
            fills = [each for each in await wires.trading.deals(position.position_id) if each.close is None]
            entry = intents.get(position.label)
            events += [_event(book, each, position, entry) for each in fills if not book.has_counted(each.deal_id)]
    return events


def _event(book: Book, fill: Fill, after: BrokerPosition, request: OrderIntent | None) -> OrderEvent:
    """Return the event of ``fill``, ``after`` which the position was so; ``request`` is what it answered."""
    if request is not None:
        book.recall(request)
    name = "" if request is None else request.client_order_id
    return OrderEvent(Execution.FILLED, fill.ts_ms, None, after, fill, request_id=name)


def _net_minor(event: OrderEvent) -> int:
    close = None if event.fill is None else event.fill.close
    if close is None:
        return 0
    return close.gross_minor + close.swap_minor + close.commission_minor + close.fee_minor


def _credit(trader: Trader, account: AccountSnapshot, unheard: Sequence[OrderEvent], now_ms: int) -> None:
    """Take in a deposit or withdrawal that was missed: what moved the balance and was no deal of this bot."""
    before_minor = account.balance_minor - sum(_net_minor(event) for event in unheard)
    delta_minor = before_minor - trader.book.balance_minor
    if delta_minor != 0:
        trader.on_cash(CashEvent(now_ms, delta_minor, before_minor))


def _catch_up(trader: Trader, history: Sequence[HistoryBar], unheard: list[OrderEvent]) -> None:
    """Let deals and bars that were missed pass through in order of time; a forming bar goes on forming."""
    feed = trader.feed
    by_end = {feed.end_of(bar.ts_ms): bar for bar in history}  # one bar a bucket
    if feed.forming is not None and feed.forming.end_ms in by_end:
        feed.forming = None  # the broker has all of its ticks
    for end_ms, bar in sorted(by_end.items()):
        if end_ms <= feed.closed_ms:
            continue
        while unheard and unheard[0].ts_ms < end_ms:
            trader.on_order_event(unheard.pop(0))
        if bar.is_forming:
            trader.resume(bar)
        else:
            trader.absorb(bar)
    while unheard:
        trader.on_order_event(unheard.pop(0))
