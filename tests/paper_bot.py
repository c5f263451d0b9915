"""A paper bot in its own process, and what its journal and its exchange's books say when it is gone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.broker_bars import joined

from palmbot.core.bars import Forming
from palmbot.exchange.market_arrays import synthetic_bars, synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.units import HOUR_MS, PX

PALMBOT = Path(sys.executable).with_name("palmbot")
COMPILING = "Compiling the decision core"
POLL_S = 0.02
POLLS = 9_000  # three minutes: the first start may have to compile the core on a busy machine

# Signals so often that a few dozen bars hold several trades, which end in every way.
LIVELY = ("rsi_period=4", "rsi_low=45", "rsi_high=55", "warmup_bars=20", "allow_short=true", "max_bars=12")
EXITS = ("sl_atr=1.5", "tp_atr=3", "trail_atr=1.2")
CALM = ("losses_max=0", "daily_loss=0%", "drawdown=0%", "spike=0%", "open_gap_max=0%")
TREND = ("--profile", "rsi_trend")


def sets(*texts: str) -> list[str]:
    """Return ``--set`` options."""
    return [word for text in texts for word in ("--set", text)]


class Ended(NamedTuple):
    """How a bot's process ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """What it printed with ``--json``."""
        answer: dict[str, Any] = json.loads(self.out)
        return answer


