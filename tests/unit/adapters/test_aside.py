"""Work that hangs is not waited for: neither by who gave up on it, nor by the loop's end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from palmbot.adapters.aside import aside


async def test_what_the_work_returns_is_returned() -> None:
    assert await aside(lambda: threading.current_thread().name) == "aside"


async def test_what_the_work_raises_is_raised() -> None:
    def fail() -> None:
        raise OSError(5, "no")

    with pytest.raises(OSError, match="no"):
        await aside(fail)


def test_work_that_hangs_holds_up_neither_who_gave_up_nor_the_end_of_the_loop() -> None:
    let_go, over = threading.Event(), threading.Event()

    def hang() -> None:
        let_go.wait()
        over.set()

    async def give_up() -> None:
        async with asyncio.timeout(0.01):
            await aside(hang)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())  # returns, though the work goes on
    assert not over.is_set()
    let_go.set()
    assert over.wait(5)  # it ends after its loop did, and nobody minds


async def test_a_result_that_comes_too_late_is_dropped() -> None:
    let_go, complaints = threading.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await aside(let_go.wait)
    late = next(each for each in threading.enumerate() if each.name == "aside")
    let_go.set()
    late.join()
    await asyncio.sleep(0)
    assert complaints == []
