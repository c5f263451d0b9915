"""Lock-step over a wire: an idle that is said while something is on the way releases nothing."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from tests.unit.exchange.desk import turns

from palmbot.errors import InvariantError
from palmbot.exchange.pacer import LockStep
from palmbot.simulation.loop import VirtualLoop


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


def test_many_short_waits_are_no_long_one_and_a_stuck_one_ends_after_the_limit_or_at_most_twice_as_long() -> None:
    async def story(loop: VirtualLoop) -> None:
        pacer = LockStep(limit_s=30.0)
        for _ in range(7):
            loop.call_later(20.0, pacer.idle)
            await pacer.wait_idle()
        assert loop.time() == pytest.approx(140.0)
        with pytest.raises(InvariantError, match=r"PACER_STUCK.*30\.0"):
            await pacer.wait_idle()
        assert 170.0 <= loop.time() <= 200.0

    with closing(VirtualLoop()) as loop:
        loop.run_until_complete(story(loop))
