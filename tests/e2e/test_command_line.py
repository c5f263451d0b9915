"""The installed command, as a person runs it: its own process, its own folder, exit codes and both streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

PALMBOT = Path(sys.executable).with_name("palmbot")
# What would make `palmbot --help` slow; typer itself brings pydantic in to parse the options of a command.
HEAVY = {"numpy", "numba", "polars", "sqlalchemy", "alembic", "rich", "structlog", "asyncio", "palmbot.config"}


def palmbot(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``palmbot words`` in ``folder`` without any setting of the surroundings."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PALMBOT_")}
    return subprocess.run(
        [PALMBOT, *words], cwd=folder, env=clean | environ, capture_output=True, text=True, check=False, timeout=60
    )


def write_bars(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("time,open,high,low,close,volume\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    return path


def hourly_rows() -> list[str]:
    """Return synthetic bars of two mornings of a Bursa week."""
    start = datetime(2026, 1, 5, 3, tzinfo=UTC)
    times = [start + timedelta(days=day, hours=hour) for day in range(4) for hour in (0, 1, 4, 5, 6)]
    return [f"{time:%Y-%m-%dT%H:%M:%SZ},4000,4010,3990,{4000 + place % 7},10" for place, time in enumerate(times)]


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        ("", HEAVY),
        ("--help", HEAVY | {"pydantic"}),
        ("--version", HEAVY | {"pydantic"}),
        ("run --help", HEAVY),
        ("data --help", HEAVY),
    ],
)
def test_help_imports_nothing_heavy(tmp_path: Path, words: str, heavy: set[str]) -> None:
    code = (
        "import sys; from palmbot.cli.main import execute; code = execute(sys.argv[1:]); "
        f"print(*(name for name in {sorted(heavy)!r} if name in sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("words", ["auth status", "auth logout"])
def test_who_only_looks_at_tokens_imports_no_core_and_no_client(tmp_path: Path, words: str) -> None:
    heavy = {"numba", "polars", "scipy", "httpx", "google.protobuf", "palmbot.adapters.ctrader_link", "sqlalchemy"}
    code = (
        "import sys; from palmbot.cli.main import execute; execute(sys.argv[1:]); "
        f"print(*(name for name in {sorted(heavy)!r} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "demo" in done.stdout


def test_the_version_is_said(tmp_path: Path) -> None:
    done = palmbot(tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("palmbot ")


def test_a_configuration_begins_with_init_and_is_shown(tmp_path: Path) -> None:
    done = palmbot(tmp_path, "config", "init")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "palmbot.toml").read_text().startswith("# Settings of palm-oil-bot.")
    again = palmbot(tmp_path, "config", "init")
    assert again.returncode == 3
    assert again.stderr.startswith("FILE_EXISTS: file=palmbot.toml\n")
    shown = palmbot(tmp_path, "config", "show", "--json", "--set", "rsi_low=25", PALMBOT_BALANCE="5000")
    assert shown.returncode == 0
    rows = json.loads(shown.stdout)["settings"]
    assert rows["profile.rsi_low"] == {"value": "25", "from": "--set rsi_low"}
    assert rows["bot.balance"] == {"value": "5000", "from": "environment PALMBOT_BALANCE"}
    assert rows["profile.rsi_high"] == {"value": "70", "from": "built in"}


def test_the_schema_is_json(tmp_path: Path) -> None:
    assert json.loads(palmbot(tmp_path, "config", "schema").stdout)["title"] == "palmbot.toml"


def test_bad_input_is_one_clear_error_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "palmbot.toml").write_text("[bot]\nprofil = 'x'\n")
    done = palmbot(tmp_path, "backtest")
    expected = "UNKNOWN_SETTING: setting=profil source=palmbot.toml:2\nDid you mean profile?\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
    done = palmbot(tmp_path, "backtest", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"], error["facts"]["setting"]) == (2, "UNKNOWN_SETTING", "profil")


def test_real_trading_is_refused_with_exit_code_3(tmp_path: Path) -> None:
    done = palmbot(tmp_path, "run", "--env", "live")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[0] == "ORDERS_NOT_ALLOWED: env=live"


def test_bars_are_imported_checked_and_listed(tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "bars.csv", hourly_rows())
    checked = palmbot(tmp_path, "data", "check", bars.name, "--json")
    report = json.loads(checked.stdout)
    assert (checked.returncode, report["ok"], report["rows"]) == (0, True, 20)
    assert "can be used" in palmbot(tmp_path, "data", "check", bars.name).stdout
    imported = palmbot(tmp_path, "data", "import", bars.name, "--json")
    path = json.loads(imported.stdout)["path"]
    assert (imported.returncode, path) == (0, "palmbot-data/data/bars.parquet")
    assert (tmp_path / path).exists()
    listed = palmbot(tmp_path, "data", "list")
    assert listed.stdout.startswith("palmbot-data/data/bars.parquet  PALMOIL  20 bars of 1h  2026-01-05 to 2026-01-08")
    assert json.loads(palmbot(tmp_path, "data", "list", "--json").stdout)["series"][0]["bars"] == 20


def test_a_file_that_cannot_be_used_makes_check_fail_and_says_where(tmp_path: Path) -> None:
    rows = hourly_rows()
    rows[3] = rows[3].replace(",4010,", ",3000,")
    bars = write_bars(tmp_path / "bars.csv", rows)
    done = palmbot(tmp_path, "data", "check", bars.name)
    assert done.returncode == 1
    assert "CANNOT be used" in done.stdout
    assert "DATA_OHLC" in done.stdout
    assert "at line 5" in done.stdout
    refused = palmbot(tmp_path, "data", "import", bars.name)
    assert refused.returncode == 2
    assert refused.stderr.startswith("DATA_OHLC: ")


def test_an_empty_list_says_how_to_begin(tmp_path: Path) -> None:
    done = palmbot(tmp_path, "data", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "palmbot data import FILE" in done.stdout
    assert not (tmp_path / "palmbot-data").exists()


def test_a_reader_that_leaves_early_sees_no_traceback(tmp_path: Path) -> None:
    with subprocess.Popen(
        [PALMBOT, "config", "schema"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        if running.stdout is None or running.stderr is None:
            raise AssertionError
        running.stdout.close()
        assert "Traceback" not in running.stderr.read()