class PaperBot:
    """``palmbot run`` in a folder of its own; killed when the test leaves it running."""

    def __init__(self, folder: Path, *words: str, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.data = folder / "palmbot-data"
        clean = {name: text for name, text in os.environ.items() if not name.startswith("PALMBOT_")}
        self._out, self._err = (folder / "out.txt").open("w+"), (folder / "err.txt").open("w+")
        command = [*prefix, str(PALMBOT), "run", "--no-web", *words]
        self.process = subprocess.Popen(command, cwd=folder, env=clean, stdout=self._out, stderr=self._err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._out.close()
        self._err.close()

    def until(self, happened: Callable[[], object]) -> None:
        """Wait until ``happened`` says so; fail when the bot ends before, or in three minutes."""
        pause = threading.Event()
        for _ in range(POLLS):
            if happened():
                return
            assert self.process.poll() is None, f"it ended by itself: {self.ended()}"
            pause.wait(POLL_S)
        raise AssertionError(f"it did not happen in time: {self.ended()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> Ended:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> Ended:
        """Wait for the end and return it."""
        self.process.wait(POLLS * POLL_S)
        texts: list[str] = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
        out, err = texts
        told = [line for line in err.splitlines() if not line.startswith(COMPILING)]  # the first run on a machine does
        return Ended(self.process.returncode, out, "\n".join(told))


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    """Return what ``query`` gives; nothing while there is no such database or table."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


class Exchange:
    """The books of the exchange as they lie on the disk, read from a copy: the running exchange keeps them locked."""

    def __init__(self, folder: Path, aside: Path) -> None:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for path in (folder / "exchange.sqlite").resolve().parent.glob("exchange.sqlite*"):
            shutil.copy(path, aside)
        self._path = aside / "exchange.sqlite"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(query).fetchall()

    def open_positions(self) -> list[int]:
        return [row[0] for row in self.rows("SELECT position_id FROM positions ORDER BY position_id")]

    def closed(self) -> dict[int, int]:
        """Return the net result of every position that is no longer open."""
        money = "SUM(COALESCE(close_gross_minor + close_swap_minor + close_commission_minor + close_fee_minor, 0))"
        gone = "position_id NOT IN (SELECT position_id FROM positions)"
        return dict(self.rows(f"SELECT position_id, {money} FROM deals WHERE {gone} GROUP BY position_id"))  # noqa: S608 - the test's own words

    def balance(self) -> int:
        return int(self.rows("SELECT balance_minor FROM accounts")[0][0])


class Journal:
    """A bot's journal, also while the bot writes it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.path, query)

    def count(self, table: str, where: str = "1") -> int:
        return sum(row[0] for row in self.rows(f"SELECT COUNT(*) FROM {table} WHERE {where}"))  # noqa: S608 - as above

    def open_positions(self) -> list[int]:
        return [row[0] for row in self.rows("SELECT position_id FROM positions WHERE volume_cu > 0")]

    def trades(self) -> dict[int, int]:
        return dict(self.rows("SELECT position_id, pnl_minor FROM trades"))

    def entries(self) -> list[tuple[int, str]]:
        """Return bar and id of every entry that was intended, in order."""
        found = self.rows("SELECT bar_end_ms, client_order_id FROM orders WHERE kind = 'enter' ORDER BY seq")
        return [(row[0], row[1]) for row in found]

    def bars(self) -> list[tuple[int, ...]]:
        """Return end, open, high, low and close of every bar, in the order in which they were closed."""
        found = self.rows("SELECT body FROM events WHERE kind = 'bar_closed' ORDER BY seq")
        names = ("end_ms", "open_px", "high_px", "low_px", "close_px")
        return [tuple(json.loads(body)[name] for name in names) for (body,) in found]

    def events(self, kind: str) -> list[dict[str, Any]]:
        found = self.rows("SELECT kind, body FROM events ORDER BY seq")
        return [json.loads(body) for each, body in found if each == kind]


def assert_agree(folder: Path) -> None:
    """Assert that the journal and the exchange's books tell one story of a bot that has stopped in order."""
    data = folder / "palmbot-data"
    journal, exchange = Journal(data), Exchange(data, folder / "aside")
    assert journal.trades() == exchange.closed()  # one row for each position that closed, to the cent
    assert journal.open_positions() == exchange.open_positions()
    assert len(exchange.open_positions()) <= 1
    entries = [bar for bar, _ in journal.entries()]
    assert len(set(entries)) == len(entries), "a bar was entered twice"
    labels = {label for _, label in journal.entries()}
    taken = {row[0] for row in exchange.rows("SELECT client_order_id FROM orders WHERE kind = 1 AND closing = 0")}
    assert taken <= labels, "an order was sent that the journal does not know"
    assert journal.events("run_stopped")[-1]["balance_minor"] == exchange.balance()


def assert_no_bar_is_lost(folder: Path) -> None:
    """Assert that the journal has every bar of the exchange's price history once, in order, with its prices."""
    data = folder / "palmbot-data"
    bars = Journal(data).bars()
    ends = [bar[0] for bar in bars]
    assert ends == sorted(set(ends))
    found = Exchange(data, folder / "aside").rows(
        "SELECT ts_ms, 0, open_px, high_px, low_px, close_px FROM candles WHERE symbol_id = 1"
    )
    pieces = [Forming(*row) for row in sorted(found)]
    spec = PALM_OIL
    sent = joined(pieces, HOUR_MS, spec.core.day_start_ms, pieces[-1].ts_ms)
    closed = {bar.ts_ms // HOUR_MS * HOUR_MS + HOUR_MS: bar for bar in sent[:-1]}
    ours = {bar[0]: bar[1:] for bar in bars if bar[0] >= min(closed)}
    missing = sorted(set(closed) - set(ours))
    assert missing == [], f"{len(missing)} of {len(closed)} bars are not in the journal"
    different = [
        (end_ms, ours[end_ms], (bar.open_px, bar.high_px, bar.low_px, bar.close_px))
        for end_ms, bar in closed.items()
        if ours[end_ms] != (bar.open_px, bar.high_px, bar.low_px, bar.close_px)
    ]
    assert different == []


def market_file(folder: Path, bars: int, seed: int = 3) -> list[str]:
    """Write a SYNTHETIC market and its sentiment; return the options that trade them."""
    made = synthetic_bars(PALM_OIL, seed, bars, HOUR_MS)
    known = synthetic_sentiment(made, seed)
    with (folder / "bars.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "open", "high", "low", "close"])
        columns = (made.open_px, made.high_px, made.low_px, made.close_px)
        for index, ts_ms in enumerate(made.ts_ms.tolist()):
            writer.writerow([ts_ms // 1_000, *(int(column[index]) / PX for column in columns)])
    with (folder / "sentiment.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["known_at", "score"])
        writer.writerows(zip((known.known_ms // 1_000).tolist(), known.score.tolist(), strict=True))
    return ["--data", "bars.csv", "--sentiment", "sentiment.csv", "--set", "data.period=1h"]
