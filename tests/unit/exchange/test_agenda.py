"""What is planned: by time, then in the order of planning, one task for each work on each subject."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palmbot.exchange.agenda import Agenda, Task, Work


def done(agenda: Agenda) -> list[tuple[int, Work, int]]:
    """Take everything out in turn."""
    order = []
    while (task := agenda.next()) is not None:
        order.append((task.due_ms, task.work, task.subject_id))
        assert agenda.drop(task.work, task.subject_id) == task
    return order


def test_tasks_come_by_time_and_at_one_time_as_they_were_planned() -> None:
    agenda = Agenda()
    for due_ms, work, subject in ((20, Work.EXPIRE, 1), (10, Work.PROTECT, 2), (10, Work.EXECUTE, 3)):
        agenda.plan(due_ms, work, 7, subject)
    assert done(agenda) == [(10, Work.PROTECT, 2), (10, Work.EXECUTE, 3), (20, Work.EXPIRE, 1)]
    assert agenda.next() is None


def test_a_task_that_is_planned_again_takes_the_place_of_the_first() -> None:
    agenda = Agenda()
    agenda.plan(10, Work.PROTECT, 7, 1)
    agenda.plan(30, Work.PROTECT, 7, 1)
    agenda.plan(20, Work.PROTECT, 7, 2)
    assert done(agenda) == [(20, Work.PROTECT, 2), (30, Work.PROTECT, 1)]


def test_what_is_dropped_is_never_due() -> None:
    agenda = Agenda()
    agenda.plan(10, Work.EXECUTE, 7, 1)
    assert agenda.drop(Work.EXECUTE, 1) == Task(10, 1, Work.EXECUTE, 7, 1)
    assert agenda.drop(Work.EXECUTE, 1) is None
    assert agenda.next() is None


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Work), st.integers(1, 4)), max_size=30), st.integers(0, 30)
)
def test_an_agenda_goes_on_from_its_tasks_as_if_nothing_had_happened(
    plans: list[tuple[int, Work, int]], stored: int
) -> None:
    whole, agenda = Agenda(), Agenda()
    for due_ms, work, subject in plans[:stored]:
        whole.plan(due_ms, work, 1, subject)
        agenda.plan(due_ms, work, 1, subject)
    again = Agenda(agenda.tasks.values())
    for due_ms, work, subject in plans[stored:]:
        whole.plan(due_ms, work, 1, subject)
        again.plan(due_ms, work, 1, subject)
    assert done(again) == done(whole)


def test_tasks_that_are_planned_again_for_ever_take_no_more_room() -> None:
    """A client may amend an order of the distant future as often as it likes."""
    agenda = Agenda()
    agenda.plan(50, Work.EXPIRE, 7, 2)
    for _ in range(10_000):
        agenda.drop(Work.EXPIRE, 1)
        agenda.plan(100, Work.EXPIRE, 7, 1)
    assert len(agenda._heap) < 2_000
    assert done(agenda) == [(50, Work.EXPIRE, 2), (100, Work.EXPIRE, 1)]
