"""``palmbot optimize`` as a person runs it: its answer, its file, an interrupt, what is wrong, what is refused."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.e2e.test_command_line import PALMBOT, palmbot, write_bars

from palmbot.cli.main import execute
from palmbot.research.found import schema

KEYS = {
    *("trials", "bars", "seconds", "bar_combinations_per_s", "best", "verdict", "reasons"),
    *("walk_forward", "pbo", "dsr", "p_shuffled"),
}
BEST = {"params", "score", "profit_factor", "win_rate", "max_drawdown_pct", "trades"}
SMALL = """
[profile.mine]
base = "rsi_trend"
warmup_bars = 30
[optimize]
trades_min = 5
[optimize.grid]
rsi_high = [50, 55, 60]
sl_atr = {from = 1, to = 2, step = 0.5}
max_bars = [5, 10]
"""
LARGE = '[profile.mine]\nbase = "rsi_trend"\nwarmup_bars = 30\n[optimize]\ntrades_min = 5\n'
LONG = 20_000  # trials: seconds, so that an interrupt finds the search at work
MINE = ("--profile", "mine", "--workers", "1")


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Here = Callable[..., Done]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run ``palmbot`` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        code = execute(words)
        return Done(code, *capfd.readouterr())

    return run


def daily(folder: Path, count: int = 900, config: str = SMALL) -> str:
    """Write SYNTHETIC daily bars, a walk around 4 000, and the settings; return the name of the bars."""
    rng = np.random.default_rng(3)
    closes = 4_000 + np.cumsum(rng.integers(-60, 61, count))
    opens = np.concatenate(([4_000], closes[:-1]))
    highs, lows = np.maximum(opens, closes) + 9, np.minimum(opens, closes) - 9
    days = (datetime(2005, 1, 3, 2, 30, tzinfo=UTC) + timedelta(days=day) for day in range(2 * count))
    open_days = (day for day in days if day.weekday() < 5)
    rows = zip(open_days, opens, highs, lows, closes, strict=False)
    write_bars(folder / "bars.csv", [f"{day:%Y-%m-%dT%H:%M:%SZ},{o},{h},{low},{c},1" for day, o, h, low, c in rows])
    (folder / "palmbot.toml").write_text(config)
    return "bars.csv"


def test_a_search_ends_with_the_truth_and_a_file_that_trades(tmp_path: Path, here: Here) -> None:
    bars = daily(tmp_path)
    done = palmbot(tmp_path, "optimize", "--data", bars, *MINE, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.keys() >= KEYS
    assert said["best"].keys() >= BEST
    assert (said["trials"], said["bars"], said["verdict"]) == (18, 900, "NOISE")
    assert "Searching 18 combinations of mine: rsi_high 50, 55, 60, sl_atr 1, 1.5, 2, max_bars 5, 10." in done.stderr
    best = json.loads((tmp_path / "best_params.json").read_text())
    check(best, schema())
    assert best["params"] == said["best"]["params"]
    assert (best["verdict"], best["reasons"]) == (said["verdict"], said["reasons"])
    assert [best[name] for name in ("pbo", "dsr", "p_shuffled")] == [
        said[name] for name in ("pbo", "dsr", "p_shuffled")
    ]
    assert not list(tmp_path.glob("*.trials")) + list(tmp_path.glob("*.new"))
    run = here("backtest", "--data", bars, "--params", "best_params.json", "--json")
    summary = json.loads(run.out)["summary"]
    assert [summary[name] for name in ("trades", "win_rate", "profit_factor")] == [
        said["best"][name] for name in ("trades", "win_rate", "profit_factor")
    ]
    other = here("optimize", "--data", bars, *MINE, "--out", "again.json")
    assert other.out.startswith("NOISE")
    assert json.loads((tmp_path / "again.json").read_text()) == best
    paper = here("run", "--params", "best_params.json", "--for", "1s", "--speed", "max")
    assert (paper.code, "PARAMS_OTHER_PERIOD" in paper.err) == (2, True)
    live = here("run", "--env", "live", "--dry-run", "--params", "best_params.json")
    assert (live.code, live.err.partition(":")[0]) == (3, "PARAMS_ARE_NOISE")
    assert "--i-know-this-is-noise" in live.err


def test_what_was_found_without_costs_is_told_apart_wherever_it_is_loaded_and_not_traded_live(
    tmp_path: Path, here: Here
) -> None:
    bars, free = daily(tmp_path), ("--set", "instrument.spread=0", "--set", "instrument.slippage=0")
    config = SMALL + '[instrument.palm_oil]\nperiod = "1d"\n'
    (tmp_path / "palmbot.toml").write_text(config)
    assert here("optimize", "--data", bars, *MINE, *free).code == 0
    file = tmp_path / "best_params.json"
    best = json.loads(file.read_text())
    check(best, schema())
    assert [best["costs"][name] for name in ("spread", "slippage", "commission")] == ["0", "0", "1"]
    assert (best["data"]["sentiment"], best["data"]["rolls"]) == ("none", "none")
    notes = (
        "They were found with spread 0, this run has 2 points.",
        "They were found with slippage 0, this run has 0.5 points.",
    )
    for words in (("backtest",), ("walk-forward", "--workers", "1"), ("analyze", "--out", "study", "--workers", "1")):
        done = here(*words, "--data", bars, "--params", file.name)
        assert done.code == 0, done.err
        said = " ".join((done.out + done.err).split())
        assert all(note in said for note in notes), words
    assert "found with" not in here("backtest", "--data", bars, "--params", file.name, *free).out
    file.write_text(json.dumps(best | {"verdict": "ROBUST"}))  # as a planted edge would get it
    live = ("run", "--env", "live", "--dry-run", "--params", file.name)
    refused = here(*live)
    assert (refused.code, refused.err.partition(":")[0]) == (3, "PARAMS_ARE_NOISE")
    assert "The verdict ROBUST was at 2 points for a round trip, and at" in refused.err
    accepted, same = here(*live, "--i-know-this-is-noise"), here(*live, *free)
    assert "CREDENTIALS_MISSING" in accepted.err  # the next thing that a live run needs
    assert same.err.startswith("CREDENTIALS_MISSING")
    older = {name: value for name, value in best.items() if name != "costs"} | {"verdict": "ROBUST"}
    file.write_text(json.dumps(older))
    refused = here(*live, *free)
    assert (refused.code, refused.err.partition(":")[0]) == (3, "PARAMS_ARE_NOISE")
    assert "an older version wrote it" in refused.err
    assert here("backtest", "--data", bars, "--params", file.name).out.count("an older version wrote it") == 1


def check(value: Any, wanted: dict[str, Any], at: str = "") -> None:
    """Hold ``value`` against the parts of JSON schema that ours uses."""
    kinds: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "object": dict,
        "array": list,
    }
    if "const" in wanted or "enum" in wanted:
        assert value in wanted.get("enum", [wanted.get("const")]), at
        return
    names = wanted["type"] if isinstance(wanted["type"], list) else [wanted["type"]]
    if value is None:
        assert "null" in names, at
        return
    assert any(isinstance(value, kinds[name]) for name in names if name != "null"), at
    if isinstance(value, dict):
        assert value.keys() == wanted["properties"].keys() == set(wanted["required"]), at
        for name, each in value.items():
            check(each, wanted["properties"][name], f"{at}.{name}")
    if isinstance(value, list):
        for each in value:
            check(each, wanted["items"], f"{at}[]")
    if isinstance(value, int | float):
        assert wanted.get("minimum", value) <= value <= wanted.get("maximum", value), at


def interrupted(folder: Path, when: bytes, *words: str) -> tuple[int, str, str]:
    """Run ``palmbot words``, press Ctrl-C when its bar says ``when``; return code, stdout, stderr."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PALMBOT_")}
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [PALMBOT, *words], cwd=folder, env=clean | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(terminal, 4_096):
                if when in seen + chunk and when not in seen:
                    process.send_signal(signal.SIGINT)
                seen += chunk
        except OSError:  # the other end of the terminal was closed
            pass
        os.close(terminal)
        assert process.stdout is not None
        text = process.stdout.read()
    return process.returncode, text, seen.decode()


