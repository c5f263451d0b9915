"""The clock of a process in virtual time."""

from __future__ import annotations

import asyncio

from palmbot.simulation.clock import NodeClock
from palmbot.simulation.loop import VirtualLoop

EPOCH_MS = 1_700_000_000_000


def test_each_machine_has_its_own_steady_clock_and_its_own_error_of_utc() -> None:
    loop = VirtualLoop()
    one = NodeClock(loop, EPOCH_MS)
    other = NodeClock(loop, EPOCH_MS, skew_ms=-2_500, start_ms=77)
    loop.run_until_complete(asyncio.sleep(3.25))
    loop.close()
    assert (one.monotonic_ms(), one.utc_ms()) == (3_250, EPOCH_MS + 3_250)
    assert (other.monotonic_ms(), other.utc_ms()) == (3_327, EPOCH_MS + 750)


def test_a_timer_rings_in_the_millisecond_for_which_it_was_set() -> None:
    loop = VirtualLoop()
    clock = NodeClock(loop, EPOCH_MS)

    async def story() -> None:
        for wait_ms in range(1, 3_000):
            due_ms = clock.monotonic_ms() + wait_ms
            await clock.sleep(wait_ms / 1_000)
            assert clock.monotonic_ms() == due_ms

    loop.run_until_complete(story())
    loop.close()
