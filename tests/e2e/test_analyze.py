"""``palmbot analyze`` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

from bench.planted import data_of, walk
from tests.e2e.test_command_line import palmbot

from palmbot.research.store import write_series

BARS = 1_500


def test_a_study_leaves_a_pdf_figures_and_numbers(tmp_path: Path) -> None:
    write_series(tmp_path / "bars.parquet", data_of(walk(BARS, 1)))
    words = "analyze --data bars.parquet --profile rsi_trend --set rsi_high=55 --out study --workers 1 --json"
    done = palmbot(tmp_path, *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["trades"] > 0
    assert told["recommendations"]
    assert [Path(each).name for each in told["files"]][:4] == [
        "analysis.pdf", "trades.csv", "refused.csv", "analysis.json",
    ]  # fmt: skip
    assert all((tmp_path / each).stat().st_size > 0 for each in told["files"])


def test_without_data_it_says_what_to_name(tmp_path: Path) -> None:
    done = palmbot(tmp_path, "analyze", "--out", "study")
    assert done.returncode == 2
    assert "DATA_MISSING" in done.stderr
    assert not (tmp_path / "study").exists()


def test_bars_that_end_before_the_warm_up_are_one_error_as_for_a_search(tmp_path: Path) -> None:
    rows = ["timestamp,open,high,low,close", *(f"2024-01-08T0{hour}:00:00Z,4000,4010,3990,4005" for hour in (3, 4))]
    (tmp_path / "two.csv").write_text("\n".join(rows), "utf-8")
    for words in ("analyze --out study", "optimize --out best.json"):
        done = palmbot(tmp_path, *words.split(), "--data", "two.csv", "--json")
        assert done.returncode == 2
        error = json.loads(done.stdout)["error"]
        assert (error["code"], error["facts"]["bars"]) == ("TOO_FEW_BARS", 2)
    assert not (tmp_path / "study").exists()