def test_ctrl_c_keeps_what_was_found_and_the_same_command_goes_on(tmp_path: Path) -> None:
    bars = daily(tmp_path, count=3_000, config=LARGE)
    search = ("optimize", "--data", bars, *MINE, "--method", "genetic", "--trials", f"{LONG}", "--json")
    code, text, bar = interrupted(tmp_path, b"tried", *search)
    assert code == 130, bar
    said = json.loads(text)
    assert 100 <= said["trials"] < LONG
    assert said["verdict"] == "NOISE"
    assert "examined" in " ".join(said["reasons"])
    assert json.loads((tmp_path / "best_params.json").read_text())["trials"] == said["trials"]
    assert (tmp_path / "best_params.json.trials").exists()
    code, text, bar = interrupted(tmp_path, b"walk-forward", *search)
    assert code == 130, bar
    assert f"{said['trials']:,} trials were taken from best_params.json.trials" in " ".join(bar.split())
    assert json.loads(text)["trials"] == LONG


def test_ctrl_c_ends_the_examination_and_keeps_what_it_has_shown(tmp_path: Path) -> None:
    bars = daily(tmp_path, count=3_000, config=LARGE)
    search = ("optimize", "--data", bars, *MINE, "--method", "genetic", "--trials", "400", "--json")
    code, text, bar = interrupted(tmp_path, b"shuffled", *search)
    assert code == 130, bar
    said = json.loads(text)
    assert (said["trials"], said["verdict"]) == (400, "NOISE")
    assert said["walk_forward"] is not None
    assert said["p_shuffled"] is None


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("--out", "nowhere/best.json"), 2, "OUT_NOT_WRITABLE"),
        (("--out", "."), 2, "OUT_NOT_WRITABLE"),
        (("--set", "warmup_bars=900"), 2, "TOO_FEW_BARS"),
        (("--set", "optimize.grid.rsi_high=500"), 2, "OUT_OF_RANGE"),
        (("--set", "optimize.grid.rsi_high=-5"), 2, "OUT_OF_RANGE"),
        (("--set", "optimize.grid.rsi_low=70", "--set", "optimize.grid.rsi_high=60"), 2, "GRID_IMPOSSIBLE"),
        (("--trials", "0"), 2, "OUT_OF_RANGE"),
        (("--method", "magic"), 2, "BAD_CHOICE"),
        (("--dask", "tcp://10.0.0.9:8786"), 3, "DASK_NOT_SAFE"),
        (("--dask", "tcp://127.0.0.1:1"), 1, "CLUSTER_UNREACHABLE"),
    ],
)
def test_what_cannot_be_done_is_one_error_before_the_search(
    tmp_path: Path, words: tuple[str, ...], code: int, error: str, here: Here
) -> None:
    done = here("optimize", "--data", daily(tmp_path), *MINE, *words)
    assert (done.code, done.out) == (code, "")
    assert f"{error}:" in done.err
    assert not (tmp_path / "best_params.json").exists()


