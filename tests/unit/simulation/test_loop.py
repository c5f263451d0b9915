"""Virtual time: order, jumps, dead processes, and what ends a story."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import copy_context

import pytest

from palmbot.simulation.loop import ViolationError, VirtualLoop
from palmbot.simulation.node import Node


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(steps_max=10_000)
    yield loop
    loop.close()


async def idle() -> None:
    await asyncio.Event().wait()


# -- time


def test_a_year_of_sleep_takes_no_time(loop: VirtualLoop) -> None:
    year_s = 365 * 86_400
    loop.run_until_complete(asyncio.sleep(year_s))
    assert loop.time() == year_s


def test_timers_of_one_instant_ring_in_the_order_in_which_they_were_set(loop: VirtualLoop) -> None:
    rung: list[int] = []
    for number in range(200):
        loop.call_at(5.0 + number % 3, rung.append, number)
    loop.run_until_complete(asyncio.sleep(10))
    assert rung == sorted(range(200), key=lambda number: number % 3)


def test_cancelled_timers_do_not_disturb_the_order(loop: VirtualLoop) -> None:
    rung: list[int] = []
    timers = [loop.call_at(7.0, rung.append, number) for number in range(500)]
    for timer in timers[::2] + timers[1:300:2]:  # enough for asyncio to rebuild its heap
        timer.cancel()
    loop.run_until_complete(asyncio.sleep(1))
    assert len(loop._scheduled) < 150
    loop.run_until_complete(asyncio.sleep(8))
    assert rung == list(range(301, 500, 2))


def test_no_timer_rings_early_even_late_in_a_long_story(loop: VirtualLoop) -> None:
    loop.run_until_complete(asyncio.sleep(1e9))
    rung_s: list[float] = []
    due_s = [loop.time() + step * 1e-6 for step in range(1, 50)]
    for instant_s in due_s:
        loop.call_at(instant_s, lambda: rung_s.append(loop.time()))
    loop.run_until_complete(asyncio.sleep(1))
    assert rung_s == due_s


def test_callbacks_run_first_in_first_out(loop: VirtualLoop) -> None:
    ran: list[int] = []
    for number in range(5):
        loop.call_soon(ran.append, number)
    loop.run_until_complete(asyncio.sleep(0))
    assert ran == list(range(5))


def test_the_library_s_time_limits_work_in_virtual_time(loop: VirtualLoop) -> None:
    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3_600):
                await idle()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(idle(), 3_600)

    loop.run_until_complete(story())
    assert loop.time() == 7_200


# -- violations


def test_when_nothing_can_happen_any_more_it_is_a_deadlock_that_names_who_waits(loop: VirtualLoop) -> None:
    async def story() -> None:
        waiting = asyncio.create_task(idle(), name="the bot")
        await waiting

    with pytest.raises(ViolationError, match=r"DEADLOCK.*waiting=.*the bot"):
        loop.run_until_complete(story())


def test_processes_that_keep_each_other_busy_are_a_livelock(loop: VirtualLoop) -> None:
    def again() -> None:
        loop.call_soon(again)

    loop.call_soon(again)
    with pytest.raises(ViolationError, match="LIVELOCK"):
        loop.run_until_complete(asyncio.sleep(1))
    assert loop.time() == 0


def test_a_failing_callback_ends_the_story(loop: VirtualLoop) -> None:
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(ViolationError, match=r"UNHANDLED.*ZeroDivisionError") as caught:
        loop.run_until_complete(asyncio.sleep(1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_failed_task_that_nobody_awaits_is_found(loop: VirtualLoop) -> None:
    async def fail() -> None:
        raise ValueError("lost")

    async def story() -> None:
        unheard = asyncio.create_task(fail(), name="unheard")
        heard = asyncio.create_task(fail(), name="heard")
        await asyncio.wait([unheard, heard])
        heard.exception()

    loop.run_until_complete(story())
    assert [task.get_name() for _, task in loop.unheard()] == ["unheard"]


def test_tasks_that_have_not_ended_are_found(loop: VirtualLoop) -> None:
    async def story() -> None:
        names = [asyncio.create_task(idle(), name="left"), asyncio.create_task(asyncio.sleep(0), name="done")]
        await asyncio.sleep(1)
        assert names

    loop.run_until_complete(story())
    assert [task.get_name() for _, task in loop.undone()] == ["left"]


@pytest.mark.parametrize(
    "ask", [lambda: asyncio.to_thread(print), lambda: asyncio.get_running_loop().getaddrinfo("localhost", 80)]
)
def test_who_asks_for_a_thread_ends_the_story_even_when_the_error_is_swallowed(
    loop: VirtualLoop, ask: type[asyncio.Future[None]]
) -> None:
    async def story() -> None:
        with pytest.raises(ViolationError):
            await ask()
        await asyncio.sleep(1)

    with pytest.raises(ViolationError, match="THREAD"):
        loop.run_until_complete(story())
    assert loop.time() == 0


def test_a_thread_that_calls_into_the_loop_ends_the_story(loop: VirtualLoop) -> None:
    def call() -> None:
        with suppress(ViolationError):
            loop.call_soon_threadsafe(print)

    async def story() -> None:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        await asyncio.sleep(1)

    with pytest.raises(ViolationError, match="THREAD"):
        loop.run_until_complete(story())


# -- processes


def test_what_a_process_starts_dies_with_it_and_the_rest_goes_on(loop: VirtualLoop) -> None:
    said: list[str] = []

    async def talk(name: str) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                said.append(name)
        finally:
            said.append(f"{name} cleaned up")

    async def deeper(name: str) -> None:
        await asyncio.gather(asyncio.create_task(talk(name)), talk(f"{name}'s child"))

    async def story() -> None:
        one, other = Node("one"), Node("other")
        tasks = [node.run(loop.create_task, deeper(node.name)) for node in (one, other)]
        await asyncio.sleep(1.5)
        one.crash()
        await asyncio.sleep(1)
        assert not any(task.done() for task in tasks)

    loop.run_until_complete(story())
    assert said == ["one", "one's child", "other", "other's child", "other", "other's child"]


def test_a_task_belongs_to_the_process_of_the_context_it_is_given(loop: VirtualLoop) -> None:
    async def story() -> None:
        node = Node("bot")
        task = loop.create_task(idle(), context=node.run(copy_context))
        assert [owner for owner, each in loop.undone() if each is task] == [node]
        node.crash()
        assert task not in [each for _, each in loop.undone()]

    loop.run_until_complete(story())


def test_the_dead_run_their_finally_blocks_only_when_the_story_is_over() -> None:
    loop = VirtualLoop()
    said: list[str] = []

    async def stubborn() -> None:
        answers: list[asyncio.Future[None]] = [loop.create_future() for _ in range(2)]
        try:
            await idle()
        finally:
            try:
                await answers[0]
            finally:
                try:
                    await answers[1]
                finally:
                    said.append("farewell")

    async def story() -> None:
        node = Node("stubborn")
        node.run(loop.create_task, stubborn())
        await asyncio.sleep(1)
        node.crash()
        await asyncio.sleep(10)

    loop.run_until_complete(story())
    assert said == []
    loop.close()
    assert said == ["farewell"]
    assert [type(words) for words in loop.last_words] == [RuntimeError] * 2  # it awaited while it was closed


def test_a_process_can_die_at_every_one_of_its_callbacks() -> None:
    def told(crash_at_step: int | None) -> tuple[list[int], Node]:
        loop = VirtualLoop()
        steps: list[int] = []

        async def work() -> None:
            for number in range(10):
                await asyncio.sleep(number % 2)
                steps.append(number)

        async def story() -> None:
            node.crash_at_step = crash_at_step
            node.run(loop.create_task, work())
            await asyncio.sleep(100)

        node = Node("worker")
        loop.run_until_complete(story())
        loop.close()
        return steps, node

    whole, node = told(None)
    parts = [told(step)[0] for step in range(1, node.steps + 1)]
    assert all(part == whole[: len(part)] for part in parts)
    assert {len(part) for part in parts} == set(range(10))
    assert [len(part) for part in parts] == sorted(len(part) for part in parts)


def test_the_machine_cleans_up_after_a_crash_once() -> None:
    node, cleaned = Node("bot"), list[str]()
    node.at_crash(lambda: cleaned.append("sockets"))
    node.at_crash(lambda: cleaned.append("transaction"))
    node.crash()
    node.crash()
    assert cleaned == ["sockets", "transaction"]
    assert repr(node) == "<Node bot dead after 0 steps>"
