"""What holds at the end of every story. Each check yields a sentence for everything that does not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from palmbot.model import AccountSnapshot, Fill, IntentKind, OrderIntent, Trade
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.network import Network


class Closed(NamedTuple):
    """A position from its first to its last deal, in money."""

    entry_ms: int
    exit_ms: int
    side: int
    volume_cu: int
    gross_minor: int
    swap_minor: int
    commission_minor: int
    fee_minor: int

    @classmethod
    def of_trade(cls, trade: Trade) -> Closed:
        """Return what a journal says."""
        return cls(*(getattr(trade, name) for name in cls._fields))


def closed_of(fills: Iterable[Fill]) -> list[Closed]:
    """Return what deals say of the positions that they opened and closed, in the order of their opening."""
    of_position: dict[int, list[Fill]] = {}
    for fill in fills:
        of_position.setdefault(fill.position_id, []).append(fill)
    found = []
    for deals in of_position.values():
        opening = [each for each in deals if each.close is None]
        closing = [(each, each.close) for each in deals if each.close is not None]
        volume_cu = sum(each.volume_cu for each in opening)
        if volume_cu == sum(close.closed_cu for _, close in closing):
            found.append(
                Closed(
                    entry_ms=opening[0].ts_ms,
                    exit_ms=closing[-1][0].ts_ms,
                    side=opening[0].side,
                    volume_cu=volume_cu,
                    gross_minor=sum(close.gross_minor for _, close in closing),
                    swap_minor=sum(close.swap_minor for _, close in closing),
                    commission_minor=sum(close.commission_minor for _, close in closing),
                    fee_minor=sum(close.fee_minor for _, close in closing),
                )
            )
    return found


def books_agree(trades: Sequence[Trade], heard: Iterable[Fill], booked: Iterable[Fill]) -> Iterator[str]:
    """Compare the journal's trades with the deals that the broker listed and with those in its books, to the cent."""
    ours = sorted(map(Closed.of_trade, trades))
    for name, fills in (("listed", heard), ("booked", booked)):
        theirs = sorted(closed_of(fills))
        yield from (f"a trade in the journal was not {name}: {each}" for each in _without(ours, theirs))
        yield from (f"a trade was {name} that is not in the journal: {each}" for each in _without(theirs, ours))


def money_agrees(ours_minor: int, account: AccountSnapshot | None, booked_minor: int) -> Iterator[str]:
    """Compare the bot's balance with the broker's, as told and as booked."""
    told_minor = None if account is None else account.balance_minor
    if not ours_minor == told_minor == booked_minor:
        yield f"balances differ: {ours_minor} in the bot, {told_minor} told, {booked_minor} booked"


def no_bar_entered_twice(intents: Iterable[OrderIntent]) -> Iterator[str]:
    """Find bars that were entered more than once."""
    entries = Counter(each.bar_end_ms for each in intents if each.kind is IntentKind.ENTER)
    yield from (f"bar {bar_end_ms} was entered {count} times" for bar_end_ms, count in entries.items() if count > 1)


def nobody_died(tasks: Iterable[asyncio.Task[None]]) -> Iterator[str]:
    """Find tasks that ended by a failure."""
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            yield f"the {task.get_name()} died: {task.exception()!r}"


def nothing_left(loop: VirtualLoop, network: Network) -> Iterator[str]:
    """Find tasks that have not ended, failures that nobody noticed, and connections that are not over."""
    yield from (f"task {task.get_name()} of {node} has not ended" for node, task in loop.undone())
    yield from (f"task {task.get_name()} of {node} failed: {task.exception()!r}" for node, task in loop.unheard())
    yield from (f"connection {link.name} is not over" for link in network.links)


def _without(some: Sequence[Closed], others: Sequence[Closed]) -> Iterable[Closed]:
    return (Counter(some) - Counter(others)).elements()
