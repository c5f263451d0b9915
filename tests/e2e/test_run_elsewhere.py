"""``palmbot run --exchange F``: the bot and the exchange each in a process of its own, and what neither loses."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest
from tests.exchange_process import Running, exchange
from tests.paper_bot import EXITS, LIVELY, TREND, Exchange, Journal, PaperBot, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SPEED = ("--speed", "7200")
RULES = (*TREND, *sets(*LIVELY, *EXITS))


def kept(running: Running, folder: Path) -> str:
    """Write the ready line where ``--exchange`` finds it."""
    (folder / "ready.json").write_text(json.dumps(running.ready))
    return "ready.json"


def free_port() -> int:
    """Return a port that is free, with the next one, at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def journal_of(folder: Path, running: Running) -> Journal:
    return Journal(folder / "palmbot-data" / f"account-{running.ready['account_id']}")


def assert_agree(folder: Path, journal: Journal, state: Path) -> None:
    """Assert that the bot's journal and the exchange's books, both at rest, tell one story."""
    (folder / "books").mkdir()
    for path in state.parent.glob(f"{state.name}*"):
        (folder / "books" / path.name.replace(state.name, "exchange.sqlite", 1)).write_bytes(path.read_bytes())
    books = Exchange(folder / "books", folder / "aside")
    assert journal.trades() == books.closed()
    assert journal.open_positions() == books.open_positions()
    assert journal.events("run_stopped")[-1]["balance_minor"] == books.balance()
    entries = [bar for bar, _ in journal.entries()]
    assert len(set(entries)) == len(entries), "a bar was entered twice"


def test_a_bot_trades_on_an_exchange_of_another_process_and_goes_on_at_its_next_start(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    with exchange(tmp_path, *SPEED, "--state", str(state)) as running:
        journal, words = journal_of(tmp_path, running), ("--exchange", kept(running, tmp_path), *RULES)
        with PaperBot(tmp_path, *words) as bot:
            bot.until(lambda: len(journal.trades()) >= 2)
            first = bot.stop()
        assert (first.code, first.err) == (0, "")
        assert "SYNTHETIC" in first.out
        before = len(journal.trades())
        with PaperBot(tmp_path, *words) as bot:
            bot.until(lambda: len(journal.trades()) >= before + 2)
            second = bot.stop()
        assert (second.code, second.err) == (0, "")
        assert running.end()[0] == 0
    # between the two runs the broker went on alone; what it closed then, the second start counted
    assert_agree(tmp_path, journal, state)


def test_a_bot_outlives_an_exchange_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    state, port = tmp_path / "state.sqlite", free_port()
    with exchange(tmp_path, *SPEED, "--state", str(state), port=port) as running:
        journal = journal_of(tmp_path, running)
        with PaperBot(tmp_path, "--exchange", kept(running, tmp_path), *RULES) as bot:
            # in a position: of an entry under way then nobody would ever know, and the bot would rightly stand still
            bot.until(lambda: len(journal.trades()) >= 1 and journal.open_positions())
            running.end(signal.SIGKILL)
            with exchange(tmp_path, *SPEED, "--state", str(state), port=port) as again:
                before = len(journal.trades())
                bot.until(lambda: len(journal.trades()) >= before + 2)
                ended = bot.stop()
                assert (ended.code, ended.err) == (0, "")
                assert again.end()[0] == 0
    assert_agree(tmp_path, journal, state)


def test_a_file_that_is_no_ready_line_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{}")
    with PaperBot(tmp_path, "--exchange", "ready.json") as bot:
        ended = bot.ended()
    assert ended.code == 2
    assert ended.err.startswith("NOT_A_READY_LINE: ")


def test_an_exchange_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    with exchange(tmp_path, "--state", str(tmp_path / "state.sqlite")) as running:
        name = kept(running, tmp_path)
        running.end()
    with PaperBot(tmp_path, "--exchange", name) as bot:
        ended = bot.ended()
    assert ended.code == 1
    assert "Traceback" not in ended.err
