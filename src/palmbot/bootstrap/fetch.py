"""Wires ``palmbot data fetch``: a broker's history into an archive, and from there into a file for ``--data``.

What is asked is what the archive does not hold: window by window, oldest first, each on disk before the next is asked
for. So it may be stopped or killed at any time, and the next fetch goes on.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_download import TICKS_WINDOW_MS, download_bars, download_ticks, window_ms
from palmbot.adapters.ctrader_history import Grid, Part, Reader
from palmbot.bootstrap.courier import Courier, Patience, Way
from palmbot.bootstrap.fetch_output import TICKS, Output, period_name
from palmbot.bootstrap.times import time_ms
from palmbot.calendar import bucket_start
from palmbot.config.values import BadTextError, Duration
from palmbot.core.types import Int64Array
from palmbot.errors import DataError, PalmbotError, RejectedError, UsageError
from palmbot.instruments import InstrumentSpec
from palmbot.protocol.statement import instrument_of
from palmbot.research import fetched
from palmbot.research.archive import SUFFIX, Archive
from palmbot.research.coverage import Span, holes, stretch, windows
from palmbot.research.fetched import Label
from palmbot.research.output import iso_time
from palmbot.research.rows import period_text
from palmbot.research.store import SUFFIX as FILE_SUFFIX
from palmbot.settings import Settings
from palmbot.units import DAY_MS, MINUTE_MS

BACK_MS: Final = 731 * DAY_MS  # two years, one of them a leap year
TICKS_BACK_MS: Final = 7 * DAY_MS
FOLDER: Final = "data"  # of series, in the data folder
PERIOD_MAX_MS: Final = 31 * DAY_MS
INTERRUPTED: Final = 130
PRICED: Final = len(fetched.BARS) - 1  # all columns of a bar but its volume
SETTLED_MS: Final = 5 * MINUTE_MS  # what ended so long ago is final

Columns = tuple[Int64Array, ...]
Show = Callable[[str, float], None]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What is to be fetched. ``period_ms``: None is ticks. ``from_ms`` and ``to_ms``: None is as far as is usual.

    ``out`` is the file to write; None: one in ``folder``, where the archives are.
    """

    spec: InstrumentSpec
    period_ms: int | None
    from_ms: int | None
    to_ms: int | None
    folder: Path
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked for and kept: bars of a broker's period, or ticks by the minute (``part``: None).

    Ends of spans lie on multiples of ``step_ms``.
    """

    name: str
    step_ms: int
    window_ms: int
    columns: tuple[str, ...]
    part: Part | None

    async def download(self, reader: Reader, window: Span) -> Columns:
        """Return the rows of a window."""
        if self.part is None:
            return await download_ticks(reader, *window)
        return await download_bars(reader, self.part, *window)


def kind_of(period_ms: int | None, day_start_ms: int) -> Kind:
    """Return what a period is made of.

    Raises:
        UsageError: ``PERIOD_UNFIT``, of nothing that a broker has.
    """
    if period_ms is None:
        return Kind(TICKS, MINUTE_MS, TICKS_WINDOW_MS, fetched.TICKS, None)
    try:
        part = Grid(period_ms, day_start_ms).part()
    except RejectedError as unfit:
        raise UsageError(unfit.code, unfit.todo, **unfit.facts) from unfit
    return Kind(period_text(part.period_ms), part.period_ms, window_ms(part), fetched.BARS, part)


def run_fetch(request: FetchRequest, way: Way, show: Show, tell: Tell, patience: Patience | None = None) -> Output:
    """Fetch what ``request`` says; Ctrl-C and SIGTERM stop it at once.

    Raises:
        PalmbotError: what was fetched until then is kept. ``INTERRUPTED``: by a signal.
    """
    return asyncio.run(_until_stopped(fetch(request, way, show, tell, patience)))


async def _until_stopped(work: Awaitable[Output]) -> Output:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        error = PalmbotError("INTERRUPTED", "What was fetched is kept: run the same command again to go on.")
        error.exit_code = INTERRUPTED
        raise error from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def fetch(request: FetchRequest, way: Way, show: Show, tell: Tell, patience: Patience | None = None) -> Output:
    """Fetch what ``request`` says; see ``run_fetch``."""
    clock = SystemClock()
    kind = kind_of(request.period_ms, request.spec.core.day_start_ms)
    show("logging in", 0.0)
    async with Courier(way, request.spec.symbol, clock, tell, patience) as courier:
        now_ms = await courier.carry(partial(_now_ms, clock, way))
        wanted = wanted_of(request, now_ms)
        label = _label(request, way, courier)
        archive = Archive(request.folder / f"{label.name}-{kind.name}{SUFFIX}", kind.columns, kind.window_ms)
        with archive.locked():
            new_rows = await _Filling(courier, archive, kind, now_ms).fill(wanted, show)
            show("writing", 1.0)
            path = request.out or request.folder / f"{label.name}-{period_name(request.period_ms)}{FILE_SUFFIX}"
            span = _span_of_file(request, archive, wanted)
            if request.period_ms is None:
                written = fetched.write_ticks(path, archive, span, label)
            else:
                written = fetched.write_bars(path, archive, span, label, (kind.step_ms, request.period_ms))
    if written is None:
        todo = "Ask for another time with --from and --to: the broker has nothing of this symbol then."
        facts = {"from": iso_time(wanted.from_ms), "to": iso_time(wanted.to_ms)}
        raise RejectedError("NO_HISTORY", todo, symbol=label.spec.symbol, **facts)
    return Output(path, label.spec, request.period_ms, wanted, written, courier.questions, new_rows)


async def _now_ms(clock: SystemClock, way: Way, reader: Reader) -> int:
    """Return the time of the market: an exchange in another process has its own."""
    return await reader.now_ms() if way.is_simulated else clock.utc_ms()


def wanted_of(request: FetchRequest, now_ms: int) -> Span:
    """Return the whole buckets of a request that are over at ``now_ms``.

    Raises:
        UsageError: ``NOTHING_ASKED``, there are none.
    """
    last_ms = now_ms if request.to_ms is None else min(request.to_ms, now_ms)
    back_ms = TICKS_BACK_MS if request.period_ms is None else BACK_MS
    to_ms = _bucket_start(request, last_ms)
    from_ms = _bucket_up(request, max(last_ms - back_ms, 0) if request.from_ms is None else request.from_ms)
    if from_ms >= to_ms:
        todo = "Make --from earlier: from there until --to, or now, no bar begins and ends."
        now = iso_time(now_ms)
        raise UsageError("NOTHING_ASKED", todo, **{"from": iso_time(from_ms), "to": iso_time(to_ms), "now": now})
    return Span(from_ms, to_ms)


def _bucket_start(request: FetchRequest, ts_ms: int) -> int:
    return bucket_start(ts_ms, request.period_ms or MINUTE_MS, request.spec.core.day_start_ms)


def _bucket_up(request: FetchRequest, ts_ms: int) -> int:
    """Return when the first bucket begins that begins at ``ts_ms`` or later."""
    return _bucket_start(request, ts_ms + (request.period_ms or MINUTE_MS) - 1)


def _label(request: FetchRequest, way: Way, courier: Courier) -> Label:
    """Return whose history it is: of the instrument as the broker states it."""
    spec = instrument_of(courier.statement, request.spec).spec
    name = f"{spec.symbol}-{way.credentials.environment}-{courier.account_id}"
    return Label(re.sub(r"[^A-Za-z0-9._-]", "_", name), spec, way.is_simulated)


def _span_of_file(request: FetchRequest, archive: Archive, wanted: Span) -> Span:
    """Return what the file holds: from where a person said, or all that joins on to what was wanted."""
    joins_on = stretch(archive.covered(), wanted.from_ms) if request.from_ms is None else None
    return wanted if joins_on is None else Span(_bucket_up(request, joins_on.from_ms), wanted.to_ms)


@dataclass(frozen=True, slots=True)
class _Filling:
    """Asks for what an archive lacks."""

    courier: Courier
    archive: Archive
    kind: Kind
    now_ms: int

    async def fill(self, wanted: Span, show: Show) -> int:
        """Fetch what of ``wanted`` is not there; return how many rows are new."""
        step_ms, covered = self.kind.step_ms, self.archive.covered()
        todo = list(windows(holes(covered, wanted), self.kind.window_ms))
        whole_ms, done_ms, new_rows = sum(each.to_ms - each.from_ms for each in todo), 0, 0
        # what ended just now may still be changed, and this machine's clock may be ahead of the broker's
        sure_ms = (self.now_ms - max(step_ms, SETTLED_MS)) // step_ms * step_ms
        for window in todo:
            show(f"{self.kind.name} from {iso_time(window.from_ms)[:10]}", done_ms / whole_ms)
            new_rows += await self._fetch(window, min(window.to_ms, max(window.from_ms, sure_ms)))
            done_ms += window.to_ms - window.from_ms
        return new_rows

    async def _fetch(self, window: Span, sure_ms: int) -> int:
        """Fetch a window and keep it as the whole answer until ``sure_ms``."""
        asked = Span(self._since(window), window.to_ms)
        columns = await self.courier.carry(lambda reader: self.kind.download(reader, asked))
        at = int(np.searchsorted(columns[0], window.from_ms))
        self._compare(Span(asked.from_ms, window.from_ms), [column[:at] for column in columns])
        rows = [column[at:] for column in columns]
        known = self.archive.rows(window)[0]
        self.archive.add(Span(window.from_ms, sure_ms), rows)
        return int(np.count_nonzero(~np.isin(rows[0], known)))

    def _since(self, window: Span) -> int:
        """Return where to begin: with the last bar that is there, to see whether the broker still tells the same."""
        before_ms = window.from_ms - self.kind.step_ms
        is_bars, is_there = self.kind.part is not None, stretch(self.archive.covered(), before_ms) is not None
        return before_ms if is_bars and is_there else window.from_ms

    def _compare(self, span: Span, told: Sequence[Int64Array]) -> None:
        """Refuse prices that differ from those that were told before; brokers count volumes later, too."""
        told, kept = told[:PRICED], self.archive.rows(span)[:PRICED]
        if told[0].size and kept[0].size and not all(map(np.array_equal, told, kept)):
            todo = "This is another history than the one that was fetched: move the folder away and fetch again."
            raise DataError(
                "HISTORY_CHANGED",
                todo,
                folder=self.archive.folder,
                at=iso_time(span.from_ms),
                kept=_shown(kept),
                told=_shown(told),
            )


def _shown(columns: Sequence[Int64Array]) -> str:
    return "/".join(str(column[0]) for column in columns[1:])


def request_of(settings: Settings, period: str, ends: tuple[str | None, str | None], out: Path | None) -> FetchRequest:
    """Return what a person asks for.

    Args:
        settings: give the instrument and the folder.
        period: a duration, or ``ticks``.
        ends: times as the files of bars have them, UTC; the first belongs to what is fetched, the last does not.
        out: the file to write.

    Raises:
        UsageError: ``BAD_PERIOD``, ``PERIOD_UNFIT``, ``BAD_TIME`` or ``NOTHING_ASKED``.
    """
    from_ms, to_ms = (time_ms(option, text) for option, text in zip(("--from", "--to"), ends, strict=True))
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise UsageError("NOTHING_ASKED", "Make --from earlier than --to.", **{"from": ends[0], "to": ends[1]})
    request = FetchRequest(settings.instrument, _period_ms(period), from_ms, to_ms, settings.data_dir / FOLDER, out)
    kind_of(request.period_ms, request.spec.core.day_start_ms)
    return request


def _period_ms(text: str) -> int | None:
    if text == TICKS:
        return None
    try:
        return Duration(MINUTE_MS, PERIOD_MAX_MS).parse(text)
    except BadTextError as bad:
        raise UsageError("BAD_PERIOD", f"{bad.todo} Or write ticks.", period=repr(text)) from None
