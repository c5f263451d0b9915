"""``palmbot run --dry-run`` in a process of its own, at an exchange in another that plays cTrader's demo servers."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.login_story import free_port
from tests.exchange_process import Running, exchange
from tests.paper_bot import EXITS, LIVELY, TREND, Exchange, Journal, PaperBot, sets
from tests.token_house import Visitor

from palmbot import CORE_HASH
from palmbot.adapters.oauth_redirect import FILE_NAME, Redirect
from palmbot.adapters.private_file import write_private
from palmbot.bootstrap.access import access_of
from palmbot.cli.main import execute
from palmbot.config import Sources, load_settings
from palmbot.config.credentials import load_token_settings
from palmbot.config.terms import costs_of
from palmbot.exchange.ca import server_context
from palmbot.model import Scope
from palmbot.research.charges import charged
from palmbot.settings import Environment
from palmbot.units import PX, RATE_ONE_E8

SPEED = ("--speed", "14400")
DEMO = ("--env", "demo", "--dry-run", *TREND, *sets(*LIVELY, *EXITS))


@contextmanager
def silent_server(folder: Path) -> Iterator[tuple[socket.socket, dict[str, Any]]]:
    """Give a server that takes calls and says nothing, and the ready line that leads there."""
    server_context(folder / "ca.pem", folder / "server.pem", 1_700_000_000_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        yield (
            server,
            {
                "host": "127.0.0.1",
                "port": port,
                "token_url": f"http://127.0.0.1:{port}/apps/token",
                "client_id": "app",
                "client_secret": "none",
                "access_token": "none",
                "refresh_token": "none",
                "account_id": 1,
                "symbol_id": 1,
                "ca_file": str(folder / "ca.pem"),
            },
        )


def written_env(folder: Path, ready: dict[str, Any], environment: str = "DEMO") -> Sources:
    """Write the ``.env`` by which an exchange stands in for cTrader's servers."""
    (folder / "ready.json").write_text(json.dumps(ready))
    given = {
        f"CTRADER_CLIENT_ID_{environment}": ready["client_id"],
        f"CTRADER_CLIENT_SECRET_{environment}": ready["client_secret"],
        f"CTRADER_EXCHANGE_{environment}": str(folder / "ready.json"),
        "PALMBOT_TOKEN_KEY": "a-key-of-many-letters",
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    return Sources(folder, given)


def logged_in(folder: Path, running: Running) -> None:
    """Log in as a person does: consent page, code, token endpoint, accounts; the account is not configured."""
    sources = written_env(folder, running.ready)
    redirect = Redirect(f"http://127.0.0.1:{free_port()}/palmbot/{'p' * 24}")
    write_private(folder / "palmbot-data" / "tokens" / FILE_NAME, redirect.uri.encode())
    named = Sources(folder, {**sources.environ, "CTRADER_ACCOUNT_ID_DEMO": str(running.ready["account_id"])})
    access = access_of(named, Environment.DEMO, load_token_settings(named, folder / "palmbot-data"))
    tokens = asyncio.run(access.login.run(Visitor(), Scope.ACCOUNTS))  # they cannot trade, and need not
    assert tokens.account_id == running.ready["account_id"]


def assert_untouched(state: Path) -> None:
    """Assert that the broker, at rest, never had an order, a deal or a change of balance."""
    with closing(sqlite3.connect(state)) as books:
        for table in ("orders", "deals", "positions", "cash"):
            assert books.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,), table  # noqa: S608 - the test's own words
        assert books.execute("SELECT balance_minor FROM accounts").fetchone() == (10_000_000,)


