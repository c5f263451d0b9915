"""`palmbot run` on paper, as a person runs it: its own process, its own folder, signals, exit codes, both streams."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.paper_bot import CALM, EXITS, LIVELY, TREND, Ended, Exchange, Journal, PaperBot, market_file, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BARS = 160
BALANCE = 10_000_000
TRADE = {"entry_ms", "exit_ms", "side", "volume_cu", "entry_price", "exit_price", "exit_reason", "pnl_minor"}
SUMMARY = {
    "trades", "win_rate", "profit_factor", "profit_factor_band", "max_drawdown_pct", "balance_minor", "equity_minor",
    "money_digits",
}  # fmt: skip
RULES = (*TREND, *sets(*LIVELY, *EXITS, *CALM))


def file_run(folder: Path, *words: str) -> PaperBot:
    """Start a run over the SYNTHETIC file in ``folder``, in lock-step."""
    options = ["--data", "bars.csv", "--sentiment", "sentiment.csv", "--set", "data.period=1h"]
    return PaperBot(folder, *options, *RULES, "--speed", "max", *words)


def run_folder(folder: Path) -> Path:
    (found,) = (folder / "palmbot-data" / "runs").iterdir()
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A file traded from its first bar to its last in one go: the answer, and the folder."""
    folder = tmp_path_factory.mktemp("unbroken")
    market_file(folder, BARS)
    with file_run(folder, "--json") as bot:
        ended = bot.ended()
    assert (ended.code, ended.err) == (0, "")
    return ended.answer, folder


def test_the_answer_has_the_shape_that_is_promised(unbroken: tuple[dict[str, Any], Path]) -> None:
    answer, _ = unbroken
    assert set(answer) >= {"trades", "summary"}
    assert len(answer["trades"]) == answer["summary"]["trades"] >= 15
    for trade in answer["trades"]:
        assert set(trade) >= TRADE
        assert trade["side"] in {"long", "short"}
        assert trade["exit_reason"].isupper()
        assert all(type(trade[name]) is int for name in TRADE if name.endswith(("_ms", "_cu", "_minor")))
        assert all(type(trade[name]) is float for name in TRADE if name.endswith("_price"))
    summary = answer["summary"]
    assert set(summary) >= SUMMARY
    low, high = summary["profit_factor_band"]
    assert low <= summary["profit_factor"] <= high
    assert 0 <= summary["win_rate"] <= 1
    assert summary["max_drawdown_pct"] >= 0
    assert summary["money_digits"] == 2


def test_at_the_end_of_the_file_an_open_position_is_in_the_equity_alone(unbroken: tuple[dict[str, Any], Path]) -> None:
    answer, folder = unbroken
    place = run_folder(folder)
    journal, exchange = Journal(place), Exchange(place, folder / "aside")
    assert len(exchange.open_positions()) == 1
    assert journal.events("run_stopped")[-1]["reason"] == "end of data"
    summary, trades = answer["summary"], answer["trades"]
    assert len(trades) == len(exchange.closed())
    assert summary["balance_minor"] == BALANCE + sum(trade["pnl_minor"] for trade in trades) == exchange.balance()
    assert summary["equity_minor"] != summary["balance_minor"]


