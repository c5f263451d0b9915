"""Blocking work that nobody has to wait for to the end: look-ups of names, a keyring that asks nobody knows whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def aside(work: Callable[[], ResultT]) -> ResultT:
    """Return what ``work`` returns, or raise what it raises; to be called under a time limit.

    It runs in a thread of its own that neither the loop's end nor the program's waits for, unlike those of
    ``asyncio.to_thread``: so ``work`` may still be running after that time, and must be harmless then.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[ResultT] = loop.create_future()

    def settle(value: ResultT | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is None:
            result.set_result(value)  # type: ignore[arg-type]  # without an error there is a value
        else:
            result.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as failure:  # noqa: BLE001 - it is raised where it is waited for
            error = failure
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            loop.call_soon_threadsafe(settle, value, error)

    Thread(target=run, name="aside", daemon=True).start()
    return await result
