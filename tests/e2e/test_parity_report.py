"""``palmbot parity`` as a person runs it, after a paper run of a file."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.planted import data_of, walk
from tests.e2e.test_command_line import palmbot

from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.bootstrap.parity import run_parity
from palmbot.calendar import Session
from palmbot.core.types import Params
from palmbot.instruments import PALM_OIL
from palmbot.research.parity import Parity
from palmbot.research.store import write_series
from palmbot.settings import Settings

RULES = "--profile rsi_trend --set rsi_high=55 --set rsi_low=45 --set allow_short=true --set max_bars=5"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a folder in which a file of bars was traded on paper, in lock-step, and the folder of that run."""
    folder = tmp_path_factory.mktemp("lived")
    data = data_of(walk(900, 1))
    always_open = replace(data.spec, session=Session())
    write_series(folder / "bars.parquet", replace(data, spec=always_open))
    done = palmbot(folder, *f"run --data bars.parquet {RULES} --speed max --no-web --json".split())
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = (folder / "palmbot-data" / "runs").iterdir()
    return folder, str(run)


def report(run: Path | str, from_ms: int = 0, to_ms: int = 1 << 52) -> Parity:
    """Return the comparison, made in this process."""
    settings = Settings(Path(run), "rsi_trend", Params(), PALM_OIL, 10_000_000)
    return run_parity(settings, Path(run), (from_ms, to_ms), lambda *_: None).parity


def test_a_run_in_lock_step_and_its_backtest_do_not_differ(lived: tuple[Path, str]) -> None:
    folder, run = lived
    done = palmbot(folder, "parity", "--run", run, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["trades"] == told["backtest_trades"] == told["equal"] > 30
    assert told["pnl_minor"] == told["backtest_pnl_minor"]
    assert told["differences"] == []
    assert told["synthetic"] is True


def test_only_trades_decided_in_the_span_are_compared(lived: tuple[Path, str]) -> None:
    _, run = lived
    whole = report(run)
    middle_ms = (whole.from_ms + whole.to_ms) // 2
    first, second = report(run, to_ms=middle_ms), report(run, from_ms=middle_ms + 1)
    assert 0 < len(first.lived) < len(whole.lived)
    assert (*first.lived, *second.lived) == whole.lived


async def test_a_bar_that_closed_without_the_bot_is_named(lived: tuple[Path, str], tmp_path: Path) -> None:
    _, run = lived
    again = Journal.open(sqlite_url(tmp_path / "journal.sqlite"), inline=True)
    before = Journal.open(sqlite_url(Path(run) / "journal.sqlite"), inline=True)
    left_out = before.trades()[10]
    kinds = ("run_started", "bar_closed", "order_event", "refusal")
    events = sorted((each for kind in kinds for each in before.events(kind)), key=lambda each: each.ts_ms)
    decided_ms = max(each.ts_ms for each in events if each.kind == "bar_closed" and each.ts_ms <= left_out.entry_ms)
    for each in events:
        is_missed = each.kind == "bar_closed" and each.ts_ms == decided_ms
        position = (each.body.get("position") or {}).get("open_ms")
        if position != left_out.entry_ms:
            again.defer([replace(each, body=each.body | {"live": False}) if is_missed else each])
    await again.flush()
    await again.close()
    await before.close()
    told = await asyncio.to_thread(report, tmp_path)
    assert [each.kind for each in told.differences] == ["missed bar"]
    assert told.missed_bars == 1


def test_without_a_journal_it_says_what_to_do(tmp_path: Path) -> None:
    done = palmbot(tmp_path, "parity")
    assert done.returncode == 2
    assert "NO_JOURNAL" in done.stderr


@pytest.mark.parametrize("words", [("--from", "yesterday"), ("--from", "2026-01-02", "--to", "2026-01-01")])
def test_a_span_that_is_none_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert palmbot(tmp_path, "parity", *words).returncode == 2
