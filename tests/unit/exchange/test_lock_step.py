"""Lock-step over a wire: an idle that is said while something is on the way releases nothing."""

from __future__ import annotations

import asyncio

from tests.unit.exchange.desk import turns

from palmbot.exchange.pacer import LockStep


async def test_idle_counts_only_once_nothing_is_on_the_way_to_the_bot() -> None:
    pacer, on_the_way = LockStep(), ["a spot"]
    pacer.is_quiet = lambda: not on_the_way
    waiting = asyncio.create_task(pacer.wait_idle())
    await turns()
    pacer.idle()  # of the tick before: the bot has not received this one
    await turns()
    assert not waiting.done()
    on_the_way.clear()
    await turns()
    assert not waiting.done()  # received, but not yet worked through
    pacer.idle()
    await waiting
