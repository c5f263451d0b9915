"""Progress of long work, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, float], None]
"""What is being done, and the share of it that is done, 0..1. A share that falls begins another piece of work."""


def _silent(_stage: str, _share: float) -> None:
    """Show nothing."""


@contextmanager
def progress() -> Iterator[Progress]:
    """Yield what is told about progress; it draws a bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console  # noqa: PLC0415 - keeps `palmbot --help` fast
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above
    from rich.progress import Progress as Bars  # noqa: PLC0415 - as above

    done = 0.0
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1.0)

        def show(stage: str, share: float) -> None:
            nonlocal done
            if share < done:
                bars.reset(task)  # how fast the last piece went says nothing about this one
            done = share
            bars.update(task, description=stage, completed=share)

        yield show
