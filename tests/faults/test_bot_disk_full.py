"""The disk fills while `palmbot run` writes: it halts and says so, loses nothing, and goes on when there is space."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.paper_bot import (
    CALM,
    EXITS,
    LIVELY,
    TREND,
    Ended,
    Exchange,
    Journal,
    PaperBot,
    assert_agree,
    assert_no_bar_is_lost,
    sets,
)

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WORDS = (*TREND, *sets(*LIVELY, *EXITS, *CALM), "--speed", "max")
QUOTA = ("sh", "-c", 'ulimit -f 6000 && exec "$0" "$@"')  # no file above 3 MB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The bot's data folder, on a disk of its own that fills within a few hundred bars."""
    disk = tmp_path / "palmbot-data"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def grow(disk: Path) -> None:
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=64m", str(disk)], check=True)


def filled(folder: Path, prefix: Sequence[str] = ()) -> tuple[Ended, int]:
    """Run a bot until its disk is full; return how it ended, and how many events were seen in the journal before."""
    seen = 0
    with PaperBot(folder, *WORDS, prefix=prefix) as bot:
        journal = Journal(bot.data)
        while bot.process.poll() is None:
            seen = max(seen, journal.count("events"))
        return bot.ended(), seen


def assert_halted(ended: Ended, *codes: str) -> None:
    """Assert one clear error: a code, its facts, and one line that says what to do."""
    assert ended.code == 1
    assert "Traceback" not in ended.err + ended.out
    first, todo = ended.err.splitlines()
    assert first.split(":")[0] in codes, first
    assert "reason=SQLITE_" in first
    assert "disk" in todo


def assert_nothing_is_lost(folder: Path, seen: int) -> None:
    """Assert that what was durable is there, and that no order went out that the journal does not know."""
    data = folder / "palmbot-data"
    journal, exchange = Journal(data), Exchange(data, folder / "aside")
    assert verify(sqlite_url(journal.path)) == ()
    assert journal.count("events") >= seen > 100
    known = {label for _, label in journal.entries()}
    sent = {row[0] for row in exchange.rows("SELECT client_order_id FROM orders WHERE kind = 1 AND closing = 0")}
    assert sent <= known
    assert len(exchange.open_positions()) <= 1


def assert_goes_on(folder: Path) -> None:
    """Assert that the next start takes over what there is, and trades on."""
    journal = Journal(folder / "palmbot-data")
    position, trades = journal.open_positions(), len(journal.trades())
    with PaperBot(folder, *WORDS) as bot:
        bot.until(lambda: len(journal.trades()) > trades + 2)
        ended = bot.stop()
    assert (ended.code, ended.err) == (0, "")
    assert set(position) <= set(journal.trades())
    assert_agree(folder)
    assert_no_bar_is_lost(folder)


@pytest.mark.parametrize("books", ["on the same disk", "on another disk"])
def test_a_full_disk_halts_the_bot_and_costs_nothing(small_disk: Path, books: str) -> None:
    folder = small_disk.parent
    codes = ["JOURNAL_UNWRITABLE"]
    if books == "on another disk":
        (folder / "roomy").mkdir()
        (small_disk / "exchange.sqlite").symlink_to(folder / "roomy" / "exchange.sqlite")
    else:
        codes.append("BOOKS_UNWRITABLE")
    ended, seen = filled(folder)
    assert_halted(ended, *codes)
    asyncio.run(grow(small_disk))
    assert_nothing_is_lost(folder, seen)
    assert_goes_on(folder)


def test_a_quota_halts_the_bot_and_costs_nothing(tmp_path: Path) -> None:
    ended, seen = filled(tmp_path, QUOTA)
    assert_halted(ended, "JOURNAL_UNWRITABLE", "BOOKS_UNWRITABLE")
    assert_nothing_is_lost(tmp_path, seen)
    assert_goes_on(tmp_path)