def test_without_data_nothing_is_searched(here: Here) -> None:
    done = here("optimize")
    assert (done.code, done.err.partition(":")[0]) == (2, "DATA_MISSING")


def test_no_trade_at_all_is_noise_and_writes_nothing(tmp_path: Path, here: Here) -> None:
    done = here("optimize", "--data", daily(tmp_path), "--trials", "50", "--json")  # no sentiment is known
    assert done.code == 1
    said = json.loads(done.out)
    assert (said["verdict"], said["best"], said["file"]) == ("NOISE", None, None)
    assert list(tmp_path.glob("best*")) == []


def test_a_grid_of_one_is_searched_and_judged(tmp_path: Path, here: Here) -> None:
    config = SMALL.partition("[optimize.grid]")[0] + "[optimize.grid]\nrsi_high = 55\n"
    done = here("optimize", "--data", daily(tmp_path, config=config), *MINE, "--json")
    assert done.code == 0, done.err
    assert (json.loads(done.out)["trials"], json.loads(done.out)["verdict"]) == (1, "NOISE")


def test_a_full_disk_at_the_end_loses_nothing(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, *_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bars = daily(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        done = here("optimize", "--data", bars, *MINE)
    assert done.code == 1
    assert "BEST_PARAMS_NOT_WRITTEN: file=best_params.json" in done.err
    assert "No space left on device" in done.err
    assert "The best parameters are in no file: profile=1 rsi_period=14" in done.out
    assert [each.name for each in tmp_path.glob("best_params.json*")] == ["best_params.json.trials"]
    again = here("optimize", "--data", bars, *MINE, "--json")
    assert again.code == 0
    assert "18 trials were taken from best_params.json.trials" in again.err
    assert [each.name for each in tmp_path.glob("best_params.json*")] == ["best_params.json"]


def test_what_the_command_says_is_not_searched(tmp_path: Path, here: Here) -> None:
    done = here(
        "optimize", "--data", daily(tmp_path), *MINE, "--json", "--set", "sl_atr=2", "--trials", "4", "--seed", "5"
    )
    assert "Searching 4 of 6 combinations of mine: rsi_high 50, 55, 60, max_bars 5, 10." in done.err
    assert "Not searched, because you said their value: sl_atr." in done.err
    assert json.loads(done.out)["best"]["params"]["sl_atr"] == 2.0