@pytest.mark.parametrize(("share", "number"), [(0.3, signal.SIGINT), (0.7, signal.SIGTERM)])
def test_a_run_that_is_stopped_and_resumed_trades_what_an_unbroken_one_does(
    share: float, number: signal.Signals, unbroken: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    whole, _ = unbroken
    market_file(tmp_path, BARS)
    with file_run(tmp_path, "--json") as bot:
        bot.until((tmp_path / "palmbot-data").exists)
        bot.until(lambda: list((tmp_path / "palmbot-data" / "runs").iterdir()))
        journal = Journal(run_folder(tmp_path))
        bot.until(lambda: journal.count("trades") >= share * len(whole["trades"]))
        first = bot.stop(number)
    assert (first.code, first.err) == (0, "")
    assert journal.events("run_stopped")[-1]["reason"] == number.name
    assert 0 < len(first.answer["trades"]) < len(whole["trades"])
    with PaperBot(tmp_path, "--resume", str(run_folder(tmp_path)), *RULES, "--speed", "max", "--json") as bot:
        second = bot.ended()
    assert (second.code, second.err) == (0, "")
    assert first.answer["trades"] + second.answer["trades"] == whole["trades"]
    for name in ("balance_minor", "equity_minor"):
        assert second.answer["summary"][name] == whole["summary"][name]
    assert [bar[0] for bar in journal.bars()] == [bar[0] for bar in Journal(run_folder(unbroken[1])).bars()]


def test_a_run_that_was_killed_is_resumed_without_losing_a_trade_or_a_bar(
    unbroken: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    whole, _ = unbroken
    market_file(tmp_path, BARS)
    with file_run(tmp_path) as bot:
        bot.until((tmp_path / "palmbot-data" / "runs").exists)
        bot.until(lambda: list((tmp_path / "palmbot-data" / "runs").iterdir()))
        journal = Journal(run_folder(tmp_path))
        bot.until(lambda: journal.count("trades") >= 5)
        bot.kill()
    with PaperBot(tmp_path, "--resume", str(run_folder(tmp_path)), *RULES, "--speed", "max", "--json") as bot:
        ended = bot.ended()
    assert (ended.code, ended.err) == (0, "")
    place = run_folder(tmp_path)
    assert journal.trades() == Exchange(place, tmp_path / "aside").closed()
    assert journal.bars() == Journal(run_folder(unbroken[1])).bars()
    assert abs(len(journal.trades()) - len(whole["trades"])) <= 1  # an entry that may have been sent is not sent again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_bot_in_order_with_a_summary(number: signal.Signals, tmp_path: Path) -> None:
    with PaperBot(tmp_path, "--speed", "60000") as bot:
        journal = Journal(bot.data)
        bot.until(lambda: journal.count("orders") > 0)
        ended = bot.stop(number)
    assert (ended.code, ended.err) == (0, "")
    assert "SYNTHETIC" in ended.out
    assert "Traceback" not in ended.out
    stopped = journal.events("run_stopped")
    assert [event["reason"] for event in stopped] == [number.name]


def test_a_run_for_a_while_ends_by_itself(tmp_path: Path) -> None:
    with PaperBot(tmp_path, "--for", "2s", "--json") as bot:
        ended = bot.ended()
    assert (ended.code, ended.err) == (0, "")
    assert set(ended.answer["summary"]) >= SUMMARY
    assert Journal(bot.data).events("run_stopped")[-1]["reason"] == "the time is over"


def test_a_second_bot_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with PaperBot(tmp_path, "--speed", "3600") as bot:
        journal = Journal(bot.data)
        bot.until(lambda: journal.count("runs") == 1)
        with PaperBot(other, "--set", f"data_dir={bot.data}", "--json") as second:
            refused = second.ended()
        assert refused.code == 3
        error = json.loads(refused.out)["error"]
        assert (error["code"], error["facts"]["pid"]) == ("JOURNAL_IN_USE", bot.process.pid)
        assert refused.err.startswith("JOURNAL_IN_USE: ")
        assert len(refused.err.splitlines()) == 2
        assert bot.stop().code == 0
    assert len(journal.events("run_started")) == 1


def refused_resume(folder: Path, place: Path) -> Ended:
    with PaperBot(folder, "--resume", str(place), *RULES, "--speed", "max") as bot:
        return bot.ended()


def test_what_is_no_run_is_not_resumed(tmp_path: Path) -> None:
    ended = refused_resume(tmp_path, tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("NOT_A_RUN: ")


def test_a_run_is_not_resumed_on_other_data(unbroken: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    _, folder = unbroken
    copy = tmp_path / "run"
    shutil.copytree(run_folder(folder), copy)
    market_file(tmp_path, BARS, seed=4)
    run_file = copy / "run.json"
    run_file.write_text(run_file.read_text().replace(str(folder), str(tmp_path)))
    ended = refused_resume(tmp_path, copy)
    assert ended.code == 3
    assert ended.err.startswith("SETTINGS_CHANGED: changed=data_fingerprint\n")
    assert len(ended.err.splitlines()) == 2  # and nothing about what was never begun