def assert_agree(folder: Path, journal: Journal) -> None:
    """Assert that the journal and the books of the exchange in memory tell one story."""
    books = Exchange(folder / "palmbot-data" / "demo-dry", folder / "aside")
    assert journal.trades() == books.closed()
    assert journal.open_positions() == books.open_positions()
    assert journal.events("run_stopped")[-1]["balance_minor"] == books.balance()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_dry_run_trades_at_the_brokers_quotes_goes_on_at_its_next_start_and_outlives_the_broker(
    tmp_path: Path,
) -> None:
    state, port = tmp_path / "state.sqlite", free_port()
    journal = Journal(tmp_path / "palmbot-data" / "demo-dry")
    with exchange(tmp_path, *SPEED, "--state", str(state), port=port) as running:
        logged_in(tmp_path, running)
        with PaperBot(tmp_path, *DEMO) as bot:
            bot.until(lambda: len(journal.trades()) >= 2)
            first = bot.stop()
        assert first.code == 0, first.err
        assert first.err.startswith("DEMO DRY RUN of account 1000001 at 127.0.0.1:")
        lines = [line for line in first.out.splitlines() if " trade " in line]
        assert lines
        assert all("SYNTHETIC DEMO DRY RUN trade" in line for line in lines)
        assert "DEMO DRY RUN: no order left this machine" in first.out
        assert_agree(tmp_path, journal)
        before = len(journal.trades())
        with PaperBot(tmp_path, *DEMO, "--json") as bot:
            bot.until(lambda: len(journal.trades()) >= before + 1)
            running.end(signal.SIGKILL)
            with exchange(tmp_path, *SPEED, "--state", str(state), port=port) as again:
                later = len(journal.trades())
                bot.until(lambda: len(journal.trades()) >= later + 1)
                second = bot.stop(signal.SIGINT)
                assert again.end()[0] == 0
        assert second.code == 0, second.err
        assert (second.answer["summary"]["mode"], second.answer["summary"]["dry_run"]) == ("demo", True)
    assert_agree(tmp_path, journal)
    assert_untouched(state)
    assert not (tmp_path / "palmbot-data" / "journal.sqlite").exists()


def test_a_verdict_at_lower_charges_than_the_brokers_is_doubted_once_the_broker_has_said_them(tmp_path: Path) -> None:
    free = ("--set", "instrument.commission=0")
    spec = load_settings(Sources(environ={}, sets=free[1:])).instrument
    costs = asdict(charged(spec.core, 4_000 * PX, RATE_ONE_E8, costs_of(spec)))
    found = {
        "params": {},
        "verdict": "ROBUST",
        "core": CORE_HASH,
        "data": {"sentiment": "none", "rolls": "none"},
        "costs": costs.pop("written") | costs,
    }
    (tmp_path / "found.json").write_text(json.dumps(found))
    with exchange(tmp_path, *SPEED) as running:
        logged_in(tmp_path, running)
        with PaperBot(tmp_path, *DEMO[:3], "--params", "found.json", *free, "--for", "1s") as bot:
            ended = bot.ended()
    assert ended.code == 0, ended.err
    before, told, after = ended.err.partition("commission: configured 0, the broker's 1")
    said = "found.json: The verdict ROBUST was at 3 points for a round trip, and at 4000 it costs 5 now."
    assert (bool(told), said in before, said in after) == (True, False, True)


@pytest.mark.parametrize("environment", ["demo", "live"])
def test_without_dry_run_a_broker_is_refused_and_nobody_is_called(tmp_path: Path, environment: str) -> None:
    with silent_server(tmp_path) as (server, ready):
        written_env(tmp_path, ready, environment.upper())
        with PaperBot(tmp_path, "--env", environment) as bot:
            ended = bot.ended()
        server.setblocking(False)  # noqa: FBT003 - the library's signature
        with pytest.raises(BlockingIOError):
            server.accept()
    assert ended.code == 3
    assert ended.err.startswith(f"ORDERS_NOT_ALLOWED: env={environment}\nSay --dry-run")
    assert not (tmp_path / "palmbot-data").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_while_the_broker_does_not_answer(tmp_path: Path, number: int) -> None:
    with silent_server(tmp_path) as (server, ready):
        (tmp_path / "ready.json").write_text(json.dumps(ready))
        with PaperBot(tmp_path, "--exchange", "ready.json", "--dry-run") as bot:
            server.settimeout(60)
            caller, _ = server.accept()  # which is never answered
            ended = bot.stop(number)
            caller.close()
    assert ended.code == 130, ended
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--dry-run",), "NOTHING_TO_DRY_RUN"),
        (("--env", "demo", "--dry-run", "--data", "bars.csv"), "CONFLICTING_SETTINGS"),
        (("--env", "demo", "--dry-run", "--speed", "max"), "CONFLICTING_SETTINGS"),
        (("--env", "demo", "--dry-run", "--resume", "runs/x"), "CONFLICTING_SETTINGS"),
        (("--env", "live", "--dry-run", "--exchange", "ready.json"), "CONFLICTING_SETTINGS"),
        (("--env", "live", "--dry-run"), "CREDENTIALS_MISSING"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    tmp_path: Path,
    words: tuple[str, ...],
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bars.csv", "ready.json"):
        (tmp_path / name).touch()
    (tmp_path / "runs" / "x").mkdir(parents=True)
    assert execute(["run", *words]) == 2
    assert capsys.readouterr().err.partition(":")[0] == code
    assert not (tmp_path / "palmbot-data").exists()
