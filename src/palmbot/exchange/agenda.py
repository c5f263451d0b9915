"""What is to be done at a known time: delayed fills, protective orders that are due, expiries."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SWEPT_FROM: Final = 1_000


class Work(IntEnum):
    """What falls due. At one instant it is done in the order in which it was planned."""

    EXECUTE = 0  # subject: an order
    PROTECT = 1  # subject: a position, whose protective order is placed, moved or cancelled
    EXPIRE = 2  # subject: an order


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do. ``seq`` keeps the order of what was planned for one instant."""

    due_ms: int
    seq: int
    work: Work
    account_id: int
    subject_id: int

    @property
    def key(self) -> tuple[Work, int]:
        """What there is at most one task for."""
        return self.work, self.subject_id


class Agenda:
    """Tasks by time. What was dropped or planned anew is swept out once there is more of it than of tasks."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self.tasks = {task.key: task for task in tasks}
        self._sweep()
        self._seq = max((task.seq for task in self.tasks.values()), default=0)

    def plan(self, due_ms: int, work: Work, account_id: int, subject_id: int) -> Task:
        """Plan a task, instead of any other of the same work on the same subject; return it."""
        self._seq += 1
        task = Task(due_ms, self._seq, work, account_id, subject_id)
        self.tasks[task.key] = task
        heapq.heappush(self._heap, (due_ms, task.seq, task.key))
        if len(self._heap) > 2 * len(self.tasks) + SWEPT_FROM:
            self._sweep()
        return task

    def drop(self, work: Work, subject_id: int) -> Task | None:
        """Forget a task; return it, None where there was none."""
        return self.tasks.pop((work, subject_id), None)

    def next(self) -> Task | None:
        """Return the task that is due first."""
        while self._heap:
            _, seq, key = self._heap[0]
            task = self.tasks.get(key)
            if task is not None and task.seq == seq:
                return task
            heapq.heappop(self._heap)
        return None

    def _sweep(self) -> None:
        self._heap = [(task.due_ms, task.seq, task.key) for task in self.tasks.values()]
        heapq.heapify(self._heap)
