"""Who does work that comes in pieces: in order, until nobody waits for it, and here where a cluster is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing

import pytest

from palmbot.errors import PalmbotError
from palmbot.research.workers import IN_TURN, NobodyWaitsError, Result, Workers, heed, rescued, threads

LOST = PalmbotError("CLUSTER_LOST", "Start it again.")


def squares(number: int) -> int:
    return number * number


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order_however_many_work(count: int) -> None:
    assert list(threads(count)(squares, 20)) == [squares(number) for number in range(20)]
    assert list(threads(count)(squares, 0)) == []


def test_an_error_of_the_work_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        list(IN_TURN(lambda number: 1 // (1 - number), 3))


def test_a_piece_under_way_ends_when_nobody_waits_for_it_any_more() -> None:
    begun, ended = threading.Event(), list[int]()

    def endless(number: int) -> int:
        try:
            while number:
                begun.set()
                heed()
        except NobodyWaitsError:
            ended.append(number)
            raise
        return number

    before = threading.active_count()
    with closing(threads(2)(endless, 50)) as each:
        assert next(each) == 0
        assert begun.wait(10)
    assert 1 <= len(ended) <= 2
    assert threading.active_count() == before
    heed()  # in this thread somebody waits


ENDLESS = """
import sys
import threading

import polars  # from here on its own handler of signals is in place
from palmbot.research.workers import IN_TURN, heed

main = threading.main_thread().ident

def endless(number):
    while sys._current_frames()[main].f_code.co_name != "wait":
        heed()
    print("begun", flush=True)
    while True:
        heed()

try:
    list(IN_TURN(endless, 2))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_is_heard_while_a_piece_goes_on_for_ever() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=60)[0] == "interrupted\n"
        finally:
            process.kill()
    assert process.returncode == 0


def failing(after: int) -> Workers:
    """Return workers that are lost ``after`` so many pieces."""

    def each(work: Callable[[int], Result], pieces: int) -> Generator[Result]:
        for number in range(pieces):
            if number == after:
                raise LOST
            yield work(number)

    return each


@pytest.mark.parametrize("after", [0, 1, 4, 5])
def test_what_a_lost_cluster_leaves_is_done_here_and_it_is_not_asked_again(after: int) -> None:
    said = list[PalmbotError]()
    hands = rescued(failing(after), threads(2), said.append)
    assert list(hands(squares, 5)) == [0, 1, 4, 9, 16]
    assert list(hands(squares, 6)) == [0, 1, 4, 9, 16, 25]
    assert said == [LOST]
