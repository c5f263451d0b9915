"""A broker that is killed and started again on its books is the same broker."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.exchange.desk import (
    NO_ROLLS,
    OPEN,
    SERIES,
    SYMBOL,
    Desk,
    QueueInbox,
    bars,
    enter,
    nothing,
    spec,
    turns,
)

from palmbot.exchange.books import Books
from palmbot.exchange.feed import FileFeed
from palmbot.instruments import PALM_OIL
from palmbot.model import (
    AccountSnapshot,
    BrokerEvent,
    Fill,
    HistoryBar,
    OrderEvent,
    Quote,
)
from palmbot.units import HOUR_MS, PX, SECOND_MS


class Killed(BaseException):
    """The end of a process: nothing may catch it."""


class MortalInbox(QueueInbox):
    """Dies when it is told one event too many."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self.events_left = events

    def put(self, event: BrokerEvent) -> None:
        if self.events_left == 0:
            raise Killed
        self.events_left -= 1
        super().put(event)


class Stubborn:
    """A bot without a memory: at any quote but ``unseen`` that finds it flat it enters, by the price."""

    def __init__(self, unseen: int = -1) -> None:
        self.unseen = unseen
        self.seen: list[int] = []

    def __call__(self, desk: Desk, quote: Quote) -> object:
        self.seen.append(quote.ts_ms)
        if desk.broker.engine.venue.accounts[1].positions or quote.bid_px is None or quote.ts_ms == self.unseen:
            return None
        return desk.broker.submit(enter(1 if quote.bid_px // PX % 2 else -1, 250, sl=12, tp=9, name=f"at{quote.ts_ms}"))


async def killed_after(events: int, path: Path) -> list[int]:
    """Run on new books at ``path`` until so many events were told; return the times of the quotes the bot took in.

    What a kill leaves of the books is then in the folder ``left`` beside them.
    """
    bot = Stubborn()
    with closing(Books(path)) as books:
        at = Desk(FileFeed(PALM_OIL.core, SERIES, NO_ROLLS), books, PALM_OIL, inbox=MortalInbox(events))
        with pytest.raises(Killed):
            await at.play(bot)
        shutil.copytree(path.parent, path.parent / "left", ignore=shutil.ignore_patterns("left"))
    return bot.seen


async def whole(path: Path | str, bot: Stubborn) -> tuple[list[Fill], AccountSnapshot, list[BrokerEvent]]:
    """Run on the books at ``path`` to the end of the series; return all deals, the account and what was told."""
    with closing(Books(path)) as books:
        at = Desk(FileFeed(PALM_OIL.core, SERIES, NO_ROLLS, books.feed_state()), books, PALM_OIL)
        told = await at.play(bot)
        deals = [deal for position_id in range(1, 60) for deal in await at.broker.deals(position_id)]
        return sorted(deals, key=lambda deal: deal.deal_id), await at.broker.account(), told


async def test_a_broker_that_is_killed_anywhere_goes_on_as_the_same_broker(tmp_path: Path) -> None:
    deals, _, told = await whole(":memory:", Stubborn())
    assert len(deals) > 40
    fills = [index for index, event in enumerate(told) if isinstance(event, OrderEvent) and event.fill is not None]
    every = [ts_ms + second * SECOND_MS for ts_ms in SERIES.ts_ms.tolist() for second in (0, 15, 30, 45)]
    lost = 0
    for kill in (*range(3, len(told), len(told) // 8), fills[5] + 1, fills[6] + 1):
        folder = tmp_path / str(kill)
        folder.mkdir()
        seen = await killed_after(kill, folder / "exchange.sqlite")
        bot = Stubborn()
        resumed = await whole(folder / "left" / "exchange.sqlite", bot)
        unseen = [ts_ms for ts_ms in every if ts_ms not in {*seen, *bot.seen}]
        assert len(unseen) <= 1  # committed but not told: what the bot slept through
        lost += len(unseen)
        assert resumed[:2] == (await whole(":memory:", Stubborn(*unseen)))[:2]
    assert lost > 0


async def test_a_broker_at_the_end_of_its_file_has_only_that_to_tell(tmp_path: Path) -> None:
    path = tmp_path / "exchange.sqlite"
    deals, account, told = await whole(path, Stubborn())
    assert await whole(path, Stubborn()) == (deals, account, told[-1:])


async def test_the_bar_that_a_kill_interrupted_goes_on_forming(tmp_path: Path) -> None:
    path, series = tmp_path / "exchange.sqlite", bars((OPEN, 4_000, 4_020, 3_990, 4_010))
    with closing(Books(path)) as books:
        at = Desk(FileFeed(spec().core, series, NO_ROLLS), books)
        await at.broker.subscribe(SYMBOL)
        running = asyncio.create_task(at.broker.run())
        await turns()
        at.pacer.idle()
        await turns()
        await at.broker.submit(enter())  # on the second tick: what was sent so far is saved with it
        running.cancel()
    with closing(Books(path)) as books:
        at = Desk(FileFeed(spec().core, series, NO_ROLLS, books.feed_state()), books)
        (before,) = await at.broker.history(SYMBOL, HOUR_MS, 9)
        await at.play(nothing)
        (after,) = await at.broker.history(SYMBOL, HOUR_MS, 9)
    assert before == HistoryBar(OPEN, 4_000 * PX, 4_000 * PX, 3_990 * PX, 3_990 * PX, is_forming=True)
    assert after == HistoryBar(OPEN, 4_000 * PX, 4_020 * PX, 3_990 * PX, 4_010 * PX, is_forming=True)
