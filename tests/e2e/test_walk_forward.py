"""``palmbot walk-forward`` as a person runs it: an answer in words and in JSON, one clear error, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from bench.planted import data_of, walk
from tests.e2e.test_command_line import PALMBOT, palmbot

from palmbot.research.store import write_series

BARS = 2_500
GRID = """\
[optimize]
trades_min = 10
[optimize.grid]
rsi_high = [55, 60]
max_bars = [20, 40]
"""
WORDS = ["walk-forward", "--data", "bars.parquet", "--profile", "rsi_trend", "--windows", "4", "--workers", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with SYNTHETIC bars and a small grid."""
    place = tmp_path_factory.mktemp("walk")
    write_series(place / "bars.parquet", data_of(walk(BARS, 1)))
    (place / "palmbot.toml").write_text(GRID, "utf-8")
    return place


def test_it_answers_in_json_and_leaves_files(folder: Path) -> None:
    done = palmbot(folder, *WORDS, "--json", "--out", "kept", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert "Searching 4 combinations of rsi_trend" in done.stderr
    told = json.loads(done.stdout)
    assert (told["trials"], told["bars"], told["seed"]) == (4, BARS, 7)
    assert told["verdict"] in {"ROBUST", "WEAK", "NOISE"}
    assert told["reasons"]
    assert [len(told["walk_forward"][kind]["windows"]) for kind in ("rolling", "anchored")] == [4, 4]
    assert told["data"]["synthetic"]
    assert json.loads((folder / "kept" / "walk_forward.json").read_text("utf-8")) == told
    rows = (folder / "kept" / "trades.csv").read_text("utf-8").splitlines()
    counts = [told["walk_forward"][kind]["trades"] for kind in ("rolling", "anchored")]
    assert len(rows) - 1 in counts


def test_a_search_may_vary_the_pauses_that_it_stays_out_of(folder: Path, tmp_path: Path) -> None:
    axis = 'flat_before = ["none", "weekend"]\n'
    (tmp_path / "palmbot.toml").write_text(GRID.replace("max_bars = [20, 40]\n", axis), "utf-8")
    (tmp_path / "bars.parquet").symlink_to(folder / "bars.parquet")
    done = palmbot(tmp_path, *WORDS, "--json")
    assert done.returncode == 0, done.stderr
    assert "Searching 4 combinations of rsi_trend" in done.stderr
    done = palmbot(tmp_path, "optimize", *WORDS[1:5], "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 4


def test_it_says_the_verdict_first(folder: Path) -> None:
    done = palmbot(folder, *WORDS)
    lines = done.stdout.splitlines()
    assert lines[0] == "SYNTHETIC market"
    assert lines[1] in {"ROBUST", "WEAK", "NOISE"}
    assert "walk-forward, anchored" in done.stdout


def test_a_folder_that_cannot_be_written_costs_the_files_and_not_the_answer(folder: Path) -> None:
    done = palmbot(folder, *WORDS, "--json", "--out", "bars.parquet/kept")
    assert done.returncode == 2
    assert "OUTPUT_NOT_WRITABLE" in done.stderr
    told = json.loads(done.stdout)
    assert told["error"]["code"] == "OUTPUT_NOT_WRITABLE"
    assert told["walk_forward"]["rolling"]["windows"]
    done = palmbot(folder, *WORDS, "--out", "bars.parquet/kept")
    assert done.stdout.splitlines()[1] in {"ROBUST", "WEAK", "NOISE"}
    assert "Kept in" not in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["walk-forward"], "DATA_MISSING"),
        ([*WORDS[:-4], "--windows", "400"], "WALK_FORWARD_TOO_FEW_BARS"),
        ([*WORDS, "--windows", "0"], "BAD_USAGE"),
        ([*WORDS, "--data", "none.parquet"], "FILE_NOT_FOUND"),
    ],
)
def test_bad_input_is_one_clear_error(folder: Path, words: list[str], code: str) -> None:
    done = palmbot(folder, *words)
    assert done.returncode == 2
    assert done.stderr.startswith(code)
    assert len(done.stderr.splitlines()) == 2
    assert done.stdout == ""


def test_an_interrupt_shows_what_is_known(folder: Path) -> None:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PALMBOT_")}
    words = [str(PALMBOT), *WORDS, "--json"]
    with subprocess.Popen(words, cwd=folder, env=clean, stdout=-1, stderr=-1, text=True) as running:
        assert running.stderr is not None
        assert "Searching" in running.stderr.readline()  # what follows takes a second at least
        running.send_signal(signal.SIGINT)
        out, _err = running.communicate(timeout=60)
    assert running.returncode == 130
    if out:  # else the interrupt came within the search, before anything was known
        told = json.loads(out)
        assert told["verdict"] == "NOISE"
        assert told["unexamined"][-1] == "sign-flipped prices"
