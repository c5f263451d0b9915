"""The summary that ends a run in a terminal: every rate with its band, nothing that flatters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.sample_run import sample_run

from palmbot.research.statistics import summarize
from palmbot.research.terminal import DAYS_MIN, terminal


def test_a_synthetic_run_says_so_first_and_where_its_files_are() -> None:
    result, data = sample_run()
    lines = terminal(summarize(result, data), result, replace(data, synthetic=True), Path("here")).splitlines()
    assert lines[0] == "SYNTHETIC market"
    assert lines[-1] == "Kept in here"


def test_rates_come_with_their_bands_and_counts() -> None:
    result, data = sample_run()
    summary = summarize(result, data)
    text = terminal(summary, result, data, None)
    assert f"{summary.trades} ({summary.wins} won, {summary.losses} lost)" in text
    for name in ("win rate", "profit factor"):
        line = next(line for line in text.splitlines() if line.startswith(name))
        assert "(5-95 %: " in line


def test_a_few_days_have_no_yearly_ratio() -> None:
    result, data = sample_run()
    summary = summarize(result, data)
    few = terminal(replace(summary, days=DAYS_MIN - 1), result, data, None)
    enough = terminal(replace(summary, days=DAYS_MIN), result, data, None)
    assert f"not said of {DAYS_MIN - 1} days" in few
    assert "a year" in enough


def test_every_note_of_the_data_is_shown_once() -> None:
    result, data = sample_run()
    text = terminal(summarize(result, data), result, replace(data, notes=("A doubt.",)), None)
    assert text.count("- A doubt.") == 1
    assert "under Data below" not in text
