"""Who does a work that comes in many pieces, such as a search on each of 199 surrogates: threads here, or a cluster.

Pieces are told apart by their numbers and what they come to is yielded in order, so that who works changes no result.
Closing the iterator, as an interrupt does, ends the work: what has not begun never begins, and a piece under way ends
where it next heeds that nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from contextvars import ContextVar
from threading import Event
from typing import Final, Protocol, TypeVar

from palmbot.errors import PalmbotError

Result = TypeVar("Result")

POLL_S: Final = 0.2
"""How long a wait lasts before an interrupt is looked for: polars has the system resume a wait that Ctrl-C broke."""


class Workers(Protocol):
    """Who works."""

    def __call__(self, work: Callable[[int], Result], count: int, /) -> Generator[Result]:
        """Yield what ``work`` comes to for 0, 1, ... ``count`` - 1. Errors of ``work`` pass through."""


class NobodyWaitsError(Exception):
    """A piece of work whose result nobody will read; it ends the piece and is seen by nobody."""


_is_dropped: ContextVar[Event | None] = ContextVar("is_dropped", default=None)


def heed() -> None:
    """End the piece of work that this is part of, where nobody waits for it any more; else do nothing.

    Raises:
        NobodyWaitsError: nobody waits.
    """
    dropped = _is_dropped.get()
    if dropped is not None and dropped.is_set():
        raise NobodyWaitsError


def threads(count: int) -> Workers:
    """Return ``count`` threads of this process, at least one: for work that leaves the interpreter's lock alone."""

    def each(work: Callable[[int], Result], pieces: int) -> Generator[Result]:
        dropped = Event()

        def piece(number: int) -> Result:
            _is_dropped.set(dropped)
            return work(number)

        pool = ThreadPoolExecutor(count)
        try:
            for future in [pool.submit(piece, number) for number in range(pieces)]:
                while not future.done():
                    wait([future], POLL_S)
                yield future.result()
        finally:
            dropped.set()
            pool.shutdown(cancel_futures=True)

    return each


IN_TURN = threads(1)


def rescued(far: Workers, near: Workers, say: Callable[[PalmbotError], None]) -> Workers:
    """Return ``far``, and once it has failed ``near`` for whatever is left; ``say`` is told why."""
    is_lost = False

    def each(work: Callable[[int], Result], pieces: int) -> Generator[Result]:
        nonlocal is_lost
        done = 0
        if not is_lost:
            try:
                with closing(far(work, pieces)) as results:
                    for result in results:
                        done += 1
                        yield result
            except PalmbotError as error:
                is_lost = True
                say(error)
        yield from near(lambda number: work(done + number), pieces - done)

    return each
